"""The demo tells what happens: other data, other errors, other verdicts, another plot."""

import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from everbake.errors import ConflictError, UsageError
from everbake.interfaces.demo import plot, wording
from everbake.interfaces.demo.loop import looping
from everbake.interfaces.demo.page import page
from everbake.interfaces.demo.replay import replay
from everbake.interfaces.demo.year import LABEL, MODEL, TIDIED, TIME, read_year, shipped

EVERBAKE = Path(sys.executable).parent / "everbake"
PATIENCE = 120.0  # seconds; a bound, no expectation
MARCH, MAY = 3, 5  # of 31 days each; in five months, March breaks and April has the edit


def first(count):
    """The first months of the year."""
    year = read_year()
    return year.filter(pc.less_equal(pc.month(year.column(TIME)), count))


def spring():
    return first(5)


def shuffled(rows):
    """The same rows with somebody else's rentals."""
    order = np.random.default_rng(2011).permutation(rows.num_rows)
    return rows.set_column(rows.column_names.index(LABEL), LABEL, rows.column(LABEL).take(order))


def exchanged(rows):
    """March happens in May, and May in March."""
    other = {MARCH: MAY, MAY: MARCH}
    times = [t.replace(month=other.get(t.month, t.month)) for t in rows.column(TIME).to_pylist()]
    moved = pa.array(times, rows.schema.field(TIME).type)
    return rows.set_column(rows.column_names.index(TIME), TIME, moved).sort_by(TIME)


def live(rows, folder):
    said = []
    with looping(folder, 0, said.append) as loop:
        return replay(rows, loop, said.append), said


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "project"
    return *live(spring(), folder), folder


