"""Read the files a scan asks for and put their contents into the store.

Owns the division of that work: a handful of files is read right here, more are dealt to
forked workers, each with a writer and a segment of its own, so that no content crosses
a process boundary. What comes back is columns of bytes, never one object a file.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from casreplay.codec.hashing import blob_id
from casreplay.history.scan import FolderWork
from casreplay.history.shared_ids import SharedIds
from casreplay.model.ids import BlobId, ObjectId
from casreplay.model.monitor import Monitor
from casreplay.model.objects import EntryState
from casreplay.store.base import ForkingStore, ObjectWriter, WorkerWriter
from casreplay.workspace import workers
from casreplay.workspace.capture import Captured, FileStream, read_file, read_link
from casreplay.workspace.scanner import COLUMNS, open_folder

__all__ = ["Ingested", "ingest"]

PARALLEL_FILES = 400
PARALLEL_BYTES = 24 << 20
STREAM_BYTES = 8 << 20
"""Files above this are read in pieces and never held whole."""
FILE_COST_BYTES = 20_000
"""Opening and recording a file costs about as much as reading so many bytes."""
REPORT_EVERY_BYTES = 4 << 20
_NO_ID = bytes(32)
_LINK = 0o120000

Item = tuple[bytes, bool, bytes, int]
"""Name, whether it is a link, the earlier blob id, the expected size."""
Part = Sequence[tuple[bytes, list[Item]]]
Columns = list[tuple[bytes, bytes, bytes]]
"""For each folder of a part: ids, states and stat rows of its items."""


Result = tuple[Columns, bytes]
"""A share's columns and what its writer exported (nothing for the caller's own)."""
Ingested = tuple[tuple[tuple[int, int], ...], tuple[bytes, ...]]
"""Durable (segment, length) pairs of workers, and their exports."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What every worker needs to know."""

    root: bytes
    shared: SharedIds
    monitor: Monitor
    raw_bytes: int


def ingest(
    root: bytes, works: Sequence[FolderWork], store: ForkingStore, writer: WorkerWriter, monitor: Monitor
) -> Ingested:
    """Read every capture of ``works``, store it, and fill in ids, states and rows.

    Args:
        root: the workspace.
        works: folders with captures; changed in place.
        store: where workers get writers of their own.
        writer: the calling process's writer, used for its share.
        monitor: told of the share that is done, by weight: bytes and a sum for each file.

    Returns:
        Durable (segment, length) pairs of the workers' writers, and what each exported (for
        ``discard`` should the commit fail later); the caller's own writer is still open.

    Raises:
        CasreplayError: the store failed; nothing that was written counts.
    """
    parts_source = [(work.path, _items(work)) for work in works if work.captures]
    if not parts_source:
        return (), ()
    weights = [sum(item[3] + FILE_COST_BYTES for item in items) for _, items in parts_source]
    files, size = sum(len(items) for _, items in parts_source), sum(weights)
    monitor.stage("reading", size)  # weights: no unit would be true
    job = _Job(root, SharedIds(files), monitor, size)
    is_big = files >= PARALLEL_FILES or size >= PARALLEL_BYTES
    share = workers.count() if is_big and store.can_fork else 1
    ranges = workers.split_by_weight(weights, share)
    calls: list[Callable[[], Result]] = [
        partial(_own_share, job, parts_source[ranges[0].start : ranges[0].stop], writer)
    ]
    for number, part in enumerate(ranges[1:], start=1):
        calls.append(partial(_worker_share, job, parts_source[part.start : part.stop], store, number))
    columns, ingested = _merge(workers.run(calls), store)
    for work, filled in zip((work for work in works if work.captures), columns, strict=True):
        _fill(work, *filled)
    monitor.advance(size)
    return ingested


def _items(work: FolderWork) -> list[Item]:
    rows = work.rows
    return [
        (work.names[i], rows[COLUMNS * i] & 0o170000 == _LINK, base, rows[COLUMNS * i + 1])
        for i, base in zip(work.captures, work.bases, strict=True)
    ]


def _own_share(job: _Job, part: Part, writer: WorkerWriter) -> Result:
    writer.expect(job.raw_bytes)
    return _read_part(job, part, writer, 0), b""


def _worker_share(job: _Job, part: Part, store: ForkingStore, number: int) -> Result:
    """Runs in a forked process: its own writer, made durable before it answers."""
    with store.writer() as writer:
        writer.expect(job.raw_bytes)
        columns = _read_part(job, part, writer, number)
        writer.sync()
        return columns, writer.export_entries()


