"""A decision's JSON, read for people: typed, put in order, and harmless to print."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from everbake.core.drawing.curves import costs_of
from everbake.core.drawing.forest import Bar, Forest
from everbake.core.drawing.marks import SEGMENTS, VERDICTS, Shape, shape_of
from everbake.core.drawing.sources import sources_of, units_of
from everbake.core.drawing.words import between, confidence, count, counted, figure, plain, short

_METHODS = {
    "t-hall": "the wider of Student's t and Hall's interval",
    "t-hall+2": "the wider of Student's t and Hall's interval, with two rows added",
    "tango": "Tango's score interval",
    "delong": "DeLong's interval",
    "bootstrap": "bootstrap",
    "constant": "the same difference on every row",
    "groups": "Student's t on whole groups",
    "blocks": "Student's t on blocks of time",
    "groups+blocks": "the wider of Student's t on whole groups and on blocks of time",
}
_URGENT = ("fail", "warn", "pass", "unknown")  # in which order segments and checks are told

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """One thing that was looked at: its shape, its state in a word, and what came of it."""

    name: str
    shape: Shape
    word: str
    detail: str


@dataclass(frozen=True)
class Reading:
    """A decision as it is told.

    Attributes:
        verdict: in a word.
        shape: of the verdict.
        headline: what was held against what.
        because: the sentence.
        metric: its name.
        measured: its values and the rows they are of.
        forest: all comparisons with an interval, the whole before its parts.
        checks: what else was looked at, the worst first.
        facts: names and phrases: who decided, evidence, what was compared with what.
        notes: sentences worth a reader's time that did not decide.
    """

    verdict: str
    shape: Shape
    headline: str
    because: str
    metric: str
    measured: str
    forest: Forest
    checks: tuple[Point, ...]
    facts: tuple[tuple[str, tuple[str, ...]], ...]
    notes: tuple[str, ...]


def reading_of(decision: Json) -> Reading:
    """What a decision's JSON says. Keys that older decisions do not have are not missed."""
    evidence: Json = decision.get("evidence") or {}
    metric: Json = decision["metric"]
    verdict = plain(decision["verdict"])
    return Reading(
        verdict=verdict,
        shape=VERDICTS.get(verdict, "unknown"),
        headline=_headline(decision),
        because=plain(decision["because"]),
        metric=plain(metric["name"]),
        measured=_measured(metric, evidence),
        forest=Forest(
            tuple(_bars(decision, evidence)),
            float(evidence.get("tolerance") or 0.0),
            float(evidence.get("equal_within") or 0.0),
        ),
        checks=_checks(decision.get("checks") or ()),
        facts=tuple(_facts(decision, evidence)),
        notes=tuple(plain(note) for note in evidence.get("notes") or ()),
    )


def _headline(decision: Json) -> str:
    """What was held against what, by name where it has one."""
    text = _opponents(decision)
    best = decision.get("best")
    return text if best is None else f"{text} and the best so far, {plain(best['name'])}"


def _opponents(decision: Json) -> str:
    sides: Json = decision.get("compared") or {}
    if not sides:
        alone = decision["metric"]["champion"] is None
        return "the new model" if alone else "the new model against the model in use"
    name = plain(sides["candidate"]["name"])
    if sides.get("beside") is not None:
        return f"{name} against {plain(sides['beside']['name'])}"
    if sides["champion"] is None:
        return f"{name}, the first of its model"
    return f"{name} against champion {plain(sides['champion']['name'])}"


def _measured(metric: Json, evidence: Json) -> str:
    unit = plain(evidence.get("unit") or "row")
    rows = counted(metric["n"], f"held-out {unit}") + units_of(evidence, metric["n"])
    if metric["candidate"] is None:
        return f"on {rows}"
    text = f"{plain(metric['name'])} {figure(metric['candidate'])}"
    if metric["champion"] is not None:
        text += f" against {figure(metric['champion'])}{_difference(metric)}"
    return f"{text} on {rows}"


def _difference(compared: Json) -> str:
    """How much better or worse, in units of the metric."""
    difference, interval = compared["difference"], _pair(compared["interval"])
    if difference is None:
        return ""
    if difference == 0:
        return ": equal,"
    text = f": {'better' if difference > 0 else 'worse'} by {figure(abs(difference))}"
    return f"{text}," if interval is None else f"{text} ({between(interval)}),"


