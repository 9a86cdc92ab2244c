"""Three wirings with a planted fault: the harness must find each of them."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from everbake.core.facts import DataArrived, chained, digest
from everbake.ports import Ports

_LATE = 30.0  # seconds between an acknowledgement that came too early and what it promised


class _Changed:
    """A port of which some methods are other ones."""

    def __init__(self, port: Any, **methods: Callable[..., Any]) -> None:
        for name, method in methods.items():
            setattr(self, name, method)
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


def right(ports: Ports) -> Ports:
    """No fault."""
    return ports


def acknowledged_early(ports: Ports) -> Ports:
    """A batch is acknowledged while its commit and its fact are still to come."""

    def commit(files: Any, arrived: DataArrived) -> DataArrived:
        return arrived

    def record(entry_id: str, fact: Any) -> Any:
        if not isinstance(fact, DataArrived):
            return ports.ledger.record(entry_id, fact)

        def later() -> None:
            time.sleep(_LATE)
            ports.ledger.record(entry_id, fact)

        threading.Thread(target=later, daemon=True).start()
        return chained(ports.ledger.head(), entry_id, time.time(), fact)

    tables = _Changed(ports.tables, commit=commit)
    return replace(ports, tables=tables, ledger=_Changed(ports.ledger, record=record))


def orphans_left(ports: Ports) -> Ports:
    """Start-up does not adopt the table's commits that have no fact."""
    return replace(ports, tables=_Changed(ports.tables, orphans=lambda model, after: []))


def run_renamed(ports: Ports) -> Ports:
    """A run that was cut short goes on under a new id."""

    def rows(table: str, where: Any = None, *, newest: int | None = None) -> Any:
        found = ports.ledger.rows(table, where, newest=newest)
        if table == "runs" and where is not None and "run" in where:
            return [_renamed(row) if row["state"] == "running" else row for row in found]
        return found

    return replace(ports, ledger=_Changed(ports.ledger, rows=rows))


def _renamed(row: Any) -> Any:
    return row | {"run": digest("another", str(row["run"]))[:16]}


FAULTS: dict[str, Callable[[Ports], Ports]] = {
    "": right,
    "acknowledged-early": acknowledged_early,
    "orphans-left": orphans_left,
    "run-renamed": run_renamed,
}
