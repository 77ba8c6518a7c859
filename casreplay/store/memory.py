"""The contracts of ``base`` in memory: the model that property tests compare the disk with.

Keeps the rules, not the costs: nothing is compressed, unsynced objects are invisible
to everybody but their writer, the log is checked exactly as the one on disk is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

from casreplay.codec import hashing
from casreplay.errors import CorruptError, LockedError, MissingObjectError, StoreIOError, UnknownNameError
from casreplay.model.ids import BlobId, ObjectId, SnapshotId, TreeId
from casreplay.model.objects import Snapshot
from casreplay.store.base import ObjectInfo, ObjectKind, SnapshotLog

__all__ = ["MemoryLog", "MemoryStore", "MemoryWriter"]

_PIECE_BYTES = 1 << 20


class MemoryStore:
    """An object store and a log that live as long as this value."""

    def __init__(self) -> None:
        self.objects: dict[bytes, tuple[ObjectKind, bytes]] = {}
        self.log: SnapshotLog = MemoryLog()
        self.id = bytes(16)
        self.can_fork = False
        self.adopted_bytes = 0
        self._caches: dict[str, bytes] = {}

    def has(self, object_id: ObjectId) -> bool:
        """See ``ObjectReader``."""
        return object_id in self.objects

    def get(self, object_id: ObjectId) -> bytes:
        """See ``ObjectReader``."""
        kind, raw = self._found(object_id)
        actual = hashing.tree_id(raw) if kind is ObjectKind.TREE else hashing.blob_id(raw)
        if actual != object_id:
            raise CorruptError(f"Object {object_id.hex()} does not match its id", id=object_id.hex())
        return raw

    def stream(self, blob: BlobId) -> Iterator[bytes]:
        """See ``ObjectReader``."""
        raw = self.get(blob)
        return (raw[at : at + _PIECE_BYTES] for at in range(0, max(len(raw), 1), _PIECE_BYTES))

    def info(self, object_id: ObjectId) -> ObjectInfo:
        """See ``ObjectReader``."""
        kind, raw = self._found(object_id)
        return ObjectInfo(kind, len(raw), len(raw), 0)

    def ids(self, kind: ObjectKind | None = None) -> Iterator[ObjectId]:
        """See ``ObjectReader``."""
        return iter([ObjectId(one) for one, (is_a, _) in self.objects.items() if kind in (None, is_a)])

    def writer(self, *, claim: Callable[[bytes], bool] | None = None) -> MemoryWriter:
        """See ``ForkingStore``."""
        return MemoryWriter(self, claim)

    def adopt(self, exported: bytes) -> tuple[tuple[int, int], ...]:
        """See ``ForkingStore``: nothing to take over, for there are no workers."""
        del exported
        return ()

    def discard(self, exported: bytes) -> None:
        """See ``ForkingStore``."""

    def short_segments(self) -> Mapping[int, int]:
        """See ``CommitStore``: nothing gets lost here."""
        return {}

    def doubting(self, short: Mapping[int, int], *, always: bool) -> AbstractContextManager[None]:
        """See ``CommitStore``: what is here can be read."""
        del short, always
        return nullcontext()

    def read_cache(self, name: str) -> bytes | None:
        """See ``CommitStore``."""
        return self._caches.get(name)

    def write_cache(self, name: str, pieces: Iterable[bytes]) -> None:
        """See ``CommitStore``."""
        self._caches[name] = b"".join(pieces)

    def _found(self, object_id: bytes) -> tuple[ObjectKind, bytes]:
        found = self.objects.get(object_id)
        if found is None:
            raise MissingObjectError(f"Object {object_id.hex()} is not in the store", id=object_id.hex())
        return found


class MemoryWriter:
    """See ``ObjectWriter``."""

    def __init__(self, store: MemoryStore, claim: Callable[[bytes], bool] | None = None) -> None:
        self._store = store
        self._claim = claim
        self._own: dict[bytes, tuple[ObjectKind, bytes]] = {}
        self._stored = 0
        self._closed = False

    def expect(self, raw_bytes: int) -> None:
        """Nothing is compressed here."""

    def put_blob(self, blob: BlobId, raw: bytes, base: BlobId | None = None) -> bool:
        """See ``ObjectWriter``."""
        del base
        return self._put(ObjectKind.BLOB, blob, raw)

    def put_stream(self, pieces: Iterable[bytes], base: BlobId | None = None) -> tuple[BlobId, int]:
        """See ``ObjectWriter``."""
        raw = b"".join(pieces)
        blob = hashing.blob_id(raw)
        self.put_blob(blob, raw, base)
        return blob, len(raw)

    def put_tree(self, tree: TreeId, raw: bytes, base: TreeId | None = None) -> bool:
        """See ``ObjectWriter``."""
        del base
        return self._put(ObjectKind.TREE, tree, raw)

    def _put(self, kind: ObjectKind, object_id: bytes, raw: bytes) -> bool:
        self._check_open()
        if object_id in self._own or object_id in self._store.objects:
            return False
        if self._claim is not None and not self._claim(object_id):
            return False
        self._own[object_id] = (kind, bytes(raw))
        self._stored += len(raw)
        return True

    def sync(self) -> tuple[tuple[int, int], ...]:
        """See ``ObjectWriter``."""
        self._check_open()
        self._store.objects.update(self._own)
        return ((1, self._stored),) if self._own else ()

    def export_entries(self) -> bytes:
        """See ``WorkerWriter``: what was synced is in the store already."""
        return b""

    @property
    def has_new(self) -> bool:
        """See ``WorkerWriter``."""
        return bool(self._own)

    @property
    def stored_bytes(self) -> int:
        """See ``ObjectWriter``."""
        return self._stored

    def _check_open(self) -> None:
        if self._closed:
            raise StoreIOError("This writer is closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True


class MemoryLog:
    """See ``SnapshotLog``."""

    def __init__(self) -> None:
        self._snapshots: list[Snapshot] = []
        self._removed: set[bytes] = set()

    def append(
        self, snapshot: Snapshot, segments: Iterable[tuple[int, int]], parent: SnapshotId | None
    ) -> None:
        """See ``SnapshotLog``."""
        del segments
        head = self.head()
        if (head.id if head else None) != parent or snapshot.sequence != self.next_sequence():
            raise LockedError("Another process recorded a snapshot in between", hint="Try again")
        self._snapshots.append(snapshot)

    def remove(self, ids: Iterable[SnapshotId], reason: str) -> None:
        """See ``SnapshotLog``."""
        del reason
        self._removed.update(ids)

    def head(self) -> Snapshot | None:
        """See ``SnapshotLog``."""
        return next(self.newest_first(), None)

    def get(self, snapshot_id: SnapshotId) -> Snapshot:
        """See ``SnapshotLog``."""
        for snapshot in self.newest_first():
            if snapshot.id == snapshot_id:
                return snapshot
        raise UnknownNameError(f"No snapshot {snapshot_id.hex()}", id=snapshot_id.hex())

    def newest_first(self) -> Iterator[Snapshot]:
        """See ``SnapshotLog``."""
        return iter([one for one in reversed(self._snapshots) if one.id not in self._removed])

    def next_sequence(self) -> int:
        """See ``SnapshotLog``."""
        return len(self._snapshots) + 1

    def __len__(self) -> int:
        return sum(1 for _ in self.newest_first())
