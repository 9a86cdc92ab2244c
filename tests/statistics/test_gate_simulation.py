"""What the gate promises, in a short run of its simulation: errors, segments, groups, a year.

`benchmarks/bench_gate_simulation.py` prints all tables beside the published ones.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def printed():
    """What the short run prints; its status is 0 only if every promise holds."""
    words = [sys.executable, "benchmarks/bench_gate_simulation.py", "--quick"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def figures(printed, name):
    """The figures of the line that begins with `name`."""
    (line,) = [line for line in printed.splitlines() if line.strip().startswith(name)]
    return [float(figure) for figure in re.findall(r"-?\d+\.?\d*", line.strip()[len(name) :])]


@pytest.mark.parametrize(
    ("name", "wanted", "slack"),
    [
        ("P(promoted | equal)", 94.0, 0.6),
        ("P(promoted | worse by 5 %)  ", 2.5, 0.4),
        ("P(promoted | worse by 10 %)", 0.0, 0.0),
        ("blocked by Holm, 10 equal segments", 5.0, 0.6),
        ("refresh and pin, fresh rows: never better: drift", -3.7, 0.2),
    ],
)
def test_the_gate_errs_as_rarely_as_it_promises(printed, name, wanted, slack):
    assert figures(printed, name)[0] == pytest.approx(wanted, abs=slack)


def test_without_a_pinned_best_model_a_year_of_small_losses_adds_up(printed):
    name = "refresh, fresh rows, no pin: never better: drift"
    assert figures(printed, name)[0] < -100


def test_intervals_know_that_rows_of_a_group_depend_on_each_other(printed):
    naive, grouped = figures(printed, "G = 20")[:2]
    assert naive == pytest.approx(74.0, abs=3.0)
    assert grouped == pytest.approx(94.8, abs=1.5)


def test_no_promise_is_missed(printed):
    assert "MISSED" not in printed
    assert printed.count("<= 3 %  ok") == 8
    assert printed.count("<= 4 %  ok") == 10
    assert printed.count("<= 6 %  ok") == 3
    assert printed.count("judged as simulated") == 4
