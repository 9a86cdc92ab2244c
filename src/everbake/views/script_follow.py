"""Follows the data of a script from the file to the metric, statement by statement."""

import ast

from everbake.views.script import Script, bound, called, keyword, line, root_name
from everbake.views.script_data import READERS, Closed, Closer, Data, keyword_of
from everbake.views.script_rows import is_frame, is_view, parsed, rows_name, without
from everbake.views.script_tables import (
    Renamed,
    Swapped,
    by_columns,
    closed_target,
    columns_of,
    extended,
    gives_table,
    innermost,
    made_columns,
    merged,
)
from everbake.views.script_trace import Splitting, Step, Trace
from everbake.views.script_training import Training


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
        node = Training(trace, node).visit(node)
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
            and gives_table(self.trace, node.func.id)
        )

    def _framed(self, closed: Closed) -> Data:
        """A table made of the table: a step of `features`; what was dropped stays dropped."""
        outer: ast.Call | None = None
        node = closed.expr
        if called(node) == "drop" and isinstance(node, ast.Call):
            outer, node = node, node.func.value if isinstance(node.func, ast.Attribute) else node
        view = innermost(node)
        body: ast.expr = Swapped(view).visit(node) if view is not None else node
        self.feature(ast.Assign([ast.Name("rows", ast.Store())], body), made_columns(body))
        base = view if view is not None else rows_name()
        if outer is not None:
            columns = keyword_of(outer, "columns")
            base = without(columns.elts if isinstance(columns, ast.List) else [], base)
        return Data(base, closed.chain)

    def _changed(self, target: ast.Subscript | ast.Attribute, value: ast.expr) -> None:
        """`df["c"] = ...`, or a change of something that is not data."""
        trace = self.trace
        root = root_name(target)
        closed = trace.close(value)
        if root not in trace.known:
            node = ast.Assign([closed_target(trace, target)], closed.expr)
            self._local(node, {root} if root else set())
            return
        data = trace.known[root]
        if data.fitted or closed.large:
            return
        if not is_view(data.expr):
            trace.guess(self.node, f"the change of {ast.unparse(target)} is left out")
            return
        place = Renamed(root).visit(ast.parse(ast.unparse(target), mode="eval").body)
        place = Closer(trace.known, trace.literal, trace.index).visit(place)
        place.ctx = ast.Store()
        columns = columns_of(target, trace)
        if isinstance(target, ast.Attribute):
            columns = {target.attr}
        self.feature(ast.Assign([place], closed.expr), columns)
        trace.known[root] = extended(data, columns, trace)

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
            swapped = Renamed(*tables).visit(node)
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
        made = by_columns(trace, step, columns)
        trace.known[name] = Data(data.expr, merged(data.chain, made))
        trace.note(node, "the transformer of some columns became a step of the model's pipeline")
        return True

    def _local(self, node: ast.stmt, writes: set[str]) -> None:
        self.trace.locals.append(Step(node, line(self.node), frozenset(writes - {""})))

    def feature(self, node: ast.stmt, columns: set[str]) -> None:
        """Keep a step of `features`."""
        self.trace.features.append(Step(node, line(self.node), frozenset(columns)))
