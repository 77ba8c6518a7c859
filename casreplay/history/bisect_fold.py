"""A number for every snapshot of a long history, each distinct folder looked at once.

Owns the sweep under built-in predicates and drift metrics: a measure gives a number for
the own entries of one folder, the sum over all folders is the number of the tree, and
equal folders (by content id) are never looked at twice. Materialises nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from casreplay.errors import CorruptError
from casreplay.history.sweep import in_order
from casreplay.history.walk import child_folders, load_object, lookup
from casreplay.model.ids import ContentId, ObjectId, TreeId
from casreplay.model.objects import EntryKind, Tree, TreeEntry, TreeNode
from casreplay.model.paths import MAX_DEPTH, join, split
from casreplay.store.base import ObjectReader

__all__ = ["Measure", "PathFold", "TreeFold"]

Measure = Callable[[bytes, Tree], int]
"""``(folder path, its entries or one leaf of them) -> number``. The path is ``b""`` unless asked for."""

_FOLDER = int(EntryKind.FOLDER)


class TreeFold:
    """Sums a measure over whole trees.

    Args:
        objects: where trees are read.
        measure: the number for one folder's own entries (folders among them are to be ignored).
        by_path: whether the measure depends on where a folder lies; sharing is then by path too.

    Attributes:
        pairs: (snapshot, path) pairs that the answers so far cover.
        folders: distinct folders (or leaves) that were read for them.
    """

    def __init__(self, objects: ObjectReader, measure: Measure, *, by_path: bool = False) -> None:
        self._objects = cast("ObjectReader", in_order(objects))  # trees are all that is read
        self._measure = measure
        self._by_path = by_path
        self._memo: dict[bytes, tuple[int, int]] = {}
        self.pairs = 0
        self.folders = 0

    def value(self, root: TreeId, content: ContentId) -> int:
        """The measure's sum over the tree. Cost: the folders that no earlier tree shared.

        Raises:
            MissingObjectError: a tree is not in the store.
            CorruptError: a tree is damaged or deeper than 1,024 folders.
        """
        known = self._memo.get(self._key(content, b""))
        if known is None:
            known = self._fill(root, content)
        self.pairs += known[1]
        return known[0]

    def _key(self, content: bytes, path: bytes) -> bytes:
        return content + path if self._by_path else content

    def _fill(self, root: TreeId, content: bytes) -> tuple[int, int]:
        """Post-order over the folders that are not known yet, without recursion."""
        stack = [_Frame(b"", root, content)]
        result = (0, 0)
        while stack:
            frame = stack[-1]
            if not frame.is_open:
                tree = frame.open(self._objects)
                if tree is not None:
                    frame.total = self._measure(frame.path if self._by_path else b"", tree)
                self.folders += 1
            child = frame.next_child(self._memo, self._key)
            if child is not None:
                if len(stack) > MAX_DEPTH:
                    raise CorruptError(f"A tree is deeper than {MAX_DEPTH} folders")
                stack.append(child)
                continue
            stack.pop()
            result = (frame.total, frame.count)
            self._memo[self._key(frame.content, frame.path)] = result
        return result


class _Frame:
    """One folder, leaf or node whose sum is being put together."""

    __slots__ = ("children", "content", "count", "is_open", "path", "total", "tree_id")

    def __init__(self, path: bytes, tree_id: TreeId, content: bytes) -> None:
        self.path, self.tree_id, self.content = path, tree_id, content
        self.total = self.count = 0
        self.is_open = False
        self.children: list[tuple[bytes, TreeId, bytes]] = []

    def open(self, objects: ObjectReader) -> Tree | None:
        """Read the folder; its own entries come back, nothing for a node of a split folder."""
        part = load_object(objects, self.tree_id, self.content)
        below = child_folders(part)
        if isinstance(part, TreeNode):
            paths = [self.path] * len(below)
        else:
            self.count = len(part)
            names = (name for name, kind in zip(part.names, part.kinds, strict=True) if kind == _FOLDER)
            paths = [join(self.path, name) for name in names]
        pairs = zip(paths, below, strict=True)
        self.children = [(path, tree_id, content) for path, (tree_id, content) in pairs]
        self.children.reverse()
        self.is_open = True
        return None if isinstance(part, TreeNode) else part

    def next_child(
        self, memo: dict[bytes, tuple[int, int]], key: Callable[[bytes, bytes], bytes]
    ) -> _Frame | None:
        """The next child that is not known; those that are known are added on the way."""
        while self.children:
            path, tree_id, content = self.children[-1]
            known = memo.get(key(content, path))
            if known is None:
                return _Frame(path, tree_id, content)
            self.children.pop()
            self.total += known[0]
            self.count += known[1]
        return None


class PathFold:
    """The entry at one path in every snapshot, each distinct folder on the way looked at once."""

    def __init__(self, objects: ObjectReader, path: bytes) -> None:
        self._objects = cast("ObjectReader", in_order(objects))  # trees are all that is read
        self._names = split(path)
        self._memo: dict[bytes, TreeEntry | None] = {}

    def entry(self, root: TreeId, content: ContentId) -> TreeEntry | None:
        """The entry at the path, or ``None``. Cost: as ``walk.find``, for changed folders only.

        Raises:
            MissingObjectError: a tree is not in the store.
            CorruptError: a tree is damaged.
        """
        known = self._memo.get(content, self)
        if known is not self:
            return known  # type: ignore[return-value]
        found: TreeEntry | None = None
        tree_id: TreeId | None = root
        at: bytes = content
        for depth, name in enumerate(self._names):
            if tree_id is None:
                found = None
                break
            key = at + bytes((depth & 0xFF, depth >> 8))
            if key not in self._memo:
                self._memo[key] = lookup(self._objects, TreeId(ObjectId(tree_id)), name, at)
            found = self._memo[key]
            if found is None:
                break
            tree_id, at = found.tree_id, found.id
        self._memo[content] = found
        return found
