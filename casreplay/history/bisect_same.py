"""A fingerprint of what a run read, in any snapshot: equal where the run would read the same again.

Only the folders on the way to what was read are loaded, and of those each distinct one once,
however many snapshots are asked about. Says the same as ``bisect_reads.concerns`` over a
diff, which costs as much as two snapshots differ.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from casreplay.codec.hashing import blob_id
from casreplay.history.bisect_reads import Reads
from casreplay.history.walk import entry_at, load_folder, load_object, lookup
from casreplay.model.ids import TreeId
from casreplay.model.objects import EntryKind, Tree, TreeEntry
from casreplay.model.paths import split
from casreplay.store.base import ObjectReader

__all__ = ["MAX_READ_DEPTH", "SameReads"]

MAX_READ_DEPTH = 200
"""Names in the longest path that can be asked about."""
_ABSENT = b"-"
_FILE = int(EntryKind.FILE)


@dataclass(slots=True, eq=False)
class _Node:
    """One name on the way to what was read, and what counts there."""

    below: dict[bytes, _Node] = field(default_factory=dict)
    is_touched: bool = False
    is_named: bool = False
    is_listed: bool = False
    is_whole: bool = False
    known: dict[bytes, bytes] = field(default_factory=dict)


class SameReads:
    """Fingerprints of one set of reads.

    Args:
        objects: where trees are read.
        reads: what counts; it must prove something, with no path deeper than ``MAX_READ_DEPTH``.
    """

    def __init__(self, objects: ObjectReader, reads: Reads) -> None:
        self._objects = objects
        self._top = _Node()
        for path in reads.touched:
            self._node(path).is_touched = True
        for path in reads.named:
            self._node(path).is_named = True
        for path in reads.listed:
            self._node(path).is_listed = True
        for path in reads.whole:
            self._node(path).is_whole = True

    def _node(self, path: bytes) -> _Node:
        node = self._top
        for name in split(path) if path else ():
            node = node.below.setdefault(name, _Node())
        return node

    def value(self, root: TreeId, content: bytes) -> bytes:
        """The fingerprint in the tree ``root`` of the content id ``content``.

        Cost: the folders on the way that no earlier call saw, and the names in those that count.

        Raises:
            MissingObjectError: a tree is not in the store.
            CorruptError: a tree is damaged.
        """
        return self._folder(self._top, root, content)

    def _folder(self, node: _Node, tree_id: TreeId, content: bytes) -> bytes:
        known = node.known.get(content)
        if known is not None:
            return known
        part = load_object(self._objects, tree_id, content)
        if not isinstance(part, Tree) and node.is_listed:
            part = load_folder(self._objects, tree_id, content)
        pieces = [_listing(part)] if node.is_listed and isinstance(part, Tree) else []
        for name in sorted(node.below):
            entry = (
                _entry(part, name)
                if isinstance(part, Tree)
                else lookup(self._objects, tree_id, name, content)
            )
            pieces.append(self._facts(node.below[name], entry))
        found = node.known[content] = blob_id(b"".join(len(p).to_bytes(4, "big") + p for p in pieces))
        return found

    def _facts(self, node: _Node, entry: TreeEntry | None) -> bytes:
        """What counts of one name: with all its content, by itself, or for what is below it."""
        if entry is None:
            return _ABSENT
        facts = b""
        if node.is_touched or node.is_named or node.is_whole:
            facts = b"%d %d %d" % (entry.kind, entry.state, entry.mode)
        elif node.is_listed or node.below:
            facts = b"%d" % entry.kind
        if node.is_whole or (node.is_touched and entry.kind is not EntryKind.FOLDER):
            facts += b" %d " % entry.size_bytes + entry.id
        if entry.tree_id is not None and not node.is_whole and (node.below or node.is_listed):
            facts += self._folder(node, entry.tree_id, entry.id)
        return facts


def _entry(tree: Tree, name: bytes) -> TreeEntry | None:
    i = bisect_left(tree.names, name)
    return entry_at(tree, i) if i < len(tree.names) and tree.names[i] == name else None


def _listing(tree: Tree) -> bytes:
    """The names in a folder and what a listing tells of each: its type, and whether it was captured."""
    kinds = tree.kinds.replace(bytes((EntryKind.EXECUTABLE,)), bytes((_FILE,)))
    return blob_id(b"\0".join(tree.names)) + blob_id(kinds) + blob_id(tree.states)
