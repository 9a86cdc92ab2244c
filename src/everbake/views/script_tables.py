"""What the statements of a script do to its table."""

import ast
from typing import Any

from typing_extensions import override

from everbake.views.script import called, root_name
from everbake.views.script_data import Closer, Data
from everbake.views.script_rows import is_frame, is_view, parsed, rows_name
from everbake.views.script_trace import Trace


class Renamed(ast.NodeTransformer):
    """Says a table by the name that the recipe gives it."""

    def __init__(self, *roots: str) -> None:
        self._roots = roots

    @override
    def visit_Name(self, node: ast.Name) -> ast.Name:
        """The new name."""
        return ast.Name("rows", node.ctx) if node.id in self._roots else node


class Swapped(ast.NodeTransformer):
    """Replaces a view of the table by the table."""

    def __init__(self, view: ast.expr) -> None:
        self._view = ast.dump(view)

    @override
    def visit(self, node: ast.AST) -> Any:
        """The table in place of the view."""
        if isinstance(node, ast.expr) and ast.dump(node) == self._view:
            return rows_name()
        return self.generic_visit(node)


def innermost(node: ast.expr) -> ast.expr | None:
    """The table, or columns of it, that an expression starts from."""
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
    """The columns that `assign` makes in an expression."""
    return {
        word.arg
        for part in ast.walk(node)
        if called(part) == "assign" and isinstance(part, ast.Call)
        for word in part.keywords
        if word.arg
    }


def columns_of(target: ast.expr, trace: Trace) -> set[str]:
    """The columns that an assignment changes, where the script fixes them."""
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
    """The target of an assignment with what comes from the data said over `rows`."""
    closed: ast.expr = Closer(trace.known, trace.literal, trace.index).visit(
        parsed(ast.unparse(target))
    )
    return closed


def by_columns(trace: Trace, step: ast.expr, columns: ast.expr) -> ast.expr:
    """A transformer of some columns, the others passed through."""
    made = trace.values.get(step.id) if isinstance(step, ast.Name) else step
    if made is not None and called(made) == "LabelEncoder":
        step = parsed('OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)')
    text = trace.text(columns)
    closed = ast.List([ast.Constant(text)], ast.Load()) if text else trace.close(columns).expr
    part = ast.Tuple([ast.Constant("columns"), step, closed], ast.Load())
    rest = ast.keyword("remainder", ast.Constant("passthrough"))
    name = ast.Name("ColumnTransformer", ast.Load())
    return ast.Call(name, [ast.List([part], ast.Load())], [rest])


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


def merged(chain: tuple[ast.expr, ...], made: ast.expr) -> tuple[ast.expr, ...]:
    """A chain with one more transformer of some columns: those stand in one step.

    A transformer after another one would not know the columns by name any more.
    """
    before, more = _entries(chain[-1] if chain else made), _entries(made)
    if not chain or before is None or more is None or not isinstance(made, ast.Call):
        return (*chain, made)
    entries: list[ast.expr] = []
    for place, entry in enumerate([*before, *more], 1):
        if isinstance(entry, ast.Tuple):
            name = ast.Constant(f"columns_{place}")
            entries.append(ast.Tuple([name, *entry.elts[1:]], ast.Load()))
    call = ast.Call(made.func, [ast.List(entries, ast.Load())], made.keywords)
    return (*chain[:-1], call)


def without_label(trace: Trace, chain: tuple[ast.expr, ...], label: str) -> list[ast.expr]:
    """A chain of transformers without what the script did to its label."""
    kept: list[ast.expr] = []
    for step in chain:
        entries = _entries(step)
        if entries is None or not isinstance(step, ast.Call):
            kept.append(step)
            continue
        others = [
            entry
            for entry in entries
            if not (isinstance(entry, ast.Tuple) and trace.literal(entry.elts[-1]) == [label])
        ]
        if others:
            kept.append(ast.Call(step.func, [ast.List(others, ast.Load())], step.keywords))
    return kept


def _entries(step: ast.expr) -> list[ast.expr] | None:
    """The entries of a transformer of columns that was made here."""
    if called(step) != "ColumnTransformer" or not isinstance(step, ast.Call) or not step.args:
        return None
    listed = step.args[0]
    return listed.elts if isinstance(listed, ast.List) else None
