"""All that a host can be asked for."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from everbake.core.recipe import describe
from everbake.core.work import (
    CheckOrder,
    DescribeReport,
    JudgeOrder,
    Refusal,
    ScoreOrder,
    TrainOrder,
)
from everbake.errors import EverbakeError
from everbake.host.calling import recipes_of
from everbake.host.checking import check
from everbake.host.judging import judge_candidate
from everbake.host.parsing import ParseOrder, parse
from everbake.host.protocol import JobContext, JobEntry, JobFunction, SessionEntry
from everbake.host.rows import rows_form
from everbake.host.scoring import score
from everbake.host.session import answer_requests
from everbake.host.training import train_candidate

O = TypeVar("O")
_REFUSED = "refused"


def _job(order: type[O], function: Callable[[O, JobContext], object]) -> JobFunction:
    """A job over typed values: its order is decoded, its report encoded, its refusal kept."""

    def run(body: bytes, context: JobContext) -> bytes:
        try:
            report = function(msgspec.json.decode(body, type=order), context)
        except EverbakeError as error:
            context.log(str(error))
            report = {_REFUSED: _refusal(error)}
        return msgspec.json.encode(report)

    return run


def _refusal(error: EverbakeError) -> Refusal:
    kind = type(error).__name__
    return Refusal(kind, error.code, error.what, error.where, error.why, error.mend)


def _parse(order: ParseOrder, _: JobContext) -> object:
    return parse(order)


def _describe(_: object, context: JobContext) -> DescribeReport:
    assert context.recipe_module is not None
    recipes = recipes_of(context.recipe_module)
    return DescribeReport(tuple(describe(r, rows_form(r.train)) for r in recipes))


JOBS: dict[str, JobEntry] = {
    "parse": JobEntry(_job(ParseOrder, _parse), needs_recipe=False),
    "describe": JobEntry(_job(object, _describe), needs_recipe=True),
    "train": JobEntry(_job(TrainOrder, train_candidate), needs_recipe=True),
    "score": JobEntry(_job(ScoreOrder, score), needs_recipe=True),
    "judge": JobEntry(_job(JudgeOrder, judge_candidate), needs_recipe=True),
    "check": JobEntry(_job(CheckOrder, check), needs_recipe=True),
}
SESSIONS: dict[str, SessionEntry] = {
    "predict": SessionEntry(answer_requests, needs_recipe=True),
}
