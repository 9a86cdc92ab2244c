"""`python -m everbake` is the program `everbake`."""

from everbake.interfaces.cli import main

main()
