"""Segments: scanning, re-synchronising, rolling over; the writer's choices of encoding."""

from __future__ import annotations

import os

import pytest
from support.snapshots import blob, commit, noise, snapshot_of, tree_of

from casreplay.codec import frame, hashing
from casreplay.codec.records import Encoding, RecordType
from casreplay.errors import CorruptError
from casreplay.store import segments as segments_module
from casreplay.store import writer as writer_module
from casreplay.store.disk import DiskStore


@pytest.fixture
def store(tmp_path):
    store = DiskStore.create(str(tmp_path / "store"), wait_s=0)
    yield store
    store.close()


def record(store, *puts):
    """Put (raw, base) pairs, one after the other, and record a snapshot."""
    head = store.log.head()
    parent = head.id if head else None
    with store.writer() as writer:
        for raw, base in puts:
            writer.put_blob(hashing.blob_id(raw), raw, base)
        root, content, raw_tree = tree_of({})
        writer.put_tree(root, raw_tree)
        store.log.append(snapshot_of(store.log.next_sequence(), parent, root, content), writer.sync(), parent)
    return writer.stored_bytes


def headers(store):
    return [one.header for number in store.segments.numbers() for one in store.segments.scan(number)]


def test_small_objects_share_a_frame(store):
    record(store, *[(b"some text of number %d\n" % i, None) for i in range(500)])
    groups = [header for header in headers(store) if header.type is RecordType.GROUP]
    assert [len(group.lengths) for group in groups] == [500]
    assert groups[0].stored_bytes < groups[0].raw_bytes / 4


def test_a_group_has_its_bounds(store, monkeypatch):
    monkeypatch.setattr(writer_module, "MAX_GROUP_MEMBERS", 100)
    record(store, *[(b"%d" % i, None) for i in range(250)])
    record(store, *[(noise(60_000, seed=i), None) for i in range(30)])
    groups = [header for header in headers(store) if header.type is RecordType.GROUP]
    assert max(len(group.lengths) for group in groups) == 100
    assert max(group.raw_bytes for group in groups) <= writer_module.CAREFUL_GROUP_BYTES
    before = len(headers(store))
    monkeypatch.setattr(writer_module, "CAREFUL_BYTES", 0)
    record(store, *[(noise(60_000, seed=100 + i), None) for i in range(30)])
    later = [header for header in headers(store)[before:] if header.type is RecordType.GROUP]
    assert max(group.raw_bytes for group in later) <= writer_module.GROUP_BYTES


@pytest.mark.parametrize(
    ("expected_bytes", "level"),
    [
        (writer_module.BULK_BYTES, writer_module.CAREFUL_LEVEL),
        (writer_module.BULK_BYTES + 1, writer_module.BULK_LEVEL),
        (writer_module.HURRIED_BYTES, writer_module.BULK_LEVEL),
        (writer_module.HURRIED_BYTES + 1, frame.QUICK),
    ],
)
def test_only_who_expects_much_is_in_a_hurry(store, expected_bytes, level):
    texts = [b"a line of text, number %d\n" % i * 20 for i in range(400)]
    with store.writer() as writer:
        writer.expect(expected_bytes)
        for text in texts:
            writer.put_blob(hashing.blob_id(text), text)
        writer.sync()
    packed = frame.compress(b"".join(texts), level=level)
    groups = [header.stored_bytes for header in headers(store) if header.type is RecordType.GROUP]
    assert groups == [len(packed)]


def test_a_changed_file_costs_its_change(store):
    old = noise(50_000)
    new = old[:20_000] + b"changed" + old[20_000:]
    record(store, (old, None))
    assert record(store, (new, hashing.blob_id(old))) < 300
    assert store.info(hashing.blob_id(new)).depth == 1
    assert store.get(hashing.blob_id(new)) == new


def test_a_delta_that_does_not_pay_is_not_kept(store):
    old, new = noise(5000, seed=1), noise(5000, seed=2)
    record(store, (old, None), (new, hashing.blob_id(old)))
    assert store.info(hashing.blob_id(new)).depth == 0


def test_chains_end_and_begin_anew(store):
    """At 32 deltas the next is one against the key frame: neither deeper nor a full copy."""
    raw = noise(20_000)
    previous, depths, sizes = None, [], []
    for i in range(80):
        raw = raw + b"line %d\n" % i
        sizes.append(record(store, (raw, previous)))
        previous = hashing.blob_id(raw)
        depths.append(store.info(previous).depth)
        assert store.get(previous) == raw
    assert max(depths) == 32
    assert depths[33] == 1
    assert max(sizes[1:]) < 2000


def test_a_base_of_another_kind_is_ignored(store):
    root, _, raw = tree_of({b"a": bytes(32)})
    record(store, (raw, None))
    with store.writer() as writer:
        assert writer.put_tree(root, raw, hashing.blob_id(raw))
        writer.sync()
    assert store.get(hashing.blob_id(raw)) == raw


def test_a_damaged_base_is_ignored(store):
    old = noise(50_000)
    record(store, (old, None))
    path = store.segments.path(1)
    with open(path, "r+b") as handle:
        handle.seek(2000)
        handle.write(b"damage")
    again = DiskStore.open(store.folder, wait_s=0)
    new = old + b"more"
    record(again, (new, hashing.blob_id(old)))
    assert again.get(hashing.blob_id(new)) == new
    with pytest.raises(CorruptError):
        again.get(hashing.blob_id(old))


