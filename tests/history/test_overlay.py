"""The overlay: the folder as it is now over the store, nothing written, honest about what it forgot."""

from __future__ import annotations

import pytest

from casreplay.codec.hashing import blob_id
from casreplay.errors import MissingObjectError
from casreplay.history.overlay import OverlayStore
from casreplay.store.disk import DiskStore
from casreplay.store.memory import MemoryStore


@pytest.fixture
def below():
    store = MemoryStore()
    with store.writer() as writer:
        writer.put_blob(blob_id(b"stored"), b"stored")
        writer.sync()
    return store


def test_what_is_put_is_read_and_the_store_below_is_as_it_was(below):
    overlay = OverlayStore(below)
    assert overlay.put_blob(blob_id(b"new"), b"new")
    assert overlay.get(blob_id(b"new")) == b"new"
    assert b"".join(overlay.stream(blob_id(b"new"))) == b"new"
    assert not below.has(blob_id(b"new"))


def test_what_the_store_has_is_not_kept_again(below):
    overlay = OverlayStore(below, kept_bytes=0)
    assert not overlay.put_blob(blob_id(b"stored"), b"stored")
    assert overlay.get(blob_id(b"stored")) == b"stored"


def test_content_beyond_the_bound_is_known_and_says_so_when_read(below):
    overlay = OverlayStore(below, kept_bytes=10)
    overlay.put_blob(blob_id(b"12345678"), b"12345678")
    overlay.put_blob(blob_id(b"too much"), b"too much")
    assert overlay.has(blob_id(b"too much"))
    assert overlay.info(blob_id(b"too much")).raw_bytes == 8
    with pytest.raises(MissingObjectError, match="more changed content") as caught:
        overlay.get(blob_id(b"too much"))
    assert "Commit first" in caught.value.hint


def test_streams_are_hashed_whether_or_not_they_are_kept(below):
    for room in (0, 100):
        overlay = OverlayStore(below, kept_bytes=room)
        assert overlay.put_stream([b"ab", b"cd"]) == (blob_id(b"abcd"), 4)
        assert overlay.has(blob_id(b"abcd"))


def test_caches_are_read_and_never_written(tmp_path):
    below = DiskStore.create(str(tmp_path / "store"))
    below.write_cache("stat", [b"old"])
    overlay = OverlayStore(below)
    overlay.write_cache("stat", [b"new"])
    assert overlay.read_cache("stat") == below.read_cache("stat") == b"old"
    below.close()
