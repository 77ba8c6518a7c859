"""Reading trees: whole folders, walks, one path, everything reachable.

Owns: joining split folders, the limits that keep a hostile tree from taking memory
or time without end, and the check that a folder's content id is what its parent says.
Does not decide anything and knows no snapshots; ``history.diff`` compares, this reads.

A tree cannot contain itself while ids are verified, but a reader that trusted that
would loop on the first store whose reader does not verify; depth and counts are
bounded here whatever the store does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain, compress
from operator import and_
from typing import Protocol

from casreplay.codec.manifest import MAX_ENTRIES, decode_tree
from casreplay.errors import CorruptError, UnknownNameError
from casreplay.model.ids import BlobId, ContentId, ObjectId, TreeId, short
from casreplay.model.objects import EntryKind, EntryState, Tree, TreeEntry, TreeNode
from casreplay.model.paths import MAX_DEPTH, display, join, split
from casreplay.store.base import ObjectReader

__all__ = [
    "MAX_PATHS",
    "TreeReader",
    "blob_ids",
    "child_folders",
    "entries",
    "entry_at",
    "find",
    "leaves",
    "load_folder",
    "load_object",
    "lookup",
    "reachable",
    "walk",
]

MAX_NODE_LEVELS = 8
"""Inner nodes above a leaf of a split folder; two hold millions of entries."""
MAX_PATHS = 1 << 24
"""Paths one walk may yield."""
MAX_REPEATED = 1 << 20
"""Paths one walk may yield below folders it was in before, beyond eight times all others.

Two references to one folder at each of sixty levels are two to the sixtieth paths in
four kilobytes; plain copies of a folder, in any number that a disk would hold, are not.
"""

_FOLDER = int(EntryKind.FOLDER)
_KIND_OF = {int(kind): kind for kind in EntryKind}
_STATE_OF = {int(state): state for state in EntryState}
_KIND_HAS_CONTENT = bytes(int(code in _KIND_OF and _KIND_OF[code].has_content) for code in range(256))
_STATE_HAS_CONTENT = bytes(int(code in _STATE_OF and _STATE_OF[code].has_content) for code in range(256))


class TreeReader(Protocol):
    """Gives trees by id: all that reading a folder needs of an ``ObjectReader``."""

    def get(self, object_id: ObjectId) -> bytes:
        """The tree's bytes, verified against its id."""


def load_object(objects: TreeReader, tree_id: TreeId, content: bytes | None = None) -> Tree | TreeNode:
    """One tree object: a folder, a leaf of a split folder or an inner node of one.

    Args:
        objects: where to read.
        tree_id: the object.
        content: the content id that the referring object states; checked when given.

    Raises:
        MissingObjectError: not in the store.
        CorruptError: damaged, not canonical, or of another content id.
    """
    return decode_tree(objects.get(tree_id), content)


def leaves(objects: TreeReader, tree_id: TreeId, content: bytes | None = None) -> Iterator[Tree]:
    """The leaves of a folder in name order; a folder that was not split is its own leaf.

    Raises:
        MissingObjectError: a part is not in the store.
        CorruptError: a part is damaged, or its names, counts or content id are not
            what the node above says; too many levels or entries.
    """
    stack = [(tree_id, content, -1, b"", 0)]
    last, total = None, 0
    while stack:
        object_id, expected, count, first, level = stack.pop()
        part = load_object(objects, object_id, expected)
        is_node = isinstance(part, TreeNode)
        names = part.first_names if isinstance(part, TreeNode) else part.names
        found = sum(part.counts) if isinstance(part, TreeNode) else len(part)
        if count >= 0 and (found != count or names[0] != first):
            raise CorruptError(f"Part {short(object_id)} of a split folder is not what its node says")
        if found > MAX_ENTRIES or (is_node and level >= MAX_NODE_LEVELS):
            raise CorruptError(f"Folder {short(tree_id)} has too many entries or levels")
        if isinstance(part, TreeNode):
            stack.extend(reversed(_children(part, level + 1)))
            continue
        total += len(part)
        if (last is not None and names and names[0] <= last) or total > MAX_ENTRIES:
            raise CorruptError(f"Folder {short(tree_id)} has parts that overlap or are too many")
        last = names[-1] if names else last
        yield part


