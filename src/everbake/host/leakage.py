"""Whether the held-out rows are what they should be: unseen, and judged without their answer.

What is certain (a row, a group or a later time on both sides) is a `fail`. What only looks like a
leak (a column that tells the label by itself) is a `warn`: it names the column and stops nothing,
for only a person knows when a value comes to be known.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everbake.core.dataset import HIDDEN, VEIL
from everbake.core.decision import Check, CheckState
from everbake.core.recipe import Recipe
from everbake.core.spec import Table
from everbake.core.splits import TimeSplit
from everbake.host.alone import Settling, Survey
from everbake.host.parsing.rowhash import row_hashes
from everbake.host.splitting import Held
from everbake.host.updating import Lesson

Array: TypeAlias = np.ndarray[Any, Any]

LISTED = 5  # columns in the ranking of those that are under no suspicion
_WORTH = 0.05  # what a column tells at least to be listed there
_COPIES = 0.01  # share of the held-out rows from which equal ones are no coincidence,
_DISTINCT = 0.9  # where this share of the rows trained on are unlike each other
_ASK = "is that known before the outcome is?"


def split_checks(table: pa.Table, held: Held, lesson: Lesson, recipe: Recipe) -> tuple[Check, ...]:
    """That no held-out row was trained on: by position, by content, by group, in order of time."""
    checks: list[Check | None] = []
    if held.judge.any():
        learned = replace(held, train=lesson.learned)
        checks += [_positions(learned), _copies(table, learned, recipe)]
        checks.append(_groups(table, learned, recipe))
        if isinstance(recipe.split, TimeSplit):
            checks.append(time_order(table.column(recipe.data.time), held, lesson, recipe.data))
    return tuple(each for each in (*checks, *_left_out(table, held, recipe)) if each)


def _positions(held: Held) -> Check:
    both = int((held.train & held.judge).sum())
    detail = f"{both:,} held-out rows were trained on"
    return Check("leakage", "fail" if both else "pass", detail)


def _copies(table: pa.Table, held: Held, recipe: Recipe) -> Check | None:
    """Held-out rows that equal a row trained on in all but what tells rows apart."""
    apart = [name for name in (recipe.data.key, recipe.data.time) if name is not None]
    names = [name for name in table.column_names if name not in (*apart, *HIDDEN)]
    if not apart or len(names) <= 1:
        return None
    hashes = row_hashes(table, names)
    trained, judged = hashes[held.train], hashes[held.judge]
    known = np.unique(trained)
    copies = int(np.isin(judged, known).sum())
    if copies < _COPIES * len(judged) or len(known) < _DISTINCT * len(trained):
        return None
    detail = f"{copies:,} of {len(judged):,} held-out rows equal one that was trained on, "
    return Check("leakage_copies", "warn", f"{detail}but for {' and '.join(apart)}")


def _groups(table: pa.Table, held: Held, recipe: Recipe) -> Check | None:
    """Groups of which some rows were trained on and others judge."""
    name = recipe.data.group
    if name is None:
        return None
    groups, known = row_hashes(table, [name]), np.asarray(table.column(name).is_valid())
    judge = held.judge & known
    shared = judge & np.isin(groups, groups[held.train & known])
    count = len(np.unique(groups[shared]))
    if not count:
        return Check("leakage_groups", "pass", f"no {name} is on both sides", (name,))
    first = table.column(name)[int(np.argmax(shared))].as_py()
    shown = "" if name in recipe.data.private else f", such as {first}"
    detail = (
        f"{count:,} of {len(np.unique(groups[judge])):,} held-out values of {name} were trained "
        f"on as well{shown} ({int(shared.sum()):,} of {int(held.judge.sum()):,} rows)"
    )
    if isinstance(recipe.split, TimeSplit):
        # Who comes back is met again in use; but the figure says nothing about newcomers.
        return Check("leakage_groups", "warn", f"{detail}: it holds for those who return", (name,))
    return Check("leakage_groups", "fail", f"{detail}: hold out whole ones by GroupSplit", (name,))


def time_order(times: pa.ChunkedArray, held: Held, lesson: Lesson, data: Table) -> Check:
    """That nothing was learned which is newer than what judges."""
    newest = pc.max(times.filter(pa.array(lesson.learned))).as_py()
    added = pc.max(times.filter(pa.array(lesson.new))).as_py()
    oldest = pc.min(times.filter(pa.array(held.judge))).as_py()

    def late(time: Any) -> bool:  # noqa: ANN401 - a time, or a number
        return time is not None and oldest is not None and bool(time > oldest)

    state: CheckState = "fail" if late(added) else "pass"
    if state == "pass" and late(newest):
        # What the champion has learned long since, one that is made of it cannot forget.
        state = "warn"
    if data.time in data.private:
        newest = oldest = VEIL
    detail = f"trained up to {newest}, judged from {oldest}"
    return Check("time_order", state, detail, (str(data.time),))


def _left_out(table: pa.Table, held: Held, recipe: Recipe) -> Iterable[Check]:
    if held.twins:
        detail = f"{held.twins} rows that equal a held-out row were left out"
        yield Check("duplicates", "warn", detail)
    if held.seen:
        who = "the champion (or the best version so far) was trained on them"
        detail = f"{held.seen} held-out rows judge nobody: {who}"
        yield Check("fresh_rows", "pass" if held.judge.any() else "warn", detail)
    if unknown := table.column(recipe.data.label).null_count:
        yield Check("outcomes", "warn", f"{unknown} rows without a known outcome were left out")


def column_checks(
    survey: Survey | None, recipe: Recipe, used: Collection[str]
) -> tuple[Check, ...]:
    """Columns that look as if they knew the outcome, and how strong the others are.

    Args:
        survey: what each column tells alone; None where there are too few rows.
        recipe: for the names and for what is private.
        used: the columns that the model looks at; others cannot leak into it.
    """
    if survey is None:
        return ()
    checks = (_alone(survey, recipe, used), _values(survey, recipe, used), _others(survey, recipe))
    return tuple(each for each in checks if each)


def _alone(survey: Survey, recipe: Recipe, used: Collection[str]) -> Check | None:
    standing = survey.standing
    if standing is None:
        return None
    tell = "tells" if len(standing.names) == 1 else "each tell"
    detail = (
        f"{_ranked(survey, standing.names)} {tell} more of {recipe.data.label} alone "
        f"than all weaker columns together ({_percent(standing.rest)})"
    )
    return _suspicion("leakage_alone", detail, standing.names, used)


def _values(survey: Survey, recipe: Recipe, used: Collection[str]) -> Check | None:
    names = tuple(survey.settling)
    if not names:
        return None
    told = "; ".join(_settling(name, survey.settling[name], recipe) for name in names)
    return _suspicion("leakage_value", told, names, used)


def _settling(name: str, settling: Settling, recipe: Recipe) -> str:
    found = settling.found
    where = {
        (True, False): f"where {name} is missing",
        (True, True): f"where {name} is given",
        (False, False): f"where {name} is {_shown(name, settling, recipe)}",
        (False, True): f"where {name} is not {_shown(name, settling, recipe)}",
    }[settling.value is None, found.without]
    right = found.rows - found.exceptions
    return f"{where}, {recipe.data.label} is {settling.outcome} in {right:,} of {found.rows:,} rows"


def _shown(name: str, settling: Settling, recipe: Recipe) -> str | None:
    return VEIL if name in recipe.data.private else settling.value


def _suspicion(name: str, detail: str, columns: Sequence[str], used: Collection[str]) -> Check:
    unused = [each for each in columns if each not in used]
    if len(unused) == len(columns):
        return Check(name, "pass", f"{detail}; the model does not use it", tuple(columns))
    spared = f" (the model does not use {', '.join(unused)})" if unused else ""
    return Check(name, "warn", f"{detail}: {_ASK}{spared}", tuple(columns))


def _others(survey: Survey, recipe: Recipe) -> Check:
    """The strongest of those that are under no suspicion: a notice."""
    named = {*survey.settling, *(survey.standing.names if survey.standing else ())}
    rest = [name for name, share in survey.told.items() if name not in named and share >= _WORTH]
    looked = f"{survey.rows:,}" + ("" if survey.rows == survey.total else f" of {survey.total:,}")
    most = f"no {'other ' if named else ''}column tells {_percent(_WORTH)} of it"
    if rest:
        led = _ranked(survey, rest[:LISTED])
        most = f"the others are led by {led}" if named else f"they are led by {led}"
    label = recipe.data.label
    detail = f"what each column tells of {label} alone, on {looked} rows: {most}"
    return Check("strength", "pass", detail, tuple(rest[:LISTED]))


def _ranked(survey: Survey, names: Sequence[str]) -> str:
    told = [f"{name} ({_percent(survey.told[name])})" for name in names]
    return " and ".join(part for part in (", ".join(told[:-1]), told[-1]) if part)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
