"""What a command that changed something reports: keys that scripts rely on."""

from typing import Any

import msgspec

from everbake.core.tables import Row
from everbake.ports import Reader
from everbake.views.looks import pending

SCHEMA = 1


def data_outcome(  # noqa: PLR0913 - one parameter for each thing that is reported
    reader: Reader,
    model: str,
    *,
    data_version: int | None,
    rows: int,
    quarantine: str | None = None,
    run: str | None = None,
    duplicate: bool = False,
) -> dict[str, Any]:
    """What `ingest` and `retrain` report."""
    outcome: dict[str, Any] = {
        "schema": SCHEMA,
        "model": model,
        "data_version": data_version,
        "rows": rows,
        "quarantined": quarantine is not None,
        "quarantine": None if quarantine is None else quarantined(reader, model, quarantine),
        **run_outcome(reader, run),
        "looks": looked(reader, model, data_version),
        "pending": _pending(reader, model),
        "rollout": in_rollout(reader, model),
    }
    if duplicate:
        outcome["duplicate"] = True
    return outcome


def run_outcome(reader: Reader, run: str | None) -> dict[str, Any]:
    """A run and its decision; both null without a run, the decision null while it is not done."""
    if run is None:
        return {"run": None, "decision": None}
    rows = reader.rows("runs", {"run": run})
    if not rows:  # it is due, and has not begun
        return {"run": {"id": run, "state": "running"}, "decision": None}
    told: dict[str, Any] = {"id": run, "state": rows[0]["state"]}
    if rows[0].get("error"):
        told["error"] = rows[0]["error"]
    return {"run": told, "decision": decision(reader, run)}


def _pending(reader: Reader, model: str) -> dict[str, Any] | None:
    rows = reader.rows("models", {"model": model})
    return pending(reader, rows[0]) if rows else None


def looked(reader: Reader, model: str, data_version: int | None) -> list[dict[str, Any]]:
    """The looks at pending candidates that a data version made due, with their decisions."""
    key: Row = {"model": model, "data_version": data_version, "cause_kind": "pending"}
    rows = reader.rows("runs", key) if data_version is not None else []
    ended = sorted(rows, key=lambda row: int(row["n"] or 0))
    return [run_outcome(reader, str(row["run"])) for row in ended]


def decision(reader: Reader, run: str) -> dict[str, Any] | None:
    """A run's decision with the version that it is about."""
    rows = reader.rows("decisions", {"run": run})
    return _decision(rows[0]) if rows else None


def decision_about(reader: Reader, model: str, version: int) -> dict[str, Any] | None:
    """The newest decision about a version: of the run that made it, or of the last look at it."""
    rows = reader.rows("decisions", {"model": model, "version": version}, newest=1)
    return _decision(rows[0]) if rows else None


def _decision(row: Row) -> dict[str, Any]:
    judged: dict[str, Any] = msgspec.json.decode(str(row["decision"]))
    later: dict[str, Any] = {"evidence": None, "segments": [], "best": None, "decided_by": ""}
    return {
        "verdict": judged["verdict"],
        "code": judged["code"],
        "version": row["version"],
        "champion_before": row["champion_before"],
        **later,
        "curves": None,
        **judged,
    }


def quarantined(reader: Reader, model: str, quarantine: str) -> dict[str, Any] | None:
    """A quarantined batch with what is wrong with it."""
    rows = reader.rows("quarantine", {"model": model, "id": quarantine})
    return quarantine_entry(rows[0]) if rows else None


def quarantine_entry(row: Row) -> dict[str, Any]:
    """One row of the table `quarantine` as scripts see it."""
    return {
        "id": row["id"],
        "rows": row["rows"],
        "state": row["state"],
        "sources": str(row["sources"]).split("\n"),
        "findings": msgspec.json.decode(str(row["findings"])),
        "findings_count": row["findings_count"],
        "reason": row.get("reason"),
    }


def in_rollout(reader: Reader, model: str) -> dict[str, Any] | None:
    """The version that is in its rollout, and what it gets to see."""
    rows = reader.rows("deployments", {"model": model})
    if not rows or rows[0]["challenger"] is None:
        return None
    row = rows[0]
    return {"version": row["challenger"], "kind": row["kind"], "share": row["share"]}
