"""Object ids: distinct static types over 32 raw bytes, their hex form and prefixes.

Ids are ``NewType``s over ``bytes``: mypy keeps them apart, and a hundred thousand
of them cost nothing at run time. How an id is computed is ``codec.hashing``'s affair.
"""

from __future__ import annotations

from typing import NewType

__all__ = [
    "ID_BYTES",
    "BlobId",
    "ContentId",
    "ObjectId",
    "SnapshotId",
    "TreeId",
    "is_hex_prefix",
    "matches_prefix",
    "short",
]

ID_BYTES = 32
SHORT_HEX = 12

ObjectId = NewType("ObjectId", bytes)
"""Any id under which the object store keeps bytes: a ``BlobId`` or a ``TreeId``."""

BlobId = NewType("BlobId", ObjectId)
"""BLAKE3 of the raw bytes of a file, a symlink's target or a chunk; ``b3sum FILE`` prints it."""

TreeId = NewType("TreeId", ObjectId)
"""Key-derived BLAKE3 of the canonical bytes of a tree object, times included."""

ContentId = NewType("ContentId", bytes)
"""Key-derived BLAKE3 of a tree's canonical bytes without its times: what diff and bisect compare."""

SnapshotId = NewType("SnapshotId", bytes)
"""Key-derived BLAKE3 of a snapshot's canonical bytes."""


def short(any_id: bytes) -> str:
    """The first twelve hexadecimal digits of ``any_id``, for people."""
    return any_id[: SHORT_HEX // 2].hex()


def is_hex_prefix(text: str) -> bool:
    """Whether ``text`` could be the start of an id: 4 to 64 lower or upper case hex digits."""
    return 4 <= len(text) <= 2 * ID_BYTES and all(c in "0123456789abcdefABCDEF" for c in text)


def matches_prefix(any_id: bytes, prefix: str) -> bool:
    """Whether the hex form of ``any_id`` starts with ``prefix``, whatever its case."""
    return any_id.hex().startswith(prefix.lower())
