"""Numbered migrations: SQL files `0001_start.sql`, `0002_...`, each run once, in order."""

from dataclasses import dataclass
from pathlib import Path

from everbake.errors import ConflictError


@dataclass(frozen=True)
class Migration:
    """One step from a schema to the next.

    Attributes:
        number: of the schema after it.
        name: name of its file.
        script: its SQL.
    """

    number: int
    name: str
    script: str


def schema_folder(database: str) -> Path:
    """The migrations that came with the program, for `sqlite` or `postgres`."""
    return Path(__file__).parent / "schema" / database


def migrations(folder: Path) -> list[Migration]:
    """The migrations in a folder, in order; their numbers are 1, 2, 3 and so on."""
    files = sorted(folder.glob("*.sql"))
    found = [Migration(int(file.name[:4]), file.name, file.read_text("utf-8")) for file in files]
    if [step.number for step in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"the numbers of the migrations in {folder} have gaps")
    return found


def pending(steps: list[Migration], current: int, where: str) -> list[Migration]:
    """The steps that a database at schema `current` still needs.

    Raises:
        ConflictError: the database is newer than the program.
    """
    if current > len(steps):
        raise ConflictError(
            "EB403",
            "the ledger was written by a newer everbake",
            where=where,
            why=f"its schema is number {current}, this program knows {len(steps)}",
            mend="pip install -U everbake",
        )
    return steps[current:]
