"""Finding snapshots by a name or the first digits of an id, however long the log is.

Owns keeping a table of names in the cache, and when it is worth being extended. The log
alone decides: a table is believed only up to the running hash it names, a record found
by it is read, and what lies behind the table's end is searched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from typing import Protocol

from casreplay.codec import log_records as codec
from casreplay.codec.log_names import NameTable, decode_names, encode_names, json_of, with_names_of
from casreplay.codec.log_records import LogRecord, LogRecordType
from casreplay.errors import CorruptError
from casreplay.store.log_scan import LogFile

__all__ = ["Caches", "Lookup", "fields_of", "removed_by"]

NAME = "names"
NEAR_BYTES = 256 << 10
"""Stretches of the log up to this length are searched rather than taken into the table."""


class Caches(Protocol):
    """Bytes kept under a name that may be lost at any time."""

    def read_cache(self, name: str) -> bytes | None:
        """What was kept; ``None`` when there is nothing."""

    def write_cache(self, name: str, pieces: Iterable[bytes]) -> None:
        """Keep something, if possible."""


class Lookup:
    """Look-ups in one log.

    Args:
        file: the log.

    Attributes:
        caches: where the table is kept; without it all of the log is searched every time.
    """

    _nothing = NameTable(codec.HEADER_BYTES, b"")

    def __init__(self, file: LogFile) -> None:
        self._file = file
        self._table = self._nothing
        self.caches: Caches | None = None

    def naming(self, text: str) -> list[LogRecord]:
        """Records of live snapshots whose label or tag may be ``text``, newest first.

        Cost: a search at C speed; 3 us for each snapshot behind the table, and 5 us once for
        each when there are so many that the table is extended.
        """
        wanted = json_of(text)
        table, rest = self._known()
        behind = (table.end + at for at in codec.mentions(rest, wanted))
        return self._live(chain(table.naming(wanted), behind), table, rest)

    def starting(self, prefix: str) -> list[LogRecord]:
        """Records of live snapshots whose id starts with ``prefix``, newest first.

        Args:
            prefix: lower-case hexadecimal, two digits at least.

        Cost: as ``naming``, 1 us for each snapshot behind the table.
        """
        start = bytes.fromhex(prefix[: len(prefix) & ~1])
        table, rest = self._known()
        behind = (
            table.end + at
            for at, kind, _, one in codec.identities(rest, 0)
            if kind == LogRecordType.SNAPSHOT and one.startswith(start)
        )
        found = self._live(chain(table.starting(start), behind), table, rest)
        return [record for record in found if record.id.hex().startswith(prefix)]

    def locate(self, snapshot_id: bytes) -> tuple[int, LogRecord] | None:
        """Where the record of a snapshot starts, and the record; ``None`` when there is none.

        Cost: a search at C speed back from the end; of a long log a look into the table, where there is one.
        """
        found = self._file.locate(snapshot_id, within=NEAR_BYTES)
        if found is not None or self._file.end() <= NEAR_BYTES:
            return found
        for at in self._at_hand().starting(snapshot_id):
            record = self._file.record_at(at)
            if record and record.type == LogRecordType.SNAPSHOT and record.id == snapshot_id:
                return at, record
        return self._file.locate(snapshot_id)

    def removed_behind(self, offset: int) -> frozenset[bytes]:
        """Ids of snapshots that a record at ``offset`` or behind it removed, and perhaps of others."""
        table = self._at_hand() if self._file.end() - offset > NEAR_BYTES else self._nothing
        if table.end == codec.HEADER_BYTES:
            records = self._file.of_type_behind(LogRecordType.REMOVAL, offset)
        else:
            records = self._removals(table, self._file.since(table.end))
        return frozenset(chain.from_iterable(map(removed_by, records)))

    def _live(self, places: Iterable[int], table: NameTable, rest: bytes) -> list[LogRecord]:
        """The snapshots' records at the places, without those removed since, newest first."""
        removed = set(chain.from_iterable(map(removed_by, self._removals(table, rest))))
        records = filter(None, map(self._file.record_at, sorted(set(places), reverse=True)))
        return [one for one in records if one.type == LogRecordType.SNAPSHOT and one.id not in removed]

    def _removals(self, table: NameTable, rest: bytes) -> list[LogRecord]:
        found = list(filter(None, map(self._file.record_at, table.removing())))
        at = codec.find_record(rest, 0, LogRecordType.REMOVAL)
        while at >= 0:
            found.append(codec.decode_record(rest, at, None))
            at = codec.find_record(rest, at + 1, LogRecordType.REMOVAL)
        return found

    def _known(self) -> tuple[NameTable, bytes]:
        """The table of names, and the whole records of the log behind its end."""
        if not self._holds(self._table) or self._file.end() - self._table.end > NEAR_BYTES:
            self._table = self._kept()
        rest = self._file.since(self._table.end)
        if self.caches is not None and len(rest) > NEAR_BYTES:
            try:
                self._table = with_names_of(self._table, rest)
            except CorruptError:
                return self._table, rest  # what is damaged now may be put right one day
            self.caches.write_cache(NAME, [encode_names(self._table)])
            rest = b""
        return self._table, rest

    def _at_hand(self) -> NameTable:
        """The table as it is, however much it lacks; an empty one where there is none."""
        if self._table.end == codec.HEADER_BYTES or not self._holds(self._table):
            self._table = self._kept()
        return self._table

    def _kept(self) -> NameTable:
        """The table in the cache, if it is one of this log's; else an empty one."""
        raw = self.caches.read_cache(NAME) if self.caches is not None else None
        table = decode_names(raw) if raw else None
        return table if table is not None and self._holds(table) else self._nothing

    def _holds(self, table: NameTable) -> bool:
        """Whether the log is still what the table was made from."""
        if table.end == codec.HEADER_BYTES:
            return True
        is_inside = codec.HEADER_BYTES < table.end <= self._file.end()
        return is_inside and self._file.chain_at(table.end) == table.chain


def removed_by(record: LogRecord) -> list[bytes]:
    """Ids of the snapshots that a record removes."""
    return [bytes.fromhex(one) for one in fields_of(record).get("ids", ())]


def fields_of(record: LogRecord) -> dict[str, list[str]]:
    """The table in a record that is no snapshot; an unreadable one says nothing."""
    try:
        fields = json.loads(codec.payload_of(record))
    except (CorruptError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}
