"""Answers of which only some rows could be made."""

from collections.abc import Mapping, Sequence

import msgspec

from everbake.core.frames import Answered
from everbake.serving.router import Failed

FAILED = "EB517"  # the code of a row over which the model raised


def errors_of(predictions: Sequence[object]) -> dict[int, str]:
    """Why there is no prediction, by the position of the row."""
    return {at: one.why for at, one in enumerate(predictions) if isinstance(one, Failed)}


def parted(answered: Answered, errors: Mapping[int, str]) -> tuple[Answered, Answered]:
    """What was answered, and what failed: each stands in the log for itself."""
    good = [at for at in range(len(answered.ids)) if at not in errors]
    kept = msgspec.structs.replace(
        answered,
        ids=[answered.ids[at] for at in good],
        rows=[answered.rows[at] for at in good] if answered.rows else [],
        predictions=[answered.predictions[at] for at in good],
        decisions=answered.decisions and [answered.decisions[at] for at in good],
    )
    ids = [answered.ids[at] for at in errors]
    failed = msgspec.structs.replace(
        answered,
        ids=ids,
        rows=[],
        predictions=[],
        error=FAILED,
        part=bool(good),
        decisions=None,
    )
    return kept, failed
