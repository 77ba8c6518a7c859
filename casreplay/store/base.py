"""The contracts of the object store and the snapshot log, in prose and protocol.

Two implementations keep each contract honest: the one on disk (``store.disk`` and its
parts) and the one in memory (``store.memory``); ``tests/contracts`` runs both.

Order invariants that every implementation obeys (``docs/format.md``, section "Order"):

1. Blobs, then trees are durable before the log record that names them; the log record is
   the one commit point.
2. An object counts as present only below the last durable length of its segment.
3. Readers read the log before the index.
4. Deletion goes the other way: log record, index, data; caches are invalidated first.
5. Nothing but locks, leases and caches is rewritten in place.
6. An unknown version stops the reader with ``UnknownFormatError``; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from enum import IntEnum
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from casreplay.model.ids import BlobId, ObjectId, SnapshotId, TreeId
from casreplay.model.objects import Snapshot

__all__ = [
    "ObjectInfo",
    "ObjectKind",
    "ObjectReader",
    "ObjectStore",
    "ObjectWriter",
    "SnapshotLog",
]


class ObjectKind(IntEnum):
    """What an object's bytes are; part of its record, not of its id."""

    BLOB = 1
    TREE = 2


class ObjectInfo(NamedTuple):
    """Facts about a stored object that need no decoding.

    Attributes:
        kind: blob or tree.
        raw_bytes: decoded length. For a chunked blob the whole blob's length.
        stored_bytes: its share of the segment (a group's frame divided by raw length).
        depth: deltas to apply above the key frame.
    """

    kind: ObjectKind
    raw_bytes: int
    stored_bytes: int
    depth: int


class ObjectReader(Protocol):
    """Read side of the store. Every byte returned was checked against its id."""

    def has(self, object_id: ObjectId) -> bool:
        """Whether the object is present and below a durable length."""

    def get(self, object_id: ObjectId) -> bytes:
        """The object's bytes, verified against the id.

        Raises:
            MissingObjectError: not in the store.
            CorruptError: present but damaged.
        """

    def stream(self, blob: BlobId) -> Iterator[bytes]:
        """The blob's bytes in pieces of at most 1 MiB or so; a chunked blob is never held whole.

        The id is verified when the last piece was taken: ``CorruptError`` is raised then.
        """

    def info(self, object_id: ObjectId) -> ObjectInfo:
        """Facts about the object; raises ``MissingObjectError``."""

    def ids(self, kind: ObjectKind | None = None) -> Iterator[ObjectId]:
        """Every id once, in no order."""


class ObjectWriter(Protocol):
    """One writer's unacknowledged additions; a context manager that releases its lease on exit."""

    def put_blob(self, blob: BlobId, raw: bytes, base: BlobId | None = None) -> bool:
        """Add a blob whose id the caller computed; ``base`` is a likely earlier version to delta against.

        Returns whether anything was added (``False``: already present). Blobs over 256 KiB
        are chunked by content; a base helps there too.
        """

    def put_stream(self, pieces: Iterable[bytes], base: BlobId | None = None) -> tuple[BlobId, int]:
        """Add a blob of any length from pieces, computing its id; returns id and length in bytes."""

    def put_tree(self, tree: TreeId, raw: bytes, base: TreeId | None = None) -> bool:
        """Add a tree object; the same terms as ``put_blob``."""

    def sync(self) -> tuple[tuple[int, int], ...]:
        """Make everything put so far durable; returns (segment number, durable length) pairs.

        The pairs go into the log record that names the objects. Putting may go on afterwards.
        """

    @property
    def stored_bytes(self) -> int:
        """Bytes appended to segments by this writer so far."""


class ObjectStore(ObjectReader, Protocol):
    """The whole store of objects."""

    def writer(self) -> ObjectWriter:
        """A new writer with its own segment and lease."""


class SnapshotLog(Protocol):
    """Append-only, hash-chained record of snapshots."""

    def append(
        self, snapshot: Snapshot, segments: Iterable[tuple[int, int]], parent: SnapshotId | None
    ) -> None:
        """Make ``snapshot`` part of history, durably; the commit point.

        Raises:
            LockedError: the head is no longer ``parent``, or the sequence is not the next one
                (lost compare-and-set), or objects were deleted since the writer began: take the
                head again and start over.
        """

    def remove(self, ids: Iterable[SnapshotId], reason: str) -> None:
        """Append records that take the snapshots out of history; their bytes stay in the chain."""

    def head(self) -> Snapshot | None:
        """The newest snapshot that was not removed; reads the file's end only."""

    def next_sequence(self) -> int:
        """The sequence number the next snapshot gets: one more than the highest ever given, from 1."""

    def get(self, snapshot_id: SnapshotId) -> Snapshot:
        """One live snapshot; raises ``UnknownNameError``."""

    def newest_first(self) -> Iterator[Snapshot]:
        """Live snapshots from the newest back, decoded lazily."""

    def __len__(self) -> int:
        """Number of live snapshots."""


class WorkerWriter(ObjectWriter, Protocol):
    """A writer whose records another process will index; a context manager that ends its lease."""

    def __enter__(self) -> Self:
        """The writer itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Release the lease; what was not synced does not count."""

    def expect(self, raw_bytes: int) -> None:
        """Told before a commit's contents come, how many bytes they are in all writers: speed or size."""

    @property
    def has_new(self) -> bool:
        """Whether anything was put that the store lacked."""

    def export_entries(self) -> bytes:
        """After ``sync``: what ``ForkingStore.adopt`` in the parent needs to find the records."""


class ForkingStore(ObjectReader, Protocol):
    """A store whose writers may be opened in forked workers."""

    def writer(self, *, claim: Callable[[bytes], bool] | None = None) -> WorkerWriter:
        """A new writer with its own segment and lease; ``claim`` says whether this one stores an id."""

    @property
    def can_fork(self) -> bool:
        """Whether forked workers may open writers; ``False`` for stores that live in one process's memory."""

    def adopt(self, exported: bytes) -> tuple[tuple[int, int], ...]:
        """Take over what a worker's writer made durable; returns its (segment, durable length) pairs."""

    def discard(self, exported: bytes) -> None:
        """Give back what a worker exported, when the commit failed."""


class CommitStore(ForkingStore, Protocol):
    """What a commit needs of a store beyond objects."""

    @property
    def id(self) -> bytes:
        """Random bytes made with the store; caches are bound to them."""

    @property
    def log(self) -> SnapshotLog:
        """The snapshot log."""

    @property
    def adopted_bytes(self) -> int:
        """Bytes that adopted workers appended to segments since the store was opened."""

    def short_segments(self) -> Mapping[int, int]:
        """Segments that have lost something, missing ones too, with the length they have. Cheap.

        Asked by whoever has a writer: until it is closed nobody may take segments away.
        """

    def doubting(self, short: Mapping[int, int], *, always: bool) -> AbstractContextManager[None]:
        """Make the index agree with ``short``, what ``short_segments`` said: what was lost is absent then.

        While it lasts, and if ``short`` or ``always`` says so, an object counts as stored only if it can
        be read: for writers and their workers.
        """

    def read_cache(self, name: str) -> bytes | None:
        """A rebuildable cache file's bytes, or ``None``; never believed without a check of its header."""

    def write_cache(self, name: str, pieces: Iterable[bytes]) -> None:
        """Replace a cache file atomically; not synced, because losing it loses nothing."""