def _merge(results: list[Result], store: ForkingStore) -> tuple[Columns, Ingested]:
    columns: Columns = []
    segments: list[tuple[int, int]] = []
    exported: list[bytes] = []
    for part_columns, entries in results:
        columns.extend(part_columns)
        if entries:
            segments.extend(store.adopt(entries))
            exported.append(entries)
    return columns, (tuple(segments), tuple(exported))


def _read_part(job: _Job, part: Part, writer: ObjectWriter, worker: int) -> Columns:
    root_fd = os.open(job.root, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    columns: Columns = []
    sink = _Sink(writer, job.shared.claim)
    done = reported = 0
    try:
        for path, items in part:
            columns.append(_read_folder(root_fd, path, items, sink))
            done += sum(item[3] + FILE_COST_BYTES for item in items)
            if done - reported >= REPORT_EVERY_BYTES:
                reported = done
                job.shared.report(worker, done)
                if worker == 0:
                    job.monitor.advance(job.shared.total_done())
    finally:
        os.close(root_fd)
    return columns


def _read_folder(root_fd: int, path: bytes, items: list[Item], sink: _Sink) -> tuple[bytes, bytes, bytes]:
    ids, states, rows = bytearray(), bytearray(), array("q")
    try:
        folder_fd = open_folder(root_fd, path)
    except OSError:
        n = len(items)
        return bytes(32 * n), bytes((EntryState.VANISHED,)) * n, bytes(8 * COLUMNS * n)
    try:
        for name, is_link, base, size in items:
            if size > STREAM_BYTES and not is_link:
                any_id, captured = _read_big(folder_fd, name, base, sink)
            else:
                captured = read_link(folder_fd, name) if is_link else read_file(folder_fd, name)
                any_id = sink.put(captured, base)
            ids += any_id
            states.append(captured.state)
            rows.extend(captured.stat)
    finally:
        os.close(folder_fd)
    return bytes(ids), bytes(states), rows.tobytes()


@dataclass(frozen=True, slots=True)
class _Sink:
    """Where one worker's contents go: its writer, unless another worker stores the same content."""

    writer: ObjectWriter
    claim: Callable[[bytes], bool]

    def put(self, captured: Captured, base: bytes) -> bytes:
        """Store a content in memory; returns its id, zeros when there is none."""
        if captured.data is None:
            return _NO_ID
        found = blob_id(captured.data)
        if self.claim(found):
            self.writer.put_blob(found, captured.data, _base(base))
        return found


def _base(base: bytes) -> BlobId | None:
    return BlobId(ObjectId(base)) if base != _NO_ID else None


def _read_big(folder_fd: int, name: bytes, base: bytes, sink: _Sink) -> tuple[bytes, Captured]:
    """A big file in pieces; source errors become states, store errors propagate."""
    try:
        stream = FileStream(folder_fd, name)
    except OSError:
        captured = read_file(folder_fd, name)  # names the state; the file is gone or unreadable
        return sink.put(captured, base), captured
    with stream:
        source = _Source(stream)
        any_id, _ = sink.writer.put_stream(source.pieces(), _base(base))
        if source.failed:
            return _NO_ID, Captured(EntryState.UNREADABLE, (0, 0, 0, 0, 0), None)
        return any_id, stream.result()


class _Source:
    """Keeps an I/O error of the source apart from errors of the store that reads from it."""

    def __init__(self, stream: FileStream) -> None:
        self._stream = stream
        self.failed = False

    def pieces(self) -> Iterator[bytes]:
        """What the file gives, until it fails."""
        try:
            yield from self._stream.pieces()
        except OSError:
            self.failed = True


def _fill(work: FolderWork, ids: bytes, states: bytes, rows: bytes) -> None:
    """Put a part's columns into the folder's, at the positions that were captured.

    A file without content keeps the row of the listing, so that its size and times are still told.
    """
    read = array("q")
    read.frombytes(rows)
    for k, i in enumerate(work.captures):
        work.ids[32 * i : 32 * i + 32] = ids[32 * k : 32 * k + 32]
        work.states[i] = states[k]
        if read[COLUMNS * k]:
            work.rows[COLUMNS * i : COLUMNS * i + COLUMNS] = read[COLUMNS * k : COLUMNS * k + COLUMNS]
