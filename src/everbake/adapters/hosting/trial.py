"""Trying recipes in their hosts."""

import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from everbake.adapters.hosting.hosts import Hosts
from everbake.adapters.hosting.work import Work, failure_of, report_of
from everbake.core.decision import Check
from everbake.core.redact import kept
from everbake.core.work import CheckOrder, CheckReport
from everbake.errors import UsageError
from everbake.ports import Described
from everbake.wire import JobLimits

Look = Callable[[str], tuple[tuple[str, ...], int]]


def try_recipes(
    recipes: Sequence[Described], name: str | None, look: Look, places: tuple[Hosts, Work]
) -> list[tuple[str, tuple[Check, ...]]]:
    """The checks of each recipe, or of the one of this name.

    Raises:
        UsageError: there is no recipe (of this name).
    """
    wanted = [each for each in recipes if name in (None, each.spec.name)]
    if not wanted:
        names = ", ".join(each.spec.name for each in recipes)
        raise UsageError(
            "EB004",
            f"there is no model {name!r}" if name else "there is no recipe",
            why=f"known models: {names}" if names else "",
            mend="everbake init",
        )
    return [(each.spec.name, _checks(each, look, places)) for each in wanted]


def _checks(each: Described, look: Look, places: tuple[Hosts, Work]) -> tuple[Check, ...]:
    hosts, work = places
    spec = each.spec
    files, rows = look(spec.name)
    order = CheckOrder(spec.name, files, rows)
    limits = JobLimits(spec.memory_bytes, spec.time_seconds, spec.threads)
    with work.passing(f"check-{uuid.uuid4().hex}") as folder:
        outcome = hosts.get(each.snapshot, spec.source).run(
            "check", msgspec.json.encode(order), work=folder, limits=limits, seed=spec.seed
        )
        failure = failure_of(outcome, "")
        if failure is not None:
            return (Check("recipe", "fail", f"{failure.code} {failure.error}"),)
        checks = report_of(outcome, CheckReport).checks
        return tuple(replace(check, detail=kept(check.detail, os.environ)) for check in checks)
