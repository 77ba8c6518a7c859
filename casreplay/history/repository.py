"""The repository: a workspace, its store and everything that can be asked of the two.

This is the facade: the only module with a wide fan-out. It holds no rule of its own. What only
some methods need is imported by them: a commit of nothing must not pay for diffs or restoring.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Self

from casreplay.clock import Clock, system_clock
from casreplay.errors import StoreIOError, UnknownNameError, UsageError
from casreplay.model.changes import Change, ChangeCounts
from casreplay.model.ids import BlobId, TreeId, short
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import Coverage, Snapshot, TreeEntry
from casreplay.model.paths import display, is_inside, named
from casreplay.store.base import ObjectReader
from casreplay.store.disk import DiskStore
from casreplay.store.files import is_refused

if TYPE_CHECKING:
    from casreplay.history.annotations import Annotations
    from casreplay.history.commit import CommitOptions, CommitResult, Committer
    from casreplay.history.overlay import OverlayStore
    from casreplay.history.paths_index import PathsIndex
    from casreplay.history.restore import Restored, RestoreOptions
    from casreplay.model.config import Config
    from casreplay.store.log import DiskLog
    from casreplay.workspace.ignore import IgnoreRules

__all__ = ["Repository"]

CONFIG_NAME = "casreplay.json"
MAX_COUNTED_RENAMES = 500
"""Commits and ``status`` with more changed paths find renames by equal content only."""
STATUS_KEPT_BYTES = 64 << 20
"""Changed contents that ``status`` keeps: it compares few."""
MIN_FREE_PERCENT = 3.0
MAX_ENTRIES = 10_000_000
"""The defaults of the configuration's keys, for workspaces that have none."""
PathLike = str | bytes | os.PathLike[str]


