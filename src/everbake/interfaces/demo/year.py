"""The year that the demo replays: its months as files, and what goes wrong on the way.

Knows the table's columns; knows nothing of models.
"""

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

MODEL, LABEL, TIME = "bikes", "rentals", "time"

_FILES = files("everbake.interfaces.demo") / "files"
_DATA = "bikeshare_hourly_2011.parquet"
_FULL_SCALE = 41.0  # degrees Celsius that the data set's authors wrote as a temperature of 1
_EVERY = 3  # in the broken batch, each third humidity is missing


@dataclass(frozen=True)
class Month:
    """The rows of one month.

    Attributes:
        name: such as `2011-02`.
        title: such as `February`.
        rows: in order of time.
    """

    name: str
    title: str
    rows: pa.Table


@dataclass(frozen=True)
class Edit:
    """A change of the recipe that looks harmless.

    Attributes:
        what: it in words.
        before: the text that goes.
        after: the text that comes.
    """

    what: str
    before: str
    after: str

    @property
    def undone(self) -> "Edit":
        """The edit that takes this one back."""
        return Edit(f"undone: {self.what}", self.after, self.before)


TIDIED = Edit(
    'somebody tidies the recipe: "hour" looks redundant beside "time"',
    'COLUMNS = ["hour", ',
    "COLUMNS = [",
)


def shipped(name: str) -> str:
    """The text of a file that comes with the demo."""
    return (_FILES / name).read_text(encoding="utf-8")


def read_year() -> pa.Table:
    """The year that comes with the demo."""
    with as_file(_FILES / _DATA) as path:
        return pq.read_table(path)


def months(year: pa.Table) -> list[Month]:
    """The year's rows month by month."""
    ordered = year.sort_by(TIME)
    names = pc.strftime(ordered.column(TIME), format="%Y-%m")
    return [_month(ordered, names, name) for name in pc.unique(names).to_pylist()]


def _month(ordered: pa.Table, names: pa.ChunkedArray, name: str) -> Month:
    rows = ordered.filter(pc.equal(names, name))
    return Month(name, rows.column(TIME)[0].as_py().strftime("%B"), rows)


def broken(rows: pa.Table) -> pa.Table:
    """The rows as a changed sensor sends them: `temp` in Fahrenheit, `humidity` with gaps."""
    fahrenheit = pc.add(pc.multiply(rows.column("temp"), _FULL_SCALE * 9 / 5), 32.0)
    gaps = pa.array(np.arange(rows.num_rows) % _EVERY == _EVERY - 1)
    humidity = pc.if_else(gaps, pa.scalar(None, pa.float64()), rows.column("humidity"))
    return _with(_with(rows, "temp", fahrenheit), "humidity", humidity)


def _with(rows: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)


def write_csv(rows: pa.Table, path: Path) -> Path:
    """Keep rows as a person would send them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pa_csv.write_csv(rows, path)
    return path


def as_requests(rows: pa.Table) -> list[dict[str, Any]]:
    """The rows as a caller of the prediction server knows them: without what is to be predicted."""
    asked = rows.drop_columns([LABEL]).to_pylist()
    return [{**row, TIME: row[TIME].isoformat()} for row in asked]


def truth(rows: pa.Table) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """What happened."""
    return np.asarray(rows.column(LABEL).to_numpy(), dtype=np.float64)


def busiest(rows: pa.Table) -> pa.Table:
    """The one row of the hour with the most rentals."""
    return rows.slice(int(np.argmax(truth(rows))), 1)
