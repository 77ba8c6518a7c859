"""One writer: objects in, records appended to its own segments, durable at ``sync``.

Owns the choice of encoding: small objects gathered in groups, deltas against a base,
content-defined chunks for large blobs. Does not publish: what it wrote is visible to
others only once a log record covers it (``store.disk``).

Deltas form chains of at most 32. When a chain is full, the next version is a delta
against the chain's key frame, and when that does not pay, a new key frame.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from itertools import chain
from types import TracebackType
from typing import Protocol, Self

from casreplay.codec import chunking, hashing
from casreplay.codec.records import (
    CHUNK_ENTRY_BYTES,
    MAX_DEPTH,
    MAX_GROUP_MEMBERS,
    RecordHeader,
    RecordType,
    decode_chunk_list,
    encode_chunk_list,
    encode_record,
)
from casreplay.errors import CorruptError, StoreIOError
from casreplay.model.ids import BlobId, TreeId
from casreplay.store.base import ObjectKind
from casreplay.store.encoding import (
    BULK_LEVEL,
    CAREFUL_LEVEL,
    HURRIED_LEVEL,
    delta_record,
    group_record,
    list_record,
)
from casreplay.store.entries import ENTRY_BYTES, Entry, entries_of, unpack
from casreplay.store.reading import Body, verified
from casreplay.store.segments import SEAL_BYTES, SegmentAppender

__all__ = ["CHUNKED_ABOVE", "Host", "SegmentWriter", "decode_export", "encode_export"]

CHUNKED_ABOVE = 256 << 10
"""Blobs longer than this are chunked."""
GROUP_BYTES = 256 << 10
_SNIFFED_BYTES = 512
CAREFUL_BYTES = 48 << 20
"""A writer's first bytes are compressed harder: a small commit costs little time and stays small for ever."""
BULK_BYTES = 256 << 20
"""Who expects to write more does not take that care from the start."""
HURRIED_BYTES = 1 << 30
"""And who expects more than this is in a hurry: space that is still less than others take, for time."""
CAREFUL_GROUP_BYTES = 1 << 20
"""And in larger frames: fewer of them have to be decoded for the earlier versions of changed files."""
_OPEN_SEGMENTS = 4
"""Full segments that stay open, so that the system writes them back while we go on."""
_MIN_DELTA_BYTES = 64
_SPAN = struct.Struct("<IIII")

Claim = Callable[[bytes], bool]


class Host(Protocol):
    """What a writer needs of its store."""

    @property
    def doubts(self) -> bool:
        """Whether what the index names may be lost: only what can be read counts as stored."""

    def holds(self, object_id: bytes) -> bool:
        """Whether the object is stored already."""

    def entry_of(self, object_id: bytes) -> Entry | None:
        """Where a durable object lies."""

    def body_of(self, entry: Entry) -> Body:
        """A decoded body."""

    def new_segment(self, *, fresh: bool = False) -> SegmentAppender:
        """A segment with its lease; with ``fresh`` one that holds nothing yet."""

    def synced(self, writer: SegmentWriter) -> None:
        """The writer's objects are durable now."""

    def released(self, writer: SegmentWriter, *, failed: bool) -> None:
        """The writer is done."""


class _Group:
    """Small objects of one kind that wait for their frame."""

    def __init__(self, kind: ObjectKind) -> None:
        self.kind = kind
        self.raws: list[bytes] = []
        self.ids: list[bytes] = []
        self.held = 0


