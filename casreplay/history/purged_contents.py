"""Contents that were purged, as whoever reads many of them meets them.

A purge takes a content out of all history and leaves the snapshots. What is missing or damaged
otherwise stays an error.
"""

from __future__ import annotations

from casreplay.errors import MissingObjectError
from casreplay.model.ids import BlobId, ObjectId
from casreplay.store.base import ObjectReader

__all__ = ["is_purged", "read_left"]


def is_purged(objects: ObjectReader, blob: BlobId) -> bool:
    """Whether ``blob`` was erased on purpose; ``False`` for what is damaged. Cost: a look into the index."""
    if objects.has(ObjectId(blob)):
        return False
    try:
        objects.get(ObjectId(blob))
    except MissingObjectError as error:
        return error.is_purged
    return False


def read_left(objects: ObjectReader, blob: bytes) -> bytes | None:
    """The content; ``None`` where it was purged.

    Raises:
        MissingObjectError: it is not in the store, for another reason.
        CorruptError: it is damaged.
    """
    try:
        return objects.get(ObjectId(blob))
    except MissingObjectError as error:
        if not error.is_purged:
            raise
        return None
