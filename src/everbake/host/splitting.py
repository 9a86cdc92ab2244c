"""Which rows are held out, and the set of rows that a version was trained on."""

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from everbake.core.dataset import HASH
from everbake.core.spec import RecipeSpec, SplitSpec
from everbake.errors import RecipeError
from everbake.host.parsing.rowhash import row_hashes

Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Hashes: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]

_FULL = 2.0**64


@dataclass(frozen=True)
class Held:
    """What the split says about each row of the table.

    Attributes:
        train: rows that the candidate is trained on.
        judge: rows on which candidate and champion are compared; no row is in both.
        seen: held-out rows that judge nobody because the champion was trained on them.
        twins: rows left out because they equal one that judges.
    """

    train: Mask
    judge: Mask
    seen: int
    twins: int = 0


def split(
    table: pa.Table, spec: RecipeSpec, champion: Mask | None, most: int | None = None
) -> Held:
    """Divide the rows.

    Args:
        table: all rows in order of arrival, with their hidden columns.
        spec: the recipe.
        champion: the rows that the champion, and the best version so far, were trained on.
        most: rows that a share of the newest is cut down to.
    """
    held = held_out(table, spec, most)
    known = np.zeros(table.num_rows, np.bool_)
    if champion is not None:
        known[: len(champion)] = champion[: table.num_rows]
        known = _with_copies(table, known)
    judge = held & ~known
    seen = int((held & known).sum())
    if spec.split.kind != "time":
        return Held(~held, judge, seen)
    # What the champion has learned from, the candidate may learn from, up to what judges them.
    times = times_of(table, spec)
    older = times <= times[judge].min() if judge.any() else np.ones(table.num_rows, np.bool_)
    train = ~held | (held & known & older)
    own = own_hashes(table)
    once = judge & _first_of_each(own, judge)
    copies = train & np.isin(own, own[once])
    return Held(train & ~copies, once, seen, int(copies.sum() + judge.sum() - once.sum()))


def unseen(table: pa.Table, spec: RecipeSpec, learned: Mask) -> Mask:
    """The rows on which models can be compared that have learned from some rows of the table.

    They are none of these rows, nor equal to one, nor of the same key; where the split holds out
    groups, of none of their groups; where it goes by time, none is older than the newest of them.

    Args:
        table: all rows in order of arrival, with their hidden columns.
        spec: the recipe.
        learned: the rows that any of the models was trained on.
    """
    rows = ~_with_copies(table, learned)
    for column in (spec.table.key, spec.table.group if spec.split.kind == "group" else None):
        if column is not None:
            hashes = column_hashes(table, column)
            rows &= ~np.isin(hashes, hashes[learned])
    if spec.split.kind != "time":
        return rows
    times = times_of(table, spec)
    if learned.any():
        rows &= times >= times[learned].max()
    return _first_of_each(own_hashes(table), rows)


def split_known(
    table: pa.Table,
    known: Mask,
    spec: RecipeSpec,
    champion: Mask | None,
    most: int | None = None,
) -> Held:
    """Divide the `known` rows; all others are on no side. The rest is as for `split`."""
    learned = None if champion is None else champion[known]
    held = split(table.filter(pa.array(known)), spec, learned, most)
    train, judge = np.zeros((2, table.num_rows), np.bool_)
    train[known], judge[known] = held.train, held.judge
    return replace(held, train=train, judge=judge)


@dataclass(frozen=True)
class Learned:
    """Who has learned from which rows of a table, and which have judged the candidate.

    Attributes:
        candidate: rows that the pending candidate was trained on.
        others: rows that the champion or the best version so far was trained on.
        judged: rows that judged the candidate last.
    """

    candidate: Mask
    others: Mask
    judged: Mask


def fresh(table: pa.Table, spec: RecipeSpec, learned: Learned) -> Mask:
    """The rows that can judge a candidate which is pending.

    Those that judged it before, and what has come since; where a split in time holds rows out, all
    that are as new as the newest it was trained on, otherwise those that the split always holds
    out. None has an equal that one of the models was trained on, or that judges as well.

    Args:
        table: rows that have a label, in order of arrival, with their hidden columns.
        spec: the recipe.
        learned: from which of them who has learned.
    """
    if spec.split.kind == "time":
        times = times_of(table, spec)
        ages = times[learned.candidate]
        held = times >= (ages.max() if len(ages) else -np.inf)
    else:
        held = held_out(table, spec)
    known = _with_copies(table, learned.candidate | learned.others)
    judge = (held | learned.judged) & ~known
    return np.asarray(judge & _first_of_each(own_hashes(table), judge))