class SegmentWriter:
    """See ``ObjectWriter``.

    Args:
        host: the store.
        claim: asked before an object is stored; ``False`` means that another writer of the
            same commit stores it.
        rewriting: store objects although the store has them (gc copies what lives).
        durable: whether ``sync`` syncs (``False`` with durability ``off``).
    """

    def __init__(
        self, host: Host, *, claim: Claim | None = None, rewriting: bool = False, durable: bool = True
    ) -> None:
        self._host = host
        self._claim = claim
        self._rewriting = rewriting
        self._durable = durable
        self._own: dict[bytes, int] = {}
        self._entries: list[bytes] = []
        self._segments: list[SegmentAppender] = []
        self._trees = _Group(ObjectKind.TREE)
        self._texts = _Group(ObjectKind.BLOB)
        self._binaries = _Group(ObjectKind.BLOB)
        self._groups = (self._texts, self._binaries, self._trees)
        self._compressed = 0
        self._bulk_level = BULK_LEVEL
        self._stored = 0
        self._closed = False

    # The contract

    def expect(self, raw_bytes: int) -> None:
        """See ``WorkerWriter``."""
        if raw_bytes > BULK_BYTES:
            self._compressed = CAREFUL_BYTES
        if raw_bytes > HURRIED_BYTES:
            self._bulk_level = HURRIED_LEVEL

    def put_blob(self, blob: BlobId, raw: bytes, base: BlobId | None = None) -> bool:
        """See ``ObjectWriter``."""
        if not self._wanted(blob):
            return False
        if len(raw) > CHUNKED_ABOVE or self._follows_chunked(base, len(raw)):
            self._put_chunks((raw,), base, blob)
        else:
            self._put_small(ObjectKind.BLOB, blob, raw, base)
        return True

    def put_stream(self, pieces: Iterable[bytes], base: BlobId | None = None) -> tuple[BlobId, int]:
        """See ``ObjectWriter``. Memory: a few chunks, whatever the length."""
        hasher = hashing.BlobHasher()
        length = 0
        held: list[bytes] = []
        source = iter(pieces)
        for piece in source:
            held.append(bytes(piece))
            length += len(piece)
            if length > CHUNKED_ABOVE:
                break
        else:
            raw = b"".join(held)
            blob = hashing.blob_id(raw)
            self.put_blob(blob, raw, base)
            return blob, length

        def hashed() -> Iterable[bytes]:
            for piece in chain(held, source):
                hasher.update(piece)
                yield piece

        return self._put_chunks(hashed(), base, None, hasher)

    def put_tree(self, tree: TreeId, raw: bytes, base: TreeId | None = None) -> bool:
        """See ``ObjectWriter``."""
        if not self._wanted(tree):
            return False
        self._put_small(ObjectKind.TREE, tree, raw, base)
        return True

    def sync(self) -> tuple[tuple[int, int], ...]:
        """See ``ObjectWriter``. Costs one sync a segment touched."""
        self._check_open()
        for group in self._groups:
            self._flush_group(group)
        for segment in self._segments:
            segment.sync(durable=self._durable)
        self._host.synced(self)
        return tuple((segment.number, segment.end) for segment in self._segments)

    @property
    def has_new(self) -> bool:
        """See ``WorkerWriter``."""
        return bool(self._own)

    @property
    def stored_bytes(self) -> int:
        """See ``ObjectWriter``; groups not yet compressed are not counted."""
        return self._stored

    def export_entries(self) -> bytes:
        """What another process needs to make this writer's objects its own (``DiskStore.adopt``).

        Only after ``sync``. 48 bytes an object.
        """
        by_segment: dict[int, list[bytes]] = {segment.number: [] for segment in self._segments}
        for packed in self._entries:  # of one record each, so of one segment
            by_segment[int.from_bytes(packed[32:36], "little")].append(packed)
        return encode_export(
            (segment.number, segment.start, segment.end, b"".join(by_segment[segment.number]))
            for segment in self._segments
        )

    # For gc

    def copy_record(self, header: RecordHeader, body: bytes | memoryview) -> None:
        """Append a record as it is, without decoding it; its objects now also lie here.

        A delta's base must be copied too, or stay where it is.
        """
        self._check_open()
        self._append(header, body)

    def put_whole(self, kind: ObjectKind, object_id: bytes, raw: bytes) -> None:
        """Append an object in one piece, however long: what was a chunk must not become a list of chunks."""
        self._put_small(kind, object_id, raw, None)

    def segment_lengths(self) -> list[tuple[int, int, int]]:
        """(number, length at the start, length now) of each segment touched."""
        return [(segment.number, segment.start, segment.end) for segment in self._segments]

    # Context

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(failed=kind is not None)

    def close(self, *, failed: bool = False) -> None:
        """Release the lease. After a failure, what no log record covers is cut off again."""
        if not self._closed:
            self._closed = True
            try:
                self._host.released(self, failed=failed)
            finally:
                for segment in self._segments:
                    segment.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreIOError("This writer is closed")

    # Deciding

    def _wanted(self, object_id: bytes) -> bool:
        """Whether the object has to be stored by this writer."""
        if object_id in self._own:
            return False
        if not self._rewriting and self._host.holds(object_id):
            return False
        return self._claim is None or self._claim(object_id)

    def _follows_chunked(self, base: bytes | None, length: int) -> bool:
        """Whether a blob that shrank below the limit still shares chunks with its earlier version."""
        if base is None or length <= chunking.MIN_CHUNK:
            return False
        if base in self._own:
            return self._own[base] >= 0 and self._own_entry(base).type == RecordType.CHUNKED
        entry = self._host.entry_of(base)
        return entry is not None and entry.type == RecordType.CHUNKED

    def _put_small(self, kind: ObjectKind, object_id: bytes, raw: bytes, base: bytes | None) -> None:
        if base is not None and len(raw) >= _MIN_DELTA_BYTES:
            found = self._base_body(base, kind)
            delta = None if found is None else delta_record(object_id, raw, *found)
            if delta is not None:
                self._append(*delta)
                return
        if kind == ObjectKind.TREE:
            group = self._trees
        else:
            # Noise between texts would push them out of each other's sight; NUL tells as git does.
            group = self._binaries if raw.find(b"\0", 0, _SNIFFED_BYTES) >= 0 else self._texts
        limit = CAREFUL_GROUP_BYTES if self._compressed < CAREFUL_BYTES else GROUP_BYTES
        if group.held + len(raw) > limit or len(group.ids) >= MAX_GROUP_MEMBERS:
            self._flush_group(group)
        self._own[object_id] = -1 - len(group.ids)
        group.ids.append(object_id)
        group.raws.append(raw)
        group.held += len(raw)

    def _flush_group(self, group: _Group) -> None:
        if not group.ids:
            return
        level = CAREFUL_LEVEL if self._compressed < CAREFUL_BYTES else self._bulk_level
        self._compressed += group.held
        header, body = group_record(group.kind, group.ids, group.raws, level)
        group.ids, group.raws, group.held = [], [], 0
        self._append(header, body)

    def _base_body(self, base: bytes, kind: ObjectKind) -> tuple[bytes, Body] | None:
        """The base to delta against: ``base``, or the key frame of its chain when that is full."""
        try:
            body = self._body(base)
            if body is not None and body.depth >= MAX_DEPTH:
                base = body.key
                body = self._body(base)
            if body is None or body.kind != kind:
                return None
            if not body.is_chunked:
                verified(base, body.raw, kind)
        except CorruptError:
            return None  # a damaged base is no base; fsck names it
        return base, body

    def _body(self, object_id: bytes) -> Body | None:
        """The decoded body of an object, written by this writer or durable."""
        at = self._own.get(object_id)
        if at is None:
            entry = self._host.entry_of(object_id)
            return None if entry is None else self._host.body_of(entry)
        if at < 0:
            for group in self._groups:
                position = -1 - at
                if position < len(group.ids) and group.ids[position] == object_id:
                    raw = group.raws[position]
                    return Body(raw, group.kind, 0, object_id, len(raw), is_chunked=False)
            return None
        for segment in self._segments:
            segment.flush()
        return self._host.body_of(self._own_entry(object_id))

    # Chunked blobs

    def _put_chunks(
        self,
        pieces: Iterable[bytes],
        base: bytes | None,
        blob: BlobId | None,
        hasher: hashing.BlobHasher | None = None,
    ) -> tuple[BlobId, int]:
        """Store chunks and their list; the id is known, or the hasher knows it behind the last chunk."""
        old, base_list = self._base_chunks(base)
        places = {chunk_id: i for i, (chunk_id, _) in enumerate(old)}
        ids: list[bytes] = []
        lengths: list[int] = []
        near = 0
        for chunk_id, chunk in chunking.cut_stream(pieces, old):
            if len(chunk) > CHUNKED_ABOVE and (parts := self._parts(chunk_id)):
                ids += [part for part, _ in parts]
                lengths += [length for _, length in parts]
                continue
            same = None if chunk_id == blob else places.get(chunk_id)
            if same is not None:
                near = same + 1
            if same is None or self._host.doubts:
                # The chunk at about this place in the old version is what this one came from.
                neighbour = old[near][0] if same is None and near < len(old) else None
                near += same is None
                if chunk_id == blob or self._wanted(chunk_id):
                    self._put_small(ObjectKind.BLOB, chunk_id, chunk, neighbour)
            ids.append(chunk_id)
            lengths.append(len(chunk))
        whole = sum(lengths)
        if hasher is not None:
            blob = hasher.id()
            if not self._wanted(blob):
                return blob, whole
        assert blob is not None
        if ids == [blob]:
            return blob, whole  # its only chunk is the blob itself: a list would name a list
        raw = encode_chunk_list(ids, lengths)
        delta = None if base_list is None else delta_record(blob, raw, *base_list, whole_bytes=whole)
        self._append(*(list_record(blob, raw, whole) if delta is None else delta))
        return blob, whole

    def _parts(self, chunk_id: bytes) -> list[tuple[bytes, int]]:
        """The chunks of a chunk that is also a file, stored in chunks: a list must not name a list."""
        at = self._own.get(chunk_id)
        entry = self._host.entry_of(chunk_id) if at is None else None if at < 0 else self._own_entry(chunk_id)
        if entry is None or entry.type != RecordType.CHUNKED:
            return []
        if at is None and not self._host.holds(chunk_id):
            return []  # there are doubts, and it cannot be read
        body = self._body(chunk_id)
        return [] if body is None else decode_chunk_list(body.raw, body.whole_bytes)

    def _base_chunks(self, base: bytes | None) -> tuple[list[tuple[bytes, int]], tuple[bytes, Body] | None]:
        """The chunks of the base, and the list to delta against when the base has one."""
        if base is None:
            return [], None
        try:
            body = self._body(base)
        except CorruptError:
            return [], None
        if body is None or body.kind != ObjectKind.BLOB:
            return [], None
        if not body.is_chunked:
            return [(base, body.whole_bytes)], None
        lines = (body.raw[i : i + CHUNK_ENTRY_BYTES] for i in range(0, len(body.raw), CHUNK_ENTRY_BYTES))
        chunks = [(line[:32], int.from_bytes(line[32:], "little")) for line in lines]
        return chunks, self._base_body(base, ObjectKind.BLOB)

    # Appending

    def _append(self, header: RecordHeader, body: bytes | memoryview) -> None:
        self._check_open()
        record = encode_record(header, body)
        if not self._segments or self._segments[-1].end + len(record) > SEAL_BYTES:
            if len(self._segments) >= _OPEN_SEGMENTS:
                self._segments[-_OPEN_SEGMENTS].finish(durable=self._durable)
            if self._segments:
                self._segments[-1].flush()
            self._segments.append(self._host.new_segment(fresh=self._rewriting))
        segment = self._segments[-1]
        offset = segment.add(record)
        self._stored += len(record)
        first = len(self._entries)
        self._entries.append(entries_of(header, segment.number, offset))
        ids = header.ids
        for position in range(len(header.lengths)):
            self._own[ids[32 * position : 32 * position + 32]] = first

    def _own_entry(self, object_id: bytes) -> Entry:
        """The entry of an object this writer appended."""
        packed = self._entries[self._own[object_id]]
        at = packed.find(object_id)
        while at % ENTRY_BYTES:
            at = packed.find(object_id, at + 1)
        return unpack(packed, at)


def encode_export(spans: Iterable[tuple[int, int, int, bytes]]) -> bytes:
    """Bytes for another process: for each segment its number, start, end and packed entries."""
    return b"".join(
        _SPAN.pack(number, start, end, len(packed) // ENTRY_BYTES) + packed
        for number, start, end, packed in spans
    )


def decode_export(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """The spans that ``encode_export`` wrote."""
    spans = []
    at = 0
    while at < len(data):
        number, start, end, count = _SPAN.unpack_from(data, at)
        at += _SPAN.size
        spans.append((number, start, end, data[at : at + count * ENTRY_BYTES]))
        at += count * ENTRY_BYTES
    return spans
