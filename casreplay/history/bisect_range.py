"""The snapshots of a bisect in order from the good to the bad end, and the classes they form.

Neighbouring snapshots that agree on everything the predicate reads (the whole content,
or the watched paths) are one class: one position of the search.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from casreplay.codec.hashing import blob_id
from casreplay.errors import UsageError
from casreplay.history.bisect_fold import PathFold
from casreplay.model.ids import short
from casreplay.model.objects import Snapshot
from casreplay.store.base import ObjectReader, SnapshotLog

__all__ = ["Range", "between", "classes", "first_parents"]


@dataclass(frozen=True, slots=True)
class Range:
    """Snapshots and their classes.

    Attributes:
        snapshots: from the good end to the bad end.
        starts: index of the first snapshot of each class, in order.
        keys: what the predicate reads of each class; equal keys share a verdict.
    """

    snapshots: tuple[Snapshot, ...]
    starts: tuple[int, ...]
    keys: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Number of classes: positions of the search."""
        return len(self.starts)

    def first(self, position: int) -> Snapshot:
        """The snapshot of the class nearest to the good end: the one that is run."""
        return self.snapshots[self.starts[position]]

    def last(self, position: int) -> Snapshot:
        """The snapshot of the class nearest to the bad end."""
        end = self.starts[position + 1] if position + 1 < self.size else len(self.snapshots)
        return self.snapshots[end - 1]

    def inside(self, first: int, last: int) -> tuple[Snapshot, ...]:
        """All snapshots of the classes ``first..last``."""
        end = self.starts[last + 1] if last + 1 < self.size else len(self.snapshots)
        return self.snapshots[self.starts[first] : end]

    def position_of(self, snapshot: Snapshot) -> int | None:
        """The class that holds ``snapshot``; ``None`` when it is not in the range."""
        for i, one in enumerate(self.snapshots):
            if one.id == snapshot.id:
                return max(c for c, start in enumerate(self.starts) if start <= i)
        return None


def between(log: SnapshotLog, good: Snapshot, bad: Snapshot) -> list[Snapshot]:
    """Every snapshot from ``good`` to ``bad``, both included, in that order.

    ``good`` may be the newer one: the search then goes back in time, for the snapshot
    that repaired something.

    Raises:
        UsageError: both are the same snapshot.
    """
    if good.id == bad.id:
        raise UsageError(
            f"GOOD and BAD are the same snapshot ({short(good.id)})", hint="Name two different snapshots"
        )
    low, high = sorted((good.sequence, bad.sequence))
    found = []
    for one in log.newest_first():
        if one.sequence < low:
            break
        if one.sequence <= high:
            found.append(one)
    return found if good.sequence > bad.sequence else found[::-1]


def first_parents(line: Sequence[Snapshot]) -> list[Snapshot]:
    """The snapshots of ``line`` on the first-parent chain of its newest one.

    Parents are those that ``import-git`` recorded; without them a snapshot's parent is the one before
    it, so a history that never forked stays whole. Both ends are always kept.
    """
    ordered = sorted(line, key=lambda one: one.sequence)
    wanted = ""
    kept = []
    for one in reversed(ordered):
        commit = one.extra.get("git.commit", "")
        if wanted and commit and commit != wanted and one is not ordered[0]:
            continue
        kept.append(one)
        wanted = one.extra.get("git.parents", "").partition(" ")[0]
    return kept if line[0].sequence > line[-1].sequence else kept[::-1]


def classes(objects: ObjectReader, line: Iterable[Snapshot], watch: Sequence[bytes] = ()) -> Range:
    """The classes of ``line``.

    Args:
        objects: where trees are read; not used without ``watch``.
        line: snapshots in order.
        watch: paths that decide the verdict; the whole content when empty.

    Cost: one lookup for each distinct folder on the way to each watched path.
    """
    snapshots = tuple(line)
    folds = [PathFold(objects, path) for path in watch]
    starts: list[int] = []
    keys: list[bytes] = []
    for i, one in enumerate(snapshots):
        key = _key(one, folds) if folds else bytes(one.tree)
        if not keys or keys[-1] != key:
            starts.append(i)
            keys.append(key)
    return Range(snapshots, tuple(starts), tuple(keys))


def _key(snapshot: Snapshot, folds: Sequence[PathFold]) -> bytes:
    parts = []
    for fold in folds:
        entry = fold.entry(snapshot.root, snapshot.tree)
        shown = b"-" if entry is None else b"%d %d %d " % (entry.kind, entry.state, entry.mode) + entry.id
        parts.append(len(shown).to_bytes(2, "big") + shown)
    return blob_id(b"".join(parts))
