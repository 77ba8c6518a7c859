"""The framed records of the snapshot log: bytes both ways, and stepping through them in either direction.

Owns the layout of ``docs/format.md``, section "Log". A record ends with the running
hash over everything before it and with its own length, so it can be read and
checked from the end of the file: the hash before it stands right in front of it.
Does not know files, locks or what a record means for history.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from casreplay.codec import frame, hashing
from casreplay.errors import CorruptError

__all__ = [
    "HEADER_BYTES",
    "MAX_RECORD_BYTES",
    "TRAILER_BYTES",
    "LogRecord",
    "LogRecordType",
    "NewRecord",
    "chain_start",
    "decode_record",
    "encode_header",
    "encode_record",
    "find_record",
    "identities",
    "mentions",
    "payload_of",
    "payloads",
    "record_end",
    "store_id_of",
]

FILE_MAGIC = b"casreplay log 1\n"
HEADER_BYTES = 32
"""The file's header: magic and store id."""
RECORD_MAGIC = b"crL1"
_FIXED = struct.Struct("<4sBBHIIIIq32s")
FIXED_BYTES = _FIXED.size
TRAILER_BYTES = 36
MAX_PAIRS = 0xFFFF
MAX_PAYLOAD_BYTES = 16 << 20
MAX_RECORD_BYTES = FIXED_BYTES + 8 * MAX_PAIRS + MAX_PAYLOAD_BYTES + TRAILER_BYTES
_PLAIN, _ZSTD = 0, 1
_LEVEL = 9

Bytes = bytes | bytearray | memoryview


class LogRecordType(IntEnum):
    """What a log record says."""

    SNAPSHOT = 1
    """The payload is a snapshot's canonical bytes."""
    REMOVAL = 2
    """``{"ids": [...], "reason": ...}``: these snapshots are no longer history."""
    SWEEP = 3
    """``{"dropped": [...], "reason": ...}``: these segments hold nothing that is needed."""
    PURGE = 4
    """``{"objects": [...], "reason": ...}``: these objects were destroyed on purpose."""


_TYPES = {kind.value: kind for kind in LogRecordType}


class NewRecord(NamedTuple):
    """What goes into a record; the attributes mean what those of ``LogRecord`` mean."""

    type: LogRecordType
    payload: bytes
    sequence: int
    sweeps: int
    time_ns: int = 0
    id: bytes = bytes(32)
    segments: tuple[tuple[int, int], ...] = ()


class LogRecord(NamedTuple):
    """One record, its payload still encoded.

    Attributes:
        type: what it says.
        sequence: the snapshot's sequence; for other types that of the last snapshot before.
        sweeps: sweeps in the log up to and with this record: what a writer compares to see
            whether data was deleted since it began.
        time_ns: the snapshot's time; 0 for other types.
        id: the snapshot's id; 32 zero bytes for other types.
        segments: (segment number, durable length) pairs known when it was written.
        encoding: 0 plain, 1 zstd.
        raw_bytes: length of the payload.
        payload: as stored.
        chain: the running hash after this record.
        total_bytes: length of the whole record.
    """

    type: LogRecordType
    sequence: int
    sweeps: int
    time_ns: int
    id: bytes
    segments: tuple[tuple[int, int], ...]
    encoding: int
    raw_bytes: int
    payload: bytes
    chain: bytes
    total_bytes: int


def encode_header(store_id: bytes) -> bytes:
    """The first 32 bytes of a log; ``store_id`` has 16."""
    return FILE_MAGIC + store_id


def store_id_of(header: Bytes) -> bytes:
    """The store id in a log's header; ``CorruptError`` when it is none."""
    if len(header) < HEADER_BYTES or header[:16] != FILE_MAGIC:
        raise CorruptError("The log has no valid header")
    return bytes(header[16:HEADER_BYTES])


def chain_start(header: Bytes) -> bytes:
    """The running hash before the first record."""
    return hashing.chain_hash(bytes(32), header[:HEADER_BYTES])


def encode_record(new: NewRecord, previous: bytes) -> bytes:
    """One whole record that continues the chain after ``previous``."""
    segments, payload = new.segments, new.payload
    if len(segments) > MAX_PAIRS or len(payload) > MAX_PAYLOAD_BYTES:
        msg = f"A log record cannot hold {len(segments)} segments and {len(payload)} bytes"
        raise ValueError(msg)
    packed = frame.compress(payload, level=_LEVEL)
    stored, encoding = (payload, _PLAIN) if packed is None else (packed, _ZSTD)
    fixed = _FIXED.pack(
        RECORD_MAGIC,
        new.type,
        encoding,
        len(segments),
        len(payload),
        len(stored),
        new.sequence,
        new.sweeps,
        new.time_ns,
        new.id,
    )
    pairs = b"".join(struct.pack("<II", number, length) for number, length in segments)
    body = fixed + pairs + stored
    total = len(body) + TRAILER_BYTES
    return body + hashing.chain_hash(previous, body) + struct.pack("<I", total)


def record_end(data: Bytes, at: int) -> int:
    """Where the record that starts at ``data[at]`` ends; -1 unless a whole, well-framed one does.

    Looks at magic and lengths only; the chain tells the rest.
    """
    if len(data) - at < FIXED_BYTES + TRAILER_BYTES or data[at : at + 4] != RECORD_MAGIC:
        return -1
    _, kind, encoding, pairs, raw, stored, _, _, _, _ = _FIXED.unpack_from(data, at)
    total = FIXED_BYTES + 8 * pairs + stored + TRAILER_BYTES
    end = at + total
    if kind not in (1, 2, 3, 4) or encoding > _ZSTD or raw > MAX_PAYLOAD_BYTES or end > len(data):
        return -1
    return end if struct.unpack_from("<I", data, end - 4)[0] == total else -1


