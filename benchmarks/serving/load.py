"""Starts the open-loop generator on the load generator's core and reads what it found."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from serving.processes import LOAD, pinned
from serving.servers import Server

SOCKETS = 1000  # at most so many requests are in flight
_PROGRAM = Path(__file__).with_name("openloop.py")


@dataclass(frozen=True)
class Answered:
    """One request: when it was due, how long it took from then, and its status."""

    due: float
    took: float
    status: int


@dataclass(frozen=True)
class Outcome:
    """All requests of a run, how late the generator itself was, and what it could not send."""

    answers: list[Answered]
    late: list[float]
    unsent: int

    def took(self, *status: int) -> list[float]:
        """Milliseconds of the requests with a status."""
        return [each.took * 1000 for each in self.answers if each.status in status]

    @property
    def failed(self) -> int:
        """Requests that were not answered with 200."""
        return sum(each.status != 200 for each in self.answers)


class Load:
    """A run of the generator."""

    def __init__(self, server: Server, rate: float, seconds: float) -> None:
        address = urlsplit(server.url)
        body = server.body.encode()
        head = f"POST {address.path} HTTP/1.1\r\nhost: {address.netloc}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._folder = tempfile.TemporaryDirectory()
        self._file = Path(self._folder.name) / "outcome.json"
        told = (address.hostname, address.port, rate, seconds, SOCKETS, self._file)
        self.process = subprocess.Popen(
            pinned(LOAD, sys.executable, _PROGRAM, *told),
            stdin=subprocess.PIPE,
        )
        self.process.stdin.write(head.encode() + body)
        self.process.stdin.close()

    def outcome(self) -> Outcome:
        """Wait for the end."""
        with self._folder:
            if self.process.wait():
                raise RuntimeError(f"the load generator ended with {self.process.returncode}")
            told = json.loads(self._file.read_text())
        answers = map(Answered, told["due"], told["took"], told["status"])
        late = [s - d for s, d in zip(told["sent"], told["due"], strict=True)]
        return Outcome(list(answers), late, told["unsent"])
