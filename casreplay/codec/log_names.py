"""A table beside the log: which records may hold a name or an id that starts so, and which remove others.

Owns the layout of ``cache/names`` and reading names out of records. The table is a cache: it
names the end of the log up to which it knows everything and the running hash there, so it is
of use with that history only; whoever finds a record by it decodes the record to make sure.

Layout, little-endian: magic, end (u64), chain (32 bytes), three counts (u32): names, ids,
removals. A CRC-32 for each name as JSON writes it and the offset (u64) of each one's record;
the first four bytes of each snapshot's id and the offsets; the offsets of removals; eight
bytes of checksum.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from typing import NamedTuple

from casreplay.codec.hashing import checksum
from casreplay.codec.log_records import LogRecordType, payloads
from casreplay.errors import CorruptError

__all__ = ["NameTable", "decode_names", "encode_names", "json_of", "with_names_of"]

MAGIC = b"casreplay names1"
_HEAD = struct.Struct("<16sQ32sIII")
_CHECK_BYTES = 8
_ID_BYTES = 4
_LABEL = re.compile(rb'"label":("(?:[^"\\]|\\.)*")')


class NameTable(NamedTuple):
    """What is known of a log up to ``end``; every column in the order of the records.

    Attributes:
        end: offset behind the last record that was read.
        chain: the running hash there.
        names: four bytes a name.
        name_places: eight bytes a name, the offset of its record.
        ids: the first four bytes of each snapshot's id.
        id_places: eight bytes a snapshot.
        removals: eight bytes for each record that removes snapshots.
    """

    end: int
    chain: bytes
    names: bytes = b""
    name_places: bytes = b""
    ids: bytes = b""
    id_places: bytes = b""
    removals: bytes = b""

    def naming(self, wanted: bytes) -> list[int]:
        """Offsets of the records that may hold a name (as ``json_of`` gives it). Cost: one search."""
        return _places(self.names, zlib.crc32(wanted).to_bytes(4, "little"), self.name_places)

    def starting(self, prefix: bytes) -> list[int]:
        """Offsets of the records of snapshots whose id may start with ``prefix``. Cost: one search."""
        return _places(self.ids, prefix[:_ID_BYTES], self.id_places)

    def removing(self) -> list[int]:
        """Offsets of the records that remove snapshots."""
        return [at for (at,) in struct.iter_unpack("<Q", self.removals)]


def _places(keys: bytes, key: bytes, places: bytes) -> list[int]:
    found: list[int] = []
    at = keys.find(key)
    while at >= 0:
        if at % 4 == 0:
            found.append(int.from_bytes(places[2 * at : 2 * at + 8], "little"))
        at = keys.find(key, at + 1)
    return found


def json_of(name: str) -> bytes:
    """A name as it stands in a snapshot's canonical bytes."""
    return json.dumps(name, ensure_ascii=True).encode("ascii")


def with_names_of(table: NameTable, data: bytes) -> NameTable:
    """``table`` with what follows from ``data``: the whole records of the log from the table's end on.

    Cost: some 5 us a record.

    Raises:
        CorruptError: a stretch is damaged; a table would say of it that it holds no name.
    """
    names: list[int] = []
    name_places: list[int] = []
    ids: list[bytes] = []
    id_places: list[int] = []
    removals: list[int] = []
    for at, kind, record_id, payload in payloads(data):
        place = table.end + at
        if kind == LogRecordType.REMOVAL:
            removals.append(place)
        elif kind == LogRecordType.SNAPSHOT:
            ids.append(record_id[:_ID_BYTES])
            id_places.append(place)
            for name in _names(payload):
                names.append(zlib.crc32(name))
                name_places.append(place)
    return NameTable(
        table.end + len(data),
        bytes(data[-36:-4]) if data else table.chain,
        table.names + struct.pack(f"<{len(names)}I", *names),
        table.name_places + struct.pack(f"<{len(names)}Q", *name_places),
        table.ids + b"".join(ids),
        table.id_places + struct.pack(f"<{len(ids)}Q", *id_places),
        table.removals + struct.pack(f"<{len(removals)}Q", *removals),
    )


def _names(payload: bytes) -> list[bytes]:
    """Label and tags in a snapshot's bytes; perhaps other values of keys that are called so."""
    found: list[bytes] = _LABEL.findall(payload)
    if b'"tags"' not in payload and payload.count(b'"label"') == len(found):
        return found
    try:
        fields = json.loads(payload)
        return [json_of(name) for name in (fields.get("label", ""), *fields.get("tags", ())) if name]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptError("A snapshot record cannot be read") from error


def encode_names(table: NameTable) -> bytes:
    """The bytes of the cache file."""
    counts = len(table.names) // 4, len(table.ids) // _ID_BYTES, len(table.removals) // 8
    body = b"".join((_HEAD.pack(MAGIC, table.end, table.chain, *counts), *table[2:]))
    return body + checksum(body)


def decode_names(raw: bytes) -> NameTable | None:
    """The table in a cache file; ``None`` when it is none or damaged."""
    last = len(raw) - _CHECK_BYTES
    if last < _HEAD.size or checksum(memoryview(raw)[:last]) != raw[last:]:
        return None
    magic, end, chain, names, ids, removals = _HEAD.unpack_from(raw)
    columns: list[bytes] = []
    at = _HEAD.size
    for width in (4 * names, 8 * names, _ID_BYTES * ids, 8 * ids, 8 * removals):
        columns.append(raw[at : at + width])
        at += width
    return NameTable(end, chain, *columns) if magic == MAGIC and at == last else None
