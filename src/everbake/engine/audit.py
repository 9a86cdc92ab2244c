"""Whether a ledger is what was written: its chain, its projections, and its anchors.

A pure function of what lies there. It assumes nothing about how a row came to be as it is: every
cell may have been changed by hand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from everbake.core.facts import GENESIS, Entry, decode, link
from everbake.core.project import Projections
from everbake.core.tables import COLUMNS, KEYS, Cell, Row
from everbake.ports import Anchor, Reader, Stored

HEAD = "head"  # the anchor that moves with each entry
_BELOW = -(2**62)  # a position before every row that somebody could have added
_EACH = 100  # missing rows that are named one by one


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was written.

    Attributes:
        table: the table, or `anchors`.
        row: the row's key, its parts separated by `@`; of the facts the position.
        detail: what is wrong with it.
    """

    table: str
    row: str
    detail: str


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        intact: nothing.
        facts: how many facts there are.
        head: hash of the last one.
        findings: what is wrong.
    """

    intact: bool
    facts: int
    head: str
    findings: tuple[Finding, ...]


def verify(reader: Reader, anchors: Sequence[Anchor]) -> Audit:
    """Walk the chain, rebuild the projections and compare, and look the anchors up in the chain.

    Args:
        reader: the ledger, at rest or held at one state.
        anchors: those that belong to that state.
    """
    end = next((anchor.n for anchor in anchors if anchor.name == HEAD), 0)
    chain = _Chain({anchor.n for anchor in anchors}, end)
    for stored in reader.stored(_BELOW):
        chain.take(stored)
    findings = [*chain.findings, *_anchored(chain, anchors)]
    for table in KEYS:
        findings += _compared(table, chain.projections, reader)
    return Audit(not findings, chain.facts, chain.hash, tuple(findings))


@dataclass
class _Chain:
    """The walk along the chain.

    Attributes:
        wanted: positions whose hashes are asked for later.
        end: the anchored end.
        n: position reached.
        hash: hash stored there.
        facts: facts seen.
        computed: hash that the entry there should have.
        sure: whether the entry there lies there as it was, or at all.
    """

    wanted: set[int]
    end: int
    n: int = 0
    hash: str = GENESIS
    facts: int = 0
    computed: str = GENESIS
    sure: bool = True
    hashes: dict[int, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    projections: Projections = field(default_factory=Projections)

    def take(self, stored: Stored) -> None:
        """Check an entry against the one before, and take it into the projections."""
        if stored.n < 1:
            self._name(stored, "no entry has such a position: it was added by hand")
            return
        if stored.n != self.n + 1:
            self.findings += _missing(self.n + 1, stored.n - 1, "the row is missing")
            self.sure = False  # what it is linked to cannot be known
        links = [_linked(previous, stored) for previous in (self.hash, self.computed)]
        if self.sure and stored.hash not in links:
            self._name(stored, "its content is not that of its hash, or not that behind the last")
        if stored.n > self.end + 1:
            # One entry may be ahead: its writer was killed before it moved the anchor.
            self._name(stored, f"the row was added behind the anchored end, {self.end}")
        self.n, self.hash, self.facts, self.sure = stored.n, str(stored.hash), self.facts + 1, True
        self.computed = links[1]
        if stored.n in self.wanted:
            self.hashes[stored.n] = stored.hash
        self._project(stored)

    def _project(self, stored: Stored) -> None:
        try:
            fact = decode(stored.name, stored.body)
            self.projections.apply(Entry(stored.n, stored.id, stored.time, fact))
        except (KeyError, TypeError, ValueError, msgspec.DecodeError):
            self._name(stored, f"it cannot be read as a {stored.name!r}")

    def _name(self, stored: Stored, detail: str) -> None:
        self.findings.append(Finding("facts", str(stored.n), detail))


def _linked(previous: str, stored: Stored) -> str:
    """The hash that an entry should have; empty if a cell is of a type that was never written."""
    cells = (stored.id, stored.name, stored.body)
    if not all(isinstance(cell, str) for cell in cells) or not isinstance(stored.time, float):
        return ""
    body = stored.body.encode()
    return link(previous, stored.n, stored.id, stored.time, stored.name, body)


def _missing(first: int, last: int, detail: str) -> Iterator[Finding]:
    for n in range(first, min(last, first + _EACH - 1) + 1):
        yield Finding("facts", str(n), detail)
    if last >= first + _EACH:
        yield Finding("facts", f"{first + _EACH}-{last}", detail)


def _anchored(chain: _Chain, anchors: Sequence[Anchor]) -> Iterator[Finding]:
    """What the anchors say against the chain."""
    last = max((anchor.n for anchor in anchors), default=0)
    yield from _missing(chain.n + 1, last, "the row is missing: an anchor was set at it or later")
    there = [a for a in sorted(anchors, key=lambda each: each.n) if a.n in chain.hashes]
    fits = 0
    for anchor in there:
        if chain.hashes[anchor.n] != anchor.hash:
            yield from _rewritten(chain, fits, anchor)
        fits = anchor.n  # what comes after one that does not fit hangs on it


def _rewritten(chain: _Chain, fits: int, anchor: Anchor) -> Iterator[Finding]:
    """Rows whose hashes were made to fit each other, but not an anchor: one of them was edited."""
    span = range(fits + 1, anchor.n + 1)
    if any(finding.row in map(str, span) for finding in chain.findings):
        span = range(anchor.n, anchor.n + 1)  # the chain itself says which
    detail = f"one of rows {span[0]} to {anchor.n} was rewritten: they do not lead to the hash "
    yield from _missing(span[0], anchor.n, f"{detail}that was kept in the anchor {anchor.name}")


def _compared(table: str, expected: Projections, reader: Reader) -> Iterator[Finding]:
    """The rows of a table against those that the facts give."""
    rest = dict(expected.tables[table])
    for row in reader.rows(table):
        key = tuple(row[name] for name in KEYS[table])
        wanted = rest.pop(key, None)
        if wanted is None:
            yield Finding(table, _text(key), "no fact speaks of this row: it was added by hand")
            continue
        for name in COLUMNS[table]:
            if not _same(row[name], wanted.get(name)):
                detail = f"{name} is {_short(row, name)}, the facts say {_short(wanted, name)}"
                yield Finding(table, _text(key), detail)
    for key in rest:
        yield Finding(table, _text(key), "the row is missing")


def _same(one: Cell, other: Cell) -> bool:
    return type(one) is type(other) and one == other


def _text(key: tuple[Cell, ...]) -> str:
    return "@".join(str(part) for part in key)


def _short(row: Row, name: str) -> str:
    text = repr(row.get(name))
    return text if len(text) <= _EACH else f"{text[:_EACH]}..."
