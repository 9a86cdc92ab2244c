"""The process entry of the recorder: `python -m everbake.interfaces.record`."""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

from everbake.interfaces.parent import die_with

_PAUSE = 0.05  # seconds between two looks
_REST = 0.5  # seconds between two looks of the conversion
_BUSY = 0.1  # seconds, while another process records
_AGAIN = 1.0  # seconds after a look that failed
_log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> None:
    """Record what is answered, until told to end."""
    told = _parser().parse_args(arguments)
    die_with(told.parent)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from everbake import wiring

    with ExitStack() as stack:
        project = told.project.absolute()
        while (found := stack.enter_context(wiring.recording(project))) is None:
            time.sleep(_BUSY)  # whoever has it ends soon, or is a command
        recorder, intake, keeper = found
        intake.start()
        _step_back()
        threading.Thread(target=_keep, args=(keeper.look,), daemon=True).start()
        _again(recorder.look, _PAUSE)


def _keep(look: Callable[[], None]) -> NoReturn:
    """Look again and again, in a thread of its own.

    What is no `Exception`, such as a panic of the table library, ends the process: whoever watches
    it begins it anew.
    """
    try:
        _again(look, _REST)
    except BaseException:  # noqa: BLE001 - raised again, it would end this thread alone
        _log.exception("what was answered is no longer kept: the recorder begins anew")
        os._exit(1)


def _again(look: Callable[[], None], pause: float) -> NoReturn:
    while True:
        try:
            look()
        except Exception:  # noqa: BLE001 - a full disk has room again some day
            _log.exception("what was answered cannot be recorded")
            time.sleep(_AGAIN)
        time.sleep(pause)


def _step_back() -> None:
    """Whoever answers comes first.

    Linux shares processors among sessions before it shares them among their processes, where
    autogroups are on: the session then has to step back as well.
    """
    os.nice(19)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="everbake.interfaces.record", description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="the project's folder")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="process to die with")
    return parser


if __name__ == "__main__":
    main()
