"""A git history as snapshots: labels, times, authors and contents kept, nothing checked out.

Each commit becomes one snapshot, in an order in which parents come first. Trees are
built from what differs, blobs are read once each. Submodules are left out and named as
problems. A later import into the same store brings what does not lead to a commit it holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from casreplay.codec.hashing import blob_id, snapshot_id
from casreplay.codec.manifest import encode_snapshot
from casreplay.history.git_plumbing import BlobReader, GitCommit, GitDelta, commits, deltas
from casreplay.history.treeedit import TreeEditor
from casreplay.history.walk import walk
from casreplay.model.ids import BlobId, ContentId, ObjectId, SnapshotId, TreeId
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import Coverage, EntryKind, EntryState, Snapshot, TreeEntry
from casreplay.model.paths import display, is_unsafe_name, parent, split
from casreplay.model.problems import Problem
from casreplay.store.base import CommitStore, WorkerWriter

__all__ = ["Imported", "import_git"]

BATCH = 200
"""Snapshots that share one sync: they are appended together, objects first."""
SECOND_NS = 1_000_000_000
_KINDS = {0o100644: EntryKind.FILE, 0o100755: EntryKind.EXECUTABLE, 0o120000: EntryKind.SYMLINK}
_MODES = {EntryKind.FILE: 0o644, EntryKind.EXECUTABLE: 0o755, EntryKind.SYMLINK: 0o777}


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did.

    Attributes:
        snapshots: recorded.
        skipped: commits that an earlier import brought, or that led to one it brought.
        blobs: distinct contents read.
        problems: paths that were left out.
        last: the newest snapshot; ``None`` when nothing was recorded.
    """

    snapshots: int
    skipped: int
    blobs: int
    problems: tuple[Problem, ...]
    last: Snapshot | None


def import_git(
    store: CommitStore,
    repository: str,
    *,
    revisions: str = "HEAD",
    first_parent: bool = False,
    monitor: Monitor = SILENT,
) -> Imported:
    """Record the commits of ``revisions`` as snapshots after the store's head.

    Args:
        store: where to; durable after every 200 commits and at the end.
        repository: a git working tree or repository folder.
        revisions: as ``git rev-list`` takes them.
        first_parent: follow first parents only.
        monitor: told of commits done.

    Raises:
        UsageError: git or the range cannot be used.
        CasreplayError: git lacks an object, or the store failed; what was recorded stays.
    """
    found = commits(repository, revisions, first_parent=first_parent)
    # A writer for the whole import, though it writes nothing: its share of the lock keeps what one batch
    # stored, and what the next builds on, until the log names it.
    with store.writer():
        base, start, covered = _known(store, found)
        wanted = [commit for commit in found if commit.id not in covered]
        monitor.stage("importing", len(wanted), "commits")
        with BlobReader(repository) as blobs:
            job = _Import(store, blobs, start)
            trees = [one.tree for one in wanted]
            changes = deltas(repository, trees if base is None else [base.tree, *trees])
            if base is not None:
                next(changes)
            recorded = job.run(wanted, changes, monitor)
    return Imported(
        recorded,
        len(found) - len(wanted),
        job.read_blobs,
        tuple(job.problems),
        store.log.head() if recorded else None,
    )


def _known(
    store: CommitStore, found: Sequence[GitCommit]
) -> tuple[GitCommit | None, Snapshot | None, set[str]]:
    """The last commit of ``found`` that has a snapshot, the snapshot, and every commit not to be brought.

    Those are the commits with a snapshot and all that led to them: what is missing among these was
    pruned, or left out on purpose. Commits of a branch that was merged since are not among them, wherever
    they stand in the order.

    Cost: the log, back to the snapshot of the first commit.
    """
    places = {commit.id: commit for commit in found}
    held: dict[str, Snapshot] = {}
    for one in store.log.newest_first() if places else ():
        commit = one.extra.get("git.commit", "")
        if commit in places:
            held.setdefault(commit, one)
        if len(held) == len(places):
            break
    covered = set(held)
    for child in reversed(found):
        if child.id in covered:
            covered.update(child.parents)
    last = next((one for one in reversed(found) if one.id in held), None)
    return last, held[last.id] if last is not None else None, covered


