"""Segment files: append-only packs of framed records, their names, their headers, their bytes.

Owns: the file header, appending through a buffer, reading one record, stepping over
headers and re-synchronising after damage. Knows records, not objects: what a body
decodes to is ``store.reading``'s affair, what a writer puts is ``store.writer``'s.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from casreplay.codec import records
from casreplay.codec.records import RecordHeader
from casreplay.errors import CorruptError, StoreIOError
from casreplay.store.files import AppendFile, FileLock, Files, ReadFile, is_missing, join

__all__ = ["FOLDER", "HEADER", "SEAL_BYTES", "SegmentAppender", "Segments", "StoredRecord"]

FOLDER = "segments"
HEADER = b"casreplay seg 1\n"
SEAL_BYTES = 64 << 20
"""A segment of this length is not appended to any more."""
_BUFFER_BYTES = 1 << 20
_OPEN_LIMIT = 64
_WINDOW = 1 << 20


class StoredRecord(NamedTuple):
    """A record's header and where it lies."""

    header: RecordHeader
    offset: int


class Segments:
    """The segment files of one store; keeps some of them open for reading."""

    def __init__(self, files: Files, store_folder: str) -> None:
        self._files = files
        self._folder = join(store_folder, FOLDER)
        self._open: OrderedDict[int, ReadFile] = OrderedDict()

    def path(self, number: int) -> str:
        """Path of a segment's file."""
        return join(self._folder, f"{number:08d}.seg")

    def numbers(self) -> list[int]:
        """Numbers of the segments that exist, ascending."""
        found = []
        for name in self._files.names(self._folder):
            stem, _, ending = name.partition(".")
            if ending == "seg" and len(stem) >= 8 and stem.isdigit():
                found.append(int(stem))
        return found

    def size(self, number: int) -> int:
        """Length of a segment's file; 0 when it does not exist."""
        stamp = self._files.stamp(self.path(number))
        return stamp[1] if stamp else 0

    def pread(self, number: int, count: int, offset: int) -> bytes:
        """At most ``count`` bytes of a segment; none when the file is missing."""
        handle = self._open.get(number)
        if handle is None:
            try:
                handle = self._files.open(self.path(number))
            except StoreIOError as error:
                if is_missing(error):
                    return b""
                raise
            while len(self._open) >= _OPEN_LIMIT:
                self._open.popitem(last=False)[1].close()
            self._open[number] = handle
        return handle.pread(count, offset)

    def forget(self, number: int) -> None:
        """Close a segment that was removed."""
        handle = self._open.pop(number, None)
        if handle is not None:
            handle.close()

    def close(self) -> None:
        """Close everything."""
        for number in list(self._open):
            self.forget(number)

    def record(self, number: int, offset: int, length: int) -> tuple[RecordHeader, memoryview]:
        """One record's header and stored body, both checksums verified.

        Raises:
            CorruptError: missing, cut short, or damaged.
        """
        data = self.pread(number, length, offset)
        if len(data) != length:
            raise CorruptError(f"Segment {number} is missing or cut short", segment=number, offset=offset)
        try:
            header = records.decode_header(data)
        except CorruptError as error:
            raise CorruptError(
                f"{error.message} (segment {number}, byte {offset})", segment=number, offset=offset
            ) from error
        body = memoryview(data)[header.header_bytes :]
        if len(body) != header.stored_bytes or records.body_checksum(body) != header.body_crc:
            raise CorruptError(
                f"A record's checksum does not hold (segment {number}, byte {offset})",
                segment=number,
                offset=offset,
            )
        return header, body

    def scan(
        self,
        number: int,
        start: int = 0,
        end: int | None = None,
        *,
        lost: list[tuple[int, int]] | None = None,
    ) -> Iterator[StoredRecord]:
        """Headers of the whole records in ``[start, end)``, bodies unread.

        Damaged stretches are passed over and added to ``lost`` as (start, end) offsets.
        Cost: one read a MiB of headers and small bodies; large bodies are skipped.
        """
        size = self.size(number)
        end = size if end is None else min(end, size)
        at = max(start, len(HEADER))
        window, base = b"", at
        header: RecordHeader | None
        while at < end:
            if not 0 <= at - base <= len(window) - records.FIXED_BYTES:
                window, base = self.pread(number, min(_WINDOW, end - at), at), at
            try:
                need = records.header_bytes(window, at - base)
                if at - base + need > len(window):
                    window, base = self.pread(number, min(max(need, _WINDOW), end - at), at), at
                header = records.decode_header(window, at - base)
            except CorruptError:
                header = None
            if header is None or at + header.total_bytes > end:
                following = self._resynchronise(number, at + 1, end)
                if lost is not None:
                    lost.append((at, following))
                at = following
                window, base = b"", at
                continue
            yield StoredRecord(header, at)
            at += header.total_bytes

    def _resynchronise(self, number: int, at: int, end: int) -> int:
        """Offset of the next valid header, ``end`` when there is none."""
        overlap = records.MAX_HEADER_BYTES
        while at < end:
            window = self.pread(number, _WINDOW + overlap, at)
            found = records.find_record(window[: end - at], 0)
            if found >= 0:
                return at + found
            at += _WINDOW
        return end


class SegmentAppender:
    """One segment being appended to by the holder of its lease.

    Records gather in a buffer; ``flush`` hands them to the system, ``sync`` makes them
    durable. ``start`` is the length at which this writer began.
    """

    def __init__(self, number: int, handle: AppendFile, lock: FileLock) -> None:
        self.number = number
        self.start = handle.size
        self.end = handle.size
        self._handle = handle
        self._lock = lock
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._closed = False

    def add(self, record: bytes) -> int:
        """Append one whole record; returns its offset."""
        offset = self.end
        self._buffer.append(record)
        self._buffered += len(record)
        self.end += len(record)
        if self._buffered >= _BUFFER_BYTES:
            self.flush()
        return offset

    def flush(self) -> None:
        """Hand the buffer to the system; its records can be read from the file now."""
        if self._buffer:
            data = b"".join(self._buffer)
            self._buffer.clear()
            self._buffered = 0
            self._handle.write(data)

    def sync(self, *, durable: bool = True) -> None:
        """Flush and make durable; nothing to do once it is finished."""
        if not self._closed:
            self.flush()
            if durable:
                self._handle.sync()

    def finish(self, *, durable: bool = True) -> None:
        """Sync and close, because it is full: a long commit must not keep every segment open.

        Its lease goes too. Nobody can take the segment for one with room: it is longer than
        the log says until the commit is recorded.
        """
        self.sync(durable=durable)
        self.close()

    def close(self) -> None:
        """Release file and lease. What is still in the buffer is dropped."""
        if not self._closed:
            self._closed = True
            self._buffer.clear()
            self._handle.close()
            self._lock.release()
