"""Versioned tables on a real disk: appends, adoption, compaction, old versions readable."""

from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from everbake.adapters.tables.delta import SMALL_FILES, DeltaTables
from everbake.core.contract import ColumnRule, Contract, StagedFile
from everbake.core.dataset import HASH, ROW, Special
from everbake.core.facts import DataArrived
from everbake.errors import ConflictError, Retry, Stop


def contract(*names):
    rules = tuple(ColumnRule(name, "float64") for name in names)
    return msgspec.json.encode(Contract(rules, Special("x"), 1)).decode()


def append(tables, version, columns=("x",), model="m"):
    """One row as one commit; the fact as it came back."""
    stage = tables.stage(model)
    row = {name: [float(version)] for name in columns}
    table = pa.table({**row, ROW: [version - 1], HASH: [version]})
    pq.write_table(table, stage / "part.parquet")
    size = (stage / "part.parquet").stat().st_size
    fact = DataArrived(
        model, version, f"{version:064x}", 1, version - 1, 0, contract(*columns), ("f",)
    )
    return tables.commit([StagedFile("part.parquet", size, 1)], fact)


def rows(tables, fact):
    """The rows of a data version, read from its files."""
    parts = [pq.ParquetFile(path).read() for path in tables.files(fact)]
    return sorted(pa.concat_tables(parts, promote_options="default").column(ROW).to_pylist())


def test_small_files_are_compacted_and_every_version_stays_readable(tmp_path):
    tables = DeltaTables(tmp_path)
    facts = [append(tables, version) for version in range(1, 2 * SMALL_FILES + 3)]
    assert len(tables.files(facts[-1])) < SMALL_FILES
    for fact in (facts[0], facts[SMALL_FILES - 2], facts[SMALL_FILES], facts[-1]):
        assert rows(tables, fact) == list(range(fact.version))
        assert rows(DeltaTables(tmp_path), fact) == list(range(fact.version))


def test_commits_without_a_fact_are_told_with_theirs(tmp_path):
    tables = DeltaTables(tmp_path)
    facts = [append(tables, version) for version in (1, 2, 3)]
    again = DeltaTables(tmp_path)
    assert again.orphans("m", 0) == facts
    assert again.orphans("m", 2) == facts[2:]
    assert again.orphans("m", 3) == []
    assert again.orphans("other", 0) == []


def test_compaction_makes_no_orphan(tmp_path):
    tables = DeltaTables(tmp_path)
    last = [append(tables, version) for version in range(1, SMALL_FILES + 2)][-1]
    assert DeltaTables(tmp_path).orphans("m", last.version) == []


def test_a_data_version_is_committed_once(tmp_path):
    tables = DeltaTables(tmp_path)
    append(tables, 1)
    with pytest.raises(ConflictError, match="EB601"):
        append(tables, 1)
    assert rows(tables, tables.orphans("m", 0)[0]) == [0]


def test_a_column_may_join_later(tmp_path):
    tables = DeltaTables(tmp_path)
    first, second = append(tables, 1), append(tables, 2, ("x", "y"))
    assert rows(tables, second) == [0, 1]
    assert rows(tables, first) == [0]


def test_a_table_that_is_gone_or_cannot_be_written_is_told(tmp_path):
    tables = DeltaTables(tmp_path / "tables")
    fact = append(tables, 1)
    with pytest.raises(Stop, match="EB603"):
        DeltaTables(tmp_path / "elsewhere").files(fact)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Retry, match="EB602"):
        DeltaTables(Path(tmp_path / "file")).stage("m")
