"""Five faults, each planted in one place. The sweep must find every one of them."""

from simulation_story import Wiring
from simulation_world import Blobs

from everbake.adapters.memory_ledger import MemoryLedger
from everbake.core.facts import BatchQuarantined
from everbake.core.run_facts import Concluded
from everbake.engine import owner as owner_module


class LazyBlobs(Blobs):
    """A fact is recorded before its blob: what is put lies in memory until the next one comes."""

    def __init__(self, world):
        super().__init__(world)
        self._waiting = {}
        world.leisure.append(lambda: self._world.blobs.update(self._waiting))

    def put(self, data):
        before = dict(self._world.blobs)
        blob = super().put(data)
        self._world.blobs.clear()
        self._world.blobs.update(before | self._waiting)
        self._waiting = {blob: data}
        return blob

    def get(self, blob):
        return self._waiting[blob] if blob in self._waiting else super().get(blob)


class _Session:
    """A ledger that one life sees, and that writes some of it down only with the next fact."""

    def __init__(self, world, late):
        self._world = world
        self._late = late
        self._waiting = []
        self._shown = _copy(world.ledger, world.clock)
        world.leisure.append(self._write)

    def record(self, entry_id, fact):
        entry = self._shown.record(entry_id, fact)
        self._write()
        self._waiting.append((entry_id, fact))
        if not self._late(fact):
            self._write()
        return entry

    def _write(self):
        for waiting in self._waiting:
            self._world.ledger.record(*waiting)
        self._waiting.clear()

    def __getattr__(self, name):
        return getattr(self._shown, name)


def _copy(ledger, clock):
    copy = MemoryLedger(clock)
    for entry in ledger.facts():
        copy.record(entry.id, entry.fact)
    return copy


class Forgetful:
    """A ledger that does not keep the first fact of an id: a repeated end of a run is a second."""

    def __init__(self, world):
        self._world = world
        self._times = 0

    def record(self, entry_id, fact):
        if isinstance(fact, Concluded) and self._world.ledger.find(entry_id):
            self._times += 1
            return self._world.ledger.record(f"{entry_id}-{self._times}", fact)
        return self._world.ledger.record(entry_id, fact)

    def __getattr__(self, name):
        return getattr(self._world.ledger, name)


class Careless(owner_module.Owner):
    """An owner that does not go on with runs that were cut short."""

    def settle(self, model):
        unfinished = self.ports.ledger.rows("runs", {"model": model, "state": "running"})
        return [] if unfinished else super().settle(model)


def _always(_):
    return True


def _quarantine(fact):
    return isinstance(fact, BatchQuarantined)


FAULTS = {
    "a fact recorded before its blob": Wiring(blobs=LazyBlobs),
    "an acknowledgement before the commit": Wiring(ledger=lambda world: _Session(world, _always)),
    "a second version number": Wiring(ledger=Forgetful),
    "a lost quarantine": Wiring(ledger=lambda world: _Session(world, _quarantine)),
    "a run not resumed": Wiring(owner=Careless),
}
