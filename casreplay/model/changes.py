"""A change between two trees: one small sum type for diff, commit counts, restore and forensics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from casreplay.model.objects import TreeEntry

__all__ = ["Change", "ChangeCounts", "ChangeKind"]


class ChangeKind(StrEnum):
    """What happened to a path; ``sigil`` is the letter name-status output shows."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"
    RENAMED = "renamed"
    TYPE = "type"
    MODE = "mode"

    @property
    def sigil(self) -> str:
        """A, M, D, R, T or m, as in ``git diff --name-status`` (m: only the mode changed)."""
        return "m" if self is ChangeKind.MODE else self.value[0].upper()


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs. ``before`` is ``None`` when added, ``after`` when deleted.

    Attributes:
        path: path below the workspace root, ``/``-separated raw bytes; the new path of a rename.
        kind: what happened.
        before: the entry on the old side.
        after: the entry on the new side.
        old_path: where a renamed entry came from; ``None`` otherwise.
        similarity: 0 to 100, how much of a renamed file's content stayed; 100 for equal content.
    """

    path: bytes
    kind: ChangeKind
    before: TreeEntry | None
    after: TreeEntry | None
    old_path: bytes | None = None
    similarity: int = 100


@dataclass(frozen=True, slots=True)
class ChangeCounts:
    """How many paths changed, by kind; ``modified`` includes type and mode changes."""

    added: int = 0
    modified: int = 0
    deleted: int = 0
    renamed: int = 0

    @property
    def total(self) -> int:
        """All changed paths."""
        return self.added + self.modified + self.deleted + self.renamed
