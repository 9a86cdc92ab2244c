"""The entry of a host process: `python -m everbake.interfaces.host`, started by its owner only."""

import argparse
import signal
import socket

from everbake.host.protocol import load_catalogue
from everbake.host.recipe_side import Snapshot
from everbake.host.zygote import serve


def main() -> None:
    """Parse the owner's words and become a host."""
    # Before anything else: Ctrl-C in a terminal is the owner's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parser = argparse.ArgumentParser(prog="everbake-host", description=__doc__)
    parser.add_argument("--snapshot", required=True, help="directory of the recipe's code")
    parser.add_argument("--module", required=True, help="name of the recipe's module")
    parser.add_argument("--socket", required=True, type=int, help="descriptor of the requests")
    parser.add_argument("--lifeline", required=True, type=int, help="ends with the owner")
    parser.add_argument("--jobs", required=True, help="module:attribute of the table of jobs")
    parser.add_argument("--sessions", required=True, help="module:attribute of the sessions")
    asked = parser.parse_args()
    inbox = socket.socket(fileno=asked.socket)
    snapshot = Snapshot(asked.snapshot, asked.module)
    serve(inbox, asked.lifeline, load_catalogue(asked.jobs, asked.sessions), snapshot)


if __name__ == "__main__":
    main()
