"""Takes trainings, metrics and transformers out of the statements of a script."""

import ast

from typing_extensions import override

from everbake.views.script import called, keyword, line, names
from everbake.views.script_data import MODEL, Data, keyword_of
from everbake.views.script_trace import Fit, Score, Splitting, Trace

_CLOSED = (
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.For,
    ast.If,
    ast.While,
    ast.FunctionDef,
    ast.ClassDef,
)


class Training(ast.NodeTransformer):
    """Takes trainings, metrics and transformers out of a statement."""

    def __init__(self, trace: Trace, statement: ast.stmt) -> None:
        self._trace = trace
        self._statement = statement

    @override
    def generic_visit(self, node: ast.AST) -> ast.AST:
        # What these bind for themselves is not known outside of them.
        return node if isinstance(node, _CLOSED) else super().generic_visit(node)

    @override
    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Take out what the call does."""
        self.generic_visit(node)
        handlers = {
            "fit": self._fit,
            "fit_transform": self._transform,
            "transform": self._transform,
            "cross_val_score": self._crossed,
            "cross_validate": self._crossed,
            "score": self._scored,
            "DataFrame": self._wrapped,
        }
        return handlers.get(called(node), self._measured)(node)

    def _fit(self, node: ast.Call) -> ast.expr:
        if not isinstance(node.func, ast.Attribute):
            return node
        inputs = node.args[0] if node.args else keyword(node, "X")
        label = node.args[1] if len(node.args) > 1 else keyword(node, "y")
        if inputs is None or label is None:
            return node.func.value
        return self._trained(node.func.value, inputs, label, node)

    def _trained(
        self, model: ast.expr, inputs: ast.expr, label: ast.expr, call: ast.Call
    ) -> ast.expr:
        trace = self._trace
        key = f"{MODEL}_{len(trace.fits) + 1}__"
        before = trace.known.get(model.id) if isinstance(model, ast.Name) else None
        closed = trace.close(model).expr
        for fit in trace.fits:
            if before is not None and fit.key in names(before.expr):
                closed = fit.model  # trained once more: from the start again
        words = tuple(w for w in call.keywords if called(call) == "fit" and w.arg not in {"X", "y"})
        words = tuple(ast.keyword(w.arg, trace.close(w.value).expr) for w in words)
        trace.fits.append(
            Fit(
                key,
                closed,
                trace.close(inputs),
                trace.close(label),
                words,
                line(self._statement),
                len(trace.locals),
            )
        )
        fitted = ast.Name(key, ast.Load())
        if isinstance(model, ast.Name):
            trace.known[model.id] = Data(fitted)
        return fitted

    def _crossed(self, node: ast.Call) -> ast.expr:
        if len(node.args) < 3:  # noqa: PLR2004
            return node
        trace = self._trace
        fitted = self._trained(node.args[0], node.args[1], node.args[2], node)
        key = fitted.id if isinstance(fitted, ast.Name) else ""
        scoring = trace.text(keyword_of(node, "scoring"))
        trace.scores.append(Score(key, line(self._statement), scoring=scoring or "default"))
        if "TimeSeriesSplit" in ast.unparse(self._value(keyword_of(node, "cv"))):
            trace.splits.append(Splitting(line(self._statement), timely=True))
        return ast.Constant(None)

    def _value(self, node: ast.expr) -> ast.expr:
        return self._trace.values.get(node.id, node) if isinstance(node, ast.Name) else node

    def _transform(self, node: ast.Call) -> ast.expr:
        if not isinstance(node.func, ast.Attribute) or not node.args:
            return node
        trace = self._trace
        data, step = trace.close(node.args[0]), trace.close(node.func.value)
        if not data.of_data or data.data.fitted or step.of_data or data.large:
            return node
        same = any(ast.dump(part) == ast.dump(step.expr) for part in data.chain)
        chain = data.chain if same else (*data.chain, step.expr)
        name = f"__through_{len(trace.known)}_{len(chain)}"
        trace.known[name] = Data(data.expr, chain)
        return ast.Name(name, ast.Load())

    def _wrapped(self, node: ast.Call) -> ast.expr:
        inner = node.args[0] if node.args else None
        if isinstance(inner, ast.Name) and inner.id.startswith("__through_"):
            return inner
        return node

    def _scored(self, node: ast.Call) -> ast.expr:
        closed = self._trace.close(node.func)
        key = next((n for n in names(closed.expr) if n.startswith(MODEL)), "")
        if key:
            self._trace.scores.append(Score(key, line(self._statement), scoring="default"))
        return node

    def _measured(self, node: ast.Call) -> ast.expr:
        trace = self._trace
        if called(node) == "TimeSeriesSplit":
            trace.splits.append(Splitting(line(self._statement), timely=True))
        if called(node) in {"predict", "predict_proba", "decision_function"}:
            closed = trace.close(node)
            for key in sorted(n for n in names(closed.expr) if n.startswith(MODEL)):
                trace.answers.append((key, closed.expr))
        if len(node.args) < 2 or not self._is_metric(node.func):  # noqa: PLR2004
            return node
        truth, answer = trace.close(node.args[0]), trace.close(node.args[1])
        keys = sorted(n for n in names(answer.expr) if n.startswith(MODEL))
        if keys and truth.of_data and not truth.data.fitted:
            trace.scores.append(
                Score(keys[0], line(self._statement), node, truth.expr, answer.expr)
            )
        return node

    def _is_metric(self, func: ast.expr) -> bool:
        origin = self._trace.origin(func)
        if origin is not None:
            return origin.module.startswith("sklearn") or "metric" in origin.module
        return isinstance(func, ast.Name) and self._trace.script.function(func.id) is not None
