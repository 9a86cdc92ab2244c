"""A swap never drops a request: champions change and go back while requests come in."""

import json
import os
import time
from collections import Counter

import pytest
from load.client import FEATURE, Load
from load.served import MODEL, Served

_LEAST = 500  # requests a second
_AIM = 800.0


def _go_through(served, ingests, swaps, rollbacks):
    """Ingest by ingest; a few of the new champions are rolled back at once."""
    due, promoted, rolled_back = max(1, swaps // (rollbacks + 1)), 0, 0
    for _ in range(ingests):
        decision = served.ingest()["decision"]
        if decision is None:
            continue
        assert decision["verdict"] == "promoted", decision
        promoted += 1
        if rolled_back < rollbacks and promoted >= due * (rolled_back + 1):
            served.ask("rollback", MODEL, "--reason", "to see it go back")
            served.ask("resume", MODEL)
            rolled_back += 1
    assert (promoted, rolled_back) == (swaps, rollbacks)


def _unanswered(reigns, load, begun, ended):
    """Versions that served for over a second of the load, and answered nothing."""
    reigned = Counter()
    for (version, since), (_, until) in zip(reigns, [*reigns[1:], (None, ended)], strict=True):
        longest = min(until, ended) - max(since, begun)
        reigned[version] = max(reigned[version], longest)
    return [v for v, seconds in reigned.items() if seconds > 1 and not load.versions[v]]


@pytest.mark.parametrize("runtime", ["linear", "native"])
def test_no_request_fails_while_champions_change(tmp_path, counted, told, runtime):
    ingests, swaps, rollbacks = counted(200), max(2, counted(10)), counted(3)
    served = Served(tmp_path / "project", runtime, ingests // swaps)
    served.prepare()
    with served.up(workers=2) as address:
        begun = time.time()
        with Load(address, MODEL, _AIM) as load:
            _go_through(served, ingests, swaps, rollbacks)
        ended = time.time()
    rate = len(load.ids) / load.seconds
    told(f"{runtime}: {ingests} ingests, {swaps} swaps, {rollbacks} rollbacks")
    told(f"{len(load.ids)} requests in {load.seconds:.1f} s, {rate:.0f} a second")
    told(f"per version: {dict(sorted(load.versions.items()))}\n")
    assert load.failures == []
    assert set(served.versions().values()) == {runtime}
    assert _unanswered(served.reigns(), load, begun, ended) == []
    expected = served.answers(FEATURE)
    assert len(set(expected.values())) == swaps + 1
    wrong = {(v, p): n for (v, p), n in load.answers.items() if abs(p - expected[v]) > 1e-12}
    assert wrong == {}
    logged = Counter(json.loads(x)["id"] for x in served.ask("predictions", MODEL).splitlines())
    assert [name for name in load.ids if logged[name] != 1] == []
    if os.environ.get("EVERBAKE_COUNTS") == "full":
        assert rate >= _LEAST