class Repository:
    """A workspace with its store. Open one with ``open`` or ``init``; use it as a context manager.

    Attributes:
        store: the store on disk.
        root: the workspace, absolute bytes, symlinks resolved.
        clock: the present.
    """

    def __init__(
        self, store: DiskStore, root: bytes, config: Config | None = None, *, clock: Clock = system_clock
    ) -> None:
        self.store = store
        self.root = root
        self.clock = clock
        self._config = config

    @property
    def rules(self) -> IgnoreRules:
        """What a commit leaves out; made anew, because ignore files in the workspace change."""
        from casreplay.history.rules import rules_of

        return rules_of(self._config, self.root, os.fsencode(self.store.folder))

    @cached_property
    def config(self) -> Config:
        """The workspace's ``casreplay.json``, or the defaults."""
        from casreplay.model.config import Config

        return self._config or Config()

    @cached_property
    def notes(self) -> Annotations:
        """Labels, tags and notes set after the commit."""
        from casreplay.history.annotations import Annotations

        return Annotations(self.store, clock=self.clock)

    @classmethod
    def init(
        cls, workspace: PathLike, store: PathLike, *, force: bool = False, clock: Clock = system_clock
    ) -> Self:
        """Make an empty store at ``store`` for ``workspace`` and open it.

        Of several who do so at once one succeeds; the others are told that there is a store.

        Args:
            workspace: an existing folder.
            store: a folder that does not exist yet or is empty.
            force: allow ``/`` and the home folder as a workspace.
            clock: the present.

        Raises:
            UsageError: the workspace is no folder, or too wide without ``force``; or ``store``
                holds a store or other files.
            StoreIOError: the folder cannot be made.
        """
        from casreplay.workspace.guards import check_workspace

        root = _workspace(workspace)
        check_workspace(root, force=force)
        DiskStore.create(os.fsdecode(store)).close()
        return cls.open(store, root, clock=clock)

    @classmethod
    def open(
        cls,
        store: PathLike,
        workspace: PathLike,
        *,
        clock: Clock = system_clock,
        respect_gitignore: bool | None = None,
        config: Config | None = None,
    ) -> Self:
        """Open an existing store for ``workspace``.

        Args:
            store: the store's folder.
            workspace: the folder it records; it need not exist any more.
            clock: the present.
            respect_gitignore: overrides the configuration's key of that name.
            config: used instead of the workspace's ``casreplay.json``.

        Raises:
            NoRepositoryError: there is no store.
            UnknownFormatError: a newer version wrote it; nothing was changed.
            ConfigError: the workspace's ``casreplay.json`` is wrong.
        """
        root = os.path.realpath(named(workspace))
        if config is None:
            config = _config(os.path.join(os.fsdecode(root), CONFIG_NAME), respect_gitignore)
        durability = config.durability if config else "full"
        return cls(DiskStore.open(os.fsdecode(store), durability=durability), root, config, clock=clock)

    def close(self) -> None:
        """Release files and locks; harmless when done twice."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # What there is

    @property
    def objects(self) -> ObjectReader:
        """The object store, for reading."""
        return self.store

    @property
    def log(self) -> DiskLog:
        """The snapshot log."""
        return self.store.log

    def head(self) -> Snapshot | None:
        """The newest snapshot; ``None`` in an empty history. Reads the end of the log only."""
        return self.log.head()

    def snapshots(self, *, limit: int | None = None, since_ns: int | None = None) -> Iterator[Snapshot]:
        """Snapshots from the newest back, decoded as they are taken.

        Args:
            limit: at most so many.
            since_ns: stop at the first one older than this time.
        """
        found = self.log.newest_first()
        if since_ns is not None:
            found = takewhile(lambda snapshot: snapshot.time_ns >= since_ns, found)
        return islice(found, limit)

    def snapshots_of(
        self, paths: Iterable[bytes], *, limit: int | None = None, since_ns: int | None = None
    ) -> Iterator[Snapshot]:
        """Snapshots that changed one of ``paths`` or something below, from the newest back.

        Cost: answered by the paths index, which is brought up to date first.
        """
        wanted = {event.sequence for path in paths for event in self.paths_index.history_of(path)}
        found = (snapshot for snapshot in self.snapshots(since_ns=since_ns) if snapshot.sequence in wanted)
        return islice(found, limit)

    def snapshot(self, name: str) -> Snapshot:
        """The snapshot that ``name`` means (see ``history.names`` for the rules).

        Raises:
            UnknownNameError: none fits.
            AmbiguousNameError: several fit; the error lists them.
        """
        from casreplay.history.names import NameResolver

        return NameResolver(self.store.log, self.clock, self.notes).resolve(name)

    def parent(self, snapshot: Snapshot) -> Snapshot | None:
        """The newest earlier snapshot still in history; the recorded parent unless that was pruned."""
        return self.store.log.before(snapshot)

    @cached_property
    def paths_index(self) -> PathsIndex:
        """Which snapshots changed which path."""
        from casreplay.history.paths_index import PathsIndex

        return PathsIndex(self.store)

    # Contents

    def entry(self, snapshot: Snapshot, path: bytes) -> TreeEntry | None:
        """The entry at ``path`` in ``snapshot``; ``None`` when there is none."""
        from casreplay.history import walk as walking

        return walking.find(self.objects, snapshot.root, path)

    def list_folder(self, snapshot: Snapshot, path: bytes = b"") -> Iterator[tuple[bytes, TreeEntry]]:
        """Name and entry of everything directly in the folder ``path``, in name order.

        Raises:
            UnknownNameError: there is no such folder.
        """
        from casreplay.history import walk as walking

        root = snapshot.root if not path else self._folder(snapshot, path)
        return ((entry.name, entry) for entry in walking.entries(walking.load_folder(self.objects, root)))

    def _folder(self, snapshot: Snapshot, path: bytes) -> TreeId:
        found = self.entry(snapshot, path)
        if found is None or found.tree_id is None:
            what = "is no folder" if found else "does not exist"
            raise UnknownNameError(f"{display(path)} {what} in this snapshot", path=display(path))
        return found.tree_id

    def walk(self, snapshot: Snapshot, path: bytes = b"") -> Iterator[tuple[bytes, TreeEntry]]:
        """Path and entry of everything below ``path``, in name order, folders first; a file gives itself."""
        from casreplay.history import walk as walking

        return walking.walk(self.objects, snapshot.root, path=path)

    def read(self, snapshot: Snapshot, path: bytes) -> bytes:
        """The content of the file or the target of the symlink at ``path``.

        Raises:
            UnknownNameError: no such path, a folder, or an entry whose content was not captured.
            CorruptError: the stored content is damaged.
        """
        return self.objects.get(self._blob(snapshot, path))

    def stream(self, snapshot: Snapshot, path: bytes) -> Iterator[bytes]:
        """Like ``read``, in pieces, for contents of any size."""
        return self.objects.stream(self._blob(snapshot, path))

    def _blob(self, snapshot: Snapshot, path: bytes) -> BlobId:
        found = self.entry(snapshot, path)
        if found is None:
            raise UnknownNameError(f"{display(path)} does not exist in this snapshot", path=display(path))
        if found.blob_id is None:
            state = found.state.name.lower().replace("_", " ")
            what = (
                f"has no content ({state})" if found.kind.has_content else f"is a {found.kind.name.lower()}"
            )
            raise UnknownNameError(f"{display(path)} {what} in this snapshot", path=display(path))
        return found.blob_id

    # Changes

    def diff(
        self,
        before: Snapshot | None,
        after: Snapshot | None,
        *,
        paths: Iterable[bytes] = (),
        renames: bool = True,
        monitor: Monitor = SILENT,
    ) -> list[Change]:
        """What changed from ``before`` to ``after``, sorted by path.

        Args:
            before: ``None``: nothing, everything is added.
            after: ``None``: the folder as it is now.
            paths: only these and what is below.
            renames: pair deleted and added files that are the same.
            monitor: told of progress when the folder is scanned.
        """
        if after is not None:
            return self._changes(self.objects, before, after.root, paths=paths, renames=renames)
        with self.now(monitor) as (objects, root, _):
            return self._changes(objects, before, root, paths=paths, renames=renames)

    def _changes(
        self,
        objects: ObjectReader,
        before: Snapshot | None,
        after: TreeId,
        *,
        paths: Iterable[bytes],
        renames: bool,
    ) -> list[Change]:
        from casreplay.history.diff_divided import changes_between
        from casreplay.history.renames import detect_renames

        wanted = tuple(paths)
        changes = changes_between(objects, before.root if before else None, after, paths=wanted)
        return list(detect_renames(changes, objects.get).changes) if renames else changes

    @contextmanager
    def now(
        self, monitor: Monitor = SILENT, *, kept_bytes: int = 256 << 20
    ) -> Iterator[tuple[ObjectReader, TreeId, Coverage]]:
        """The folder as it is now: a reader over store and folder, its root tree, its coverage.

        Nothing is written. Changed contents are kept in memory up to ``kept_bytes``.
        """
        from casreplay.history.overlay import OverlayStore

        overlay = OverlayStore(self.store, kept_bytes=kept_bytes)
        root, coverage = self._committer(overlay).look(overlay, monitor)
        yield overlay, root, coverage

    def status(self, *, monitor: Monitor = SILENT) -> tuple[list[Change], Coverage]:
        """What changed in the folder since the newest snapshot, and what the scan covered."""
        with self.now(monitor, kept_bytes=STATUS_KEPT_BYTES) as (objects, root, coverage):
            found = self._changes(objects, self.head(), root, paths=(), renames=False)
            return self._renamed(found, objects), coverage

    def counts(self, snapshot: Snapshot) -> ChangeCounts:
        """How many paths ``snapshot`` changed against its parent in history."""
        return self._count(self.parent(snapshot), snapshot)

    def _count(self, before: Snapshot | None, after: Snapshot) -> ChangeCounts:
        from casreplay.history.diff import counts
        from casreplay.history.diff_divided import changes_between

        changes = changes_between(self.objects, before.root if before else None, after.root)
        return counts(changes if before is None else self._renamed(changes, self.objects))

    def _renamed(self, changes: list[Change], objects: ObjectReader) -> list[Change]:
        from casreplay.history.renames import detect_renames

        read = objects.get if len(changes) <= MAX_COUNTED_RENAMES else _no_content
        return list(detect_renames(changes, read).changes)

    # Recording

    def commit(self, options: CommitOptions | None = None, *, monitor: Monitor = SILENT) -> CommitResult:
        """Record the folder as it is now; see ``history.commit``.

        A store that cannot be written is no error when there is nothing to write.

        Raises:
            CasreplayError: the folder cannot be listed or the store failed; the history is as it was.
        """
        from casreplay.history.commit import CommitOptions
        from casreplay.workspace.guards import check_free_space

        wanted = options or CommitOptions()
        config = self._config
        check_free_space(self.store.folder, config.min_free_percent if config else MIN_FREE_PERCENT)
        try:
            return self._committer(self.store).commit(wanted, self._count_and_index, monitor)
        except StoreIOError as error:
            found = self._unchanged(wanted, monitor) if is_refused(error) else None
            if found is None:
                raise
            return found

    def _unchanged(self, wanted: CommitOptions, monitor: Monitor) -> CommitResult | None:
        """What a commit that has nothing to record returns, found without writing; else ``None``."""
        from casreplay.history.overlay import OverlayStore

        overlay = OverlayStore(self.store)
        return self._committer(overlay).unchanged(wanted, overlay, monitor)

    def _count_and_index(self, before: Snapshot | None, after: Snapshot) -> ChangeCounts:
        if before is None:
            self.paths_index.append(after, None, ())
            return ChangeCounts()  # the committer knows what it listed
        from casreplay.history.diff import counts, without_full_folders
        from casreplay.history.diff_divided import changes_between

        changes = changes_between(self.objects, before.root, after.root, folders=True)
        self.paths_index.append(after, before, changes)
        return counts(self._renamed(without_full_folders(changes), self.objects))

    # Bringing back

    def restore(
        self,
        snapshot: Snapshot,
        options: RestoreOptions | None = None,
        *,
        to: PathLike | None = None,
        backup: bool = True,
    ) -> Restored:
        """Make the workspace, or another folder, hold exactly what ``snapshot`` holds.

        What the ignore rules leave out of the workspace is never touched. A workspace that is
        gone is made again.

        Args:
            snapshot: what to bring back.
            options: paths, dry run, force and the like; see ``history.restore``.
            to: another folder to write to; it gets no safety snapshot.
            backup: record the workspace before it is changed, so that the way back is one restore.

        Raises:
            UsageError: content that no snapshot holds would be lost, without ``force``.
            UnknownNameError: a path is not in the snapshot.
            CorruptError, StoreIOError: see ``history.restore``.
        """
        from casreplay.history import restore as restoring
        from casreplay.history.rules import store_inside

        wanted = options or restoring.RestoreOptions()
        folder = self.root if to is None else os.path.realpath(named(to))
        if is_inside(folder, os.path.realpath(os.fsencode(self.store.folder))):
            raise UsageError("A snapshot cannot be restored into its own store", hint="Name another folder")
        if folder != self.root or not os.path.isdir(self.root):
            return restoring.restore_to(self.objects, snapshot.root, folder, wanted)
        inside = store_inside(self.root, self.store.folder)
        wanted = replace(wanted, protected=(*wanted.protected, *inside))
        if backup and not wanted.dry_run:
            return restoring.restore_workspace(
                self.objects, snapshot.root, self.root, lambda: self._backup(snapshot), wanted
            )
        return restoring.restore_workspace(
            self.objects, snapshot.root, self.root, self._present(wanted.monitor), wanted
        )

    def _present(self, monitor: Monitor = SILENT) -> list[tuple[bytes, TreeEntry]]:
        from casreplay.history import walk as walking

        with self.now(monitor) as (objects, root, _):
            return list(walking.walk(objects, root))

    def _backup(self, target: Snapshot) -> tuple[Snapshot, list[tuple[bytes, TreeEntry]] | None]:
        """Record the folder before it is changed; if the newest snapshot holds it, that and what is there."""
        from casreplay.history.commit import CommitOptions

        result = self.commit(CommitOptions(extra={"reason": "before restore"}))
        if not result.recorded:
            return result.snapshot, self._present()
        self.notes.set_label(result.snapshot.id, f"before restoring {short(target.id)}")
        return result.snapshot, None

    def _committer(self, store: DiskStore | OverlayStore) -> Committer:
        from casreplay.history.commit import CommitSetup, Committer
        from casreplay.workspace.gitstate import read_git_state
        from casreplay.workspace.guards import Limits
        from casreplay.workspace.platform import require_folder_calls

        require_folder_calls()
        limits, largest = Limits(max_entries=MAX_ENTRIES), 0
        if self._config is not None:
            config = self._config
            limits = Limits(config.max_snapshot_entries, config.max_snapshot_bytes, config.max_commit_seconds)
            largest = config.max_file_bytes
        setup = CommitSetup(self.root, self.rules, self.clock, read_git_state, limits, largest)
        return Committer(store, setup)


def _no_content(blob: BlobId) -> bytes:
    """Stands in for a reader where too many files changed to compare them by content."""
    del blob
    return b""


def _workspace(workspace: PathLike) -> bytes:
    root = os.path.realpath(named(workspace))
    if not os.path.isdir(root):
        raise UsageError(f"{os.fsdecode(root)} is no folder", hint="Name the folder to record")
    return root


def _config(path: str, respect_gitignore: bool | None) -> Config | None:
    """The configuration at ``path``; ``None`` when there is none and nothing overrides the defaults."""
    if not os.path.lexists(path):
        if not respect_gitignore:
            return None
        from casreplay.model.config import Config

        return Config(respect_gitignore=True)
    from casreplay.codec import config as codec

    config = codec.load(path)
    return config if respect_gitignore is None else replace(config, respect_gitignore=respect_gitignore)
