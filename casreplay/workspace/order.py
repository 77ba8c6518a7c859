"""In which order the folders of a restore are written, what each costs, and when it is done with.

Owns these decisions only; carrying them out is ``workspace.materialize``'s affair.
"""

from __future__ import annotations

from collections.abc import Sequence

from casreplay.model.ids import BlobId
from casreplay.model.objects import EntryState
from casreplay.workspace.steps import FileWork, FolderWork
from casreplay.workspace.writer import Content

__all__ = ["closed_at_once", "in_reading_order", "weight"]

FOLDER_WEIGHT_BYTES = 30_000
FILE_WEIGHT_BYTES = 40_000
"""What creating a folder or a file costs, in bytes of content that cost as much."""


def in_reading_order(folders: Sequence[FolderWork], content: Content) -> Sequence[FolderWork]:
    """Folders by where the content of their first file lies, so that the store is read front to back."""
    if content.locate is None or len(folders) < 2:
        return folders
    firsts: list[FileWork | None] = [work.files[0] if work.files else None for work in folders]
    blobs = [BlobId(first.entry.id) for first in firsts if first is not None]  # type: ignore[arg-type]
    places = iter(content.locate(blobs))
    keys = [next(places) if first is not None else () for first in firsts]
    return [folders[i] for i in sorted(range(len(folders)), key=keys.__getitem__)]


def closed_at_once(folders: Sequence[FolderWork]) -> frozenset[bytes]:
    """New folders that get their mode and time behind their own files: nothing more is written into them.

    Those that shut their owner out are not among them, for they may have to be opened once more.
    """
    above = {work.path.rpartition(b"/")[0] for work in folders}
    return frozenset(
        work.path
        for work in folders
        if work.is_new
        and work.entry is not None
        and work.entry.mode & 0o700 == 0o700
        and work.entry.state != EntryState.MOUNT
        and not work.links
        and work.path not in above
    )


def weight(work: FolderWork) -> int:
    """What writing a folder and its files costs, in bytes of content that cost as much."""
    return FOLDER_WEIGHT_BYTES + FILE_WEIGHT_BYTES * len(work.files) + work.size_bytes
