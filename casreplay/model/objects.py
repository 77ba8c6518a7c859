"""Trees and snapshots as values.

A ``Tree`` keeps its entries in columns, not as one object per entry: a folder
of 4,000 names is nine Python objects, and ``codec.manifest`` turns columns into
canonical bytes without a loop. ``Tree.entries()`` makes ``TreeEntry`` values on
demand for code that wants to read, not to be fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from types import MappingProxyType

from casreplay.model.ids import BlobId, ContentId, SnapshotId, TreeId

__all__ = ["Coverage", "EntryKind", "EntryState", "GitState", "Snapshot", "Tree", "TreeEntry", "TreeNode"]

NO_ID = bytes(32)


class EntryKind(IntEnum):
    """What a tree entry is. The number is the ASCII code of the format's letter."""

    FILE = ord("f")
    EXECUTABLE = ord("x")
    SYMLINK = ord("l")
    FOLDER = ord("d")
    FIFO = ord("p")
    SOCKET = ord("s")
    CHARACTER_DEVICE = ord("c")
    BLOCK_DEVICE = ord("b")

    @property
    def has_content(self) -> bool:
        """Whether entries of this kind point at a blob (files and symlinks)."""
        return self in _KINDS_WITH_CONTENT


class EntryState(IntEnum):
    """How far the content behind an entry can be trusted."""

    COMPLETE = 0
    PREFIX = 1
    """The file grew while it was read: its first ``size`` bytes are kept."""
    TORN = 2
    """The file kept changing while it was read: the last attempt is kept."""
    UNREADABLE = 3
    """Permission or I/O error: no content."""
    VANISHED = 4
    """Gone between listing and opening: no content."""
    TOO_LARGE = 5
    """Over the configured size limit: no content."""
    MOUNT = 6
    """A mount point: an empty folder entry stands for it; never entered."""

    @property
    def has_content(self) -> bool:
        """Whether an entry in this state keeps content (possibly partial)."""
        return self in _STATES_WITH_CONTENT


_KINDS_WITH_CONTENT = (EntryKind.FILE, EntryKind.EXECUTABLE, EntryKind.SYMLINK)
_STATES_WITH_CONTENT = (EntryState.COMPLETE, EntryState.PREFIX, EntryState.TORN)


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One name in a folder.

    Attributes:
        name: raw name bytes, never empty, without ``/`` and NUL.
        kind: file, executable, symlink, folder or a special file.
        state: whether the content is complete.
        mode: permission bits (``st_mode & 0o7777``).
        size_bytes: content length; for a folder the sum of the content lengths below it.
        mtime_ns: modification time, UTC nanoseconds; not part of the content id.
        id: ``BlobId`` of file or symlink content, ``ContentId`` of a folder, 32 zero bytes otherwise.
        tree_id: for a folder, the ``TreeId`` under which it is stored.
    """

    name: bytes
    kind: EntryKind
    state: EntryState
    mode: int
    size_bytes: int
    mtime_ns: int
    id: bytes
    tree_id: TreeId | None = None

    @property
    def blob_id(self) -> BlobId | None:
        """The blob behind a file or symlink; ``None`` where there is no content."""
        if self.kind in _KINDS_WITH_CONTENT and self.state in _STATES_WITH_CONTENT:
            return BlobId(self.id)  # type: ignore[arg-type]
        return None


@dataclass(frozen=True, slots=True)
class Tree:
    """The entries of one folder (or one leaf of a split folder), sorted by name bytes.

    All columns have the same length n, in the same order. ``kinds`` and ``states``
    are one byte an entry, ``ids`` is ``32 * n`` bytes, ``tree_ids`` holds one
    32-byte id for each folder entry only, in order.
    """

    names: Sequence[bytes]
    kinds: bytes
    states: bytes
    modes: Sequence[int]
    sizes: Sequence[int]
    ids: bytes
    mtimes_ns: Sequence[int]
    tree_ids: bytes

    def __len__(self) -> int:
        return len(self.names)

    def entries(self) -> Iterator[TreeEntry]:
        """Every entry as a value, in name order. Cost: one object an entry."""
        folder = 0
        for i, name in enumerate(self.names):
            kind = EntryKind(self.kinds[i])
            tree_id = None
            if kind is EntryKind.FOLDER:
                tree_id = TreeId(self.tree_ids[folder : folder + 32])  # type: ignore[arg-type]
                folder += 32
            yield TreeEntry(
                name=name,
                kind=kind,
                state=EntryState(self.states[i]),
                mode=self.modes[i],
                size_bytes=self.sizes[i],
                mtime_ns=self.mtimes_ns[i],
                id=self.ids[32 * i : 32 * i + 32],
                tree_id=tree_id,
            )


@dataclass(frozen=True, slots=True)
class TreeNode:
    """An inner node of a folder that was split: its children in name order.

    Attributes:
        first_names: the first name below each child.
        counts: entries below each child.
        content_ids: ``32 * n`` bytes, the children's content ids.
        tree_ids: ``32 * n`` bytes, the ids the children are stored under.
    """

    first_names: Sequence[bytes]
    counts: Sequence[int]
    content_ids: bytes
    tree_ids: bytes


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a snapshot examined and what it did not. Counts, and bytes where they are known."""

    files: int = 0
    folders: int = 0
    symlinks: int = 0
    special: int = 0
    bytes: int = 0
    ignored: int = 0
    """Entries left out by rules; an ignored folder counts once, whatever is inside."""
    too_large: int = 0
    unreadable: int = 0
    vanished: int = 0
    prefix: int = 0
    torn: int = 0
    mounts: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether everything that no rule left out was captured whole."""
        return not (
            self.too_large or self.unreadable or self.vanished or self.prefix or self.torn or self.mounts
        )

    def to_dict(self) -> dict[str, object]:
        """JSON: every count in the order of the fields, then ``complete``."""
        counts: dict[str, object] = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**counts, "complete": self.is_complete}


@dataclass(frozen=True, slots=True)
class GitState:
    """Where a git workspace stood: the commit, the branch (empty when detached), a digest of all refs."""

    head: str
    branch: str
    refs_digest: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One recorded state of a workspace; everything here is under the hash chain.

    ``label`` and ``tags`` are those given at commit time. Later ones live beside
    the chain (``history.annotations``) and win over these when shown.
    """

    id: SnapshotId
    sequence: int
    time_ns: int
    parent: SnapshotId | None
    root: TreeId
    tree: ContentId
    label: str = ""
    tags: tuple[str, ...] = ()
    session: str = ""
    agent: str = ""
    author: str = ""
    host: str = ""
    mode: str = "full"
    """``full`` when every folder was looked at; ``hinted``, when a watcher said where, is reserved."""
    coverage: Coverage = field(default_factory=Coverage)
    git: GitState | None = None
    extra: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Free text facts, for instance ``import-git``'s full commit id."""
