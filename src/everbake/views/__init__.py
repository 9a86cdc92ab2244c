"""Read models for the interfaces: plain rows, as scripts see them."""
