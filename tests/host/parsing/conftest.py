"""A folder of files to parse, and a stage beside it."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from everbake.core.contract import Contract, Parsed, ParseOrder
from everbake.core.dataset import Special
from everbake.host.parsing import parse


@dataclass
class Bench:
    """Writes files and parses them as batches."""

    folder: Path
    special: Special = field(default_factory=lambda: Special("y"))
    _stages: itertools.count = field(default_factory=itertools.count)

    def file(self, name: str, content: str | bytes | pa.Table) -> str:
        path = self.folder / name
        if isinstance(content, pa.Table):
            pq.write_table(content, path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def parse(self, *names: str, contract: Contract | None = None, **changes) -> Parsed:
        stage = str(self.folder / f"stage {next(self._stages)}")
        fields = {"mode": "check", "first_row": 0, **changes}
        paths = tuple(str(self.folder / name) for name in names)
        order = ParseOrder(paths, names, stage, contract, special=self.special, **fields)
        self.stage = Path(stage)
        return parse(order)

    def csv(self, text: str | bytes, **changes) -> Parsed:
        self.file("rows.csv", text)
        return self.parse("rows.csv", **changes)

    def rows(self, parsed: Parsed) -> pa.Table:
        tables = [pq.read_table(self.stage / file.path) for file in parsed.files]
        return pa.concat_tables(tables)

    def values(self, parsed: Parsed) -> list[dict]:
        """The user's columns of the staged rows."""
        names = [column.name for column in parsed.columns]
        return self.rows(parsed).select(names).to_pylist()

    def staged(self) -> list[str]:
        return sorted(path.name for path in self.stage.rglob("*")) if self.stage.exists() else []


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def types(parsed: Parsed) -> dict[str, str]:
    return {column.name: column.type for column in parsed.columns}
