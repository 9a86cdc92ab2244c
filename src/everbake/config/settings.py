"""`everbake.toml` and the environment, parsed once: what differs between laptop and production."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, get_args

from everbake.core.spec import parse_span
from everbake.errors import RecipeError, UsageError

Sync = Literal["none", "tick"]
Full = Literal["refuse", "answer"]
_SHORTEST, _LONGEST = 0.1, 3600.0


@dataclass(frozen=True)
class Settings:
    """What a project may set in `everbake.toml`; each also as EVERBAKE_<NAME> in the environment.

    Attributes:
        ledger: `sqlite`, or the address of a PostgreSQL database, `postgresql://...`.
        port: of the prediction server; 0 picks a free one.
        workers: processes that answer.
        log_sync: `none`, or `tick` to sync the prediction log before answers leave.
        log_keep: seconds that what was answered is kept; written as a span, such as `90d`.
        log_bytes: of it, at most; written as `50G`, or as a number.
        log_full: `refuse` what cannot be logged, or `answer` it all the same and count it.
        allow_hosts: further values of the Host header, beside those of this machine.
        request_bytes: of a request's body, at most.
        request_rows: of a request, at most.
        request_seconds: in which a request must have arrived, and its model have answered.
        waiting: requests that may wait for a model in its own process.
        access_log: file that takes a line a request, or `stderr`; empty for none.
        otel_endpoint: where spans go, over OTLP; empty for none.
    """

    ledger: str = "sqlite"
    port: int = 8322
    workers: int = 1
    log_sync: Sync = "none"
    log_keep: float = 90 * 86400.0
    log_bytes: int = 50 * 2**30
    log_full: Full = "refuse"
    allow_hosts: tuple[str, ...] = ()
    request_bytes: int = 10 * 1024 * 1024
    request_rows: int = 10_000
    request_seconds: float = 10.0
    waiting: int = 64
    access_log: str = ""
    otel_endpoint: str = ""


def load_settings(project: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a project; the environment wins over the file.

    Raises:
        UsageError: the file is no TOML, or holds what is no setting.
    """
    path = project / "everbake.toml"
    values: dict[str, object] = {}
    if path.is_file():
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise _wrong(path, f"it is no TOML: {error}") from error
    known = {field.name for field in fields(Settings)}
    for name in values:
        if name not in known:
            near = get_close_matches(name, sorted(known), n=1)
            raise _wrong(path, f"there is no setting {name!r}", near)
    for name in known:
        variable = f"EVERBAKE_{name.upper()}"
        if variable in environment:
            values[name] = environment[variable]
    default = Settings()

    def whole(name: str, allowed: range) -> int:
        return _whole(values.get(name, getattr(default, name)), name, allowed, path)

    return Settings(
        ledger=_ledger(values.get("ledger", "sqlite"), path),
        port=whole("port", range(65536)),
        workers=whole("workers", range(1, 257)),
        log_sync=_sync(values.get("log_sync", "none"), path),
        log_keep=_span(values.get("log_keep", "90d"), path),
        log_bytes=_size(values.get("log_bytes", default.log_bytes), path),
        log_full=_full(values.get("log_full", "refuse"), path),
        allow_hosts=_texts(values.get("allow_hosts", ()), path),
        request_bytes=whole("request_bytes", range(1024, 2**30 + 1)),
        request_rows=whole("request_rows", range(1, 10**7 + 1)),
        request_seconds=_seconds(values.get("request_seconds", default.request_seconds), path),
        waiting=whole("waiting", range(1, 100_001)),
        access_log=str(values.get("access_log", "")),
        otel_endpoint=_address(values.get("otel_endpoint", ""), path),
    )


def _ledger(value: object, path: Path) -> str:
    text = str(value)
    if text == "sqlite" or text.startswith(("postgresql://", "postgres://")):
        return text
    if text.startswith("env:"):
        return _ledger(os.environ.get(text.removeprefix("env:"), ""), path)
    raise _wrong(path, 'ledger is neither "sqlite" nor "postgresql://..." nor "env:NAME"')


def _whole(value: object, name: str, allowed: range, path: Path) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if number not in allowed:
        raise _wrong(path, f"{name} is {value!r}, not from {allowed[0]} to {allowed[-1]}")
    return number


def _seconds(value: object, path: Path) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = 0.0
    if not _SHORTEST <= number <= _LONGEST:
        why = f"request_seconds is {value!r}, not from {_SHORTEST:g} to {_LONGEST:g}"
        raise _wrong(path, why)
    return number


def _span(value: object, path: Path) -> float:
    try:
        return parse_span(str(value))
    except RecipeError as error:
        raise _wrong(path, f'log_keep is {value!r}, no span such as "90d"') from error


def _size(value: object, path: Path) -> int:
    found = re.fullmatch(r"(\d{1,15})([KMGT]?)", str(value))
    if found is None:
        raise _wrong(path, f'log_bytes is {value!r}, neither a number nor such as "50G"')
    scale: int = 1024 ** " KMGT".index(found[2] or " ")
    return int(found[1]) * scale


def _address(value: object, path: Path) -> str:
    text = str(value)
    if text and not text.startswith(("http://", "https://")):
        raise _wrong(path, f"otel_endpoint is {value!r}, not http://... or https://...")
    return text


def _sync(value: object, path: Path) -> Sync:
    for choice in get_args(Sync):
        if value == choice:
            known: Sync = choice
            return known
    raise _wrong(path, f'log_sync is {value!r}, neither "none" nor "tick"')


def _full(value: object, path: Path) -> Full:
    for choice in get_args(Full):
        if value == choice:
            known: Full = choice
            return known
    raise _wrong(path, f'log_full is {value!r}, neither "refuse" nor "answer"')


def _texts(value: object, path: Path) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part for part in value.split(",") if part)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise _wrong(path, "allow_hosts is no list of texts")


def _wrong(path: Path, why: str, near: list[str] | None = None) -> UsageError:
    mend = f"did you mean {near[0]!r}?" if near else f"mend {path.name}"
    return UsageError("EB010", "the settings cannot be used", where=str(path), why=why, mend=mend)
