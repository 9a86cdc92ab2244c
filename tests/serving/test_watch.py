"""Which sessions are open: the champion's and the one before it, nobody else's."""

import asyncio
import json
import subprocess
import sys

from everbake.serving.router import Loaded, Router
from everbake.serving.watch import Watcher, WatchPlace


class Session:
    def __init__(self):
        self.alive = True
        self.closed = False

    async def answer(self, rows):
        return rows

    async def close(self):
        self.alive, self.closed = False, True


class SlowLoader:
    def __init__(self):
        self.loads = []
        self.sessions = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.held = set()

    async def load(self, digest):
        self.loads.append(digest)
        await self.gate.wait()
        while digest in self.held:
            await asyncio.sleep(0.001)
        if digest.startswith("bad"):
            raise ValueError(digest)
        self.sessions[digest] = Session()
        return Loaded(digest, None, self.sessions[digest])


class MemoryReader:
    def __init__(self):
        self.number = 0
        self.read = 0  # the version up to which somebody has read
        self.row = None

    def deploy(self, version, bundle):
        previous = self.row["bundle"] if self.row else None
        self.number += 1
        self.row = {"model": "line", "version": version, "bundle": bundle}
        self.row |= {"previous_bundle": previous, "generation": self.number}

    def version(self):
        return self.number

    def rows(self, table, where=None, *, newest=None):
        self.read = self.number
        return [dict(self.row)] if self.row else []


class Recording(Router):
    """Remembers every version that it was given."""

    def __init__(self):
        self.served = []
        super().__init__()

    def __setattr__(self, name, value):
        if name == "live":
            self.served += [live.version for live in value.values()]
        super().__setattr__(name, value)


class Stage:
    def __init__(self, tmp_path):
        self.reader, self.loader, self.router = MemoryReader(), SlowLoader(), Recording()
        self.file = tmp_path / "0.json"
        place = WatchPlace(tmp_path, 0, 0.001)
        self.watcher = Watcher(self.reader, self.loader, self.router, place)

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.001)

    async def deploy(self, version, bundle):
        self.reader.deploy(version, bundle)
        await self.until(lambda: self.serves() == version)

    def acknowledged(self):
        return json.loads(self.file.read_bytes())

    def serves(self):
        live = self.router.live.get("line")
        return live.version if live else None


def play(tmp_path, scene):
    async def run():
        stage = Stage(tmp_path)
        stage.reader.deploy(1, "a")
        await stage.watcher.start()
        await scene(stage)
        await stage.watcher.stop()
        assert all(session.closed for session in stage.loader.sessions.values())
        assert not stage.file.exists()

    asyncio.run(run())


def test_the_previous_champion_stays_warm_and_older_ones_are_closed(tmp_path):
    async def scene(stage):
        await stage.deploy(2, "b")
        await stage.deploy(3, "c")
        await stage.until(lambda: stage.loader.sessions["a"].closed)
        assert not stage.loader.sessions["b"].closed
        await stage.deploy(2, "b")
        assert stage.loader.loads == ["a", "b", "c"]

    play(tmp_path, scene)


def test_a_worker_that_starts_warms_the_previous_champion(tmp_path):
    async def scene(stage):
        stage.reader.row["previous_bundle"] = "z"
        stage.reader.number += 1
        stage.reader.row["generation"] += 1
        await stage.until(lambda: "z" in stage.loader.sessions)
        assert stage.serves() == 1

    play(tmp_path, scene)


def test_a_rollback_meets_a_version_that_is_still_loading(tmp_path):
    async def scene(stage):
        stage.loader.gate.clear()
        stage.reader.row |= {"previous_bundle": "z", "generation": 2}
        stage.reader.number += 1
        await stage.until(lambda: "z" in stage.loader.loads)
        stage.reader.deploy(0, "z")
        stage.reader.row["generation"] = 3
        await stage.until(lambda: stage.reader.read == stage.reader.number)
        stage.loader.gate.set()
        await stage.until(lambda: stage.serves() == 0)
        assert stage.loader.loads.count("z") == 1

    play(tmp_path, scene)


