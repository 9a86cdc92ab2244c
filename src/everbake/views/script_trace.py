"""Follows the data of a script from the file to the metric, statement by statement."""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from everbake.views.script import Import, Script, bound, called, keyword, line, names, root_name
from everbake.views.script_data import (
    MODEL,
    READERS,
    Closed,
    Closer,
    Data,
    is_frame,
    is_view,
    keyword_of,
    parsed,
    rows_name,
    without,
)

_NESTED = 50


@dataclass(frozen=True)
class Step:
    """A statement that the recipe keeps.

    Attributes:
        node: the statement, said over `rows`.
        line: where the script has it.
        writes: the names or, of a feature, the columns that it makes or changes.
    """

    node: ast.stmt
    line: int
    writes: frozenset[str]


@dataclass(frozen=True)
class Fit:
    """One call of `model.fit(X, y)`; `locals` counts the local statements before it."""

    key: str
    model: ast.expr
    inputs: Closed
    label: Closed
    words: tuple[ast.keyword, ...]
    line: int
    locals: int


@dataclass(frozen=True)
class Score:
    """One call of a metric, or of `model.score` (then `call` is None), or a scoring name."""

    key: str
    line: int
    call: ast.Call | None = None
    truth: ast.expr | None = None
    answer: ast.expr | None = None
    scoring: str = ""


@dataclass(frozen=True)
class Splitting:
    """How the script holds rows out."""

    line: int
    share: float | None = None
    timely: bool = False
    stratified: bool = False


@dataclass
class Trace:
    """What was found on the way; filled by :func:`follow`."""

    script: Script
    known: dict[str, Data] = field(default_factory=dict)
    values: dict[str, ast.expr] = field(default_factory=dict)
    features: list[Step] = field(default_factory=list)
    filters: list[Step] = field(default_factory=list)
    locals: list[Step] = field(default_factory=list)
    fits: list[Fit] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    answers: list[tuple[str, ast.expr]] = field(default_factory=list)
    splits: list[Splitting] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    ordered: list[str] = field(default_factory=list)
    index: str = ""
    popped: str = ""
    notes: list[tuple[int, str]] = field(default_factory=list)
    guesses: list[tuple[int, str]] = field(default_factory=list)

    def close(self, node: ast.expr) -> Closed:
        """An expression with everything from the data said over `rows`."""
        return Closer(self.known, self.literal, self.index).close(node)

    def literal(self, node: ast.expr, depth: int = 0) -> object:
        """The value of an expression if the script fixes it, else None."""
        if depth > _NESTED:
            return None
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            found = self.values.get(node.id)
            return None if found is None else self.literal(found, depth + 1)
        if isinstance(node, ast.List | ast.Tuple):
            return self._listed(node.elts, depth)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.literal(node.left, depth + 1), self.literal(node.right, depth + 1)
            if isinstance(left, list) and isinstance(right, list):
                return left + right
        return None

    def _listed(self, parts: list[ast.expr], depth: int) -> object:
        found: list[object] = []
        for part in parts:
            inner = part.value if isinstance(part, ast.Starred) else part
            value = self.literal(inner, depth + 1)
            if value is None:
                return None
            found.extend(value if isinstance(part, ast.Starred) and isinstance(value, list) else [value])
        return found

    def origin(self, node: ast.expr) -> Import | None:
        """The import that the root of an expression goes back to."""
        return self.script.imports.get(root_name(node))

    def text(self, node: ast.expr) -> str:
        """The text that an expression is fixed to, or nothing."""
        value = self.literal(node)
        return value if isinstance(value, str) else ""

    def note(self, node: ast.AST, text: str) -> None:
        """Keep something that was found."""
        self.notes.append((line(node), text))

    def guess(self, node: ast.AST, text: str) -> None:
        """Keep something that the person must look at."""
        self.guesses.append((line(node), text))


def follow(script: Script, body: list[ast.stmt]) -> Trace:
    """Follow the data through the statements of a script."""
    trace = Trace(script, values=dict(script.constants))
    for node in body:
        _Statement(trace, node).take()
    return trace


