"""The end of a model: what its raw scores stand for, a number, chances or a label."""

import math
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from everbake.runtimes.columns import Category, Floats

Link = Literal["identity", "logistic", "softmax", "exponential"]
Output = Literal["scalar", "matrix", "column", "label"]


class Ending(msgspec.Struct, frozen=True):
    """What turns raw scores into answers.

    Attributes:
        link: the function between.
        output: a number, all outputs, the output number `column`, or a label of `classes`.
        column: of all outputs.
        classes: the labels.
        zero: whether a single score of exactly 0 means the second class.
    """

    link: Link
    output: Output
    column: int = 0
    classes: tuple[Category, ...] = ()
    zero: bool = False

    def finish(self, scores: NDArray[np.floating]) -> NDArray[np.generic]:
        """The answers that scores, shaped (rows, outputs), stand for."""
        if self.output == "label":
            return np.asarray(self.classes)[self._best(scores)]
        answers = linked(scores, self.link)
        if self.output == "scalar":
            return answers[:, 0]
        return answers[:, self.column] if self.output == "column" else answers

    def finish_one(self, score: float) -> object:
        """The answer that the only score of one row stands for."""
        if self.output == "label":
            return self.classes[score >= 0 if self.zero else score > 0]
        if self.link == "logistic":
            chance = _logistic(score)
            chances = [1.0 - chance, chance]
            return chances[self.column] if self.output == "column" else chances
        if self.link == "exponential":
            score = float(np.exp(score))
        return [score] if self.output == "matrix" else score

    def _best(self, scores: NDArray[np.floating]) -> NDArray[np.intp]:
        if scores.shape[1] > 1:
            best: NDArray[np.intp] = scores.argmax(axis=1)
            return best
        single = scores[:, 0]
        return (single >= 0 if self.zero else single > 0).astype(np.intp)


def linked(scores: NDArray[np.floating], link: Link) -> NDArray[np.floating]:
    """Scores after the link; the logistic of one score are two chances."""
    if link == "identity":
        return scores
    if link == "exponential":
        growth: Floats = np.exp(scores)
        return growth
    if link == "logistic":
        small = np.exp(-np.abs(scores[:, 0]))
        chance = np.where(scores[:, 0] >= 0, 1.0 / (1.0 + small), small / (1.0 + small))
        return np.column_stack([1.0 - chance, chance])
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = odds / odds.sum(axis=1, keepdims=True)
    return shares


def _logistic(score: float) -> float:
    """The logistic function, without overflow on either side."""
    if score >= 0:
        return 1.0 / (1.0 + math.exp(-score))
    growth = math.exp(score)
    return growth / (1.0 + growth)
