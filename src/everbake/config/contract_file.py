"""The contract as a TOML file: written for people to read, read back to see what they changed.

A field whose value differs from what was recorded was edited, so it is pinned. A field that the
file does not state goes on following the accepted data; `inf` states that there is no limit.
"""

import json
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, get_args

from everbake.core.contract import PINNABLE, ColumnRule, Contract, hard_range
from everbake.core.dataset import ColumnType, Special
from everbake.errors import UsageError

_HEAD = """\
# What a batch must meet. Names, types and nullability are hard; ranges follow the accepted rows.
# What you change here is pinned: it is hard at once and follows nothing. To let it follow again,
# take it out of `pinned`. `inf` or `-inf` stands for no limit.
"""
_FIELDS = (*PINNABLE, "pinned")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LINE = re.compile(r"\(at line (\d+), column \d+\)")


@dataclass(frozen=True)
class WrittenRule:
    """What the file says about one column: only the fields in `stated` mean anything."""

    rule: ColumnRule
    stated: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """What the file says, and the data version that it was written for (0: none yet)."""

    columns: tuple[WrittenRule, ...]
    follows: int

    def column(self, name: str) -> WrittenRule | None:
        """What is written about one column."""
        return next((column for column in self.columns if column.rule.name == name), None)


def render(contract: Contract, follows: int) -> str:
    """The contract as TOML, as it stands after data version `follows`."""
    parts = [_HEAD, f"follows = {follows}\n"]
    parts += ["\n" + "\n".join(_rendered(contract, rule)) + "\n" for rule in contract.columns]
    return "".join(parts)


def rewrite(text: str, contract: Contract, follows: int) -> str:
    """Like :func:`render`, but what a person wrote into `text`, such as comments, stays.

    Raises:
        UsageError: `text` is no TOML (EB110), or says what a contract cannot (EB111).
    """
    import tomlkit  # only needed when a batch was accepted

    read(text)
    document = tomlkit.parse(text)
    if "columns" not in document:
        return render(contract, follows)
    document["follows"] = follows
    columns: Any = document["columns"]
    for name in [name for name in columns if contract.rule(name) is None]:
        del columns[name]
    added = [rule for rule in contract.columns if rule.name not in columns]
    for rule in contract.columns:
        if rule.name in columns:
            _update(columns[rule.name], _values(rule), _hard(contract, rule))
    parts = [tomlkit.dumps(document).rstrip("\n") + "\n"]
    parts += ["\n" + "\n".join(_rendered(contract, rule)) + "\n" for rule in added]
    return "".join(parts)


def _update(table: Any, values: dict[str, object], hard: dict[str, str]) -> None:  # noqa: ANN401 - tomlkit's
    """Bring one column's entries up to date, and touch no other line."""
    for field in [field for field in table if field not in values]:
        del table[field]
    for field, value in values.items():
        if field not in table or table[field] != value:
            table[field] = value
        if field in hard:
            table[field].comment(hard[field])


def read(text: str, where: str = "the contract") -> Written:
    """What a contract file says.

    Raises:
        UsageError: it is no TOML (EB110), or says something that a contract cannot (EB111).
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(error, where) from error
    _known(document, ("follows", "columns"), "the contract", _Spot(text, where))
    columns = document.get("columns", {})
    if not isinstance(columns, dict):
        raise _Spot(text, where, field="columns").error("columns is no table of columns")
    follows = document.get("follows", 0)
    if type(follows) is not int or follows < 0:
        raise _Spot(text, where, field="follows").error("follows is no data version")
    return Written(
        tuple(_column(name, fields, _Spot(text, where, name)) for name, fields in columns.items()),
        follows,
    )


def declared(written: Written, special: Special) -> Contract:
    """The contract before the first batch: all that is written is pinned."""
    return Contract(tuple(_pinned_all(column) for column in written.columns), special)


def pinned_edits(
    written: Written, recorded: Contract, latest: Contract | None = None, where: str = ""
) -> Contract:
    """The latest contract with what was edited pinned, and what was unpinned following again.

    Args:
        written: what the file says.
        recorded: the contract of the data version that the file follows.
        latest: the contract now; `recorded` if nothing was accepted meanwhile.
        where: the file, for errors.

    Raises:
        UsageError: the type of a column of the table was changed (EB112), or a column was added
            without a type (EB111).
    """
    now = latest or recorded
    rules = [_edited(rule, recorded.rule(rule.name), written, where) for rule in now.columns]
    for column in written.columns:
        if now.rule(column.rule.name) is None:
            if column.rule.type is None:
                raise UsageError(
                    "EB111",
                    f"column {column.rule.name!r} has no type",
                    where=where,
                    mend=f"add a type: {', '.join(get_args(ColumnType))}",
                )
            rules.append(_pinned_all(column))
    return replace(now, columns=tuple(rules))


def undated(written: Written, latest: Contract) -> Written:
    """What a file says that does not tell which data version it follows: earlier pins stay.

    Such a file was there before the first batch, or lost its line; no pin can have been taken out.
    """
    columns = []
    for rule in latest.columns:
        column = written.column(rule.name) or WrittenRule(rule, rule.pinned)
        pinned = tuple(f for f in column.stated if f in (*column.rule.pinned, *rule.pinned))
        columns.append(replace(column, rule=replace(column.rule, pinned=pinned)))
    added = [column for column in written.columns if latest.rule(column.rule.name) is None]
    return Written((*columns, *added), 0)


def _rendered(contract: Contract, rule: ColumnRule) -> Iterator[str]:
    key = rule.name if _BARE.fullmatch(rule.name) else _quoted(rule.name)
    yield f"[columns.{key}]"
    hard = _hard(contract, rule)
    for field, value in _values(rule).items():
        comment = f" # {hard[field]}" if field in hard else ""
        yield f"{field} = {_toml(value)}{comment}"


def _values(rule: ColumnRule) -> dict[str, object]:
    """What the file states about a column, in its order."""
    values: dict[str, object] = {} if rule.type is None else {"type": rule.type}
    values["nullable"] = rule.nullable
    if rule.optional or "optional" in rule.pinned:
        values["optional"] = rule.optional
    for field, value, no_limit in (("min", rule.min, -math.inf), ("max", rule.max, math.inf)):
        if value is not None:
            whole = rule.type == "int64" and value.is_integer()
            values[field] = int(value) if whole else float(value)
        elif field in rule.pinned:
            values[field] = no_limit
    if rule.categories is not None:
        values["categories"] = list(rule.categories)
    if rule.pinned:
        values["pinned"] = list(rule.pinned)
    return values


def _hard(contract: Contract, rule: ColumnRule) -> dict[str, str]:
    """Comments on the limits that follow: where the hard range ends."""
    ends = zip(("min", "max"), hard_range(contract, rule), strict=True)
    return {
        field: f"hard limit {end:.6g}"
        for field, end in ends
        if end is not None and field not in rule.pinned
    }


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_quoted, value))}]"
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    """A TOML basic string; those of JSON are, but for the delete character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@dataclass(frozen=True)
class _Spot:
    """A place in the file, for errors."""

    text: str
    where: str
    column: str | None = None
    field: str | None = None

    def error(self, what: str, mend: str = "") -> UsageError:
        subject = f"column {self.column!r}: {what}" if self.column is not None else what
        return UsageError(
            "EB111",
            subject,
            where=f"{self.where}, line {self.line()}",
            mend=mend or "correct the line, or take it out",
        )

    def line(self) -> int:
        """The line of the field, or of its column's heading, or 1."""
        lines = self.text.splitlines()
        start = 0
        if self.column is not None:
            heads = (f"[columns.{self.column}]", f"[columns.{_quoted(self.column)}]")
            start = next((i for i, line in enumerate(lines) if line.strip() in heads), 0)
        if self.field is None:
            return start + 1
        key = re.compile(rf"\s*\[?{re.escape(self.field)}\s*[=\].]")
        return next((i for i in range(start, len(lines)) if key.match(lines[i])), start) + 1


