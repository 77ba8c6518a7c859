"""Assemble trees from folder works, deepest first, and share what did not change.

Owns the way from listing columns to canonical trees: sorting, leaving out ignored
entries, splitting big folders, sums for the parents, coverage counters and the records
of the next stat cache. Trees are handed to a callable that stores them; nothing is
stored by this module itself.
"""

from __future__ import annotations

import stat
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from casreplay.codec import hashing
from casreplay.codec.manifest import SPLIT_ENTRIES, decode_tree, encode_node, encode_tree, is_boundary
from casreplay.errors import CorruptError
from casreplay.history.scan import FolderWork, Scan
from casreplay.model.ids import ContentId, TreeId
from casreplay.model.objects import EntryKind, EntryState, Tree, TreeNode
from casreplay.model.paths import join, parent
from casreplay.workspace.scanner import COLUMNS
from casreplay.workspace.stat_cache import IGNORED, FolderRecord, blank_racy_rows

__all__ = ["Built", "TreeStore", "build", "build_whole", "store_tree"]


class TreeStore(Protocol):
    """Where trees go, and where the leaves of an earlier split folder are looked up."""

    def put(self, tree_id: TreeId, canonical: bytes, old: bytes) -> None:
        """Store a tree; ``old`` is the id of an earlier version of it, or zeros."""

    def get(self, tree_id: bytes) -> bytes:
        """The canonical bytes of an earlier tree."""


NOTHING_READY: Mapping[bytes, FolderRecord] = MappingProxyType({})
_NO_ID = bytes(32)
_SPECIAL = {
    stat.S_IFIFO: EntryKind.FIFO,
    stat.S_IFSOCK: EntryKind.SOCKET,
    stat.S_IFCHR: EntryKind.CHARACTER_DEVICE,
    stat.S_IFBLK: EntryKind.BLOCK_DEVICE,
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFDIR: EntryKind.FOLDER,
}
_FILE, _EXECUTABLE = int(EntryKind.FILE), int(EntryKind.EXECUTABLE)
_FOLDER, _SYMLINK = int(EntryKind.FOLDER), int(EntryKind.SYMLINK)
_FLAWS = (
    EntryState.TOO_LARGE,
    EntryState.UNREADABLE,
    EntryState.VANISHED,
    EntryState.PREFIX,
    EntryState.TORN,
    EntryState.MOUNT,
)
"""In the order of ``Coverage``'s last fields."""
_HAS_CONTENT = bytes((EntryState.COMPLETE, EntryState.PREFIX, EntryState.TORN))


class Built(NamedTuple):
    """The result: the root's ids and, by path, the records of every folder that was built."""

    root: TreeId
    content: ContentId
    records: Mapping[bytes, FolderRecord]


def build_whole(works: Iterable[FolderWork], scan_ns: int, trees: TreeStore) -> dict[bytes, FolderRecord]:
    """Build complete sub-trees of a workspace that has no stat cache; returns their records by path.

    Args:
        works: every folder of the sub-trees, ids and states filled in, children before parents.
        scan_ns: when the scan began, for the racy rule.
        trees: receives each tree, children before parents.
    """
    builder = _Builder(Scan({}, frozenset(), None), {}, scan_ns, trees)
    for work in works:
        builder.folder(work)
    return builder.records


def build(
    scan: Scan, scan_ns: int, trees: TreeStore, ready: Mapping[bytes, FolderRecord] = NOTHING_READY
) -> Built:
    """Build the trees of all works and of every folder above them.

    Args:
        scan: works whose ids and states are filled in.
        scan_ns: when the scan began, for the racy rule.
        trees: receives each tree, children before parents.
        ready: what ``build_whole`` did already; part of the result.

    Cost: a few microseconds an entry of a changed folder, nothing for others.
    """
    positions = scan.cache.positions if scan.cache else {}
    works = dict(scan.works)
    for path in list(works):
        above = parent(path)
        while above not in works:
            assert scan.cache is not None
            works[above] = _untouched(above, scan.cache.record(positions[above]))
            above = parent(above)
    builder = _Builder(scan, positions, scan_ns, trees)
    builder.records.update(ready)
    missing = works.keys() - ready.keys()
    for path in sorted(missing, key=lambda path: -path.count(b"/") - bool(path)):
        builder.folder(works[path])
    root = builder.records[b""]
    return Built(TreeId(root.tree_id), ContentId(root.content_id), builder.records)  # type: ignore[arg-type]