def find_record(data: bytes | bytearray, at: int, record_type: LogRecordType | None = None) -> int:
    """Offset at or after ``at`` of the next well-framed record (of one type); -1 when there is none."""
    wanted = RECORD_MAGIC + (b"" if record_type is None else bytes([record_type]))
    found = data.find(wanted, at)
    while found >= 0 and record_end(data, found) < 0:
        found = data.find(wanted, found + 1)
    return found


def identities(data: bytes | bytearray, at: int = HEADER_BYTES) -> Iterator[tuple[int, int, int, bytes]]:
    """Offset, type, sequence and id of every well-framed record from ``at`` on, oldest first.

    The chain is not checked. Cost: about 1 us a record; damaged stretches are passed over.
    """
    limit = len(data) - FIXED_BYTES
    while at <= limit:
        magic, kind, _, pairs, _, stored, sequence, _, _, record_id = _FIXED.unpack_from(data, at)
        end = at + FIXED_BYTES + 8 * pairs + stored + TRAILER_BYTES
        is_whole = magic == RECORD_MAGIC and data[end - 4 : end] == (end - at).to_bytes(4, "little")
        if not is_whole or end > len(data):
            at = find_record(data, at + 1)
            if at < 0:
                return
            continue
        yield at, kind, sequence, record_id
        at = end


def payloads(data: bytes | bytearray) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Offset, type, id and decoded payload of every record in ``data``, oldest first.

    Cost: about 4 us a record.

    Raises:
        CorruptError: something else than whole records in a row, or a payload that does not decode.
    """
    at, limit = 0, len(data)
    while at < limit:
        end = record_end(data, at)
        if end < 0:
            raise CorruptError("No log record starts here", offset=at)
        _, kind, encoding, pairs, raw, stored, _, _, _, record_id = _FIXED.unpack_from(data, at)
        start = at + FIXED_BYTES + 8 * pairs
        payload = bytes(data[start : start + stored])
        yield at, kind, record_id, frame.decompress(payload, raw) if encoding == _ZSTD else payload
        at = end


def mentions(data: bytes | bytearray, wanted: bytes, at: int = 0) -> list[int]:
    """Offsets of the records of snapshots from ``at`` on in whose payload ``wanted`` occurs, oldest first.

    Cost: about 3 us a record; what is damaged is passed over.
    """
    found: list[int] = []
    limit = len(data) - FIXED_BYTES
    while at <= limit:
        magic, kind, encoding, pairs, raw, stored, _, _, _, _ = _FIXED.unpack_from(data, at)
        start = at + FIXED_BYTES + 8 * pairs
        end = start + stored + TRAILER_BYTES
        if magic != RECORD_MAGIC or data[end - 4 : end] != (end - at).to_bytes(4, "little"):
            at = find_record(data, at + 1)
            if at < 0:
                break
            continue
        if kind == LogRecordType.SNAPSHOT:
            payload = data[start : start + stored]
            try:
                text = frame.decompress(payload, raw) if encoding == _ZSTD else payload
            except CorruptError:
                text = b""
            if wanted in text:
                found.append(at)
        at = end
    return found


def decode_record(data: Bytes, at: int, previous: bytes | None) -> LogRecord:
    """The record that starts at ``data[at]``.

    Args:
        data: bytes of the log.
        at: where the record starts in ``data``.
        previous: the running hash before it; ``None`` leaves the chain unchecked.

    Raises:
        CorruptError: not well-framed, or the chain does not hold.
    """
    end = record_end(data, at)
    if end < 0:
        raise CorruptError("No log record starts here", offset=at)
    _, kind, encoding, pairs, raw, stored, sequence, sweeps, time_ns, record_id = _FIXED.unpack_from(data, at)
    chain_at = end - TRAILER_BYTES
    chain = bytes(data[chain_at : chain_at + 32])
    if previous is not None and hashing.chain_hash(previous, data[at:chain_at]) != chain:
        raise CorruptError(
            f"The log's chain does not hold at the record of snapshot {sequence}",
            offset=at,
            sequence=sequence,
            id=record_id.hex(),
        )
    body = at + FIXED_BYTES
    segments = tuple(struct.iter_unpack("<II", data[body : body + 8 * pairs])) if pairs else ()
    return LogRecord(
        type=_TYPES[kind],
        sequence=sequence,
        sweeps=sweeps,
        time_ns=time_ns,
        id=record_id,
        segments=segments,
        encoding=encoding,
        raw_bytes=raw,
        payload=bytes(data[body + 8 * pairs : body + 8 * pairs + stored]),
        chain=chain,
        total_bytes=end - at,
    )


def payload_of(record: LogRecord) -> bytes:
    """The decoded payload; ``CorruptError`` when it does not decode to the recorded length."""
    if record.encoding == _ZSTD:
        return frame.decompress(record.payload, record.raw_bytes)
    if len(record.payload) != record.raw_bytes:
        raise CorruptError("A log record's payload has the wrong length", sequence=record.sequence)
    return record.payload
