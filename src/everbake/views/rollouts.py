"""The rollout of a version: where it stands, its steps, and what each rests on."""

from dataclasses import asdict
from typing import Any

import msgspec

from everbake.core.rollout.assessing import Assessment
from everbake.core.rollout.plan import Plan
from everbake.core.tables import Row
from everbake.ports import Reader
from everbake.views.moments import moment


def newest(reader: Reader, model: str, version: int) -> Row | None:
    """The row of a version's newest rollout."""
    rows = reader.rows("rollouts", {"model": model, "version": version}, newest=1)
    return rows[0] if rows else None


def told(reader: Reader, row: Row, now: Assessment | None) -> dict[str, Any]:
    """A rollout as scripts read it.

    Args:
        reader: the ledger.
        row: of `rollouts`.
        now: what is seen of it now, while it is open.
    """
    plans = msgspec.json.decode(str(row["plan"]), type=tuple[Plan, ...])
    part, stage = int(row["part"] or 0), int(row["stage"] or 0)
    steps = [_step(step) for step in reader.rows("rollout_steps", {"rollout": row["rollout"]})]
    last = steps[-1] if steps else {"because": row["reason"], "checks": []}
    if now is not None:
        last = {"because": now.because, "checks": [asdict(check) for check in now.checks]}
    return {
        "id": row["rollout"],
        "version": row["version"],
        "champion": row["champion"],
        "state": row["state"],
        "kind": plans[part].kind,
        "share": plans[part].stages[stage].share,
        "opened": moment(row["opened"]),
        "ended": moment(row["ended"]),
        "reason": row["reason"],
        "because": last["because"],
        "checks": last["checks"],
        "steps": steps,
        "plan": msgspec.to_builtins(plans),
    }


def _step(row: Row) -> dict[str, Any]:
    evidence = msgspec.json.decode(str(row["evidence"]))
    return {
        "step": row["step"],
        "because": row["because"],
        "checks": evidence.get("checks", []),
        "time": moment(row["time"]),
    }