def test_a_version_overtaken_while_it_loads_never_serves(tmp_path):
    async def scene(stage):
        stage.loader.gate.clear()
        stage.reader.deploy(2, "b")
        await stage.until(lambda: "b" in stage.loader.loads)
        stage.reader.deploy(3, "c")
        await stage.until(lambda: stage.reader.read == 3)
        stage.loader.gate.set()
        await stage.until(lambda: stage.serves() == 3)
        assert stage.router.served == [1, 3]

    play(tmp_path, scene)


async def roll_back_while(stage, bundle):
    """From b to the warm a, while what was to come after b is still loading."""
    await stage.deploy(2, "b")
    await stage.until(lambda: not stage.watcher._moving)
    stage.loader.held.add(bundle)
    stage.reader.deploy(3, bundle)
    await stage.until(lambda: bundle in stage.loader.loads)
    await stage.deploy(1, "a")
    await stage.until(lambda: stage.acknowledged()["models"]["line"]["generation"] == 4)
    assert stage.acknowledged()["errors"] == {}


def test_a_rollback_to_a_warm_version_overtakes_a_load(tmp_path):
    async def scene(stage):
        await roll_back_while(stage, "c")
        assert "c" not in stage.loader.sessions
        stage.reader.deploy(3, "c")
        await stage.until(lambda: stage.reader.read == 5)
        stage.loader.held.clear()
        await stage.until(lambda: stage.serves() == 3)
        assert stage.loader.loads == ["a", "b", "c"]
        assert stage.router.served == [1, 2, 1, 3]

    play(tmp_path, scene)


def test_what_was_overtaken_and_is_wanted_no_more_is_closed(tmp_path):
    async def scene(stage):
        await roll_back_while(stage, "c")
        stage.reader.row["previous_bundle"] = "b"
        stage.reader.row["generation"] = stage.reader.number = 5
        await stage.until(lambda: stage.acknowledged()["generation"] == 5)
        stage.loader.held.clear()
        await stage.until(lambda: "c" in stage.loader.sessions)
        await stage.until(lambda: stage.loader.sessions["c"].closed)
        assert stage.router.served == [1, 2, 1, 1]

    play(tmp_path, scene)


def test_what_was_overtaken_and_is_broken_is_no_error_of_who_serves(tmp_path):
    async def scene(stage):
        await roll_back_while(stage, "bad")
        stage.loader.held.clear()
        await stage.until(lambda: ("line", "bad") not in stage.watcher._loading)
        await stage.until(lambda: not stage.watcher._moving)
        assert stage.acknowledged()["errors"] == {}

    play(tmp_path, scene)


def test_what_dies_is_loaded_again_while_a_newer_one_is_broken(tmp_path):
    async def scene(stage):
        stage.reader.deploy(2, "bad")
        await stage.until(lambda: "bad" in stage.loader.loads)
        assert stage.serves() == 1
        assert stage.loader.sessions["a"].alive
        await stage.deploy(3, "c")
        stage.loader.sessions["c"].alive = False
        await stage.until(lambda: stage.loader.loads.count("c") == 2)
        await stage.until(lambda: stage.router.live["line"].loaded.answers.alive)

    play(tmp_path, scene)


def test_a_ledger_out_of_reach_changes_nothing(tmp_path):
    async def scene(stage):
        working = stage.reader.version
        stage.reader.version = lambda: 1 / 0
        await asyncio.sleep(0.01)
        assert stage.serves() == 1
        stage.reader.version = working
        await stage.deploy(2, "b")

    play(tmp_path, scene)


def test_serving_imports_nothing_heavy():
    heavy = "{'pandas', 'sklearn', 'scipy', 'pyarrow', 'deltalake', 'rich'}"
    code = "import sys, everbake.serving.run, everbake.interfaces.serve, everbake.views.predictions"
    code += f"; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n", done.stdout
