"""Reads the body of a prediction request: typed and fast, and careful once something is odd.

The fast way is a generated type, which accepts only what the careful way accepts, too. Whatever it
refuses goes the careful way, which names the row and the column or accepts it after all.
"""

import difflib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import msgspec

from everbake.core.bundle import Input
from everbake.core.dataset import ColumnType
from everbake.core.redact import writable
from everbake.serving.problems import Place, ProblemError

Row = dict[str, object]

_LEAST, _MOST = -(2**63), 2**63 - 1
_EXACT = 2**53  # beyond, a float may stand for several whole numbers
_TYPES: dict[ColumnType, object] = {
    "int64": Annotated[int, msgspec.Meta(ge=_LEAST, le=_MOST)],
    "float64": float,
    "bool": bool,
    "string": str,
    "timestamp": str,
}
_WANTED: dict[ColumnType, str] = {
    "int64": "a whole number of 64 bits",
    "float64": "a finite number",
    "bool": "true or false",
    "string": "a text",
    "timestamp": 'a time such as "2024-05-01T12:00:00"',
}
_DEFAULT_ROWS = 10_000
_SHOWN = 100  # characters of a name that a problem repeats


@dataclass(frozen=True)
class _Wrong:
    """A value that its column cannot take."""


_WRONG = _Wrong()


