"""The schema and value rules that a batch must meet, and how they follow accepted data.

Names, types and nullability of the first batch are hard. Ranges and categories are notices, until
`RANGE_ROWS` rows are accepted: from then on a number further than `RANGE_WIDTHS` widths outside all
accepted rows breaks the contract. What the user pinned is hard at once and follows nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Literal

from everbake.core.dataset import (
    Column,
    ColumnSummary,
    ColumnType,
    Finding,
    FindingCount,
    Offence,
    Shape,
    Special,
    Summary,
    highest,
    lowest,
    united,
)

RANGE_ROWS = 100
RANGE_WIDTHS = 3.0
SHOWN_FINDINGS = 100
PINNABLE = ("type", "nullable", "optional", "min", "max", "categories")
NUMERIC = ("int64", "float64")
_EMPTY_ROWS = 10  # a nullable column may be wholly empty in a batch of fewer rows
_NEAR = 50  # names among which a misspelt one is looked for
_REMAIN = frozenset({"type", "infinite", "duplicate", "name", "unparsable"})


@dataclass(frozen=True)
class ColumnRule:
    """What one column must be.

    Attributes:
        name: the column.
        type: its type; None until the first batch, if the user has not declared it.
        nullable: whether values may be missing.
        optional: whether the whole column may be left out or empty.
        min: the smallest accepted number, or the pinned limit.
        max: the largest accepted number, or the pinned limit.
        categories: the accepted texts, None if there are too many to list.
        pinned: the fields that the user wrote; they are hard and follow nothing.
    """

    name: str
    type: ColumnType | None = None
    nullable: bool = True
    optional: bool = False
    min: float | None = None
    max: float | None = None
    categories: tuple[str, ...] | None = None
    pinned: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """The rules of one table after `rows` accepted rows; before the first batch, only the pins."""

    columns: tuple[ColumnRule, ...]
    special: Special
    rows: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in the table's order."""
        return tuple(rule.name for rule in self.columns)

    @property
    def schema(self) -> tuple[Column, ...]:
        """The columns whose type is known."""
        return tuple(Column(r.name, r.type) for r in self.columns if r.type is not None)

    def rule(self, name: str) -> ColumnRule | None:
        """The rule of one column, if there is one."""
        return self._by_name.get(name)

    @cached_property
    def folded(self) -> frozenset[str]:
        """The names in lower case: a table's columns must differ in more than case."""
        return frozenset(name.lower() for name in self.names)

    @cached_property
    def _by_name(self) -> dict[str, ColumnRule]:
        return {rule.name: rule for rule in self.columns}


@dataclass(frozen=True)
class ParseOrder:
    """Read these files as one batch, check them, and stage their rows as Parquet.

    Attributes:
        sources: paths of the files.
        names: what to call them in findings, one for each.
        stage: the folder for the staged files.
        contract: None (or one without rows: pins only) before the first batch.
        first_row: the sequence number of the batch's first row in the table.
        special: the label, time, key and group columns.
        mode: "check" stops at whatever breaks the contract; "widen" takes what can be taken.
    """

    sources: tuple[str, ...]
    names: tuple[str, ...]
    stage: str
    contract: Contract | None
    first_row: int
    special: Special
    mode: Literal["check", "widen"] = "check"


@dataclass(frozen=True)
class StagedFile:
    """One staged Parquet file; its path is relative to the stage."""

    path: str
    size: int
    rows: int


@dataclass(frozen=True)
class Parsed:
    """What came of a :class:`ParseOrder`; with findings nothing is staged.

    Attributes:
        rows: rows read.
        digest: SHA-256 over the sorted row hashes; with findings, over the files' bytes.
        files: the staged files in row order.
        columns: the columns as staged, hidden ones left out.
        findings: the first `SHOWN_FINDINGS` things that break the contract.
        counts: how many of each kind there are in all.
        notices: worth a look, but accepted.
        contract: the contract once the batch is accepted; None with findings.
        seconds: how long it took.
        newest: the newest time among the rows, in seconds since 1970; None without times.
    """

    rows: int
    digest: str
    files: tuple[StagedFile, ...]
    columns: tuple[Column, ...]
    findings: tuple[Finding, ...]
    counts: tuple[FindingCount, ...]
    notices: tuple[Finding, ...]
    contract: Contract | None
    seconds: float
    newest: float | None = None


@dataclass(frozen=True)
class Checked:
    """The outcome of a check: what breaks the contract, all counts, and mere notices."""

    findings: tuple[Finding, ...]
    counts: tuple[FindingCount, ...]
    notices: tuple[Finding, ...] = ()


