"""Every record of every segment decoded and hashed: what ``fsck --data`` adds.

Owns the division of that work between forked processes (one process where forking is not
possible) and the ways in which a record can fail. Each group frame is decoded once, in
file order; a chunked blob is hashed whole, and chunks it read need no second look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from casreplay.codec import frame, hashing
from casreplay.codec.records import Encoding, RecordType, decode_chunk_list
from casreplay.errors import CorruptError, MissingObjectError
from casreplay.model.ids import ObjectId
from casreplay.model.monitor import SILENT, Monitor
from casreplay.store.base import ObjectKind
from casreplay.store.disk import DiskStore
from casreplay.store.entries import Entry
from casreplay.workspace import workers

__all__ = ["Place", "Survey", "check_records", "survey"]

WORTH_FORKING_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """A record: where it lies and what it weighs when decoded."""

    segment: int
    offset: int
    length: int
    weight_bytes: int


@dataclass(slots=True)
class Survey:
    """What the headers of all durable records say.

    Attributes:
        places: every record, in file order.
        lengths: every object with its length.
        lost: damaged stretches: segment, start, end.
        short: segments shorter than the log says: number, length, length stated.
        unindexed: objects the index does not know.
        chunks: ids of the chunks of all chunked blobs.
    """

    places: list[Place]
    lengths: dict[bytes, int]
    lost: list[tuple[int, int, int]]
    short: list[tuple[int, int, int]]
    unindexed: list[bytes]
    chunks: set[bytes]


def survey(store: DiskStore, *, chunks: bool) -> Survey:
    """Step over the headers of all durable records; with ``chunks`` read the chunk lists too.

    Cost: about 10 us a record; memory about 150 bytes an object.
    """
    found = Survey([], {}, [], [], [], set())
    for number, length in sorted(store.catalog.lengths().items()):
        size = store.segments.size(number)
        if size < length:
            found.short.append((number, size, length))
        lost: list[tuple[int, int]] = []
        for record in store.segments.scan(number, 0, length, lost=lost):
            header = record.header
            is_chunked = header.type is RecordType.CHUNKED
            weight = header.lengths[0] if is_chunked else header.raw_bytes
            found.places.append(Place(number, record.offset, header.total_bytes, weight))
            for i, whole in enumerate(header.lengths):
                object_id = header.ids[32 * i : 32 * i + 32]
                found.lengths[object_id] = whole
                if store.entry_of(object_id) is None:
                    found.unindexed.append(object_id)
            if is_chunked and chunks:
                entry = Entry(
                    header.ids, number, record.offset, header.total_bytes, 0, header.kind, header.type
                )
                found.chunks.update(_chunk_ids(store, entry))
        found.lost += [(number, start, end) for start, end in lost]
    return found


def _chunk_ids(store: DiskStore, entry: Entry) -> list[bytes]:
    try:
        body = store.body_of(entry)
        return [chunk for chunk, _ in decode_chunk_list(body.raw, body.whole_bytes)]
    except CorruptError:
        return []  # said when the record itself is looked at


Bad = list[tuple[bytes, str, str]]
"""Object, code and sentence of each failure."""


def check_records(store: DiskStore, found: Survey, monitor: Monitor = SILENT) -> Bad:
    """Decode and hash every record of a survey; failures in file order.

    Cost: all data once; on two cores about half a second a gigabyte of text.
    """
    weights = [place.weight_bytes for place in found.places]
    total = sum(weights)
    share = workers.count() if total > WORTH_FORKING_BYTES else 1
    monitor.stage("checking data", total, "bytes")
    ranges = workers.split_by_weight(weights, share)
    jobs = [_job(store, found.places[part.start : part.stop], found.chunks) for part in ranges]
    bad: Bad = [failure for result in workers.run(jobs) for failure in result]
    monitor.advance(total)
    return bad


def _job(store: DiskStore, places: Sequence[Place], chunks: set[bytes]) -> Callable[[], Bad]:
    return lambda: [failure for place in places for failure in _check(store, place, chunks)]


def _check(store: DiskStore, place: Place, chunks: set[bytes]) -> Bad:
    """What is wrong with one record: nothing, or a failure for each object in it."""
    try:
        header, body = store.segments.record(place.segment, place.offset, place.length)
    except CorruptError as error:
        return _damaged(store, place, error)
    ids = [header.ids[32 * i : 32 * i + 32] for i in range(len(header.lengths))]
    if header.type is not RecordType.CHUNKED and chunks.issuperset(ids):
        return []
    try:
        if header.encoding is Encoding.DELTA or header.type is RecordType.CHUNKED:
            entry = Entry(ids[0], place.segment, place.offset, place.length, 0, header.kind, header.type)
            decoded = store.body_of(entry)
            if decoded.is_chunked:
                return _check_chunks(store, ids[0], decoded.raw, decoded.whole_bytes)
            raw = decoded.raw
        elif header.encoding is Encoding.ZSTD:
            raw = frame.decompress(body, header.raw_bytes)
        else:
            raw = bytes(body)
    except CorruptError as error:
        return [(object_id, _code(error), error.message) for object_id in ids]
    hashed = hashing.tree_id if header.kind == ObjectKind.TREE else hashing.blob_id
    bad: Bad = []
    view = memoryview(raw)
    at = 0
    for object_id, length in zip(ids, header.lengths, strict=True):
        if hashed(view[at : at + length]) != object_id:
            bad.append((object_id, "damaged", f"Object {object_id.hex()} does not match its id"))
        at += length
    return bad


def _code(error: CorruptError) -> str:
    return "missing" if isinstance(error, MissingObjectError) else "damaged"


def _damaged(store: DiskStore, place: Place, error: CorruptError) -> Bad:
    """A record whose checksum does not hold: its objects by its header, which was read before."""
    for record in store.segments.scan(place.segment, place.offset, place.offset + place.length):
        ids = record.header.ids
        return [(ids[i : i + 32], "damaged", error.message) for i in range(0, len(ids), 32)]
    return []


def _check_chunks(store: DiskStore, blob: bytes, raw: bytes, whole_bytes: int) -> Bad:
    """Every chunk of a blob, and the blob's own id over all of them."""
    hasher = hashing.BlobHasher()
    bad: Bad = []
    for chunk, length in decode_chunk_list(raw, whole_bytes):
        try:
            data = store.get(ObjectId(chunk))
        except CorruptError as error:
            bad.append((chunk, _code(error), error.message))
            bad.append((blob, _code(error), f"A chunk of blob {blob.hex()} is lost: {error.message}"))
            continue
        if len(data) != length:
            bad.append((blob, "damaged", f"A chunk of blob {blob.hex()} has another length than stated"))
        hasher.update(data)
    if not bad and hasher.id() != blob:
        bad.append((blob, "damaged", f"Object {blob.hex()} does not match its id"))
    return bad
