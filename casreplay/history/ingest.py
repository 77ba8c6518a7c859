"""Read the files a scan asks for and put their contents into the store.

Owns the division of that work: a handful of files is read right here, more are drawn
share by share by forked workers, each with a writer and a segment of its own, so that no
content crosses a process boundary. In a first commit whoever reads a whole sub-tree
builds its trees too. What comes back is columns of bytes, never one object a file.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

from casreplay.codec.hashing import blob_id
from casreplay.history.scan import FolderWork
from casreplay.history.shared_ids import SharedIds
from casreplay.history.shares import Share, depth_first, divide
from casreplay.history.treebuild import build_whole
from casreplay.model.ids import BlobId, ObjectId, TreeId
from casreplay.model.monitor import Monitor
from casreplay.model.objects import EntryState
from casreplay.store.base import ForkingStore, ObjectWriter, WorkerWriter
from casreplay.workspace import workers
from casreplay.workspace.capture import Captured, FileStream, read_file, read_link, read_listed
from casreplay.workspace.folders import FolderStack, open_root
from casreplay.workspace.scanner import COLUMNS
from casreplay.workspace.stat_cache import FolderRecord

__all__ = ["Destination", "Ingested", "ingest"]

PARALLEL_FILES = 400
PARALLEL_BYTES = 24 << 20
STREAM_BYTES = 8 << 20
"""Files above this are read in pieces and never held whole."""
FILE_COST_BYTES = 20_000
"""Opening and recording a file costs about as much as reading so many bytes."""
FOLDER_COST_BYTES = 20_000
"""And so does opening a folder and building its tree."""
REPORT_EVERY_BYTES = 4 << 20
_NO_ID = bytes(32)
_LINK = 0o120000
_FORM = 0o170000

_fields = attrgetter(*(one.name for one in fields(FolderRecord)))
"""A record as plain values: what crosses a pipe."""

Claim = Callable[[bytes], bool]
Filled = tuple[bytes, bytes, bytes]
"""A folder's ids, states and rows after its files were read."""
Done = tuple[int, list[Filled], list[tuple[bytes, tuple[Any, ...]]]]
"""A share's number and what became of it: columns of its folders, or records by path."""
Result = tuple[list[Done], bytes]
"""What a worker did, and what its writer exported."""


class Destination(NamedTuple):
    """Where contents go.

    Attributes:
        store: where workers get writers of their own.
        writer: the calling process's writer, used for what it draws itself.
        build_ns: when the scan began, if the works are all folders of a workspace without a stat
            cache and their trees may be stored at once; ``None``: trees are built elsewhere.
    """

    store: ForkingStore
    writer: WorkerWriter
    build_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Ingested:
    """What reading left behind besides the columns of the works.

    Attributes:
        segments: durable (segment, length) pairs of the workers' writers.
        exported: what each worker exported, for ``discard`` should the commit fail later.
        records: folders whose trees are stored already, by path.
    """

    segments: tuple[tuple[int, int], ...] = ()
    exported: tuple[bytes, ...] = ()
    records: Mapping[bytes, FolderRecord] = field(default_factory=dict)


class _Job(NamedTuple):
    """What every worker needs to know."""

    root: bytes
    works: Sequence[FolderWork]
    weights: Sequence[int]
    shares: Sequence[Share]
    deck: workers.Deck
    shared: SharedIds
    monitor: Monitor
    build_ns: int | None


