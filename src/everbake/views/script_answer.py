"""Which training and metric of a script the recipe repeats, and what its model is asked."""

import ast
import copy

from typing_extensions import override

from everbake.views.script import Script, called, names
from everbake.views.script_data import MODEL
from everbake.views.script_rows import is_view
from everbake.views.script_trace import Fit, Score, Trace


class Given(ast.NodeTransformer):
    """Gives the model the same inputs in `predict` as in `train`."""

    def __init__(self, inputs: ast.expr) -> None:
        self._inputs = inputs

    @override
    def visit_Call(self, node: ast.Call) -> ast.expr:
        """The call with its first argument in place."""
        self.generic_visit(node)
        if called(node).startswith(("predict", "decision_function")) and node.args:
            root = names(node.func)
            if any(name.startswith(MODEL) or name == "model" for name in root):
                node.args = [self._served(), *node.args[1:]]
        return node

    def _served(self) -> ast.expr:
        given = copy.deepcopy(self._inputs)
        if not any(called(part) == "get_dummies" for part in ast.walk(given)) or is_view(given):
            return given
        # One row alone has not every category: the model's own columns say which there were.
        text = f"({ast.unparse(given)}).reindex(columns=model.feature_names_in_, fill_value=0)"
        return ast.parse(text, mode="eval").body


class Modelled(ast.NodeTransformer):
    """Says the trained model by the name that `predict` has for it."""

    def __init__(self, key: str) -> None:
        self._key = key

    @override
    def visit_Name(self, node: ast.Name) -> ast.Name:
        """The name that `predict` has."""
        return ast.Name("model", node.ctx) if node.id == self._key else node


def chosen(trace: Trace) -> tuple[Fit | None, Score | None]:
    """The training that the recipe repeats: the last one that is measured, and its metric."""
    scored = {score.key for score in trace.scores}
    measured = [fit for fit in trace.fits if fit.key in scored]
    labelled = [fit for fit in trace.fits if fit.label.of_data]
    fits = measured or labelled or trace.fits
    if not fits:
        return None, None
    fit = fits[-1]
    if len(trace.fits) > 1:
        trace.notes.append((fit.line, "of several trainings this one was taken"))
    scores = [score for score in trace.scores if score.key == fit.key]
    scores.sort(key=lambda score: score.scoring == "default")
    return fit, scores[0] if scores else None


def columns_seen(script: Script) -> list[str]:
    """The columns that a script names."""
    found = [
        part.slice.value
        for part in ast.walk(script.tree)
        if isinstance(part, ast.Subscript)
        and isinstance(part.slice, ast.Constant)
        and isinstance(part.slice.value, str)
    ]
    return list(dict.fromkeys(found))


def texts_in(node: ast.AST) -> set[str]:
    """Every text in a piece of code."""
    return {
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }
