"""Packed index entries: 48 bytes that say where an object lies, and sorting them without living objects.

Owns the entry layout and the in-memory arithmetic on packed entries. Knows no file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from casreplay.codec.records import RecordHeader

__all__ = ["ENTRY_BYTES", "Entry", "entries_of", "iterate", "pack", "slices", "unpack"]

ENTRY = struct.Struct("<32sIIIHBB")
ENTRY_BYTES = ENTRY.size


class Entry(NamedTuple):
    """Where one object lies.

    Attributes:
        id: the object's id.
        segment: number of the segment.
        offset: where its record starts in the segment.
        length: length of the whole record.
        position: its place among the members of a group, 0 otherwise.
        kind: number of its ``ObjectKind``.
        type: number of the record's ``RecordType``.
    """

    id: bytes
    segment: int
    offset: int
    length: int
    position: int
    kind: int
    type: int


pack = ENTRY.pack


def unpack(packed: bytes, at: int = 0) -> Entry:
    """The entry that starts at ``packed[at]``."""
    return Entry._make(ENTRY.unpack_from(packed, at))


def iterate(packed: bytes) -> Iterator[Entry]:
    """All entries in order."""
    return map(Entry._make, ENTRY.iter_unpack(packed))


def entries_of(header: RecordHeader, segment: int, offset: int) -> bytes:
    """Packed entries of every object in a record, in the record's order."""
    length = header.total_bytes
    ids = header.ids
    return b"".join(
        ENTRY.pack(ids[32 * i : 32 * i + 32], segment, offset, length, i, header.kind, header.type)
        for i in range(len(header.lengths))
    )


def slices(packed: bytes) -> list[bytes]:
    """One bytes object an entry; short-lived by intent."""
    return [packed[i : i + ENTRY_BYTES] for i in range(0, len(packed), ENTRY_BYTES)]
