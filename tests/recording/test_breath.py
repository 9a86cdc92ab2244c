"""The recorder gives the processor back often."""

from everbake.recording import breath


def test_a_breath_is_taken_only_after_some_work(monkeypatch):
    now, slept = [10.0], []
    monkeypatch.setattr(breath.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(breath.time, "sleep", slept.append)
    breathe = breath.Breath()
    breathe()
    for _ in range(3):
        now[0] += 0.0001
        breathe()
    assert len(slept) == 1
    now[0] += 0.0005
    breathe()
    assert len(slept) == 2
    assert 0 < max(slept) < 0.001
