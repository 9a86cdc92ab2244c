"""The table of a script, said as `rows`: columns of it, and what methods make of it."""

import ast
from collections.abc import Iterable

from everbake.views.script import called, names

ROWS = "rows"
_TRANSFORMS = frozenset(
    [
        "assign",
        "rename",
        "astype",
        "fillna",
        "replace",
        "pipe",
        "merge",
        "join",
        "interpolate",
        "ffill",
        "bfill",
        "clip",
        "round",
        "where",
        "mask",
        "apply",
        "map",
        "drop",
        "set_axis",
        "add_prefix",
        "add_suffix",
        "transform",
    ]
)


def rows_name() -> ast.expr:
    """The name of the table in the recipe."""
    return ast.Name(ROWS, ast.Load())


def is_table(node: ast.expr) -> bool:
    """Whether an expression is the whole table."""
    return isinstance(node, ast.Name) and node.id == ROWS


def is_view(node: ast.expr) -> bool:
    """Whether an expression is the table, or columns of it."""
    if is_table(node):
        return True
    if (
        called(node) == "drop"
        and isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
    ):
        return is_view(node.func.value)
    return (
        isinstance(node, ast.Subscript)
        and is_table(node.value)
        and not isinstance(node.slice, ast.Constant | ast.Slice)
    )


def is_frame(node: ast.expr) -> bool:
    """Whether an expression is the table, columns of it, or the table changed by methods."""
    while not is_view(node):
        if not isinstance(node, ast.Call):
            return False
        if called(node) in {"get_dummies", "merge"} and node.args and not is_frame_method(node):
            node = node.args[0]
        elif is_frame_method(node) and isinstance(node.func, ast.Attribute):
            node = node.func.value
        else:
            return False
    return True


def is_frame_method(node: ast.Call) -> bool:
    """Whether a call may be a method that makes a table of a table."""
    return (
        isinstance(node.func, ast.Attribute)
        and node.func.attr in _TRANSFORMS
        and (ROWS in names(node.func.value))
    )


def parsed(text: str) -> ast.expr:
    """The syntax tree of an expression."""
    return ast.parse(text, mode="eval").body


def without(columns: Iterable[ast.expr], table: ast.expr | None = None) -> ast.expr:
    """`rows.drop(columns=[...], errors="ignore")`: serving rows have no label to drop."""
    return ast.Call(
        ast.Attribute(table or rows_name(), "drop", ast.Load()),
        [],
        [
            ast.keyword("columns", ast.List(list(columns), ast.Load())),
            ast.keyword("errors", ast.Constant("ignore")),
        ],
    )
