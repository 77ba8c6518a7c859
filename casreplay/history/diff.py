"""Changes between two trees: what was added, modified, deleted, changed in type or mode.

Owns: which paths differ and how, in order, reading nothing that is equal. Does not
know renames (``history.renames``), text (``history.patch``) or snapshots.

Rules. Trees of one content id are equal and never read. Times are no change. A folder
is shown by what is in it: an added or deleted folder is a change of its own only when
it is empty (or with ``folders=True``); one whose mode changed is a ``mode`` change. A
file that became executable changed its mode; a file that became a symlink, a folder or
a special file changed its type, and what was or is below the folder is listed besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import compress
from operator import itemgetter, ne, or_
from typing import NamedTuple

from casreplay.codec import hashing
from casreplay.codec.manifest import encode_tree
from casreplay.errors import CorruptError
from casreplay.history.walk import TreeReader, entry_at, join_trees, leaves, load_object
from casreplay.model.changes import Change, ChangeCounts, ChangeKind
from casreplay.model.ids import ObjectId, TreeId
from casreplay.model.objects import EntryKind, Tree, TreeEntry, TreeNode
from casreplay.model.paths import MAX_DEPTH, display, is_inside
from casreplay.store.base import ObjectReader

__all__ = [
    "Pending",
    "changes_below",
    "classify",
    "compare",
    "counts",
    "diff_trees",
    "items_of",
    "may_concern",
    "pending_root",
    "summary",
    "without_full_folders",
]

EMPTY = Tree([], b"", b"", (), (), b"", (), b"")
EMPTY_CONTENT = hashing.content_id(encode_tree(EMPTY)[0])
"""Content id of every empty folder."""
_FOLDER = int(EntryKind.FOLDER)
_NOWHERE: tuple[int, tuple[object, ...]] = (-1, ())
_BLOCK = 32
"""Folders of up to so many entries are compared row by row."""

Side = tuple[TreeId, bytes | None] | None
"""One side of a folder: where to read it and the content id stated for it; ``None``: not there."""


class Pending(NamedTuple):
    """A folder whose contents must be compared."""

    path: bytes
    before: Side
    after: Side


def diff_trees(
    objects: ObjectReader,
    before: TreeId | None,
    after: TreeId | None,
    *,
    paths: Iterable[bytes] = (),
    folders: bool = False,
) -> Iterator[Change]:
    """Every path that differs, sorted by path bytes; lazily, one folder at a time.

    Args:
        objects: where to read.
        before: root on the old side; ``None`` for nothing.
        after: root on the new side; ``None`` for nothing.
        paths: only changes at or below one of these paths; all when empty.
        folders: give every added and deleted folder, not the empty ones only.

    Cost: reads the folders (of a split folder: the leaves) that differ and no others.

    Raises:
        MissingObjectError: a tree is not in the store.
        CorruptError: a tree is damaged or deeper than 1,024 folders.
    """
    if before != after:
        yield from changes_below(objects, pending_root(before, after), tuple(paths), folders=folders)


def pending_root(before: TreeId | None, after: TreeId | None) -> Pending:
    """The comparison that ``diff_trees`` begins with."""
    return Pending(b"", (before, None) if before else None, (after, None) if after else None)


def changes_below(
    objects: ObjectReader, folder: Pending, wanted: tuple[bytes, ...], *, folders: bool, depth: int = 0
) -> Iterator[Change]:
    """The changes in and below one folder that is ``depth`` folders down, as ``diff_trees`` gives them."""
    stack = [iter(compare(objects, folder, wanted, folders=folders))]
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
        elif isinstance(item, Change):
            yield item
        else:
            if depth + len(stack) >= MAX_DEPTH:
                raise CorruptError(
                    f"A tree is deeper than {MAX_DEPTH} folders", path=display(item.path[:200])
                )
            stack.append(iter(compare(objects, item, wanted, folders=folders)))


def compare(
    objects: TreeReader, folder: Pending, wanted: tuple[bytes, ...], *, folders: bool
) -> list[Change | Pending]:
    """The changes of one folder's own entries and the folders to enter, in path order.

    A folder's contents sort as ``name/``, its own change as ``name``: so the paths
    come out in the order of their bytes although folders are entered one by one.
    """
    try:
        old, new = _load_differing(objects, folder.before, folder.after)
    except CorruptError as error:
        error.fields.setdefault("path", display(folder.path))
        raise
    keyed: list[tuple[bytes, Change | Pending]] = []
    above = folder.path + b"/" if folder.path else b""
    for name, i, j in _rows(old, new):
        path = above + name
        if wanted and not may_concern(path, wanted):
            continue
        if (i >= 0 and old.kinds[i] == _FOLDER) or (j >= 0 and new.kinds[j] == _FOLDER):
            below = _below(path, old, i, new, j)
            if below is not None:
                keyed.append((name + b"/", below))
                if _is_same_folder(old, i, new, j):
                    continue
        change = classify(path, entry_at(old, i) if i >= 0 else None, entry_at(new, j) if j >= 0 else None)
        inside = not wanted or any(is_inside(path, one) for one in wanted)
        if change is not None and inside and (folders or _stands_alone(change)):
            keyed.append((name, change))
    if len(keyed) > 1:
        keyed.sort(key=itemgetter(0))
    return [item for _, item in keyed]


def items_of(
    path: bytes, before: TreeEntry, after: TreeEntry, wanted: tuple[bytes, ...], *, folders: bool
) -> Iterator[Change | Pending]:
    """What two entries of one path that differ amount to: as ``compare`` gives it for their row."""
    old = (before.tree_id, before.id) if before.tree_id else None
    new = (after.tree_id, after.id) if after.tree_id else None
    if (old or new) and not (old and new and before.id == after.id):
        yield Pending(path, old, new)
    change = classify(path, before, after)
    inside = not wanted or any(is_inside(path, one) for one in wanted)
    if change is not None and inside and (folders or _stands_alone(change)):
        yield change


def may_concern(path: bytes, wanted: tuple[bytes, ...]) -> bool:
    """Whether something at or below ``path`` may be at or below one of ``wanted``."""
    return any(is_inside(path, one) or is_inside(one, path) for one in wanted)


def _below(path: bytes, a: Tree, i: int, b: Tree, j: int) -> Pending | None:
    """The contents to compare where a row is a folder on either side; ``None`` when they are equal."""
    before, after = _side(a, i), _side(b, j)
    if before is None and after is None:
        return None
    if before is not None and after is not None and before[1] == after[1]:
        return None
    return Pending(path, before, after)


def _side(tree: Tree, i: int) -> Side:
    if i < 0 or tree.kinds[i] != _FOLDER:
        return None
    at = 32 * tree.kinds.count(_FOLDER, 0, i)
    return TreeId(ObjectId(tree.tree_ids[at : at + 32])), tree.ids[32 * i : 32 * i + 32]


def _is_same_folder(a: Tree, i: int, b: Tree, j: int) -> bool:
    """Whether both rows are folders that differ in their contents at most: most rows that differ are."""
    return (
        i >= 0
        and j >= 0
        and a.kinds[i] == b.kinds[j] == _FOLDER
        and a.states[i] == b.states[j]
        and a.modes[i] == b.modes[j]
    )


def _stands_alone(change: Change) -> bool:
    """Whether the change must be shown itself: all but added and deleted folders with something in them."""
    if change.kind not in (ChangeKind.ADDED, ChangeKind.DELETED):
        return True
    entry = change.after or change.before
    return entry is None or entry.kind is not EntryKind.FOLDER or entry.id == EMPTY_CONTENT


def without_full_folders(changes: Iterable[Change]) -> list[Change]:
    """``changes`` as ``diff_trees`` gives them without ``folders=True``."""
    return [change for change in changes if _stands_alone(change)]


def classify(path: bytes, before: TreeEntry | None, after: TreeEntry | None) -> Change | None:
    """The change from one entry to the other at ``path``; ``None`` when they differ in times at most.

    Two folders of different contents are no change of the folder itself.
    """
    if before is None or after is None:
        if before is after:
            return None
        kind = ChangeKind.DELETED if after is None else ChangeKind.ADDED
        return Change(path, kind, before, after)
    if before.kind is not after.kind and _family(before.kind) is not _family(after.kind):
        return Change(path, ChangeKind.TYPE, before, after)
    is_content = before.id != after.id or before.size_bytes != after.size_bytes
    if before.state is not after.state or (is_content and before.kind is not EntryKind.FOLDER):
        return Change(path, ChangeKind.MODIFIED, before, after)
    if before.mode != after.mode or before.kind is not after.kind:
        return Change(path, ChangeKind.MODE, before, after)
    return None


def _family(kind: EntryKind) -> EntryKind:
    return EntryKind.FILE if kind is EntryKind.EXECUTABLE else kind


def _load_differing(objects: TreeReader, before: Side, after: Side) -> tuple[Tree, Tree]:
    """Both sides of a folder, leaves that are equal on both sides left out unread.

    A leaf of one content id holds the same names on both sides, so leaving it out of
    both changes nothing. Leaf boundaries depend on names alone, so an insertion moves none.
    """
    if before is None or after is None:
        return _load(objects, before), _load(objects, after)
    a = load_object(objects, *before)
    b = load_object(objects, *after)
    if isinstance(a, Tree) and isinstance(b, Tree):
        return a, b
    if isinstance(a, Tree) or isinstance(b, Tree):
        return _load(objects, before), _load(objects, after)
    common = set(_contents(a)).intersection(_contents(b))
    return _load_except(objects, a, common), _load_except(objects, b, common)


def _load(objects: TreeReader, side: Side) -> Tree:
    return EMPTY if side is None else _join(list(leaves(objects, *side)))


def _contents(node: TreeNode) -> list[bytes]:
    ids = node.content_ids
    return [ids[i : i + 32] for i in range(0, len(ids), 32)]


def _load_except(objects: TreeReader, node: TreeNode, skipped: set[bytes]) -> Tree:
    parts: list[Tree] = []
    for i, content in enumerate(_contents(node)):
        if content not in skipped:
            tree_id = TreeId(ObjectId(node.tree_ids[32 * i : 32 * i + 32]))
            parts.extend(leaves(objects, tree_id, content))
    return _join(parts)


def _join(parts: list[Tree]) -> Tree:
    return parts[0] if len(parts) == 1 else join_trees(parts)


def _rows(a: Tree, b: Tree) -> Iterable[tuple[bytes, int, int]]:
    """Names whose rows differ with the rows' numbers, -1 where there is none; in no particular order."""
    if a.names == b.names:
        names = a.names
        return [(names[i], i, i) for i in _unequal(a, b)]
    found: list[tuple[bytes, int, int]] = []
    where = dict(zip(b.names, enumerate(_facts(b)), strict=True))
    for i, (name, facts) in enumerate(zip(a.names, _facts(a), strict=True)):
        j, others = where.pop(name, _NOWHERE)
        if facts != others:
            found.append((name, i, j))
    found.extend((name, -1, j) for name, (j, _) in where.items())
    return found


