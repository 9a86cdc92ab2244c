"""One file a step of a run; each turns an order into a fact."""
