"""Comparing two large trees with the processors there are; the same answer as ``history.diff`` alone.

Owns dividing: the upper folders are compared here, and when many differ the folders below
are dealt to forked workers. The rules of comparing are ``history.diff``'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from operator import attrgetter
from typing import Any

from casreplay.errors import CasreplayError
from casreplay.history.diff import Pending, changes_below, compare, diff_trees, pending_root
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.ids import TreeId
from casreplay.model.objects import EntryKind, EntryState, TreeEntry
from casreplay.store.base import ObjectReader
from casreplay.workspace import workers

__all__ = ["MANY_FOLDERS", "changes_between"]

MANY_FOLDERS = 128
"""Folders of one level that differ, from which on work is divided: a fork costs as much as some fifty."""

Packed = tuple[Any, ...]
"""A change as plain values, for a pipe."""


def changes_between(
    objects: ObjectReader, before: TreeId | None, after: TreeId | None, *, paths: Iterable[bytes] = ()
) -> list[Change]:
    """All that ``diff_trees`` gives, in its order.

    Cost: as ``diff_trees``; with many folders that differ, divided by the processors.

    Raises:
        MissingObjectError, CorruptError: as ``diff_trees``.
    """
    wanted = tuple(paths)
    found: list[Change] = []
    level = [pending_root(before, after)] if before != after else []
    depth = 0
    while level and len(level) < MANY_FOLDERS and depth < workers.MAX_WORKERS:
        items = [item for folder in level for item in compare(objects, folder, wanted, folders=False)]
        level = [item for item in items if isinstance(item, Pending)]
        found.extend(item for item in items if isinstance(item, Change))
        depth += 1
    hands = workers.deal(level, workers.count() if len(level) >= MANY_FOLDERS else 1)
    if len(hands) < 2:
        for folder in level:
            found.extend(changes_below(objects, folder, wanted, folders=False, depth=depth))
    else:
        jobs = [partial(_part, objects, hand, wanted, depth) for hand in hands]
        try:
            parts = workers.run(jobs)
        except CasreplayError:
            # A worker's error says less than it knew; alone it comes again, in the order of the paths.
            return list(diff_trees(objects, before, after, paths=wanted))
        found.extend(_unpacked(packed) for part in parts for packed in part)
    found.sort(key=attrgetter("path"))
    return found


def _part(
    objects: ObjectReader, folders: list[Pending], wanted: tuple[bytes, ...], depth: int
) -> list[Packed]:
    return [
        _packed(change)
        for folder in folders
        for change in changes_below(objects, folder, wanted, folders=False, depth=depth)
    ]


def _packed(change: Change) -> Packed:
    return change.path, change.kind.value, _fields(change.before), _fields(change.after)


def _fields(entry: TreeEntry | None) -> Packed | None:
    if entry is None:
        return None
    facts = (entry.mode, entry.size_bytes, entry.mtime_ns, entry.id, entry.tree_id)
    return entry.name, int(entry.kind), int(entry.state), *facts


def _unpacked(packed: Packed) -> Change:
    path, kind, before, after = packed
    return Change(path, ChangeKind(kind), _entry(before), _entry(after))


def _entry(fields: Packed | None) -> TreeEntry | None:
    if fields is None:
        return None
    name, kind, state, *facts = fields
    return TreeEntry(name, EntryKind(kind), EntryState(state), *facts)
