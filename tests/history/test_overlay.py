"""The overlay: the folder as it is now over the store, nothing written, honest about what it forgot."""

from __future__ import annotations

import pytest

from casreplay.codec.hashing import blob_id, tree_id
from casreplay.errors import MissingObjectError
from casreplay.history import ingest
from casreplay.history.overlay import OverlayStore
from casreplay.history.repository import Repository
from casreplay.store.base import ObjectKind
from casreplay.store.disk import DiskStore
from casreplay.store.memory import MemoryStore
from casreplay.workspace import workers


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


def test_what_a_worker_read_is_taken_over_with_its_share_of_the_room(below):
    overlay = OverlayStore(below, kept_bytes=20)
    with overlay.writer() as writer:
        writer.put_blob(blob_id(b"stored"), b"stored")
        writer.put_blob(blob_id(b"small"), b"small")
        writer.put_blob(blob_id(b"far too much to be kept"), b"far too much to be kept")
        writer.put_tree(tree_id(b"a tree"), b"a tree")
        exported = writer.export_entries()
    assert not overlay.has(blob_id(b"small"))
    assert overlay.adopt(exported) == ()
    assert overlay.get(blob_id(b"small")) == b"small"
    assert overlay.get(tree_id(b"a tree")) == b"a tree"
    assert overlay.info(tree_id(b"a tree")).kind is ObjectKind.TREE
    assert overlay.get(blob_id(b"stored")) == b"stored"
    assert overlay.info(blob_id(b"far too much to be kept")).raw_bytes == 23
    with pytest.raises(MissingObjectError, match="more changed content"):
        overlay.get(blob_id(b"far too much to be kept"))


def test_status_of_many_files_divides_the_reading_and_says_the_same(tmp_path, monkeypatch):
    workspace = tmp_path / "workspace"
    for i in range(30):
        folder = workspace / f"folder{i % 5}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.txt").write_text(f"line {i}\n" * 40)
    with Repository.init(workspace, tmp_path / "store") as repository:
        repository.commit()
        for i in range(0, 30, 2):
            (workspace / f"folder{i % 5}" / f"{i}.txt").write_text(f"other {i}\n" * 40)
        (workspace / "folder1" / "1.txt").rename(workspace / "moved.txt")
        alone = repository.status()
        monkeypatch.setattr(ingest, "PARALLEL_FILES", 1)
        monkeypatch.setattr(workers, "count", lambda: 3)
        divided = repository.status()
        recorded = repository.commit()
    assert alone == divided
    assert len(alone[0]) == 16
    assert recorded.changes.modified == 15
    assert recorded.changes.renamed == 1