def _bars(decision: Json, evidence: Json) -> Iterator[Bar]:
    metric, best = decision["metric"], decision.get("best")
    if metric["difference"] is not None:
        name = f"all {plain(evidence.get('unit') or 'row')}s"
        yield _whole(name, metric, metric["n"], evidence)
    if best is not None and best["difference"] is not None:
        yield _whole(f"best: {plain(best['name'])}", best, metric["n"], evidence)
    parts = [_part(segment) for segment in decision.get("segments") or ()]
    yield from sorted(parts, key=_urgency)


def _whole(name: str, compared: Json, n: int, evidence: Json) -> Bar:
    interval = _pair(compared["interval"])
    shape, word = _standing(interval, evidence)
    return Bar(name, int(n), compared["difference"], interval, shape, word)


def _standing(interval: tuple[float, float] | None, evidence: Json) -> tuple[Shape, str]:
    """What the interval alone says, whatever the verdict came to be."""
    if interval is None:
        return "unknown", "no interval"
    low, high = interval
    tolerance = float(evidence.get("tolerance") or 0.0)
    equal = float(evidence.get("equal_within") or 0.0)
    standings: tuple[tuple[bool, Shape, str], ...] = (
        (low == high == 0, "pass", "equal"),
        (low > 0, "pass", "better"),
        (high < -equal, "fail", "worse"),
        (low >= -tolerance, "pass", "not worse"),
        (True, "warn", "open"),
    )
    return next((shape, word) for holds, shape, word in standings if holds)


def _part(segment: Json) -> Bar:
    state = plain(segment["state"])
    return Bar(
        name=plain(segment["name"]),
        n=int(segment["n"]),
        estimate=segment["difference"],
        interval=_pair(segment["interval"]),
        shape=SEGMENTS.get(state, "unknown"),
        word="not judged" if state == "unknown" else state,
        detail=plain(segment["detail"]),
        part=True,
    )


def _pair(interval: Sequence[float | None] | None) -> tuple[float, float] | None:
    """An interval; JSON has no infinity, an end without a number is one."""
    if interval is None:
        return None
    low, high = interval
    return (-inf if low is None else low), (inf if high is None else high)


def _urgency(each: Bar | Point) -> int:
    return _URGENT.index(each.shape)


def _checks(checks: Sequence[Json]) -> tuple[Point, ...]:
    points = [
        Point(plain(c["name"]), shape_of(c["state"]), plain(c["state"]), plain(c["detail"]))
        for c in checks
    ]
    return tuple(sorted(points, key=_urgency))


def _facts(decision: Json, evidence: Json) -> Iterator[tuple[str, tuple[str, ...]]]:
    if decision.get("decided_by"):
        choice = f"the recipe's {plain(decision['decided_by'])}, not the rows alone"
        yield "decided by", (choice,)
    if evidence:
        yield "judged", tuple(_evidence(decision, evidence))
    if (best := decision.get("best")) is not None:
        yield "best so far", tuple(_best(best, decision["metric"]))
    if (curves := decision.get("curves")) is not None and (costs := costs_of(curves)):
        yield "decides", costs
    yield from sources_of(decision.get("compared") or {})


def _best(best: Json, metric: Json) -> Iterator[str]:
    yield plain(best["name"])
    if best["value"] is not None:
        yield f"{plain(metric['name'])} {figure(best['value'])} on the same rows"
    if told := _difference(best):
        yield f"the candidate is {told.strip(':, ')}"


def _evidence(decision: Json, evidence: Json) -> Iterator[str]:
    method, unit = plain(evidence["method"]), plain(evidence.get("unit") or "row")
    if method == "none":
        yield "no interval was needed or possible"
    else:
        yield f"{confidence(evidence['level'])} sure, by {_METHODS.get(method, method)}"
        yield f"{count(evidence['differing'])} of {counted(decision['metric']['n'], unit)} differ"
    yield f"look {evidence.get('look') or 1} at rows {short(plain(evidence['rows_digest']))}"
    if resamples := evidence.get("resamples"):
        yield counted(resamples, "resample")
    yield f"seed {evidence['seed']}"
    if decision["verdict"] == "inconclusive" and evidence["rows_needed"]:
        yield f"about {counted(evidence['rows_needed'], f'more {unit}')} needed"
