"""A version that takes over in the open: its frozen plan, what was seen, and what follows."""
