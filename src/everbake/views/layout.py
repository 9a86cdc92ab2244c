"""Lays syntax trees out as tidy Python: double quotes, lines of at most 100 columns."""

import ast
import io
import sys
import tokenize
from collections.abc import Iterable

from everbake.views.script import Import

_WIDTH = 100
_LONG_CHAIN = 70
_INDENT = "    "
_FSTRING_START = getattr(tokenize, "FSTRING_START", -1)
_FSTRING_END = getattr(tokenize, "FSTRING_END", -1)


def laid_out(node: ast.AST, indent: int = 0) -> str:
    """The source of a statement, indented by so many steps.

    >>> laid_out(ast.parse("x = f('a')").body[0], 1)
    '    x = f("a")'
    """
    ast.fix_missing_locations(node)
    lines = ast.unparse(node).splitlines() or [""]
    pad = _INDENT * indent
    if isinstance(node, ast.Assign | ast.Return | ast.Expr) and (
        len(lines) > 1 or len(pad + lines[0]) > _WIDTH
    ):
        lines = _broken(node, indent)
    text = "\n".join(lines)
    # A string of several lines is no place to indent.
    if any(_is_long_text(part) for part in ast.walk(node)):
        return _quoted(text) if indent == 0 else pad + _quoted(ast.unparse(node).strip("\n"))
    return "\n".join(pad + one if one else one for one in _quoted(text).splitlines())


def expression(node: ast.AST) -> str:
    """The source of an expression.

    >>> expression(ast.parse("x['a']"))
    'x["a"]'
    """
    return _quoted(ast.unparse(node))


def import_lines(imports: Iterable[Import]) -> str:
    """Import statements, in their groups: the standard library, others, everbake."""
    whole = sorted({one for one in imports if not one.item})
    items: dict[str, set[Import]] = {}
    for one in imports:
        if one.item:
            items.setdefault(one.module, set()).add(one)
    lines = [(one.module, 0, _import(one)) for one in whole]
    lines += [(module, 1, _from(module, found)) for module, found in items.items()]
    groups: dict[int, list[tuple[int, str, str]]] = {}
    for module, kind, text in lines:
        groups.setdefault(_group(module), []).append((kind, module, text))
    blocks = ["\n".join(text for _, _, text in sorted(groups[key])) for key in sorted(groups)]
    return "\n\n".join(blocks)


def _is_long_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value


def _import(one: Import) -> str:
    return f"import {one.module}" + (f" as {one.name}" if one.name else "")


def _from(module: str, found: set[Import]) -> str:
    parts = [
        one.item + (f" as {one.name}" if one.name and one.name != one.item else "")
        for one in sorted(
            found, key=lambda one: (not one.item.isupper(), not one.item[:1].isupper(), one.item)
        )
    ]
    text = f"from {module} import {', '.join(parts)}"
    if len(text) <= _WIDTH:
        return text
    return f"from {module} import (\n" + "".join(f"{_INDENT}{part},\n" for part in parts) + ")"


def _group(module: str) -> int:
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names:
        return 0
    return 2 if not root or root == "everbake" else 1


def _broken(node: ast.Assign | ast.Return | ast.Expr, indent: int) -> list[str]:
    """A long statement with the parts of its value on lines of their own."""
    start = ""
    if isinstance(node, ast.Assign):
        start = "".join(f"{ast.unparse(target)} = " for target in node.targets)
    elif isinstance(node, ast.Return):
        start = "return "
    if node.value is None:
        return [start.strip()]
    return _value(start, node.value, "", indent * len(_INDENT)).splitlines()


def _value(start: str, node: ast.expr, end: str, taken: int) -> str:
    """`start`, an expression and `end`, broken where the line is too long."""
    whole = start + ast.unparse(node) + end
    if len(whole) + taken <= _WIDTH and "\n" not in whole:
        return whole
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        chained = isinstance(node.func.value, ast.Call)
        if chained and len(ast.unparse(node.func)) + taken > _LONG_CHAIN:
            given = ast.unparse(ast.Call(ast.Name("", ast.Load()), node.args, node.keywords))
            return _value(start, node.func.value, f".{node.func.attr}{given}{end}", taken)
    opened, parts, closed = _parts(node)
    if not parts:
        return whole
    inner = taken + len(_INDENT)
    lines = [_value(prefix, part, ",", inner) for prefix, part in parts]
    body = "\n".join(_INDENT + one for text in lines for one in text.splitlines())
    return f"{start}{opened}\n{body}\n{closed}{end}"


def _parts(node: ast.expr) -> tuple[str, list[tuple[str, ast.expr]], str]:
    """How an expression opens, its parts with what stands before each, and how it closes."""
    if isinstance(node, ast.Call):
        given = [("", part) for part in node.args]
        if len(given) == 1 and isinstance(given[0][1], ast.GeneratorExp):
            return "", [], ""
        words = [(f"{word.arg}=" if word.arg else "**", word.value) for word in node.keywords]
        return f"{ast.unparse(node.func)}(", given + words, ")"
    if isinstance(node, ast.List | ast.Tuple):
        opened, closed = "[]" if isinstance(node, ast.List) else "()"
        return opened, [("", part) for part in node.elts], closed
    if isinstance(node, ast.Dict):
        pairs = [
            (f"{ast.unparse(key)}: " if key is not None else "**", value)
            for key, value in zip(node.keys, node.values, strict=True)
        ]
        return "{", pairs, "}"
    return "", [], ""


def _quoted(text: str) -> str:
    """The same source with double quotes, where that needs no escape."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return text
    lines = text.splitlines(keepends=True)
    depth = 0
    swaps: list[tuple[int, int, int]] = []
    for token in tokens:
        depth += (token.type == _FSTRING_START) - (token.type == _FSTRING_END)
        plain = token.string.startswith("'") and not token.string.startswith("'''")
        if token.type == tokenize.STRING and not depth and plain and '"' not in token.string:
            swaps.append((token.start[0] - 1, token.start[1], token.end[1] - 1))
    for row, first, last in swaps:
        one = lines[row]
        if "\\'" not in one[first : last + 1]:
            lines[row] = f'{one[:first]}"{one[first + 1 : last]}"{one[last + 1 :]}'
    return "".join(lines)
