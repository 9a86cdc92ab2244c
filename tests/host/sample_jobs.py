"""Jobs and sessions that the tests of the host ask for; imported by the host, not by the tests."""

import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from everbake.host.protocol import JobContext, JobEntry, SessionEntry
from everbake.wire import receive_frame, send_frame

SLEEPER = "import time; time.sleep(600)"


def echo(order: bytes, _context: JobContext) -> bytes:
    return order


def describe(_order: bytes, context: JobContext) -> bytes:
    assert context.recipe_module is not None
    return json.dumps({"answer": context.recipe_module.ANSWER}).encode()


def call(order: bytes, context: JobContext) -> bytes:
    """Call a function of the recipe by its name."""
    assert context.recipe_module is not None
    return json.dumps(getattr(context.recipe_module, order.decode())()).encode()


def surroundings(_order: bytes, context: JobContext) -> bytes:
    import numpy as np
    import pyarrow as pa
    from threadpoolctl import threadpool_info

    told = {
        "environment": dict(os.environ),
        "random": [random.random(), float(np.random.random())],
        "seed": context.seed,
        "threads": context.threads,
        "blas": [library["num_threads"] for library in threadpool_info()],
        "arrow": pa.cpu_count(),
        "leader": os.getpid() == os.getsid(0),
        "hash": hash("everbake"),
        "zygote_threads": len(list(Path(f"/proc/{os.getppid()}/task").iterdir())),
    }
    return json.dumps(told).encode()


def chatter(_order: bytes, context: JobContext) -> bytes:
    sys.stdout.write("from python\n")
    context.log("from the log")
    sys.stdout.flush()
    ctypes.CDLL(None).dprintf(2, b"from c\n")
    subprocess.run(["/bin/echo", "from a child"], check=True)
    return b"{}"


def flood(_order: bytes, _context: JobContext) -> bytes:
    line = "x" * 9_999
    for _ in range(1_500):
        sys.stdout.write(line + "\n")
    return b"{}"


def fail(_order: bytes, _context: JobContext) -> bytes:
    raise ValueError("of no\nuse")


class MuteError(Exception):
    def __str__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs 3.12
        raise RuntimeError("no words")


def fail_mutely(_order: bytes, _context: JobContext) -> bytes:
    raise MuteError


def leave(_order: bytes, _context: JobContext) -> bytes:
    sys.exit(3)


def vanish(_order: bytes, _context: JobContext) -> bytes:
    os._exit(7)


def crash(_order: bytes, _context: JobContext) -> bytes:
    ctypes.string_at(0)
    return b"{}"


def suicide(_order: bytes, _context: JobContext) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b"{}"


def hang(_order: bytes, context: JobContext) -> bytes:
    """Hang with a child, and with one that has made itself a daemon."""
    child = subprocess.Popen([sys.executable, "-c", SLEEPER])
    launcher = (
        "import subprocess, sys\n"
        f"p = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}], start_new_session=True,\n"
        "    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(p.pid)"
    )
    told = subprocess.run([sys.executable, "-c", launcher], capture_output=True, check=True)
    pids = [os.getpid(), os.getppid(), child.pid, int(told.stdout)]
    (context.work / "pids.part").write_text(json.dumps(pids))
    (context.work / "pids.part").rename(context.work / "pids.json")
    while True:
        time.sleep(600)


def leave_behind(_order: bytes, _context: JobContext) -> bytes:
    """End well, but leave a daemon."""
    stray = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True)
    return json.dumps(stray.pid).encode()


def hoard(order: bytes, _context: JobContext) -> bytes:
    """Grow step by step, so that only the poll can notice."""
    held = []
    for _ in range(int(order)):
        held.append(b"\1" * 4_000_000)
        time.sleep(0.005)
    return b"{}"


def leap(order: bytes, _context: JobContext) -> bytes:
    """Grow at once."""
    return bytes(str(len(bytearray(int(order)))), "ascii")


def delegate(order: bytes, _context: JobContext) -> bytes:
    """Grow in two children, each of them within the limit."""
    grow = f"x = b'1' * {int(order)}; import time; time.sleep(600)"
    for child in [subprocess.Popen([sys.executable, "-c", grow]) for _ in range(2)]:
        child.wait()
    return b"{}"


def upper(order: bytes, context: JobContext, connection: socket.socket) -> None:
    """A session: answers each frame in capitals."""
    (Path(context.work) / "session.pid").write_text(str(os.getpid()))
    sys.stdout.write(f"session {order.decode()}\n")
    while (frame := receive_frame(connection)) is not None:
        if frame == b"exit":
            os._exit(1)
        send_frame(connection, order + frame.upper())


def deaf(_order: bytes, _context: JobContext, connection: socket.socket) -> None:
    """A session that never looks at its connection again."""
    send_frame(connection, str(os.getpid()).encode())
    while True:
        time.sleep(600)


JOBS = {
    function.__name__: JobEntry(function, needs_recipe=False)
    for function in (
        *(echo, chatter, flood, fail, fail_mutely, leave, vanish, crash, suicide),
        *(hang, leave_behind, hoard, leap, delegate),
    )
} | {
    "describe": JobEntry(describe, needs_recipe=True),
    "hang_with_recipe": JobEntry(hang, needs_recipe=True),
    "surroundings": JobEntry(surroundings, needs_recipe=True),
    "call": JobEntry(call, needs_recipe=True),
}
SESSIONS = {
    "upper": SessionEntry(upper, needs_recipe=True),
    "deaf": SessionEntry(deaf, needs_recipe=True),
}


def warm() -> None:
    """Nothing to load."""
