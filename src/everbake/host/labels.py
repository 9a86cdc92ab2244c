"""Labels in files, as they are sent: the name of an answer, its label, who says so and when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from everbake.core.dataset import ColumnType
from everbake.errors import DataError
from everbake.host.parsing.batch import rows_of
from everbake.host.parsing.cast import cast
from everbake.host.parsing.raw import RawBatch, Rows
from everbake.host.parsing.sniff import check_unchanged, sniff

Item = dict[str, Any]


@dataclass(frozen=True)
class LabelColumns:
    """What a model's table calls its label and its key.

    Attributes:
        label: the column of the label.
        label_type: its type.
        key: the column of the key, if there is one.
        key_type: its type.
    """

    label: str
    label_type: ColumnType
    key: str | None = None
    key_type: ColumnType = "string"


@dataclass(frozen=True)
class _Batch:
    """Some rows of a file."""

    name: str
    rows: Rows
    raw: RawBatch

    def refuse(self, place: int, why: str) -> DataError:
        """The error about one of the rows."""
        number = self.rows.row_number(self.raw.start + place)
        return DataError(
            "EB541",
            "a label cannot be used",
            where=f"{self.name}, row {number}",
            why=why,
            mend="mend the row, then repeat the command: no label of its files was kept",
        )

    def values(self, column: str, kind: ColumnType) -> list[Any]:
        """The values of a column, None where it has none.

        Raises:
            DataError: one is of another type.
        """
        found = self.raw.columns[column]
        values, wrong = cast(found, kind)
        if wrong is not None and wrong.any():
            place = int(wrong.argmax())
            shown = str(found.values[place].as_py())[:50]
            raise self.refuse(place, f"its {column} is {shown!r}, not of type {kind}")
        listed: list[Any] = values.to_pylist()
        return listed

    def texts(self, column: str) -> list[str | None]:
        """The values of a column as texts."""
        return self.values(column, "string")


def label_items(path: str, name: str, columns: LabelColumns) -> Iterator[Item]:
    """The labels of a CSV, JSON lines or Parquet file, in memory bounded by a batch of rows.

    Args:
        path: of the file.
        name: what to call it.
        columns: what the model's table calls its label and key.

    Raises:
        DataError: a column is missing, or a row cannot be read or used; nothing is passed over.
    """
    source = sniff(path, name)
    rows = rows_of(source)
    for raw in rows.batches():
        _refuse_unread(rows, name)
        yield from _items(_Batch(name, rows, raw), columns)
    _refuse_unread(rows, name)
    check_unchanged(source)


def _items(batch: _Batch, columns: LabelColumns) -> Iterator[Item]:
    label = _column(batch, (columns.label, "label"), "label")
    named = _names(batch, columns)
    values = batch.values(label, columns.label_type)
    times = batch.values("time", "timestamp") if "time" in batch.raw.columns else None
    sources = batch.texts("source") if "source" in batch.raw.columns else None
    for place, value in enumerate(values):
        if value is None:
            raise batch.refuse(place, f"its {label} is missing")
        if value in (float("inf"), float("-inf")):
            raise batch.refuse(place, f"its {label} is {value}")
        item = {"label": value.isoformat() if columns.label_type == "timestamp" else value}
        item |= next(({kind: each[place]} for kind, each in named if each[place]), {})
        if len(item) == 1:
            raise batch.refuse(place, "it names no answer: its id and key are missing")
        if times is not None and times[place] is not None:
            item["time"] = times[place].timestamp()
        if sources is not None and sources[place]:
            item["source"] = sources[place]
        yield item


def _names(batch: _Batch, columns: LabelColumns) -> list[tuple[str, list[str | None]]]:
    """How the rows name their answers: the prediction ids, the keys, or both."""
    found: list[tuple[str, list[str | None]]] = []
    if "id" in batch.raw.columns and columns.key != "id":
        found.append(("id", batch.texts("id")))
    key = _first(batch, (columns.key, "key"))
    if key is not None:
        found.append(("key", _keys(batch, key, columns)))
    if not found:
        _column(batch, ("id", columns.key or "key"), "id of a prediction or key of a row")
    return found


def _keys(batch: _Batch, key: str, columns: LabelColumns) -> list[str | None]:
    """The keys as the records of answers write them: a number as its type writes it."""
    if columns.key is None or columns.key_type in ("string", "timestamp"):
        return batch.texts(key)
    values = batch.values(key, columns.key_type)
    return [None if value is None else str(value) for value in values]


def _first(batch: _Batch, names: Sequence[str | None]) -> str | None:
    return next((name for name in names if name in batch.raw.columns), None)


def _column(batch: _Batch, names: Sequence[str], what: str) -> str:
    found = _first(batch, names)
    if found is None:
        raise DataError(
            "EB545",
            f"there is no column for the {what}",
            where=batch.name,
            why=f"its columns are {', '.join(batch.rows.names)}"[:500],
            mend=f"call it {' or '.join(dict.fromkeys(map(repr, names)))}",
        )
    return found


def _refuse_unread(rows: Rows, name: str) -> None:
    for finding in rows.complaints.findings:
        raise DataError(
            "EB544",
            "a file of labels cannot be read",
            where=name if finding.row is None else f"{name}, row {finding.row}",
            why=finding.detail,
            mend="mend the file, then repeat the command: no label of its files was kept",
        )
