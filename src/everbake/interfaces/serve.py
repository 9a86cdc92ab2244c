"""The process entry of a prediction worker: `python -m everbake.interfaces.serve`."""

import argparse
import os
import socket
from functools import partial
from pathlib import Path


def main(arguments: list[str] | None = None) -> None:
    """Serve a project's models on an inherited listening socket."""
    told = _parser().parse_args(arguments)
    # Before numpy is imported: one thread a worker, or the slowest answers take very long.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    import msgspec

    from everbake.config.settings import Settings
    from everbake.serving.handover import outlive
    from everbake.serving.http import Bounds
    from everbake.serving.native import Limits
    from everbake.serving.observing import observers_of
    from everbake.serving.run import serve
    from everbake.serving.service import Service, Sources, Worker
    from everbake.wiring import blobs, clock, native_session, places, reader, records

    project: Path = told.project.absolute()
    listener = socket.socket(fileno=told.fd)
    gone = outlive(told.parent, listener, places(project).serving)
    settings = msgspec.json.decode(told.settings, type=Settings)
    opener = partial(native_session, project)
    sources = Sources(reader(project), records(project), blobs(project), opener, clock())
    worker = Worker(
        places(project).state,
        told.worker,
        told.poll_ms / 1000,
        settings.log_sync,
        settings.log_full,
        Bounds(settings.allow_hosts, settings.request_bytes),
        Limits(settings.request_rows, settings.waiting, settings.request_seconds),
        gone.is_set,
        observers_of(settings.access_log, settings.otel_endpoint, project),
    )
    serve(Service(sources, worker), listener, settings.request_seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="everbake.interfaces.serve", description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="the project's folder")
    parser.add_argument("--fd", type=int, required=True, help="a listening socket")
    parser.add_argument("--worker", type=int, required=True, help="number of this worker")
    parser.add_argument("--poll-ms", type=int, default=50, help="between looks at the ledger")
    parser.add_argument("--settings", default="{}", help="of the project, as JSON")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="the owner's process")
    return parser


if __name__ == "__main__":
    main()
