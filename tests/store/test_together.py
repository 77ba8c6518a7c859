"""Trees read together are those the store has, whatever is asked for with what, whatever is damaged."""

from __future__ import annotations

import random
from contextlib import closing

import pytest
from support.list_log import snapshot
from support.snapshots import noise

from casreplay.codec import hashing
from casreplay.codec.records import RecordType
from casreplay.errors import CorruptError, MissingObjectError
from casreplay.model.ids import ObjectId
from casreplay.store import together
from casreplay.store.disk import DiskStore
from casreplay.store.together import TreesTogether


def changed(rng, old):
    at = rng.randrange(len(old))
    return old[:at] + noise(rng.randrange(1, 40), rng.randrange(10**6)) + old[at + 1 :]


@pytest.fixture
def filled(tmp_path):
    """A store of forty commits, each of all twelve folders with some blobs between them, and their trees."""
    rng = random.Random(8)
    store = DiskStore.create(str(tmp_path / "store"), durability="off")
    parent, versions = None, [[noise(rng.randrange(300, 900), 50 + i) for i in range(12)]]
    for number in range(1, 41):
        with store.writer() as writer:
            if number > 1:
                versions.append([changed(rng, raw) for raw in versions[-1]])
            for i, raw in enumerate(versions[-1]):
                old = hashing.tree_id(versions[-2][i]) if number > 1 else None
                writer.put_tree(hashing.tree_id(raw), raw, old)
                blob = noise(rng.randrange(300), 1000 * number + i)
                writer.put_blob(hashing.blob_id(blob), blob)
            pairs = writer.sync()
            one = snapshot(number, parent=parent)
            store.log.append(one, pairs, parent)
            parent = one.id
    yield store, [{hashing.tree_id(raw): raw for raw in version} for version in versions]
    store.close()


class Counting:
    """A source that counts what it is asked."""

    def __init__(self, store):
        self.store = store
        self.reads = self.others = 0

    def entry_of(self, object_id):
        return self.store.entry_of(object_id)

    def durable_bytes(self, *args):
        self.reads += 1
        return self.store.durable_bytes(*args)

    def get(self, object_id):
        self.others += 1
        return self.store.get(object_id)

    def get_at(self, entry):
        self.others += 1
        return self.store.get_at(entry)


@pytest.mark.parametrize("together_with", [1, 3, 40])
def test_all_asked_for_come_as_they_are(filled, together_with):
    store, versions = filled
    types = {store.entry_of(tree).type for version in versions for tree in version}
    assert types == {RecordType.OBJECT, RecordType.GROUP}
    rng = random.Random(2)
    reader = store.trees_together()
    for start in range(0, len(versions), together_with):
        asked = {
            tree: raw for version in versions[start : start + together_with] for tree, raw in version.items()
        }
        order = rng.sample(list(asked), len(asked))
        assert reader.get_all(order) == asked
        assert reader.get_all(order[:5]) == {tree: asked[tree] for tree in order[:5]}


def test_neighbours_are_read_in_one_go(filled):
    store, versions = filled
    source = Counting(store)
    reader = TreesTogether(source)
    reader.get_all(list(versions[20]))
    before = source.reads, source.others
    assert reader.get_all(list(versions[21])) == versions[21]
    assert (source.reads - before[0], source.others - before[1]) == (1, 0)


def test_trees_that_lie_far_apart_are_not_joined(filled, monkeypatch):
    monkeypatch.setattr(together, "_GAP_BYTES", 0)
    store, versions = filled
    source = Counting(store)
    asked = [next(iter(versions[i])) for i in (5, 20, 35)]
    assert set(TreesTogether(source).get_all(asked)) == set(asked)
    assert source.reads == 3


def test_little_is_remembered_and_nothing_is_lost(filled, monkeypatch):
    monkeypatch.setattr(together, "_NEAR_BYTES", 2000)
    monkeypatch.setattr(together, "_HELD_BYTES", 2000)
    monkeypatch.setattr(together, "_STRETCH_BYTES", 500)
    store, versions = filled
    reader = store.trees_together()
    for version in [*versions, *versions[::-1]]:
        assert reader.get_all(list(version)) == version


@pytest.mark.parametrize("seed", range(6))
def test_damage_is_never_returned(filled, tmp_path, seed):
    _, versions = filled
    path = next((tmp_path / "store" / "segments").iterdir())
    raw = bytearray(path.read_bytes())
    rng = random.Random(seed)
    for _ in range(60):
        raw[rng.randrange(200, len(raw))] ^= 1 << rng.randrange(8)
    path.write_bytes(raw)
    with closing(DiskStore.open(str(tmp_path / "store"))) as damaged:
        refused = 0
        for version in versions:
            for tree, whole in version.items():
                try:
                    assert damaged.trees_together().get_all([tree]) == {tree: whole}
                except CorruptError:
                    refused += 1
        assert refused


def test_what_is_not_there_is_missing_and_a_blob_is_no_tree(filled):
    store, versions = filled
    with pytest.raises(MissingObjectError):
        store.trees_together().get_all([*versions[3], ObjectId(bytes(32))])


def test_what_a_gc_moved_since_it_was_looked_up_is_read_where_it_is_now(filled):
    store, versions = filled
    grouped = next(tree for tree in versions[0] if store.entry_of(tree).type == RecordType.GROUP)

    class Moved(Counting):
        def entry_of(self, object_id):
            return super().entry_of(object_id)._replace(segment=99)

    assert TreesTogether(Moved(store)).get_all([grouped]) == {grouped: versions[0][grouped]}