def _children(node: TreeNode, level: int) -> list[tuple[TreeId, bytes | None, int, bytes, int]]:
    """What ``leaves`` keeps on its stack for each child of ``node``."""
    return [
        (TreeId(ObjectId(tree_id)), content, count, first, level)
        for tree_id, content, count, first in zip(
            _ids(node.tree_ids), _ids(node.content_ids), node.counts, node.first_names, strict=True
        )
    ]


def _ids(joined: bytes) -> list[bytes]:
    return [joined[i : i + 32] for i in range(0, len(joined), 32)]


def load_folder(objects: ObjectReader, tree_id: TreeId, content: bytes | None = None) -> Tree:
    """A whole folder, the leaves of a split one joined.

    Cost: one object read for each leaf and node; no Python object for an entry
    but its name.

    Raises:
        MissingObjectError: a part is not in the store.
        CorruptError: as ``leaves``.
    """
    parts = list(leaves(objects, tree_id, content))
    return parts[0] if len(parts) == 1 else join_trees(parts)


def join_trees(parts: list[Tree]) -> Tree:
    """One tree with the entries of ``parts``, which follow one another in name order."""
    return Tree(
        names=list(chain.from_iterable(part.names for part in parts)),
        kinds=b"".join(part.kinds for part in parts),
        states=b"".join(part.states for part in parts),
        modes=tuple(chain.from_iterable(part.modes for part in parts)),
        sizes=tuple(chain.from_iterable(part.sizes for part in parts)),
        ids=b"".join(part.ids for part in parts),
        mtimes_ns=tuple(chain.from_iterable(part.mtimes_ns for part in parts)),
        tree_ids=b"".join(part.tree_ids for part in parts),
    )


def entry_at(tree: Tree, i: int) -> TreeEntry:
    """The entry number ``i`` of ``tree`` as a value."""
    kind = tree.kinds[i]
    tree_id = None
    if kind == _FOLDER:
        at = 32 * tree.kinds.count(_FOLDER, 0, i)
        tree_id = TreeId(ObjectId(tree.tree_ids[at : at + 32]))
    return TreeEntry(
        tree.names[i],
        _KIND_OF[kind],
        _STATE_OF[tree.states[i]],
        tree.modes[i],
        tree.sizes[i],
        tree.mtimes_ns[i],
        tree.ids[32 * i : 32 * i + 32],
        tree_id,
    )


def entries(tree: Tree) -> Iterator[TreeEntry]:
    """Every entry of ``tree`` as a value, in name order; twice as fast as ``Tree.entries``."""
    folders = iter(_ids(tree.tree_ids))
    kinds = map(_KIND_OF.__getitem__, tree.kinds)
    states = map(_STATE_OF.__getitem__, tree.states)
    columns = (tree.names, kinds, states, tree.modes, tree.sizes, tree.mtimes_ns, _ids(tree.ids))
    for name, kind, state, mode, size_bytes, mtime_ns, target in zip(*columns, strict=True):
        folder = TreeId(ObjectId(next(folders))) if kind is EntryKind.FOLDER else None
        yield TreeEntry(name, kind, state, mode, size_bytes, mtime_ns, target, folder)


def lookup(
    objects: ObjectReader, tree_id: TreeId, name: bytes, content: bytes | None = None
) -> TreeEntry | None:
    """The entry called ``name`` in one folder; of a split folder only the leaf that may hold it is read.

    Raises:
        MissingObjectError: a part is not in the store.
        CorruptError: a part is damaged, or too many levels.
    """
    for _ in range(MAX_NODE_LEVELS + 1):
        part = load_object(objects, tree_id, content)
        names = part.first_names if isinstance(part, TreeNode) else part.names
        i = bisect_right(names, name) - 1
        if i < 0:
            return None
        if isinstance(part, Tree):
            return entry_at(part, i) if names[i] == name else None
        tree_id = TreeId(ObjectId(part.tree_ids[32 * i : 32 * i + 32]))
        content = part.content_ids[32 * i : 32 * i + 32]
    raise CorruptError(f"Folder {short(tree_id)} has too many levels")


def find(objects: ObjectReader, root: TreeId, path: bytes) -> TreeEntry | None:
    """The entry at ``path`` below ``root``; ``None`` when there is none, or ``path`` is empty.

    Cost: one or two object reads for each name of the path.

    Raises:
        MissingObjectError: a tree on the way is not in the store.
        CorruptError: a tree on the way is damaged.
    """
    tree_id: TreeId | None = root
    content: bytes | None = None
    entry: TreeEntry | None = None
    for name in split(path):
        if tree_id is None:
            return None
        entry = lookup(objects, tree_id, name, content)
        if entry is None:
            return None
        tree_id, content = entry.tree_id, entry.id
    return entry


