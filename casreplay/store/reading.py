"""From entries to bytes: records, groups, deltas, chunk lists, each verified.

Owns decoding and its caches, and the limits that keep a hostile store from taking
memory or time: frames are bounded by the codec, delta chains by 32 steps, whole blobs
by ``MAX_WHOLE_BYTES`` (larger ones are streamed). Finds nothing itself: where an
object lies is asked of a catalog.

Two writers at once may store the same object twice, and each may have used the other's
object as a base of a different version: following whichever copy comes first could go
in a circle. Every copy was written above a base of lesser depth, so following the copy
of the least depth always ends (``_least``); that is done when the plain way does not.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Generic, NamedTuple, Protocol, TypeVar

from casreplay.codec import frame, hashing
from casreplay.codec.records import MAX_DEPTH, Encoding, RecordHeader, RecordType, decode_chunk_list
from casreplay.errors import CorruptError, MissingObjectError
from casreplay.store.base import ObjectKind
from casreplay.store.entries import Entry
from casreplay.store.segments import Segments

__all__ = ["MAX_WHOLE_BYTES", "Body", "Decoder", "verified"]

MAX_WHOLE_BYTES = 2 << 30
"""``get`` refuses blobs longer than this; ``stream`` does not hold them."""
_GROUP_CACHE_BYTES = 16 << 20
_BODY_CACHE_BYTES = 16 << 20
_ASKED_LIMIT = 4096
"""Groups remembered as asked for one blob already."""
_MANY_AGAIN = 4
"""Groups asked a second time before a pattern is seen in it."""
_WHOLE_LIMIT = 64
"""Groups decoded whole on the strength of a pattern, before it has to show itself again."""
_GROUP = int(RecordType.GROUP)
_DELTA = int(Encoding.DELTA)


_V = TypeVar("_V")
_Place = tuple[int | bytes, ...]
_Delta = tuple[RecordHeader, memoryview]
_Members = tuple[bytes, list[int], bytes]
"""Ids of a group's objects, where each starts, and the decoded bytes."""


class Body(NamedTuple):
    """A decoded body.

    Attributes:
        raw: an object's bytes, or the chunk list of a chunked blob.
        kind: number of the ``ObjectKind``.
        depth: deltas above the key frame.
        key: id of the key frame's object.
        whole_bytes: the object's length.
        is_chunked: whether ``raw`` is a chunk list.
    """

    raw: bytes
    kind: int
    depth: int
    key: bytes
    whole_bytes: int
    is_chunked: bool