class _Statement:
    """One statement on its way."""

    def __init__(self, trace: Trace, node: ast.stmt) -> None:
        self.trace = trace
        self.node = node

    def take(self) -> None:
        """Keep what the statement tells."""
        node = self.node
        trace = self.trace
        if isinstance(node, ast.Assign | ast.AnnAssign) and self._scaled_columns(node):
            return
        node = _Training(trace, node).visit(node)
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._assign(node.target, node.value)
        elif isinstance(node, ast.AugAssign):
            target = ast.parse(ast.unparse(node.target), mode="eval").body
            self._assign(node.target, ast.BinOp(target, node.op, node.value))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            self._call(node.value)
        elif isinstance(node, ast.For | ast.If | ast.While):
            self._compound(node)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._named(target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            self._several(target.elts, value)
        elif isinstance(target, ast.Subscript | ast.Attribute):
            self._changed(target, value)

    def _several(self, targets: list[ast.expr], value: ast.expr) -> None:
        if called(value) == "train_test_split" and isinstance(value, ast.Call):
            self._split(targets, value)
            return
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(targets):
            closed = [self.trace.close(part) for part in value.elts]
            for target, part, new in zip(targets, value.elts, closed, strict=True):
                if isinstance(target, ast.Name):
                    self._named(target.id, part, new)
                else:
                    self._assign(target, part)
            return
        closed_value = self.trace.close(value)
        if closed_value.of_data and not closed_value.large:
            for place, target in enumerate(targets):
                if isinstance(target, ast.Name):
                    part = ast.Subscript(closed_value.expr, ast.Constant(place), ast.Load())
                    self.trace.known[target.id] = Data(part)
            return
        pair = ast.Tuple(targets, ast.Store())
        self._local(ast.Assign([pair], closed_value.expr), bound(pair))

    def _split(self, targets: list[ast.expr], call: ast.Call) -> None:
        trace = self.trace
        share = trace.literal(keyword_of(call, "test_size"))
        train = trace.literal(keyword_of(call, "train_size"))
        if share is None and isinstance(train, float):
            share = round(1 - train, 6)
        if isinstance(share, int) or (share is None and keyword(call, "test_size") is not None):
            trace.guess(self.node, f"test_size={share} is no share; the recipe holds a fifth out")
            share = 0.2
        trace.splits.append(
            Splitting(
                line(self.node),
                share if isinstance(share, float) else 0.25,
                timely=trace.literal(keyword_of(call, "shuffle")) is False,
                stratified=trace.literal(keyword_of(call, "stratify")) is not None
                or not isinstance(keyword_of(call, "stratify"), ast.Constant),
            )
        )
        for place, target in enumerate(targets):
            if isinstance(target, ast.Name) and place // 2 < len(call.args):
                closed = trace.close(call.args[place // 2])
                trace.known[target.id] = closed.data

    def _named(self, name: str, value: ast.expr, closed: Closed | None = None) -> None:
        trace = self.trace
        trace.values.pop(name, None)
        self._reading(value)
        popped = self._popped(value)
        if popped is not None:
            trace.known[name] = popped
            return
        closed = closed or trace.close(value)
        if not closed.of_data or closed.large:
            trace.known.pop(name, None)
            if name not in trace.script.constants:
                self._local(ast.Assign([ast.Name(name, ast.Store())], closed.expr), {name})
            if not closed.large:
                trace.values[name] = value
            return
        self._rows_left_out(name, closed)
        trace.known[name] = self._framed(closed) if self._is_transform(closed.expr) else closed.data

    def _is_transform(self, node: ast.expr) -> bool:
        if is_view(node):
            return False
        if is_frame(node):
            return not any(called(part) == "get_dummies" for part in ast.walk(node))
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and bool(node.args)
            and is_frame(node.args[0])
            and _gives_table(self.trace, node.func.id)
        )

    def _framed(self, closed: Closed) -> Data:
        """A table made of the table: a step of `features`; what was dropped stays dropped."""
        outer: ast.expr | None = None
        node = closed.expr
        if called(node) == "drop" and isinstance(node, ast.Call):
            outer, node = node, node.func.value if isinstance(node.func, ast.Attribute) else node
        view = _innermost(node)
        body = _Swapped(view).visit(node) if view is not None else node
        self.feature(ast.Assign([ast.Name("rows", ast.Store())], body), _made_columns(body))
        base = view if view is not None else rows_name()
        if outer is not None and isinstance(outer, ast.Call):
            columns = keyword_of(outer, "columns")
            base = without(columns.elts if isinstance(columns, ast.List) else [], base)
        return Data(base, closed.chain)

    def _changed(self, target: ast.Subscript | ast.Attribute, value: ast.expr) -> None:
        """`df["c"] = ...`, or a change of something that is not data."""
        trace = self.trace
        root = root_name(target)
        closed = trace.close(value)
        if root not in trace.known:
            node = ast.Assign([_closed_target(trace, target)], closed.expr)
            self._local(node, {root} if root else set())
            return
        data = trace.known[root]
        if data.fitted or closed.large:
            return
        if not is_view(data.expr):
            trace.guess(self.node, f"the change of {ast.unparse(target)} is left out")
            return
        place = _Root(root).visit(ast.parse(ast.unparse(target), mode="eval").body)
        place = Closer(trace.known, trace.literal, trace.index).visit(place)
        place.ctx = ast.Store()
        columns = _columns_of(target, trace)
        if isinstance(target, ast.Attribute):
            columns = {target.attr}
        self.feature(ast.Assign([place], closed.expr), columns)
        trace.known[root] = _extended(data, columns, trace)

    def _call(self, call: ast.Call) -> None:
        trace = self.trace
        root = root_name(call.func)
        name = called(call)
        if root in trace.known and isinstance(call.func, ast.Attribute):
            if trace.literal(keyword_of(call, "inplace")) is True and isinstance(
                call.func.value, ast.Name
            ):
                call.keywords = [word for word in call.keywords if word.arg != "inplace"]
                self._named(root, call)
            elif name == "pop":
                self._popped(call)
            return
        if root and isinstance(call.func, ast.Attribute) and root not in trace.script.imports:
            self._local(ast.Expr(trace.close(call).expr), {root})

    def _compound(self, node: ast.stmt) -> None:
        trace = self.trace
        stored = {
            root_name(part)
            for part in ast.walk(node)
            if isinstance(part, ast.Subscript | ast.Attribute | ast.Name)
            and not isinstance(part.ctx, ast.Load)
        }
        closer = Closer(trace.known, trace.literal, trace.index)
        tables = {n for n in stored if n in trace.known and is_view(trace.known[n].expr)}
        if tables:
            swapped = _Root(*tables).visit(node)
            self.feature(closer.visit(swapped), set())
        else:
            writes = stored | {root_name(c.func) for c in ast.walk(node) if isinstance(c, ast.Call)}
            self._local(closer.visit(node), writes - set(trace.script.imports))

    def _popped(self, value: ast.expr) -> Data | None:
        """`df.pop("y")`: the column, which the table has no more."""
        trace = self.trace
        if called(value) != "pop" or not isinstance(value, ast.Call) or not value.args:
            return None
        name = root_name(value)
        data = trace.known.get(name)
        if data is None or not is_view(data.expr):
            return None
        column = value.args[0]
        dropped = trace.close(parsed(f"{name}.drop(columns=[{ast.unparse(column)}])"))
        trace.known[name] = dropped.data
        return Data(ast.Subscript(rows_name(), column, ast.Load()))

    def _reading(self, value: ast.expr) -> None:
        for call in ast.walk(value):
            if not isinstance(call, ast.Call):
                continue
            if called(call) in READERS:
                dates = self.trace.literal(keyword_of(call, "parse_dates"))
                index = self.trace.text(keyword_of(call, "index_col"))
                self.trace.index = index or self.trace.index
                found = dates if isinstance(dates, list) else [index] if dates is True else []
                self.trace.dates += [name for name in found if isinstance(name, str) and name]
            elif called(call) == "set_index" and call.args:
                self.trace.index = self.trace.text(call.args[0]) or self.trace.index
            elif called(call) == "sort_values":
                by = call.args[0] if call.args else keyword_of(call, "by")
                column = self.trace.literal(by)
                column = column[0] if isinstance(column, list) and column else column
                self.trace.ordered += [column] if isinstance(column, str) else []
            elif called(call) == "sort_index" and self.trace.index:
                self.trace.ordered.append(self.trace.index)

    def _rows_left_out(self, name: str, closed: Closed) -> None:
        parts = ("train", "test", "val", "hold", "new", "future", "eval", "sample")
        dividing = any(part in name.lower() for part in parts)
        if closed.chosen or (dividing and closed.filters):
            self.trace.splits.append(Splitting(line(self.node), timely=True))
        if dividing:
            return
        for kept in closed.filters:
            step = ast.Assign([ast.Name("rows", ast.Store())], kept)
            self.trace.filters.append(Step(step, line(self.node), frozenset()))
            self.trace.note(
                self.node,
                f"{ast.unparse(kept)} leaves rows out of training only; "
                "everbake judges and serves every row",
            )

    def _scaled_columns(self, node: ast.Assign | ast.AnnAssign) -> bool:
        """`X[cols] = scaler.fit_transform(X[cols])`, as a step that the model keeps."""
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        value, trace = node.value, self.trace
        if not (isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name)):
            return False
        name = target.value.id
        if called(value or target) not in {"fit_transform", "transform"} or name not in trace.known:
            return False
        if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)):
            return False
        step = value.func.value
        data = trace.known[name]
        columns = target.slice
        if trace.text(columns):
            columns = ast.List([columns], ast.Load())
        made = _by_columns(trace, step, columns)
        trace.known[name] = Data(data.expr, (*data.chain, made))
        trace.note(node, "the transformer of some columns became a step of the model's pipeline")
        return True

    def _local(self, node: ast.stmt, writes: set[str]) -> None:
        self.trace.locals.append(Step(node, line(self.node), frozenset(writes - {""})))

    def feature(self, node: ast.stmt, columns: set[str]) -> None:
        """Keep a step of `features`."""
        self.trace.features.append(Step(node, line(self.node), frozenset(columns)))


