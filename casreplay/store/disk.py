"""The store on disk: ties segments, index, log and locks together under the contracts of ``base``.

Owns the folder's layout, creating and opening it, publishing what a log record made
durable, and the steps of deleting segments. Decides nothing about history: which
objects live and which snapshots go is told to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeVar

from casreplay.codec.records import RecordType
from casreplay.errors import CorruptError, LockedError, MissingObjectError, StoreIOError
from casreplay.model.ids import BlobId, ObjectId
from casreplay.store import layout, segments
from casreplay.store.ahead import TreesAhead
from casreplay.store.base import ObjectInfo, ObjectKind
from casreplay.store.catalog import Catalog
from casreplay.store.entries import Entry
from casreplay.store.files import FileLock, Files, OsFiles, join
from casreplay.store.locks import Leases
from casreplay.store.log import DiskLog
from casreplay.store.reading import Body, Decoder
from casreplay.store.segments import SegmentAppender, Segments
from casreplay.store.together import TreesTogether
from casreplay.store.writer import Claim, SegmentWriter, decode_export

__all__ = ["DiskStore"]

_T = TypeVar("_T")
_CANDIDATES = 8
_LAST = 1 << 64
_ROOM = 1 << 20


class DiskStore:
    """A store in a folder; ``create`` or ``open`` makes one.

    Attributes:
        folder: where it lies.
        id: 16 bytes that tell it from any other.
        log: its snapshot log.
        leases: its locks.
        catalog: where every object lies.
        segments: its segments.
        doubts: whether writers count only what can be read as stored already (``doubting``).
    """

    def __init__(self, files: Files, folder: str, store_id: bytes, *, durability: str, wait_s: float) -> None:
        self.files = files
        self.folder = folder
        self.id = store_id
        self.leases = Leases(files, folder, wait_s=wait_s)
        self.segments = Segments(files, folder)
        self.log = DiskLog(files, folder, self.leases, synced=durability == "full")
        self.catalog = Catalog(files, folder, self.segments, self.log)
        self.log.published = self.catalog.publish
        self.log.lookup.caches = self
        self._durable = durability != "off"
        self._decoder = Decoder(self.segments, self.catalog)
        self._shares: dict[int, tuple[FileLock, str]] = {}
        self.can_fork = True
        self.doubts = False
        self.adopted_bytes = 0

    # Opening

    @classmethod
    def create(
        cls, folder: str, *, files: Files | None = None, durability: str = "full", wait_s: float = 10.0
    ) -> DiskStore:
        """Make an empty store in ``folder``, which must not exist or be empty.

        Raises:
            UsageError: something else is there already, or somebody else made a store meanwhile.
            LockedError: somebody else has been making one for longer than ``wait_s`` seconds.
            StoreIOError: the disk refused; a half-made folder is completed by the next call.
        """
        disk: Files = OsFiles() if files is None else files
        layout.create(disk, folder, wait_s=wait_s)
        return cls.open(folder, files=disk, durability=durability, wait_s=wait_s)

    @classmethod
    def open(
        cls, folder: str, *, files: Files | None = None, durability: str = "full", wait_s: float = 10.0
    ) -> DiskStore:
        """Open the store in ``folder``. Cost: some 10 ms at a million objects.

        Args:
            folder: the store.
            files: the disk.
            durability: ``full`` syncs objects and log; ``batch`` syncs objects only, so a power
                failure may take the last snapshots but damages none; ``off`` syncs nothing.
            wait_s: seconds to wait for a lock.

        Raises:
            NoRepositoryError: no store there.
            UnknownFormatError: written by a newer version; nothing was changed.
            CorruptError: the format file or the log's header is damaged.
        """
        disk: Files = OsFiles() if files is None else files
        store = cls(disk, folder, layout.check(disk, folder), durability=durability, wait_s=wait_s)
        layout.check_log(disk, folder, store.id)
        if not store.catalog.load():
            # A store that cannot be written is read through entries held in memory.
            with suppress(StoreIOError, LockedError):
                store.rebuild_index()
        return store

    def key(self) -> bytes:
        """32 secret bytes of this store, for fingerprints of secrets.

        Raises:
            CorruptError: the file is missing or has another length: fingerprints would tell too much.
        """
        path = join(self.folder, layout.KEY)
        key = b"" if self.files.stamp(path) is None else self.files.read(path)
        if len(key) != layout.KEY_BYTES:
            raise CorruptError(
                "The store's key, which fingerprints of secrets are made with, is missing or damaged",
                hint=f"Put it back from a copy, or write {layout.KEY_BYTES} random bytes into {path}; "
                "fingerprints from before will not match then",
                file=path,
            )
        return key

    @property
    def path(self) -> str:
        """The store's folder, under the name other seams use."""
        return self.folder

    def read_cache(self, name: str) -> bytes | None:
        """See ``CommitStore``."""
        path = join(self.folder, layout.CACHE, name)
        return self.files.read(path) if self.files.stamp(path) is not None else None

    def write_cache(self, name: str, pieces: Iterable[bytes]) -> None:
        """See ``CommitStore``. A failure costs time at the next commit, nothing else."""
        path = join(self.folder, layout.CACHE, name)
        temporary = f"{path}.{self.files.owner()}"
        try:
            self.files.make_folder(join(self.folder, layout.CACHE))
            handle = self.files.append(temporary, create=True)
            try:
                handle.write(b"".join(pieces))
            finally:
                handle.close()
            self.files.rename(temporary, path)
        except StoreIOError:
            with suppress(StoreIOError):  # a file system that takes no file gives none up either
                self.files.remove(temporary)

    def close(self) -> None:
        """Close open files."""
        self.segments.close()

    def refresh(self) -> None:
        """Take in what other processes published or removed since."""
        self.catalog.refresh()

    # Reading

    def has(self, object_id: ObjectId) -> bool:
        """See ``ObjectReader``. Does not look for what others published since ``refresh``."""
        return self.catalog.find(object_id) is not None

    def get(self, object_id: ObjectId) -> bytes:
        """See ``ObjectReader``."""
        return self._read(object_id, self._decoder.object_bytes)

    def get_at(self, entry: Entry) -> bytes:
        """The bytes of the object at a place that was looked up before, verified against its id.

        Raises:
            CorruptError: damaged, or a gc moved it since.
            MissingObjectError: a chunk or a base is not in the store.
        """
        return self._decoder.object_bytes(entry)

    def stream(self, blob: BlobId) -> Iterator[bytes]:
        """See ``ObjectReader``."""
        return self._read(blob, self._decoder.stream)

    def _read(self, object_id: ObjectId, read: Callable[[Entry], _T]) -> _T:
        try:
            return read(self._sought(object_id))
        except CorruptError:
            self._sought(object_id)  # says so when it was purged meanwhile
            raise

    def info(self, object_id: ObjectId) -> ObjectInfo:
        """See ``ObjectReader``."""
        return self._read(object_id, lambda entry: self._decoder.from_any(entry, self._info))

    def _info(self, entry: Entry) -> ObjectInfo:
        header, _ = self.segments.record(entry.segment, entry.offset, entry.length)
        kind = ObjectKind(header.kind)
        raw = header.lengths[entry.position]
        share = entry.length
        if header.type == RecordType.GROUP:
            share = entry.length * raw // max(header.raw_bytes, 1)
        return ObjectInfo(kind, raw, share, header.depth)

    def chunk_list(self, blob: BlobId) -> list[tuple[bytes, int]]:
        """Ids and lengths of the blob's chunks in order; the blob itself when it is stored in one piece."""
        return self._read(blob, self._decoder.chunk_list)

    def ids(self, kind: ObjectKind | None = None) -> Iterator[ObjectId]:
        """See ``ObjectReader``. Chunks are blobs. Memory: a 256th of the ids."""
        for leading in range(256):
            seen = set()
            for entry in self.catalog.part(leading):
                if (kind is None or entry.kind == kind) and entry.id not in seen:
                    seen.add(entry.id)
                    yield ObjectId(entry.id)

    def locate(self, ids: Iterable[ObjectId]) -> list[tuple[int, int, int]]:
        """Where each id lies, to be sorted by: the order in which reading is cheapest, missing ids last."""
        return list(map(self._place, ids))

    def _place(self, object_id: ObjectId) -> tuple[int, int, int]:
        entry = self.catalog.find(object_id)
        return (_LAST, 0, 0) if entry is None else (entry.segment, entry.offset, entry.position)

    def trees_ahead(self) -> TreesAhead:
        """A reader for many trees that are asked for in about the order in which they were stored."""
        return TreesAhead(self)

    def trees_together(self) -> TreesTogether:
        """A reader for many trees at once, in whatever order they are asked for."""
        return TreesTogether(self)

    def durable_bytes(self, segment: int, count: int, offset: int) -> bytes:
        """At most ``count`` bytes of a segment from ``offset`` on, as far as they are durable."""
        end = self.catalog.lengths().get(segment, 0)
        return self.segments.pread(segment, max(0, min(count, end - offset)), offset)

    def _sought(self, object_id: bytes) -> Entry:
        entry = self.catalog.find(object_id)
        if entry is None:
            # Readers read the log before the index: what they were told of may be newer than our view.
            self.refresh()
            entry = self.catalog.find(object_id)
        if entry is not None:
            return entry
        reason = self.log.purge_reasons().get(object_id)
        if reason is not None:
            raise MissingObjectError(
                f"Object {object_id.hex()} was purged ({reason or 'on purpose'})",
                id=object_id.hex(),
                purged=True,
            )
        raise MissingObjectError(f"Object {object_id.hex()} is not in the store", id=object_id.hex())

    # Writing

    def writer(self, *, claim: Claim | None = None, rewriting: bool = False) -> SegmentWriter:
        """A new writer with its own segment and a share of the store's lock.

        Args:
            claim: see ``SegmentWriter``.
            rewriting: store what the store has already (gc). The caller holds ``deleting()``.

        Raises:
            LockedError: data is being removed just now.
        """
        share = None if rewriting else self.leases.writing()
        try:
            if not rewriting:
                self.refresh()
                if self.log.expected_sweeps is None:
                    self.log.expected_sweeps = self.log.sweeps()
        except BaseException:
            if share is not None:  # a process that lives on must not keep others from collecting
                share.release()
            raise
        writer = SegmentWriter(self, claim=claim, rewriting=rewriting, durable=self._durable)
        if share is not None:
            name = f"writer-{self.files.random_bytes(4).hex()}"
            self._shares[id(writer)] = (share, name)
            with suppress(StoreIOError):  # only a text for whoever has to wait
                self.leases.announce(name)
        return writer

    def entry_of(self, object_id: bytes) -> Entry | None:
        """See ``Host``."""
        return self.catalog.find(object_id)

    def short_segments(self) -> dict[int, int]:
        """See ``CommitStore``."""
        return self.catalog.short()

    @contextmanager
    def doubting(self, short: Mapping[int, int], *, always: bool) -> Iterator[None]:
        """See ``CommitStore``. Cost, when ``short`` is news to the index: the headers of every segment."""
        if short != self.catalog.index.short:
            self.segments.close()  # what is gone can be read through an open file
            self.rebuild_index()
        self.doubts = always or bool(short)
        try:
            yield
        finally:
            self.doubts = False

    def holds(self, object_id: bytes) -> bool:
        """Whether a writer need not store the object: it is here; while there are doubts, and can be read."""
        if not self.doubts:
            return self.catalog.find(object_id) is not None
        return any(map(self._decoder.is_whole, self.catalog.find_all(object_id)))

    def whole_copies(self) -> dict[bytes, list[Entry]]:
        """Of objects that have damaged copies and whole ones: the whole ones, which a gc must keep all.

        What is read through one of them is read through whole copies alone. Cost: every object that is
        stored more than once, which is seldom.
        """
        found: dict[bytes, list[Entry]] = {}
        for object_id in self.catalog.doubles():
            copies = self.catalog.find_all(object_id)
            whole = list(filter(self._decoder.is_whole, copies))
            if 0 < len(whole) < len(copies):
                found[object_id] = whole
        return found

    def least_copy(self, object_id: bytes, *, is_list: bool | None = None) -> Entry | None:
        """Of several copies of an object the one of the least depth: the one a gc must keep.

        Every copy was written above a base of lesser depth, so the least copies of all objects
        never need each other in a circle; any other choice could keep two deltas of each other.
        Cost: about 30 us.
        """
        return self._decoder.least(object_id, is_list=is_list)

    def body_of(self, entry: Entry) -> Body:
        """See ``Host``."""
        return self._decoder.body(entry)

    def new_segment(self, *, fresh: bool = False) -> SegmentAppender:
        """See ``Host``: the newest segment with room that nobody writes to, or a new one.

        gc wants a fresh one: any other may be among those it is about to take away.
        """
        if fresh:
            return self._created_segment()
        lengths = self.catalog.lengths()
        with_room = [number for number, length in lengths.items() if length < segments.SEAL_BYTES - _ROOM]
        for number in sorted(with_room, reverse=True)[:_CANDIDATES]:
            path = self.segments.path(number)
            lock = self.files.try_lock(path, exclusive=True)
            if lock is None:
                continue
            self.refresh()
            # Bytes beyond the durable length are somebody's who has not told the log yet, or a
            # dead writer's. They cannot be told apart, so such a segment is left alone (gc's work).
            if self.segments.size(number) == self.catalog.lengths().get(number):
                return SegmentAppender(number, self.files.append(path), lock)
            lock.release()
        return self._created_segment()

    def _created_segment(self) -> SegmentAppender:
        number = self.catalog.next_segment()
        while True:
            path = self.segments.path(number)
            try:
                handle = self.files.append(path, create=True)
            except StoreIOError:
                if self.files.stamp(path) is None:
                    raise
                number += 1  # another writer was faster
                continue
            handle.write(segments.HEADER)
            self.files.sync_folder(join(self.folder, segments.FOLDER))
            lock = self.files.try_lock(path, exclusive=True)
            if lock is not None:
                return SegmentAppender(number, handle, lock)
            handle.close()
            number += 1

    def synced(self, writer: SegmentWriter) -> None:
        """See ``Host``."""
        self.catalog.note(decode_export(writer.export_entries()))

    def released(self, writer: SegmentWriter, *, failed: bool) -> None:
        """See ``Host``."""
        share = self._shares.pop(id(writer), None)
        try:
            if failed:
                for number, start, _ in writer.segment_lengths():
                    self._cut_back(number, start)
        finally:
            if not self._shares:
                self.log.expected_sweeps = None
                # From now on a gc may take whatever the log does not name.
                self.catalog.forget_unrecorded()
            if share is not None:
                with suppress(StoreIOError):
                    self.leases.withdraw(share[1])
                share[0].release()

    def adopt(self, exported: bytes) -> tuple[tuple[int, int], ...]:
        """Take over what a forked worker synced and exported; returns its (segment, length) pairs.

        The objects can be read here at once, and by others once the log names the segments.
        """
        spans = decode_export(exported)
        self.catalog.adopt(spans)
        self.adopted_bytes += sum(end - start for _, start, end, _ in spans)
        return tuple((number, end) for number, _, end, _ in spans)

    def discard(self, exported: bytes) -> None:
        """Cut off again what a worker exported, when the commit failed."""
        for number, start, _, _ in decode_export(exported):
            self.catalog.forget(number)  # whether or not it can be cut: no log record will name it
            lock = self.files.try_lock(self.segments.path(number), exclusive=True)
            if lock is not None:
                try:
                    self._cut_back(number, start)
                finally:
                    lock.release()

    def _cut_back(self, number: int, start: int) -> None:
        """Cut a segment to ``start`` if no whole log record covers more; its lease is held."""
        self.catalog.forget(number)
        self.refresh()
        if self.catalog.lengths().get(number, 0) <= start < self.segments.size(number):
            self.files.truncate(self.segments.path(number), start)
            # Others will lie where these records lay: what was decoded by place must not be found there.
            self._decoder.clear()

    def rebuild_index(self) -> int:
        """Build the index anew from segments and log; returns the number of entries.

        Cost: the headers of every segment.
        """
        with self.leases.appending():
            self.catalog.rebuild(self.log.end())
        self._decoder.clear()
        return len(self.catalog.index)

    # Deleting

    @contextmanager
    def deleting(self) -> Iterator[None]:
        """Sole use of the store, for gc; ``LockedError`` while anybody writes."""
        with self.leases.deleting():
            self.files.make_folder(join(self.folder, layout.CACHE))
            self.refresh()
            yield

    def unused_segments(self) -> list[int]:
        """Segment files that no log record names: of dead writers, or of sweeps cut short."""
        used = self.catalog.lengths()
        return [number for number in self.segments.numbers() if number not in used]

    def delete_segments(
        self,
        numbers: Iterable[int],
        *,
        moved: tuple[tuple[int, int], ...] = (),
        reason: str = "gc",
        before: Callable[[], None] = lambda: None,
    ) -> int:
        """Take segments away: log record, index, data, in this order. Under ``deleting()``.

        Args:
            numbers: segments that hold nothing needed.
            moved: what the rewriting writer's ``sync`` returned: where the living went.
            reason: kept in the log.
            before: invalidates caches, durably, before anything else happens.

        Returns:
            Bytes given back. A failure leaves either everything, or segments that no
            record needs, which the next gc removes.
        """
        gone = sorted(set(numbers))
        before()
        named = [number for number in gone if number in self.catalog.lengths()]
        if named or moved:
            self.log.sweep(named, moved, reason)
        freed = 0
        self._decoder.clear()
        for number in gone:
            freed += self.segments.size(number)
            self.segments.forget(number)
            self.files.remove(self.segments.path(number))
        if gone:
            self.files.sync_folder(join(self.folder, segments.FOLDER))
        return freed
