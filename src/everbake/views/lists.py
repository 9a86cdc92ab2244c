"""What the listing commands report, read off the projections: nothing is computed again."""

from typing import Any

import msgspec

from everbake.core.tables import Row
from everbake.ports import Reader
from everbake.views.looks import pending
from everbake.views.moments import moment
from everbake.views.outcomes import SCHEMA, decision_about, in_rollout, quarantine_entry

MOST = 1_000  # entries of a list, unless more are asked for


def status(reader: Reader, model: str | None = None) -> dict[str, Any]:
    """Every model: who serves, and whether it is fresh, good and safe."""
    where = None if model is None else {"model": model}
    rows = reader.rows("models", where)
    return {"schema": SCHEMA, "models": [_model(reader, row) for row in rows]}


def _model(reader: Reader, row: Row) -> dict[str, Any]:
    name = str(row["model"])
    waiting = reader.rows("quarantine", {"model": name, "state": "waiting"})
    beside = in_rollout(reader, name)
    return {
        "name": name,
        "champion": row["champion"],
        "candidate": row["candidate"] if beside is None else beside["version"],
        "stage": _stage(row) if beside is None else beside["kind"],
        "best": row["best"],
        "pending": pending(reader, row),
        "fresh": _fresh(reader, row, len(waiting)),
        "good": _good(reader, row),
        "safe": _safe(reader, row),
    }


def _stage(row: Row) -> str:
    if row["running"]:
        return "training"
    if row["paused"]:
        return "paused"
    return "serving" if row["champion"] is not None else "empty"


def _fresh(reader: Reader, row: Row, waiting: int) -> dict[str, str]:
    if not row["data_version"]:
        return _light("unknown", "no data yet")
    last = reader.rows("runs", {"run": row["last_run"]}) if row["last_run"] else []
    if last and last[0]["state"] == "failed":
        return _light("bad", f"the last run failed: {last[0]['error']}")
    if waiting:
        return _light("warn", f"{waiting} batches wait in quarantine")
    behind = int(row["data_version"] or 0) - int(row["covered"] or 0)
    if behind:
        return _light("warn", f"{behind} data versions wait for a run")
    return _light("ok", f"judged with all {row['data_version']} data versions")


def _good(reader: Reader, row: Row) -> dict[str, str]:
    """The champion's value on its own held-out rows, as it was judged."""
    if row["champion"] is None:
        return _light("unknown", "nothing serves yet")
    judged = decision_about(reader, str(row["model"]), int(row["champion"]))
    if judged is None or judged["metric"]["candidate"] is None:
        return _light("unknown", "the champion was not scored")
    metric = judged["metric"]
    detail = f"{metric['name']} {metric['candidate']:.6g} on {metric['n']} held-out rows"
    state = "ok" if judged["verdict"] == "promoted" else "warn"
    return _light(state, detail)


def _safe(reader: Reader, row: Row) -> dict[str, str]:
    if row["champion"] is None:
        return _light("unknown", "nothing serves yet")
    if row["held"]:
        return _light("warn", "promotion is held since a rollback")
    serving = reader.rows("versions", {"model": row["model"], "version": row["champion"]})
    previous = serving[0]["replaced"] if serving else None
    if previous is None:
        return _light("unknown", "there is no earlier version to go back to")
    return _light("ok", f"version {previous} is ready to come back")


def _light(state: str, detail: str) -> dict[str, str]:
    return {"state": state, "detail": detail}


def versions(reader: Reader, model: str, limit: int = MOST) -> dict[str, Any]:
    """The versions of a model, the newest first; `more` says whether there are older ones."""
    rows = reader.rows("versions", {"model": model}, newest=limit + 1)
    known = reader.rows("models", {"model": model})
    waits = pending(reader, known[0]) if known else None
    listed = [
        {
            "version": row["version"],
            "state": row["state"],
            "best": bool(known) and row["version"] == known[0]["best"],
            "pending": waits if waits and waits["version"] == row["version"] else None,
            "run": row["run"],
            "digest": row["bundle"],
            "time": moment(row["time"]),
            "runtime": row["runtime"],
            "data_version": row["data_version"],
            "rows": row["rows_learned"],
            "base": row["base"],
            "new_rows": row["new_rows"],
        }
        for row in rows[:limit]
    ]
    more = len(rows) > limit
    return {"schema": SCHEMA, "model": model, "versions": listed, "more": more}


def runs(reader: Reader, model: str, limit: int = MOST) -> dict[str, Any]:
    """The runs of a model, the newest first; `more` says whether there are older ones."""
    rows = reader.rows("runs", {"model": model}, newest=limit + 1)
    listed = [
        {
            "id": row["run"],
            "cause": row["cause_kind"],
            "data_version": row["data_version"],
            "state": row["state"],
            "step": row["step"],
            "verdict": row["verdict"],
            "version": row["version"],
            "seconds": row["seconds"],
            "started": moment(row["started"]),
            "error": row["error"],
        }
        for row in rows[:limit]
    ]
    return {"schema": SCHEMA, "model": model, "runs": listed, "more": len(rows) > limit}


def data(reader: Reader, model: str) -> dict[str, Any]:
    """The data versions of a model and its quarantine."""
    listed = [
        {
            "version": row["version"],
            "rows": row["rows"],
            "digest": row["digest"],
            "time": moment(row["time"]),
            "sources": str(row["sources"]).split("\n"),
            "notices": [text for text in str(row["notices"] or "").split("\n") if text],
        }
        for row in reader.rows("data_versions", {"model": model})
    ]
    waiting = [quarantine_entry(row) for row in reader.rows("quarantine", {"model": model})]
    return {"schema": SCHEMA, "model": model, "versions": listed, "quarantine": waiting}


def contract(reader: Reader, model: str) -> dict[str, Any]:
    """The contract after the newest data version."""
    rows = reader.rows("models", {"model": model})
    text = rows[0]["contract"] if rows else None
    held = None if text is None else msgspec.json.decode(str(text))
    return {"schema": SCHEMA, "model": model, "contract": held}
