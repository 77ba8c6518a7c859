"""Stores that somebody built to hurt: bombs, loops, forged lengths. Refused, quickly and by name."""

from __future__ import annotations

import pytest
import zstandard
from support.snapshots import blob, noise, snapshot_of, tree_of

from casreplay.codec import hashing
from casreplay.codec.records import Encoding, RecordHeader, RecordType, body_checksum, encode_chunk_list
from casreplay.errors import CorruptError, MissingObjectError
from casreplay.store.disk import DiskStore
from casreplay.store.entries import pack


@pytest.fixture
def store(tmp_path):
    store = DiskStore.create(str(tmp_path / "store"), wait_s=0)
    yield store
    store.close()


def plant(store, *pairs):
    """Write forged records and a snapshot that makes them durable."""
    with store.writer() as writer:
        for header, body in pairs:
            writer.copy_record(header, body)
        root, content, raw = tree_of({})
        writer.put_tree(root, raw)
        head = store.log.head()
        parent = head.id if head else None
        store.log.append(snapshot_of(store.log.next_sequence(), parent, root, content), writer.sync(), parent)


def record(object_id, body, raw_bytes, *, kind=RecordType.OBJECT, encoding=Encoding.ZSTD, **fields):
    defaults = {"depth": 0, "ids": object_id, "lengths": (raw_bytes,), "base": b""}
    header = RecordHeader(
        type=kind,
        kind=1,
        encoding=encoding,
        raw_bytes=raw_bytes,
        stored_bytes=len(body),
        body_crc=body_checksum(body),
        **{**defaults, **fields},
    )
    return header, body


def test_a_bomb_that_states_its_size_is_refused(store):
    bomb = zstandard.ZstdCompressor().compress(bytes(128 << 20))
    name = hashing.blob_id(b"bomb")
    plant(store, record(name, bomb, 1000))
    with pytest.raises(CorruptError):
        store.get(name)


def test_a_bomb_that_states_no_size_is_refused(store):
    maker = zstandard.ZstdCompressor(write_content_size=False)
    bomb = maker.compress(bytes(128 << 20))
    name = hashing.blob_id(b"bomb")
    plant(store, record(name, bomb, 1000))
    with pytest.raises(CorruptError):
        store.get(name)


def test_content_under_a_wrong_id_is_refused(store):
    name = hashing.blob_id(b"what the id says")
    plant(store, record(name, b"something else", 14, encoding=Encoding.PLAIN))
    with pytest.raises(CorruptError, match="does not match its id"):
        store.get(name)
    with pytest.raises(CorruptError):
        list(store.stream(name))


def test_a_blob_cannot_pose_as_a_tree(store):
    _, _, raw = tree_of({})
    as_blob = hashing.blob_id(raw)
    header, body = record(as_blob, raw, len(raw), encoding=Encoding.PLAIN)
    plant(store, (header, body))
    assert store.get(as_blob) == raw
    assert not store.has(hashing.tree_id(raw + b"x"))


