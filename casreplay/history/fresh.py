"""What a snapshot puts into an empty folder: files as columns, folder by folder, and little else as values.

Owns the walk that a full restore begins with. It reads every tree before anything is written,
as ``history.walk`` does and under the same limits, so that a damaged one stops the restore in
time. What may be written, and how, is ``workspace``'s affair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from casreplay.errors import CorruptError
from casreplay.history.walk import MAX_PATHS, MAX_REPEATED, entries, load_folder
from casreplay.model.ids import TreeId
from casreplay.model.objects import EntryKind, Tree
from casreplay.model.paths import MAX_DEPTH, display, join
from casreplay.store.base import ObjectReader
from casreplay.workspace.steps import Entry, NewFiles

__all__ = ["FreshTree", "whole_tree"]

_FILES = bytes([EntryKind.FILE, EntryKind.EXECUTABLE])
_IS_FILE = bytes(int(code in _FILES) for code in range(256))
_IS_OTHER = bytes(int(code not in _FILES) for code in range(256))
_NOTHING = Tree((), b"", b"", (), (), b"", (), b"")


@dataclass(slots=True)
class FreshTree:
    """A whole tree, read.

    Attributes:
        files: the files of each folder in which none needs a second look, by path.
        entries: everything else, in the order of ``walk``: folders, links, and all that is in
            a folder with an odd name or a file that was not recorded.
    """

    files: dict[bytes, NewFiles] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)


def whole_tree(objects: ObjectReader, root: TreeId) -> FreshTree:
    """Everything below ``root``. Cost: about 20 us a folder, far below 1 us a file.

    Raises:
        MissingObjectError: a tree is not in the store.
        CorruptError: as ``walk``.
    """
    found = FreshTree()
    limits = _Limits()
    stack = [_folder(objects, b"", (root, None), limits, found)]
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
            continue
        found.entries.append(item)
        path, entry = item
        if entry.tree_id is not None:
            if len(stack) >= MAX_DEPTH:
                raise CorruptError(f"A tree is deeper than {MAX_DEPTH} folders", path=display(path[:200]))
            stack.append(_folder(objects, path, (entry.tree_id, entry.id), limits, found))
    return found


class _Limits:
    """The rules of ``walk`` against trees that multiply: how many paths there may be."""

    def __init__(self) -> None:
        self._entered: set[TreeId] = set()
        self._paths = self._repeated = 0

    def enter(self, tree_id: TreeId, count: int) -> None:
        """Count the entries of one more folder."""
        self._paths += count
        if tree_id in self._entered:
            self._repeated += count
        self._entered.add(tree_id)
        allowed = MAX_REPEATED + 8 * (self._paths - self._repeated)
        if self._paths > MAX_PATHS or self._repeated > allowed:
            raise CorruptError("A tree has more paths than any workspace can have")


def _folder(
    objects: ObjectReader,
    path: bytes,
    where: tuple[TreeId, bytes | None],
    limits: _Limits,
    found: FreshTree,
) -> Iterator[Entry]:
    """The entries of one folder that are wanted as values; its files go into ``found`` where they can.

    ``where`` is the folder's tree and content id.
    """
    try:
        tree = load_folder(objects, *where)
    except CorruptError as error:
        error.fields.setdefault("path", display(path))
        raise
    limits.enter(where[0], len(tree))
    files = _files(tree)
    if files.are_plain:
        if files:
            found.files[path] = files
        tree = _others(tree)
    for entry in entries(tree):
        yield join(path, entry.name), entry


def _files(tree: Tree) -> NewFiles:
    """The files among the entries of ``tree``."""
    columns = (tree.names, tree.modes, tree.sizes, tree.mtimes_ns, _ids(tree), tree.kinds, tree.states)
    if not tree.kinds.translate(None, _FILES):
        return NewFiles(*columns)
    chosen = tree.kinds.translate(_IS_FILE)
    picked: list[list[Any]] = [list(compress(column, chosen)) for column in columns]
    return NewFiles(*picked)


def _others(tree: Tree) -> Tree:
    """The entries of ``tree`` that are no files."""
    chosen = tree.kinds.translate(_IS_OTHER)
    if not any(chosen):
        return _NOTHING
    return Tree(
        names=list(compress(tree.names, chosen)),
        kinds=bytes(compress(tree.kinds, chosen)),
        states=bytes(compress(tree.states, chosen)),
        modes=list(compress(tree.modes, chosen)),
        sizes=list(compress(tree.sizes, chosen)),
        ids=b"".join(compress(_ids(tree), chosen)),
        mtimes_ns=list(compress(tree.mtimes_ns, chosen)),
        tree_ids=tree.tree_ids,
    )


def _ids(tree: Tree) -> list[bytes]:
    return [tree.ids[i : i + 32] for i in range(0, len(tree.ids), 32)]
