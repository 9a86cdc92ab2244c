"""Says every value of a script that comes from its data as one expression over `rows`."""

import ast
import copy
from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import override

from everbake.views.script import bound, called, names, root_name
from everbake.views.script_rows import ROWS, is_frame, is_table, is_view, parsed, rows_name, without

MODEL = "__model"
# A value that takes more than this to say is not followed further.
_LARGEST = 400
_SAME_ROWS = frozenset(
    [
        "copy",
        "reset_index",
        "sort_values",
        "sort_index",
        "sample",
        "infer_objects",
        "convert_dtypes",
        "compute",
        "collect",
        "to_pandas",
        "toPandas",
    ]
)
_FEWER_ROWS = frozenset(["dropna", "drop_duplicates", "query", "head", "tail"])
_MASKS = frozenset(
    [
        "isin",
        "between",
        "notna",
        "notnull",
        "isna",
        "isnull",
        "duplicated",
        "contains",
        "startswith",
        "endswith",
        "eq",
        "ne",
        "gt",
        "ge",
        "lt",
        "le",
        "any",
        "all",
    ]
)
READERS = frozenset(
    [
        "read_csv",
        "read_table",
        "read_parquet",
        "read_json",
        "read_feather",
        "read_excel",
        "read_pickle",
        "read_sql",
        "read_sql_query",
        "read_sql_table",
        "read_fwf",
        "read_orc",
        "read_hdf",
        "read_html",
        "read_delta",
    ]
)


@dataclass(frozen=True)
class Data:
    """A value that comes from the data.

    Attributes:
        expr: the value, said over `rows` and, after training, over the model.
        chain: transformers that the script fitted by hand on the way, in order.
    """

    expr: ast.expr
    chain: tuple[ast.expr, ...] = ()

    @property
    def fitted(self) -> bool:
        """Whether a trained model had a part in it."""
        return any(name.startswith(MODEL) for name in names(self.expr))


@dataclass(frozen=True)
class Closed:
    """An expression with everything that comes from the data said over `rows`.

    Attributes:
        expr: the expression.
        chain: transformers met on the way.
        filters: what left out rows, as expressions over `rows`.
        chosen: what selected rows by position or by name, such as a training index.
        large: whether it is too long to be followed.
    """

    expr: ast.expr
    chain: tuple[ast.expr, ...] = ()
    filters: tuple[ast.expr, ...] = ()
    chosen: bool = False
    large: bool = False

    @property
    def of_data(self) -> bool:
        """Whether the data or a trained model had a part in it."""
        return any(name == ROWS or name.startswith(MODEL) for name in names(self.expr))

    @property
    def data(self) -> Data:
        """As a value to be kept under a name."""
        return Data(self.expr, self.chain)


def size(node: ast.AST) -> int:
    """How many parts a piece of code has."""
    return sum(1 for _ in ast.walk(node))


