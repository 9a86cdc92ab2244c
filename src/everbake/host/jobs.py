"""All that a host can be asked for.

Only what parsing needs is imported here: it goes on while the recipe is being imported.
"""

import socket
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TypeVar

import msgspec

from everbake.core.redact import writable
from everbake.core.work import (
    BatchOrder,
    CheckOrder,
    DescribeReport,
    FreshOrder,
    JudgeOrder,
    Refusal,
    ReplayOrder,
    ScoreOrder,
    TrainOrder,
    UnseenOrder,
)
from everbake.errors import EverbakeError
from everbake.host.parsing import ParseOrder, parse
from everbake.host.protocol import JobContext, JobEntry, JobFunction, SessionEntry

Order = TypeVar("Order")
_REFUSED = "refused"


def _job(order: type[Order], function: Callable[[Order, JobContext], object]) -> JobFunction:
    """A job over typed values: its order is decoded, its report encoded, its refusal kept."""

    def run(body: bytes, context: JobContext) -> bytes:
        try:
            report = function(msgspec.json.decode(body, type=order), context)
        except EverbakeError as error:
            report = {_REFUSED: _refusal(error)}
        return msgspec.json.encode(report)

    return run


def _refusal(error: EverbakeError) -> Refusal:
    kind = type(error).__name__
    parts = (error.what, error.where, error.why, error.mend)
    return Refusal(kind, error.code, *map(writable, parts))


def _parse(order: ParseOrder, _: JobContext) -> object:
    return parse(order)


def _describe(_: object, context: JobContext) -> object:
    from everbake.core.describing import describe
    from everbake.host.calling import recipes_of
    from everbake.host.rows import rows_form

    recipes = recipes_of(context.recipe)
    for recipe in recipes:
        if recipe.update is not None:
            rows_form(recipe.update, position=1)  # an annotation that means nothing is an error
    return DescribeReport(tuple(describe(r, rows_form(r.train)) for r in recipes))


def _ranks(model: str, context: JobContext) -> bool:
    """Whether the model's recipe is a ranking recipe, which has jobs of its own."""
    from everbake.host.calling import recipe_of

    return recipe_of(context.recipe, model).events is not None


def _train(order: TrainOrder, context: JobContext) -> object:
    if _ranks(order.model, context):
        from everbake.host.ranking.training import train_ranking

        return train_ranking(order, context)
    from everbake.host.training import train_candidate

    return train_candidate(order, context)


def _score(order: ScoreOrder, context: JobContext) -> object:
    if order.ranked is not None:
        from everbake.host.ranking.scoring import score_ranking

        return score_ranking(order, order.ranked, context)
    from everbake.host.scoring import score

    return score(order, context)


def _fresh(order: FreshOrder, context: JobContext) -> object:
    from everbake.host.freshness import fresh_rows

    return fresh_rows(order, context)


def _judge(order: JudgeOrder, context: JobContext) -> object:
    if _ranks(order.model, context):
        from everbake.host.ranking.judging import judge_ranking

        return judge_ranking(order, context)
    from everbake.host.judging import judge_candidate

    return judge_candidate(order, context)


def _unseen(order: UnseenOrder, context: JobContext) -> object:
    from everbake.host.unseen import find_unseen

    return find_unseen(order, context)


def _check(order: CheckOrder, context: JobContext) -> object:
    if _ranks(order.model, context):
        from everbake.host.ranking.trial import check_ranking

        return check_ranking(order, context)
    from everbake.host.checking import check

    return check(order, context)


def _batch(order: BatchOrder, context: JobContext) -> object:
    from everbake.host.batch import answer_files

    return answer_files(order, context)


def _replay(order: ReplayOrder, context: JobContext) -> object:
    from everbake.host.replaying import judge_replay

    return judge_replay(order, context)


def _predict(order: bytes, context: JobContext, connection: socket.socket) -> None:
    from everbake.host.session import answer_requests

    answer_requests(order, context, connection)


def warm() -> None:
    """Import what the jobs above import, so that each of their processes need not."""
    for module in ("training", "scoring", "judging", "session"):
        import_module(f"everbake.host.{module}")
    import_module("scipy.special")
    if "sklearn" in sys.modules:
        import_module("skops.io")


JOBS: dict[str, JobEntry] = {
    "parse": JobEntry(_job(ParseOrder, _parse), needs_recipe=False),
    "describe": JobEntry(_job(object, _describe), needs_recipe=True),
    "train": JobEntry(_job(TrainOrder, _train), needs_recipe=True),
    "score": JobEntry(_job(ScoreOrder, _score), needs_recipe=True),
    "fresh": JobEntry(_job(FreshOrder, _fresh), needs_recipe=True),
    "judge": JobEntry(_job(JudgeOrder, _judge), needs_recipe=True),
    "unseen": JobEntry(_job(UnseenOrder, _unseen), needs_recipe=True),
    "check": JobEntry(_job(CheckOrder, _check), needs_recipe=True),
    "replay": JobEntry(_job(ReplayOrder, _replay), needs_recipe=True),
    "batch": JobEntry(_job(BatchOrder, _batch), needs_recipe=True),
}
SESSIONS: dict[str, SessionEntry] = {
    "predict": SessionEntry(_predict, needs_recipe=True),
}
