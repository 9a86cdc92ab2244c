"""Reads a script's syntax tree: its imports, definitions and constants. Nothing is run."""

import ast
import builtins
import re
from dataclasses import dataclass

from typing_extensions import override

from everbake.errors import UsageError

Function = ast.FunctionDef | ast.AsyncFunctionDef
# Names that the proposed recipe gives a meaning of its own.
RESERVED = frozenset(
    [
        "train",
        "predict",
        "features",
        "recipe",
        "rows",
        "Gate",
        "GroupSplit",
        "HashSplit",
        "Recipe",
        "Table",
        "TimeSplit",
        "Any",
        "make_pipeline",
        "ColumnTransformer",
    ]
)
_MAGIC = re.compile(r"^([ \t]*)[%!].*$", re.MULTILINE)
_PURE = (
    ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.Name, ast.BinOp, ast.UnaryOp,
    ast.operator, ast.unaryop, ast.expr_context, ast.Starred,
)  # fmt: skip


@dataclass(frozen=True)
class Script:
    """What a script defines.

    Attributes:
        tree: the whole script, with names renamed that the recipe needs for itself.
        imports: the import that binds each name.
        stars: modules of which everything is imported.
        definitions: functions and classes of the top level.
        constants: plain values that the top level binds once.
        sources: the source of definitions in which nothing was renamed.
    """

    tree: ast.Module
    imports: dict[str, "Import"]
    stars: tuple[str, ...]
    definitions: dict[str, Function | ast.ClassDef]
    constants: dict[str, ast.expr]
    sources: dict[str, str]

    def function(self, name: str) -> Function | None:
        """The function of that name, if the script defines it."""
        found = self.definitions.get(name)
        return found if isinstance(found, Function) else None


@dataclass(frozen=True, order=True)
class Import:
    """One imported name: `import module as name` (no `item`) or `from module import item`."""

    module: str
    item: str = ""
    name: str = ""


def read_script(source: str, filename: str) -> Script:
    """What a script defines.

    Raises:
        UsageError: it is not Python.
    """
    text, tree = _parse(source, filename)
    renamed = _rename(tree)
    imports, stars = _imports(tree)
    definitions: dict[str, Function | ast.ClassDef] = {
        node.name: node for node in tree.body if isinstance(node, Function | ast.ClassDef)
    }
    sources = {
        name: _source(text, node)
        for name, node in definitions.items()
        if not (names(node) | bound(node)) & renamed
    }
    return Script(tree, imports, stars, definitions, _constants(tree), sources)


def _source(text: str, node: Function | ast.ClassDef) -> str:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    # Line ends as the parser counts them: str.splitlines knows more of them.
    lines = re.split(r"\r\n|\r|\n", text)[first - 1 : node.end_lineno]
    return "\n".join(lines).rstrip()


def names(node: ast.AST) -> set[str]:
    """Every name that a piece of code mentions."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def bound(node: ast.AST) -> set[str]:
    """Every name that a piece of code binds by itself."""
    made = {
        part.id
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)
    }
    made |= {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    made |= {part.name for part in ast.walk(node) if isinstance(part, Function | ast.ClassDef)}
    made |= {p.name for p in ast.walk(node) if isinstance(p, ast.ExceptHandler) and p.name}
    return made


def is_builtin(name: str) -> bool:
    """Whether Python itself knows a name.

    >>> is_builtin("len")
    True
    """
    return hasattr(builtins, name) or name in {"__file__", "__name__"}


def root_name(node: ast.expr) -> str:
    """The name at the root of an expression such as `a.b[c](d)`, or nothing.

    >>> root_name(ast.parse("a.b[c](d)", mode="eval").body)
    'a'
    """
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def called(node: ast.AST) -> str:
    """The last part of the name of what is called: `fit` for `model.fit(X)`; or nothing."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The keyword argument of a call, or None."""
    return next((word.value for word in call.keywords if word.arg == name), None)


def line(node: ast.AST) -> int:
    """The line of the script on which a piece of code starts."""
    return int(getattr(node, "lineno", 0))


def _parse(source: str, filename: str) -> tuple[str, ast.Module]:
    # A notebook saved as a script keeps lines such as `%matplotlib inline`: they are no Python.
    text = source.lstrip("\ufeff")
    try:
        return text, ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        cause = error
    try:
        plain = _MAGIC.sub(r"\1pass", text)
        return plain, ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        where = f"{filename}, line {getattr(cause, 'lineno', None) or 1}"
        raise UsageError(
            "EB011",
            f"{filename} is not a Python script",
            where=where,
            why=str(getattr(cause, "msg", cause)),
            mend=f"python -m py_compile {filename}",
        ) from cause


def _rename(tree: ast.Module) -> set[str]:
    """Rename what the recipe needs for itself; the new names."""
    tops = {n.name for n in tree.body if isinstance(n, Function | ast.ClassDef)}
    used = names(tree) | bound(tree)
    clashes = (RESERVED | ({"model"} & tops)) & (bound(tree) | tops)
    new = {}
    for name in sorted(clashes):
        other = name.upper() if name == "features" and name not in tops else f"{name}_"
        while other in used:
            other += "_"
        new[name] = other
        used.add(other)
    if new:
        _Renamer(new, tops).visit(tree)
    return set(new.values())


class _Renamer(ast.NodeTransformer):
    def __init__(self, new: dict[str, str], tops: set[str]) -> None:
        self._new = new
        self._tops = tops | {new.get(name, name) for name in tops}

    @override
    def generic_visit(self, node: ast.AST) -> ast.AST:
        for part in ("id", "name", "arg", "asname"):
            value = getattr(node, part, None)
            if isinstance(value, str) and not isinstance(node, ast.keyword | ast.alias):
                setattr(node, part, self._new.get(value, value))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            for word in node.keywords:
                if node.func.id in self._tops and word.arg:
                    word.arg = self._new.get(word.arg, word.arg)
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [self._new.get(name, name) for name in node.names]
        return super().generic_visit(node)


def _imports(tree: ast.Module) -> tuple[dict[str, Import], tuple[str, ...]]:
    found: dict[str, Import] = {}
    stars: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                module = alias.name
                found[name] = Import(module, "", alias.asname or "")
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                if alias.name == "*":
                    stars.append(module)
                else:
                    found[alias.asname or alias.name] = Import(
                        module, alias.name, alias.asname or ""
                    )
    return found, tuple(dict.fromkeys(stars))


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    values: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target: ast.expr = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        else:
            continue
        known = set(values)
        if (
            isinstance(target, ast.Name)
            and node.value is not None
            and all(isinstance(part, _PURE) for part in ast.walk(node.value))
            and names(node.value) <= known
        ):
            values[target.id] = node.value
    changed = _changed(tree)
    kept: dict[str, ast.expr] = {}
    for name, value in values.items():
        if name not in changed and names(value) <= set(kept):
            kept[name] = value
    return kept


def _changed(tree: ast.Module) -> set[str]:
    """Names bound more than once, or changed in place, anywhere in the script."""
    bindings: list[str] = [
        part.id
        for part in ast.walk(tree)
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)
    ]
    changed = {name for name in bindings if bindings.count(name) > 1}
    for part in ast.walk(tree):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            if part.func.attr in {"append", "extend", "update", "insert", "remove", "pop", "add"}:
                changed.add(root_name(part.func))
        elif isinstance(part, ast.Subscript | ast.Attribute) and not isinstance(part.ctx, ast.Load):
            changed.add(root_name(part))
    return changed
