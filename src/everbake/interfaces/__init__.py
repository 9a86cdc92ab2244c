"""The ways in: command line, process entries, rendering."""