def walk(
    objects: ObjectReader,
    root: TreeId,
    *,
    path: bytes = b"",
    content: ContentId | None = None,
    limit: int = MAX_PATHS,
) -> Iterator[tuple[bytes, TreeEntry]]:
    """Every path below ``root`` with its entry, folders before their contents, names in byte order.

    Args:
        objects: where to read.
        root: the tree to walk.
        path: walk only what is below this path, itself left out; a path that is no
            folder yields itself. Paths are always given from ``root``.
        content: content id of ``root``, checked when given (``path`` empty).
        limit: most paths to yield before the tree counts as hostile.

    Raises:
        UnknownNameError: nothing at ``path``.
        MissingObjectError: a tree is not in the store.
        CorruptError: a tree is damaged, deeper than 1,024 folders, has more than ``limit`` paths,
            or multiplies the same folders beyond all measure (``MAX_REPEATED``).
    """
    if path:
        entry = find(objects, root, path)
        if entry is None:
            raise UnknownNameError(f"No {display(path)} in this snapshot", path=display(path))
        if entry.tree_id is None:
            yield path, entry
            return
        root, content = entry.tree_id, ContentId(entry.id)
    stack = [(_folder(objects, path, root, content), 0)]
    depth = len(split(path))
    entered = {root}
    paths = repeated = 0
    while stack:
        items, is_repeated = stack[-1]
        item = next(items, None)
        if item is None:
            stack.pop()
            continue
        paths += 1
        repeated += is_repeated
        if paths > limit or repeated > MAX_REPEATED + 8 * (paths - repeated):
            raise CorruptError("A tree has more paths than any workspace can have")
        yield item
        tree_id = item[1].tree_id
        if tree_id is not None:
            if depth + len(stack) >= MAX_DEPTH:
                raise CorruptError(f"A tree is deeper than {MAX_DEPTH} folders", path=display(item[0][:200]))
            stack.append((_folder(objects, item[0], tree_id, item[1].id), int(tree_id in entered)))
            entered.add(tree_id)


def _folder(
    objects: ObjectReader, path: bytes, tree_id: TreeId, content: bytes | None
) -> Iterator[tuple[bytes, TreeEntry]]:
    """The entries of one folder with their paths, leaf after leaf."""
    try:
        for leaf in leaves(objects, tree_id, content):
            for entry in entries(leaf):
                yield join(path, entry.name), entry
    except CorruptError as error:
        error.fields.setdefault("path", display(path))
        raise


def blob_ids(tree: Tree) -> list[BlobId]:
    """The blobs that the entries of one leaf need, in name order, repeats included."""
    wanted = map(and_, tree.kinds.translate(_KIND_HAS_CONTENT), tree.states.translate(_STATE_HAS_CONTENT))
    return [BlobId(ObjectId(i)) for i in compress(_ids(tree.ids), wanted)]


def child_folders(tree: Tree | TreeNode) -> list[tuple[TreeId, bytes]]:
    """The tree objects one level below: (where it is stored, its content id), in name order."""
    contents = _ids(tree.content_ids if isinstance(tree, TreeNode) else tree.ids)
    if isinstance(tree, Tree):
        contents = list(compress(contents, map(_FOLDER.__eq__, tree.kinds)))
    return [
        (TreeId(ObjectId(tree_id)), content)
        for tree_id, content in zip(_ids(tree.tree_ids), contents, strict=True)
    ]


def reachable(objects: ObjectReader, roots: Iterable[TreeId]) -> Iterator[ObjectId]:
    """Every object that ``roots`` need, each once: trees first (nodes and leaves too), then blobs.

    The chunks of a chunked blob are the store's affair. Cost: one read for each
    distinct tree, about 100 bytes of memory for each distinct object.

    Raises:
        MissingObjectError: a tree is not in the store.
        CorruptError: a tree is damaged.
    """
    seen: set[ObjectId] = set()
    blobs: set[BlobId] = set()
    stack: list[TreeId] = list(roots)
    while stack:
        tree_id = stack.pop()
        if tree_id in seen:
            continue
        seen.add(tree_id)
        tree = load_object(objects, tree_id)
        yield tree_id
        stack.extend(child for child, _ in child_folders(tree) if child not in seen)
        if isinstance(tree, Tree):
            blobs.update(blob_ids(tree))
    yield from blobs