def ingest(root: bytes, works: Sequence[FolderWork], to: Destination, monitor: Monitor) -> Ingested:
    """Read every capture of ``works``, store it, and fill in ids, states and rows.

    Args:
        root: the workspace.
        works: folders with captures; changed in place.
        to: the store; ``to.writer`` is still open afterwards.
        monitor: told of the share that is done, by weight: bytes and a sum for each file.

    Raises:
        CasreplayError: the store failed; nothing that was written counts.
    """
    with_files = [work for work in works if work.captures]
    if not with_files:
        return Ingested()
    files = sum(len(work.captures) for work in with_files)
    weights = list(map(_weight, with_files))
    size = sum(weights)
    is_big = files >= PARALLEL_FILES or size >= PARALLEL_BYTES
    hands = workers.count() if is_big and to.store.can_fork else 1
    build_ns = to.build_ns if hands > 1 else None
    if build_ns is not None:
        with_files = list(works)
        weights = [_weight(work) + FOLDER_COST_BYTES for work in works]
        size = sum(weights)
    order = sorted(range(len(with_files)), key=lambda i: depth_first(with_files[i].path))
    ordered, weights = [with_files[i] for i in order], [weights[i] for i in order]
    shares = divide([work.path for work in ordered], weights)
    monitor.stage("reading", size)  # weights: no unit would be true
    with workers.Deck(len(shares)) as deck:
        shared = SharedIds(files + len(ordered) if hands > 1 else 0)
        job = _Job(root, ordered, weights, shares, deck, shared, monitor, build_ns)
        calls: list[Callable[[], Result]] = [partial(_own_part, job, to.writer, alone=hands == 1)]
        calls += [partial(_worker_part, job, to.store, number) for number in range(1, hands)]
        ingested = _merge(job, workers.run(calls), to.store)
    monitor.advance(size)
    return ingested


def _weight(work: FolderWork) -> int:
    sizes = work.rows[1::COLUMNS]
    return sum([sizes[i] for i in work.captures]) + FILE_COST_BYTES * len(work.captures)


def _own_part(job: _Job, writer: WorkerWriter, *, alone: bool) -> Result:
    writer.expect(sum(job.weights))
    done = _draw(job, writer, 0, None if alone else job.shared.claim)
    if job.build_ns is not None:
        writer.sync()  # most of it is here: let the disk work while the others do
    return done, b""


def _worker_part(job: _Job, store: ForkingStore, number: int) -> Result:
    """Runs in a forked process: its own writer, made durable before it answers."""
    with store.writer() as writer:
        writer.expect(sum(job.weights))
        done = _draw(job, writer, number, job.shared.claim)
        writer.sync()
        return done, writer.export_entries()


def _draw(job: _Job, writer: ObjectWriter, worker: int, claim: Claim | None) -> list[Done]:
    """Take shares until none is left."""
    root_fd = open_root(job.root)
    finished: list[Done] = []
    done = reported = 0
    try:
        with FolderStack(root_fd, opens_up=False) as stack:
            reader = _Reader(stack, writer, claim)
            for number in job.deck:
                share = job.shares[number]
                for i in share.positions:
                    reader.folder(job.works[i])
                    done += job.weights[i]
                    if done - reported >= REPORT_EVERY_BYTES:
                        reported = done
                        job.shared.report(worker, done)
                        if worker == 0:
                            job.monitor.advance(job.shared.total_done())
                finished.append(_finished(job, number, reader))
    finally:
        os.close(root_fd)
    return finished


def _finished(job: _Job, number: int, reader: _Reader) -> Done:
    share = job.shares[number]
    works = [job.works[i] for i in share.positions]
    if job.build_ns is None or not share.is_whole:
        return number, [(bytes(work.ids), bytes(work.states), work.rows.tobytes()) for work in works], []
    records = build_whole(reversed(works), job.build_ns, reader)
    return number, [], [(path, _fields(record)) for path, record in records.items()]


def _merge(job: _Job, results: list[Result], store: ForkingStore) -> Ingested:
    """Put what all workers did into the works, and let this process read what they stored."""
    records: dict[bytes, FolderRecord] = {}
    segments: list[tuple[int, int]] = []
    exported: list[bytes] = []
    for finished, entries in results:
        for number, filled, built in finished:
            for i, (ids, states, rows) in zip(job.shares[number].positions, filled, strict=False):
                work = job.works[i]
                work.ids[:], work.states[:] = ids, states
                work.rows = array("q")
                work.rows.frombytes(rows)
            records.update((path, FolderRecord(*fields)) for path, fields in built)
        if entries:
            segments.extend(store.adopt(entries))
            exported.append(entries)
    return Ingested(tuple(segments), tuple(exported), records)


