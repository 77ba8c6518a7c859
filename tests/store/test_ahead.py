"""Trees read ahead are those the store has, in whatever order they are asked for, whatever is damaged."""

from __future__ import annotations

import random
from contextlib import closing

import pytest
from support.list_log import snapshot
from support.snapshots import noise

from casreplay.codec import hashing
from casreplay.codec.records import RecordType
from casreplay.errors import CorruptError, MissingObjectError
from casreplay.model.ids import BlobId, ObjectId
from casreplay.store import ahead
from casreplay.store.ahead import TreesAhead
from casreplay.store.disk import DiskStore


def tree_bytes(rng, old=None):
    """Bytes that stand for a tree: mostly those of an earlier one."""
    if old is None:
        return noise(rng.randrange(200, 900), rng.randrange(10**6))
    at = rng.randrange(len(old))
    return old[:at] + noise(rng.randrange(1, 40), rng.randrange(10**6)) + old[at + 1 :]


@pytest.fixture
def filled(tmp_path):
    """A store with 120 commits of a few trees and blobs each, and the trees in their order."""
    rng = random.Random(4)
    store = DiskStore.create(str(tmp_path / "store"), durability="off")
    parent, order, current = None, [], {}
    for number in range(1, 121):
        with store.writer() as writer:
            for folder in range(9) if number == 1 else rng.sample(range(12), 3):
                old = current.get(folder)
                raw = tree_bytes(rng, old) if number % 17 else tree_bytes(rng)
                tree = hashing.tree_id(raw)
                writer.put_tree(tree, raw, hashing.tree_id(old) if old else None)
                blob = noise(rng.randrange(300), number)
                writer.put_blob(hashing.blob_id(blob), blob)
                current[folder] = raw
                order.append((tree, raw))
            pairs = writer.sync()
            one = snapshot(number, parent=parent)
            store.log.append(one, pairs, parent)
            parent = one.id
    yield store, order
    store.close()


def kinds(store, order):
    return {store.entry_of(tree).type for tree, _ in order}


@pytest.mark.parametrize("how", ["in order", "backwards", "at random", "twice", "every ninth"])
def test_every_order_gives_the_same_bytes(filled, how):
    store, order = filled
    assert kinds(store, order) == {RecordType.OBJECT, RecordType.GROUP}
    asked = {
        "in order": order,
        "backwards": order[::-1],
        "at random": random.Random(1).sample(order, len(order)),
        "twice": [one for one in order for _ in range(2)],
        "every ninth": order[::9],
    }[how]
    reader = store.trees_ahead()
    assert [reader.get(tree) for tree, _ in asked] == [raw for _, raw in asked]


def test_little_is_remembered_and_nothing_is_lost(filled, monkeypatch):
    store, order = filled
    monkeypatch.setattr(ahead, "_AHEAD_BYTES", 100)
    monkeypatch.setattr(ahead, "_HELD_BYTES", 2000)
    reader = store.trees_ahead()
    assert [reader.get(tree) for tree, _ in order] == [raw for _, raw in order]


def test_the_index_is_asked_once_a_stretch(filled):
    store, order = filled
    asked = []

    class Counting:
        get = store.get
        durable_bytes = store.durable_bytes

        def entry_of(self, object_id):
            asked.append(object_id)
            return store.entry_of(object_id)

    reader = TreesAhead(Counting())
    for tree, _ in order:
        reader.get(tree)
    assert len(asked) < len(order) // 8


@pytest.mark.parametrize("seed", range(12))
def test_damage_is_never_returned(filled, seed):
    store, order = filled
    rng = random.Random(seed)
    whole = dict(order)
    for number in store.segments.numbers():
        path = store.segments.path(number)
        with open(path, "r+b") as file:
            data = bytearray(file.read())
            for _ in range(6):
                data[rng.randrange(16, len(data))] ^= 1 << rng.randrange(8)
            file.seek(0)
            file.write(data)
    with closing(DiskStore.open(store.folder)) as damaged:
        reader = damaged.trees_ahead()
        lost = 0
        for tree, _ in order:
            try:
                assert reader.get(tree) == whole[tree]
            except CorruptError:
                lost += 1
        assert lost < len(order)


def test_what_is_not_there_is_missing_and_a_blob_is_no_tree(filled):
    store, order = filled
    reader = store.trees_ahead()
    with pytest.raises(MissingObjectError):
        reader.get(ObjectId(b"\1" * 32))
    blob = noise(5000, 9)
    with store.writer() as writer:
        writer.put_blob(BlobId(hashing.blob_id(blob)), blob)
        writer.sync()
        with pytest.raises(MissingObjectError):
            reader.get(hashing.blob_id(blob))  # not durable: no log record covers it
    assert reader.get(order[-1][0]) == order[-1][1]


@pytest.mark.parametrize("cut", [0, 10, 27, 28, 60, 100, 1000])
def test_a_stretch_that_ends_anywhere_is_taken_in_as_far_as_it_is_whole(filled, cut):
    store, order = filled
    asked = []

    class CutShort:
        get = store.get

        def entry_of(self, object_id):
            asked.append(object_id)
            return store.entry_of(object_id)

        def durable_bytes(self, segment, count, offset):
            window = store.durable_bytes(segment, count, offset)
            return window[: len(window) - cut]

    reader = TreesAhead(CutShort())
    assert [reader.get(tree) for tree, _ in order] == [raw for _, raw in order]
    assert len(asked) < len(order) // 2