class RequestDecoder:
    """Reads requests for one version.

    Args:
        inputs: the fields that a row may hold.
        most_rows: how many rows a request may hold.

    Attributes:
        inputs: the fields that a row may hold, in order.
        most_rows: how many rows a request may hold.
    """

    def __init__(self, inputs: Sequence[Input], most_rows: int = _DEFAULT_ROWS) -> None:
        self.inputs = tuple(inputs)
        self._inputs = {i.name: i for i in inputs}
        self.most_rows = most_rows
        self._names = tuple(self._inputs)
        self._times = tuple(i.name for i in inputs if i.type == "timestamp")
        self._fast = _fast_decoder(inputs)
        self._optional = tuple(i for i in inputs if not i.needed)
        self._nullable_texts = tuple(i.name for i in inputs if i.nullable and _quoted(i))
        self._private = frozenset(i.name for i in inputs if i.private)
        self._texts = sum(1 + _quoted(i) for i in inputs)  # of a full row: names and values

    def veiled(self, rows: list[Row]) -> list[Row]:
        """The rows as they may be written down: without the values of private columns."""
        if not self._private:
            return rows
        private = self._private
        return [{n: None if n in private else v for n, v in row.items()} for row in rows]

    def decode(self, body: bytes) -> list[Row]:
        """The rows of a request.

        Raises:
            ProblemError: it is broken, or a row does not fit the inputs.
        """
        if self._fast is None:
            return self._carefully(body)
        try:
            structs = self._fast.decode(body).rows
        except msgspec.ValidationError:
            return self._carefully(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            _broken(error)
        self.check_count(len(structs))
        names, values = self._names, msgspec.structs.astuple
        rows = [dict(zip(names, values(struct), strict=True)) for struct in structs]
        texts = 1 + self._texts * len(rows) - self._lacking(rows)
        # More quotes than the decoded rows need: a name that stands twice, or a quote in a text.
        if body.count(b'"') != 2 * texts:
            _refuse_twins(body)
        return self._with_times(rows, body) if self._times else rows

    def _lacking(self, rows: list[Row]) -> int:
        """How many texts rows lack to be full; what they may lack is null or left out then."""
        lacking = 0
        for name in self._nullable_texts:
            lacking += sum(row[name] is None for row in rows)
        if self._optional:
            for row in rows:
                if msgspec.UNSET in row.values():
                    lacking += self._filled(row)
        return lacking

    def _filled(self, row: Row) -> int:
        lacking = 0
        for each in self._optional:
            if row[each.name] is msgspec.UNSET:
                lacking += 1 + _quoted(each)
                if each.nullable:
                    row[each.name] = None
                else:
                    del row[each.name]
        return lacking

    def _with_times(self, rows: list[Row], body: bytes) -> list[Row]:
        for row in rows:
            for name in self._times:
                if row.get(name) is not None:
                    row[name] = _time(row[name])
                    if row[name] is _WRONG:
                        return self._carefully(body)
        return rows

    def check_count(self, rows: int) -> None:
        """Hold a number of rows against the bounds.

        Raises:
            ProblemError: there are none, or too many.
        """
        if not rows:
            raise ProblemError("EB509", "there are no rows", mend="send at least one row")
        if rows > self.most_rows:
            raise ProblemError(
                "EB510",
                f"{rows} rows in one request, {self.most_rows} at most",
                mend="send several requests",
            )

    def _carefully(self, body: bytes) -> list[Row]:
        try:
            content = msgspec.json.decode(body)
        except msgspec.ValidationError:  # the only one without a type: a number beyond float64
            raise ProblemError("EB515", "a number is too large for 64 bits") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            _broken(error)
        _refuse_twins(body)
        return self.check(_rows_of(content))

    def check(self, rows: Sequence[object]) -> list[Row]:
        """Rows that some other protocol has read, held against the inputs.

        Raises:
            ProblemError: there are none, too many, or one does not fit.
        """
        self.check_count(len(rows))
        return [self._row(row, at) for at, row in enumerate(rows)]

    def _row(self, row: object, at: int) -> Row:
        if not isinstance(row, dict):
            raise ProblemError("EB511", f"row {at} is no object", Place(at), mend=_SHAPE)
        for name in row:
            if name not in self._inputs:
                self._unknown(name, at)
        found: Row = {}
        for name, wanted in self._inputs.items():
            if name in row:
                found[name] = _value(row[name], wanted, at)
            elif wanted.needed:
                raise ProblemError(
                    "EB512", f'field "{name}" is missing in row {at}', Place(at, name)
                )
            elif wanted.nullable:
                found[name] = None
        return found

    def _unknown(self, name: str, at: int) -> NoReturn:
        shown = writable(name[:_SHOWN])
        raise ProblemError(
            "EB513",
            f'field "{shown}" in row {at} is not known{near_miss(name, self._names)}',
            Place(at, shown),
            mend="the model knows: " + ", ".join(self._names[:50]),
        )


_SHAPE = 'send {"rows": [{"field": value, ...}, ...]}'


def near_miss(name: str, known: Iterable[str]) -> str:
    """What was probably meant, as the end of a sentence; empty if that cannot be told."""
    if len(name) > _SHOWN:  # comparing would take long
        return ""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def _rows_of(content: object) -> list[object]:
    if not isinstance(content, dict):
        raise ProblemError("EB511", "the body is no object", mend=_SHAPE)
    strange = [name for name in content if name != "rows"]
    if strange:
        hint = near_miss(strange[0], ["rows"])
        raise ProblemError("EB513", f'"{strange[0][:_SHOWN]}" is not known{hint}', mend=_SHAPE)
    rows = content.get("rows")
    if not isinstance(rows, list):
        raise ProblemError("EB511", '"rows" is missing or no list', mend=_SHAPE)
    return rows


def _value(value: object, wanted: Input, at: int) -> object:
    if value is None:
        if wanted.nullable:
            return None
        raise ProblemError(
            "EB514", f'field "{wanted.name}" is null in row {at}', Place(at, wanted.name)
        )
    fitting = _FITTING[wanted.type](value)
    within = wanted.within
    if fitting is _WRONG or (within and not within[0] <= fitting <= within[1]):  # type: ignore[operator]
        shown, told = str(value)[:50], _WANTED[wanted.type]
        if within:
            told = f"a whole number from {within[0]} to {within[1]}"
        raise ProblemError(
            "EB515",
            f'field "{wanted.name}" in row {at} is {shown!r}, not {told}',
            Place(at, wanted.name),
        )
    return fitting


def _int(value: object) -> object:
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        value = int(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and _LEAST <= value <= _MOST else _WRONG  # type: ignore[operator]


def _float(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _WRONG
    try:
        number = float(value)
    except OverflowError:
        return _WRONG
    return number if math.isfinite(number) else _WRONG


def _bool(value: object) -> object:
    return value if isinstance(value, bool) else _WRONG


def _text(value: object) -> object:
    if not isinstance(value, str):
        return _WRONG
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate: neither a model nor the log could be given it
        return _WRONG
    return value


def _time(value: object) -> object:
    """A time in UTC without a zone, as the tables hold times."""
    if not isinstance(value, str):
        return _WRONG
    try:
        time = datetime.fromisoformat(value)
        if time.tzinfo is not None:
            time = time.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return _WRONG
    return time.isoformat()


_FITTING: dict[ColumnType, Callable[[object], object]] = {
    "int64": _int,
    "float64": _float,
    "bool": _bool,
    "string": _text,
    "timestamp": _time,
}


def _quoted(wanted: Input) -> bool:
    """Whether its values are texts."""
    return wanted.type in ("string", "timestamp")


def _refuse_twins(body: bytes) -> None:
    """Refuse a name that stands twice in one object: whichever value is meant, nobody can tell.

    The body has been read before, so it is no other way broken.
    """
    try:
        json.loads(body, object_pairs_hook=_paired)
    except RecursionError as error:
        _broken(error)


def _paired(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twin = next(name for name, count in counts.items() if count > 1)[:_SHOWN]
        raise ProblemError("EB560", f'"{twin}" stands twice in one object', Place(None, twin))
    return found


def _broken(error: Exception) -> NoReturn:
    what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    raise ProblemError("EB508", f"the body is no JSON: {what}", mend=_SHAPE) from None


def _fast_decoder(inputs: Sequence[Input]) -> "msgspec.json.Decoder[Any] | None":
    """A decoder of the generated type, None if a column's name does not allow one."""
    fields: list[tuple[str, Any, Any]] = []
    for at, wanted in enumerate(inputs):
        kind: Any = _TYPES[wanted.type]
        if wanted.within:
            kind = Annotated[int, msgspec.Meta(ge=wanted.within[0], le=wanted.within[1])]
        if wanted.nullable:
            kind = kind | None
        if wanted.needed:
            default: Any = msgspec.NODEFAULT
        else:
            default, kind = msgspec.UNSET, kind | msgspec.UnsetType
        fields.append((f"f{at}", kind, default))
    try:
        row = msgspec.defstruct(
            "Row",
            fields,
            rename={f"f{at}": wanted.name for at, wanted in enumerate(inputs)},
            forbid_unknown_fields=True,
            kw_only=True,
            gc=False,
        )
    except ValueError:  # a quote, a backslash or a control character in a column's name
        return None
    body = msgspec.defstruct("Body", [("rows", list[row])], forbid_unknown_fields=True)  # type: ignore[valid-type]
    return msgspec.json.Decoder(body)