def _facts(tree: Tree) -> Iterator[tuple[object, ...]]:
    """What makes rows equal, row by row: everything but names, times and places of storage."""
    return zip(tree.kinds, tree.states, tree.modes, tree.sizes, _ids(tree), strict=True)


def _ids(tree: Tree) -> list[bytes]:
    ids = tree.ids
    return [ids[k : k + 32] for k in range(0, len(ids), 32)]


def _unequal(a: Tree, b: Tree) -> Iterable[int]:
    """Positions that differ between trees of the same names: of many, halves that are equal are skipped."""
    count = len(a.names)
    if count > _BLOCK:
        return _unequal_halves(a, b)
    if a.kinds == b.kinds and a.states == b.states and a.modes == b.modes:
        unequal = list(map(ne, a.sizes, b.sizes))
        if sum(unequal) < count:  # sizes that are equal prove nothing
            unequal = list(map(or_, unequal, map(ne, _ids(a), _ids(b))))
        return compress(range(count), unequal)
    return compress(range(count), map(ne, _facts(a), _facts(b)))


def _unequal_halves(a: Tree, b: Tree) -> Iterator[int]:
    stack = [(0, len(a.names))]
    while stack:
        start, count = stack.pop()
        if count == 0 or _same(a, start, b, start, count):
            continue
        if count == 1:
            yield start
            continue
        half = count // 2
        stack.append((start + half, count - half))
        stack.append((start, half))


