"""How often rows have decided: each decision by the same rows spends a part of one error budget."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from everbake.core.decision import Check, Decision
from everbake.core.gate.looks import level_of
from everbake.core.work import Judged, JudgeOrder, JudgeReport
from everbake.host.protocol import JobContext
from everbake.host.splitting import Mask, digest_of, pack_rows, unpack_rows

Places: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

JUDGED = "judged.bin"
MANY = 5  # decisions by the same rows, from which on newer rows are asked for


@dataclass(frozen=True)
class Look:
    """A decision that is to be made by some rows.

    Attributes:
        number: the how-manieth by these rows it is, from 1.
        rows: how many they are.
        digest: which they are.
        checks: a warning where they have decided often.
    """

    number: int
    rows: int
    digest: str
    checks: tuple[Check, ...]

    def report(self, decision: Decision) -> JudgeReport:
        """The decision as the owner gets it."""
        return JudgeReport(
            decision=decision.with_checks(self.checks).to_dict(),
            look=self.number,
            level=level_of(self.number),
            rows=self.rows,
            digest=self.digest,
            surpasses=decision.surpasses,
            best_broken=decision.best_broken,
        )


def look_at(table: pa.Table, order: JudgeOrder, context: JobContext) -> Look:
    """The look at the rows of an order; their set is left in `context.work`."""
    places = np.load(order.judge)
    judge = np.zeros(table.num_rows, np.bool_)
    judge[places] = True
    (context.work / JUDGED).write_bytes(pack_rows(judge))
    shared = sum(_shares(judge, order.earlier))
    number = shared + 1 if order.look is None else order.look
    digest = digest_of(table.take(pa.array(places)))
    return Look(number, len(places), digest, _often(shared + 1))


def _often(times: int) -> tuple[Check, ...]:
    if times < MANY:
        return ()
    return (Check("looks", "warn", f"these rows have decided {times} times; bring newer rows"),)


def _shares(judge: Mask, sets: tuple[Judged, ...]) -> list[bool]:
    """Whether each of the sets shares more than half of the rows that judge now.

    A set is read only if it is large enough for that, and one of several decisions only once.
    """
    half = int(judge.sum()) / 2
    found: dict[str, bool] = {}
    for each in sets:
        if each.path not in found:
            found[each.path] = each.rows > half and _common(judge, each.path) > half
    return [found[each.path] for each in sets]


def _common(judge: Mask, path: str) -> int:
    """How many of the rows are in a set; all, if what was kept of it cannot be read."""
    try:
        earlier = unpack_rows(Path(path).read_bytes())
    except (OSError, ValueError, zlib.error):
        return int(judge.sum())  # rather one look too many is counted than one too few
    return int(np.sum(judge[: len(earlier)] & earlier[: len(judge)]))
