"""What the statements of a script do to its table."""

import ast

from typing_extensions import override

from everbake.views.script import called, root_name
from everbake.views.script_data import Closer, Data, is_frame, is_view, parsed, rows_name
from everbake.views.script_trace import Trace


class Renamed(ast.NodeTransformer):
    """Says a table by the name that the recipe gives it."""

    def __init__(self, *roots: str) -> None:
        self._roots = roots

    @override
    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name("rows", node.ctx) if node.id in self._roots else node


class Swapped(ast.NodeTransformer):
    """Replaces a view of the table by the table."""

    def __init__(self, view: ast.expr) -> None:
        self._view = ast.dump(view)

    @override
    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and ast.dump(node) == self._view:
            return rows_name()
        return self.generic_visit(node)


def innermost(node: ast.expr) -> ast.expr | None:
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


def made_columns(node: ast.expr) -> set[str]:
    return {
        word.arg
        for part in ast.walk(node)
        if called(part) == "assign" and isinstance(part, ast.Call)
        for word in part.keywords
        if word.arg
    }


def columns_of(target: ast.expr, trace: Trace) -> set[str]:
    if not isinstance(target, ast.Subscript):
        return set()
    place = target.slice
    if isinstance(place, ast.Tuple) and place.elts and isinstance(target.value, ast.Attribute):
        place = place.elts[-1]
    value = trace.literal(place)
    found = value if isinstance(value, list) else [value]
    return {name for name in found if isinstance(name, str)}


def extended(data: Data, columns: set[str], trace: Trace) -> Data:
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


def closed_target(trace: Trace, target: ast.Subscript | ast.Attribute) -> ast.expr:
    made = ast.parse(ast.unparse(target), mode="eval").body
    closed = Closer(trace.known, trace.literal, trace.index).visit(made)
    closed.ctx = ast.Store()
    assert isinstance(closed, ast.expr)
    return closed


def by_columns(trace: Trace, step: ast.expr, columns: ast.expr) -> ast.expr:
    made = trace.values.get(step.id) if isinstance(step, ast.Name) else step
    if made is not None and called(made) == "LabelEncoder":
        step = parsed('OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)')
    closed = trace.close(columns).expr
    part = ast.Tuple([ast.Constant("columns"), step, closed], ast.Load())
    call = parsed('ColumnTransformer([], remainder="passthrough")')
    assert isinstance(call, ast.Call)
    call.args = [ast.List([part], ast.Load())]
    return call


def gives_table(trace: Trace, name: str) -> bool:
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
