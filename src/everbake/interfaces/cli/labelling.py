"""Labels in files, handed to whoever records: the process beside the workers, or this command."""

import time
from collections import Counter
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from everbake import wiring
from everbake.errors import DataError, Retry
from everbake.interfaces.cli.calling import json_option, progress, tell
from everbake.interfaces.cli.changing import readable
from everbake.interfaces.cli.looking import known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from everbake.host.labels import Item, LabelColumns
    from everbake.recording.intake import Asked

_AT_ONCE = 10_000  # labels
_PATIENCE = 30.0  # seconds
_AGAIN = 0.05
_COUNTS = ("received", "joined", "waiting", "corrected", "duplicate")


@click.command()
@click.argument("name")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--source", default="", help="Who says so, where a row does not; kept for ever.")
@json_option
@click.pass_obj
def labels(
    project: Path,
    name: str,
    files: tuple[str, ...],
    source: str,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Say what came true of NAME's predictions: labels in FILEs.

    FILEs are CSV, Parquet or JSON lines (- is standard input). Each row names an answer by the
    `id` of its prediction, or by the key of its row (the recipe's key column, or `key`), and has
    a `label` (or the recipe's label column); `time` and `source` may be there, other columns are
    left out. If one row cannot be used, none of them is kept.

    Exit codes: 0 kept, 3 a label cannot be used.
    """
    columns = _columns(project, name)
    names = tuple("standard input" if file == "-" else file for file in files)
    with readable(project, files) as paths, progress("labels"):
        sources = list(zip(paths, names, strict=True))
        if not sum(1 for _ in _items(sources, columns)):
            raise DataError(
                "EB540", "there are no labels", where=", ".join(names), mend="give rows"
            )
        told = _sent(project, name, _items(sources, columns), source or "everbake labels")
    tell(told, lambda: _text(told), as_json=as_json)


def _columns(project: Path, name: str) -> "LabelColumns":
    """What the model's table calls its label and its key."""
    from everbake.core.contract import Contract
    from everbake.core.spec import RecipeSpec
    from everbake.host.labels import LabelColumns
    from everbake.recording.reception import unlabelled

    reader = wiring.reader(project)
    known(reader, name)
    (row,) = reader.rows("models", {"model": name})
    spec = msgspec.json.decode(str(row["spec"]), type=RecipeSpec)
    if spec.ranked is not None:
        raise unlabelled(name)
    table = spec.table
    if row["contract"] is None:
        what = f"{name} has no data yet, so the type of its labels is not known"
        raise DataError("EB546", what, mend=f"everbake ingest {name} FILE")
    contract = msgspec.json.decode(str(row["contract"]), type=Contract)
    label, key = contract.rule(table.label), contract.rule(table.key or "")
    return LabelColumns(
        table.label,
        (label and label.type) or "string",
        table.key,
        (key and key.type) or "string",
    )


def _items(sources: list[tuple[str, str]], columns: "LabelColumns") -> "Iterator[Item]":
    from everbake.host.labels import label_items

    for path, name in sources:
        yield from label_items(path, name, columns)


def _sent(project: Path, model: str, items: "Iterator[Item]", source: str) -> dict[str, Any]:
    """Hand over all labels; what became of them."""
    from everbake.recording.intake import Asked

    counts: Counter[str] = Counter(dict.fromkeys(_COUNTS, 0))
    with ExitStack() as stack:
        keeper = _Keeper(project, stack)
        while part := list(islice(items, _AT_ONCE)):
            outcome = keeper.keep(Asked(model, part, source))
            counts.update({name: outcome[name] for name in _COUNTS})
    return {"schema": 1, "model": model, **counts}


class _Keeper:
    """Whoever keeps labels: the process that records, or this command where there is none."""

    def __init__(self, project: Path, stack: ExitStack) -> None:
        self._project = project
        self._stack = stack
        self._taking: Callable[[Asked], dict[str, Any]] | None = None

    def keep(self, asked: "Asked") -> dict[str, Any]:
        """What became of these labels.

        Raises:
            Retry: the one who records does not answer.
        """
        from everbake.recording.intake import ask, outcome_of

        until = time.monotonic() + _PATIENCE
        while self._taking is None:
            told = ask(wiring.places(self._project).intake, asked)
            if told is not None:
                return outcome_of(told)
            found = self._stack.enter_context(wiring.recording(self._project))
            if found is not None:
                self._taking = found[1].taking
            elif time.monotonic() > until:
                raise Retry(
                    "EB542",
                    "labels cannot be kept now",
                    where=str(self._project.absolute()),
                    why=f"the process that keeps them did not answer for {_PATIENCE:g} s",
                    mend="repeat the command: a label that was kept is counted once",
                )
            else:
                time.sleep(_AGAIN)
        return self._taking(asked)


def _text(told: dict[str, Any]) -> str:
    return (
        f"{told['model']}: {told['received']} labels; {told['joined']} belong to answers, "
        f"{told['waiting']} wait for theirs, {told['corrected']} correct another, "
        f"{told['duplicate']} were known"
    )
