"""Labels as people and programs send them: looked at before anything is kept."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches

import msgspec

from everbake.core.contract import Contract
from everbake.core.spec import RecipeSpec
from everbake.errors import DataError, UsageError
from everbake.ports import Reader
from everbake.recording.labels import Label
from everbake.recording.store import plain

_FIELDS = ("id", "key", "label", "source", "time")
_NUMBERS = ("int64", "float64")


def label_type(reader: Reader, model: str) -> str | None:
    """The type of a model's label column, None where no data has come yet.

    Raises:
        UsageError: there is no such model.
        DataError: its recipe has no labels.
    """
    rows = reader.rows("models", {"model": model})
    if not rows:
        raise UsageError("EB004", f"there is no model {model!r}", mend="everbake status")
    if msgspec.json.decode(str(rows[0]["spec"]), type=RecipeSpec).ranked is not None:
        raise unlabelled(model)
    if rows[0]["contract"] is None:
        return None
    contract = msgspec.json.decode(str(rows[0]["contract"]), type=Contract)
    rule = contract.rule(contract.special.label)
    return None if rule is None else rule.type


def unlabelled(model: str) -> DataError:
    """Why nobody can label the answers of a ranking recipe: lists are judged by events."""
    return DataError(
        "EB547",
        f"{model} recommends lists, which have no labels",
        mend=f"everbake ingest {model} FILE with the events that followed",
    )


def labels_of(items: Sequence[object], kind: str | None, source: str, now: float) -> list[Label]:
    """The labels in a list of objects, all of them or none.

    Args:
        items: objects with `id` or `key`, and `label`; `source` and `time` may be there.
        kind: the type of the model's label column.
        source: of those without one.
        now: the time of those without one.

    Raises:
        DataError: one of them cannot be used; its place is named.
    """
    if not items:
        raise DataError("EB540", "there are no labels", mend=_MEND)
    return [_label(item, place, kind, (source, now)) for place, item in enumerate(items)]


_MEND = 'send {"labels": [{"id": "...", "label": 1}, ...]}, or "key" in place of "id"'


def _label(item: object, place: int, kind: str | None, usual: tuple[str, float]) -> Label:
    if not isinstance(item, Mapping):
        raise _wrong(place, "it is no object")
    for field in item:
        if field not in _FIELDS:
            near = get_close_matches(str(field), _FIELDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise _wrong(place, f"{str(field)[:100]!r} is not known{hint}")
    names = [field for field in ("id", "key") if item.get(field) is not None]
    if len(names) != 1:
        raise _wrong(place, 'it needs either an "id" or a "key"')
    name = item[names[0]]
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise _wrong(place, f"its {names[0]} is {name!r}")
    value = _value(item.get("label"), kind, place)
    source = item.get("source", usual[0])
    return Label(
        "id" if names[0] == "id" else "key",
        str(name),
        plain(value),
        str(source)[:200],
        _time(item.get("time"), place, usual[1]),
    )


def _value(value: object, kind: str | None, place: int) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in _NUMBERS and isinstance(value, bool):
        value, number = int(value), True
    if kind == "bool" and number and value in (0, 1):
        return bool(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong(place, "its label is no finite number")
    fits = {
        "int64": isinstance(value, int) or (isinstance(value, float) and value.is_integer()),
        "float64": number,
        "bool": isinstance(value, bool),
        "string": isinstance(value, str),
        "timestamp": isinstance(value, str),
    }
    if value is None or not fits.get(str(kind), isinstance(value, int | float | str)):
        raise _wrong(place, f"its label is {json.dumps(value)[:50]}, not of type {kind}")
    if kind == "int64":
        return int(value)  # type: ignore[call-overload]
    return float(value) if kind == "float64" else value  # type: ignore[arg-type]


def _time(value: object, place: int, now: float) -> float:
    if value is None:
        return now
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise _wrong(place, f"its time is {str(value)[:50]!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _wrong(place: int, why: str) -> DataError:
    return DataError(
        "EB541", "a label cannot be used", where=f"label {place + 1}", why=why, mend=_MEND
    )