class _Import:
    """The state between two commits: the tree so far, what it holds, which blobs are known."""

    def __init__(self, store: CommitStore, blobs: BlobReader, start: Snapshot | None) -> None:
        self._store = store
        self._blobs = blobs
        self._known: dict[bytes, tuple[BlobId, int]] = {}
        self._root: TreeId | None = start.root if start is not None else None
        self._content = start.tree if start is not None else None
        self._entries: dict[bytes, TreeEntry] = {}
        self._folders: Counter[bytes] = Counter()
        self._links = self._bytes = 0
        self._writer: WorkerWriter | None = None
        self._fresh: dict[bytes, bytes] = {}
        """Trees of the batch under way: the store shows them only once they are durable."""
        self._editor = TreeEditor(self, self._put)
        self.problems: list[Problem] = []
        self.read_blobs = 0
        if start is not None:
            for path, entry in walk(store, start.root):
                if entry.kind is not EntryKind.FOLDER:
                    self._track(path, entry)

    def run(self, wanted: Sequence[GitCommit], changes: Iterable[list[GitDelta]], monitor: Monitor) -> int:
        """Record all of ``wanted``; returns how many snapshots there are now more."""
        done = iter(zip(wanted, changes, strict=True))
        count = 0
        while batch := list(islice(done, BATCH)):
            with self._store.writer() as self._writer:
                drafts = [self._apply(commit, delta) for commit, delta in batch]
                segments = self._writer.sync()
            self._fresh.clear()
            for draft in drafts:
                self._append(draft, segments)
                segments = ()
            count += len(drafts)
            monitor.advance(count)
        return count

    def get(self, object_id: ObjectId) -> bytes:
        """A tree of this batch, or what the store holds."""
        fresh = self._fresh.get(object_id)
        return fresh if fresh is not None else self._store.get(object_id)

    def _put(self, tree_id: TreeId, raw: bytes, old: bytes) -> None:
        assert self._writer is not None
        if self._writer.put_tree(tree_id, raw, TreeId(ObjectId(old)) if any(old) else None):
            self._fresh[tree_id] = raw

    def _apply(self, commit: GitCommit, delta: list[GitDelta]) -> Snapshot:
        time_ns = commit.time_s * SECOND_NS
        edits = {one.path: self._entry(one, time_ns) for one in delta if self._is_usable(one, commit)}
        if edits or self._root is None:
            root, content = self._editor.edit(self._root, edits, time_ns=time_ns)
            self._root, self._content = root, content
        for path, entry in edits.items():
            self._track(path, entry)
        assert self._root is not None
        assert self._content is not None
        return _draft(commit, self._root, self._content, self._coverage())

    def _is_usable(self, one: GitDelta, commit: GitCommit) -> bool:
        if one.mode == 0 or (one.mode in _KINDS and not any(map(is_unsafe_name, split(one.path)))):
            return True
        is_module = one.mode == 0o160000
        what = "a submodule" if is_module else "an entry that cannot be kept"
        self.problems.append(
            Problem(
                "submodule" if is_module else "unsupported",
                f"{display(one.path)} is {what} in commit {commit.id[:12]}: left out",
                path=display(one.path),
            )
        )
        return False

    def _entry(self, one: GitDelta, time_ns: int) -> TreeEntry | None:
        if one.mode == 0:
            return None
        kind = _KINDS[one.mode]
        if one.blob not in self._known:
            content = self._blobs.read(one.blob)
            blob = blob_id(content)
            old = self._entries.get(one.path)
            assert self._writer is not None
            self._writer.put_blob(blob, content, old.blob_id if old is not None else None)
            self._known[one.blob] = (blob, len(content))
            self.read_blobs += 1
        blob, size = self._known[one.blob]
        name = split(one.path)[-1]
        return TreeEntry(name, kind, EntryState.COMPLETE, _MODES[kind], size, time_ns, blob)

    def _track(self, path: bytes, entry: TreeEntry | None) -> None:
        """Keep what the coverage is counted from."""
        old = self._entries.pop(path, None)
        if entry is not None:
            self._entries[path] = entry
        for one, sign in ((old, -1), (entry, 1)):
            if one is not None:
                self._bytes += sign * one.size_bytes
                self._links += sign * (one.kind is EntryKind.SYMLINK)
        step = (entry is not None) - (old is not None)
        above = parent(path)
        while step and above:
            self._folders[above] += step
            if not self._folders[above]:
                del self._folders[above]
            above = parent(above)

    def _coverage(self) -> Coverage:
        return Coverage(
            files=len(self._entries) - self._links,
            folders=len(self._folders),
            symlinks=self._links,
            bytes=self._bytes,
        )

    def _append(self, draft: Snapshot, segments: tuple[tuple[int, int], ...]) -> None:
        log = self._store.log
        head = log.head()
        snapshot = replace(draft, sequence=log.next_sequence(), parent=head.id if head else None)
        snapshot = replace(snapshot, id=snapshot_id(encode_snapshot(snapshot)))
        log.append(snapshot, segments, snapshot.parent)


def _draft(commit: GitCommit, root: TreeId, content: ContentId, coverage: Coverage) -> Snapshot:
    """A snapshot of a commit, its place in the log still to be given."""
    return Snapshot(
        id=SnapshotId(b""),
        sequence=0,
        time_ns=commit.time_s * SECOND_NS,
        parent=None,
        root=root,
        tree=content,
        label=f"{commit.id[:10]} {commit.subject}".strip(),
        author=commit.author,
        coverage=coverage,
        extra={"git.commit": commit.id, "git.parents": " ".join(commit.parents)},
    )
