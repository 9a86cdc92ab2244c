"""What is known of the usual metrics: which way is better, the best value, the loss of one row.

A metric stays the user's function; this table only says how its difference can be judged faster
and better than by drawing rows again. Importing it is cheap: numpy comes with the first loss.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    RowLoss = Callable[[Array, Array], Array]

Better = Literal["lower", "higher"]
Kind = Literal["mean", "share", "root", "explained", "ranking", "classes", "whole", "other"]
Scale = Literal["squared", "absolute", "none"]
Wants = Literal["scores", "labels", "decisions"]

_CARRIED = "everbake_metric"  # the attribute in which a function says what is known of it


@dataclass(frozen=True)
class AtLeast:
    """A guardrail: the candidate's value of `metric` must not be below `limit`."""

    metric: Callable[..., float]
    limit: float


@dataclass(frozen=True)
class AtMost:
    """A guardrail: the candidate's value of `metric` must not be above `limit`."""

    metric: Callable[..., float]
    limit: float


@dataclass(frozen=True)
class Metric:
    """One metric as the gate sees it.

    Attributes:
        name: as scikit-learn calls it.
        better: which way is better.
        best: the best value; NaN where there is none.
        kind: how a difference is judged. `mean`: the metric is the mean of `row_loss`; `share`:
            the same with a loss of 0 or 1; `root`: its root; `explained`: R2; `ranking`: AUROC;
            `classes`: by resampling, both classes needed; `whole`: by resampling, too, but one
            model's value is that of these very rows, not an estimate; `other`: by resampling.
        row_loss: `(y_true, y_pred) -> losses`, lower is better; None where rows have none.
        scale: how a row's loss grows with its error, to tell rounding from an error.
        unit: True where all values lie within [0, 1].
        probabilities: True where a prediction must lie within [0, 1].
        wants: what it is computed on: a model's `scores`, the `decisions` made of them at the
            model's own threshold, or the `labels` that these stand for, which a model without a
            threshold answers itself.
        cut: of a metric of ranked lists, the items of a list that count; None for any other.
    """

    name: str
    better: Better
    best: float
    kind: Kind = "other"
    row_loss: "RowLoss | None" = None
    scale: Scale = "none"
    unit: bool = False
    probabilities: bool = False
    wants: Wants = "scores"
    cut: int | None = None


def known_metric(name: str) -> Metric | None:
    """The metric that scikit-learn calls `name`, or None.

    >>> known_metric("r2_score").better
    'higher'
    """
    return _KNOWN.get(name)


def metric_of(metric: Callable[..., float]) -> Metric | None:
    """What is known of a metric: what the function carries itself, else what its name tells."""
    carried: object = getattr(metric, _CARRIED, None)
    return carried if isinstance(carried, Metric) else known_metric(metric_name(metric))


def carrying(function: Callable[..., float], known: Metric) -> Callable[..., float]:
    """`function`, which from now on says itself what is known of it and is called so."""
    function.__name__ = function.__qualname__ = known.name
    setattr(function, _CARRIED, known)
    return function


def metric_name(metric: Callable[..., float]) -> str:
    """The name under which a metric is recorded."""
    return str(getattr(metric, "__name__", type(metric).__name__))


def positives(y: "Array") -> "Array":
    """True where a row is of the positive class: 1, True, or the last label in order."""
    import numpy as np

    if usual(y):
        return np.asarray(y == 1)
    return np.asarray(y == np.unique(y)[-1])


def classes(y: "Array") -> int:
    """How many outcomes there are: those that occur, and both of 0 and 1 where one does."""
    import numpy as np

    return max(len(np.unique(y)), 2 if usual(y) else 1)


def usual(y: "Array") -> bool:
    """Whether outcomes are of 1, 0 and -1, of which 1 is the positive one."""
    import numpy as np

    return y.dtype.kind in "biuf" and bool(np.all((y == 0) | (y == 1) | (y == -1)))


def decided(y: "Array", answers: "Array") -> "Array":
    """True where a decision is positive: 1 or True, or the label that is positive in `y`.

    Raises:
        ValueError: the answers are scores.
    """
    import numpy as np

    if answers.dtype.kind not in "biuf":
        return np.asarray(answers == np.unique(y)[-1])
    if not decisive(answers):
        raise ValueError("it needs decisions (0 or 1), not scores: give the model a threshold")
    return np.asarray(answers == 1)


def named(y: "Array", decisions: "Array") -> "Array":
    """The labels of `y` that decisions stand for.

    Where `y` holds one text or odd number only, that is taken for the negative one, which is the
    usual outcome.

    >>> import numpy as np
    >>> named(np.array(["no", "yes"]), np.array([True, True])).tolist()
    ['yes', 'yes']
    """
    import numpy as np

    labels = np.unique(y)
    if y.dtype.kind == "b" or not len(labels):
        return decisions
    if usual(labels):
        return np.asarray(np.where(decisions, 1, -1 if -1 in labels else 0))
    positive = labels[-1] if len(labels) > 1 else type(labels[0])()
    return np.asarray(np.where(decisions, positive, labels[0]))


def decisive(answers: "Array") -> bool:
    """Whether numbers are decisions, all of them 0 or 1 (or -1), and not scores."""
    import numpy as np

    return bool(np.all((answers == 0) | (answers == 1) | (answers == -1)))