def _untouched(path: bytes, record: FolderRecord) -> FolderWork:
    rows = array("q")
    rows.frombytes(record.stats)
    names = record.names.split(b"/") if record.names else []
    ids, states = bytearray(record.ids), bytearray(record.states)
    return FolderWork(path, names, rows, ids, states, stamp=record.stamp)


class _Builder:
    """Builds one folder after the other, children first."""

    def __init__(self, scan: Scan, positions: Mapping[bytes, int], scan_ns: int, trees: TreeStore) -> None:
        self._cache = scan.cache
        self._removed = scan.removed
        self._positions = positions
        self._scan_ns = scan_ns
        self._trees = trees
        self.records: dict[bytes, FolderRecord] = {}

    def folder(self, work: FolderWork) -> None:
        """Build, store and record one folder."""
        kinds = bytes([_KINDS[mode >> 6 & 0x3FF] for mode in work.rows[::COLUMNS]])
        sizes, tree_ids = self._children(work, kinds)
        order = _order(work)
        tree = _columns(work, kinds, sizes, tree_ids, order)
        tree_id, content_id = store_tree(tree, self._trees, self._old_tree(work.path))
        states = bytes(work.states)
        self.records[work.path] = FolderRecord(
            names=b"/".join(work.names),
            stats=blank_racy_rows(work.rows, states, self._scan_ns),
            ids=bytes(work.ids),
            states=states,
            tree_id=tree_id,
            content_id=content_id,
            subtree_bytes=_content_bytes(tree),
            counters=_counters(tree, states.count(IGNORED)),
            stamp=work.stamp,
        )

    def _children(self, work: FolderWork, kinds: bytes) -> tuple[list[int], dict[int, bytes]]:
        """Sizes of all entries and tree ids of the folders; content ids go into ``work.ids``."""
        rows = work.rows
        sizes = rows[1::COLUMNS].tolist()
        tree_ids: dict[int, bytes] = {}
        at = kinds.find(EntryKind.FOLDER)
        while at >= 0:
            tree_id, content_id, size = self._child(work, at)
            sizes[at], tree_ids[at] = size, tree_id
            work.ids[32 * at : 32 * at + 32] = content_id
            at = kinds.find(EntryKind.FOLDER, at + 1)
        return sizes, tree_ids

    def _child(self, work: FolderWork, i: int) -> tuple[bytes, bytes, int]:
        if work.states[i]:
            tree_id, content_id = store_tree(EMPTY, self._trees, _NO_ID)
            return tree_id, content_id, 0
        path = join(work.path, work.names[i])
        record = self.records.get(path)
        if record is None:
            assert self._cache is not None
            record = self._cache.record(self._positions[path])
        return record.tree_id, record.content_id, record.subtree_bytes

    def _old_tree(self, path: bytes) -> bytes:
        i = self._positions.get(path)
        return self._cache.tree_id(i) if self._cache is not None and i is not None else _NO_ID


EMPTY = Tree((), b"", b"", (), (), b"", (), b"")


def _kind(mode: int) -> EntryKind:
    form = mode & 0o170000
    if form == stat.S_IFREG or not form:
        return EntryKind.EXECUTABLE if mode & stat.S_IXUSR else EntryKind.FILE
    return _SPECIAL.get(form, EntryKind.FILE)


_KINDS = bytes(_kind(bits << 6) for bits in range(1 << 10))
"""The kind by the upper ten bits of ``st_mode``: the form and the owner's permissions."""


def _order(work: FolderWork) -> list[int]:
    """Positions of the entries that are captured, in name order."""
    names, states = work.names, work.states
    kept = range(len(names)) if IGNORED not in states else [i for i, s in enumerate(states) if s != IGNORED]
    return sorted(kept, key=names.__getitem__)


def _columns(
    work: FolderWork, kinds: bytes, sizes: list[int], tree_ids: Mapping[int, bytes], order: list[int]
) -> Tree:
    ids, rows = work.ids, work.rows
    return Tree(
        names=[work.names[i] for i in order],
        kinds=bytes([kinds[i] for i in order]),
        states=bytes([work.states[i] for i in order]),
        modes=[rows[COLUMNS * i] & 0o7777 for i in order],
        sizes=[sizes[i] for i in order],
        ids=b"".join([ids[32 * i : 32 * i + 32] for i in order]),
        mtimes_ns=[rows[COLUMNS * i + 2] for i in order],
        tree_ids=b"".join([tree_ids[i] for i in order if i in tree_ids]),
    )


def _content_bytes(tree: Tree) -> int:
    if not tree.states.strip(b"\0"):
        return sum(tree.sizes)
    return sum(size for size, state in zip(tree.sizes, tree.states, strict=True) if state in _HAS_CONTENT)