def delta(name, base, depth=1):
    packed = zstandard.ZstdCompressor(
        dict_data=zstandard.ZstdCompressionDict(b"a" * 100, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    ).compress(b"a" * 99)
    return record(name, packed, 99, encoding=Encoding.DELTA, base=base, depth=depth)


def test_a_delta_loop_is_refused(store):
    first, second = hashing.blob_id(b"1"), hashing.blob_id(b"2")
    plant(store, delta(first, second), delta(second, first))
    with pytest.raises(CorruptError, match="too long"):
        store.get(first)


def test_a_chain_of_forged_depth_is_refused(store):
    names = [hashing.blob_id(b"%d" % i) for i in range(40)]
    links = [delta(names[i], names[i + 1]) for i in range(39)]
    plant(store, *links, record(names[39], b"a" * 100, 100, encoding=Encoding.PLAIN))
    with pytest.raises(CorruptError, match="too long"):
        store.get(names[0])


def test_a_missing_base_is_named(store):
    name, base = hashing.blob_id(b"1"), hashing.blob_id(b"gone")
    plant(store, delta(name, base))
    with pytest.raises(MissingObjectError, match=base.hex()):
        store.get(name)


def test_a_delta_across_types_is_refused(store):
    chunk_id, chunk = blob(noise(100))
    whole = encode_chunk_list([chunk_id], [100])
    listed, name = hashing.blob_id(b"listed"), hashing.blob_id(b"across")
    plant(
        store,
        record(chunk_id, chunk, 100, encoding=Encoding.PLAIN),
        record(listed, whole, 36, kind=RecordType.CHUNKED, encoding=Encoding.PLAIN, lengths=(100,)),
        delta(name, listed),
    )
    with pytest.raises(CorruptError, match="another type"):
        store.get(name)


def chunked(name, ids, lengths, whole=None):
    body = encode_chunk_list(ids, lengths)
    whole = sum(lengths) if whole is None else whole
    return record(name, body, len(body), kind=RecordType.CHUNKED, encoding=Encoding.PLAIN, lengths=(whole,))


def test_a_chunk_list_of_itself_is_refused(store):
    name = hashing.blob_id(b"me")
    plant(store, chunked(name, [name], [100]))
    with pytest.raises(CorruptError, match="itself chunked"):
        store.get(name)
    with pytest.raises(CorruptError):
        list(store.stream(name))


def test_a_chunk_list_with_forged_lengths_is_refused(store):
    chunk_id, chunk = blob(noise(100))
    name = hashing.blob_id(chunk)
    forged = hashing.blob_id(b"forged")
    plant(
        store,
        record(chunk_id, chunk, 100, encoding=Encoding.PLAIN),
        chunked(forged, [chunk_id], [99]),
        chunked(hashing.blob_id(b"sum"), [chunk_id], [100], whole=101),
    )
    for one in (forged, hashing.blob_id(b"sum")):
        with pytest.raises(CorruptError):
            store.get(one)
        with pytest.raises(CorruptError):
            list(store.stream(one))
    assert store.get(name) == chunk


def test_a_blob_of_a_petabyte_is_not_held_whole(store):
    chunk_id, chunk = blob(bytes(1 << 20))
    name = hashing.blob_id(b"petabyte")
    count = 4096
    plant(
        store,
        record(chunk_id, chunk, 1 << 20, encoding=Encoding.PLAIN),
        chunked(name, [chunk_id] * count, [1 << 20] * count),
    )
    with pytest.raises(CorruptError, match="too large"):
        store.get(name)
    first = next(iter(store.stream(name)))
    assert first == chunk


def test_a_group_whose_index_entry_lies_is_refused(store):
    first, second = blob(b"one" * 50), blob(b"two" * 50)
    with store.writer() as writer:
        writer.put_blob(*first)
        writer.put_blob(*second)
        root, content, raw = tree_of({})
        writer.put_tree(root, raw)
        store.log.append(snapshot_of(1, None, root, content), writer.sync(), None)
    entry = store.catalog.find(first[0])
    lying = pack(hashing.blob_id(b"not in there"), *entry[1:])
    store.catalog.index.publish(lying, {}, log_end=store.log.end(), next_segment=9)
    with pytest.raises(CorruptError, match="index is wrong"):
        store.get(hashing.blob_id(b"not in there"))
    assert store.get(first[0]) == first[1]
    assert store.get(second[0]) == second[1]


def test_two_writers_that_used_each_others_objects_as_bases(store):
    """Each stored a key frame of one version and a delta of the other, in opposite directions."""
    one = noise(5000, seed=1)
    two = one[:2000] + b"changed" + one[2000:]
    one_id, two_id = hashing.blob_id(one), hashing.blob_id(two)
    with store.writer() as first, store.writer() as second:
        first.put_blob(one_id, one)
        first.put_blob(two_id, two, one_id)
        second.put_blob(two_id, two)
        second.put_blob(one_id, one, two_id)
        exported = [first.sync(), second.sync()]
        root, content, raw = tree_of({})
        first.put_tree(root, raw)
        pairs = (*first.sync(), *exported[1])
        store.log.append(snapshot_of(1, None, root, content), pairs, None)
    # Whatever copy of each comes first, even two deltas that name each other, both are read.
    catalog = store.catalog
    copies = {name: catalog.find_all(name) for name in (one_id, two_id)}
    assert all(len(found) == 2 for found in copies.values())
    for first_one, first_two in ((0, 0), (0, 1), (1, 0), (1, 1)):
        behind = [pack(*copies[one_id][1 - first_one]), pack(*copies[two_id][1 - first_two])]
        front = [pack(*copies[one_id][first_one]), pack(*copies[two_id][first_two])]
        known = {"log_end": store.log.end(), "next_segment": 9}
        catalog.index.rebuild(b"".join(behind), {}, dropped=set(), **known)
        catalog.index.publish(b"".join(front), {}, **known)
        store._decoder.clear()
        assert store.get(one_id) == one
        assert store.get(two_id) == two
