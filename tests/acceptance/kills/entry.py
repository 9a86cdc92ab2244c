"""`everbake`, with wrapped ports: it tells where it is, and can be stopped at an exact place.

entry.py TAPE [ARGUMENTS OF everbake...]

EVERBAKE_TEST_BARRIER   `port.method:before|after[:fact]`: get there, touch the file below, wait
EVERBAKE_TEST_REACHED   that file
EVERBAKE_TEST_WIRING    a planted fault: see `faults.py`
"""

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

_TOLD = {
    "recipes": ("changed",),
    "tables": ("orphans", "stage", "commit"),
    "contracts": ("write",),
    "release": ("wait",),
    "training": ("parse", "environment", "train", "evaluate", "look", "forget"),
    "ledger": ("record",),
}


@dataclass(frozen=True)
class Barrier:
    """Where to stop for ever, and the file that says that it was reached."""

    place: str
    reached: Path

    @staticmethod
    def of(environment: Any) -> "Barrier":
        """The barrier that was asked for; one that is never reached otherwise."""
        place = environment.get("EVERBAKE_TEST_BARRIER", "")
        return Barrier(place, Path(environment.get("EVERBAKE_TEST_REACHED", "")))

    def pass_by(self, moment: str, call: str, fact: str) -> None:
        """Stop here if this is the place, and nobody has reached it before."""
        if self.place not in (f"{call}:{moment}", f"{call}:{moment}:{fact}"):
            return
        with suppress(FileExistsError), self.reached.open("x") as reached:
            reached.write(str(os.getpid()))
            reached.flush()
            threading.Event().wait()


@dataclass(frozen=True)
class Watch:
    """What happens around a call: it is written down, and may be where the barrier stands."""

    tape: Any
    barrier: Barrier

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, watched."""
        from everbake.core.facts import name_of

        def watched(*arguments: Any, **named: Any) -> Any:
            fact = name_of(arguments[1]) if name == "ledger.record" else "-"
            self.tape.note("before", name, fact)
            self.barrier.pass_by("before", name, fact)
            try:
                result = call(*arguments, **named)
            finally:
                self.tape.note("after", name, fact)
            self.barrier.pass_by("after", name, fact)
            return result

        return watched


class Watched:
    """A port whose told methods are watched; everything else is as it was."""

    def __init__(self, name: str, port: Any, watch: Watch) -> None:
        for method in _TOLD.get(name, ()):
            setattr(self, method, watch.around(f"{name}.{method}", getattr(port, method)))
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


def wire(watch: Watch, fault: Callable[[Any], Any]) -> None:
    """Put our ports in the place of the product's, whoever asks for them."""
    from everbake import wiring
    from everbake.engine import commands

    made, performed = wiring._ports, commands.perform

    def ports(there: Any, settings: Any, narrate: Any, stack: Any) -> Any:
        watch.tape.note("before", "owning")
        stack.callback(watch.tape.note, "after", "owning")
        real = made(there, settings, narrate, stack)
        # A place inside a commit: the files lie where the table wants them, the log says nothing.
        real.tables._settle = watch.around("tables._settle", real.tables._settle)
        faulty = fault(real)
        watched = {
            each.name: Watched(each.name, getattr(faulty, each.name), watch)
            for each in fields(faulty)
        }
        return replace(faulty, **watched)

    wiring._ports = ports
    commands.perform = watch.around("perform", performed)


def main() -> None:
    """Run one command of everbake."""
    from faults import FAULTS
    from tape import Tape

    watch = Watch(Tape(Path(sys.argv[1])), Barrier.of(os.environ))
    wire(watch, FAULTS[os.environ.get("EVERBAKE_TEST_WIRING", "")])
    from everbake.interfaces.cli import main as everbake

    everbake(sys.argv[2:])


if __name__ == "__main__":
    main()
