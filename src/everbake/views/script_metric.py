"""Says the metric of a script as the gate wants it: `(y_true, y_pred) -> float`."""

import ast
from dataclasses import dataclass

from everbake.core.metrics import known_metric
from everbake.views.script import Import, called, keyword, names
from everbake.views.script_trace import Score, Trace

_SKLEARN = "sklearn.metrics"
_SCORINGS = {
    "neg_mean_squared_error": "mean_squared_error",
    "neg_root_mean_squared_error": "root_mean_squared_error",
    "neg_mean_absolute_error": "mean_absolute_error",
    "neg_median_absolute_error": "median_absolute_error",
    "neg_mean_absolute_percentage_error": "mean_absolute_percentage_error",
    "neg_log_loss": "log_loss",
    "neg_brier_score": "brier_score_loss",
    "r2": "r2_score",
    "accuracy": "accuracy_score",
    "balanced_accuracy": "balanced_accuracy_score",
    "f1": "f1_score",
    "precision": "precision_score",
    "recall": "recall_score",
    "roc_auc": "roc_auc_score",
    "average_precision": "average_precision_score",
}
_PROBABILITIES = {"roc_auc_score", "log_loss", "brier_score_loss", "average_precision_score"}
_HIGHER = ("score", "acc", "auc", "r2", "f1", "precision", "recall", "gain", "profit", "corr")


@dataclass(frozen=True)
class Metric:
    """The metric of the gate.

    Attributes:
        name: its name in the recipe.
        imports: what it needs.
        better: which way is better, where everbake does not know.
        wrapper: a function that fixes its options, if it has any.
        note: what was found.
        guessed: whether the person must look at it.
    """

    name: str
    imports: tuple[Import, ...]
    note: str
    better: str = ""
    wrapper: ast.FunctionDef | None = None
    guessed: bool = False
    probabilities: bool = False


def metric_of(trace: Trace, score: Score | None, classifier: bool | None) -> Metric:  # noqa: FBT001
    """The metric that a script measures its model by, or a usual one."""
    if score is None:
        name = "accuracy_score" if classifier else "mean_squared_error"
        return _known(name, f"No metric was found: the gate compares by {name}.", guessed=True)
    if score.call is None:
        usual = "accuracy_score" if classifier else "r2_score"
        name = _SCORINGS.get(score.scoring, "" if score.scoring != "default" else usual)
        if not name:
            return _known(
                usual, f"The scoring {score.scoring!r} is not known: {usual} is used.", guessed=True
            )
        return _known(name, f"The metric {name} is that of line {score.line}.")
    return _of_call(trace, score, score.call)


def _of_call(trace: Trace, score: Score, call: ast.Call) -> Metric:
    name = called(call)
    note = f"The metric {name} is that of line {score.line}."
    if isinstance(call.func, ast.Name) and trace.script.function(name) is not None:
        if known_metric(name) is not None:
            return Metric(name, (), note)
        better = "higher" if any(part in name.lower() for part in _HIGHER) else "lower"
        return Metric(
            name,
            (),
            f'The metric {name} of line {score.line} is yours: see that better="{better}" holds.',
            better,
            guessed=True,
        )
    origin = trace.origin(call.func)
    real = origin.item if origin and origin.item and isinstance(call.func, ast.Name) else name
    if real == "mean_squared_error" and trace.literal(keyword(call, "squared") or call) is False:
        real = "root_mean_squared_error"
        call.keywords = [word for word in call.keywords if word.arg != "squared"]
    module = origin.module if origin and isinstance(call.func, ast.Name) else _SKLEARN
    if not module.startswith("sklearn"):
        return Metric(
            real,
            (Import(module, real),),
            f'See that better="lower" holds for the metric {real} of line {score.line}.',
            "lower",
            guessed=True,
        )
    return _options(real, call, note)


def _options(name: str, call: ast.Call, note: str) -> Metric:
    """A metric of scikit-learn with the options that the script gives it."""
    words = [word for word in call.keywords if word.arg not in {"sample_weight", None}]
    if not words or any(names(word.value) for word in words):
        return _known(name, note)
    known = known_metric(name)
    made = f"{name}_{_suffix(words)}"
    inner = ast.Call(
        ast.Name(name, ast.Load()),
        [ast.Name("y_true", ast.Load()), ast.Name("y_pred", ast.Load())],
        words,
    )
    arguments = [ast.arg("y_true"), ast.arg("y_pred")]
    wrapper = ast.FunctionDef(
        made,
        ast.arguments([], arguments, None, [], [], None, []),
        [ast.Return(inner)],
        [],
        ast.Name("float", ast.Load()),
    )
    better = known.better if known else "lower"
    return Metric(
        made,
        (Import(_SKLEARN, name),),
        note,
        better,
        wrapper,
        guessed=known is None,
        probabilities=name in _PROBABILITIES,
    )


def _suffix(words: list[ast.keyword]) -> str:
    value = words[0].value
    text = value.value if isinstance(value, ast.Constant) else ""
    return text if isinstance(text, str) and text.isidentifier() else "with_options"


def _known(name: str, note: str, *, guessed: bool = False) -> Metric:
    known = known_metric(name)
    return Metric(
        name,
        (Import(_SKLEARN, name),),
        note,
        "" if known else "lower",
        guessed=guessed or known is None,
        probabilities=name in _PROBABILITIES,
    )
