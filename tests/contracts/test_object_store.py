"""What ``ObjectStore`` and ``ObjectWriter`` promise, asked of both implementations."""

from __future__ import annotations

import pytest
from support.snapshots import blob, commit, noise, tree_of

from casreplay.codec import hashing
from casreplay.errors import MissingObjectError, StoreIOError
from casreplay.store.base import ObjectKind
from casreplay.store.disk import DiskStore
from casreplay.store.memory import MemoryStore


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryStore()
    return DiskStore.create(str(tmp_path / "store"), wait_s=0)


SIZES = [0, 1, 63, 64, 1000, 70_000, 256 << 10, (256 << 10) + 1, 900_000]


@pytest.mark.parametrize("length", SIZES)
def test_a_blob_comes_back_as_it_was(store, length):
    name, raw = blob(noise(length))
    with store.writer() as writer:
        assert writer.put_blob(name, raw)
        writer.sync()
        assert_recorded(store, writer)
    assert store.has(name)
    assert store.get(name) == raw
    assert b"".join(store.stream(name)) == raw
    assert store.info(name).raw_bytes == length
    assert store.info(name).kind is ObjectKind.BLOB


def assert_recorded(store, writer):
    """Record a snapshot so that what was synced is published."""
    from support.snapshots import snapshot_of

    head = store.log.head()
    root, content, raw = tree_of({})
    writer.put_tree(root, raw)
    parent = head.id if head else None
    store.log.append(snapshot_of(store.log.next_sequence(), parent, root, content), writer.sync(), parent)


@pytest.mark.parametrize("length", SIZES)
def test_a_stream_of_odd_pieces_gives_the_same_blob(store, length):
    name, raw = blob(noise(length, seed=1))
    with store.writer() as writer:
        assert writer.put_stream(raw[at : at + 7001] for at in range(0, length, 7001)) == (name, length)
        assert_recorded(store, writer)
    assert store.get(name) == raw


def test_putting_twice_adds_nothing(store):
    name, raw = blob(b"twice")
    with store.writer() as writer:
        assert writer.put_blob(name, raw)
        assert not writer.put_blob(name, raw)
        assert_recorded(store, writer)
    with store.writer() as writer:
        assert not writer.put_blob(name, raw)
        assert writer.put_stream([raw]) == (name, len(raw))
        assert writer.stored_bytes == 0


def test_a_missing_object_is_refused(store):
    name, _ = blob(b"never stored")
    assert not store.has(name)
    with pytest.raises(MissingObjectError):
        store.get(name)
    with pytest.raises(MissingObjectError):
        list(store.stream(name))
    with pytest.raises(MissingObjectError):
        store.info(name)


def test_what_was_not_synced_is_invisible(store):
    name, raw = blob(b"unsynced")
    with store.writer() as writer:
        writer.put_blob(name, raw)
        assert not store.has(name)


def test_a_closed_writer_refuses(store):
    with store.writer() as writer:
        pass
    with pytest.raises(StoreIOError):
        writer.sync()


@pytest.mark.parametrize("length", [200, 5_000, 700_000])
def test_a_base_changes_nothing_but_the_size(store, length):
    old = noise(length, seed=2)
    new = old[: length // 2] + b"an insertion" + old[length // 2 :]
    old_id, new_id = hashing.blob_id(old), hashing.blob_id(new)
    with store.writer() as writer:
        writer.put_blob(old_id, old)
        assert writer.put_blob(new_id, new, old_id)
        assert_recorded(store, writer)
    assert store.get(old_id) == old
    assert store.get(new_id) == new


def test_a_base_that_does_not_exist_is_ignored(store):
    name, raw = blob(noise(3000))
    with store.writer() as writer:
        assert writer.put_blob(name, raw, hashing.blob_id(b"no such base"))
        assert_recorded(store, writer)
    assert store.get(name) == raw


def test_blobs_and_trees_are_kept_apart(store):
    name, raw = blob(b"content")
    root, _, raw_tree = tree_of({b"a": name})
    snapshot = commit(store, {b"a": raw})
    assert snapshot.root == root
    assert store.get(root) == raw_tree
    assert root in set(store.ids(ObjectKind.TREE))
    assert set(store.ids(ObjectKind.BLOB)) == {name}
    assert set(store.ids()) == {name, root}
    assert store.info(root).kind is ObjectKind.TREE


def test_a_store_is_what_a_commit_needs(store):
    """Checked by mypy too; here against the names."""
    from casreplay.store.base import CommitStore

    names = {name for one in CommitStore.__mro__ for name in vars(one) if not name.startswith("_")}
    assert {"get", "writer", "adopt", "discard", "log", "id", "read_cache", "write_cache"} <= names
    assert all(hasattr(store, name) for name in names)


def test_a_claim_that_is_refused_stores_nothing(store):
    name, raw = blob(b"claimed by another")
    with store.writer(claim=lambda _: False) as writer:
        assert not writer.put_blob(name, raw)
        assert writer.stored_bytes == 0
        writer.sync()
    assert not store.has(name)


def test_what_a_worker_exports_can_be_adopted_and_published(store):
    name, raw = blob(noise(5000, seed=9))
    with store.writer() as worker:
        worker.put_blob(name, raw)
        worker.sync()
        exported = worker.export_entries()
    pairs = store.adopt(exported)
    assert store.get(name) == raw
    root, content, raw_tree = tree_of({b"a": name})
    with store.writer() as writer:
        writer.put_tree(root, raw_tree)
        from support.snapshots import snapshot_of

        store.log.append(snapshot_of(1, None, root, content), (*pairs, *writer.sync()), None)
    assert store.get(name) == raw


def test_caches_are_kept_or_lost_whole(store):
    assert store.read_cache("stat") is None
    store.write_cache("stat", [b"one", b"two"])
    store.write_cache("stat", iter([b"three"]))
    assert store.read_cache("stat") == b"three"
