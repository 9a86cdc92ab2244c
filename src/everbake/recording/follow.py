"""Counts requests towards the rollout that is open: who answered, how, and how well."""

from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from everbake.core.frames import Answered
from everbake.core.rollout.assess import passed
from everbake.core.rollout.plan import Plan
from everbake.core.rollout.tally import Arm, Tally, Traffic
from everbake.recording.opened import Open
from everbake.recording.store import RecordStore, plain

_RECENT = 20_000  # answers of the champion that wait for their shadow
_COUNTED, _FAILED, _SLOW, _JUDGED = 1, 2, 4, 8


class RolloutBook:
    """The tallies of all open rollouts. Changed within a transaction, written at its end.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._open: Mapping[str, Open] = {}
        self._tallies: dict[tuple[str, int], Tally] = {}
        self._changed: set[tuple[str, int]] = set()
        self._recent: OrderedDict[str, Answered] = OrderedDict()

    def know(self, opened: Mapping[str, Open]) -> None:
        """These are open now."""
        self._open = opened
        names = {each.rollout for each in opened.values()}
        self._tallies = {key: t for key, t in self._tallies.items() if key[0] in names}

    def forget(self) -> None:
        """Nothing that was not written is true: the transaction failed."""
        self._tallies.clear()
        self._changed.clear()

    def write(self) -> None:
        """Keep what has changed."""
        rows = []
        for rollout, part in self._changed:
            tally = self._tallies[rollout, part]
            plan = next(o.plans[part] for o in self._open.values() if o.rollout == rollout)
            tally.passed = passed(plan, tally)
            rows.append((rollout, part, msgspec.json.encode(tally).decode()))
        self._store.put("INSERT OR REPLACE INTO tallies VALUES (?, ?, ?)", rows)
        self._changed.clear()

    def count(self, model: str, answered: Answered) -> None:
        """One request that was answered, or failed, or was scored by a shadow."""
        opened = self._open.get(model)
        place = None if opened is None else opened.stages.get(answered.generation)
        if opened is None or place is None:
            return
        part, stage = place
        plan = opened.plans[part]
        tally = self._tally(opened.rollout, part)
        traffic = tally.stage(stage)
        if plan.kind == "shadow":
            self._shadow(plan, tally, traffic, answered)
        elif plan.unit == "request":
            arm = traffic.challenger if answered.role == "canary" else traffic.champion
            arm.n += 1
            arm.errors += answered.error is not None
            arm.slow += plan.budget is not None and answered.seconds > plan.budget
        elif answered.key is not None:
            self._caller(opened.rollout, part, plan, (traffic, answered))
        self._changed.add((opened.rollout, part))

    def _caller(self, rollout: str, part: int, plan: Plan, seen: tuple[Traffic, Answered]) -> None:
        """Count a caller once, and the first failure and the first slow answer of each."""
        traffic, answered = seen
        flags = before = self._flags(rollout, part, str(answered.key))
        arm = traffic.challenger if answered.role == "canary" else traffic.champion
        arm.n += not flags & _COUNTED
        flags |= _COUNTED
        if answered.error is not None and not flags & _FAILED:
            arm.errors += 1
            flags |= _FAILED
        if plan.budget is not None and answered.seconds > plan.budget and not flags & _SLOW:
            arm.slow += 1
            flags |= _SLOW
        if flags != before:
            self._flag(rollout, part, str(answered.key), flags)

    def _flags(self, rollout: str, part: int, unit: str) -> int:
        query = "SELECT flags FROM seen WHERE rollout = ? AND part = ? AND unit = ?"
        rows = self._store.rows(query, (rollout, part, unit))
        return int(str(rows[0][0])) if rows else 0

    def _flag(self, rollout: str, part: int, unit: str, flags: int) -> None:
        row = (rollout, part, unit, flags)
        self._store.put("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", [row])

    def _shadow(self, plan: Plan, tally: Tally, traffic: Traffic, answered: Answered) -> None:
        if answered.role == "champion":
            traffic.champion.n += 1
            traffic.champion.errors += answered.error is not None
            if answered.error is None:
                self._recent[answered.ids[0]] = answered
                if len(self._recent) > _RECENT:
                    self._recent.popitem(last=False)
            return
        traffic.challenger.n += 1
        traffic.challenger.errors += answered.error is not None
        before = self._recent.pop(answered.ids[0], None)
        if before is None or answered.error is not None:
            return
        for row, first, second in zip(
            before.rows, before.predictions, answered.predictions, strict=False
        ):
            if isinstance(first, float) and isinstance(second, float):
                named = tuple(f"{name}={row.get(name)}" for name in plan.segments)
                tally.pairs.scored(second - first, 0.1 * (plan.spread or 0.0), named)
            else:
                tally.pairs.decided(plain(first), plain(second))

    def judge(
        self, model: str, losses: Mapping[str, float], generation: int, key: str | None
    ) -> None:
        """One answer whose label is final.

        Args:
            model: the model.
            losses: by role; a shadow's answer has two.
            generation: of the deployment that it was answered by.
            key: of the caller.
        """
        opened = self._open.get(model)
        place = None if opened is None else opened.stages.get(generation)
        if opened is None or place is None:
            return
        part, stage = place
        plan = opened.plans[part]
        if plan.unit == "key" and not self._first(opened.rollout, part, key):
            return
        tally = self._tally(opened.rollout, part)
        if plan.kind == "shadow":
            _judge_pair(plan, tally, losses)
        else:
            _judge_one(plan, tally, tally.stage(stage), losses)
        self._changed.add((opened.rollout, part))

    def _first(self, rollout: str, part: int, key: str | None) -> bool:
        """Whether this is the first judged answer of a caller who takes part."""
        if key is None:
            return False
        flags = self._flags(rollout, part, key)
        if flags & _JUDGED:
            return False
        self._flag(rollout, part, key, flags | _JUDGED)
        return True

    def _tally(self, rollout: str, part: int) -> Tally:
        tally = self._tallies.get((rollout, part))
        if tally is None:
            query = "SELECT tally FROM tallies WHERE rollout = ? AND part = ?"
            rows = self._store.rows(query, (rollout, part))
            tally = msgspec.json.decode(str(rows[0][0]), type=Tally) if rows else Tally()
            self._tallies[rollout, part] = tally
        return tally


def _judge_one(plan: Plan, tally: Tally, traffic: Traffic, losses: Mapping[str, float]) -> None:
    for role, loss in losses.items():
        canary = role == "canary"
        arm: Arm = traffic.challenger if canary else traffic.champion
        arm.judged += 1
        arm.wrong += loss > 0
        clipped = _clipped(plan, loss)
        if canary:
            tally.challenger = tally.challenger.add(clipped)
        else:
            tally.champion = tally.champion.add(clipped)


def _judge_pair(plan: Plan, tally: Tally, losses: Mapping[str, float]) -> None:
    first, second = losses.get("champion"), losses.get("shadow")
    if first is None or second is None:
        return
    difference = _clipped(plan, second) - _clipped(plan, first)
    tally.pairs.losses = tally.pairs.losses.add(difference)
    tally.pairs.only_challenger += second > 0 and first == 0
    tally.pairs.only_champion += first > 0 and second == 0


def _clipped(plan: Plan, loss: float) -> float:
    clip = None if plan.loss is None else plan.loss.clip
    return loss if clip is None else min(loss, clip)