def _syntax(error: tomllib.TOMLDecodeError, where: str) -> UsageError:
    line = _LINE.search(str(error))
    place = f"{where}, line {line[1]}" if line else where
    why = _LINE.sub("", str(error)).strip()
    return UsageError(
        "EB110", "the contract is no TOML", where=place, why=why, mend="correct the line"
    )


def _known(fields: Mapping[str, object], choices: tuple[str, ...], what: str, spot: _Spot) -> None:
    for field in fields:
        if field not in choices:
            near = get_close_matches(field, choices, n=1, cutoff=0.6)
            mend = f"did you mean {near[0]!r}?" if near else f"choose of {', '.join(choices)}"
            raise replace(spot, field=field).error(f"{what} has no field {field!r}", mend)


def _column(name: str, fields: object, spot: _Spot) -> WrittenRule:
    if not isinstance(fields, dict):
        raise replace(spot, column=None, field=name).error(f"columns.{name} is no table")
    _known(fields, _FIELDS, "a column", spot)
    values: dict[str, Any] = {}
    for field, value in fields.items():
        test, told = _TESTS[field]
        if not test(value):
            raise replace(spot, field=field).error(f"{field} is {value!r}, not {told}")
        values[field] = _value(field, value)
    rule = ColumnRule(name, **values)
    if rule.min is not None and rule.max is not None and rule.min > rule.max:
        raise replace(spot, field="max").error(f"max {rule.max} is below min {rule.min}")
    return WrittenRule(rule, tuple(field for field in PINNABLE if field in fields))


def _value(field: str, value: Any) -> Any:  # noqa: ANN401 - what TOML holds
    if field in ("min", "max"):
        return None if math.isinf(value) else float(value)
    return tuple(value) if isinstance(value, list) else value


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and value == value  # noqa: PLR0124 - a test for nan


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_TESTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "type": (lambda v: v in get_args(ColumnType), f"one of {', '.join(get_args(ColumnType))}"),
    "nullable": (lambda v: isinstance(v, bool), "true or false"),
    "optional": (lambda v: isinstance(v, bool), "true or false"),
    "min": (_is_number, "a number"),
    "max": (_is_number, "a number"),
    "categories": (_are_texts, "a list of texts"),
    "pinned": (
        lambda v: _are_texts(v) and set(v) <= set(PINNABLE),
        f"a list of some of {', '.join(PINNABLE)}",
    ),
}


def _pinned_all(column: WrittenRule) -> ColumnRule:
    return replace(column.rule, pinned=column.stated)


def _edited(
    latest: ColumnRule, recorded: ColumnRule | None, written: Written, where: str
) -> ColumnRule:
    """The latest rule of one column with its pins as the file has them."""
    column = written.column(latest.name)
    if recorded is None:
        return latest
    if column is None:
        return replace(latest, pinned=())
    if "type" in column.stated and column.rule.type != recorded.type:
        raise UsageError(
            "EB112",
            f"column {latest.name!r} is {recorded.type} in the table",
            where=where,
            why=f"the contract now says {column.rule.type}, and stored rows keep their type",
            mend=f'put back type = "{recorded.type}"; for another type take another column name',
        )
    pinned = [
        field
        for field in column.stated
        if field in column.rule.pinned or getattr(column.rule, field) != getattr(recorded, field)
    ]
    values = {field: getattr(column.rule, field) for field in pinned}
    return replace(latest, pinned=tuple(pinned), **values)
