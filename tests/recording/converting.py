"""The recorder's process in a hurry: says when it begins, then records and converts."""

import sys
import time
from contextlib import contextmanager
from pathlib import Path

from everbake import wiring
from everbake.adapters.tables.logged import DeltaPredictions
from everbake.recording.convert import Converter, Pace
from everbake.recording.keeping import Keeper, Limits

ENDLESS = Limits(1e9, 10**15)


@contextmanager
def keeper_of(project, seconds=0.0, rows=50_000, limits=ENDLESS, now=time.time):
    """The parts as wiring puts them together, with another pace and other limits."""
    with wiring.recording(project) as (recorder, _, _):
        there = wiring.places(project)
        tables = DeltaPredictions(there.predictions, there.log)
        converter = Converter(there.log, tables, Pace(seconds, rows))
        reader = wiring.reader(project)
        yield recorder, Keeper(converter, recorder, tables, reader, limits, now), tables


def main(project):
    with keeper_of(project, rows=500) as (recorder, keeper, _):
        print("begun", flush=True)  # noqa: T201
        while True:
            recorder.look()
            keeper.look()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
