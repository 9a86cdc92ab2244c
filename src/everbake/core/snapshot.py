"""What counts as the same code: a digest over syntax trees, without comments and docstrings."""

import ast
import hashlib
from collections.abc import Mapping
from functools import lru_cache

_FILES = 256  # whose trees are remembered: a recipe is looked at again and again


def code_digest(sources: Mapping[str, str]) -> str:
    """SHA-256 over the syntax trees of some files, in order of their names.

    Layout, comments and docstrings do not count. The form is our own, so that it does not change
    with the version of Python (`ast.dump` does).

    Raises:
        SyntaxError: a file is not Python.

    >>> code_digest({"a.py": "x = 1  # one"}) == code_digest({"a.py": "x=1"})
    True
    """
    state = hashlib.sha256()
    for name in sorted(sources):
        state.update(f"{name}\0{_form_of(sources[name], name)}\0".encode())
    return state.hexdigest()


@lru_cache(_FILES)
def imports(source: str, package: str) -> frozenset[str]:
    """The modules that a file may import, with their parents, as dotted names.

    Args:
        source: the file's text.
        package: the dotted name of the package that the file lies in, "" at the top.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = _anchor(node, package)
            # `from a import b` may mean the module a.b.
            found |= {start} | {f"{start}.{alias.name}".strip(".") for alias in node.names}
    return frozenset(parent for name in found if name for parent in _parents(name))


def _anchor(node: ast.ImportFrom, package: str) -> str:
    if node.level == 0:
        return node.module or ""
    parts = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


@lru_cache(_FILES)
def _form_of(source: str, name: str) -> str:
    return _form(ast.parse(source, name))


def _form(node: object) -> str:
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
        inner = ",".join(f"{name}={_form(_undocumented(name, value))}" for name, value in fields)
        return f"{type(node).__name__}({inner})"
    if isinstance(node, list):
        return f"[{','.join(_form(item) for item in node)}]"
    return repr(node)


def _undocumented(name: str, value: object) -> object:
    """A body without strings that stand alone."""
    if name != "body" or not isinstance(value, list):
        return value
    return [item for item in value if not _is_text(item)]


def _is_text(node: object) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
