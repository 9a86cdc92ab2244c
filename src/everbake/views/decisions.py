"""The decision about a version with what was compared with what, read off the ledger."""

from typing import Any

from everbake.core.facts import RunPinned, Trained, expected, step_id
from everbake.core.spec import SplitSpec
from everbake.core.tables import Row
from everbake.ports import Reader
from everbake.views.outcomes import decision

_STAYS = " The model in use stays."  # the gate's last words; here nobody need be in use
_DAY, _HOUR, _MINUTE = 86_400.0, 3_600.0, 60.0


def explained(reader: Reader, version: Row) -> dict[str, Any] | None:
    """A version's decision and, under `compared`, both sides and the rows that were held out.

    Args:
        reader: the ledger.
        version: a row of `versions`.
    """
    run = str(version["run"])
    judged = decision(reader, run)
    if judged is None:
        return None
    pinned, trained = _begun(reader, run)
    champion = None
    if pinned.champion is not None:
        key: Row = {"model": version["model"], "version": pinned.champion}
        champion = side(reader, reader.rows("versions", key)[0])
    held_out = {
        "rows": trained.held_out,
        "data_version": pinned.data_version,
        "split": _split(pinned.spec.split),
    }
    compared = {"candidate": side(reader, version), "champion": champion, "held_out": held_out}
    return {**judged, "compared": compared}


def beside(
    reader: Reader, decision: dict[str, Any] | None, pair: tuple[Row, Row]
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
    compared = {"candidate": other, "champion": None, "beside": one}
    because = decision["because"].removesuffix(_STAYS)
    return {**decision, "because": because, "compared": compared}


def side(reader: Reader, version: Row) -> dict[str, Any]:
    """What a version was made of: data, recipe, seed, runtime."""
    pinned, trained = _begun(reader, str(version["run"]))
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


def _begun(reader: Reader, run: str) -> tuple[RunPinned, Trained]:
    """What a run was to work on, and the candidate that it made."""
    pinned = expected(reader.find(step_id(run, "pin")), RunPinned)
    return pinned, expected(reader.find(step_id(run, "train")), Trained)


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
