"""The process entry of a prediction worker: `python -m everbake.interfaces.serve`."""

import argparse
import os
import socket
from functools import partial
from pathlib import Path

from everbake.interfaces.parent import die_with


def main(arguments: list[str] | None = None) -> None:
    """Serve a project's models on an inherited listening socket."""
    told = _parser().parse_args(arguments)
    die_with(told.parent)
    # Before numpy is imported: one thread a worker, or the slowest answers take very long.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    from everbake.serving.http import Bounds
    from everbake.serving.run import serve
    from everbake.serving.service import Service, Sources, Worker
    from everbake.wiring import blobs, clock, native_session, places, reader

    project: Path = told.project.absolute()
    sources = Sources(reader(project), blobs(project), partial(native_session, project), clock())
    worker = Worker(
        places(project).state,
        told.worker,
        told.poll_ms / 1000,
        told.sync,
        Bounds(tuple(told.allow_host)),
    )
    serve(Service(sources, worker), socket.socket(fileno=told.fd))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="everbake.interfaces.serve", description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="the project's folder")
    parser.add_argument("--fd", type=int, required=True, help="a listening socket")
    parser.add_argument("--worker", type=int, required=True, help="number of this worker")
    parser.add_argument("--poll-ms", type=int, default=50, help="between looks at the ledger")
    parser.add_argument("--sync", choices=("none", "tick"), default="none", help="of the log")
    parser.add_argument("--allow-host", action="append", default=[], help="in the Host header")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="process to die with")
    return parser


if __name__ == "__main__":
    main()