class Closer(ast.NodeTransformer):
    """Replaces names that stand for data by what they stand for, and simplifies on the way.

    Args:
        known: what stands for data.
        literal: the value of an expression if the script fixes it, else None.
        index: the column that the script made the index of its table.
    """

    def __init__(
        self, known: dict[str, Data], literal: Callable[[ast.expr], object], index: str = ""
    ) -> None:
        self._known = known
        self._index = index
        self._literal = literal
        self._chain: tuple[ast.expr, ...] = ()
        self._filters: list[ast.expr] = []
        self._chosen = False
        self._shadowed: set[str] = set()

    def close(self, node: ast.expr) -> Closed:
        """The closed form of an expression."""
        total = size(node) + sum(
            size(self._known[part.id].expr)
            for part in ast.walk(node)
            if isinstance(part, ast.Name) and part.id in self._known
        )
        if total > _LARGEST:
            return Closed(node, large=True)
        self._shadowed = _own(node)
        closed = self.visit(copy.deepcopy(node))
        return Closed(closed, self._chain, tuple(self._filters), self._chosen)

    @override
    def visit_Name(self, node: ast.Name) -> ast.expr:
        """What the name stands for."""
        found = self._known.get(node.id)
        if found is None or node.id in self._shadowed or not isinstance(node.ctx, ast.Load):
            return node
        if len(found.chain) > len(self._chain):
            self._chain = found.chain
        return copy.deepcopy(found.expr)

    @override
    def visit_Call(self, node: ast.Call) -> ast.expr:
        """The same rows where a call only leaves rows out or orders them."""
        self.generic_visit(node)
        name = called(node)
        if name in READERS:
            return rows_name()
        if not isinstance(node.func, ast.Attribute) or not is_frame(node.func.value):
            return node
        table = node.func.value
        if name in _SAME_ROWS or (name == "set_index" and is_view(table)):
            return table
        if name in _FEWER_ROWS:
            words = [word for word in node.keywords if word.arg != "inplace"]
            self._filters.append(ast.Call(_on_rows(node), node.args, words))
            return table
        return self._dropped(node, table) if name == "drop" else node

    @override
    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """The column that the script made the index."""
        self.generic_visit(node)
        if node.attr == "index" and is_view(node.value) and self._index:
            column = ast.Subscript(rows_name(), ast.Constant(self._index), ast.Load())
            return ast.Call(parsed("pd.DatetimeIndex"), [column], [])
        return node

    @override
    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """The column or columns; a choice of rows stays away."""
        self.generic_visit(node)
        by = node.value
        if isinstance(by, ast.Attribute) and by.attr in {"loc", "iloc"}:
            return self._located(node, by)
        if called(by) == "get_dummies" and isinstance(node.slice, ast.Constant):
            return ast.Subscript(rows_name(), node.slice, ast.Load())
        if is_view(by) or self._is_column(by):
            if self._picks_rows(node.slice):
                return self._chosen_rows(node, by)
            if is_view(by) and not is_table(by):
                return ast.Subscript(rows_name(), node.slice, ast.Load())
        return node

    def _located(self, node: ast.Subscript, by: ast.Attribute) -> ast.expr:
        inner, index = by.value, node.slice
        if not (is_view(inner) or self._is_column(inner)):
            return node
        if not (isinstance(index, ast.Tuple) and len(index.elts) == 2):  # noqa: PLR2004
            self._chosen_rows(ast.Subscript(inner, index, ast.Load()), inner)
            return inner
        which, columns = index.elts
        if not _is_whole(which):
            self._chosen_rows(ast.Subscript(inner, which, ast.Load()), inner)
        if _is_whole(columns):
            return inner
        if by.attr == "iloc" or isinstance(columns, ast.Slice):
            return ast.Subscript(by, ast.Tuple([ast.Slice(), columns], ast.Load()), ast.Load())
        return ast.Subscript(rows_name(), columns, ast.Load())

    def _chosen_rows(self, node: ast.Subscript, by: ast.expr) -> ast.expr:
        if _is_mask(node.slice) and is_view(by):
            self._filters.append(ast.Subscript(rows_name(), node.slice, ast.Load()))
        else:
            self._chosen = True
        return by

    def _is_column(self, node: ast.expr) -> bool:
        """One column of the table, or its plain values."""
        while isinstance(node, ast.Attribute) and node.attr == "values":
            node = node.value
        if called(node) in {"to_numpy", "astype"} and isinstance(node, ast.Call):
            return isinstance(node.func, ast.Attribute) and self._is_column(node.func.value)
        if isinstance(node, ast.Attribute):
            return is_table(node.value) and node.attr not in {"index", "columns", "shape", "T"}
        return isinstance(node, ast.Subscript) and is_table(node.value)

    def _picks_rows(self, index: ast.expr) -> bool:
        if isinstance(index, ast.Slice) or _is_mask(index):
            return True
        if isinstance(index, ast.Name) and self._literal(index) is None:
            return any(
                part in index.id.lower() for part in ("idx", "index", "mask", "train", "test")
            )
        return False

    def _dropped(self, node: ast.Call, table: ast.expr) -> ast.expr:
        """`drop` in one form; `drop` of rows stays away."""
        columns = _argument(node, "columns", position=9)
        axis = self._literal(keyword_of(node, "axis"))
        if columns is None and len(node.args) > 1:
            axis = self._literal(node.args[1])
        if columns is None and axis in {1, "columns"}:
            columns = node.args[0] if node.args else keyword_of(node, "labels")
        if columns is None:
            self._filters.append(ast.Call(_on_rows(node), node.args, node.keywords))
            return table
        parts = [columns] if not isinstance(columns, ast.List | ast.Tuple) else columns.elts
        if (parts == [columns] and isinstance(self._literal(columns), list | tuple)) or (
            parts == [columns] and self._literal(columns) is None
        ):
            parts = [ast.Starred(columns, ast.Load())]
        before = _dropped_before(table)
        if before is not None:
            return without([*before, *parts])
        return without(parts, table)


def keyword_of(call: ast.Call, name: str) -> ast.expr:
    """A keyword argument, or the constant None."""
    return next((w.value for w in call.keywords if w.arg == name), ast.Constant(None))


def _argument(call: ast.Call, name: str, *, position: int = 0) -> ast.expr | None:
    found = next((word.value for word in call.keywords if word.arg == name), None)
    if found is None and len(call.args) > position:
        return call.args[position]
    return found


def _on_rows(node: ast.Call) -> ast.expr:
    return ast.Attribute(rows_name(), called(node), ast.Load())


def _dropped_before(table: ast.expr) -> list[ast.expr] | None:
    if called(table) != "drop" or not isinstance(table, ast.Call):
        return None
    if not (isinstance(table.func, ast.Attribute) and is_table(table.func.value)):
        return None
    columns = keyword_of(table, "columns")
    return list(columns.elts) if isinstance(columns, ast.List) else None


def _is_whole(index: ast.expr) -> bool:
    return isinstance(index, ast.Slice) and index.lower is None and index.upper is None


def _is_mask(index: ast.expr) -> bool:
    if isinstance(index, ast.Compare | ast.BoolOp):
        return True
    if isinstance(index, ast.UnaryOp):
        return isinstance(index.op, ast.Invert | ast.Not) and not isinstance(
            index.operand, ast.Constant
        )
    if isinstance(index, ast.BinOp):
        return isinstance(index.op, ast.BitAnd | ast.BitOr | ast.BitXor)
    return called(index) in _MASKS and root_name(index) == ROWS


def _own(node: ast.expr) -> set[str]:
    """Names that lambdas and comprehensions inside an expression bind for themselves."""
    return bound(node)
