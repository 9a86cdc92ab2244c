"""What happens in the child of a fork: limits, seeds, captured output, the job, its result.

The child never returns to its parent's loop: every path ends in `os._exit`.
"""

import contextlib
import faulthandler
import json
import os
import random
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TextIO

import everbake.errors
from everbake.host.processes import adopt_orphans, data_size, die_with_parent
from everbake.host.protocol import JobContext, JobEntry, SessionEntry
from everbake.wire import OUTCOME, RESULT, Request, receive_frame

_LINE_LIMIT = 2000
_PACKAGE = str(Path(everbake.errors.__file__).parent) + os.sep
_BOOTSTRAP = "<frozen importlib"
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


@dataclass(frozen=True)
class ImportedRecipe:
    """What importing the recipe gave: a module, or an error with its traceback."""

    module: ModuleType | None
    error: str
    traceback: str


@dataclass(frozen=True)
class Launch:
    """What a child needs.

    Attributes:
        request: what is asked.
        entry: the function that answers; None if the host knows none of this name.
        recipe: the imported recipe, where the job needs it.
        connection: to the one who asked.
        output: file descriptor that takes what the job prints.
        report: file descriptor that takes how the job failed.
        parent: process id of the zygote.
    """

    request: Request
    entry: JobEntry | SessionEntry | None
    recipe: ImportedRecipe | None
    connection: socket.socket
    output: int
    report: int
    parent: int


class _RefusalError(Exception):
    """A job that cannot begin; the text is the line for its outcome."""


def run_child(launch: Launch) -> NoReturn:
    """Do the job of a request and end this process."""
    try:
        _report(launch.report, *_attempt(launch))
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    finally:
        # Without atexit: it belongs to the zygote, and a user's threads must not hold us up.
        os._exit(0)


def _settle(launch: Launch) -> None:
    """Cut what ties the child to its zygote, and put the limits on."""
    os.setsid()
    die_with_parent(launch.parent)
    adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _capture(launch.output)
    _limit_memory(launch.request.limits.memory_bytes)
    _set_threads(launch.request.limits.threads)
    _plant(launch.request.seed)


def _capture(output: int) -> None:
    """Send everything that is printed, also by C code, into the pipe."""
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    sys.stdout = _text(1)
    sys.stderr = _text(2)
    # A crash in C leaves at least the Python lines that led to it.
    faulthandler.enable(2)


def _text(descriptor: int) -> TextIO:
    return open(
        descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )


def _limit_memory(memory_bytes: int) -> None:
    """No core files; and a hard stop behind the polled limit, for a job that grows in one leap.

    RLIMIT_DATA counts what is reserved, also what the zygote's imports have reserved already, so
    the limit lies above that.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    wanted = data_size() + memory_bytes + memory_bytes // 4
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def _lift_memory_limit() -> None:
    """Make room to tell what happened while the traceback still holds the user's arrays."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _set_threads(threads: int) -> None:
    """Set the threads of libraries that are loaded, and of those still to come."""
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(threads)
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].set_cpu_count(threads)
    # The zygote loads BLAS with one thread, so there is nothing to change for one.
    if threads > 1 and "numpy" in sys.modules:
        # Imported here: it comes with scikit-learn, and most jobs do without.
        import threadpoolctl

        threadpoolctl.threadpool_limits(threads)


def _plant(seed: int) -> None:
    """Seed the global generators of random numbers."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)


def _attempt(launch: Launch) -> tuple[str, str]:
    """Do the job; the state and the error of its outcome."""
    try:
        _settle(launch)
        _perform(launch)
    except MemoryError as error:
        _lift_memory_limit()
        _print_traceback(error)
        return "out_of_memory", _line(error) + " (the limit is RLIMIT_DATA)"
    except _RefusalError as error:
        return "failed", str(error)
    except SystemExit as error:
        _print_traceback(error)
        return "died", _line(error)
    except BaseException as error:  # noqa: BLE001  whatever the user's code raises is its outcome
        _print_traceback(error)
        return "failed", _line(error)
    return "done", ""


def _perform(launch: Launch) -> None:
    request, entry, recipe = launch.request, launch.entry, launch.recipe
    if entry is None:
        raise _RefusalError(
            f"LookupError: this host knows no {request.kind} named {request.name!r}"
        )
    if recipe is not None and recipe.module is None:
        _log(recipe.traceback)
        raise _RefusalError(recipe.error)
    order = receive_frame(launch.connection)
    if order is None:
        raise _RefusalError("ConnectionError: the owner left before it sent the order")
    module = recipe.module if recipe is not None else None
    work = Path(request.work or ".")
    context = JobContext(module, work, request.seed, request.limits.threads, _log)
    if isinstance(entry, SessionEntry):
        entry.function(order, context, launch.connection)
        return
    launch.connection.close()
    started = time.monotonic()
    result = entry.function(order, context)
    _keep(work, result, time.monotonic() - started)


def _log(text: str) -> None:
    sys.stdout.write(text.rstrip("\n") + "\n")


def _keep(work: Path, result: bytes, seconds: float) -> None:
    """Write what was measured, then the result: once its name is there, the job is done."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    measured = json.dumps({"seconds": seconds, "peak_memory": peak}).encode()
    _replace(work / OUTCOME, measured, sync=_no_sync)
    _replace(work / RESULT, result, sync=os.fsync)
    directory = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)
    os.close(directory)


def _no_sync(_descriptor: int) -> None:
    """For what may be lost in a power cut."""


def _replace(path: Path, content: bytes, *, sync: Callable[[int], None]) -> None:
    """Write a file that is there whole or not at all."""
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        sync(file.fileno())
    temporary.replace(path)


def _report(descriptor: int, state: str, error: str) -> None:
    """Tell the zygote how it went; short enough for one write into a pipe."""
    line = json.dumps({"state": state, "error": error[:_LINE_LIMIT]})
    with contextlib.suppress(OSError):
        os.write(descriptor, line.encode())


def _line(error: BaseException) -> str:
    """`ValueError: message`, in one line."""
    message = "its message cannot be shown"
    with contextlib.suppress(Exception):
        # The user's own class may fail even here.
        message = str(error)
    return " ".join(f"{type(error).__name__}: {message}".split())


def _print_traceback(error: BaseException) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(trimmed_traceback(error))


def trimmed_traceback(error: BaseException) -> str:
    """A traceback that begins where the user's code begins."""
    told = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()
    todo: list[traceback.TracebackException | None] = [told]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        _trim(each.stack)
        todo += [each.__cause__, each.__context__]
    return "".join(told.format())


def _trim(stack: traceback.StackSummary) -> None:
    """Drop our own first frames; keep them if there is nothing else."""
    own = 0
    for frame in stack:
        if not frame.filename.startswith((_PACKAGE, _BOOTSTRAP)):
            break
        own += 1
    if own < len(stack):
        del stack[:own]


def import_failure(error: BaseException) -> ImportedRecipe:
    """What is kept of a recipe that does not import."""
    return ImportedRecipe(None, _line(error), trimmed_traceback(error))