def test_a_base_put_just_now_works_wherever_it_is(store):
    versions = [noise(3000) + b"x" * i for i in range(4)]
    big = [noise(400_000, seed=4) + b"y" * i for i in range(3)]
    puts, previous = [], None
    for raw in versions:
        puts.append((raw, previous))
        previous = hashing.blob_id(raw)
    previous = None
    for raw in big:
        puts.append((raw, previous))
        previous = hashing.blob_id(raw)
    assert record(store, *puts) < 420_000
    for raw in (*versions, *big):
        assert store.get(hashing.blob_id(raw)) == raw


def test_growing_past_the_chunking_limit_and_back(store):
    sizes = [100_000, 300_000, 900_000, 250_000, 260_000, 10]
    raws = [noise(900_000, seed=3)[:size] for size in sizes]
    previous = None
    stored = []
    for raw in raws:
        stored.append(record(store, (raw, previous)))
        previous = hashing.blob_id(raw)
    for raw in raws:
        assert store.get(hashing.blob_id(raw)) == raw
        assert b"".join(store.stream(hashing.blob_id(raw))) == raw
    assert stored[1] < 250_000
    assert stored[3] < 80_000


def test_equal_chunks_are_stored_once(store):
    raw = noise(600_000, seed=1)
    first = record(store, (raw, None))
    second = record(store, (b"prefix" + raw, None))
    assert first > 600_000
    assert second < 200_000
    kinds = [header for header in headers(store) if header.type is RecordType.CHUNKED]
    assert len(kinds) == 2


def test_chunk_lists_are_deltas_too(store):
    raw = noise(8_000_000, seed=1)
    record(store, (raw, None))
    cost = record(store, (raw + b"a line\n", hashing.blob_id(raw)))
    assert cost < 500
    lists = [header for header in headers(store) if header.type is RecordType.CHUNKED]
    assert [header.encoding for header in lists] == [Encoding.PLAIN, Encoding.DELTA]
    assert (
        store.chunk_list(hashing.blob_id(raw + b"a line\n"))[:-1]
        == store.chunk_list(hashing.blob_id(raw))[:-1]
    )


def test_segments_are_sealed(store, monkeypatch):
    monkeypatch.setattr(writer_module, "SEAL_BYTES", 100_000)
    monkeypatch.setattr(segments_module, "SEAL_BYTES", 100_000)
    monkeypatch.setattr(writer_module, "CAREFUL_GROUP_BYTES", 100_000)
    raws = [noise(60_000, seed=i) for i in range(40)]
    record(store, *[(raw, None) for raw in raws])
    assert len(store.segments.numbers()) >= 12
    for raw in raws:
        assert store.get(hashing.blob_id(raw)) == raw
    again = DiskStore.open(store.folder, wait_s=0)
    again.rebuild_index()
    assert all(again.get(hashing.blob_id(raw)) == raw for raw in raws)


def test_commits_share_a_segment(store):
    for i in range(20):
        commit(store, {b"a": b"%d" % i})
    assert store.segments.numbers() == [1]


def test_scanning_goes_on_behind_damage(store):
    for i in range(6):
        commit(store, {b"a": noise(3000, seed=i)})
    whole = list(store.segments.scan(1))
    path = store.segments.path(1)
    with open(path, "r+b") as handle:
        handle.seek(whole[4].offset + 5)
        handle.write(b"\xff\xff\xff")
    lost: list[tuple[int, int]] = []
    found = list(store.segments.scan(1, lost=lost))
    assert found == whole[:4] + whole[5:]
    assert lost == [(whole[4].offset, whole[5].offset)]
    os.truncate(path, whole[-1].offset + 40)
    lost.clear()
    assert list(store.segments.scan(1, lost=lost)) == found[:-1]
    assert lost[-1][0] == whole[-1].offset


def test_an_odd_name_in_the_folder_is_ignored(store, tmp_path):
    commit(store, {b"a": b"1"})
    for name in ("x.seg", "1.seg", "00000001.seg.bak", "notes.txt"):
        (tmp_path / "store" / "segments" / name).write_bytes(b"?")
    assert store.segments.numbers() == [1]
    assert DiskStore.open(store.folder, wait_s=0).rebuild_index() == len(list(store.ids()))


def test_a_raw_record_is_copied_without_decoding(store):
    old = noise(20_000)
    new = old + b"more"
    record(store, (old, None), (new, hashing.blob_id(old)))
    with store.deleting(), store.writer(rewriting=True) as writer:
        for stored in store.segments.scan(1):
            header, body = store.segments.record(1, stored.offset, stored.header.total_bytes)
            writer.copy_record(header, body)
        store.delete_segments([1], moved=writer.sync())
    assert store.segments.numbers() == [2]
    assert store.get(hashing.blob_id(new)) == new
    assert DiskStore.open(store.folder, wait_s=0).get(hashing.blob_id(old)) == old


def test_deletion_goes_in_order(store, tmp_path):
    """Caches, log, index, data: each step sees what the one before it did and not yet the next."""
    commit(store, {b"a": b"1"})
    seen = []

    def before():
        seen.append((store.log.sweeps(), store.segments.numbers()))

    with store.deleting():
        store.delete_segments([1], before=before, reason="test")
    assert seen == [(0, [1])]
    assert store.log.sweeps() == 1
    assert store.segments.numbers() == []
    assert list(store.ids()) == []
    assert commit(store, {b"a": b"1"}).sequence == 2
    assert store.segments.numbers() == [2]


def test_places_sort_in_disk_order(store):
    raws = [b"text of number %d" % i for i in range(50)]
    record(store, *[(raw, None) for raw in raws])
    ids = [hashing.blob_id(raw) for raw in raws]
    missing = blob(b"missing")[0]
    places = store.locate([*ids, missing])
    assert places == sorted(places)
    assert places[-2] < places[-1]
