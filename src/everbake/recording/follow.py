"""Counts requests towards the rollout that is open: who answered, how, and how well."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from everbake.core.frames import Answered
from everbake.core.rollout.assessing import assess
from everbake.core.rollout.plan import Plan
from everbake.core.rollout.tally import (
    Matured,
    Pair,
    Served,
    Tally,
    tally_events,
    tally_losses,
    tally_paired_losses,
    tally_pairs,
    tally_requests,
)
from everbake.recording.opened import Open
from everbake.recording.store import RecordStore, plain

_RECENT = 20_000  # answers of the champion that wait for their shadow
_COUNTED, _FAILED, _SLOW, _JUDGED, _CANARY = 1, 2, 4, 8, 16


@dataclass
class _News:
    """What one part of a rollout has seen since it was written last."""

    served: list[Served] = field(default_factory=list)
    again: list[Served] = field(default_factory=list)
    matured: list[Matured] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    losses: list[tuple[float, float]] = field(default_factory=list)

    def tally(self, plan: Plan) -> Tally:
        """Counted."""
        if plan.kind == "shadow":
            return tally_pairs(self.pairs, plan.score_sd).merge(tally_paired_losses(self.losses))
        requests = tally_requests(self.served).merge(tally_events(self.again))
        return requests.merge(tally_losses(self.matured))


class RolloutBook:
    """The tallies of all open rollouts. Changed within a transaction, written at its end.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._open: Mapping[str, Open] = {}
        self._news: dict[tuple[str, int], _News] = {}
        self._recent: OrderedDict[str, Answered] = OrderedDict()

    def know(self, opened: Mapping[str, Open]) -> None:
        """These are open now."""
        self._open = opened

    def forget(self) -> None:
        """Nothing that was not written is true: the transaction failed."""
        self._news.clear()
        self._recent.clear()

    def recall(self, model: str, earlier: Sequence[Answered]) -> None:
        """What was counted before: a shadow may follow it yet."""
        for one in earlier:
            place = self._place(model, one.generation)
            if place is not None and place[0].plans[place[1]].kind == "shadow":
                self._remember(one)

    def write(self) -> None:
        """Keep what is new."""
        plans = {opened.rollout: opened.plans for opened in self._open.values()}
        rows = []
        for (rollout, part), news in self._news.items():
            plan = plans[rollout][part]
            tally, passed = self._kept(rollout, part)
            tally = tally.merge(news.tally(plan))
            # A metric that has passed stays passed, and only who counts sees every moment.
            stage = len(plan.stages) - 1
            passed = assess(plan, tally, stage, 0.0, 0.0, passed).passed
            rows.append((rollout, part, msgspec.json.encode((tally, sorted(passed))).decode()))
        self._store.put("INSERT OR REPLACE INTO tallies VALUES (?, ?, ?)", rows)
        self._news.clear()

    def _kept(self, rollout: str, part: int) -> tuple[Tally, frozenset[str]]:
        query = "SELECT tally FROM tallies WHERE rollout = ? AND part = ?"
        rows = self._store.rows(query, (rollout, part))
        if not rows:
            return Tally(), frozenset()
        return msgspec.json.decode(str(rows[0][0]), type=tuple[Tally, frozenset[str]])

    def count(self, model: str, answered: Answered) -> None:
        """One request that was answered, or failed, or was scored by a shadow."""
        place = self._place(model, answered.generation)
        if place is None:
            return
        opened, part, stage = place
        plan = opened.plans[part]
        news = self._news.setdefault((opened.rollout, part), _News())
        if plan.kind == "shadow":
            self._shadow(plan, news, answered)
            return
        served = Served(
            stage,
            answered.role == "canary",
            answered.error is not None,
            plan.latency_budget is not None
            and answered.seconds > plan.latency_budget
            and not answered.part,
        )
        if plan.unit == "request":
            # The rest of a request is no request of its own, but a failure of its version.
            (news.again if answered.part else news.served).append(served)
        elif answered.key is not None:  # requests without a key were not assigned by chance
            self._caller((opened.rollout, part, answered.key), served, news)

    def _place(self, model: str, generation: int) -> tuple[Open, int, int] | None:
        opened = self._open.get(model)
        place = None if opened is None else opened.stages.get(generation)
        return None if opened is None or place is None else (opened, *place)

    def _caller(self, who: tuple[str, int, str], served: Served, news: _News) -> None:
        """Count a caller once, and once each a caller's first failure and first slow answer.

        One whom a growing share takes to the canary is a unit of it as well, unless there is
        nothing left of this caller to be counted.
        """
        before = self._flags(*who)
        error = served.error and not before & _FAILED
        slow = served.over_budget and not before & _SLOW
        moved = before & _COUNTED and served.canary and not before & (_CANARY | _FAILED | _SLOW)
        first = Served(served.stage, served.canary, error, slow, bool(moved))
        if moved or not before & _COUNTED:
            news.served.append(first)
        elif error or slow:
            news.again.append(first)
        after = before | _COUNTED | _FAILED * error | _SLOW * slow | _CANARY * served.canary
        if after != before:
            self._flag(*who, after)

    def _flags(self, rollout: str, part: int, unit: str) -> int:
        query = "SELECT flags FROM seen WHERE rollout = ? AND part = ? AND unit = ?"
        rows = self._store.rows(query, (rollout, part, unit))
        return int(str(rows[0][0])) if rows else 0

    def _flag(self, rollout: str, part: int, unit: str, flags: int) -> None:
        row = (rollout, part, unit, flags)
        self._store.put("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", [row])

    def _shadow(self, plan: Plan, news: _News, answered: Answered) -> None:
        """Hold what a shadow made of a request against what the champion made of it."""
        if answered.role == "champion":
            self._remember(answered)
            return
        seen = [found for name in answered.ids if (found := self._recent.pop(name, None))]
        champion_failed = any(found.error is not None for found in seen)
        if champion_failed or answered.error is not None:
            failed = answered.error is not None
            news.pairs.append(Pair(champion_failed=champion_failed, canary_failed=failed))
        elif seen:
            news.pairs.append(_pair(plan, seen[0], answered))

    def _remember(self, answered: Answered) -> None:
        if answered.role == "champion":
            self._recent[answered.ids[0]] = answered
            if len(self._recent) > _RECENT:
                self._recent.popitem(last=False)

    def frozen(self, model: str, generation: int) -> Plan | None:
        """The plan under which a request was answered, if its rollout is open."""
        place = self._place(model, generation)
        return None if place is None else place[0].plans[place[1]]

    def maturity(self, model: str) -> float | None:
        """Seconds after which a label is final by the plan of an open rollout, if there is one."""
        opened = self._open.get(model)
        return None if opened is None else opened.plans[0].maturity

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
        place = self._place(model, generation)
        if place is None:
            return
        opened, part, stage = place
        plan = opened.plans[part]
        if plan.unit == "key" and not self._first(opened.rollout, part, key):
            return
        news = self._news.setdefault((opened.rollout, part), _News())
        clipped = {role: _clipped(plan, loss) for role, loss in losses.items()}
        if plan.kind == "canary":
            news.matured += [Matured(stage, r == "canary", loss) for r, loss in clipped.items()]
        elif {"champion", "shadow"} <= clipped.keys():
            news.losses.append((clipped["champion"], clipped["shadow"]))

    def _first(self, rollout: str, part: int, key: str | None) -> bool:
        """Whether this is the first judged answer of a caller who takes part."""
        if key is None:
            return False
        flags = self._flags(rollout, part, key)
        if flags & _JUDGED:
            return False
        self._flag(rollout, part, key, flags | _JUDGED)
        return True


def _pair(plan: Plan, before: Answered, after: Answered) -> Pair:
    """The first row of a request that the champion has answered, and what the shadow makes of it.

    The rows of one request have much in common: all of them would claim more than they show.
    """
    row, first = before.rows[0], before.predictions[0]
    second = after.predictions[after.ids.index(before.ids[0])]
    named = tuple(f"{name}={row.get(name)}" for name in plan.segments)
    if isinstance(first, float) and isinstance(second, float):
        return Pair(difference=second - first, segments=named)
    return Pair(plain(first), plain(second), segments=named)


def _clipped(plan: Plan, loss: float) -> float:
    return loss if plan.quality is None else plan.quality.clipped(loss)
