"""Runs the loop: the pipeline of a run, and the owner who starts it."""