class _Training(ast.NodeTransformer):
    """Takes trainings, metrics and transformers out of a statement."""

    def __init__(self, trace: Trace, statement: ast.stmt) -> None:
        self._trace = trace
        self._statement = statement

    def _skip(self, node: ast.AST) -> ast.AST:
        return node

    visit_Lambda = visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _skip
    visit_For = visit_If = visit_While = visit_FunctionDef = visit_ClassDef = _skip

    def visit_Call(self, node: ast.Call) -> ast.expr:  # noqa: N802
        self.generic_visit(node)
        handlers: dict[str, Callable[[ast.Call], ast.expr]] = {
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
        assert isinstance(node.func, ast.Attribute | ast.Name)
        if isinstance(node.func, ast.Name):
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


class _Root(ast.NodeTransformer):
    """Says a table by the name that the recipe gives it."""

    def __init__(self, *roots: str) -> None:
        self._roots = roots

    def visit_Name(self, node: ast.Name) -> ast.Name:  # noqa: N802
        return ast.Name("rows", node.ctx) if node.id in self._roots else node


class _Swapped(ast.NodeTransformer):
    """Replaces a view of the table by the table."""

    def __init__(self, view: ast.expr) -> None:
        self._view = ast.dump(view)

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and ast.dump(node) == self._view:
            return rows_name()
        return self.generic_visit(node)


def _innermost(node: ast.expr) -> ast.expr | None:
    while not is_view(node):
        if not isinstance(node, ast.Call):
            return None
        inner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if inner is not None and is_frame(inner):
            node = inner
        elif node.args:
            node = node.args[0]
        else:
            return None
    return node


def _made_columns(node: ast.expr) -> set[str]:
    return {
        word.arg
        for part in ast.walk(node)
        if called(part) == "assign" and isinstance(part, ast.Call)
        for word in part.keywords
        if word.arg
    }


def _columns_of(target: ast.expr, trace: Trace) -> set[str]:
    if not isinstance(target, ast.Subscript):
        return set()
    place = target.slice
    if isinstance(place, ast.Tuple) and place.elts and isinstance(target.value, ast.Attribute):
        place = place.elts[-1]
    value = trace.literal(place)
    found = value if isinstance(value, list) else [value]
    return {name for name in found if isinstance(name, str)}


def _extended(data: Data, columns: set[str], trace: Trace) -> Data:
    """A choice of columns has the new ones as well."""
    view = data.expr
    if not isinstance(view, ast.Subscript):
        return data
    chosen = trace.literal(view.slice)
    new = sorted(columns - set(map(str, chosen if isinstance(chosen, list) else [])))
    if not new:
        return data
    if isinstance(view.slice, ast.List):
        parts = [*view.slice.elts]
    else:
        parts = [ast.Starred(view.slice, ast.Load())]
    parts += [ast.Constant(name) for name in new]
    return Data(ast.Subscript(view.value, ast.List(parts, ast.Load()), ast.Load()), data.chain)


def _closed_target(trace: Trace, target: ast.Subscript | ast.Attribute) -> ast.expr:
    made = ast.parse(ast.unparse(target), mode="eval").body
    closed = Closer(trace.known, trace.literal, trace.index).visit(made)
    closed.ctx = ast.Store()
    assert isinstance(closed, ast.expr)
    return closed


def _by_columns(trace: Trace, step: ast.expr, columns: ast.expr) -> ast.expr:
    made = trace.values.get(step.id) if isinstance(step, ast.Name) else step
    if made is not None and called(made) == "LabelEncoder":
        step = parsed('OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)')
    closed = trace.close(columns).expr
    part = ast.Tuple([ast.Constant("columns"), step, closed], ast.Load())
    call = parsed('ColumnTransformer([], remainder="passthrough")')
    assert isinstance(call, ast.Call)
    call.args = [ast.List([part], ast.Load())]
    return call


def _gives_table(trace: Trace, name: str) -> bool:
    """Whether a function of the script gives back the table that it was given."""
    function = trace.script.function(name)
    if function is None or not function.args.args:
        return False
    own = {function.args.args[0].arg}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and root_name(node.value) in own:
            own |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    last = function.body[-1]
    return (
        isinstance(last, ast.Return)
        and last.value is not None
        and root_name(last.value) in own
        and (isinstance(last.value, ast.Name | ast.Call))
    )