def squared_error(y: "Array", p: "Array") -> "Array":
    """Squared error of each row."""
    return absolute_error(y, p) ** 2


def absolute_error(y: "Array", p: "Array") -> "Array":
    """Absolute error of each row."""
    import numpy as np

    return np.abs(y.astype(np.float64) - p.astype(np.float64))


def pinball(y: "Array", p: "Array") -> "Array":
    """Pinball loss of each row for the median, scikit-learn's default."""
    return absolute_error(y, p) / 2


def squared_log_error(y: "Array", p: "Array") -> "Array":
    """Squared error of log(1 + value) of each row."""
    import numpy as np

    return squared_error(np.log1p(y.astype(np.float64)), np.log1p(p.astype(np.float64)))


def relative_error(y: "Array", p: "Array") -> "Array":
    """Absolute error of each row, divided by the size of the truth."""
    import numpy as np

    floor = float(np.finfo(np.float64).eps)
    return absolute_error(y, p) / np.maximum(np.abs(y.astype(np.float64)), floor)


def zero_one(y: "Array", p: "Array") -> "Array":
    """1 for each row whose label is wrong, else 0."""
    import numpy as np

    return np.asarray(y != p).astype(np.float64)


def brier(y: "Array", p: "Array") -> "Array":
    """Squared distance of the probability from the outcome of each row."""
    return squared_error(positives(y), p)


def log_loss(y: "Array", p: "Array") -> "Array":
    """Minus the log of the probability that each row's outcome was given.

    Probabilities are clipped where scikit-learn clips them, at the resolution of their own type, so
    that the mean is the figure that the user knows. A matrix has one column a label, in order.

    Raises:
        ValueError: there are other columns than labels, so that nobody knows which is whose.
    """
    import numpy as np

    edge = float(np.finfo(p.dtype).eps) if p.dtype.kind == "f" else float(np.finfo(float).eps)
    clipped = np.clip(p.astype(np.float64), edge, 1 - edge)
    if p.ndim == 1:
        return -np.log(np.where(positives(y), clipped, 1 - clipped))
    labels, numbers = np.unique(y, return_inverse=True)
    if p.shape[1] != classes(y):
        raise ValueError(f"{p.shape[1]} columns of probabilities, {len(labels)} outcomes occur")
    column = y == 1 if len(labels) == 1 else numbers.reshape(-1)
    losses: Array = -np.log(clipped[np.arange(len(y)), column.astype(np.intp)])
    return losses


_LOSSES = (
    Metric("mean_squared_error", "lower", 0.0, "mean", squared_error, "squared"),
    Metric("mean_absolute_error", "lower", 0.0, "mean", absolute_error, "absolute"),
    Metric("mean_pinball_loss", "lower", 0.0, "mean", pinball, "absolute"),
    Metric("mean_squared_log_error", "lower", 0.0, "mean", squared_log_error),
    Metric("mean_absolute_percentage_error", "lower", 0.0, "mean", relative_error),
    Metric("root_mean_squared_error", "lower", 0.0, "root", squared_error, "squared"),
    Metric("root_mean_squared_log_error", "lower", 0.0, "root", squared_log_error),
    Metric("median_absolute_error", "lower", 0.0),
    Metric("max_error", "lower", 0.0),
    Metric("mean_poisson_deviance", "lower", 0.0),
    Metric("mean_gamma_deviance", "lower", 0.0),
    Metric("mean_tweedie_deviance", "lower", 0.0),
    Metric("log_loss", "lower", 0.0, "mean", log_loss, probabilities=True),
    Metric(
        "brier_score_loss", "lower", 0.0, "mean", brier, "squared", unit=True, probabilities=True
    ),
    Metric("zero_one_loss", "lower", 0.0, "share", zero_one, unit=True, wants="labels"),
    Metric("hinge_loss", "lower", 0.0),
    Metric("hamming_loss", "lower", 0.0, "share", zero_one, unit=True, wants="labels"),
)
_SCORES = (
    Metric("accuracy_score", "higher", 1.0, "share", zero_one, unit=True, wants="labels"),
    Metric("r2_score", "higher", 1.0, "explained", squared_error, "squared"),
    Metric("explained_variance_score", "higher", 1.0),
    Metric("d2_absolute_error_score", "higher", 1.0),
    Metric("d2_pinball_score", "higher", 1.0),
    Metric("d2_tweedie_score", "higher", 1.0),
    Metric("roc_auc_score", "higher", 1.0, "ranking", unit=True),
    Metric("average_precision_score", "higher", 1.0, "classes", unit=True),
    Metric("f1_score", "higher", 1.0, "classes", unit=True, wants="labels"),
    Metric("precision_score", "higher", 1.0, "classes", unit=True, wants="labels"),
    Metric("recall_score", "higher", 1.0, "classes", unit=True, wants="labels"),
    Metric("jaccard_score", "higher", 1.0, "classes", unit=True, wants="labels"),
    Metric("balanced_accuracy_score", "higher", 1.0, unit=True, wants="labels"),
    Metric("matthews_corrcoef", "higher", 1.0, wants="labels"),
    Metric("cohen_kappa_score", "higher", 1.0, wants="labels"),
    Metric("ndcg_score", "higher", 1.0, unit=True),
    Metric("dcg_score", "higher", float("nan")),
    Metric("top_k_accuracy_score", "higher", 1.0, unit=True),
)
_KNOWN = {metric.name: metric for metric in _LOSSES + _SCORES}