class _Reader:
    """Reads folders into one writer, unless another worker stores the same content.

    Args:
        stack: opens folders, following no link.
        writer: where contents and trees go.
        claim: says whether this worker stores an id; ``None`` when there is no other.
    """

    def __init__(self, stack: FolderStack, writer: ObjectWriter, claim: Claim | None) -> None:
        self._stack = stack
        self._writer = writer
        self._claim = claim

    def folder(self, work: FolderWork) -> None:
        """Read what is to be read in one folder, and fill its columns in."""
        if not work.captures:
            return
        try:
            fd = self._stack.open(work.path)
        except OSError:
            for i in work.captures:
                work.states[i] = EntryState.VANISHED
            return
        rows, ids, names = work.rows, work.ids, work.names
        for i, base in zip(work.captures, work.bases, strict=True):
            at = COLUMNS * i
            mode, size, mtime, ctime, inode = rows[at : at + COLUMNS]
            data = None
            if size <= STREAM_BYTES and mode & _FORM != _LINK:
                data = read_listed(fd, names[i], (mode, size, mtime, ctime, inode))
            if data is None:
                self._other(fd, work, i, base)
            else:
                ids[32 * i : 32 * i + 32] = self._content(data, base)

    def _other(self, fd: int, work: FolderWork, i: int, base: bytes) -> None:
        """Links, big files, and files that are not what they were when they were listed.

        A file without content keeps the row of the listing, so that its size and times are still told.
        """
        at = COLUMNS * i
        name, is_link = work.names[i], work.rows[at] & _FORM == _LINK
        if work.rows[at + 1] > STREAM_BYTES and not is_link:
            any_id, captured = self._big(fd, name, base)
        else:
            captured = read_link(fd, name) if is_link else read_file(fd, name)
            any_id = _NO_ID if captured.data is None else self._content(captured.data, base)
        work.ids[32 * i : 32 * i + 32] = any_id
        work.states[i] = captured.state
        if captured.stat[0]:
            work.rows[at : at + COLUMNS] = array("q", captured.stat)

    def _content(self, data: bytes, base: bytes) -> bytes:
        """Store a content in memory; returns its id."""
        found = blob_id(data)
        if self._claim is None or self._claim(found):
            self._writer.put_blob(found, data, _base(base))
        return found

    def _big(self, fd: int, name: bytes, base: bytes) -> tuple[bytes, Captured]:
        """A big file in pieces; source errors become states, store errors propagate."""
        try:
            stream = FileStream(fd, name)
        except OSError:
            captured = read_file(fd, name)  # names the state; the file is gone or unreadable
            return (_NO_ID if captured.data is None else self._content(captured.data, base)), captured
        with stream:
            source = _Source(stream)
            any_id, _ = self._writer.put_stream(source.pieces(), _base(base))
            if source.failed:
                return _NO_ID, Captured(EntryState.UNREADABLE, (0, 0, 0, 0, 0), None)
            return any_id, stream.result()

    def put(self, tree_id: TreeId, canonical: bytes, old: bytes) -> None:
        """Store a tree (a ``TreeStore``); two folders that are alike in all have one."""
        if self._claim is None or self._claim(tree_id):
            self._writer.put_tree(tree_id, canonical, TreeId(ObjectId(old)) if any(old) else None)

    def get(self, tree_id: bytes) -> bytes:
        """There is no earlier tree where trees are built by who reads."""
        raise KeyError(tree_id)


def _base(base: bytes) -> BlobId | None:
    return BlobId(ObjectId(base)) if base != _NO_ID else None


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
