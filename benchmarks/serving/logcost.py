"""Section log: the same worker with its prediction log and without."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from serving import fitted, wrk
from serving.processes import SERVER, end, pinned
from serving.project import Project, create
from serving.report import heading, note, unmeasured, verdict
from serving.servers import ONE_THREAD, Server, wait_for_answer
from serving.throughput import Ask

_PROGRAM = Path(__file__).with_name("worker.py")
_WORKERS = {"with": 0, "at-once": 1, "tick": 2}
_NAMES = {"with": "with its log", "at-once": "no log, at once", "tick": "no log, a tick together"}


def section(ask: Ask) -> None:
    """What the log takes of the throughput, and the tail with it."""
    heading("log: model A, one worker without `everbake up`, with its log and without")
    with tempfile.TemporaryDirectory() as folder:
        project = create(Path(folder) / "project", "a")
        with ExitStack() as stack:
            servers = [stack.enter_context(_worker(project, *each)) for each in _WORKERS.items()]
            found = wrk.in_turns(servers, 16, ask.seconds, ask.times)
        written = sum(f.stat().st_size for f in (project.folder / ".everbake/log").rglob("*.seg"))
    wrk.table(servers, found)
    note(f"{written / 2**20:,.0f} MB of log were written, in {tempfile.gettempdir()}")
    logged, *bare = found
    if any(each.failed for each in found) or not written:
        unmeasured("cost of the log", "requests failed, or nothing was logged")
        return
    rate, cpu = max(each.rate for each in bare), min(each.cpu for each in bare)
    note("held against the better of the two without a log")
    verdict("cost of the log, throughput", 100 * (1 - logged.rate / rate), 15, " %")
    share = 100 * (1 - cpu / logged.cpu)
    note(f"in processor time {logged.cpu - cpu:.1f} us a request, {share:.0f} %")
    verdict("p99.9 with the log", logged.p999, 10, " ms")


@contextmanager
def _worker(project: Project, log: str, number: int) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        told = ("--project", project.folder, "--fd", listener.fileno(), "--worker", number)
        process = subprocess.Popen(
            pinned(SERVER, sys.executable, _PROGRAM, log, *told, "--parent", os.getpid()),
            env=os.environ | ONE_THREAD,
            pass_fds=(listener.fileno(),),
            text=True,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            body = json.dumps({"rows": [fitted.example()]})
            url = f"{address}/v1/models/{project.name}/predict"
            server = Server(f"everbake, {_NAMES[log]}", process, url, body)
            wait_for_answer(server)
            yield server
        finally:
            end(process)
