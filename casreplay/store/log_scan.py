"""Stepping through the log's file: from its end, from an offset, to one id.

Keeps the end that was verified last with the file's size and time, so asking again
costs a ``stat``. Bytes behind that end are never kept: a torn tail may be cut away and
written over by another process. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from casreplay.codec import log_records as codec
from casreplay.codec.hashing import snapshot_id
from casreplay.codec.log_records import LogRecord, LogRecordType
from casreplay.errors import CorruptError
from casreplay.store.files import Files

__all__ = ["LogFile"]

_BLOCK = 1 << 18
_FIRST_BLOCK = 1 << 12
_LARGEST_BLOCK = 1 << 24
_ID_AT = codec.FIXED_BYTES - 32


class LogFile:
    """The bytes of one log. Everything but ``raw`` sees whole records only, never a torn tail."""

    def __init__(self, files: Files, path: str) -> None:
        self._files = files
        self._path = path
        self._forget()

    def _forget(self) -> None:
        """Begin anew, knowing nothing."""
        self._stamp: tuple[int, int, int] | None = None
        self._end = codec.HEADER_BYTES
        self._content = bytearray()
        self._special: dict[LogRecordType, tuple[int, list[LogRecord]]] = {}
        self._block: tuple[int, bytes] = (0, b"")

    def end(self) -> int:
        """Offset behind the last whole record.

        Cost: a ``stat``; when something was appended, reading the last record; after a crash,
        reading what was appended since the last look, or all of the file at first.
        """
        stamp = self._look()
        if stamp == self._stamp:
            return self._end
        size = stamp[1]
        if size < codec.HEADER_BYTES:
            raise CorruptError("The log has no valid header", file=self._path)
        if size < self._end:
            # Cut into what was whole: nothing known before can be trusted.
            self._forget()
        self._block = (0, b"")
        if size > self._end and self._record_before(size) is None:
            size = self._end_by_scanning(size)
        self._end, self._stamp = size, stamp
        self._block = (0, b"")
        return size

    def _look(self) -> tuple[int, int, int]:
        stamp = self._files.stamp(self._path)
        if stamp is None:
            raise CorruptError("The store has no log", file=self._path)
        return stamp

    def raw(self) -> bytes:
        """The whole file as it is, a torn tail included."""
        return self._files.read(self._path)

    def content(self) -> bytearray:
        """The file up to the last whole record, only to be read. Cost: reading what was appended since."""
        end = self.end()
        if len(self._content) < end:
            self._content += self._pread(end - len(self._content), len(self._content))
        return self._content

    def since(self, offset: int) -> bytes:
        """The bytes from ``offset`` to the last whole record's end."""
        return self._pread(max(0, self.end() - offset), offset)

    def chain_at(self, end: int) -> bytes:
        """The running hash after the record that ends at ``end``."""
        if end == codec.HEADER_BYTES:
            return codec.chain_start(self._pread(codec.HEADER_BYTES, 0))
        return self._pread(32, end - codec.TRAILER_BYTES)

    def backwards(self, end: int | None = None) -> Iterator[LogRecord]:
        """Records from the last whole one back, or from the one that ends at ``end``.

        At damage, goes on by scanning from the start. Of older records only the frame is
        checked: payloads have ids of their own, and ``log_chain`` walks the whole chain.
        """
        at = self.end() if end is None else end
        while at > codec.HEADER_BYTES:
            record = self._record_before(at, chained=False)
            if record is None:
                older = [found for start, found in self.forwards(codec.HEADER_BYTES) if start < at]
                yield from reversed(older)
                return
            at -= record.total_bytes
            yield record

    def forwards(self, offset: int) -> Iterator[tuple[int, LogRecord]]:
        """Records from ``offset`` on with their offsets; the chain is not checked, damage is passed over."""
        start = max(offset, codec.HEADER_BYTES)
        data = self._pread(self.end() - start, start) if start < self.end() else b""
        return ((start + at, record) for at, record in _whole_records(data, 0))

    def locate(self, snapshot_id: bytes, within: int | None = None) -> tuple[int, LogRecord] | None:
        """Where the record of a snapshot starts, and the record; ``None`` when there is none.

        Args:
            snapshot_id: whose.
            within: bytes at the log's end that are searched at least; all when left out.

        Cost: a search at C speed from the end back to it.
        """
        end = high = self.end()
        size = _FIRST_BLOCK
        least = codec.HEADER_BYTES if within is None else max(codec.HEADER_BYTES, end - within)
        while high > least:
            low = max(codec.HEADER_BYTES, high - size)
            # An id may lie across the border to the block that was searched before.
            data = self._pread(min(end, high + len(snapshot_id)) - low, low)
            at = data.rfind(snapshot_id)
            while at >= 0:
                start = low + at - _ID_AT
                record = self.record_at(start) if start >= codec.HEADER_BYTES else None
                if record and record.type == LogRecordType.SNAPSHOT and record.id == snapshot_id:
                    return start, record
                at = data.rfind(snapshot_id, 0, at + len(snapshot_id) - 1)
            high = low
            size = min(4 * size, _LARGEST_BLOCK)
        return None

    def record_at(self, start: int) -> LogRecord | None:
        """The record that starts at ``start``; ``None`` when no whole one does."""
        left = self.end() - start
        for count in (min(left, _FIRST_BLOCK), min(left, codec.MAX_RECORD_BYTES)):
            data = self._pread(count, start)
            if codec.record_end(data, 0) > 0:
                return codec.decode_record(data, 0, None)
        return None

    def of_type(self, kind: LogRecordType) -> list[LogRecord]:
        """Records that are no snapshots, of one type, oldest first. Cost: one search at C speed."""
        data = self.content()
        seen, records = self._special.setdefault(kind, (codec.HEADER_BYTES, []))
        at = codec.find_record(data, seen, kind)
        while at >= 0:
            records.append(codec.decode_record(data, at, None))
            seen = at + 1
            at = codec.find_record(data, seen, kind)
        self._special[kind] = (seen, records)
        return records

    def of_type_behind(self, kind: LogRecordType, offset: int) -> list[LogRecord]:
        """The same for those at ``offset`` and behind it, perhaps more. Cost: reading what lies there."""
        if self._content or self.end() - offset > _LARGEST_BLOCK:
            return self.of_type(kind)
        data = self._pread(self.end() - offset, offset)
        records = []
        at = codec.find_record(data, 0, kind)
        while at >= 0:
            records.append(codec.decode_record(data, at, None))
            at = codec.find_record(data, at + 1, kind)
        return records

    def _pread(self, count: int, offset: int) -> bytes:
        if offset + count <= len(self._content):
            return bytes(self._content[offset : offset + count])
        handle = self._files.open(self._path)
        try:
            return handle.pread(count, offset)
        finally:
            handle.close()

    def _record_before(self, end: int, *, chained: bool = True) -> LogRecord | None:
        """The record that ends at ``end``, its chain verified; ``None`` when none does."""
        total = int.from_bytes(self._before(end, 4), "little")
        start = end - total
        if start < codec.HEADER_BYTES or not codec.TRAILER_BYTES < total <= codec.MAX_RECORD_BYTES:
            return None
        previous = None
        if chained and start == codec.HEADER_BYTES:
            previous = self.chain_at(start)
        elif chained:
            # The running hash before the record stands right in front of it.
            previous = self._before(end, total + codec.TRAILER_BYTES)[:32]
        try:
            return codec.decode_record(self._before(end, total), 0, previous)
        except CorruptError:
            return None

    def _before(self, end: int, count: int) -> bytes:
        """The ``count`` bytes before ``end``, from a block that is read backwards and kept."""
        low, block = self._block
        if not (low <= end - count and end <= low + len(block)):
            # The newest record alone is asked for most often; walking further reads in blocks.
            size = _BLOCK if block else _FIRST_BLOCK
            low = max(0, end - max(count, size))
            block = self._pread(end - low, low)
            self._block = (low, block)
        return block[end - count - low : end - low]

    def _end_by_scanning(self, size: int) -> int:
        """End of the last whole record, found by going forward from the last one known.

        Whole is a record whose chain holds. Where the hash before it is damaged or lost, one
        whose payload has the id that it says is whole too: damage in one record must not make
        a writer cut off the next as torn.
        """
        low = max(0, self._end - codec.TRAILER_BYTES)
        data = self._pread(size - low, low)
        end = self._end
        for at, record in _whole_records(data, self._end - low):
            if low + at == codec.HEADER_BYTES:
                previous = codec.chain_start(self._pread(codec.HEADER_BYTES, 0))
            else:
                previous = data[at - codec.TRAILER_BYTES : at - codec.TRAILER_BYTES + 32]
            try:
                codec.decode_record(data, at, previous)
            except CorruptError:
                if not _has_its_id(record):
                    continue
            end = low + at + record.total_bytes
        return end


def _whole_records(data: bytes, at: int) -> Iterator[tuple[int, LogRecord]]:
    """Well-framed records from ``data[at]`` on with their offsets in ``data``."""
    while 0 <= at < len(data):
        end = codec.record_end(data, at)
        if end < 0:
            at = codec.find_record(data, at + 1)
            continue
        yield at, codec.decode_record(data, at, None)
        at = end


def _has_its_id(record: LogRecord) -> bool:
    """Whether a snapshot's record holds the payload its id names."""
    try:
        return record.type == LogRecordType.SNAPSHOT and snapshot_id(codec.payload_of(record)) == record.id
    except CorruptError:
        return False
