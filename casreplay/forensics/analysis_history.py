"""Where in a stretch of history each path changed: which snapshot shows it first, which had it last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile

from casreplay.history.diff import diff_trees
from casreplay.history.repository import Repository
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.objects import Snapshot, TreeEntry

__all__ = ["History", "histories"]

MAX_SNAPSHOTS = 500
"""Of a longer stretch only its ends are compared; changes are then dated by its last snapshot."""


@dataclass(frozen=True, slots=True)
class History:
    """A stretch of history between two states.

    Attributes:
        snapshots: from the good one to the bad one, oldest first; both included.
        first_change: for each path that changed on the way, the position in ``snapshots`` of
            the first one that shows a change.
        shown: for each of these paths, what is there in that snapshot.
        first_without: as ``first_change``, of those whose content changed or went, not only the mode.
        is_whole: whether every snapshot on the way was compared.
    """

    snapshots: Sequence[Snapshot]
    first_change: Mapping[bytes, int]
    shown: Mapping[bytes, TreeEntry | None]
    first_without: Mapping[bytes, int]
    is_whole: bool

    def shown_by(self, path: bytes) -> Snapshot | None:
        """The first snapshot that shows ``path`` changed; ``None``: only the folder does."""
        at = self.first_change.get(path)
        return self.snapshots[at] if at is not None else None

    def as_shown(self, change: Change) -> Change:
        """``change`` with the entry that the first snapshot has that shows it; as it is where none does."""
        return replace(change, after=self.shown[change.path]) if change.path in self.shown else change

    def place(self, change: Change) -> tuple[str, str | None]:
        """Hex ids of the newest snapshot that still has what ``change`` took, and of the first without it."""
        at = self.first_without.get(change.old_path or change.path)
        if at is None:
            return (self.snapshots[-1].id.hex() if self.snapshots else "", None)
        return self.snapshots[max(0, at - 1)].id.hex(), self.snapshots[at].id.hex()


def histories(repository: Repository, good: Snapshot | None, bad: Snapshot | None) -> History:
    """The stretch from ``good`` to ``bad`` (``None``: to the newest snapshot).

    Cost: one comparison for each snapshot on the way, at most 500.
    """
    last = bad or repository.head()
    first = good.sequence if good else 0
    newest = last.sequence if last else 0
    found = [
        one
        for one in takewhile(lambda snapshot: snapshot.sequence >= first, repository.snapshots())
        if one.sequence <= newest
    ][::-1]
    is_whole = len(found) <= MAX_SNAPSHOTS
    steps = found if is_whole else [found[0], found[-1]]
    changed: dict[bytes, int] = {}
    shown: dict[bytes, TreeEntry | None] = {}
    without: dict[bytes, int] = {}
    for at, (before, after) in enumerate(pairwise(steps), start=1):
        for change in diff_trees(repository.objects, before.root, after.root):
            changed.setdefault(change.path, at)
            shown.setdefault(change.path, change.after)
            if change.kind is not ChangeKind.MODE:
                without.setdefault(change.path, at)
    return History(steps, changed, shown, without, is_whole)
