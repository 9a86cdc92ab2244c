"""One module for each outside thing, behind the protocols of ports."""
