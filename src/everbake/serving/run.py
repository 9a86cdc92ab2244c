"""Serves on a socket that is already listening, until told to end."""

import contextlib
import math
import resource
import signal
import socket
import sys

import uvicorn

from everbake.serving.direct import DirectProtocol
from everbake.serving.service import Service

_MARGIN = 5  # seconds


def serve(
    service: Service, listener: socket.socket, arrival: float = 10.0, idle: float = 75.0
) -> None:
    """Answer until SIGTERM or SIGINT; requests in flight are answered first.

    Args:
        service: answers.
        listener: where.
        arrival: seconds in which a request must have arrived, once it has begun.
        idle: seconds after which a connection is closed that nobody uses.
    """
    _raise_open_files()
    config = uvicorn.Config(
        service,
        loop="uvloop",
        http=type("Protocol", (DirectProtocol,), {"seconds": arrival, "idle": idle}),
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=grace(arrival),
    )
    # uvicorn raises the signal again once it has ended in peace: that is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.Server(config).run(sockets=[listener])


def grace(arrival: float) -> int:
    """Seconds for what is under way at the end: to arrive, and as many to be answered."""
    return math.ceil(2 * arrival) + _MARGIN


def _raise_open_files() -> None:
    """Each connection is an open file: idle ones must not keep others out."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a system that says yes but means no
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
