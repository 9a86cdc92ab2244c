"""The process beside the workers: turns what was answered, and labels, into records."""
