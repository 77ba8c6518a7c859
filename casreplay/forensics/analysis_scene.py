"""Two states of a workspace opened side by side: what analyses, ledgers and timelines look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from casreplay.forensics.purged import is_purged, without_purged
from casreplay.forensics.triggers.pair import Pair
from casreplay.history.diff import diff_trees
from casreplay.history.renames import detect_renames
from casreplay.history.repository import Repository
from casreplay.history.walk import find
from casreplay.model.ids import TreeId
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import Coverage, Snapshot
from casreplay.store.base import ObjectReader

__all__ = ["Scene", "open_scene"]

MAX_READ_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Scene:
    """Two states opened side by side.

    Attributes:
        repository: where they come from.
        objects: reads the contents of both.
        before: the good snapshot; ``None`` for nothing.
        after: the bad one; ``None`` for the folder as it is now.
        root: the later state's tree.
        coverage: of the later state.
        pair: what changed between them.
    """

    repository: Repository
    objects: ObjectReader
    before: Snapshot | None
    after: Snapshot | None
    root: TreeId
    coverage: Coverage
    pair: Pair

    def read(self, path: bytes, *, later: bool) -> bytes | None:
        """The first megabytes of a path's content on one side; ``None`` where there is none (any more)."""
        root = self.root if later else (self.before.root if self.before else None)
        entry = find(self.objects, root, path) if root is not None else None
        blob = entry.blob_id if entry is not None else None
        if blob is None or is_purged(self.objects, blob):
            return None
        found = bytearray()
        for piece in self.objects.stream(blob):
            found += piece
            if len(found) >= MAX_READ_BYTES:
                break
        return bytes(found[:MAX_READ_BYTES])


@contextmanager
def open_scene(
    repository: Repository, before: Snapshot | None, after: Snapshot | None, monitor: Monitor = SILENT
) -> Iterator[Scene]:
    """Open two states; ``after=None`` scans the folder as it is now."""
    if after is not None:
        yield _scene(repository, repository.objects, before, (after.root, after, after.coverage))
        return
    with repository.now(monitor) as (objects, root, coverage):
        yield _scene(repository, objects, before, (root, None, coverage))


def _scene(
    repository: Repository,
    objects: ObjectReader,
    before: Snapshot | None,
    later: tuple[TreeId, Snapshot | None, Coverage],
) -> Scene:
    root, after, coverage = later
    changes = list(diff_trees(objects, before.root if before else None, root))
    rules = repository.rules
    pair = Pair(
        without_purged(detect_renames(changes, objects.get).changes, objects),
        objects,
        before.id.hex() if before else None,
        after.id.hex() if after else None,
        lambda path: rules.ignores(path, is_folder=False),
    )
    return Scene(repository, objects, before, after, root, coverage, pair)
