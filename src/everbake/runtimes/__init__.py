"""Data files that answer without the user's code: built in the host, used by serving."""
