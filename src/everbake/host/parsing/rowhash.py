"""Hashes of rows that depend on nothing but the values: no library's version, no column order.

A cell's hash mixes the bits of its value with a seed made of its column's name; a row's hash mixes
the sum of its cells'. A missing value adds nothing, so a column that joins the table later changes
no hash of the rows before it. The mixing is that of splitmix64 (Steele, Lea & Flood 2014).
"""

import hashlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Hashes: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]

_SLICES = 16  # of all hashes, by their first bits
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def row_hashes(table: pa.Table | pa.RecordBatch, columns: Sequence[str] | None = None) -> Hashes:
    """One 64-bit hash for each row over the named columns, or over all that are there."""
    names = list(table.column_names if columns is None else columns)
    total = np.zeros(table.num_rows, np.uint64)
    for name in names:
        total += cell_hashes(name, table.column(name))
    return mixed(total)


def cell_hashes(name: str, values: pa.Array | pa.ChunkedArray) -> Hashes:
    """What each value of one column adds to its row's hash: 0 where it is missing."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    cells = mixed(_bits(values) + seed(name))
    missing = _missing(values)
    if missing is not None:
        cells[missing] = 0
    return cells


def batch_digest(parts: Sequence[Hashes]) -> str:
    """SHA-256 over all row hashes in order: the same rows in any order have the same digest.

    Args:
        parts: row hashes, each part sorted; a sixteenth of them is copied at a time.
    """
    state = hashlib.sha256()
    edges = np.arange(1, _SLICES, dtype=np.uint64) << np.uint64(64 - _SLICES.bit_length() + 1)
    cuts = [[0, *np.searchsorted(part, edges).tolist(), len(part)] for part in parts]
    for slice_ in range(_SLICES):
        pieces = [
            part[cut[slice_] : cut[slice_ + 1]] for part, cut in zip(parts, cuts, strict=True)
        ]
        ordered = np.concatenate(pieces) if pieces else np.zeros(0, np.uint64)
        ordered.sort()
        state.update(ordered.astype("<u8", copy=False).data)
    return state.hexdigest()


def seed(name: str) -> np.uint64:
    """The number that stands for a column's name."""
    return np.uint64(_of_bytes(name.encode()))


def mixed(values: Hashes) -> Hashes:
    """The output function of splitmix64 on each number; `values` is left alone."""
    z = values + _GOLDEN
    scratch = z >> np.uint64(30)
    z ^= scratch
    z *= _FIRST
    np.right_shift(z, np.uint64(27), out=scratch)
    z ^= scratch
    z *= _SECOND
    np.right_shift(z, np.uint64(31), out=scratch)
    z ^= scratch
    return z


def _of_bytes(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _missing(values: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
    missing = values.is_null(nan_is_null=pa.types.is_floating(values.type))
    return np.asarray(missing) if pc.any(missing).as_py() else None


def _bits(values: pa.Array) -> Hashes:
    """The bits of each value as an unsigned number; anything where it is missing."""
    kind = values.type
    if pa.types.is_floating(kind):
        numbers = np.asarray(values.to_numpy(zero_copy_only=False), np.float64)
        return (numbers + 0.0).view(np.uint64)  # -0.0 becomes 0.0, which it equals
    if pa.types.is_boolean(kind):
        return _of_integers(values.cast(pa.int64()))
    if pa.types.is_integer(kind):
        return _of_integers(values.cast(pa.int64()))
    if pa.types.is_temporal(kind):
        stamps = values.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False)
        return _of_integers(stamps.cast(pa.int64()))
    return _of_texts(values)


def _of_integers(values: pa.Array) -> Hashes:
    filled = pc.fill_null(values, 0) if values.null_count else values
    return np.asarray(filled.to_numpy()).view(np.uint64)


def _of_texts(values: pa.Array) -> Hashes:
    coded = pc.fill_null(values.cast(pa.large_string()), "").dictionary_encode()
    known = np.fromiter(
        (_of_bytes(text.encode()) for text in coded.dictionary.to_pylist()),
        np.uint64,
        len(coded.dictionary),
    )
    return known[coded.indices.to_numpy()] if len(known) else np.zeros(0, np.uint64)
