"""Everything that can be wrong with trees: a strict look at each distinct one, once.

Owns the rules a tree must obey beyond its own bytes (``codec.manifest`` decodes strictly):
content ids that are what the parent says, sizes that add up, no cycles, bounded depth and
number of paths, parts of split folders in order, names no system may be asked to write.
Reads objects, decides nothing about snapshots; ``history.verify`` says who loses what.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import compress, pairwise
from operator import and_

from casreplay.codec.manifest import content_id_of, decode_tree
from casreplay.errors import CorruptError, MissingObjectError
from casreplay.history.walk import MAX_NODE_LEVELS, MAX_PATHS, blob_ids, child_folders
from casreplay.model.ids import ObjectId, TreeId, short
from casreplay.model.objects import EntryKind, EntryState, Tree, TreeNode
from casreplay.model.paths import MAX_DEPTH, display
from casreplay.store.base import ObjectReader
from casreplay.workspace.names import attack, fold, not_portable

__all__ = ["Flaw", "NameRules", "TreeCheck"]

MAX_PATH_BYTES = 8192
"""Longer paths are given without their first folders: a tree without a floor must not fill memory."""
_FOLDER = int(EntryKind.FOLDER)
_HAS_CONTENT = bytes(
    int(code in (EntryState.COMPLETE, EntryState.PREFIX, EntryState.TORN)) for code in range(256)
)
_IS_WHOLE = bytes(int(code == EntryState.COMPLETE) for code in range(256))
_KIND_HAS_CONTENT = bytes(
    int(code in (EntryKind.FILE, EntryKind.EXECUTABLE, EntryKind.SYMLINK)) for code in range(256)
)


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with one object: a stable code and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class NameRules:
    """Which names count as flaws; attacks on every system always do.

    Attributes:
        portable: names that Windows cannot hold and names equal but for case count too.
        allow_git: entries called ``.git`` are there on purpose.
    """

    portable: bool = False
    allow_git: bool = False


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a tree and everything below it comes to.

    Attributes:
        content: its content id.
        depth: folders below it, itself included.
        levels: inner nodes from here down within this folder.
        paths: entries at and below it, each path counted.
        size_bytes: sum of contents.
        count: entries of this folder, or part of one.
        first: its first name; empty for an empty folder.
        last: its last name.
    """

    content: bytes
    depth: int
    levels: int
    paths: int
    size_bytes: int
    count: int
    first: bytes
    last: bytes


