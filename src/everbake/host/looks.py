"""How often rows have decided: each decision by the same rows spends a part of one error budget."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from everbake.core.work import JudgeOrder
from everbake.host.splitting import Mask, unpack_rows


@dataclass(frozen=True)
class Looked:
    """What is known of the rows that judge.

    Attributes:
        number: of this look, from 1.
        shared: earlier decisions that were made by more than half of these rows.
    """

    number: int
    shared: int


def looked_at(judge: Mask, order: JudgeOrder) -> Looked:
    """The number of this look, and the earlier ones at these rows.

    An earlier decision counts if it shares more than half of the rows that judge now. Its set is
    read only if it is large enough for that; one set of several decisions is read once.
    """
    if order.look is not None:
        return Looked(order.look, 0)
    half = int(judge.sum()) / 2
    found: dict[str, bool] = {}
    for earlier in order.earlier:
        if earlier.path not in found:
            found[earlier.path] = earlier.rows > half and _shared(judge, earlier.path) > half
    shared = sum(found[earlier.path] for earlier in order.earlier)
    return Looked(shared + 1, shared)


def _shared(judge: Mask, path: str) -> int:
    """How many of the rows are in a set; all, if what was kept of it cannot be read."""
    try:
        earlier = unpack_rows(Path(path).read_bytes())
    except (OSError, ValueError, zlib.error):
        return int(judge.sum())  # rather one look too many is counted than one too few
    return int(np.sum(judge[: len(earlier)] & earlier[: len(judge)]))
