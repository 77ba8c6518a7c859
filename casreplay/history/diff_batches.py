"""Comparing many folders at once: their trees are read together, and only rows that differ are looked at.

Owns the order of work: batches of folders, deepest first, so that little waits. What makes a
row a change is ``history.diff``'s rule; folders in which names were added or removed, and
split ones, are compared there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Protocol, runtime_checkable

from casreplay.codec.tree_rows import LeafPair, pair_of
from casreplay.errors import CorruptError
from casreplay.history.diff import Pending, compare, items_of, may_concern
from casreplay.history.walk import TreeReader
from casreplay.model.changes import Change
from casreplay.model.ids import ObjectId
from casreplay.model.paths import MAX_DEPTH, display
from casreplay.store.base import ObjectReader

__all__ = ["Comparison", "Together", "Trees"]

_BATCH = 256
"""Folders that are read and compared in one go."""


class Trees(Protocol):
    """Gives trees by their ids, many in one call."""

    def get_all(self, ids: Collection[ObjectId]) -> dict[ObjectId, bytes]:
        """The bytes of every one, verified."""


@runtime_checkable
class Together(Protocol):
    """A store that reads many trees faster than one after the other."""

    def trees_together(self) -> Trees:
        """A reader for that."""


class _OneByOne:
    """``Trees`` of a reader that has nothing better."""

    def __init__(self, objects: ObjectReader) -> None:
        self._objects = objects

    def get_all(self, ids: Collection[ObjectId]) -> dict[ObjectId, bytes]:
        """The bytes of every one."""
        return {one: self._objects.get(one) for one in ids}


class _Read:
    """Trees that were read, and the store for those that were not: parts of split folders."""

    def __init__(self, raws: dict[ObjectId, bytes], objects: TreeReader) -> None:
        self._raws = raws
        self._objects = objects

    def get(self, object_id: ObjectId) -> bytes:
        """The tree's bytes, verified."""
        raw = self._raws.get(object_id)
        return self._objects.get(object_id) if raw is None else raw


class Comparison:
    """One comparison of two trees, folder by folder.

    Args:
        objects: where to read.
        wanted: only changes at or below one of these paths; all when empty.
        folders: give every added and deleted folder, not the empty ones only.
    """

    def __init__(self, objects: ObjectReader, wanted: tuple[bytes, ...], *, folders: bool) -> None:
        self._objects = objects
        self._trees = objects.trees_together() if isinstance(objects, Together) else _OneByOne(objects)
        self._wanted = wanted
        self._folders = folders

    def of(self, folders: Sequence[Pending]) -> list[Change | Pending]:
        """The changes of the folders' own entries and the folders to enter, in no particular order.

        Raises:
            MissingObjectError: a tree is not in the store.
            CorruptError: a tree is damaged.
        """
        sides = chain(map(attrgetter("before"), folders), map(attrgetter("after"), folders))
        # Old sides first: what is stored as a difference is most often one from these.
        raws = self._trees.get_all(dict.fromkeys(side[0] for side in sides if side))
        reader = _Read(raws, self._objects)
        items: list[Change | Pending] = []
        for folder in folders:
            before, after = folder.before, folder.after
            pair = None
            if before and after:
                pair = pair_of((raws[before[0]], before[1]), (raws[after[0]], after[1]))
            if pair is None:
                items.extend(compare(reader, folder, self._wanted, folders=self._folders))
            elif pair.rows:
                self._add(items, pair, folder.path)
        return items

    def _add(self, items: list[Change | Pending], pair: LeafPair, folder: bytes) -> None:
        """What follows from the rows that differ in two versions of a folder."""
        above = folder + b"/" if folder else b""
        for row in pair.rows:
            path = above + pair.names[row]
            if self._wanted and not may_concern(path, self._wanted):
                continue
            if pair.is_folder_still(row):
                old, new = pair.target(pair.before, row), pair.target(pair.after, row)
                if old[1] != new[1]:
                    items.append(Pending(path, old, new))
            else:
                entries = pair.entry(pair.before, row), pair.entry(pair.after, row)
                items.extend(items_of(path, *entries, self._wanted, folders=self._folders))

    def below(self, folders: Iterable[Pending]) -> list[Change]:
        """All changes in and below the folders, in no particular order.

        Raises:
            MissingObjectError: a tree is not in the store.
            CorruptError: a tree is damaged or deeper than 1,024 folders.
        """
        found: list[Change] = []
        waiting = list(folders)
        while waiting:
            batch = waiting[-_BATCH:]
            del waiting[-_BATCH:]
            for item in self.of(batch):
                if isinstance(item, Change):
                    found.append(item)
                elif item.path.count(b"/") + 1 < MAX_DEPTH:
                    waiting.append(item)
                else:
                    raise CorruptError(
                        f"A tree is deeper than {MAX_DEPTH} folders", path=display(item.path[:200])
                    )
        return found
