"""The code of two versions side by side: a unified difference of their files."""

import difflib
from collections.abc import Mapping
from typing import Any

_CONTEXT = 3  # unchanged lines around a change


def changes(
    one: Mapping[str, str], other: Mapping[str, str], most: int | None
) -> list[dict[str, Any]]:
    """The files that differ, in order of their names.

    Args:
        one: texts by file.
        other: the same, later.
        most: lines that are told in all; what is beyond is counted as `cut`. None: all.
    """
    told = []
    left = most
    for name in sorted({*one, *other}):
        before, after = one.get(name), other.get(name)
        if before == after:
            continue
        lines = _unified(name, before or "", after or "")
        shown = lines if left is None else lines[:left]
        left = None if left is None else left - len(shown)
        told.append(
            {
                "file": name,
                "change": _change(before, after),
                "added": _count(lines, "+"),
                "removed": _count(lines, "-"),
                "diff": "\n".join(shown),
                "cut": len(lines) - len(shown),
            }
        )
    return told


def _unified(name: str, before: str, after: str) -> list[str]:
    """Lines that begin with a blank, `-`, `+` or `@@`, without the two lines of names."""
    pair = before.splitlines(), after.splitlines()
    return list(difflib.unified_diff(*pair, name, name, n=_CONTEXT, lineterm=""))[2:]


def _change(before: str | None, after: str | None) -> str:
    if before is None:
        return "added"
    return "removed" if after is None else "changed"


def _count(lines: list[str], sign: str) -> int:
    return sum(line.startswith(sign) for line in lines)
