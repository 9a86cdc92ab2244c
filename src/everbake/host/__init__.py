"""The process where the user's code runs, and nowhere else."""
