"""A worker that logs until it is killed, and says in a file what it has answered."""

import asyncio
import itertools
import os
import sys
import time
from pathlib import Path

from everbake.core.frames import Answered
from everbake.serving.segments import LogPlace, PredictionLog


def request(worker: str, number: int) -> Answered:
    now = time.time()
    rows = [{"a": float(number), "b": worker, "c": None}] * (1 + number % 3)
    ids = [f"{int(now * 1000):012x}{worker:0>10}{number * 4 + n:010x}" for n in range(len(rows))]
    return Answered(ids, now, 1, rows, [float(number)] * len(rows), worker, "champion", 1, 0.001)


async def main(project: Path, worker: str, slot: int) -> None:
    place = LogPlace(project / ".everbake" / "log", slot, full=100_000)
    log = PredictionLog(place, lambda: (3, "ab" * 32))
    with (project / f"answered-{worker}").open("ab", buffering=0) as said:
        for number in itertools.count():
            one = request(worker, number)
            assert await log.append("line", one) is None
            os.write(said.fileno(), "".join(f"{name}\n" for name in one.ids).encode())
            await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
