"""The replay: each month is predicted, arrives, and is learned from; two things go wrong.

The steps are those of any project: files, `ingest`, the prediction server. Nothing is arranged
beyond what arrives and what is edited.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from everbake.errors import UsageError
from everbake.interfaces.demo.loop import Loop, Outcome
from everbake.interfaces.demo.result import Errors, Held, Judgement, Replayed, Result, Tried
from everbake.interfaces.demo.wording import held_lines, month_line, tried_lines
from everbake.interfaces.demo.year import TIDIED, Month, as_requests, broken, months, truth, write_csv

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
    return _Replay(calendar, loop, say).run()


class _Replay:
    """What is known half-way through."""

    def __init__(self, calendar: Sequence[Month], loop: Loop, say: Say) -> None:
        self._calendar = calendar
        self._loop = loop
        self._say = say
        self._breaks = calendar[len(calendar) // 2]
        self._edited = calendar[len(calendar) * 3 // 4]
        self._first: int | None = None

    def run(self) -> Result:
        started = time.perf_counter()
        done: list[Replayed] = []
        held: Held | None = None
        tried: Tried | None = None
        for month in self._calendar:
            errors = self._predicted(month)
            if month is self._breaks:
                held = self._broken(month)
            if month is self._edited:
                tried = self._tried(month)
                judgement = tried.undone
            else:
                judgement = self._arrives(month)
            done.append(self._learned(month, errors, judgement))
        if held is None or tried is None:
            raise AssertionError("both belong to a month of the calendar")
        return Result(tuple(done), held, tried, time.perf_counter() - started)

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

    def _arrives(self, month: Month) -> Judgement:
        return judgement(self._loop.arrive(self._file(month.rows, month.name)))

    def _broken(self, month: Month) -> Held:
        """The month as a changed sensor sends it; it comes back mended as the month itself."""
        outcome = self._loop.arrive(self._file(broken(month.rows), f"{month.name}-broken"))
        entry = outcome["quarantine"]
        held = Held(month.name, outcome["rows"], None, 0, (), outcome["data_version"])
        if entry is not None:
            findings = {(each["code"], each["column"]): each for each in reversed(entry["findings"])}
            shown = tuple(reversed(findings.values()))
            version = self._loop.state.data_version + 1
            held = Held(
                month.name, entry["rows"], entry["id"], entry["findings_count"], shown, version
            )
            self._loop.discard(entry["id"], "the sensor was mended and the month sent again")
        for line in held_lines(held):
            self._say(line)
        return held

    def _tried(self, month: Month) -> Tried:
        """The recipe is edited, the month arrives, the edit is undone."""
        self._loop.edit(TIDIED)
        edited = self._arrives(month)
        self._loop.edit(TIDIED.undone)
        tried = Tried(month.name, TIDIED.what, edited, judgement(self._loop.take_up()))
        for line in tried_lines(tried):
            self._say(line)
        return tried

    def _learned(self, month: Month, errors: Errors | None, judged: Judgement) -> Replayed:
        champion = self._loop.state.champion
        if self._first is None:
            self._first = champion
        learned = Replayed(
            month.name, month.title, month.rows.num_rows, judged, champion, errors
        )
        self._say(month_line(learned))
        return learned

    def _file(self, rows: pa.Table, name: str) -> Path:
        return write_csv(rows, self._loop.project / "batches" / f"{name}.csv")


def judgement(outcome: Outcome) -> Judgement:
    """What a run came to, out of the JSON that scripts get."""
    decision, run = outcome["decision"], outcome["run"]
    if decision is not None:
        return Judgement(decision["verdict"], decision["because"], decision["version"])
    if run is None:
        return Judgement("not run", "nothing new arrived", None)
    return Judgement(run["state"], run.get("error", ""), None)
