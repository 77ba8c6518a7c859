"""The loss ledger: what a stretch of history destroyed, and from where each piece comes back.

Owns what counts as a loss. Deleted and not renamed; emptied; truncated (a shorter file
that is the beginning or the end of the old one, or less than a tenth of it); overwritten
(less than three tenths of the old lines, in files of few lines of the old words, are left,
or something that is no file took its place). An ordinary edit is none. A loss is recoverable
when the store still holds the content; the answer comes from the store, never from a guess.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from casreplay.history.renames import similarity
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.ids import BlobId
from casreplay.model.objects import EntryKind, TreeEntry
from casreplay.model.paths import to_json

__all__ = ["Loss", "LossKind", "LossLedger", "find_losses"]

SMALL_SHARE = 10
"""A file left with less than one part in so many of its bytes is truncated."""
KEPT_PERCENT = 30
FEW_LINES = 5
"""Files of up to so many lines are compared by words."""
_WORD = re.compile(rb"\w+")
COMPARED_BYTES = 1 << 20
"""Files above this are judged by their sizes."""


class LossKind(StrEnum):
    """How content was lost; the words are part of the JSON."""

    DELETED = "deleted"
    OVERWRITTEN = "overwritten"
    TRUNCATED = "truncated"
    EMPTIED = "emptied"


@dataclass(frozen=True, slots=True)
class Loss:
    """One file's content that is gone from the workspace.

    Attributes:
        path: where it was.
        kind: how it was lost.
        size_before: bytes it had.
        size_after: bytes that are there now.
        blob: the lost content; ``None`` when it had never been captured.
        recoverable: whether the store holds that content.
        recover_from: hex id of the newest snapshot that still has it there.
        lost_in: hex id of the first snapshot without it; ``None``: only the folder is without it.
    """

    path: bytes
    kind: LossKind
    size_before: int
    size_after: int
    blob: BlobId | None
    recoverable: bool
    recover_from: str
    lost_in: str | None

    def to_dict(self) -> dict[str, object]:
        """JSON: ``path, kind, size_before, size_after, blob, recoverable, recover_from, lost_in``."""
        return {
            **to_json(self.path),
            "kind": self.kind.value,
            "size_before": self.size_before,
            "size_after": self.size_after,
            "blob": self.blob.hex() if self.blob else None,
            "recoverable": self.recoverable,
            "recover_from": self.recover_from if self.recoverable else None,
            "lost_in": self.lost_in,
        }


@dataclass(frozen=True, slots=True)
class LossLedger:
    """All losses between two states, sorted by path."""

    losses: tuple[Loss, ...]

    @property
    def lost_bytes(self) -> int:
        """Bytes of content that are gone from the workspace."""
        return sum(one.size_before for one in self.losses)

    @property
    def unrecoverable(self) -> tuple[Loss, ...]:
        """What no snapshot can bring back."""
        return tuple(one for one in self.losses if not one.recoverable)

    def to_dict(self) -> dict[str, object]:
        """JSON: ``entries``; ``summary``: a count a kind, ``bytes``, ``recoverable``, ``unrecoverable``."""
        counts = {kind.value: sum(1 for one in self.losses if one.kind is kind) for kind in LossKind}
        summary = {
            **counts,
            "bytes": self.lost_bytes,
            "recoverable": len(self.losses) - len(self.unrecoverable),
            "unrecoverable": len(self.unrecoverable),
        }
        return {"entries": [one.to_dict() for one in self.losses], "summary": summary}


Place = Callable[[Change], tuple[str, str | None]]
"""For a lost path: hex ids of the newest snapshot that has it and of the first without it."""


def find_losses(
    changes: Iterable[Change], read: Callable[[BlobId], bytes], has: Callable[[BlobId], bool], place: Place
) -> LossLedger:
    """The losses among ``changes``.

    Args:
        changes: sorted by path, renames detected.
        read: gives contents of both sides, asked for files of up to 1 MiB only.
        has: whether the store holds a content.
        place: where a lost path last was.

    Cost: two reads for each modified file that became shorter or kept its size.
    """
    found = []
    for change in changes:
        kind = _kind(change, read)
        if kind is None or change.before is None:
            continue
        blob = change.before.blob_id
        last, first_without = place(change)
        found.append(
            Loss(
                path=change.path,
                kind=kind,
                size_before=change.before.size_bytes,
                size_after=change.after.size_bytes if change.after else 0,
                blob=blob,
                recoverable=blob is not None and has(blob),
                recover_from=last,
                lost_in=first_without,
            )
        )
    return LossLedger(tuple(found))


def _kind(change: Change, read: Callable[[BlobId], bytes]) -> LossKind | None:
    before, after = change.before, change.after
    if before is None or not _is_file(before):
        return None
    if after is None or change.kind is ChangeKind.DELETED:
        return LossKind.DELETED
    if not before.size_bytes or change.kind in (ChangeKind.RENAMED, ChangeKind.MODE):
        return None
    if change.kind is ChangeKind.TYPE or not _is_file(after):
        return LossKind.OVERWRITTEN
    if not after.size_bytes:
        return LossKind.EMPTIED
    return _compared(before, after, read)


def _is_file(entry: TreeEntry) -> bool:
    return entry.kind in (EntryKind.FILE, EntryKind.EXECUTABLE)


def _compared(before: TreeEntry, after: TreeEntry, read: Callable[[BlobId], bytes]) -> LossKind | None:
    if after.size_bytes * SMALL_SHARE < before.size_bytes:
        return LossKind.TRUNCATED
    old_id, new_id = before.blob_id, after.blob_id
    if old_id is None or new_id is None or max(before.size_bytes, after.size_bytes) > COMPARED_BYTES:
        return None
    old, new = read(old_id), read(new_id)
    if len(new) < len(old) and _is_cut(old, new):
        return LossKind.TRUNCATED
    if old in new or _kept_percent(old, new) >= KEPT_PERCENT:
        return None
    return LossKind.OVERWRITTEN


def _is_cut(old: bytes, new: bytes) -> bool:
    """Whether ``new`` is one end of ``old`` and at least a twentieth is missing: an edit removes less."""
    return (old.startswith(new) or old.endswith(new)) and (len(old) - len(new)) * 20 >= len(old)


def _kept_percent(old: bytes, new: bytes) -> int:
    """How much of the old content is left, whatever was added: similarity, scaled to the old length."""
    kept = similarity(old, new) * max(len(old), len(new)) // max(1, len(old))
    if kept < KEPT_PERCENT and old.count(b"\n") <= FEW_LINES:
        return max(kept, _kept_words_percent(old, new))
    return kept


def _kept_words_percent(old: bytes, new: bytes) -> int:
    """The same by words, for files of so few lines that a line says little."""
    before, after = Counter(_WORD.findall(old)), Counter(_WORD.findall(new))
    total = sum(len(word) * number for word, number in before.items())
    kept = sum(len(word) * number for word, number in (before & after).items())
    return 100 * kept // max(1, total)