class _ByteCache(Generic[_V]):
    """Least recently used values, bounded by their bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._values: OrderedDict[_Place, tuple[int, _V]] = OrderedDict()

    def get(self, key: _Place) -> _V | None:
        if key not in self._values:
            return None
        try:
            found = self._values[key]
            self._values.move_to_end(key)
        except KeyError:  # another thread dropped it just now
            return None
        return found[1]

    def put(self, key: _Place, value: _V, size: int) -> None:
        if size > self._limit // 2 or key in self._values:
            return
        self._values[key] = (size, value)
        self._held += size
        while self._held > self._limit and self._values:
            self._held -= self._values.popitem(last=False)[1][0]

    def clear(self) -> None:
        self._values.clear()
        self._held = 0


def verified(object_id: bytes, raw: bytes, kind: int) -> bytes:
    """``raw`` if its id is ``object_id``; ``CorruptError`` otherwise."""
    actual = hashing.tree_id(raw) if kind == ObjectKind.TREE else hashing.blob_id(raw)
    if actual != object_id:
        raise CorruptError(
            f"Object {object_id.hex()} does not match its id", id=object_id.hex(), actual=actual.hex()
        )
    return raw


class _Follow(Protocol):
    """Where a base lies: a delta of a list needs a list, any other a copy in one piece."""

    def __call__(self, object_id: bytes, *, is_list: bool) -> Entry: ...


class Places(Protocol):
    """Where objects lie."""

    def find(self, object_id: bytes) -> Entry | None:
        """One place, or ``None``."""

    def find_all(self, object_id: bytes) -> list[Entry]:
        """Every place."""

    def refresh(self) -> None:
        """Take in what others did since."""


class Decoder:
    """Decodes what entries point at.

    Args:
        segments: where records are read.
        places: where objects lie.
    """

    def __init__(self, segments: Segments, places: Places) -> None:
        self._segments = segments
        self._places = places
        self._groups: _ByteCache[_Members] = _ByteCache(_GROUP_CACHE_BYTES)
        self._asked: set[tuple[int, int]] = set()
        self._again = self._whole = 0
        self._bodies: _ByteCache[Body] = _ByteCache(_BODY_CACHE_BYTES)

    def clear(self) -> None:
        """Forget everything decoded."""
        self._groups.clear()
        self._asked.clear()
        self._again = self._whole = 0
        self._bodies.clear()

    def object_bytes(self, entry: Entry) -> bytes:
        """The object's bytes, verified against its id; a damaged copy is made up for by another.

        Raises:
            CorruptError: damaged, or a chunked blob over ``MAX_WHOLE_BYTES``.
            MissingObjectError: a chunk or a base is not in the store.
        """
        return self.from_any(entry, self._object_bytes)

    def from_any(self, entry: Entry, read: Callable[[Entry], _V]) -> _V:
        """What ``read`` makes of the entry, or of another copy of the object when that one is damaged.

        Before it is called damaged everything remembered is forgotten and looked up anew, once: a gc may
        have moved it, or its base, or a chunk. What is damaged costs two attempts so, of a chunk four.
        """
        try:
            return read(entry)
        except CorruptError:
            for other in self._places.find_all(entry.id):
                if other != entry:
                    with contextlib.suppress(CorruptError):
                        return read(other)
            self.clear()
            self._segments.close()
            self._places.refresh()
            moved = self._places.find(entry.id)
            if moved is None:
                raise
            return read(moved)

    def _object_bytes(self, entry: Entry) -> bytes:
        if entry.type == _GROUP:
            return verified(entry.id, self._member(entry), entry.kind)
        body = self.body(entry)
        if not body.is_chunked:
            return verified(entry.id, body.raw, body.kind)
        if body.whole_bytes > MAX_WHOLE_BYTES:
            raise CorruptError(
                f"Blob {entry.id.hex()} of {body.whole_bytes} bytes is too large to be held whole",
                hint="Stream it",
                id=entry.id.hex(),
            )
        chunks = decode_chunk_list(body.raw, body.whole_bytes)
        return verified(entry.id, b"".join(self._chunks(chunks)), body.kind)

    def stream(self, entry: Entry) -> Iterator[bytes]:
        """The blob in pieces; the id is checked behind the last one.

        A damaged copy of the blob, its chunk list or a chunk is made up for by another.

        Raises:
            CorruptError: no whole copy of blob or list, raised at once; of a chunk, when it is its turn.
            MissingObjectError: likewise.
        """
        return self.from_any(entry, self._pieces)

    def _pieces(self, entry: Entry) -> Iterator[bytes]:
        """The pieces of one copy; what is no list of chunks is read and verified before this returns."""
        if entry.type != _GROUP:
            body = self.body(entry)
            if body.is_chunked:
                return self._checked(entry.id, decode_chunk_list(body.raw, body.whole_bytes))
        return iter((self._object_bytes(entry),))

    def _checked(self, blob_id: bytes, chunks: list[tuple[bytes, int]]) -> Iterator[bytes]:
        hasher = hashing.BlobHasher()
        for chunk in self._chunks(chunks):
            hasher.update(chunk)
            yield chunk
        if hasher.id() != blob_id:
            raise CorruptError(f"Object {blob_id.hex()} does not match its id", id=blob_id.hex())

    def is_whole(self, entry: Entry) -> bool:
        """Whether a copy of an object can be read, down to its last byte. Cost: that of reading it."""
        try:
            for _ in self._pieces(entry):
                pass
        except CorruptError:
            return False
        return True

    def chunk_list(self, entry: Entry) -> list[tuple[bytes, int]]:
        """Ids and lengths of a blob's chunks; the blob itself when it is not chunked."""
        return self.from_any(entry, self._chunk_list)

    def _chunk_list(self, entry: Entry) -> list[tuple[bytes, int]]:
        body = self.body(entry)
        if not body.is_chunked:
            return [(entry.id, body.whole_bytes)]
        return decode_chunk_list(body.raw, body.whole_bytes)

    def _chunks(self, chunks: list[tuple[bytes, int]]) -> Iterator[bytes]:
        for chunk_id, length in chunks:
            entry = self._found(chunk_id, is_list=False)
            if entry.type == RecordType.CHUNKED:
                raise CorruptError(f"Chunk {chunk_id.hex()} is itself chunked", id=chunk_id.hex())
            chunk = self.object_bytes(entry)
            if len(chunk) != length:
                raise CorruptError(f"Chunk {chunk_id.hex()} has the wrong length", id=chunk_id.hex())
            yield chunk

    def _found(self, object_id: bytes, *, is_list: bool) -> Entry:
        """A copy in one piece, or one as a list of chunks; where there is only the other, that."""
        entry = self._places.find(object_id)
        if entry is None:
            raise MissingObjectError(f"Object {object_id.hex()} is not in the store", id=object_id.hex())
        if (entry.type == RecordType.CHUNKED) != is_list:
            return _of_form(self._places.find_all(object_id), is_list=is_list)[0]
        return entry

    def body(self, entry: Entry) -> Body:
        """The decoded body, its delta chain applied. Not verified against the id.

        Raises:
            CorruptError: damaged, a chain of more than 32 deltas (so a loop too), or a
                delta between an object and a chunk list.
            MissingObjectError: a base is not in the store.
        """
        try:
            chain = self._chain(entry, self._found)
        except CorruptError:  # of a base that is damaged there may be another copy
            chain = None
        chain = chain or self._chain(entry, self._least)
        if chain is None:
            raise CorruptError(f"The delta chain of {entry.id.hex()} is too long", id=entry.id.hex())
        body, deltas = chain
        for header, stored in reversed(deltas):
            body = _applied(header, stored, body)
        if entry.type != _GROUP:
            self._bodies.put((entry.segment, entry.offset, entry.id), body, len(body.raw))
        return body

    def _chain(self, entry: Entry, follow: _Follow) -> tuple[Body, list[_Delta]] | None:
        """A body to start from and the deltas above it, uppermost first; ``None`` when they are too many."""
        deltas: list[_Delta] = []
        body = self._key_or_cached(entry, deltas)
        while body is None:
            if len(deltas) > MAX_DEPTH:
                return None
            above = deltas[-1][0]
            base = follow(above.base, is_list=above.type == RecordType.CHUNKED)
            body = self._key_or_cached(base, deltas)
        return body, deltas

    def _least(self, object_id: bytes, *, is_list: bool) -> Entry:
        return self.least(object_id, is_list=is_list) or self._found(object_id, is_list=is_list)

    def least(self, object_id: bytes, *, is_list: bool | None = None) -> Entry | None:
        """The copy of the least depth, or ``None``; a damaged one only when there is no other.

        Args:
            object_id: of the object.
            is_list: of the copies that are lists of chunks alone, or of the others alone.
        """
        copies = _of_form(self._places.find_all(object_id), is_list=is_list)
        if len(copies) < 2:
            return copies[0] if copies else None
        return min(copies, key=self._depth)

    def _depth(self, entry: Entry) -> int:
        if entry.type == RecordType.GROUP:
            return 0
        try:
            return self._segments.record(entry.segment, entry.offset, entry.length)[0].depth
        except CorruptError:
            return MAX_DEPTH + 1

    def _key_or_cached(self, entry: Entry, deltas: list[_Delta]) -> Body | None:
        """The body, when it is no delta or known already; else ``None``, and the delta is noted."""
        if entry.type == _GROUP:
            raw = self._member(entry)
            return Body(raw, entry.kind, 0, entry.id, len(raw), is_chunked=False)
        cached = self._bodies.get((entry.segment, entry.offset, entry.id))
        if cached is not None:
            return cached
        header, stored = self._segments.record(entry.segment, entry.offset, entry.length)
        if header.ids != entry.id or header.type != entry.type or header.kind != entry.kind:
            raise CorruptError(f"The index is wrong about object {entry.id.hex()}", id=entry.id.hex())
        if header.encoding == _DELTA:
            deltas.append((header, stored))
            return None
        raw = _decoded(header, stored)
        return Body(raw, header.kind, 0, entry.id, header.lengths[0], header.type == RecordType.CHUNKED)

    def _member(self, entry: Entry) -> bytes:
        """One object of a group.

        The first time a group is asked for a blob, it is decoded as far as that reaches; the second
        time, whole, and kept for its neighbours. One blob of many groups costs half so. Of trees
        nobody wants only one.
        """
        place = (entry.segment, entry.offset)
        position = entry.position
        group = self._groups.get(place)
        if group is None:
            header, stored = self._segments.record(*place, entry.length)
            if header.type != RecordType.GROUP or header.kind != entry.kind:
                raise CorruptError(f"The index is wrong about object {entry.id.hex()}", id=entry.id.hex())
            if position >= len(header.lengths):
                raise CorruptError(f"The index is wrong about object {entry.id.hex()}", id=entry.id.hex())
            starts = list(accumulate(header.lengths, initial=0))
            if self._is_first(place) and header.encoding == Encoding.ZSTD and header.kind != ObjectKind.TREE:
                raw = frame.decompress_start(stored, header.raw_bytes, starts[position + 1])
                return _sliced((header.ids, starts, raw), entry)
            group = (header.ids, starts, _decoded(header, stored))
            self._groups.put(place, group, len(group[2]) + len(group[0]))
        return _sliced(group, entry)

    def _is_first(self, place: tuple[int, int]) -> bool:
        """Whether a group was not asked lately, and most likely will not be again; from now on it was.

        Where half the groups were asked again, a restore is reading all there is.
        """
        if place in self._asked:
            self._again += 1
            return False
        if self._again >= _MANY_AGAIN and 2 * self._again >= len(self._asked) and self._whole < _WHOLE_LIMIT:
            self._whole += 1
            return False
        if len(self._asked) >= _ASKED_LIMIT or self._whole:
            self._asked.clear()
            self._again = self._whole = 0
        self._asked.add(place)
        return True


