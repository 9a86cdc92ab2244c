"""Finds the label of a script, what undoes its transformation, and which features may stay."""

import ast
import copy
from dataclasses import dataclass

from typing_extensions import override

from everbake.views.script import called, names
from everbake.views.script_data import Closed, keyword_of
from everbake.views.script_rows import ROWS, is_table, is_view, rows_name, without
from everbake.views.script_trace import Step, Trace

_FIGURE = (
    "a figure of all rows is used, but features also sees one row alone: "
    "move it into the model's pipeline"
)
UNKNOWN = "FILL_IN_THE_LABEL"
_INVERSES = {"log1p": "expm1", "log": "exp", "sqrt": "square", "log2": "exp2"}
_ORDERED = frozenset(
    [
        "shift",
        "rolling",
        "diff",
        "cumsum",
        "cumprod",
        "cummax",
        "cummin",
        "cumcount",
        "ewm",
        "expanding",
        "pct_change",
        "rank",
    ]
)
_WHOLE = frozenset(
    [
        "mean",
        "median",
        "std",
        "var",
        "mode",
        "min",
        "max",
        "quantile",
        "sum",
        "nunique",
        "value_counts",
        "groupby",
        "qcut",
        "factorize",
        "get_dummies",
        "fit_transform",
        "zscore",
        "interpolate",
        "ffill",
        "bfill",
    ]
)


@dataclass(frozen=True)
class Label:
    """The label: its column, how `train` says it, and what undoes that in `predict`."""

    column: str
    expr: ast.expr
    inverse: str = ""


def label_of(trace: Trace, closed: Closed | None) -> Label:
    """The label that a script trains on."""
    column = _column(trace, closed.expr) if closed is not None else ""
    if not column or closed is None:
        return Label(UNKNOWN, _subscript(UNKNOWN))
    expr = _named(closed.expr, column)
    inverse = ""
    if isinstance(expr, ast.Call) and len(expr.args) == 1 and called(expr) in _INVERSES:
        inverse = f"np.{_INVERSES[called(expr)]}"
    return Label(column, expr, inverse)


def with_label_changes(trace: Trace, label: Label) -> Label:
    """The label with what the script made of its column in place, as in `log1p(df["price"])`."""
    for step in trace.features:
        if step.writes != {label.column} or not isinstance(step.node, ast.Assign):
            continue
        value = step.node.value
        known = called(value) in _INVERSES and isinstance(value, ast.Call) and len(value.args) == 1
        if label.column not in reads(step):
            trace.guesses.append(
                (step.line, f'the label "{label.column}" is computed here: the data must bring it')
            )
        elif known and isinstance(label.expr, ast.Subscript):
            label = Label(label.column, value, f"np.{_INVERSES[called(value)]}")
        else:
            trace.guesses.append(
                (step.line, f'the label "{label.column}" is used as it stands in the data')
            )
    return label


def kept_features(trace: Trace, label: str, wanted: set[str] | None) -> list[Step]:
    """The steps of `features`: what one row alone allows, and what the model needs."""
    kept: list[Step] = []
    missing: set[str] = set()
    for step in trace.features:
        if label in step.writes:
            continue
        used = reads(step)
        calls = {called(part) for part in ast.walk(step.node)}
        if step.writes and (label in used or calls & _ORDERED or used & missing):
            missing |= step.writes
            column = ", ".join(sorted(step.writes))
            why = f'the label "{label}"' if label in used else "other rows"
            trace.guesses.append(
                (step.line, f'"{column}" is made from {why}: the data must bring it as a column')
            )
            continue
        kept.append(step)
    return _needed(trace, kept, wanted)


def _needed(trace: Trace, kept: list[Step], wanted: set[str] | None) -> list[Step]:
    needed: list[Step] = []
    for step in reversed(kept):
        if wanted is not None and step.writes and not step.writes & wanted:
            continue
        if wanted is not None:
            wanted |= reads(step)
        needed.insert(0, step)
        if {called(part) for part in ast.walk(step.node)} & _WHOLE and _over_rows(step.node):
            trace.guesses.append(
                (step.line, _FIGURE),
            )
    return needed


