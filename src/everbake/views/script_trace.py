"""What is found on the way through a script."""

import ast
from dataclasses import dataclass, field

from everbake.views.script import Import, Script, line, root_name
from everbake.views.script_data import Closed, Closer, Data

_NESTED = 8


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
        return self._sum(node, depth) if isinstance(node, ast.BinOp) else None

    def _sum(self, node: ast.BinOp, depth: int) -> object:
        left, right = self.literal(node.left, depth + 1), self.literal(node.right, depth + 1)
        if isinstance(node.op, ast.Add) and isinstance(left, list) and isinstance(right, list):
            return [*left, *right]
        return None

    def _listed(self, parts: list[ast.expr], depth: int) -> object:
        found: list[object] = []
        for part in parts:
            inner = part.value if isinstance(part, ast.Starred) else part
            value = self.literal(inner, depth + 1)
            if value is None:
                return None
            found.extend(
                value if isinstance(part, ast.Starred) and isinstance(value, list) else [value]
            )
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
