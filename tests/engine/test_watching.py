"""Files in watched folders are taken once they are whole, and once."""

from everbake.engine import watching
from everbake.engine.watching import Folders, Watched

CSV = [Watched("m", "data/*.csv")]


def folders(tmp_path):
    (tmp_path / "data").mkdir(exist_ok=True)
    return Folders(tmp_path, tmp_path / "watched.json")


def taken(found):
    return [(model, path.name) for model, path in found]


def test_a_file_is_ready_when_two_looks_find_it_the_same(tmp_path):
    watch = folders(tmp_path)
    (tmp_path / "data" / "a.csv").write_text("x\n1\n")
    (tmp_path / "data" / "a.txt").write_text("no")
    assert watch.look(CSV) == []
    assert taken(watch.look(CSV)) == [("m", "a.csv")]


def test_a_file_that_somebody_writes_to_waits_however_long_that_takes(tmp_path):
    watch = folders(tmp_path)
    with (tmp_path / "data" / "a.csv").open("w") as slow:
        slow.write("x\n1\n")
        slow.flush()
        for _ in range(5):
            assert watch.look(CSV) == []
    assert taken(watch.look(CSV)) == [("m", "a.csv")]


def test_a_file_that_was_taken_is_not_taken_again_also_after_a_restart(tmp_path):
    watch = folders(tmp_path)
    path = tmp_path / "data" / "a.csv"
    path.write_text("x\n1\n")
    watch.look(CSV)
    for model, found in watch.look(CSV):
        watch.took(model, found)
    assert watch.look(CSV) == []
    again = folders(tmp_path)
    assert again.look(CSV) == again.look(CSV) == []
    path.write_text("x\n1\n2\n")
    assert again.look(CSV) == []
    assert taken(again.look(CSV)) == [("m", "a.csv")]


def test_a_broken_memory_is_only_forgotten(tmp_path):
    (tmp_path / "watched.json").write_text("{")
    watch = folders(tmp_path)
    (tmp_path / "data" / "a.csv").write_text("x\n1\n")
    watch.look(CSV)
    assert taken(watch.look(CSV)) == [("m", "a.csv")]


def test_a_file_that_vanishes_is_no_trouble(tmp_path):
    watch = folders(tmp_path)
    path = tmp_path / "data" / "a.csv"
    path.write_text("x\n")
    watch.look(CSV)
    path.unlink()
    assert watch.look(CSV) == []
    watch.took("m", path)


def test_a_writer_that_cannot_be_listed_is_seen_by_its_lease(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "_open_for_writing", set)
    watch = folders(tmp_path)
    with (tmp_path / "data" / "a.csv").open("w") as slow:
        slow.write("x\n1\n")
        slow.flush()
        assert [watch.look(CSV) for _ in range(3)] == [[]] * 3
    watch.look(CSV)
    assert taken(watch.look(CSV)) == [("m", "a.csv")]
