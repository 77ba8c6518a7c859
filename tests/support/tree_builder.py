"""Trees for tests: a reader over a dictionary, and folders written as nested dictionaries."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from casreplay.codec import hashing
from casreplay.codec.manifest import SPLIT_ENTRIES, encode_node, encode_tree, is_boundary
from casreplay.errors import CorruptError, MissingObjectError
from casreplay.model.ids import ContentId, TreeId
from casreplay.model.objects import EntryKind, EntryState, Tree, TreeEntry, TreeNode
from casreplay.store.base import ObjectInfo, ObjectKind

ZERO = bytes(32)


class DictObjects:
    """An ``ObjectReader`` over a dictionary, which counts and records what is read."""

    def __init__(self, *, verify: bool = True) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.kinds: dict[bytes, ObjectKind] = {}
        self.read: list[bytes] = []
        self.verify = verify

    def put(self, raw: bytes, kind: ObjectKind = ObjectKind.BLOB, at: bytes | None = None) -> bytes:
        object_id = at or (hashing.blob_id(raw) if kind is ObjectKind.BLOB else hashing.tree_id(raw))
        self.kept[object_id] = raw
        self.kinds[object_id] = kind
        return object_id

    def has(self, object_id):
        return object_id in self.kept

    def get(self, object_id):
        self.read.append(object_id)
        if object_id not in self.kept:
            raise MissingObjectError(f"Object {object_id.hex()[:12]} is missing", object=object_id.hex())
        raw = self.kept[object_id]
        if self.verify and object_id not in (hashing.blob_id(raw), hashing.tree_id(raw)):
            raise CorruptError(f"Object {object_id.hex()[:12]} is damaged", object=object_id.hex())
        return raw

    def stream(self, blob) -> Iterator[bytes]:
        yield self.get(blob)

    def info(self, object_id) -> ObjectInfo:
        raw = self.get(object_id)
        return ObjectInfo(self.kinds[object_id], len(raw), len(raw), 0)

    def ids(self, kind=None):
        return (i for i, k in self.kinds.items() if kind in (None, k))


class Executable(bytes):
    """Content of a file that is executable."""


class Symlink(bytes):
    """Target of a symlink."""


def entry(name: bytes, value, objects: DictObjects, *, mtime_ns: int = 0) -> TreeEntry:
    """The entry for ``value``: bytes, an ``Executable``, a ``Symlink``, a dictionary or an entry."""
    if isinstance(value, TreeEntry):
        return value
    if isinstance(value, dict):
        tree_id, content, size = build(objects, value, mtime_ns=mtime_ns)
        return TreeEntry(name, EntryKind.FOLDER, EntryState.COMPLETE, 0o755, size, mtime_ns, content, tree_id)
    kind, mode = EntryKind.FILE, 0o644
    if isinstance(value, Executable):
        kind, mode = EntryKind.EXECUTABLE, 0o755
    elif isinstance(value, Symlink):
        kind, mode = EntryKind.SYMLINK, 0o777
    blob = objects.put(bytes(value))
    return TreeEntry(name, kind, EntryState.COMPLETE, mode, len(value), mtime_ns, blob)


def tree_of(entries: list[TreeEntry]) -> Tree:
    """The columns of ``entries``, in the order given."""
    return Tree(
        names=[e.name for e in entries],
        kinds=bytes(e.kind for e in entries),
        states=bytes(e.state for e in entries),
        modes=tuple(e.mode for e in entries),
        sizes=tuple(e.size_bytes for e in entries),
        ids=b"".join(e.id for e in entries),
        mtimes_ns=tuple(e.mtime_ns for e in entries),
        tree_ids=b"".join(e.tree_id for e in entries if e.tree_id is not None),
    )


def put_tree(objects: DictObjects, tree: Tree | TreeNode) -> tuple[TreeId, ContentId]:
    """Keep one tree object as it is, whatever it holds."""
    raw, length = encode_node(tree) if isinstance(tree, TreeNode) else encode_tree(tree)
    return TreeId(objects.put(raw, ObjectKind.TREE)), hashing.content_id(raw[:length])


def put_entries(objects: DictObjects, entries: list[TreeEntry]) -> tuple[TreeId, ContentId]:
    """Keep a folder of ``entries``, split where the format says."""
    if len(entries) <= SPLIT_ENTRIES:
        return put_tree(objects, tree_of(entries))
    cuts = [0, *(i + 1 for i, e in enumerate(entries[:-1]) if is_boundary(e.name)), len(entries)]
    return put_node(objects, [entries[a:b] for a, b in pairwise(cuts)])


def put_node(objects: DictObjects, parts: list[list[TreeEntry]]) -> tuple[TreeId, ContentId]:
    """Keep a node over the given leaves."""
    kept = [put_tree(objects, tree_of(part)) for part in parts]
    return put_tree(
        objects,
        TreeNode(
            first_names=[part[0].name for part in parts],
            counts=tuple(len(part) for part in parts),
            content_ids=b"".join(content for _, content in kept),
            tree_ids=b"".join(tree_id for tree_id, _ in kept),
        ),
    )


def build(objects: DictObjects, folder: dict, *, mtime_ns: int = 0) -> tuple[TreeId, ContentId, int]:
    """Keep a folder given as a nested dictionary; returns tree id, content id and size in bytes."""
    entries = [entry(name, folder[name], objects, mtime_ns=mtime_ns) for name in sorted(folder)]
    tree_id, content = put_entries(objects, entries)
    return tree_id, content, sum(e.size_bytes for e in entries)


def root_of(objects: DictObjects, folder: dict, *, mtime_ns: int = 0) -> TreeId:
    """Keep a folder and return where its root is."""
    return build(objects, folder, mtime_ns=mtime_ns)[0]
