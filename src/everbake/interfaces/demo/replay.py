"""The replay: each month is predicted, arrives, and is learned from; two things go wrong.

The steps are those of any project: files, `ingest`, the prediction server. Nothing is arranged
beyond what arrives and what is edited.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from everbake.errors import HealthError, UsageError
from everbake.interfaces.demo.loop import Loop, Outcome
from everbake.interfaces.demo.result import Errors, Held, Judgement, Replayed, Result, Tried
from everbake.interfaces.demo.wording import held_lines, month_line, tried_lines
from everbake.interfaces.demo.year import (
    TIDIED,
    Month,
    as_requests,
    broken,
    months,
    truth,
    write_csv,
)

Say = Callable[[str], None]

_FEWEST = 4  # months: one to learn from, one that breaks, one with the edit, one more


def replay(year: pa.Table, loop: Loop, say: Say) -> Result:
    """Let a year happen to a running loop.

    Args:
        year: hourly rows, as in the demo's own file.
        loop: of an empty project.
        say: gets a line for each thing that happens.

    Raises:
        UsageError: there are too few months in it.
    """
    calendar = months(year)
    if len(calendar) < _FEWEST:
        raise UsageError(
            "EB016", f"{len(calendar)} months are too few", mend=f"replay {_FEWEST} or more"
        )
    started = time.perf_counter()
    passing = _Replay(calendar, loop, say)
    done = tuple(passing.live(month) for month in calendar)
    return Result(done, passing.held, passing.tried, time.perf_counter() - started)


class _Replay:
    """What is known half-way through."""

    held: Held
    tried: Tried

    def __init__(self, calendar: Sequence[Month], loop: Loop, say: Say) -> None:
        self._loop = loop
        self._say = say
        self._breaks = calendar[len(calendar) // 2]
        self._edited = calendar[len(calendar) * 3 // 4]
        self._first: int | None = None

    def live(self, month: Month) -> Replayed:
        """One month: predicted, then known, then learned from."""
        errors = self._predicted(month)
        if month is self._breaks:
            judged = self._break(month)
        elif month is self._edited:
            judged = self._edit(month)
        else:
            judged = judgement(self._arrives(month.rows, month.name))
        champion = self._loop.state.champion
        if self._first is None:
            self._first = _model_of(champion, judged)
        rows = month.rows.num_rows
        learned = Replayed(month.name, month.title, rows, judged, champion, errors)
        self._say(month_line(learned))
        return learned

    def _predicted(self, month: Month) -> Errors | None:
        """The month's errors, of predictions made before its rows arrive."""
        if self._first is None:
            return None
        rows, happened = as_requests(month.rows), truth(month.rows)
        frozen = self._loop.ask_version(self._first, rows)
        answers = self._loop.ask_server(rows)
        return Errors(
            month.rows.num_rows,
            float(np.mean(np.abs(happened - np.asarray(frozen)))),
            float(np.mean(np.abs(happened - np.asarray(answers.predictions)))),
            answers.versions,
        )

    def _arrives(self, rows: pa.Table, name: str) -> Outcome:
        return self._loop.arrive(write_csv(rows, self._loop.project / "batches" / f"{name}.csv"))

    def _break(self, month: Month) -> Judgement:
        """The month as a failing sensor sends it, and then as it was."""
        outcome = self._arrives(broken(month.rows), f"{month.name}-broken")
        held = Held(month.name, outcome["rows"], None, 0, (), None)
        entry = outcome["quarantine"]
        if entry is not None:
            count, findings = entry["findings_count"], _kinds(entry["findings"])
            held = Held(month.name, entry["rows"], entry["id"], count, findings, None)
        for line in held_lines(held):
            self._say(line)
        mended = self._arrives(month.rows, month.name)
        if held.quarantine is not None:
            self._loop.discard(held.quarantine, "the sensor was mended and the month sent again")
        self.held = replace(held, mended=mended["data_version"])
        return judgement(mended)

    def _edit(self, month: Month) -> Judgement:
        """The recipe is edited, the month arrives, the edit is undone."""
        self._loop.edit(TIDIED)
        edited = judgement(self._arrives(month.rows, month.name))
        for line in tried_lines(month.name, TIDIED.what, edited):
            self._say(line)
        self._loop.edit(TIDIED.undone)
        undone = judgement(self._loop.take_up())
        self.tried = Tried(month.name, TIDIED.what, edited, undone)
        return undone


def _model_of(champion: int | None, judged: Judgement) -> int:
    if champion is None:
        raise HealthError(
            "EB531",
            "the first month gave no model",
            why=judged.because,
            mend="everbake doctor",
        )
    return champion


def _kinds(findings: Sequence[dict[str, object]]) -> tuple[dict[str, object], ...]:
    """The first finding of each kind."""
    first: dict[tuple[object, object], dict[str, object]] = {}
    for finding in findings:
        first.setdefault((finding["code"], finding["column"]), finding)
    return tuple(first.values())


def judgement(outcome: Outcome) -> Judgement:
    """What a run came to, out of the JSON that scripts get."""
    decision, run = outcome["decision"], outcome["run"]
    if decision is not None:
        return Judgement(decision["verdict"], decision["because"], decision["version"])
    if run is None:
        return Judgement("not run", "nothing new arrived", None)
    return Judgement(run["state"], run.get("error", ""), None)
