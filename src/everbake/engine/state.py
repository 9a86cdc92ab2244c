"""Loads what `core.loop` decides on from the ledger's projections."""

from everbake.core.facts import DataArrived, expected
from everbake.core.loop import ModelState, State, model_state, order_of
from everbake.core.tables import Row
from everbake.errors import UsageError
from everbake.ports import Reader


def load_model(reader: Reader, model: str) -> ModelState:
    """The state of one model; UsageError if there is none of that name."""
    rows = reader.rows("models", {"model": model})
    if not rows:
        raise unknown_model(reader, model)
    return model_state(rows[0])


def unknown_model(reader: Reader, model: str) -> UsageError:
    """The error for a name that no recipe has."""
    names = sorted(str(row["model"]) for row in reader.rows("models"))
    known = f"known models: {', '.join(names)}" if names else "there is no recipe yet"
    mend = "everbake status" if names else "everbake init"
    return UsageError("EB004", f"there is no model {model!r}", why=known, mend=mend)


def load_state(reader: Reader, model: ModelState) -> State:
    """The state that `due` needs for one model."""
    covered = 0
    key: Row = {"model": model.model, "version": model.covered}
    for row in reader.rows("data_versions", key):
        covered = int(row["first_row"] or 0) + int(row["rows"] or 0)
    unfinished = {}
    if model.running is not None:
        run = reader.rows("runs", {"run": model.running})[0]
        unfinished[model.model] = order_of(run)
    return State({model.model: model}, {model.model: covered}, unfinished)


def last_decision(reader: Reader, model: str, version: int) -> Row | None:
    """The row of the newest decision about a version: of its run, or of the last look at it."""
    rows = reader.rows("decisions", {"model": model, "version": version}, newest=1)
    return rows[0] if rows else None


def becomes_best(reader: Reader, model: ModelState, version: int) -> bool:
    """Whether a version that is to serve was shown to be better than what is the best so far."""
    last = last_decision(reader, model.model, version)
    return last is not None and bool(last["surpasses"]) and last["best_before"] == model.best


def arrived_at(reader: Reader, model: str, version: int) -> DataArrived:
    """The fact of a data version."""
    row = reader.rows("data_versions", {"model": model, "version": version})[0]
    return expected(reader.find(str(row["fact"])), DataArrived)