def hard_range(contract: Contract, rule: ColumnRule) -> tuple[float | None, float | None]:
    """The limits beyond which a number breaks the contract; None where there is none.

    >>> rule = ColumnRule("temp", "float64", min=0.0, max=1.0)
    >>> hard_range(Contract((rule,), Special("y"), rows=100), rule)
    (-3.0, 4.0)
    >>> hard_range(Contract((rule,), Special("y"), rows=99), rule)
    (None, None)
    """
    low = rule.min if "min" in rule.pinned else None
    high = rule.max if "max" in rule.pinned else None
    if contract.rows < RANGE_ROWS or rule.name in contract.special.names:
        return low, high
    if rule.min is None or rule.max is None or rule.max <= rule.min:
        return low, high
    reach = RANGE_WIDTHS * (rule.max - rule.min)
    return (
        low if "min" in rule.pinned else rule.min - reach,
        high if "max" in rule.pinned else rule.max + reach,
    )


def check(contract: Contract, summary: Summary) -> Checked:
    """What of a batch breaks the contract, and what is worth a notice.

    With a contract without rows, which has pins only, the batch is judged as a first one.
    """
    named = tuple(_name_findings(contract, summary.shapes))
    counts = [FindingCount(finding.code, finding.column, 1) for finding in named]
    found = list(named)
    notices: list[Finding] = []
    there = {name for shape in summary.shapes for name in shape.names}
    for column in summary.columns:
        rule = contract.rule(column.name) or ColumnRule(column.name, column.type)
        for offence in _offences(contract, rule, column):
            counts.append(FindingCount(offence.code, column.name, offence.count))
            found += _sightings(contract, rule, column, offence)
        if column.name in there:
            empty = _empty(contract, rule, column)
            found += empty
            counts += [FindingCount(f.code, f.column, 1) for f in empty]
        if contract.rows:
            notices += _notices(rule, column)
    if not contract.rows:
        ordered = list(_time_findings(contract, summary))
        found += ordered
        counts += [FindingCount(f.code, f.column, 1) for f in ordered]
    return Checked(tuple(found), tuple(counts), tuple(notices))


def infer(summary: Summary, special: Special, declared: Contract | None = None) -> Contract:
    """The contract after a first batch; what is `declared` was pinned before it."""
    pins = declared or Contract((), special)
    rules = []
    for column in summary.columns:
        known = pins.rule(column.name) or ColumnRule(column.name)
        seen = ColumnRule(
            column.name,
            column.type,
            nullable=column.nulls > 0,
            min=column.min,
            max=column.max,
            categories=_listed(special, column),
        )
        kept = {field: getattr(known, field) for field in known.pinned}
        rules.append(replace(seen, pinned=known.pinned, **kept))
    return Contract(tuple(rules), special, summary.rows)


def follow(contract: Contract, summary: Summary) -> Contract:
    """The contract once the batch is accepted: ranges and categories grow, pins stay."""
    if not contract.rows:
        return infer(summary, contract.special, contract)
    rules = [_followed(rule, summary.column(rule.name)) for rule in contract.columns]
    return replace(contract, columns=tuple(rules), rows=contract.rows + summary.rows)


def widen(contract: Contract, summary: Summary) -> tuple[Contract, Checked]:
    """The contract after a batch was accepted by hand, and what even that cannot take.

    Nulls, ranges, columns left out and new columns are taken; text in a numeric column, infinite
    values, doubled names and rows that could not be read are not. Pins stay as they are.
    """
    checked = check(contract, summary)
    remaining = Checked(
        tuple(f for f in checked.findings if _remains(contract, f.code, f.column)),
        tuple(c for c in checked.counts if _remains(contract, c.code, c.column)),
        checked.notices,
    )
    grown = follow(contract, summary)
    absent = {name for shape in summary.shapes for name in {*grown.names} - {*shape.names}}
    rules = [_widened(rule, summary.column(rule.name), absent) for rule in grown.columns]
    for column in summary.columns:
        if grown.rule(column.name) is None:
            seen = infer(Summary(summary.rows, (column,)), contract.special).columns[0]
            rules.append(replace(seen, nullable=True, optional=True))
    return replace(grown, columns=tuple(rules)), remaining


def _remains(contract: Contract, code: str, column: str | None) -> bool:
    needed = code == "missing" and column in contract.special.names
    clash = code == "extra" and column is not None and column.lower() in contract.folded
    return needed or clash or code in _REMAIN


def _name_findings(contract: Contract, shapes: tuple[Shape, ...]) -> Iterator[Finding]:
    wanted = contract.names
    if not contract.rows and shapes:
        wanted = tuple(dict.fromkeys((*shapes[0].names, *wanted, *contract.special.names)))
    for shape in shapes:
        there, agreed = set(shape.names), set(wanted)
        extra = [name for name in shape.names if name not in agreed]
        missing = [name for name in wanted if name not in there]
        for name in missing:
            rule = contract.rule(name)
            if not (rule and rule.optional):
                role = ", which the recipe names," if name in contract.special.names else ""
                detail = f"column {name!r}{role} is missing{_near(name, extra, 'there is')}"
                yield Finding(None, name, "missing", detail, shape.source)
        for name in extra:
            hint = _near(name, missing, "did you mean")
            detail = f"column {name!r} is not in the contract{hint}"
            yield Finding(None, name, "extra", detail, shape.source)


