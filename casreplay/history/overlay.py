"""A view of the store with the workspace as it is now on top, nothing written.

Owns what ``status``, ``diff A`` and ``restore``'s plan need to compare a snapshot with
the folder: the same scan and the same trees as a commit, kept in this process's memory.
Changed contents are kept up to a bound; beyond it only their ids are known, and reading
one says so.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Self

from casreplay.codec.hashing import BlobHasher
from casreplay.errors import MissingObjectError
from casreplay.model.ids import BlobId, ObjectId, TreeId
from casreplay.store.base import CommitStore, ObjectInfo, ObjectKind, SnapshotLog
from casreplay.workspace import workers

__all__ = ["OverlayStore"]

KEPT_BYTES = 256 << 20


class OverlayStore:
    """Reads fall through to the store below; writes stay in memory and are forgotten.

    It is its own writer: a commit's pipeline runs on it unchanged. The stat cache is
    read but never written. A forked worker writes to an overlay of its own above this one and
    sends what is in it; each keeps its share of what all may keep.

    Args:
        below: the store.
        kept_bytes: how much changed content to keep readable.

    Attributes:
        has_new_content: whether anything was put that the store below lacks, trees left aside.
    """

    can_fork = True
    adopted_bytes = 0

    def __init__(self, below: CommitStore, *, kept_bytes: int = KEPT_BYTES) -> None:
        self._below = below
        self._room = kept_bytes
        self._objects: dict[bytes, bytes] = {}
        self._trees: dict[bytes, bytes] = {}
        self._forgotten: dict[bytes, int] = {}
        self.has_new_content = False

    @property
    def id(self) -> bytes:
        """The id of the store below, so that its stat cache fits."""
        return self._below.id

    @property
    def log(self) -> SnapshotLog:
        """The log below; never appended to through an overlay."""
        return self._below.log

    def has(self, object_id: ObjectId) -> bool:
        """Whether the object is here, was seen here, or is in the store below."""
        return self._holds(object_id) or object_id in self._forgotten or self._below.has(object_id)

    def _holds(self, object_id: bytes) -> bool:
        return object_id in self._objects or object_id in self._trees

    def get(self, object_id: ObjectId) -> bytes:
        """The object's bytes.

        Raises:
            MissingObjectError: unknown, or more changed content than is kept.
        """
        found = self._trees.get(object_id) or self._objects.get(object_id)
        if found is not None:
            return found
        if object_id in self._forgotten:
            raise MissingObjectError(
                "The folder holds more changed content than is kept for comparison",
                hint="Commit first, then compare the two snapshots",
                object=object_id.hex(),
            )
        return self._below.get(object_id)

    def stream(self, blob: BlobId) -> Iterator[bytes]:
        """The blob's bytes; in one piece when they are here."""
        if blob in self._objects or blob in self._forgotten:
            yield self.get(blob)
        else:
            yield from self._below.stream(blob)

    def info(self, object_id: ObjectId) -> ObjectInfo:
        """Facts about the object; nothing here takes up stored bytes."""
        if object_id in self._forgotten:
            return ObjectInfo(ObjectKind.BLOB, self._forgotten[object_id], 0, 0)
        if object_id in self._objects:
            return ObjectInfo(ObjectKind.BLOB, len(self._objects[object_id]), 0, 0)
        if object_id in self._trees:
            return ObjectInfo(ObjectKind.TREE, len(self._trees[object_id]), 0, 0)
        return self._below.info(object_id)

    def ids(self, kind: ObjectKind | None = None) -> Iterator[ObjectId]:
        """The ids of the store below; what is only here does not count as stored."""
        return self._below.ids(kind)

    def writer(self, *, claim: Callable[[bytes], bool] | None = None) -> OverlayStore:
        """An overlay above this one, for a forked worker: what it holds can be exported."""
        del claim  # whoever reads asks it first
        return OverlayStore(self, kept_bytes=self._room // workers.count())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Nothing to release."""

    def expect(self, raw_bytes: int) -> None:
        """Nothing is compressed here."""

    def put_blob(self, blob: BlobId, raw: bytes, base: BlobId | None = None) -> bool:
        """Keep ``raw`` while there is room."""
        del base
        if self.has(blob):
            return False
        self.has_new_content = True
        if len(raw) <= self._room:
            self._room -= len(raw)
            self._objects[blob] = raw
        else:
            self._forgotten[blob] = len(raw)
        return True

    def put_stream(self, pieces: Iterable[bytes], base: BlobId | None = None) -> tuple[BlobId, int]:
        """Hash the pieces; keep them while there is room."""
        hasher, kept, length = BlobHasher(), [], 0
        for piece in pieces:
            hasher.update(piece)
            length += len(piece)
            if length <= self._room:
                kept.append(piece)
        blob = hasher.id()
        if length <= self._room:
            self.put_blob(blob, b"".join(kept), base)
        elif not self.has(blob):
            self.has_new_content = True
            self._forgotten[blob] = length
        return blob, length

    def put_tree(self, tree: TreeId, raw: bytes, base: TreeId | None = None) -> bool:
        """Keep a tree."""
        del base
        self._trees[tree] = raw
        return True

    def sync(self) -> tuple[tuple[int, int], ...]:
        """Nothing is durable here."""
        return ()

    @property
    def has_new(self) -> bool:
        """Whether anything was put that the store below lacks, trees left aside."""
        return self.has_new_content

    @property
    def stored_bytes(self) -> int:
        """Always 0."""
        return 0

    def export_entries(self) -> bytes:
        """All that was put here, contents included, as far as they are kept."""
        return marshal.dumps((self._objects, self._trees, self._forgotten))

    def adopt(self, exported: bytes) -> tuple[tuple[int, int], ...]:
        """Take over what a worker's overlay holds, contents while there is room; nothing is durable."""
        objects, trees, forgotten = marshal.loads(exported)  # noqa: S302 - from this program's own worker
        self._trees.update(trees)
        self._forgotten.update(forgotten)
        for blob, raw in objects.items():
            self.put_blob(BlobId(ObjectId(blob)), raw)
        return ()

    def discard(self, exported: bytes) -> None:
        """Nothing to give back."""

    def short_segments(self) -> Mapping[int, int]:
        """What the store below has lost."""
        return self._below.short_segments()

    def doubting(self, short: Mapping[int, int], *, always: bool) -> AbstractContextManager[None]:
        """Nothing to do: trees are kept here all, and contents are compared by their ids."""
        del short, always
        return nullcontext()

    def read_cache(self, name: str) -> bytes | None:
        """The cache below."""
        return self._below.read_cache(name)

    def write_cache(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write nothing: looking must not change what is looked at."""