def rows_in(paths: Iterable[str], count: int) -> Mask:
    """The rows of a table with `count` rows that are in any of the sets in these files."""
    found = np.zeros(count, np.bool_)
    for path in paths:
        rows = unpack_rows(Path(path).read_bytes())[:count]
        found[: len(rows)] |= rows
    return found


def digest_of(table: pa.Table) -> str:
    """Which rows these are, wherever they stand: over the sorted hashes of their contents."""
    return hashlib.sha256(np.sort(own_hashes(table)).tobytes()).hexdigest()


def _with_copies(table: pa.Table, known: Mask) -> Mask:
    """These rows, and those that hold the same: exports overlap."""
    hashes = own_hashes(table)
    return np.asarray(known | np.isin(hashes, hashes[known]))


def _first_of_each(hashes: Hashes, among: Mask) -> Mask:
    first = np.zeros(len(hashes), np.bool_)
    places = np.flatnonzero(among)
    first[places[np.unique(hashes[places], return_index=True)[1]]] = True
    return first


def held_out(table: pa.Table, spec: RecipeSpec, most: int | None = None) -> Mask:
    """The rows that the split holds out. Of a single row, none: there must be one to train on."""
    if table.num_rows <= 1:
        return np.zeros(table.num_rows, np.bool_)
    if spec.split.kind == "time":
        return _newest(times_of(table, spec), spec.split, most)
    if spec.split.kind == "group":
        return _by_hash(column_hashes(table, str(spec.table.group)), spec.split)
    hashes = column_hashes(table, spec.table.key) if spec.table.key else own_hashes(table)
    if spec.split.stratify is None:
        return _by_hash(hashes, spec.split)
    return _in_strata(table, spec.split, hashes)


def _newest(times: np.ndarray[Any, Any], split: SplitSpec, most: int | None) -> Mask:
    count = len(times)
    order = np.argsort(times, kind="stable")
    if split.span_seconds is not None:
        held = times > times[order[-1]] - split.span_seconds
        if held.all():
            held[order[0]] = False
        return np.asarray(held)
    share = round(count * (split.share or 0.0))
    newest = min(max(1, share if most is None else min(share, most)), count - 1)
    held = np.zeros(count, np.bool_)
    held[order[-newest:]] = True
    return held


def times_of(table: pa.Table, spec: RecipeSpec) -> np.ndarray[Any, Any]:
    """The time column as numbers: seconds for times, the numbers themselves otherwise.

    A row without a time counts as the oldest.
    """
    column = table.column(str(spec.table.time))
    if column.null_count:
        times = _numbers(column, spec)
        return np.where(np.isnan(times), -np.inf, times)
    return _numbers(column, spec)


def _numbers(column: pa.ChunkedArray, spec: RecipeSpec) -> np.ndarray[Any, Any]:
    if pa.types.is_timestamp(column.type):
        micros: np.ndarray[Any, Any] = (
            column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy() / 1e6
        )
        return micros
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return np.asarray(column.to_numpy())
    raise RecipeError(
        "EB207",
        f'column "{spec.table.time}" holds {column.type}, which has no order in time',
        mend="Table(time=) needs times such as 2026-01-31T12:00:00, or numbers",
    )


def _by_hash(hashes: Hashes, split: SplitSpec) -> Mask:
    held = hashes.astype(np.float64) / _FULL < (split.share or 0.0)
    if not held.any():
        held = hashes == hashes.min()
    if held.all():
        held = hashes != hashes.max()
    return np.asarray(held)


def _in_strata(table: pa.Table, split: SplitSpec, hashes: Hashes) -> Mask:
    """`_by_hash` within each stratum of at least two rows; a lone row is trained on."""
    codes = pc.dictionary_encode(table.column(str(split.stratify)).combine_chunks()).indices
    strata = codes.fill_null(-1).to_numpy(zero_copy_only=False)
    held = np.zeros(len(strata), np.bool_)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        if len(members) > 1:
            held[members] = _by_hash(hashes[members], split)
    return held


def own_hashes(table: pa.Table) -> Hashes:
    """A hash of each row's content: the same for rows that hold the same."""
    return np.asarray(table.column(HASH).to_numpy()).view(np.uint64)


def column_hashes(table: pa.Table, column: str) -> Hashes:
    """A hash of each row's value in a column."""
    return row_hashes(table, [column])


def pack_rows(trained: Mask) -> bytes:
    """A set of rows in few bytes: 8 bytes of length, then zlib over one bit a row."""
    body = zlib.compress(np.packbits(trained).tobytes(), 6)
    return len(trained).to_bytes(8, "little") + body


def unpack_rows(data: bytes) -> Mask:
    """The set of rows that `pack_rows` packed."""
    count = int.from_bytes(data[:8], "little")
    bits = np.frombuffer(zlib.decompress(data[8:]), np.uint8)
    return np.unpackbits(bits, count=count).astype(np.bool_)