def reads(step: Step) -> set[str]:
    """The columns that a step of `features` reads."""
    value: ast.AST = step.node.value if isinstance(step.node, ast.Assign) else step.node
    found: set[str] = set()
    for part in ast.walk(value):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            found.add(part.value)
        elif isinstance(part, ast.Attribute) and is_table(part.value):
            found.add(part.attr)
    return found


def inputs_of(trace: Trace, closed: Closed | None, label: str) -> ast.expr:
    """What the model is given, without the label."""
    if closed is None or ROWS not in names(closed.expr):
        return without([ast.Constant(label)])
    return _Unlabelled(trace, label).visit(copy.deepcopy(closed.expr))  # type: ignore[no-any-return]


def columns_of(trace: Trace, inputs: ast.expr) -> set[str] | None:
    """The columns that the model is given, where the script names them."""
    if not (isinstance(inputs, ast.Subscript) and is_table(inputs.value)):
        return None
    found = trace.literal(inputs.slice)
    if isinstance(found, str):
        return {found}
    return {str(name) for name in found} if isinstance(found, list) else None


class _Unlabelled(ast.NodeTransformer):
    """Leaves the label, and the index column, out of what the model is given."""

    def __init__(self, trace: Trace, label: str) -> None:
        self._trace = trace
        self._label = label

    @override
    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        by = node.value
        if isinstance(by, ast.Attribute) and by.attr == "iloc" and is_view(by.value):
            if _all_but_last(node.slice):
                return without([ast.Constant(self._label)])
            return node
        if is_view(node) or is_table(by):
            return node
        self.generic_visit(node)
        return node

    @override
    def visit_Call(self, node: ast.Call) -> ast.expr:
        if called(node) != "drop" or not is_view(node):
            self.generic_visit(node)
            return node
        columns = keyword_of(node, "columns")
        given = [part for part in getattr(columns, "elts", []) if isinstance(part, ast.expr)]
        return without([*given, *self._more(given)])

    @override
    def visit_Name(self, node: ast.Name) -> ast.expr:
        return without(self._more([])) if node.id == ROWS else node

    def _more(self, given: list[ast.expr]) -> list[ast.expr]:
        dropped: set[str] = set()
        for part in given:
            inner = part.value if isinstance(part, ast.Starred) else part
            value = self._trace.literal(inner)
            dropped |= {str(one) for one in (value if isinstance(value, list) else [value])}
        unseen = [name for name in (self._label, self._trace.index) if name and name not in dropped]
        return [ast.Constant(name) for name in unseen]


def _column(trace: Trace, node: ast.expr) -> str:
    """The column of the table at the root of an expression."""
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript) and is_table(part.value):
            found = trace.literal(part.slice)
            if isinstance(found, list) and found:
                found = found[0]
            if isinstance(found, str):
                return found
        if isinstance(part, ast.Attribute) and is_table(part.value):
            methods = {"loc", "iloc", "columns", "index", "values", "shape", "drop", "to_numpy"}
            if part.attr not in methods:
                return part.attr
    return ""


def _named(node: ast.expr, column: str) -> ast.expr:
    if is_table(getattr(node, "value", node)) and isinstance(node, ast.Attribute | ast.Subscript):
        return _subscript(column)
    if isinstance(node, ast.Attribute) and node.attr == "values":
        return _named(node.value, column)
    return node


def _subscript(column: str) -> ast.expr:
    return ast.Subscript(rows_name(), ast.Constant(column), ast.Load())


def _all_but_last(index: ast.expr) -> bool:
    text = ast.unparse(index)
    return text.replace(" ", "").strip("()") in {":,:-1", ":,0:-1"}


def _over_rows(node: ast.AST) -> bool:
    """Whether a figure is taken down the rows, not across the columns."""
    return not any(
        isinstance(part, ast.keyword)
        and part.arg == "axis"
        and isinstance(part.value, ast.Constant)
        and part.value.value in {1, "columns"}
        for part in ast.walk(node)
    )
