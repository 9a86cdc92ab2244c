"""Rows of a file of JSON lines, streamed."""

import bisect
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from everbake.host.parsing.raw import Complaints, Raw, RawBatch
from everbake.host.parsing.sniff import Source, opened, readable

if TYPE_CHECKING:
    from everbake.core.dataset import Finding

_BLOCK = 8 << 20
_MANY = 100_000  # skipped rows whose place is remembered
_SIMPLE = {
    frozenset({bool}): pa.bool_(),
    frozenset({int}): pa.int64(),
    frozenset({float}): pa.float64(),
    frozenset({int, float}): pa.float64(),
    frozenset({str}): pa.string(),
    frozenset[type](): pa.null(),
}
_LARGEST = 2**63


class JsonRows:
    """The rows of one file of JSON lines: one object a line, blank lines left out."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.complaints = Complaints(source.name)
        self.notices: list[Finding] = []
        self._names: dict[str, None] = {}
        self._skipped: list[int] = []
        self._decode = msgspec.json.Decoder(dict[str, Any])

    @property
    def names(self) -> tuple[str, ...]:
        """The fields seen so far, in the order in which they appeared."""
        return tuple(self._names)

    def batches(self) -> Iterator[RawBatch]:
        """The rows, a few megabytes at a time."""
        start = seen = 0
        with readable(self.source.name):
            for lines in self._blocks():
                objects = self._objects(lines, seen)
                seen += len(lines)
                if objects:
                    yield self._raw(objects, start)
                    start += len(objects)

    def row_number(self, position: int) -> int:
        """The row's number in the file, rows that were skipped included."""
        passed = bisect.bisect_right(
            range(len(self._skipped)), position, key=lambda i: self._skipped[i] - 1 - i
        )
        return position + passed + 1

    def _blocks(self) -> Iterator[list[bytes]]:
        """Lines that are not blank, about `_BLOCK` bytes of them at a time, as UTF-8."""
        encoding = self.source.encoding
        with opened(self.source.path, self.source.zipped) as file:
            if encoding == "utf-16":  # a byte of a letter may look like the end of a line
                whole = file.read().decode(encoding).encode()
                yield [line for line in whole.splitlines() if line.strip()]
                return
            while lines := file.readlines(_BLOCK):
                if encoding == "latin-1":
                    lines = [line.decode(encoding).encode() for line in lines]
                yield [line for line in lines if line.strip(b"\xef\xbb\xbf \t\r\n")]

    def _objects(self, lines: list[bytes], seen: int) -> list[dict[str, Any]]:
        objects = []
        for number, line in enumerate(lines, start=seen + 1):
            try:
                row = self._decode.decode(line.removeprefix(b"\xef\xbb\xbf"))
                objects.append(row)
                if line.count(b'":') + line.count(b'" :') > len(row):
                    self._check_keys(line, number)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                if len(self._skipped) < _MANY:
                    self._skipped.append(number)
                hint = "; the file is one JSON array" if line.lstrip()[:1] == b"[" else ""
                self.complaints.row(number, f"is no JSON object on one line{hint}: {error}")
        return objects

    def _check_keys(self, line: bytes, number: int) -> None:
        """Complain about a key that stands twice in one object: either value may be meant."""

        def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
            for key, times in Counter(key for key, _ in found).items():
                if times > 1:
                    self.complaints.row(number, f"the key {key!r} stands there {times} times")
            return dict(found)

        json.loads(line.removeprefix(b"\xef\xbb\xbf"), object_pairs_hook=pairs)

    def _raw(self, objects: list[dict[str, Any]], start: int) -> RawBatch:
        for row in objects:
            self._names.update(dict.fromkeys(row))
        columns = {name: _column([row.get(name) for row in objects]) for name in self._names}
        return RawBatch(start, len(objects), columns)


def _column(values: list[Any]) -> Raw:
    """The values as the narrowest Arrow column; as JSON texts if they are of several kinds."""
    kinds = frozenset(set(map(type, values)) - {type(None)})
    target = _SIMPLE.get(kinds)
    if int in kinds and any(type(v) is int and not -_LARGEST <= v < _LARGEST for v in values):
        target = None
    if target is not None:
        with suppress(pa.ArrowInvalid):  # among fractions, an integer that no float64 holds
            return Raw(pa.array(values, target), "typed")
    texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    return Raw(pa.array(texts, pa.string()), "mixed")
