"""The pair of states that triggers look at, and where they note what they saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from casreplay.model.changes import Change
from casreplay.model.findings import Evidence
from casreplay.model.ids import BlobId, ObjectId
from casreplay.model.objects import EntryKind, TreeEntry
from casreplay.model.paths import display

__all__ = ["BlobReader", "Examined", "Pair", "file_blob"]


class BlobReader(Protocol):
    """What triggers need of an object store."""

    def get(self, object_id: ObjectId) -> bytes:
        """A whole blob."""

    def stream(self, blob: BlobId) -> Iterator[bytes]:
        """A blob in pieces."""


def file_blob(entry: TreeEntry | None) -> BlobId | None:
    """The content of a regular file; ``None`` for anything else and for content not captured."""
    if entry is None or entry.kind not in (EntryKind.FILE, EntryKind.EXECUTABLE):
        return None
    return entry.blob_id


def _nothing_ignored(path: bytes) -> bool:
    del path
    return False


@dataclass(frozen=True, slots=True)
class Pair:
    """Two states of a workspace and what changed between them.

    Attributes:
        changes: sorted by path, renames detected.
        objects: reads the blobs of both sides.
        before: hex id of the earlier snapshot; ``None`` when there is none.
        after: hex id of the later snapshot; ``None`` for the folder as it is now.
        is_ignored: whether the rules now in force leave a path out; such a path is not missed.
        memory: what was read of logs, by path, so that several readers of a pair read them once.
    """

    changes: Sequence[Change]
    objects: BlobReader
    before: str | None = None
    after: str | None = None
    is_ignored: Callable[[bytes], bool] = _nothing_ignored
    memory: dict[bytes, object] = field(default_factory=dict, compare=False, repr=False)

    def at_after(self, change: Change, line: int | None = None, end_line: int | None = None) -> Evidence:
        """Evidence on the later side of ``change``."""
        blob = change.after.blob_id if change.after else None
        return Evidence(change.path, self.after, blob, line, end_line if end_line is not None else line)

    def at_before(self, change: Change, line: int | None = None) -> Evidence:
        """Evidence on the earlier side of ``change``."""
        blob = change.before.blob_id if change.before else None
        path = change.old_path if change.old_path is not None else change.path
        return Evidence(path, self.before, blob, line, line)


COUNTS = (
    "changes deletions configs constraints outputs sizes secret_files secret_bytes logs log_bytes"
    " custom_triggers"
)
"""Everything that is counted, always shown, in this order."""


@dataclass(slots=True)
class Examined:
    """What was looked at and what was not: becomes the ``coverage`` of a result.

    Attributes:
        counts: files (and bytes) by family.
        skipped: path, family and reason of what was not examined, or not fully.
        notes: facts about how it was done (engines, what is switched off), one sentence each.
        failed: whether something was left out because it went wrong, not by a limit.
    """

    counts: dict[str, int] = field(default_factory=dict)
    skipped: list[tuple[bytes, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: bool = False

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a count."""
        self.counts[name] = self.counts.get(name, 0) + amount

    def skip(self, path: bytes, family: str, reason: str) -> None:
        """Note that ``path`` was not, or not fully, examined."""
        self.skipped.append((path, family, reason))

    def fail(self, path: bytes, family: str, reason: str) -> None:
        """Note that ``path`` was not examined because something went wrong."""
        self.skip(path, family, reason)
        self.failed = True

    def to_dict(self) -> dict[str, object]:
        """JSON: ``examined`` (all counts), ``not_examined`` (sorted by path), ``notes`` (sentences)."""
        return {
            "examined": {name: self.counts.get(name, 0) for name in COUNTS.split()},
            "not_examined": [
                {"path": display(path), "family": family, "reason": reason}
                for path, family, reason in sorted(self.skipped)
            ],
            "notes": list(self.notes),
        }