@dataclass(slots=True)
class TreeCheck:
    """Checks trees as they are handed in; the results gather here.

    Attributes:
        objects: where trees are read.
        rules: which names count as flaws.
        flaws: by id of the tree concerned; the first flaw found.
        sizes: every blob that a tree names, with the length that whole entries state for it
            (-1 when none does).
        notes: names that only some systems cannot hold: path of the name within its folder.
    """

    objects: ObjectReader
    rules: NameRules = field(default_factory=NameRules)
    flaws: dict[ObjectId, Flaw] = field(default_factory=dict)
    sizes: dict[ObjectId, int] = field(default_factory=dict)
    notes: dict[bytes, str] = field(default_factory=dict)
    _facts: dict[ObjectId, _Facts | None] = field(default_factory=dict)
    _open: set[ObjectId] = field(default_factory=set)

    def __len__(self) -> int:
        """Distinct trees looked at."""
        return len(self._facts)

    def trees(self) -> Iterable[ObjectId]:
        """Ids of all trees looked at."""
        return self._facts.keys()

    def content_of(self, root: TreeId) -> bytes | None:
        """Content id of a tree checked before; ``None`` when it could not be read."""
        facts = self._facts.get(root)
        return facts.content if facts else None

    def check(self, root: TreeId) -> None:
        """Look at ``root`` and everything below that was not looked at yet. Never raises for damage.

        Cost: each distinct tree is read, decoded and hashed once, however many refer to it.
        """
        stack: list[tuple[TreeId, Tree | TreeNode | None, bytes]] = [(root, None, b"")]
        while stack:
            tree_id, tree, content = stack.pop()
            if tree is not None:
                self._open.discard(tree_id)
                self._facts[tree_id] = self._summed(tree_id, tree, content)
                continue
            if tree_id in self._facts:
                continue
            if tree_id in self._open:
                self._flaw(tree_id, "cycle", f"Tree {short(tree_id)} contains itself")
                continue
            try:
                canonical = self.objects.get(tree_id)
                tree, content = decode_tree(canonical), content_id_of(canonical)
            except CorruptError as error:
                is_missing = isinstance(error, MissingObjectError)
                self._flaw(tree_id, "missing" if is_missing else "damaged", error.message)
                self._facts[tree_id] = None
                continue
            self._open.add(tree_id)
            stack.append((tree_id, tree, content))
            stack.extend((child, None, b"") for child, _ in child_folders(tree))

    def _flaw(self, tree_id: ObjectId, code: str, message: str) -> None:
        self.flaws.setdefault(tree_id, Flaw(code, message))

    def _summed(self, tree_id: TreeId, tree: Tree | TreeNode, content: bytes) -> _Facts:
        children: list[_Facts | None] = []
        for child, stated in child_folders(tree):
            facts = self._facts.get(child)
            children.append(facts)
            if facts is not None and facts.content != stated:
                text = f"Tree {short(tree_id)} states another content id for {short(child)} than it has"
                self._flaw(tree_id, "content-id", text)
        found = [facts for facts in children if facts is not None]
        if isinstance(tree, TreeNode):
            facts = self._node(tree_id, tree, content, found, is_whole=len(found) == len(children))
        else:
            facts = self._leaf(tree_id, tree, content, children)
        # Said once, where the bound is passed: everything above is too deep as well.
        if facts.depth > MAX_DEPTH and all(one.depth <= MAX_DEPTH for one in found):
            self._flaw(tree_id, "too-deep", f"Tree {short(tree_id)} is deeper than {MAX_DEPTH} folders")
        if facts.paths > MAX_PATHS and all(one.paths <= MAX_PATHS for one in found):
            self._flaw(tree_id, "too-many", f"Tree {short(tree_id)} has more paths than any workspace")
        return facts

    def _node(
        self, tree_id: TreeId, node: TreeNode, content: bytes, parts: list[_Facts], *, is_whole: bool
    ) -> _Facts:
        levels = 1 + max((part.levels for part in parts), default=0)
        if levels > MAX_NODE_LEVELS:
            self._flaw(tree_id, "too-deep", f"Folder {short(tree_id)} has too many levels of parts")
        if is_whole:
            stated = list(zip(node.first_names, node.counts, strict=True))
            overlap = any(b.first <= a.last for a, b in pairwise(parts))
            if overlap or stated != [(part.first, part.count) for part in parts]:
                self._flaw(tree_id, "parts", f"Folder {short(tree_id)} has parts unlike what it states")
        return _Facts(
            content,
            max((part.depth for part in parts), default=1),
            levels,
            sum(part.paths for part in parts),
            sum(part.size_bytes for part in parts),
            sum(node.counts),
            node.first_names[0],
            parts[-1].last if parts else b"",
        )

    def _leaf(self, tree_id: TreeId, tree: Tree, content: bytes, below: list[_Facts | None]) -> _Facts:
        self._names(tree_id, tree)
        folders = [i for i, kind in enumerate(tree.kinds) if kind == _FOLDER] if below else []
        for i, facts in zip(folders, below, strict=True):
            if facts is not None and tree.sizes[i] != facts.size_bytes:
                text = f"Folder {display(tree.names[i])} in tree {short(tree_id)} states a size it has not"
                self._flaw(tree_id, "size", text)
        self._blobs(tree_id, tree)
        found = [facts for facts in below if facts is not None]
        return _Facts(
            content,
            1 + max((facts.depth for facts in found), default=0),
            0,
            len(tree) + sum(facts.paths for facts in found),
            sum(compress(tree.sizes, tree.states.translate(_HAS_CONTENT))),
            len(tree),
            tree.names[0] if tree.names else b"",
            tree.names[-1] if tree.names else b"",
        )

    def _blobs(self, tree_id: TreeId, tree: Tree) -> None:
        """Note every blob and its length; the same blob cannot have two."""
        wanted = map(and_, tree.kinds.translate(_KIND_HAS_CONTENT), tree.states.translate(_HAS_CONTENT))
        columns = list(compress(zip(tree.sizes, tree.states, strict=True), wanted))
        for blob, (size, state) in zip(blob_ids(tree), columns, strict=True):
            known = self.sizes.get(blob, -1)
            if not _IS_WHOLE[state]:
                self.sizes.setdefault(blob, -1)
            elif known in (-1, size):
                self.sizes[blob] = size
            else:
                self._flaw(tree_id, "size", f"Blob {short(blob)} is stated with two lengths")

    def _names(self, tree_id: TreeId, tree: Tree) -> None:
        for name in tree.names:
            reason = attack(name)
            if reason and not (self.rules.allow_git and reason.startswith("is .git")):
                text = f"The name {display(name)} in tree {short(tree_id)} {reason}"
                self._flaw(tree_id, "unsafe-name", text)
            elif reason := not_portable(name):
                self._portable(tree_id, name, "not-portable", reason)
        if len({fold(name) for name in tree.names}) != len(tree.names):
            seen: dict[bytes, bytes] = {}
            for name in tree.names:
                other = seen.setdefault(fold(name), name)
                if other is not name:
                    self._portable(tree_id, name, "name-clash", f"differs from {display(other)} in case only")

    def _portable(self, tree_id: TreeId, name: bytes, code: str, reason: str) -> None:
        self.notes.setdefault(name, reason)
        if self.rules.portable:
            self._flaw(tree_id, code, f"The name {display(name)} in tree {short(tree_id)} {reason}")


