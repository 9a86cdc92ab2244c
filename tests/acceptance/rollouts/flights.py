"""Flights out of New York, replayed against `everbake up` on a clock that runs faster.

A request comes when its flight departs, by the test's clock; its label comes an hour later.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pyarrow.parquet as pq

DATA = Path(__file__).parents[2] / "data" / "flights_nyc_2013.parquet"
MODEL = "late"
HOUR = 3600.0
FEATURES = ("carrier", "origin", "distance", "sched_dep_hour", "dep_delay")
_EVERBAKE = [sys.executable, "-c", "from everbake.interfaces.cli import main; main()"]
_RECIPE = """
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from everbake import Canary, Gate, Recipe, Shadow, Table

NUMBERS = ["distance", "sched_dep_hour", "dep_delay"]
TEXTS = ["carrier", "origin"]

{features}
def train(rows: pd.DataFrame):
    rows = rows.copy()
    {corrected}
    made = make_column_transformer(
        (StandardScaler(), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), TEXTS)
    )
    model = make_pipeline(made, LogisticRegression(C={strength}, max_iter=1000))
    return model.fit(rows[NUMBERS + TEXTS], rows["late"])


def predict(model, rows: pd.DataFrame):
    return model.predict_proba(rows[NUMBERS + TEXTS])[:, 1]


recipe = Recipe(
    name="late",
    data=Table(label="late", time="time", key="flight_id", label_delay="1h"),
    train=train,
    predict=predict,{declared}
    gate=Gate(brier_score_loss),
    rollout={rollout},
)
"""
_FEATURES = """
def features(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(dep_delay=rows["dep_delay"] + 60.0)

"""


def moment(text: str) -> float:
    """Seconds since 1970 of a day in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Flights:
    """The project, and the flights by time."""

    def __init__(self, folder: Path, rollout: str, rate: float, origin: str) -> None:
        self.folder = folder
        self.rollout = rollout
        table = pq.read_table(DATA)
        self.rows = table.to_pylist()
        self.times = [row["time"].replace(tzinfo=UTC).timestamp() for row in self.rows]
        self.rate, self.origin = rate, moment(origin)
        self.began = time.time()
        folder.mkdir(parents=True)
        self.write(strength=1e-4)

    @property
    def environment(self) -> dict[str, str]:
        clock = f"{self.began!r},{self.origin!r},{self.rate!r}"
        return {**os.environ, "EVERBAKE_TEST_CLOCK": clock, "EVERBAKE_TESTING": "1"}

    def start(self) -> None:
        """The clock shows its origin now."""
        self.began = time.time()

    def status(self) -> dict:
        return self.ask("status")["models"][0]

    def now(self) -> float:
        return self.origin + (time.time() - self.began) * self.rate

    def write(self, *, broken: bool = False, strength: float = 1.0) -> None:
        """The recipe; the broken one adds a unit in `features` and trains without it."""
        text = _RECIPE.format(
            rollout=self.rollout,
            strength=strength,
            features=_FEATURES if broken else "",
            corrected='rows["dep_delay"] -= 60.0' if broken else "pass",
            declared="\n    features=features," if broken else "",
        )
        (self.folder / "recipe.py").write_text(text)

    def ingest(self, start: str, end: str) -> dict:
        """The flights of some days, as one batch."""
        first, last = moment(start), moment(end)
        rows = [
            {**row, "time": row["time"].isoformat()}
            for row, at in zip(self.rows, self.times, strict=True)
            if first <= at < last
        ]
        path = self.folder.parent / "batch.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return self.ask("ingest", MODEL, str(path), expect=(0, 4, 5))

    def ask(self, *words: str, expect=(0,)) -> dict:
        command = [*_EVERBAKE, "-C", str(self.folder), *words, "--json"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=self.environment
        )
        assert done.returncode in expect, (words, done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)

    @contextmanager
    def up(self, workers: int = 1):
        """The server's address."""
        command = [*_EVERBAKE, "-C", str(self.folder), "up", "--port", "0", "--json"]
        log = self.folder.parent / "up.log"
        with log.open("ab") as errors:
            process = subprocess.Popen(
                [*command, "--workers", str(workers)],
                stdout=subprocess.PIPE,
                stderr=errors,
                env=self.environment,
            )
        try:
            yield json.loads(process.stdout.readline())["predictions"]
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()


class Traffic:
    """Sends each flight when it departs, and its label an hour later, until left."""

    def __init__(self, flights: Flights, address: str) -> None:
        self.flights = flights
        self.address = address
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self.labelled = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        flights, waiting = self.flights, deque()
        start = flights.now()
        due = [i for i, at in enumerate(flights.times) if at >= start]
        with httpx.Client(base_url=self.address, timeout=30, trust_env=False) as client:
            for place in due:
                while flights.now() < flights.times[place] and not self._stop.is_set():
                    self._label(client, waiting)
                    self._stop.wait(0.01)
                if self._stop.is_set():
                    return
                self._predict(client, place, waiting)
                if len(waiting) > 200:
                    self._label(client, waiting)

    def _predict(self, client: httpx.Client, place: int, waiting: deque) -> None:
        row = self.flights.rows[place]
        asked = {name: row[name] for name in FEATURES} | {"flight_id": row["flight_id"]}
        answer = client.post(f"/v1/models/{MODEL}/predict", json={"rows": [asked]})
        if answer.status_code != 200:
            self.failures.append(answer.text)
            return
        content = answer.json()
        self.answers[content["version"]] += 1
        waiting.append((self.flights.times[place] + HOUR, content["ids"][0], row["late"]))

    def _label(self, client: httpx.Client, waiting: deque) -> None:
        known = []
        while waiting and waiting[0][0] <= self.flights.now():
            _, name, label = waiting.popleft()
            known.append({"id": name, "label": label})
        if known:
            answer = client.post(f"/v1/models/{MODEL}/labels", json={"labels": known})
            if answer.status_code != 200:
                self.failures.append(answer.text)
            else:
                self.labelled += answer.json()["joined"]


def days(flights: Flights) -> str:
    """The day that the clock shows."""
    return str(datetime.fromtimestamp(0, UTC) + timedelta(seconds=flights.now()))[:16]
