"""The decision about a version with what was compared with what, read off the ledger."""

from typing import Any

from everbake.core.facts import expected, step_id
from everbake.core.run_facts import RunPinned, Trained
from everbake.core.spec import SplitSpec
from everbake.core.tables import Row
from everbake.ports import Reader
from everbake.views.outcomes import decision

_SINCE = "those that are new to every model"  # where a pending version is looked at again
_STAYS = " The model in use stays."  # the gate's last words; here nobody need be in use
_DAY, _HOUR, _MINUTE = 86_400.0, 3_600.0, 60.0


def explained(reader: Reader, version: Row) -> dict[str, Any]:
    """The newest decision about a version and, under `compared`, all sides and the held-out rows.

    Args:
        reader: the ledger.
        version: a row of `versions`.
    """
    key: Row = {"model": version["model"], "version": version["version"]}
    rows = reader.rows("decisions", key, newest=1)  # no version comes without one
    run = str(rows[0]["run"])
    pinned = expected(reader.find(step_id(run, "pin")), RunPinned)
    best = None if pinned.best == pinned.champion else pinned.best
    compared = {
        "candidate": side(reader, version),
        "champion": _numbered(reader, version, pinned.champion),
        "best": _numbered(reader, version, best),
        "held_out": {
            "rows": rows[0]["rows"],
            "data_version": pinned.data_version,
            "split": _split(pinned.spec.split) if pinned.pending is None else _SINCE,
        },
    }
    return {**(decision(reader, run) or {}), "compared": compared}


def _numbered(reader: Reader, like: Row, number: int | None) -> dict[str, Any] | None:
    """The side of another version of the same model."""
    if number is None:
        return None
    return side(reader, reader.rows("versions", {"model": like["model"], "version": number})[0])


def beside(
    reader: Reader, decision: dict[str, object] | None, pair: tuple[Row, Row]
) -> dict[str, Any] | None:
    """A judgement without consequences, as `explained` tells one that had some.

    Args:
        reader: the ledger.
        decision: of the gate.
        pair: two rows of `versions`; the second is judged.
    """
    if decision is None:
        return None
    one, other = (side(reader, version) for version in pair)
    compared = {"candidate": other, "champion": None, "best": None, "beside": one}
    because = str(decision["because"]).removesuffix(_STAYS)
    return {**decision, "because": because, "compared": compared}


def side(reader: Reader, version: Row) -> dict[str, Any]:
    """What a version was made of: data, recipe, seed, runtime."""
    run = str(version["run"])
    pinned = expected(reader.find(step_id(run, "pin")), RunPinned)
    trained = expected(reader.find(step_id(run, "train")), Trained)
    return {
        "name": f"{version['model']}@{version['version']}",
        "version": version["version"],
        "data_version": pinned.data_version,
        "rows": trained.rows,
        "refit": trained.bundle != version["bundle"],
        "recipe": pinned.recipe,
        "recipe_number": pinned.recipe_number,
        "seed": pinned.seed,
        "runtime": version["runtime"],
        "environment": pinned.environment,
        "bundle": version["bundle"],
    }


def _split(split: SplitSpec) -> str:
    """Which rows are held out, in words."""
    if split.span_seconds is not None:
        return f"those of the newest {_span(split.span_seconds)}"
    share = f"{100 * (split.share or 0.0):.3g} %"
    if split.kind == "time":
        return f"the newest {share}, or fewer where fewer are enough"
    if split.kind == "group":
        return f"{share} of the groups by hash, for ever"
    strata = f" in each stratum of {split.stratify}" if split.stratify else ""
    return f"{share} by hash{strata}, for ever"


def _span(seconds: float) -> str:
    for unit, name in ((_DAY, "days"), (_HOUR, "hours"), (_MINUTE, "minutes")):
        if seconds >= unit:
            return f"{seconds / unit:.4g} {name}"
    return f"{seconds:.4g} seconds"
