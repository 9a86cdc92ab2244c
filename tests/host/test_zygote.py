"""Hosts as their owner sees them: real processes, killed in every way."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from everbake.adapters.hosting.process import HostProcess, HostProgram
from everbake.wire import JobLimits, JobOutcome, receive_frame, send_frame

HERE = Path(__file__).parent
PROGRAM = HostProgram(jobs="sample_jobs:JOBS", sessions="sample_jobs:SESSIONS")
PATHS = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
LIMITS = JobLimits(memory_bytes=1 << 30, seconds=60, threads=1)
BOUND = 20.0


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.005)


def gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


RECIPE = """
import os
ANSWER = 42

def descriptors():
    return [len(os.listdir(f"/proc/{pid}/fd")) for pid in (os.getpid(), os.getppid())]
"""


def make_host(directory: Path, recipe: str = RECIPE) -> HostProcess:
    snapshot = directory / "snapshot"
    snapshot.mkdir(parents=True)
    (snapshot / "recipe.py").write_text(recipe)
    return HostProcess(snapshot, program=PROGRAM, environment={"PYTHONPATH": PATHS})


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostProcess]:
    with make_host(tmp_path) as host:
        yield host


def run(host: HostProcess, job: str, work: Path, order: bytes = b"") -> JobOutcome:
    return host.run(job, order, work=work, limits=LIMITS, seed=7)


def hanging_pids(work: Path) -> list[int]:
    """The processes of a job that hangs: itself, its zygote, a child, a daemon."""
    wait_until((work / "pids.json").exists)
    pids: list[int] = json.loads((work / "pids.json").read_text())
    return pids


def test_a_job_returns_what_its_function_returns(host: HostProcess, tmp_path: Path) -> None:
    outcome = run(host, "echo", tmp_path / "work", b'{"a": 1}')
    assert (outcome.state, outcome.result, outcome.error) == ("done", b'{"a": 1}', "")
    assert outcome.peak_memory > 1_000_000


def test_a_finished_job_is_picked_up_and_not_done_again(tmp_path: Path) -> None:
    with make_host(tmp_path / "one") as first:
        before = run(first, "echo", tmp_path / "work", b"first")
    with make_host(tmp_path / "two") as second:
        after = run(second, "echo", tmp_path / "work", b"second")
    assert after.result == before.result == b"first"
    assert (after.state, after.seconds) == ("done", before.seconds)


def test_the_recipe_of_the_snapshot_is_imported_and_nothing_is_written_beside_it(
    host: HostProcess, tmp_path: Path
) -> None:
    assert run(host, "describe", tmp_path / "work").result == b'{"answer": 42}'
    assert [path.name for path in (tmp_path / "snapshot").iterdir()] == ["recipe.py"]


def test_folders_may_have_spaces_and_hundreds_of_characters(tmp_path: Path) -> None:
    folder = tmp_path / ("a long name " * 15) / ("ein längerer Name " * 10)
    with make_host(folder) as host:
        assert run(host, "describe", folder / "work").state == "done"


def test_a_recipe_that_does_not_import_fails_only_the_jobs_that_need_it(tmp_path: Path) -> None:
    with make_host(tmp_path, "print('so far')\nimport missing_thing\n") as host:
        needing = run(host, "describe", tmp_path / "needing")
        other = run(host, "echo", tmp_path / "other", b"x")
    assert needing.state == "failed"
    assert needing.error == "ModuleNotFoundError: No module named 'missing_thing'"
    log = (tmp_path / "needing" / "output.log").read_text()
    assert log.startswith("so far\nTraceback")
    assert 'recipe.py", line 2' in log
    assert "everbake/host" not in log
    assert other.state == "done"


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("import os\nos._exit(5)\n", "exit code 5"),
        ("import os\nos.kill(os.getpid(), 11)\n", "SIGSEGV"),
    ],
)
def test_an_import_that_ends_its_process_ends_no_host(tmp_path: Path, code: str, how: str) -> None:
    with make_host(tmp_path, code) as host:
        outcomes = [run(host, "describe", tmp_path / name) for name in ("one", "two")]
        other = run(host, "echo", tmp_path / "other")
    assert [outcome.state for outcome in outcomes] == ["died", "died"]
    assert how in outcomes[0].error
    assert other.state == "done"


def test_an_import_that_hangs_holds_up_no_other_job_and_ends_at_the_limit(tmp_path: Path) -> None:
    with make_host(tmp_path, "import time\ntime.sleep(600)\n") as host:
        assert run(host, "echo", tmp_path / "other").state == "done"
        short = JobLimits(1 << 30, 0.3, 1)
        outcome = host.run("describe", b"", work=tmp_path / "work", limits=short, seed=1)
        assert outcome.state == "timeout"
        assert "importing the recipe" in outcome.error
        cancel = threading.Event()
        threading.Timer(0.1, cancel.set).start()
        again = host.run(
            "describe", b"", work=tmp_path / "again", limits=LIMITS, seed=1, cancel=cancel
        )
        assert again.state == "cancelled"


def test_everything_printed_is_kept_and_passed_on_in_order(
    host: HostProcess, tmp_path: Path
) -> None:
    heard: list[str] = []
    outcome = host.run(
        "chatter", b"", work=tmp_path / "work", limits=LIMITS, seed=1, on_output=heard.append
    )
    assert outcome.state == "done"
    expected = "from python\nfrom the log\nfrom c\nfrom a child\n"
    assert (tmp_path / "work" / "output.log").read_text() == expected
    assert "".join(heard) == expected


def test_a_flood_of_output_is_cut_and_the_job_goes_on(host: HostProcess, tmp_path: Path) -> None:
    assert run(host, "flood", tmp_path / "work").state == "done"
    log = (tmp_path / "work" / "output.log").read_bytes()
    assert 10_000_000 <= len(log) < 10_001_000
    assert log.endswith(b"output beyond 10 MB is dropped\n")


def test_an_exception_is_one_line_and_a_traceback_of_the_users_lines(
    host: HostProcess, tmp_path: Path
) -> None:
    outcome = run(host, "fail", tmp_path / "work")
    assert (outcome.state, outcome.error) == ("failed", "ValueError: of no use")
    log = (tmp_path / "work" / "output.log").read_text()
    assert 'raise ValueError("of no\\nuse")' in log
    assert "everbake/host" not in log


@pytest.mark.parametrize(
    ("job", "how"),
    [
        ("leave", "SystemExit: 3"),
        ("vanish", "ended with exit code 7 before the job was done"),
        ("crash", "killed by signal 11 (SIGSEGV)"),
        ("suicide", "killed by signal 9 (SIGKILL)"),
    ],
)
def test_a_process_that_ends_itself_is_told_with_how(
    host: HostProcess, tmp_path: Path, job: str, how: str
) -> None:
    outcome = run(host, job, tmp_path / "work")
    assert (outcome.state, outcome.error) == ("died", how)
    assert run(host, "echo", tmp_path / "next").state == "done"


def test_an_exception_that_cannot_be_shown_is_still_a_failure(
    host: HostProcess, tmp_path: Path
) -> None:
    outcome = run(host, "fail_mutely", tmp_path / "work")
    assert (outcome.state, outcome.error) == ("failed", "MuteError: its message cannot be shown")


def test_a_crash_in_c_leaves_the_python_lines_that_led_to_it(
    host: HostProcess, tmp_path: Path
) -> None:
    run(host, "crash", tmp_path / "work")
    assert "in crash" in (tmp_path / "work" / "output.log").read_text()


def test_an_unknown_job_is_a_failure_that_names_it(host: HostProcess, tmp_path: Path) -> None:
    outcome = run(host, "no such job", tmp_path / "work")
    assert outcome.state == "failed"
    assert "'no such job'" in outcome.error


@pytest.mark.parametrize(("job", "order"), [("hoard", b"1000"), ("delegate", b"150000000")])
def test_a_job_tree_over_the_memory_limit_is_killed(
    host: HostProcess, tmp_path: Path, job: str, order: bytes
) -> None:
    limits = JobLimits(200_000_000, 60, 1)
    outcome = host.run(job, order, work=tmp_path / "work", limits=limits, seed=1)
    assert outcome.state == "out_of_memory"
    assert "the limit is 200000000" in outcome.error
    assert outcome.peak_memory > 200_000_000


def test_a_job_that_leaps_over_the_memory_limit_gets_a_memory_error(
    host: HostProcess, tmp_path: Path
) -> None:
    outcome = run(host, "leap", tmp_path / "work", b"9000000000")
    assert outcome.state == "out_of_memory"
    assert outcome.error.startswith("MemoryError")


def test_a_job_that_hangs_ends_at_the_limit_with_all_it_has_started(
    host: HostProcess, tmp_path: Path
) -> None:
    limits = JobLimits(1 << 30, 1.0, 1)
    outcome = host.run("hang", b"", work=tmp_path / "work", limits=limits, seed=1)
    assert (outcome.state, outcome.error) == ("timeout", "not done after 1 s")
    leader, zygote, child, daemon = hanging_pids(tmp_path / "work")
    assert [gone(pid) for pid in (leader, zygote, child, daemon)] == [True, False, True, True]


def test_a_cancelled_job_ends_with_all_it_has_started(host: HostProcess, tmp_path: Path) -> None:
    cancel = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(
            host.run, "hang", b"", work=tmp_path, limits=LIMITS, seed=1, cancel=cancel
        )
        leader, _, child, daemon = hanging_pids(tmp_path)
        cancel.set()
        assert job.result(BOUND).state == "cancelled"
    assert all(gone(pid) for pid in (leader, child, daemon))


def test_a_job_that_is_done_leaves_no_process(host: HostProcess, tmp_path: Path) -> None:
    outcome = run(host, "leave_behind", tmp_path / "work")
    assert outcome.result is not None
    assert gone(json.loads(outcome.result))


def test_jobs_run_side_by_side(host: HostProcess, tmp_path: Path) -> None:
    def one(number: int) -> bytes | None:
        return run(host, ("echo", "describe")[number % 2], tmp_path / str(number)).result

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(60))) == [b"", b'{"answer": 42}'] * 30


def test_a_host_keeps_no_descriptor_of_jobs_that_have_ended(
    host: HostProcess, tmp_path: Path
) -> None:
    def one(number: int) -> str:
        cancel = threading.Event()
        threading.Timer(number / 1000, cancel.set).start()
        job = ("echo", "describe", "fail", "hang_with_recipe")[number % 4]
        work = tmp_path / str(number)
        return host.run(job, b"", work=work, limits=LIMITS, seed=1, cancel=cancel).state

    first = run(host, "call", tmp_path / "before", b"descriptors").result
    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(one, range(80)))
    assert {"done", "failed", "cancelled"} >= set(states)
    assert run(host, "call", tmp_path / "after", b"descriptors").result == first


def test_the_seed_fixes_every_generator_and_the_hashes(host: HostProcess, tmp_path: Path) -> None:
    told = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        outcome = host.run("surroundings", b"", work=tmp_path / name, limits=LIMITS, seed=seed)
        assert outcome.result is not None
        told.append(json.loads(outcome.result))
    assert told[0]["random"] == told[1]["random"] != told[2]["random"]
    assert told[0]["hash"] == told[2]["hash"]
    assert told[0]["leader"]
    assert told[0]["zygote_threads"] == 1


def test_the_host_sees_no_secrets_and_gets_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    monkeypatch.setenv("LC_PAPER", "de_AT.UTF-8")
    limits = JobLimits(1 << 30, 60, 2)
    with make_host(tmp_path, "import pyarrow\n") as host:
        outcome = host.run("surroundings", b"", work=tmp_path / "work", limits=limits, seed=1)
    assert outcome.result is not None
    told = json.loads(outcome.result)
    assert "DATABASE_PASSWORD" not in told["environment"]
    assert told["environment"]["LC_PAPER"] == "de_AT.UTF-8"
    assert told["environment"]["OMP_NUM_THREADS"] == "2"
    assert told["threads"] == told["arrow"] == 2
    assert set(told["blas"]) == {2}


def test_ctrl_c_is_the_owners_and_sigterm_ends_all(host: HostProcess, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run, host, "hang", tmp_path)
        leader, zygote, child, daemon = hanging_pids(tmp_path)
        os.kill(zygote, signal.SIGINT)
        assert run(host, "echo", tmp_path / "after").state == "done"
        os.kill(zygote, signal.SIGTERM)
        assert job.result(BOUND).state == "died"
    assert all(gone(pid) for pid in (leader, zygote, child, daemon))


def test_close_ends_every_process(host: HostProcess, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run, host, "hang", tmp_path)
        pids = hanging_pids(tmp_path)
        host.close()
        assert job.result(BOUND).state == "died"
    assert all(gone(pid) for pid in pids)


def test_a_killed_host_is_told_and_replaced_and_leaves_no_process(
    host: HostProcess, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run, host, "hang", tmp_path)
        pids = hanging_pids(tmp_path)
        os.kill(pids[1], signal.SIGKILL)
        outcome = job.result(BOUND)
    assert (outcome.state, outcome.error) == ("died", "the host was killed by signal 9")
    assert run(host, "echo", tmp_path / "after").state == "done"
    assert all(gone(pid) for pid in pids)


def test_a_killed_recipe_side_is_told_and_replaced_and_leaves_no_process(
    host: HostProcess, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run, host, "hang_with_recipe", tmp_path)
        pids = hanging_pids(tmp_path)
        os.kill(pids[1], signal.SIGKILL)
        outcome = job.result(BOUND)
    assert outcome.state == "died"
    assert "imported the recipe was killed" in outcome.error
    assert run(host, "describe", tmp_path / "after").state == "done"
    for pid in pids:
        wait_until(partial(gone, pid))


def test_a_host_that_cannot_start_says_why(tmp_path: Path) -> None:
    program = HostProgram(jobs="no_such_module:JOBS")
    with HostProcess(tmp_path, program=program) as host:
        outcome = run(host, "echo", tmp_path / "work")
    assert outcome.state == "died"
    assert "No module named 'no_such_module'" in outcome.error


OWNER = """
import sys
from pathlib import Path
from everbake.adapters.hosting.process import HostProcess, HostProgram
from everbake.wire import JobLimits
program = HostProgram(jobs="sample_jobs:JOBS", sessions="sample_jobs:SESSIONS")
with HostProcess(Path(sys.argv[1]), program=program) as host:
    host.run(sys.argv[3], b"", work=Path(sys.argv[2]), limits=JobLimits(1 << 30, 600, 1), seed=1)
