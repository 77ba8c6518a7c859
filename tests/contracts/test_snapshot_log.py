"""What ``SnapshotLog`` promises, asked of both implementations."""

from __future__ import annotations

import pytest
from support.snapshots import commit, snapshot_of, tree_of

from casreplay.errors import LockedError, UnknownNameError
from casreplay.store.disk import DiskStore
from casreplay.store.memory import MemoryStore


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryStore()
    return DiskStore.create(str(tmp_path / "store"), wait_s=0)


def test_an_empty_log_has_no_head(store):
    assert store.log.head() is None
    assert len(store.log) == 0
    assert store.log.next_sequence() == 1


def test_the_head_is_the_newest(store):
    snapshots = [commit(store, {b"n": b"%d" % i}, label=f"number {i}") for i in range(5)]
    assert store.log.head() == snapshots[-1]
    assert list(store.log.newest_first()) == snapshots[::-1]
    assert [store.log.get(one.id) for one in snapshots] == snapshots
    assert len(store.log) == 5


def test_an_unknown_snapshot_is_refused(store):
    commit(store, {b"a": b"1"})
    with pytest.raises(UnknownNameError):
        store.log.get(bytes(32))


def test_a_lost_race_is_refused(store):
    first = commit(store, {b"a": b"1"})
    root, content, _ = tree_of({})
    stale = snapshot_of(1, None, root, content)
    with pytest.raises(LockedError):
        store.log.append(stale, (), None)
    wrong_sequence = snapshot_of(1, first.id, root, content, label="again")
    with pytest.raises(LockedError):
        store.log.append(wrong_sequence, (), first.id)
    assert store.log.head() == first


def test_removed_snapshots_are_no_longer_history(store):
    snapshots = [commit(store, {b"n": b"%d" % i}) for i in range(4)]
    store.log.remove([snapshots[1].id, snapshots[3].id], "kept enough")
    assert list(store.log.newest_first()) == [snapshots[2], snapshots[0]]
    assert store.log.head() == snapshots[2]
    assert len(store.log) == 2
    with pytest.raises(UnknownNameError):
        store.log.get(snapshots[1].id)


def test_sequences_go_on_after_a_removal(store):
    snapshots = [commit(store, {b"n": b"%d" % i}) for i in range(2)]
    store.log.remove([snapshots[1].id], "undone")
    assert store.log.next_sequence() == 3
    third = commit(store, {b"n": b"again"})
    assert (third.sequence, third.parent) == (3, snapshots[0].id)
