"""Refusals in the words of another protocol than everbake's own."""

from collections.abc import Callable
from dataclasses import dataclass

from everbake.serving.http import Endpoint, HttpAnswer, HttpRequest
from everbake.serving.problems import ProblemError


@dataclass(frozen=True)
class Worded:
    """An endpoint whose refusals its protocol words.

    Attributes:
        endpoint: answers.
        word: gives the body of a refusal, as JSON.
    """

    endpoint: Endpoint
    word: Callable[[ProblemError], bytes]

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Answer one request."""
        try:
            return await self.endpoint(request)
        except ProblemError as refused:
            word = self.word(refused)
            return HttpAnswer(word, status=refused.status, headers=refused.headers)


def sentence(refused: ProblemError) -> str:
    """What is wrong, where and what to do, in one line."""
    mend = f"; {refused.mend}" if refused.mend else ""
    return f"{refused.code}: {refused.what}{mend}"
