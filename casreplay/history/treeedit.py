"""A tree with some paths changed: only the folders on the way are read and written anew.

Owns what ``import-git`` builds its snapshots with and what delta debugging builds its
half-changed states with. Trees go to a callable that stores them. A folder that loses
its last entry disappears, as in git.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol, cast

from casreplay.history.treebuild import store_tree
from casreplay.history.walk import entries, load_folder
from casreplay.model.ids import ContentId, ObjectId, TreeId
from casreplay.model.objects import EntryKind, EntryState, Tree, TreeEntry
from casreplay.store.base import ObjectReader

__all__ = ["TreeEditor", "Trees", "columns"]

FOLDER_MODE = 0o755
_NO_ID = bytes(32)

PutTree = Callable[[TreeId, bytes, bytes], None]
"""``(tree id, canonical bytes, earlier tree id or zeros)``."""


class _Trees:
    """Reads earlier trees here, stores new ones there."""

    def __init__(self, objects: Trees, put: PutTree) -> None:
        self._objects = objects
        self.put = put

    def get(self, tree_id: bytes) -> bytes:
        """An earlier tree's canonical bytes."""
        return self._objects.get(ObjectId(tree_id))


_Edits = dict[bytes, "TreeEntry | _Edits | None"]


class Trees(Protocol):
    """Where an editor reads: the part of ``ObjectReader`` it needs."""

    def get(self, object_id: ObjectId) -> bytes:
        """The object's bytes."""


class TreeEditor:
    """Applies changes to trees; remembers the folders it saw last.

    Args:
        objects: where folders are read that this editor did not write itself.
        put: stores a tree object.
        cached_folders: how many folders to remember.
    """

    def __init__(self, objects: Trees, put: PutTree, *, cached_folders: int = 20_000) -> None:
        self._objects = objects
        self._trees = _Trees(objects, put)
        self._room = cached_folders
        self._cache: dict[bytes, dict[bytes, TreeEntry]] = {}

    def edit(
        self, root: TreeId | None, changes: Mapping[bytes, TreeEntry | None], *, time_ns: int = 0
    ) -> tuple[TreeId, ContentId]:
        """Store the tree ``root`` with ``changes`` applied.

        Args:
            root: the tree to start from; ``None`` for an empty one.
            changes: path to its new entry (whose name must be the path's last), or ``None`` to
                delete it. An entry replaces whatever is there, folders included; deleting what
                is not there does nothing. A path below a changed file turns the file into a folder.
            time_ns: modification time of the folders that change.

        Returns:
            Where the new tree is stored and its content id.
        """
        found = self._folder(root, _nested(changes), time_ns)
        return (found[0], found[1]) if found else store_tree(columns({}), self._trees, _NO_ID)

    def folder(self, tree_id: TreeId) -> dict[bytes, TreeEntry]:
        """The entries of one folder by name; must not be changed by the caller."""
        known = self._cache.get(tree_id)
        if known is None:
            known = {e.name: e for e in entries(load_folder(cast("ObjectReader", self._objects), tree_id))}
            self._remember(tree_id, known)
        return known

    def _folder(
        self, tree_id: TreeId | None, edits: _Edits, time_ns: int
    ) -> tuple[TreeId, ContentId, int] | None:
        """Apply nested edits to one folder; ``None`` when nothing is left in it."""
        here = dict(self.folder(tree_id)) if tree_id is not None else {}
        for name, edit in edits.items():
            if isinstance(edit, dict):
                self._below(here, name, edit, time_ns)
            elif edit is None:
                here.pop(name, None)
            else:
                here[name] = edit
        if not here:
            return None
        tree = columns(here)
        stored, content = store_tree(tree, self._trees, tree_id or _NO_ID)
        self._remember(stored, here)
        return stored, content, sum(tree.sizes)

    def _below(self, here: dict[bytes, TreeEntry], name: bytes, edit: _Edits, time_ns: int) -> None:
        old = here.get(name)
        inside = old.tree_id if old is not None else None
        result = self._folder(inside, edit, time_ns)
        if result is None:
            if old is not None and inside is not None:
                del here[name]
            return
        stored, content, size = result
        if old is not None and inside is not None:
            here[name] = replace(old, size_bytes=size, mtime_ns=time_ns, id=content, tree_id=stored)
        else:
            kind, state = EntryKind.FOLDER, EntryState.COMPLETE
            here[name] = TreeEntry(name, kind, state, FOLDER_MODE, size, time_ns, content, stored)

    def _remember(self, tree_id: TreeId, folder: dict[bytes, TreeEntry]) -> None:
        self._cache[tree_id] = folder
        if len(self._cache) > self._room:
            del self._cache[next(iter(self._cache))]


def _nested(changes: Mapping[bytes, TreeEntry | None]) -> _Edits:
    """Changes by folder. A deletion below a path that becomes a file says nothing new."""
    nested: _Edits = {}
    for path in sorted(changes):
        *above, name = path.split(b"/")
        at: _Edits | None = nested
        for part in above:
            below = at.get(part) if at is not None else None
            if isinstance(below, TreeEntry) and changes[path] is None:
                at = None
            elif at is not None:
                at[part] = at = below if isinstance(below, dict) else {}
        if at is not None:
            at[name] = changes[path]
    return nested


def columns(folder: Mapping[bytes, TreeEntry]) -> Tree:
    """The columns of a folder given as a mapping from name to entry."""
    rows = [folder[name] for name in sorted(folder)]
    return Tree(
        names=[e.name for e in rows],
        kinds=bytes(e.kind for e in rows),
        states=bytes(e.state for e in rows),
        modes=tuple(e.mode for e in rows),
        sizes=tuple(e.size_bytes for e in rows),
        ids=b"".join(e.id for e in rows),
        mtimes_ns=tuple(e.mtime_ns for e in rows),
        tree_ids=b"".join(e.tree_id for e in rows if e.tree_id is not None),
    )
