"""In what two versions differ: data, code, packages, parameters, declaration."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from everbake.core.bundle import Bundle, Input
from everbake.core.facts import expected, step_id
from everbake.core.run_facts import RunPinned
from everbake.core.spec import RecipeSpec
from everbake.core.tables import Row
from everbake.ports import Blobs, Reader
from everbake.views.code import changes
from everbake.views.moments import moment

_TOLD_ELSEWHERE = ("name", "params", "seed")  # parts of a recipe that have an entry of their own
_ABOUT_PYTHON = ("python", "implementation", "platform")


def spec_of(reader: Reader, version: Row) -> RecipeSpec:
    """The recipe that a version was made by."""
    return expected(reader.find(step_id(str(version["run"]), "pin")), RunPinned).spec


def differences(
    reader: Reader, blobs: Blobs, pair: tuple[Row, Row], most: int | None
) -> dict[str, Any]:
    """What differs between two versions; an entry is empty where nothing does.

    Args:
        reader: the ledger.
        blobs: what the versions are made of.
        pair: two rows of `versions` of one model.
        most: lines of code differences that are told, or None for all.
    """
    one, other = (Bundle.decode(blobs.get(str(version["bundle"]))) for version in pair)
    specs = [spec_of(reader, version) for version in pair]
    worlds = [_decoded(blobs, bundle.environment) for bundle in (one, other)]
    files = [_decoded(blobs, bundle.snapshot) for bundle in (one, other)]
    return {
        "data": _data(reader, one, other),
        "code": changes(files[0], files[1], most),
        "same_code": one.recipe == other.recipe,
        "packages": list(_packages(worlds[0], worlds[1])),
        "commit": _pair(worlds[0]["commit"], worlds[1]["commit"]),
        "uncommitted": [bool(world["diff"]) for world in worlds],
        "params": _entries(one.params, other.params),
        "seed": _pair(one.seed, other.seed),
        "declared": _entries(*(dict(_declared(spec)) for spec in specs)),
        "columns": _entries(*(_columns(bundle.inputs) for bundle in (one, other))),
        "runtime": _pair(one.runtime, other.runtime),
        "why_runtime": [one.why_runtime, other.why_runtime],
    }


def _decoded(blobs: Blobs, blob: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(blobs.get(blob))
    return found


def _pair(one: object, other: object) -> list[object] | None:
    return None if one == other else [one, other]


def _entries(one: Mapping[str, object], other: Mapping[str, object]) -> dict[str, list[object]]:
    """The names whose values differ, with both; null where there is none."""
    names = dict.fromkeys([*one, *other])
    return {n: [one.get(n), other.get(n)] for n in names if one.get(n) != other.get(n)}


def _data(reader: Reader, one: Bundle, other: Bundle) -> dict[str, Any] | None:
    """Up to which data version and from how many rows each learned, and the batches between."""
    if (one.data_version, one.rows, one.refit) == (other.data_version, other.rows, other.refit):
        return None
    low, high = sorted((one.data_version, other.data_version))
    batches = [
        {
            "version": row["version"],
            "rows": row["rows"],
            "sources": str(row["sources"]).split("\n"),
            "time": moment(row["time"]),
        }
        for row in reader.rows("data_versions", {"model": one.model})
        if low < int(row["version"] or 0) <= high
    ]
    later = other.data_version > one.data_version
    return {
        "versions": [one.data_version, other.data_version],
        "rows": [one.rows, other.rows],
        "refit": [one.refit, other.refit],
        "added": batches if later else [],
        "removed": [] if later else batches,
    }


def _packages(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Python and the packages that are not the same; null where one is not installed."""
    about = [{name: world[name] for name in _ABOUT_PYTHON} for world in (one, other)]
    for name, (before, after) in _entries(about[0], about[1]).items():
        yield {"name": name, "a": before, "b": after}
    installed = _entries(one["packages"], other["packages"])
    for name in sorted(installed):
        yield {"name": name, "a": installed[name][0], "b": installed[name][1]}


def _declared(spec: RecipeSpec) -> Iterator[tuple[str, object]]:
    """The declaration as paths, as in `gate.tolerance`, and values."""
    parts: dict[str, Any] = msgspec.to_builtins(spec)
    for name, value in parts.items():
        if name in _TOLD_ELSEWHERE:
            continue
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", each) for inner, each in value.items())
        else:
            yield name, value


def _columns(inputs: Iterable[Input]) -> dict[str, object]:
    """The columns of a request, as they are asked for."""
    return {
        each.name: f"{each.type}{', needed' if each.needed else ''}"
        f"{', may be null' if each.nullable else ''}"
        for each in inputs
    }
