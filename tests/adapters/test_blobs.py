"""Bytes under their digest: written once, checked whenever they are read."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everbake.adapters.blobs import FileBlobs
from everbake.errors import HealthError, Retry


@given(st.binary(max_size=2000))
def test_what_is_put_can_be_got_under_its_digest(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "shared-blobs"
    blobs = FileBlobs(folder)
    assert blobs.put(data) == hashlib.sha256(data).hexdigest()
    assert FileBlobs(folder).get(blobs.put(data)) == data
    (folder.parent / "source").write_bytes(data)
    assert blobs.put_file(folder.parent / "source") == blobs.put(data)
    assert not list(folder.glob("incoming-*"))


def test_bytes_that_were_changed_or_removed_are_not_given_out(tmp_path):
    blobs = FileBlobs(tmp_path)
    one, other = blobs.put(b"one"), blobs.put(b"other")
    blobs.path(one).write_bytes(b"two")
    with pytest.raises(HealthError, match="EB604"):
        blobs.get(one)
    blobs.path(other).unlink()
    with pytest.raises(HealthError, match="EB604"):
        blobs.get(other)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Retry, match="EB605"):
        FileBlobs(tmp_path / "file").put(b"x")