def _counters(tree: Tree, ignored: int) -> tuple[int, ...]:
    """This folder's own share of the coverage, in the order of ``Coverage``'s fields."""
    kinds, states = tree.kinds, tree.states
    files = kinds.count(_FILE) + kinds.count(_EXECUTABLE)
    folders, links = kinds.count(_FOLDER), kinds.count(_SYMLINK)
    special = len(kinds) - files - folders - links
    own_bytes = _content_bytes(tree)
    if folders:
        own_bytes -= sum([size for size, kind in zip(tree.sizes, kinds, strict=True) if kind == _FOLDER])
    if not states.strip(b"\0"):
        return (files, folders, links, special, own_bytes, ignored, 0, 0, 0, 0, 0, 0)
    flawed = [states.count(state) for state in _FLAWS]
    return (files, folders, links, special, own_bytes, ignored, *flawed)


def store_tree(tree: Tree, trees: TreeStore, old: bytes) -> tuple[TreeId, ContentId]:
    """Encode, store and name a folder of any size.

    A folder of more than ``SPLIT_ENTRIES`` entries becomes leaves that end where
    ``is_boundary`` says, under a node (under nodes, when there are that many leaves).
    """
    if len(tree) <= SPLIT_ENTRIES:
        return _put(*encode_tree(tree), trees, old)
    earlier = _Leaves(trees, old)
    level: _Level = []
    for part in _leaf_ranges(tree):
        leaf = _slice(tree, part)
        level.append((leaf.names[0], len(leaf), *_put(*encode_tree(leaf), trees, earlier.at(leaf.names[0]))))
    while len(level) > SPLIT_ENTRIES:
        level = [_grouped(level[i : i + 1024], trees, _NO_ID) for i in range(0, len(level), 1024)]
    _, _, tree_id, content_id = _grouped(level, trees, old)
    return tree_id, content_id


class _Leaves:
    """The leaves of the earlier version of a split folder: what a new leaf is likely a delta of."""

    def __init__(self, trees: TreeStore, old: bytes) -> None:
        self._node = _node(trees, old) if any(old) else None

    def at(self, first_name: bytes) -> bytes:
        """The id of the earlier leaf that held ``first_name``, or zeros."""
        if self._node is None:
            return _NO_ID
        i = max(0, bisect_right(self._node.first_names, first_name) - 1)
        return self._node.tree_ids[32 * i : 32 * i + 32]


def _node(trees: TreeStore, tree_id: bytes) -> TreeNode | None:
    """An earlier node, or ``None``; a damaged one helps nobody, and ``fsck`` names it."""
    try:
        node = decode_tree(trees.get(tree_id))
    except CorruptError:
        return None
    return node if isinstance(node, TreeNode) else None


_Level = list[tuple[bytes, int, TreeId, ContentId]]


def _grouped(part: _Level, trees: TreeStore, old: bytes) -> tuple[bytes, int, TreeId, ContentId]:
    """One node over ``part``: its first name, entries and ids."""
    node = TreeNode(
        [first for first, _, _, _ in part],
        [count for _, count, _, _ in part],
        b"".join([content for _, _, _, content in part]),
        b"".join([tree_id for _, _, tree_id, _ in part]),
    )
    return (part[0][0], sum(node.counts), *_put(*encode_node(node), trees, old))


def _leaf_ranges(tree: Tree) -> list[range]:
    ends = [i + 1 for i, name in enumerate(tree.names) if is_boundary(name)]
    if not ends or ends[-1] != len(tree):
        ends.append(len(tree))
    return [range(a, b) for a, b in zip([0, *ends], ends, strict=False)]


def _slice(tree: Tree, part: range) -> Tree:
    a, b = part.start, part.stop
    first = tree.kinds.count(EntryKind.FOLDER, 0, a)
    return Tree(
        names=tree.names[a:b],
        kinds=tree.kinds[a:b],
        states=tree.states[a:b],
        modes=tree.modes[a:b],
        sizes=tree.sizes[a:b],
        ids=tree.ids[32 * a : 32 * b],
        mtimes_ns=tree.mtimes_ns[a:b],
        tree_ids=tree.tree_ids[32 * first : 32 * (first + tree.kinds.count(EntryKind.FOLDER, a, b))],
    )


def _put(canonical: bytes, content_length: int, trees: TreeStore, old: bytes) -> tuple[TreeId, ContentId]:
    tree_id = hashing.tree_id(canonical)
    trees.put(tree_id, canonical, old)
    return tree_id, hashing.content_id(memoryview(canonical)[:content_length])