def everbake(folder, *words):
    command = [EVERBAKE, "-C", folder, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout


def errors_of(result):
    return [(errors.frozen, errors.fresh) for _, errors in result.predicted]


def judgements_of(result):
    return [month.judgement for month in result.months]


def assert_tells(result, said):
    """Every figure of the result is in the lines, the table, the page and the plot."""
    narrated, table = "\n".join(said), wording.table_text(result)
    shown = page(result, {})
    for month, errors in result.predicted:
        for value in (errors.frozen, errors.fresh):
            figure = wording.figure(value)
            assert figure in narrated
            assert figure in table
            assert f'<td class="figure">{figure}</td>' in shown
            assert figure in plot.chart(result)
        assert month.name in table
    points = re.findall(r'<polyline class="\w+" points="([^"]+)"', shown)
    assert [len(line.split()) for line in points] == [len(result.predicted)] * 2


def test_the_real_months_tell_that_a_fresh_model_is_better(real):
    result, said, _ = real
    assert_tells(result, said)
    assert result.months[0].errors is None
    assert len(result.predicted) == len(result.months) - 1
    assert result.fresh < result.frozen
    assert wording.figure(result.frozen / result.fresh) in wording.finding(result)
    for before, month in zip(result.months, result.months[1:], strict=False):
        assert month.errors.served == (before.champion,)


def test_the_broken_batch_is_held_back_and_comes_back_mended(real):
    result, said, folder = real
    held = result.held
    listed = json.loads(everbake(folder, "data", "ls", MODEL, "--json"))
    (entry,) = listed["quarantine"]
    assert (entry["id"], entry["state"], entry["rows"]) == (held.quarantine, "rejected", held.rows)
    assert {finding["column"] for finding in held.findings} == {"temp", "humidity"}
    for finding in held.findings:
        assert finding["detail"] in "\n".join(said)
        assert finding["detail"] in "\n".join(line[3] for line in wording.table_lines(result))
    (mended,) = [v for v in listed["versions"] if v["version"] == held.mended]
    assert mended["rows"] == held.rows
    assert mended["sources"] == [f"{held.month}.csv"]


def test_the_bad_edit_is_rejected_and_undone(real):
    result, said, folder = real
    edited, undone = result.tried.judgement, result.tried.undone
    assert edited.verdict == "rejected"
    assert edited.because in "\n".join(said)
    told = [line for line in wording.table_lines(result) if line[3].startswith(edited.because)]
    assert [line[2].split()[-1] for line in told] == ["rejected"]
    assert undone.version == edited.version + 1
    assert (folder / "recipe.py").read_text(encoding="utf-8") == shipped("recipe.txt")
    why = json.loads(everbake(folder, "why", f"{MODEL}@{edited.version}", "--json"))
    assert why["decision"]["because"] == edited.because


def test_the_edit_is_one_of_the_recipe_that_is_shipped():
    assert shipped("recipe.txt").count(TIDIED.before) == 1
    assert shipped("recipe.txt").replace(TIDIED.before, TIDIED.after).count(TIDIED.after) == 1


def test_the_errors_are_those_of_the_first_version_and_of_what_the_server_answered(real):
    result, _, folder = real
    month, errors = result.predicted[-1]
    batch = folder / "batches" / f"{month.name}.csv"
    said = json.loads(everbake(folder, "predict", f"{MODEL}@1", str(batch), "--json"))
    rows = spring()
    mine = rows.filter(pc.equal(pc.strftime(rows.column(TIME), format="%Y-%m"), month.name))
    truth = mine.column(LABEL).to_numpy()
    assert np.mean(np.abs(truth - said["predictions"])) == pytest.approx(errors.frozen)
    logged = [json.loads(line) for line in everbake(folder, "predictions", MODEL).splitlines()]
    assert len(logged) == result.answered
    answers = [entry["prediction"] for entry in logged[-errors.rows :]]
    assert np.mean(np.abs(truth - answers)) == pytest.approx(errors.fresh)


def test_shuffled_targets_change_the_errors_the_verdicts_and_the_plot(real, tmp_path):
    result, said = live(shuffled(spring()), tmp_path / "project")
    assert_tells(result, said)
    assert not set(errors_of(result)) & set(errors_of(real[0]))
    assert [j.verdict for j in judgements_of(result)] != [j.verdict for j in judgements_of(real[0])]
    assert plot.chart(result) != plot.chart(real[0])
    assert result.frozen / result.fresh < real[0].frozen / real[0].fresh
    assert wording.finding(result) != wording.finding(real[0])


def test_two_months_exchanged_change_the_errors_the_verdicts_and_the_plot(real, tmp_path):
    result, said = live(exchanged(spring()), tmp_path / "project")
    assert_tells(result, said)
    for mine, theirs in zip(result.predicted, real[0].predicted, strict=True):
        changed = mine[0].name >= f"2011-{MARCH:02}"
        assert (mine[1] != theirs[1]) == changed
    both = zip(judgements_of(result), judgements_of(real[0]), strict=True)
    assert [mine.because != theirs.because for mine, theirs in both][MARCH - 1 :] == [True] * 3
    assert [j.verdict for j in judgements_of(result)] != [j.verdict for j in judgements_of(real[0])]
    assert plot.chart(result) != plot.chart(real[0])


def test_no_figure_of_the_output_stands_in_the_source(real):
    folder = Path(wording.__file__).parent
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for path in [
            *folder.glob("*.py"),
            *folder.glob("files/*.txt"),
            *folder.glob("files/*.html"),
        ]
    )
    told = {wording.figure(value) for pair in errors_of(real[0]) for value in pair}
    assert not [figure for figure in told if re.search(rf"\b{re.escape(figure)}\b", source)]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConflictError, match="EB015"), looping(tmp_path, 0, print):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_too_few_months_are_refused(tmp_path):
    with (
        looping(tmp_path / "project", 0, print) as loop,
        pytest.raises(UsageError, match="EB016"),
    ):
        replay(first(1), loop, print)


