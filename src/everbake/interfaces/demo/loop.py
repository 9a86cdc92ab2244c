"""The demo's project: its folder, its running loop, and the two ways to ask it."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from everbake import wiring
from everbake.config.settings import load_settings
from everbake.core.bundle import Bundle
from everbake.core.loop import ModelState
from everbake.engine import commands
from everbake.engine.owner import Owner
from everbake.errors import ConflictError, HealthError
from everbake.interfaces.demo.year import MODEL, Edit, shipped
from everbake.interfaces.up import Narrate, Up, running
from everbake.serving.local import answer_rows, read_rows
from everbake.views.outcomes import run_outcome

_PATIENCE = 30.0  # seconds for one answer
_AT_ONCE = 168  # rows of one request: a week

Row = dict[str, Any]
Outcome = dict[str, Any]


@dataclass(frozen=True)
class Answers:
    """What the prediction server said about some rows."""

    versions: tuple[int, ...]
    predictions: list[float]


@dataclass(frozen=True)
class Loop:
    """A project whose loop runs in this process.

    Attributes:
        project: the folder.
        owner: the one that `everbake up` would be.
        address: of the prediction server.
    """

    project: Path
    owner: Owner
    address: str

    def arrive(self, path: Path) -> Outcome:
        """A file arrives: what `everbake ingest` reports about it."""
        asked = commands.Files(MODEL, (str(path),), (path.name,))
        return commands.ingest(self.owner, asked)

    def discard(self, quarantine: str, reason: str) -> Outcome:
        """Throw a quarantined batch away."""
        return commands.reject(self.owner, commands.Settling(MODEL, quarantine, reason))

    def edit(self, edit: Edit) -> None:
        """Change the recipe's text; the next run takes it up."""
        path = self.project / "recipe.py"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(edit.before, edit.after), encoding="utf-8")

    def take_up(self) -> Outcome:
        """Run what a changed recipe makes due, as `everbake up` does when it sees the change."""
        self.owner.notice_recipes()
        self.owner.settle(MODEL)
        return run_outcome(self.owner.ports.ledger, self.state.last_run)

    @property
    def state(self) -> ModelState:
        """The model's state."""
        return self.owner.model(MODEL)

    def bundle(self, version: int) -> Bundle:
        """What a version answers with."""
        ledger = self.owner.ports.ledger
        row = ledger.rows("versions", {"model": MODEL, "version": version})[0]
        return Bundle.decode(self.owner.ports.blobs.get(str(row["bundle"])))

    def ask_version(self, version: int, rows: list[Row]) -> list[float]:
        """What one version says, with its own code: what `everbake predict NAME@V` does."""

        def opener(bundle: Bundle) -> Any:  # noqa: ANN401 - a socket
            return wiring.native_session(self.project, bundle)

        bundle = self.bundle(version)
        asked = read_rows(json.dumps(rows).encode(), bundle.inputs, f"{MODEL}@{version}")
        return answer_rows(bundle, asked, self.owner.ports.blobs, opener)

    def ask_server(self, rows: list[Row]) -> Answers:
        """What the prediction server says, a week of rows in each request.

        Raises:
            HealthError: it did not answer.
        """
        place = urlsplit(self.address)
        line = http.client.HTTPConnection(str(place.hostname), place.port, timeout=_PATIENCE)
        versions: set[int] = set()
        predictions: list[float] = []
        try:
            for start in range(0, len(rows), _AT_ONCE):
                said = _post(line, rows[start : start + _AT_ONCE])
                versions.add(said["version"])
                predictions += said["predictions"]
        finally:
            line.close()
        return Answers(tuple(sorted(versions)), predictions)


def _post(line: http.client.HTTPConnection, rows: list[Row]) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    line.request("POST", f"/v1/models/{MODEL}/predict", json.dumps({"rows": rows}), headers)
    response = line.getresponse()
    body = response.read()
    if response.status != http.client.OK:
        raise HealthError(
            "EB530",
            "the prediction server refused the demo's rows",
            why=body.decode("utf-8", "replace"),
            mend="everbake doctor",
        )
    said: dict[str, Any] = json.loads(body)
    return said


@contextmanager
def looping(project: Path, port: int, narrate: Narrate) -> Iterator[Loop]:
    """Lay the demo's project out in an empty folder and run its loop, with the code of `up`.

    Args:
        project: the folder; made if it is not there.
        port: of the prediction server; 0 picks a free one.
        narrate: gets what the recipe prints and what the loop complains about.

    Raises:
        ConflictError: something is in the folder already.
    """
    _lay_out(project)
    settings = load_settings(project)
    told = Up(project, "127.0.0.1", port, settings.workers)
    with running(told, settings, narrate) as (owner, address):
        yield Loop(project, owner, address)


def _lay_out(project: Path) -> None:
    project.mkdir(parents=True, exist_ok=True)
    if any(project.iterdir()):
        raise ConflictError(
            "EB015",
            "the demo wants a folder of its own, and this one is not empty",
            where=str(project),
            mend="everbake demo --dir NEW_FOLDER",
        )
    (project / "recipe.py").write_text(shipped("recipe.txt"), encoding="utf-8")
    (project / "ATTRIBUTION.md").write_text(shipped("ATTRIBUTION.md"), encoding="utf-8")
