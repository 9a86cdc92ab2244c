"""Waiting for the prediction workers to take a deployment over."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from everbake.core.bundle import Bundle
from everbake.errors import ConflictError
from everbake.ports import Blobs
from everbake.wire import alive

BOUND = 30.0  # seconds: a cold host on a busy machine imports for long
_GLANCE = 0.01


class WorkerAcknowledgements:
    """Each worker says in a file of its own which deployment of each model it answers from."""

    def __init__(self, folder: Path, blobs: Blobs) -> None:
        """Look in `folder`; without files in it, nobody serves and nobody is waited for."""
        self._folder = folder
        self._blobs = blobs

    def check(self, bundle: str) -> None:
        """See that all that a version needs to answer is there, and whole."""
        version = Bundle.decode(self._blobs.get(bundle))
        for blob in (version.snapshot, version.artifact, version.runtime_data):
            if blob is not None:
                self._blobs.get(blob)

    def wait(self, model: str, generation: int) -> None:
        """Return when every living worker answers from this deployment of the model."""
        until = time.monotonic() + BOUND
        while behind := self._behind(model, generation):
            refused = _refusals(behind, model, generation)
            if refused or time.monotonic() > until:
                raise ConflictError(
                    "EB415",
                    f"the deployment of {model} is recorded, but a server has not taken it over",
                    why=refused[0] if refused else f"not within {BOUND:.0f} s",
                    mend=f"everbake rollback {model}; everbake doctor",
                )
            time.sleep(_GLANCE)

    def refused(self, model: str, generation: int) -> str | None:
        """Why a living worker could not take this deployment over, if one could not."""
        return next(iter(_refusals(self._behind(model, generation), model, generation)), None)

    def _behind(self, model: str, generation: int) -> list[dict[str, Any]]:
        return [said for said in self._said() if _serves(said, model) < generation]

    def _said(self) -> list[dict[str, Any]]:
        """What the living workers say."""
        found = []
        for path in self._folder.glob("*.json"):
            with suppress(FileNotFoundError, ValueError):  # it ended, or writes just now
                said = json.loads(path.read_bytes())
                if alive(int(said["pid"])):
                    found.append(said)
        return found


def _refusals(behind: list[dict[str, Any]], model: str, generation: int) -> list[str]:
    return [
        str(said["errors"][model])
        for said in behind
        if said.get("failed", {}).get(model, 0) >= generation
    ]


def _serves(said: dict[str, Any], model: str) -> int:
    return int(said.get("models", {}).get(model, {}).get("generation", 0))
