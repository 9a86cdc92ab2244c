"""The user's code at work in host processes, as the ports `Recipes` and `Training`."""
