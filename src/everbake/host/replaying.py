"""The job that judges the answers of a replay beside those that were given at the time."""

from pathlib import Path
from typing import Any

import msgspec

from everbake.core.gate import Given, judge_rows
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


def judge_replay(order: ReplayOrder, context: JobContext) -> dict[str, object]:
    """The decision that the gate would take on these rows, as scripts see it."""
    import pandas as pd

    rules = rules_of(recipe_of(context.recipe, order.model))
    decode = msgspec.json.Decoder(_Labelled).decode
    labels: list[Any] = []
    then: list[Any] = []
    now: list[Any] = []
    rows: list[dict[str, Any]] = []
    with Path(order.labelled).open("rb") as file:
        for line in map(decode, file):
            labels.append(line.label)
            then.append(line.then)
            now.append(line.now)
            rows.append(line.features)
    decision = judge_rows(Given(labels, then, now, rows=pd.DataFrame(rows)), rules)
    return decision.to_dict()
