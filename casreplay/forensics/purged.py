"""Contents that were purged: what remains to be said where a state held one.

A purge takes a content out of all history and leaves the snapshots. Whoever compares states that
held it treats it as content that was never captured; what is missing or damaged otherwise stays
an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from casreplay.history.purged_contents import is_purged
from casreplay.model.changes import Change
from casreplay.model.ids import BlobId, ObjectId
from casreplay.model.objects import NO_ID, EntryState, TreeEntry
from casreplay.store.base import ObjectReader

__all__ = ["content_left", "is_purged", "without_purged"]


def content_left(objects: ObjectReader, blob: BlobId) -> bytes:
    """The content; empty where it was purged."""
    return b"" if is_purged(objects, blob) else objects.get(ObjectId(blob))


def without_purged(changes: Iterable[Change], objects: ObjectReader) -> tuple[Change, ...]:
    """``changes`` in which what was purged has no content, as if it had not been readable then."""

    def bare(entry: TreeEntry | None) -> TreeEntry | None:
        blob = entry.blob_id if entry is not None else None
        if entry is None or blob is None or not is_purged(objects, blob):
            return entry
        return replace(entry, id=NO_ID, state=EntryState.UNREADABLE)

    def seen(change: Change) -> Change:
        before, after = bare(change.before), bare(change.after)
        same = before is change.before and after is change.after
        return change if same else replace(change, before=before, after=after)

    return tuple(map(seen, changes))