"""


def start_owner(tmp_path: Path, job: str, recipe: str) -> subprocess.Popen[bytes]:
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "recipe.py").write_text(recipe)
    source = str(HERE.parent.parent / "src")
    return subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "snapshot"), str(tmp_path / "work"), job],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([source, PATHS])},
    )


def test_all_end_when_the_owner_is_killed(tmp_path: Path) -> None:
    with start_owner(tmp_path, "hang", "") as owner:
        pids = hanging_pids(tmp_path / "work")
        owner.kill()
    for pid in pids:
        wait_until(partial(gone, pid))


def test_all_end_when_the_owner_is_killed_during_an_import_that_hangs(tmp_path: Path) -> None:
    told = tmp_path / "importing"
    recipe = (
        "import os, pathlib, time\n"
        f"path = pathlib.Path({str(told)!r})\n"
        "path.with_suffix('.part').write_text(f'{os.getpid()} {os.getppid()}')\n"
        "path.with_suffix('.part').rename(path)\n"
        "time.sleep(600)\n"
    )
    with start_owner(tmp_path, "describe", recipe) as owner:
        wait_until(told.exists)
        owner.kill()
    for pid in map(int, told.read_text().split()):
        wait_until(partial(gone, pid))


def test_a_session_answers_until_its_connection_is_closed(
    host: HostProcess, tmp_path: Path
) -> None:
    limits = JobLimits(1 << 30, math.inf, 1)
    with host.open("upper", b"> ", limits, work=tmp_path / "s") as connection:
        for word in (b"one", b"two" * 100_000):
            send_frame(connection, word)
            assert receive_frame(connection) == b"> " + word.upper()
        pid = int((tmp_path / "s" / "session.pid").read_text())
        assert not gone(pid)
    wait_until(partial(gone, pid))
    # Its last words pass through the host, which may be a moment behind.
    wait_until(lambda: (tmp_path / "s" / "output.log").read_text() == "session > \n")


def test_a_session_that_ends_is_seen_at_its_connection(host: HostProcess, tmp_path: Path) -> None:
    with host.open("upper", b"", LIMITS, work=tmp_path / "s") as connection:
        send_frame(connection, b"exit")
        assert receive_frame(connection) is None


def test_a_session_that_does_not_listen_is_killed_when_it_is_left(host: HostProcess) -> None:
    with host.open("deaf", b"", JobLimits(1 << 30, math.inf, 1)) as connection:
        pid = int(receive_frame(connection) or b"0")
        assert not gone(pid)
    wait_until(partial(gone, pid))