def _same(a: Tree, i: int, b: Tree, j: int, count: int) -> bool:
    """Whether ``count`` rows from ``i`` and ``j`` are equal, times and places of storage aside."""
    return (
        a.ids[32 * i : 32 * (i + count)] == b.ids[32 * j : 32 * (j + count)]
        and a.kinds[i : i + count] == b.kinds[j : j + count]
        and a.states[i : i + count] == b.states[j : j + count]
        and a.modes[i : i + count] == b.modes[j : j + count]
        and a.sizes[i : i + count] == b.sizes[j : j + count]
    )


def counts(changes: Iterable[Change]) -> ChangeCounts:
    """How many paths changed, by kind; type and mode changes count as modified."""
    number = dict.fromkeys(ChangeKind, 0)
    for change in changes:
        number[change.kind] += 1
    return ChangeCounts(
        added=number[ChangeKind.ADDED],
        modified=number[ChangeKind.MODIFIED] + number[ChangeKind.TYPE] + number[ChangeKind.MODE],
        deleted=number[ChangeKind.DELETED],
        renamed=number[ChangeKind.RENAMED],
    )


def summary(changes: Iterable[Change]) -> dict[str, int]:
    """Numbers for people and JSON: paths of each kind, all of them, and bytes on both sides.

    Keys: every ``ChangeKind`` value, ``total``, ``bytes_before`` and ``bytes_after`` (the
    lengths of all contents that changed; a folder counts nothing of its own).
    """
    number = {str(kind): 0 for kind in ChangeKind} | {"total": 0, "bytes_before": 0, "bytes_after": 0}
    for change in changes:
        number[change.kind] += 1
        number["total"] += 1
        for key, entry in (("bytes_before", change.before), ("bytes_after", change.after)):
            if entry is not None and entry.kind is not EntryKind.FOLDER:
                number[key] += entry.size_bytes
    return number
