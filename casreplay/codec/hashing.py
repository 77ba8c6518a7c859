"""BLAKE3 ids. Blobs use the plain hash; trees and snapshots use key derivation.

With a context string per kind no file content can ever pose as a tree or a
snapshot. Source: BLAKE3 paper, section 2.3 (``derive_key``); the attack it rules
out is borg's CVE-2016-10099 and CVE-2023-36811.
"""

from __future__ import annotations

from blake3 import blake3

from casreplay.model.ids import BlobId, ContentId, ObjectId, SnapshotId, TreeId

__all__ = [
    "BlobHasher",
    "blob_id",
    "chain_hash",
    "checksum",
    "content_id",
    "keyed_hash",
    "snapshot_id",
    "stay_single_threaded",
    "tree_id",
]

TREE_CONTEXT = "casreplay 2026 v1 tree"
CONTENT_CONTEXT = "casreplay 2026 v1 content"
SNAPSHOT_CONTEXT = "casreplay 2026 v1 snapshot"
CHAIN_CONTEXT = "casreplay 2026 v1 log chain"
PARALLEL_BYTES = 4 << 20

Bytes = bytes | bytearray | memoryview

_TREES = blake3(derive_key_context=TREE_CONTEXT)
_CONTENTS = blake3(derive_key_context=CONTENT_CONTEXT)
_threads = blake3.AUTO


def stay_single_threaded() -> None:
    """Hash on the calling thread only, from now on in this process.

    For forked children: the threads of BLAKE3's pool exist in the parent only, and a child
    that asks the pool it inherited waits for ever.
    """
    global _threads  # noqa: PLW0603 -- one switch for the process, like the pool it guards against
    _threads = 1


def blob_id(data: Bytes) -> BlobId:
    """Id of a blob: BLAKE3 of ``data``. Inputs over 4 MiB are hashed on all cores."""
    threads = _threads if len(data) >= PARALLEL_BYTES else 1
    return BlobId(ObjectId(blake3(data, max_threads=threads).digest()))


class BlobHasher:
    """The id of a blob that arrives in pieces."""

    def __init__(self) -> None:
        self._hasher = blake3(max_threads=_threads)

    def update(self, data: Bytes) -> None:
        """Append ``data`` to what is hashed."""
        self._hasher.update(data)

    def id(self) -> BlobId:
        """The id of everything appended so far."""
        return BlobId(ObjectId(self._hasher.digest()))


def tree_id(canonical: Bytes) -> TreeId:
    """Id of a tree object from its whole canonical bytes."""
    hasher = _TREES.copy()  # a third faster than deriving the key each time
    return TreeId(ObjectId(hasher.update(canonical).digest()))


def content_id(content_part: Bytes) -> ContentId:
    """Content id of a tree from the part of its canonical bytes that precedes the times."""
    hasher = _CONTENTS.copy()
    return ContentId(hasher.update(content_part).digest())


def snapshot_id(canonical: Bytes) -> SnapshotId:
    """Id of a snapshot from its canonical bytes."""
    return SnapshotId(blake3(canonical, derive_key_context=SNAPSHOT_CONTEXT).digest())


def chain_hash(previous: bytes, record: Bytes) -> bytes:
    """The log's running hash after ``record``: 32 bytes over the hash before it and the record."""
    hasher = blake3(previous, derive_key_context=CHAIN_CONTEXT)
    return hasher.update(record).digest()


def checksum(data: Bytes) -> bytes:
    """Eight bytes that tell damage from data; not an id, no protection against intent."""
    return blake3(data).digest(length=8)


def keyed_hash(key: bytes, data: Bytes) -> bytes:
    """32 bytes that only the holder of the 32-byte ``key`` can compute: fingerprints of secrets."""
    return blake3(data, key=key).digest()
