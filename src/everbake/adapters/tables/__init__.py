"""Tables in Delta format: the data versions of a model, and what was answered for it."""
