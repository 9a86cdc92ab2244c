"""Which rows a recipe is tried on."""

from collections.abc import Callable

from everbake.engine.state import arrived_at
from everbake.ports import Reader, Tables

Look = Callable[[str], tuple[tuple[str, ...], int]]


def sample_of(reader: Reader, tables: Tables) -> Look:
    """A function from a model's name to its table's files and number of rows; none without data."""

    def look(model: str) -> tuple[tuple[str, ...], int]:
        rows = reader.rows("models", {"model": model})
        if not rows or not rows[0]["data_version"]:
            return (), 0
        arrived = arrived_at(reader, model, int(rows[0]["data_version"] or 0))
        return tuple(tables.files(arrived)), arrived.first_row + arrived.rows

    return look