def losses(
    objects: ObjectReader, roots: Iterable[TreeId], flawed: Mapping[ObjectId, object], *, limit: int = 10_000
) -> Iterator[tuple[TreeId, list[tuple[bytes, ObjectId]]]]:
    """For each root that lost anything, the paths concerned with the flawed object behind each.

    Paths come in name order, at most ``limit`` for a root. Trees that cannot be read
    count as flawed at their own path.

    Cost: each distinct tree once more; use it only when there are flaws.
    """
    known: dict[ObjectId, list[tuple[bytes, ObjectId]]] = {}
    for root in roots:
        found = _losses_below(objects, root, flawed, known, limit)
        if found:
            yield root, found


def _losses_below(
    objects: ObjectReader,
    root: TreeId,
    flawed: Mapping[ObjectId, object],
    known: dict[ObjectId, list[tuple[bytes, ObjectId]]],
    limit: int,
) -> list[tuple[bytes, ObjectId]]:
    stack: list[tuple[TreeId, Tree | TreeNode | None]] = [(root, None)]
    while stack:
        tree_id, tree = stack.pop()
        if tree is not None:
            known[tree_id] = _own_losses(tree_id, tree, flawed, known)[:limit]
        elif tree_id not in known:
            known[tree_id] = [(b"", tree_id)] if tree_id in flawed else []
            try:
                tree = decode_tree(objects.get(tree_id))
            except CorruptError:
                known[tree_id] = [(b"", tree_id)]
                continue
            stack.append((tree_id, tree))
            stack.extend((child, None) for child, _ in child_folders(tree))
    return known[root]


def _own_losses(
    tree_id: TreeId,
    tree: Tree | TreeNode,
    flawed: Mapping[ObjectId, object],
    known: Mapping[ObjectId, list[tuple[bytes, ObjectId]]],
) -> list[tuple[bytes, ObjectId]]:
    found: list[tuple[bytes, ObjectId]] = [(b"", tree_id)] if tree_id in flawed else []
    children = iter(child_folders(tree))
    if isinstance(tree, TreeNode):
        return found + [loss for child, _ in children for loss in known.get(child, ())]
    for i, name in enumerate(tree.names):
        if tree.kinds[i] == _FOLDER:
            child = next(children)[0]
            found += [(_joined(name, path), bad) for path, bad in known.get(child, ())]
        elif ObjectId(tree.ids[32 * i : 32 * i + 32]) in flawed:
            found.append((name, ObjectId(tree.ids[32 * i : 32 * i + 32])))
    return found


def _joined(name: bytes, path: bytes) -> bytes:
    if not path:
        return name
    return name + b"/" + path if len(path) < MAX_PATH_BYTES else path