def _of_form(copies: list[Entry], *, is_list: bool | None) -> list[Entry]:
    """The copies of one form; all of them where there is none, so that what is wrong can be said."""
    if is_list is None:
        return copies
    return [one for one in copies if (one.type == RecordType.CHUNKED) == is_list] or copies


def _sliced(group: _Members, entry: Entry) -> bytes:
    ids, starts, raw = group
    position = entry.position
    if ids[32 * position : 32 * position + 32] != entry.id:
        raise CorruptError(f"The index is wrong about object {entry.id.hex()}", id=entry.id.hex())
    return raw[starts[position] : starts[position + 1]]


def _decoded(header: RecordHeader, stored: memoryview) -> bytes:
    return bytes(stored) if header.encoding == Encoding.PLAIN else frame.decompress(stored, header.raw_bytes)


def _applied(header: RecordHeader, stored: memoryview, base: Body) -> Body:
    is_chunked = header.type == RecordType.CHUNKED
    if base.is_chunked != is_chunked:
        raise CorruptError("A delta's base is of another type", id=header.ids.hex(), base=header.base.hex())
    raw = frame.decompress(stored, header.raw_bytes, prefix=base.raw)
    return Body(raw, header.kind, base.depth + 1, base.key, header.lengths[0], is_chunked)