@pytest.mark.parametrize(
    ("frozen", "fresh", "told"),
    [(30.0, 10.0, "3.0 times as much"), (10.0, 30.0, "did not pay"), (20.0, 20.0, "no difference")],
)
def test_the_finding_says_what_was_found(real, frozen, fresh, told):
    def month(each, errors):
        changed = errors and replace(errors, frozen=frozen, fresh=fresh)
        return replace(each, errors=changed)

    months = tuple(month(each, each.errors) for each in real[0].months)
    sentence = wording.finding(replace(real[0], months=months))
    assert told in sentence
    assert wording.figure(frozen) in sentence
    assert wording.figure(fresh) in sentence


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_command_ends_by_itself_and_its_last_lines_work(tmp_path):
    port = str(free_port())
    environment = {**os.environ, "TMPDIR": str(tmp_path), "EVERBAKE_PORT": port}
    command = [EVERBAKE, "demo", "--once"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    names = [f"2011-{month:02}" for month in range(1, 13)]
    for name in names:
        assert f"\n{name}" in done.stdout
        assert f"\n{name}" in done.stderr
    assert {"promoted", "quarantined", "rejected"} <= set(done.stdout.split())
    report = Path(re.search(r"^plot: (.+)$", done.stdout, re.MULTILINE)[1])
    assert report.is_relative_to(tmp_path)
    assert_self_contained(report.read_text(encoding="utf-8"))
    serve, ask = lines_to_go_on(done.stdout)
    assert port in ask
    with running(["/bin/sh", "-c", serve], environment) as (_, said):
        said.wait_for(f"predictions http://127.0.0.1:{port}")
        answer = json.loads(pasted(ask))
    assert answer["model"] == MODEL
    assert answer["predictions"][0] > 0


# Stands in for the command with a year of four months.
SHORT = """
import sys
import pyarrow.compute as pc
from everbake.interfaces import cli
from everbake.interfaces.demo import year
whole = year.read_year()
short = whole.filter(pc.less_equal(pc.month(whole.column("time")), 4))
year.read_year = lambda: short
cli.main(["-C", sys.argv[1], "demo"])
"""


def test_on_a_terminal_it_goes_on_serving_until_told(tmp_path):
    environment = {**os.environ, "EVERBAKE_PORT": str(free_port())}
    with running([sys.executable, "-c", SHORT, str(tmp_path)], environment) as (process, said):
        text = said.wait_for("until Ctrl-C")
        assert (tmp_path / "everbake-demo" / "report.html").is_file()
        answer = json.loads(pasted(lines_to_go_on(text.replace("\r", ""))[1]))
        assert answer["version"] >= 1
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def assert_self_contained(shown):
    assert "<svg" in shown
    assert "prefers-color-scheme: dark" in shown
    assert not re.search(
        r"""\b(src|href|xlink:href)=|url\(|@import|<script|https?://(?!127)""", shown
    )


def lines_to_go_on(text):
    steps = text.partition("how to go on")[2].splitlines()
    (serve,) = [line for line in steps if line.endswith(" up")]
    (ask,) = [line for line in steps if line.startswith("curl ")]
    return serve, ask


class Terminal:
    """What a process says on a terminal."""

    def __init__(self, reading, process):
        self._reading, self._process, self._text = reading, process, ""

    def wait_for(self, words):
        """Everything that was said until these words came."""
        until = time.monotonic() + PATIENCE
        while words not in self._text:
            assert time.monotonic() < until, self._text
            ready, _, _ = select.select([self._reading], [], [], 0.1)
            if ready:
                self._text += os.read(self._reading, 65536).decode()
            else:
                assert self._process.poll() is None, self._text
        return self._text


@contextmanager
def running(command, environment):
    """A process on a terminal of its own; gets Ctrl-C at the end, if it is still there."""
    reading, writing = pty.openpty()
    process = subprocess.Popen(
        command, env=environment, stdout=writing, stderr=writing, start_new_session=True
    )
    os.close(writing)
    try:
        yield process, Terminal(reading, process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(PATIENCE)
        os.close(reading)


def pasted(line):
    """What the curl line answers; on a machine without curl, what it would have."""
    if shutil.which("curl"):
        command = ["/bin/sh", "-c", line]
        return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True).stdout
    _, _, url, _, header, _, body = shlex.split(line)
    request = urllib.request.Request(url, body.encode(), dict([header.split(": ")]))  # noqa: S310
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:  # noqa: S310
        return response.read()
