"""What a job is, seen from inside a host: its function, and what that function is given."""

import importlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class JobContext:
    """What a job may know beside its order.

    Attributes:
        recipe_module: the imported recipe, for jobs that need it.
        work: the job's own directory (the snapshot's for a session without output).
        seed: already planted in `random` and numpy.
        threads: already set for BLAS, OpenMP and Arrow.
        log: writes one line of progress.
    """

    recipe_module: ModuleType | None
    work: Path
    seed: int
    threads: int
    log: Callable[[str], None]

    @property
    def recipe(self) -> ModuleType:
        """The imported recipe, for a job that was declared to need it."""
        if self.recipe_module is None:
            raise LookupError("this job was declared to need no recipe")
        return self.recipe_module


JobFunction = Callable[[bytes, JobContext], bytes]
SessionFunction = Callable[[bytes, JobContext, socket.socket], None]


@dataclass(frozen=True)
class JobEntry:
    """A job that answers once with the bytes it returns.

    Attributes:
        function: gets the order and the context.
        needs_recipe: it waits until the recipe is imported.
    """

    function: JobFunction
    needs_recipe: bool


@dataclass(frozen=True)
class SessionEntry:
    """A job that answers over its connection until the other side closes it.

    Attributes:
        function: gets the order, the context and the connection.
        needs_recipe: it waits until the recipe is imported.
    """

    function: SessionFunction
    needs_recipe: bool


@dataclass(frozen=True)
class Catalogue:
    """All that a host can be asked for.

    Attributes:
        jobs: by name.
        sessions: by name.
        warm: loads what jobs with a recipe need, so that their processes need not.
    """

    jobs: Mapping[str, JobEntry]
    sessions: Mapping[str, SessionEntry]
    warm: Callable[[], None]

    def find(self, kind: str, name: str) -> JobEntry | SessionEntry | None:
        """The entry of a request, if there is one."""
        return self.jobs.get(name) if kind == "job" else self.sessions.get(name)


def load_catalogue(jobs: str, sessions: str) -> Catalogue:
    """The tables at two addresses of the form `module:attribute`; `warm` lies beside the jobs."""
    module = jobs.partition(":")[0]
    return Catalogue(_load(jobs), _load(sessions), _load(f"{module}:warm"))


def _load(address: str) -> Any:  # noqa: ANN401  only running the code shows what it holds
    module, _, attribute = address.partition(":")
    return getattr(importlib.import_module(module), attribute)
