"""Numbers only: intervals, tests and sample sizes. Nothing here knows models, files or users."""
