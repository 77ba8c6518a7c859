"""The framed records of a segment: header to bytes, bytes to header, and finding the next one after damage.

Owns the layout of ``docs/format.md``, section "Records". Does not compress, hash
bodies or know where a record lies.

A record is a fixed part of 28 bytes, a table of ids that depends on the type, and
the body. The header's checksum covers the fixed part and the table, so a scanner
steps over bodies safely without reading them; the body has its own checksum, so
damage is told apart from a wrong base.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from casreplay.codec.frame import MAX_RAW_BYTES
from casreplay.errors import CorruptError

__all__ = [
    "CHUNK_ENTRY_BYTES",
    "FIXED_BYTES",
    "MAX_DEPTH",
    "MAX_GROUP_MEMBERS",
    "Encoding",
    "RecordHeader",
    "RecordType",
    "SingleRecord",
    "body_checksum",
    "decode_chunk_list",
    "decode_header",
    "encode_chunk_list",
    "encode_record",
    "find_record",
    "header_bytes",
    "peek_singles",
]

MAGIC = b"crR1"
FIXED_BYTES = 28
ID_BYTES = 32
MAX_DEPTH = 32
"""Deltas between a record and its key frame."""
MAX_GROUP_MEMBERS = 4096
MAX_HEADER_BYTES = FIXED_BYTES + MAX_GROUP_MEMBERS * 36
CHUNK_ENTRY_BYTES = 36

_FIXED = struct.Struct("<4sBBBBIIHHII")
_CRC_AT = 24
_CHUNK = struct.Struct("<32sI")

Bytes = bytes | bytearray | memoryview


class RecordType(IntEnum):
    """What the decoded body of a record is."""

    OBJECT = 1
    """The bytes of one object."""
    GROUP = 2
    """The bytes of several objects, one after the other."""
    CHUNKED = 3
    """The list of chunks that make up one blob."""


class Encoding(IntEnum):
    """How the body is stored."""

    PLAIN = 0
    ZSTD = 1
    DELTA = 2
    """A zstd frame whose prefix is the decoded body of the base."""


_TYPES = {kind.value: kind for kind in RecordType}
_ENCODINGS = {encoding.value: encoding for encoding in Encoding}
# As plain numbers: reading trees one after the other, looking up members of an enumeration shows.
_OBJECT, _GROUP, _CHUNKED = sorted(_TYPES)
_DELTA = Encoding.DELTA.value


class RecordHeader(NamedTuple):
    """Everything a record says about itself.

    Attributes:
        type: object, group or chunk list.
        kind: number of the ``ObjectKind`` of every object in the record.
        encoding: plain, zstd or delta.
        depth: deltas above the key frame; 0 unless ``encoding`` is delta.
        raw_bytes: length of the decoded body.
        stored_bytes: length of the body in the file.
        body_crc: CRC-32 of the stored body.
        ids: ``32 * n`` bytes, the ids of the objects in the record, in order.
        lengths: raw length of each object; one number unless it is a group. For a
            chunk list the length of the whole blob.
        base: id of the delta's base, empty without one.
    """

    type: RecordType
    kind: int
    encoding: Encoding
    depth: int
    raw_bytes: int
    stored_bytes: int
    body_crc: int
    ids: bytes
    lengths: tuple[int, ...]
    base: bytes = b""

    @property
    def header_bytes(self) -> int:
        """Length of the fixed part and the table."""
        return FIXED_BYTES + _table_bytes(self.type, self.encoding, len(self.lengths))

    @property
    def total_bytes(self) -> int:
        """Length of the whole record."""
        return self.header_bytes + self.stored_bytes


class SingleRecord(NamedTuple):
    """A record of one object, as a glance at it has it: nothing is verified.

    Attributes:
        id: the object's id.
        encoding: number of the ``Encoding``.
        raw_bytes: length of the decoded body.
        base: id of the delta's base, empty without one.
        body: as it is stored.
    """

    id: bytes
    encoding: int
    raw_bytes: int
    base: bytes
    body: bytes


def body_checksum(body: Bytes) -> int:
    """CRC-32 of a stored body: tells damage from data, no protection against intent."""
    return zlib.crc32(body)


def _table_bytes(kind: int, encoding: int, count: int) -> int:
    if kind == _GROUP:
        return count * (ID_BYTES + 4)
    whole = 8 if kind == _CHUNKED else 0
    return ID_BYTES + whole + (ID_BYTES if encoding == _DELTA else 0)


def encode_record(header: RecordHeader, body: Bytes) -> bytes:
    """The whole record. The header's ``stored_bytes`` and ``body_crc`` are the caller's promise."""
    count = len(header.lengths)
    if header.type == RecordType.GROUP:
        table = header.ids + struct.pack(f"<{count}I", *header.lengths)
    elif header.type == RecordType.CHUNKED:
        table = header.ids + struct.pack("<Q", header.lengths[0]) + header.base
    else:
        table = header.ids + header.base
    fixed = _FIXED.pack(
        MAGIC,
        header.type,
        header.kind,
        header.encoding,
        header.depth,
        header.raw_bytes,
        header.stored_bytes,
        count,
        0,
        header.body_crc,
        0,
    )
    crc = zlib.crc32(table, zlib.crc32(fixed[:_CRC_AT]))
    return b"".join((fixed[:_CRC_AT], crc.to_bytes(4, "little"), table, body))


def header_bytes(fixed: Bytes, at: int = 0) -> int:
    """Length of the header whose fixed part starts at ``at``, before anything is verified.

    Raises:
        CorruptError: no record starts there, or fewer than 28 bytes are left.
    """
    if len(fixed) - at < FIXED_BYTES or fixed[at : at + 4] != MAGIC:
        raise CorruptError("No record starts here", offset=at)
    _, kind, _, encoding, _, _, _, count, _, _, _ = _FIXED.unpack_from(fixed, at)
    if count > MAX_GROUP_MEMBERS:
        raise CorruptError("A record claims too many members", offset=at, members=count)
    return FIXED_BYTES + _table_bytes(kind, encoding, count)


def decode_header(data: Bytes, at: int = 0) -> RecordHeader:
    """The header that starts at ``data[at]``, every rule of the format checked.

    Raises:
        CorruptError: cut short, a checksum that does not hold, or a forbidden value.
    """
    if len(data) - at < FIXED_BYTES:
        raise CorruptError("No record starts here", offset=at)
    magic, kind, object_kind, encoding, depth, raw, stored, count, reserved, body_crc, crc = (
        _FIXED.unpack_from(data, at)
    )
    if magic != MAGIC:
        raise CorruptError("No record starts here", offset=at)
    if count > MAX_GROUP_MEMBERS:
        raise CorruptError("A record claims too many members", offset=at, members=count)
    end = at + FIXED_BYTES + _table_bytes(kind, encoding, count)
    if len(data) < end:
        raise CorruptError("A record header is cut short", offset=at)
    table = bytes(data[at + FIXED_BYTES : end])
    if zlib.crc32(table, zlib.crc32(data[at : at + _CRC_AT])) != crc:
        raise CorruptError("A record header's checksum does not hold", offset=at)
    if kind not in (1, 2, 3) or encoding not in (0, 1, 2) or object_kind not in (1, 2) or reserved:
        raise CorruptError("A record has an unknown type", offset=at, type=kind, encoding=encoding)
    lengths: tuple[int, ...]
    if kind == RecordType.GROUP:
        ids, base = table[: count * ID_BYTES], b""
        lengths = struct.unpack_from(f"<{count}I", table, count * ID_BYTES)
    elif kind == RecordType.CHUNKED:
        ids, base = table[:ID_BYTES], table[ID_BYTES + 8 :]
        lengths = struct.unpack_from("<Q", table, ID_BYTES)
    else:
        ids, base, lengths = table[:ID_BYTES], table[ID_BYTES:], (raw,)
    header = RecordHeader(
        _TYPES[kind], object_kind, _ENCODINGS[encoding], depth, raw, stored, body_crc, ids, lengths, base
    )
    _check(header, count, at)
    return header


def peek_singles(data: bytes, wanted: int) -> Iterator[SingleRecord]:
    """The records of single objects of the ``wanted`` kind among the whole records in a row from ``data[0]``.

    In order, up to what is cut short or is no record. For readers that check what they
    decode: no checksum is looked at. Cost: about 1 us a record.
    """
    at, limit, fixed_at = 0, len(data), _FIXED.unpack_from
    while at + FIXED_BYTES <= limit:
        magic, kind, object_kind, encoding, _, raw, stored, count, _, _, _ = fixed_at(data, at)
        if magic != MAGIC or kind not in _TYPES or encoding not in _ENCODINGS:
            return
        table = at + FIXED_BYTES
        body = table + _table_bytes(kind, encoding, count)
        at = body + stored
        if at > limit:
            return
        if kind == _OBJECT and object_kind == wanted:
            rest = table + ID_BYTES
            yield SingleRecord(data[table:rest], encoding, raw, data[rest:body], data[body:at])


def _check(header: RecordHeader, count: int, at: int) -> None:
    """The rules that tie the fields of a header together."""
    is_group = header.type == RecordType.GROUP
    is_delta = header.encoding == Encoding.DELTA
    wrong = (
        header.raw_bytes > MAX_RAW_BYTES
        or header.stored_bytes > MAX_RAW_BYTES
        or (header.encoding == Encoding.PLAIN and header.raw_bytes != header.stored_bytes)
        or is_delta != (0 < header.depth <= MAX_DEPTH)
        or (is_delta and (is_group or header.base == header.ids))
        or (not is_delta and header.depth != 0)
        or (is_group and (count == 0 or sum(header.lengths) != header.raw_bytes))
        or (not is_group and count != 1)
        or (header.type == RecordType.CHUNKED and header.raw_bytes % CHUNK_ENTRY_BYTES)
    )
    if wrong:
        raise CorruptError("A record header contradicts itself", offset=at)


def find_record(data: Bytes, at: int) -> int:
    """The offset at or after ``at`` where the next whole, valid header starts; -1 when none does.

    This is how a scanner goes on after damage. Cost: one search at C speed for
    each occurrence of the magic.
    """
    whole = bytes(data)
    found = whole.find(MAGIC, at)
    while found >= 0:
        try:
            decode_header(whole, found)
        except CorruptError:
            found = whole.find(MAGIC, found + 1)
        else:
            return found
    return -1


def encode_chunk_list(ids: list[bytes], lengths: list[int]) -> bytes:
    """The body of a chunked record: id and length of each chunk, in order."""
    return b"".join(map(_CHUNK.pack, ids, lengths))


def decode_chunk_list(body: Bytes, whole_bytes: int) -> list[tuple[bytes, int]]:
    """Chunk ids and lengths in order; their sum is ``whole_bytes``.

    Raises:
        CorruptError: a length that is zero or over the frame limit, or another sum.
    """
    if len(body) % CHUNK_ENTRY_BYTES:
        raise CorruptError("A chunk list has the wrong length", length=len(body))
    chunks = list(_CHUNK.iter_unpack(body))
    if sum(length for _, length in chunks) != whole_bytes or not all(
        0 < length <= MAX_RAW_BYTES for _, length in chunks
    ):
        raise CorruptError("A chunk list does not add up to the blob's length", whole_bytes=whole_bytes)
    return chunks
