"""The job that judges the answers of a replay beside those that were given at the time."""

from pathlib import Path
from typing import Any

import msgspec

from everbake.core.gate import Given, judge_rows
from everbake.core.metrics import metric_of
from everbake.core.work import ReplayOrder
from everbake.host.calling import recipe_of
from everbake.host.judging import rules_of
from everbake.host.protocol import JobContext


class _Labelled(msgspec.Struct):
    """A line of the file."""

    label: Any
    then: Any
    now: Any
    features: dict[str, Any]
    decision: bool | None = None


def judge_replay(order: ReplayOrder, context: JobContext) -> dict[str, object]:
    """The decision that the gate would take on these rows, as scripts see it.

    Answers of several versions may have been given at the time, each decided by its own threshold:
    for a metric of decisions what was decided stands in their place.
    """
    import pandas as pd

    rules = rules_of(recipe_of(context.recipe, order.model))
    known = metric_of(rules.metric)
    decisions = known is not None and known.wants == "decisions"
    decode = msgspec.json.Decoder(_Labelled).decode
    labels: list[Any] = []
    then: list[Any] = []
    now: list[Any] = []
    rows: list[dict[str, Any]] = []
    with Path(order.labelled).open("rb") as file:
        for line in map(decode, file):
            labels.append(line.label)
            decided = decisions and line.decision is not None
            then.append(line.decision if decided else line.then)
            now.append(line.now)
            rows.append(line.features)
    cuts = (None, order.threshold, None)
    given = Given(labels, then, now, rows=pd.DataFrame(rows), thresholds=cuts)
    return judge_rows(given, rules).to_dict()
