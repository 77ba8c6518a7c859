"""Stepping through the log's file: from its end, from an offset, to one id.

Keeps the end that was verified last, so asking again costs a ``stat`` and the new
bytes. Finds the end of the whole records after a crash. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from casreplay.codec import log_records as codec
from casreplay.codec.log_records import LogRecord, LogRecordType
from casreplay.errors import CorruptError
from casreplay.store.files import Files

__all__ = ["LogFile"]

_BLOCK = 1 << 18
_FIRST_BLOCK = 1 << 12


class LogFile:
    """The bytes of one log."""

    def __init__(self, files: Files, path: str) -> None:
        self._files = files
        self._path = path
        self._end = 0
        """End of the last record seen to be whole; 0 before the first look."""
        self._data: tuple[int, bytes] = (0, b"")
        self._special: dict[LogRecordType, tuple[int, list[LogRecord]]] = {}
        self._block: tuple[int, bytes] = (0, b"")

    def store_id(self) -> bytes:
        """The store id in the header."""
        self._size()
        return codec.store_id_of(self._pread(codec.HEADER_BYTES, 0))

    def content(self) -> bytes:
        """The whole file. Cost: reading what was appended since the last call."""
        size = self._size()
        known, data = self._data
        if known == size <= self._end:
            return data
        self._forget_behind(self._end)
        known, data = self._data
        data += self._pread(size - known, known)
        self._data = (size, data)
        return data

    def _forget_behind(self, end: int) -> None:
        """Drop what was read behind the last whole record: it may be cut away and written over."""
        known, data = self._data
        if known > end:
            self._data = (end, data[:end])
        self._block = (0, b"")

    def end(self) -> int:
        """Offset behind the last whole record; reads the file's end, or all of it after a crash."""
        size = self._size()
        if size < codec.HEADER_BYTES:
            raise CorruptError("The log has no valid header", file=self._path)
        if size in (codec.HEADER_BYTES, self._end):
            return size
        self._forget_behind(self._end)
        if self._record_before(size) is None:
            size = self._end_by_scanning()
            self._forget_behind(size)
        self._end = size
        return size

    def chain_at(self, end: int) -> bytes:
        """The running hash after the record that ends at ``end``."""
        if end == codec.HEADER_BYTES:
            return codec.chain_start(self._pread(codec.HEADER_BYTES, 0))
        return self._pread(32, end - codec.TRAILER_BYTES)

    def backwards(self) -> Iterator[LogRecord]:
        """Records from the last whole one back. At damage, goes on by scanning from the start."""
        at = self.end()
        while at > codec.HEADER_BYTES:
            record = self._record_before(at)
            if record is None:
                older = [found for start, found in self.forwards(codec.HEADER_BYTES) if start < at]
                yield from reversed(older)
                return
            at -= record.total_bytes
            yield record

    def forwards(self, offset: int) -> Iterator[tuple[int, LogRecord]]:
        """Records from ``offset`` on with their offsets; the chain is not checked, damage is passed over."""
        data = self.content()
        at = max(offset, codec.HEADER_BYTES)
        while at < len(data):
            end = codec.record_end(data, at)
            if end < 0:
                at = codec.find_record(data, at + 1)
                if at < 0:
                    return
                continue
            yield at, codec.decode_record(data, at, None)
            at = end

    def find(self, snapshot_id: bytes) -> LogRecord | None:
        """The record of a snapshot. Cost: one search of the file at C speed."""
        data = self.content()
        offset_in_record = codec.FIXED_BYTES - 32
        at = data.find(snapshot_id)
        while at >= 0:
            start = at - offset_in_record
            if start >= codec.HEADER_BYTES and codec.record_end(data, start) > 0:
                record = codec.decode_record(data, start, None)
                if record.type == LogRecordType.SNAPSHOT and record.id == snapshot_id:
                    return record
            at = data.find(snapshot_id, at + 1)
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

    def _size(self) -> int:
        stamp = self._files.stamp(self._path)
        if stamp is None:
            raise CorruptError("The store has no log", file=self._path)
        if stamp[1] < self._end:
            # Cut into what was whole: nothing known before can be trusted.
            self._end, self._data, self._block, self._special = 0, (0, b""), (0, b""), {}
        return stamp[1]

    def _pread(self, count: int, offset: int) -> bytes:
        known, data = self._data
        if offset + count <= min(known, self._end):
            return data[offset : offset + count]
        handle = self._files.open(self._path)
        try:
            return handle.pread(count, offset)
        finally:
            handle.close()

    def _record_before(self, end: int) -> LogRecord | None:
        """The verified record that ends at ``end``; ``None`` when none does."""
        total = int.from_bytes(self._before(end, 4), "little")
        start = end - total
        if start < codec.HEADER_BYTES or not codec.TRAILER_BYTES < total <= codec.MAX_RECORD_BYTES:
            return None
        if start == codec.HEADER_BYTES:
            previous = self.chain_at(start)
        else:
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

    def _end_by_scanning(self) -> int:
        """End of the last record whose chain holds, found from the start."""
        data = self.content()
        end = codec.HEADER_BYTES
        for start, record in self.forwards(0):
            stop = start + record.total_bytes
            previous = self.chain_at(start) if start == end else None
            try:
                codec.decode_record(data, start, previous)
            except CorruptError:
                continue
            end = stop
        return end
