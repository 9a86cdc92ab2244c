"""Text for people, JSON for scripts."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from everbake.core.drawing import MARKS
from everbake.errors import EverbakeError


def document(value: Mapping[str, Any]) -> str:
    """JSON on one line."""
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def error_document(error: EverbakeError) -> str:
    """An error as JSON, for scripts that asked for JSON."""
    parts = {
        "code": error.code,
        "what": error.what,
        "where": error.where,
        "why": error.why,
        "mend": error.mend,
    }
    return document({"schema": 1, "error": parts})


def error_text(error: EverbakeError) -> str:
    """An error in four parts, for people."""
    lines = [f"{error.code}  {error.what}"]
    lines += [f"  {name:<6} {text}" for name, text in _parts(error) if text]
    return "\n".join(lines)


def _parts(error: EverbakeError) -> list[tuple[str, str]]:
    return [("where", error.where), ("why", error.why), ("mend", error.mend)]


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns side by side; the last one may be cut to the terminal's width."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(heads), *cells]) for i in range(len(heads))]
    room = max(40, shutil.get_terminal_size((120, 24)).columns)
    lines = []
    for line in [list(heads), *cells]:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        lines.append(text.rstrip() if len(text.rstrip()) <= room else text[: room - 1] + "…")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)


def light(name: str, state: Mapping[str, str]) -> str:
    """One of fresh, good, safe: a shape, a word and a detail."""
    return f"{MARKS[state['state']]} {name:<6} {state['detail']}"


def outcome_text(outcome: Mapping[str, Any]) -> str:
    """What `ingest` and `retrain` did, for people."""
    model = outcome["model"]
    if outcome.get("quarantined"):
        return quarantine_text(model, outcome["quarantine"])
    lines = []
    if outcome.get("duplicate"):
        lines.append(f"{model}: these rows arrived before (data version {outcome['data_version']})")
    elif outcome["rows"]:
        lines.append(f"{model}: {outcome['rows']} rows, data version {outcome['data_version']}")
    for look in outcome.get("looks", ()):  # before what is baked: they decide who has to be beaten
        lines += _looked(model, look)
    run, decision = outcome["run"], outcome["decision"]
    if run is not None and decision is None:
        lines.append(_unfinished(run))
    if decision is not None:
        lines += decision_lines(model, decision)
        lines += _taking_over(model, outcome)
    return "\n".join(lines) or f"{model}: nothing was due"


def _looked(model: str, look: Mapping[str, Any]) -> list[str]:
    """What a look at a pending candidate came to, which the same rows made due."""
    if look["decision"] is None:
        return []
    again = decision_lines(model, look["decision"])
    return [f"looked at again: {again[0]}", *again[1:]]


def _taking_over(model: str, outcome: Mapping[str, Any]) -> list[str]:
    """Why a winner does not serve yet."""
    beside = outcome.get("rollout")
    if beside is not None and beside["version"] == outcome["decision"]["version"]:
        how = "shadow" if beside["kind"] == "shadow" else f"canary, {100 * beside['share']:.4g} %"
        return [f"it takes over by its rollout ({how}): everbake why {model}"]
    if outcome["decision"]["verdict"] == "inconclusive":
        return _undecided(model, outcome)
    if outcome["run"]["state"] != "waiting":
        return []
    if beside is not None:
        return [f"it waits: {model}@{beside['version']} is in its rollout"]
    return [f"promotion is held: everbake promote {model}, or everbake resume {model}"]


def look_lines(looks: Sequence[Mapping[str, Any]]) -> list[str]:
    """The decisions about a version that was looked at more than once."""
    if len(looks) < 2:  # noqa: PLR2004 - the one there is has been told
        return []
    return [
        f"  look {look['look']} of {look['time']}: {look['verdict']} by {look['rows']} rows, "
        f"{100 * (1 - look['level']):.4g} % sure"
        for look in looks
    ]


def _undecided(model: str, outcome: Mapping[str, Any]) -> list[str]:
    """What becomes of a version on which the rows could not tell."""
    waits = outcome.get("pending")
    if waits is None:
        return []
    if waits["version"] == outcome["decision"]["version"]:
        return [f"it stays a candidate: {waits['next']}"]
    return [f"it is retired: {model}@{waits['version']} stays the candidate ({waits['next']})"]


def rollout_lines(rollout: Mapping[str, Any]) -> list[str]:
    """A rollout: its state, its sentence, what was looked at, and its steps."""
    share = "" if rollout["kind"] == "shadow" else f" of {100 * rollout['share']:.4g} %"
    lines = [f"rollout against version {rollout['champion']}: {rollout['kind']}{share}, "]
    lines[0] += str(rollout["state"]).replace("_", " ")
    if rollout["because"]:
        lines.append(f"  {rollout['because']}")
    lines += [
        f"  {MARKS[check['state']]} {check['name']}: {check['detail']}"
        for check in rollout["checks"]
    ]
    steps = [f"{step['time']} {str(step['step']).replace('_', ' ')}" for step in rollout["steps"]]
    return lines + [f"  {step}" for step in steps]


def _unfinished(run: Mapping[str, Any]) -> str:
    if run["state"] == "failed":
        return f"run {run['id']} failed: {run.get('error', '')}\n  mend   everbake logs {run['id']}"
    return f"run {run['id']} is {run['state']}"


def decision_lines(model: str, decision: Mapping[str, Any]) -> list[str]:
    """A decision: verdict, sentence, figures."""
    metric = decision["metric"]
    lines = [f"{model}@{decision['version']} {decision['verdict']}", f"  {decision['because']}"]
    if metric["candidate"] is not None:
        lines.append(f"  {metric['name']}  candidate {metric['candidate']:.6g}{_against(metric)}")
    lines += [
        f"  {MARKS[check['state']]} {check['name']}: {check['detail']}"
        for check in decision["checks"]
        if check["state"] != "pass"
    ]
    return lines


def _against(metric: Mapping[str, Any]) -> str:
    if metric["champion"] is None:
        return f"  on {metric['n']} rows"
    text = f"  champion {metric['champion']:.6g}  on {metric['n']} rows"
    if metric["interval"] is not None:
        low, high = metric["interval"]
        text += f"  gain {metric['difference']:.3g} in [{low:.3g}, {high:.3g}]"
    return text


def quarantine_text(model: str, entry: Mapping[str, Any]) -> str:
    """A quarantined batch and what is wrong with it."""
    lines = [f"{model}: quarantined as {entry['id']} ({entry['rows']} rows, none of them taken)"]
    lines += [f"  {finding_text(finding)}" for finding in entry["findings"][:10]]
    more = entry["findings_count"] - min(10, len(entry["findings"]))
    if more > 0:
        lines.append(f"  and {more} more")
    name = f"{model} {entry['id']}"
    lines.append(f"  mend   mend the file and ingest it again, or: everbake data show {name},")
    lines.append(f"         everbake data accept {name} --reason TEXT, or")
    lines.append(f"         everbake data reject {name} --reason TEXT")
    return "\n".join(lines)


def finding_text(finding: Mapping[str, Any]) -> str:
    """A finding with its place."""
    place = [finding.get("source") or ""]
    place += [f"row {finding['row']}"] if finding.get("row") is not None else []
    place += [f'column "{finding["column"]}"'] if finding.get("column") else []
    return f"{', '.join(part for part in place if part)}: {finding['detail']}"
