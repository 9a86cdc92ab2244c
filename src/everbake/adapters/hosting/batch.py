"""Orders the answers to whole files from the host of a version."""

import math
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from everbake.adapters.hosting.hosts import Hosts
from everbake.adapters.hosting.work import Work, failure_of, report_of
from everbake.core.bundle import Bundle
from everbake.core.redact import kept
from everbake.core.work import BatchAsked, BatchOrder, BatchReport, Model, ReplayOrder
from everbake.errors import UserCodeError
from everbake.ports import Blobs
from everbake.wire import JobLimits, JobOutcome

T = TypeVar("T")

_MEMORY = 4 * 2**30


def answer_files(
    bundle: Bundle,
    asked: BatchAsked,
    places: tuple[Hosts, Work, Blobs],
    narrate: Callable[[str], None],
) -> BatchReport:
    """Answer whole files with a version.

    Raises:
        EverbakeError: what the job refused with.
        UserCodeError: the version's own code raised, or took more than it may.
    """
    hosts, work, blobs = places
    order = BatchOrder(
        bundle.model,
        bundle.inputs,
        Model(_path(blobs, bundle.artifact), bundle.artifact, bundle.artifact_format),
        bundle.runtime if _compiled(bundle) else "native",
        _path(blobs, bundle.runtime_data) if _compiled(bundle) else None,
        asked,
        _cut(bundle),
    )
    limits = JobLimits(_MEMORY, math.inf, asked.threads)
    with work.passing(f"batch-{uuid.uuid4().hex}") as folder:
        outcome = hosts.get(bundle.snapshot, bundle.source).run(
            "batch",
            msgspec.json.encode(order),
            work=folder,
            limits=limits,
            seed=bundle.seed,
            on_output=lambda text: narrate(kept(text, os.environ)),
        )
        return _reported(outcome, BatchReport, f"{bundle.model}@{asked.version}")


def judge_replay(bundle: Bundle, labelled: Path, places: tuple[Hosts, Work]) -> dict[str, Any]:
    """The decision about a version on rows with labels, beside what was answered.

    Raises:
        UserCodeError: the recipe's metric raised, or has no value.
    """
    hosts, work = places
    order = ReplayOrder(bundle.model, str(labelled), _cut(bundle))
    with work.passing(f"judge-{uuid.uuid4().hex}") as folder:
        outcome = hosts.get(bundle.snapshot, bundle.source).run(
            "replay",
            msgspec.json.encode(order),
            work=folder,
            limits=JobLimits(_MEMORY, math.inf, 1),
            seed=bundle.seed,
        )
        return _reported(outcome, dict[str, Any], bundle.model)


def _reported(outcome: JobOutcome, kind: type[T], where: str) -> T:
    """What a job reports.

    Raises:
        EverbakeError: what it refused with.
        UserCodeError: the version's own code raised, or took more than it may.
    """
    failure = failure_of(outcome, "")
    if outcome.state == "done" or failure is None:
        return report_of(outcome, kind)
    mend = "mend it and retrain, or ask another version; what is done is kept"
    raise UserCodeError(failure.code, failure.error, where=where, mend=mend)


def _compiled(bundle: Bundle) -> bool:
    """Whether the compiled runtime answers: not where the model itself is faster on many rows."""
    return bundle.runtime_data is not None and bundle.native_above is None


def _cut(bundle: Bundle) -> float | None:
    return None if bundle.threshold is None else bundle.threshold.value


def _path(blobs: Blobs, blob: str | None) -> str:
    """The file of a blob, whose bytes have been compared with their digest."""
    if blob is None:
        raise ValueError("there is no such blob")
    blobs.get(blob)
    return str(blobs.path(blob))
