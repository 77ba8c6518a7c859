"""Two writers that used each other's objects as bases: read and collected without going in circles."""

from __future__ import annotations

import pytest
from support.snapshots import noise, snapshot_of, tree_of

from casreplay.codec import hashing
from casreplay.errors import CorruptError
from casreplay.history.gc import GcRules, collect, measure
from casreplay.store.disk import DiskStore
from casreplay.store.entries import pack

ONE = noise(5000, seed=1)
TWO = ONE[:2000] + b"changed" + ONE[2000:]
ONE_ID, TWO_ID = hashing.blob_id(ONE), hashing.blob_id(TWO)
CHOICES = [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.fixture
def store(tmp_path):
    """Each writer stored a key frame of one version and a delta of the other, in opposite directions."""
    store = DiskStore.create(str(tmp_path / "store"), wait_s=0)
    with store.writer() as first, store.writer() as second:
        first.put_blob(ONE_ID, ONE)
        first.put_blob(TWO_ID, TWO, ONE_ID)
        second.put_blob(TWO_ID, TWO)
        second.put_blob(ONE_ID, ONE, TWO_ID)
        other = second.sync()
        root, content, raw = tree_of({b"one": ONE_ID, b"two": TWO_ID})
        first.put_tree(root, raw)
        store.log.append(snapshot_of(1, None, root, content), (*first.sync(), *other), None)
    yield store
    store.close()


def prefer(store, first_one, first_two):
    """Arrange the index so that the given copies are found first; even two deltas that name each other."""
    catalog = store.catalog
    copies = {name: sorted(catalog.find_all(name)) for name in (ONE_ID, TWO_ID)}
    assert all(len(found) == 2 for found in copies.values())
    root = catalog.find(store.log.head().root)
    front = [pack(*copies[ONE_ID][first_one]), pack(*copies[TWO_ID][first_two])]
    behind = [pack(*copies[ONE_ID][1 - first_one]), pack(*copies[TWO_ID][1 - first_two]), pack(*root)]
    known = {"log_end": store.log.end(), "next_segment": 9}
    catalog.index.rebuild(b"".join(behind), store.catalog.lengths(), dropped=set(), **known)
    catalog.index.publish(b"".join(front), {}, **known)
    store._decoder.clear()


@pytest.mark.parametrize(("first_one", "first_two"), CHOICES)
def test_whatever_copy_comes_first_both_are_read(store, first_one, first_two):
    prefer(store, first_one, first_two)
    assert store.get(ONE_ID) == ONE
    assert store.get(TWO_ID) == TWO
    assert store.least_copy(ONE_ID) != store.least_copy(TWO_ID)


@pytest.mark.parametrize(("first_one", "first_two"), CHOICES)
def test_a_gc_keeps_what_both_need(store, first_one, first_two):
    prefer(store, first_one, first_two)
    root = store.log.head().root
    uses, _ = measure(store, [root])
    assert sum(use.live_bytes for use in uses) > 5000
    collect(store, [root], clock=lambda: 1 << 62, rules=GcRules(max_dead_share=0.0))
    for again in (store, DiskStore.open(store.folder, wait_s=0)):
        assert again.get(ONE_ID) == ONE
        assert again.get(TWO_ID) == TWO


def test_a_damaged_copy_is_not_the_one_to_keep(store):
    copies = sorted(store.catalog.find_all(ONE_ID))
    key = next(e for e in copies if e == store.least_copy(ONE_ID))
    with open(store.segments.path(key.segment), "r+b") as handle:
        handle.seek(key.offset + key.length - 2)
        handle.write(b"\0\0")
    (other,) = [entry for entry in copies if entry != key]
    assert store.least_copy(ONE_ID) == other
    assert store.get(ONE_ID) == ONE


def test_an_object_that_is_nowhere_has_no_copy(store):
    assert store.least_copy(bytes(32)) is None


def damage(store, entry):
    """Flip the last bytes of a record and forget what was decoded of it."""
    with open(store.segments.path(entry.segment), "r+b") as handle:
        handle.seek(entry.offset + entry.length - 2)
        old = handle.read(2)
        handle.seek(entry.offset + entry.length - 2)
        handle.write(bytes(255 - byte for byte in old))
    store._decoder.clear()


@pytest.fixture
def twice(tmp_path):
    """A store that holds a long and a short blob twice: two writers stored them at once."""
    store = DiskStore.create(str(tmp_path / "twice"), wait_s=0)
    long, short = noise(900_000, seed=3), noise(9000, seed=4)
    with store.writer() as first, store.writer() as second:
        for writer in (first, second):
            assert writer.put_stream([long])[0] == hashing.blob_id(long)
            writer.put_blob(hashing.blob_id(short), short)
        root, content, raw = tree_of({b"long": hashing.blob_id(long), b"short": hashing.blob_id(short)})
        first.put_tree(root, raw)
        store.log.append(snapshot_of(1, None, root, content), (*first.sync(), *second.sync()), None)
    yield store, long, short
    store.close()


@pytest.mark.parametrize("which", [0, 1])
def test_a_stream_makes_up_for_a_damaged_copy(twice, which):
    store, long, short = twice
    first_chunk = store.chunk_list(hashing.blob_id(long))[0][0]
    for name in (hashing.blob_id(long), hashing.blob_id(short), first_chunk):
        copies = sorted(store.catalog.find_all(name))
        assert len(copies) == 2
        damage(store, copies[which])
    for raw in (long, short):
        assert b"".join(store.stream(hashing.blob_id(raw))) == raw
        assert store.get(hashing.blob_id(raw)) == raw


def test_a_stream_without_a_whole_copy_says_so_before_the_first_piece(twice):
    store, long, _ = twice
    for entry in store.catalog.find_all(hashing.blob_id(long)):
        damage(store, entry)
    with pytest.raises(CorruptError):
        next(store.stream(hashing.blob_id(long)))
