"""A year of real data through the real loop, in a minute."""