def _near(name: str, choices: list[str], words: str) -> str:
    """A hint at the name that is nearly the same, if the choice is small enough to look."""
    near = get_close_matches(name, choices[:_NEAR], n=1, cutoff=0.8)
    return f"; {words} {near[0]!r}?" if near else ""


def _time_findings(contract: Contract, summary: Summary) -> Iterator[Finding]:
    time = contract.special.time
    column = summary.column(time) if time is not None else None
    if column is not None and column.type in ("string", "bool"):
        detail = f"the time column holds {column.type}s; it must hold ISO dates or numbers"
        yield Finding(None, time, "type", detail)


def _offences(contract: Contract, rule: ColumnRule, column: ColumnSummary) -> Iterable[Offence]:
    """The offences of a column that this contract minds."""
    minds_nulls = not rule.nullable and (contract.rows > 0 or "nullable" in rule.pinned)
    for offence in column.offences:
        if offence.code != "null" or minds_nulls:
            yield offence


def _sightings(
    contract: Contract, rule: ColumnRule, column: ColumnSummary, offence: Offence
) -> Iterator[Finding]:
    for place in offence.first:
        value = place.value
        if offence.code == "null":
            detail = "the value is missing, and the contract allows no missing values here"
        elif offence.code == "infinite":
            detail = f"{value} is not finite"
        elif offence.code == "category":
            detail = f"{value!r} is not among the pinned categories"
        elif offence.code == "range":
            low, high = hard_range(contract, rule)
            detail = f"{value} is outside the hard range {_span(low, high)}"
        else:
            detail = f"{value!r} is not {column.type}{_type_hint(column.type)}"
        yield Finding(place.row, column.name, offence.code, detail, place.source)


def _span(low: float | None, high: float | None) -> str:
    left = "(-inf" if low is None else f"[{low:.6g}"
    return f"{left}, inf)" if high is None else f"{left}, {high:.6g}]"


def _type_hint(kind: ColumnType) -> str:
    if kind != "int64":
        return ""
    return '; where fractions may come, declare type = "float64" before the first batch'


def _empty(contract: Contract, rule: ColumnRule, column: ColumnSummary) -> tuple[Finding, ...]:
    """The finding that a column has no value at all, unless the contract expects that."""
    if not column.rows or column.nulls < column.rows or rule.optional:
        return ()
    if any(offence.code == "type" for offence in column.offences):
        return ()
    few = column.rows < _EMPTY_ROWS and rule.nullable
    if few and (contract.rows or "nullable" in rule.pinned):
        return ()
    detail = f"all {column.rows} values of the column are missing"
    return (Finding(None, column.name, "all-null", detail),)


def _notices(rule: ColumnRule, column: ColumnSummary) -> Iterator[Finding]:
    accepted = f"accepted so far: {_span(rule.min, rule.max)}"
    if column.min is not None and rule.min is not None and column.min < rule.min:
        detail = f"new smallest value {column.min:.6g}; {accepted}"
        yield Finding(None, column.name, "range", detail)
    if column.max is not None and rule.max is not None and column.max > rule.max:
        detail = f"new largest value {column.max:.6g}; {accepted}"
        yield Finding(None, column.name, "range", detail)
    if rule.categories is None:
        return
    if column.categories is None:
        yield Finding(None, column.name, "category", "more new values than are listed")
        return
    new = [value for value in column.categories if value not in rule.categories]
    if new:
        listed = ", ".join(repr(value) for value in new[:5])
        more = f" and {len(new) - 5} more" if len(new) > 5 else ""  # noqa: PLR2004
        yield Finding(None, column.name, "category", f"new values {listed}{more}")


def _listed(special: Special, column: ColumnSummary) -> tuple[str, ...] | None:
    """The categories to keep: identifiers have none."""
    return None if column.name in (special.key, special.group) else column.categories


def _followed(rule: ColumnRule, column: ColumnSummary | None) -> ColumnRule:
    if column is None:
        return rule
    grown = {
        "min": lowest(rule.min, column.min),
        "max": highest(rule.max, column.max),
        "categories": united(rule.categories, column.categories),
    }
    free = {field: value for field, value in grown.items() if field not in rule.pinned}
    return replace(rule, **free)  # type: ignore[arg-type]


def _widened(rule: ColumnRule, column: ColumnSummary | None, absent: set[str]) -> ColumnRule:
    left_out = rule.name in absent
    nulls = column is not None and column.nulls > 0
    empty = column is not None and column.nulls == column.rows
    return replace(
        rule,
        nullable=rule.nullable if "nullable" in rule.pinned else rule.nullable or nulls or left_out,
        optional=rule.optional if "optional" in rule.pinned else rule.optional or left_out or empty,
    )
