"""One commit: scan, read, build, make durable, record.

Owns the order of these steps. The decisions are elsewhere (``history.scan``,
``history.treebuild``); so is every write (``store``). The order is the store's
invariant: contents and trees are durable before the log record that names them, and the
log record is the one commit point. What fails before it leaves the history as it was;
objects already written are unreferenced and reclaimed by ``gc``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from casreplay.clock import Clock, monotonic_ns, system_clock
from casreplay.codec import hashing
from casreplay.codec.manifest import encode_snapshot
from casreplay.errors import CorruptError, LockedError
from casreplay.history.collector import no_collector
from casreplay.history.commit_cache import CommitCache, replaced_by
from casreplay.history.ingest import Destination, Ingested, ingest
from casreplay.history.scan import Scan, ScanOptions, scan
from casreplay.history.treebuild import Built, build
from casreplay.model.changes import ChangeCounts
from casreplay.model.ids import ObjectId, SnapshotId, TreeId
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import Coverage, EntryState, GitState, Snapshot
from casreplay.model.problems import Problem
from casreplay.store.base import CommitStore, WorkerWriter
from casreplay.workspace.guards import Limits
from casreplay.workspace.ignore import IgnoreRules
from casreplay.workspace.stat_cache import COUNTERS, IGNORED, FolderRecord, StatCache

if TYPE_CHECKING:
    from casreplay.history.overlay import OverlayStore

__all__ = ["CommitOptions", "CommitResult", "CommitSetup", "Committer"]

NO_LIMITS = Limits()
APPEND_ATTEMPTS = 20
_WITH_CONTENT = frozenset(state for state in EntryState if state.has_content)
BUFFER_BYTES = 32 << 20
"""Trees of a commit that may turn out to change nothing are held back up to this size."""


@dataclass(frozen=True, slots=True)
class CommitOptions:
    """What a snapshot says about itself and how it is taken.

    Attributes:
        label, tags, session, agent, author, host: recorded under the hash chain.
        extra: further text facts to record.
        full: read every file again instead of trusting the stat cache.
        max_file_bytes: larger files get an entry without content; 0: what the configuration says.
        time_ns: the snapshot's time; ``None``: the clock's.
    """

    label: str = ""
    tags: tuple[str, ...] = ()
    session: str = ""
    agent: str = ""
    author: str = ""
    host: str = ""
    extra: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    full: bool = False
    max_file_bytes: int = 0
    time_ns: int | None = None


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What a commit did.

    Attributes:
        snapshot: the snapshot recorded, or the head when nothing was.
        recorded: whether a new snapshot exists.
        changes: counts against the parent.
        stored_bytes: bytes added to segments.
        elapsed_ns: wall time.
        coverage: of this scan, also when nothing was recorded.
        problems: segments of the store that have lost something. The snapshot is whole all the same:
            everything was read again, and what the store lacked was stored; earlier ones may not be.
            Also that changes could not be counted, because the snapshot before is damaged.
    """

    snapshot: Snapshot
    recorded: bool
    changes: ChangeCounts
    stored_bytes: int
    elapsed_ns: int
    coverage: Coverage
    problems: tuple[Problem, ...] = ()


class _Seen(NamedTuple):
    """What the workspace holds now: trees, coverage, and what it takes to write the next cache."""

    scan: Scan
    built: Built
    coverage: Coverage
    start_ns: int


Count = Callable[[Snapshot | None, Snapshot], ChangeCounts]
"""Counts changes between the parent and a new snapshot; not asked for the figure of a first one."""


class CommitSetup(NamedTuple):
    """What a committer works on and with.

    Attributes:
        root: the workspace, an absolute path.
        rules: what to leave out.
        clock: the time of snapshots.
        git: reads the state of a git workspace; called once for each commit.
        limits: caps on one snapshot, checked before and after the files are read.
        max_file_bytes: stands in for that of options that name none.
    """

    root: bytes
    rules: IgnoreRules
    clock: Clock = system_clock
    git: Callable[[bytes], GitState | None] = lambda _: None
    limits: Limits = NO_LIMITS
    max_file_bytes: int = 0


class Committer:
    """Takes snapshots of one workspace into one store."""

    def __init__(self, store: CommitStore, setup: CommitSetup) -> None:
        self._store = store
        self._root = setup.root
        self._rules = setup.rules
        self._clock = setup.clock
        self._git = setup.git
        self._limits = setup.limits
        self._max_file_bytes = setup.max_file_bytes
        self._cache = CommitCache(store, setup.root, setup.rules)
        self._doubts = False

    def commit(self, options: CommitOptions, count: Count, monitor: Monitor = SILENT) -> CommitResult:
        """Record the workspace as it is now.

        Nothing is recorded when the content equals the head's and neither a label nor a
        tag was given; unless the store lacks some of it (a purge took it, or damage): then
        the new snapshot is what has it. Durable when this returns.

        Damage is noticed when a segment is shorter than the log says, and looked for in what
        ``full`` reads again. What the workspace holds of it is stored anew.

        Raises:
            CasreplayError: the workspace cannot be listed, or the store failed; the
                history is as it was.
        """
        started = monotonic_ns()
        with no_collector(), self._store.writer() as writer, self._doubting(options) as problems:
            # All in the writer's share of the lock: what head and cache name cannot go meanwhile.
            head, adopted = self._store.log.head(), self._store.adopted_bytes
            trees = _Trees(self._store, writer, hold=head is not None)
            seen, ingested = self._look(options, head, writer, monitor, trees)
            if head is not None and self._is_recorded(head, options, seen, (ingested, writer)):
                if seen.scan.works or seen.scan.settled:
                    self._leave_cache(seen, head, recorded=False)
                elapsed = monotonic_ns() - started
                return CommitResult(head, False, ChangeCounts(), 0, elapsed, seen.coverage, problems)
            monitor.stage("saving")
            parent, snapshot = self._record(options, seen, trees, writer, ingested)
            stored = writer.stored_bytes + self._store.adopted_bytes - adopted
            self._leave_cache(seen, snapshot, recorded=True)
            uncounted: tuple[Problem, ...] = ()
            try:
                changes = count(parent, snapshot)
            except CorruptError as error:
                # The snapshot before is damaged. This one is recorded: to fail now would be a lie.
                changes, uncounted = ChangeCounts(), (_uncounted(error),)
        if parent is None:
            changes = ChangeCounts(added=_listed(seen.built.records))
        elapsed = monotonic_ns() - started
        return CommitResult(snapshot, True, changes, stored, elapsed, seen.coverage, problems + uncounted)

    @contextmanager
    def _doubting(self, options: CommitOptions) -> Iterator[tuple[Problem, ...]]:
        """Believe neither cache nor index about what a damaged store holds, nor in a full commit."""
        self._cache.short = short = self._store.short_segments()
        self._doubts = bool(short) or options.full
        with self._store.doubting(short, always=options.full):
            yield _short_problems(short) if short else ()

    def _is_recorded(
        self, head: Snapshot, options: CommitOptions, seen: _Seen, stored: tuple[Ingested, WorkerWriter]
    ) -> bool:
        """Whether the head, still the newest snapshot, holds what was seen, and nothing was asked for."""
        is_same = head.tree == seen.built.content and not (options.label or options.tags)
        if not is_same or self._is_mending(head, seen.scan, *stored):
            return False
        newest = self._store.log.head()
        return newest is not None and newest.id == head.id

    def _leave_cache(self, seen: _Seen, beside: Snapshot, *, recorded: bool) -> None:
        self._cache.save(seen.scan, seen.built, root=beside.root, start_ns=seen.start_ns, recorded=recorded)

    def _is_mending(self, head: Snapshot, found: Scan, ingested: Ingested, writer: WorkerWriter) -> bool:
        """Whether the store lacks something of what the head names: a purge took it, or damage.

        Workers' objects are in the store by now; that they wrote any says the same. Cost: a
        look-up for each file that was read.
        """
        if any(ingested.exported):
            return True
        if self._doubts:
            from casreplay.history.doubts import has_whole_trees  # noqa: PLC0415 - only of a damaged store

            return writer.has_new or not has_whole_trees(self._store, head.root)
        has = self._store.has
        return any(
            work.states[i] in _WITH_CONTENT and not has(ObjectId(bytes(work.ids[32 * i : 32 * i + 32])))
            for work in found.works.values()
            for i in work.captures
        )

    def _record(
        self, options: CommitOptions, seen: _Seen, trees: _Trees, writer: WorkerWriter, ingested: Ingested
    ) -> tuple[Snapshot | None, Snapshot]:
        """Make everything durable, then append to the log; returns the new snapshot's parent and it."""
        with self._giving_back(ingested):
            draft = self._describe(options, seen)
            trees.flush()
            return self._append(draft, (*ingested.segments, *writer.sync()))

    @contextmanager
    def _giving_back(self, ingested: Ingested) -> Iterator[None]:
        """On failure, take back what ended workers wrote; what a writer wrote itself it takes back itself."""
        try:
            yield
        except BaseException:
            for one in ingested.exported:
                self._store.discard(one)
            raise

    def look(self, writer: WorkerWriter, monitor: Monitor = SILENT) -> tuple[TreeId, Coverage]:
        """The workspace's tree as it is now, put through ``writer`` without recording a snapshot.

        For ``status`` and ``diff`` against the folder: ``writer`` may be one that keeps
        everything in memory.
        """
        self._cache.short = self._store.short_segments()
        with no_collector():
            trees = _Trees(self._store, writer, hold=False)
            seen, _ = self._look(CommitOptions(), self._store.log.head(), writer, monitor, trees)
        return seen.built.root, seen.coverage

    def unchanged(
        self, options: CommitOptions, writer: OverlayStore, monitor: Monitor = SILENT
    ) -> CommitResult | None:
        """What ``commit`` returns when it records nothing, found out without writing; ``None`` when it would.

        For a store that cannot be written. The committer is one that works on ``writer``.
        """
        started, head = monotonic_ns(), self._store.log.head()
        self._cache.short = short = self._store.short_segments()
        if head is None or options.label or options.tags or short:
            return None
        with no_collector():
            seen, _ = self._look(options, head, writer, monitor, _Trees(self._store, writer, hold=True))
        if seen.built.content != head.tree or writer.has_new_content:
            return None
        return CommitResult(head, False, ChangeCounts(), 0, monotonic_ns() - started, seen.coverage)

    def _look(
        self,
        options: CommitOptions,
        head: Snapshot | None,
        writer: WorkerWriter,
        monitor: Monitor,
        trees: _Trees,
    ) -> tuple[_Seen, Ingested]:
        start_ns = self._clock()
        monitor.stage("listing")
        cache = self._cache.load(head)
        largest = options.max_file_bytes or self._max_file_bytes
        scan_options = ScanOptions(self._root, self._rules, largest, options.full, start_ns)
        found = scan(scan_options, cache, rules_match=self._cache.has_rules_of(cache))
        self._limits.check(entries=_entries(found), elapsed_s=self._seconds_since(start_ns))
        to = Destination(self._store, writer, start_ns if head is None and found.cache is None else None)
        ingested = ingest(self._root, list(found.works.values()), to, monitor)
        with self._giving_back(ingested):
            monitor.stage("trees", len(found.works), "folders")
            if found.works or cache is None:
                built = build(found, start_ns, trees, ingested.records)
            else:
                built = _as_cached(cache)
            coverage = _coverage(found, built)
            self._limits.check(size_bytes=coverage.bytes, elapsed_s=self._seconds_since(start_ns))
        return _Seen(found, built, coverage, start_ns), ingested

    def _seconds_since(self, start_ns: int) -> float:
        return (self._clock() - start_ns) / 1e9 if self._limits.max_seconds else 0.0

    def _describe(self, options: CommitOptions, seen: _Seen) -> Snapshot:
        return Snapshot(
            id=SnapshotId(b""),
            sequence=0,
            time_ns=self._clock() if options.time_ns is None else options.time_ns,
            parent=None,
            root=seen.built.root,
            tree=seen.built.content,
            label=options.label,
            tags=options.tags,
            session=options.session,
            agent=options.agent,
            author=options.author,
            host=options.host,
            coverage=seen.coverage,
            git=self._git(self._root),
            extra=options.extra,
        )

    def _append(
        self, draft: Snapshot, segments: tuple[tuple[int, int], ...]
    ) -> tuple[Snapshot | None, Snapshot]:
        """Append ``draft`` after whatever is the head now; another writer may win a few times.

        Returns the parent too: once the new snapshot is there, a prune may take it out of the log.
        """
        for _ in range(APPEND_ATTEMPTS):
            head = self._store.log.head()
            snapshot = replace(
                draft,
                sequence=self._store.log.next_sequence(),
                parent=head.id if head else None,
            )
            snapshot = replace(snapshot, id=hashing.snapshot_id(encode_snapshot(snapshot)))
            try:
                self._store.log.append(snapshot, segments, snapshot.parent)
            except LockedError:
                continue
            return head, snapshot
        raise LockedError(
            "Other writers kept committing to this store",
            hint="Run the command again; if it recurs, give each workspace a store of its own",
        )


class _Trees:
    """Holds trees back until it is known that the commit records something."""

    def __init__(self, store: CommitStore, writer: WorkerWriter, *, hold: bool) -> None:
        self._reader = store
        self._writer = writer
        self._held: list[tuple[TreeId, bytes, bytes]] | None = [] if hold else None
        self._bytes = 0

    def put(self, tree_id: TreeId, canonical: bytes, old: bytes) -> None:
        if self._held is None:
            self._store(tree_id, canonical, old)
            return
        self._held.append((tree_id, canonical, old))
        self._bytes += len(canonical)
        if self._bytes > BUFFER_BYTES:
            self.flush()

    def get(self, tree_id: bytes) -> bytes:
        """An earlier tree, from the store."""
        return self._reader.get(ObjectId(tree_id))

    def flush(self) -> None:
        """Store what was held back, and hold nothing back from now on."""
        held, self._held = self._held, None
        for tree_id, canonical, old in held or ():
            self._store(tree_id, canonical, old)

    def _store(self, tree_id: TreeId, canonical: bytes, old: bytes) -> None:
        base = TreeId(ObjectId(old)) if any(old) and old != tree_id else None
        self._writer.put_tree(tree_id, canonical, base)


def _short_problems(short: Mapping[int, int]) -> tuple[Problem, ...]:
    from casreplay.history.doubts import segment_problem  # noqa: PLC0415 - only of a damaged store

    return tuple(segment_problem(number, length) for number, length in sorted(short.items()))


def _uncounted(error: CorruptError) -> Problem:
    text = f"What changed could not be counted, the snapshot before is damaged: {error.message}"
    return Problem("uncounted", text, object=str(error.fields.get("id", "")))


def _as_cached(cache: StatCache) -> Built:
    root = cache.record(0)
    return Built(TreeId(root.tree_id), root.content_id, {})  # type: ignore[arg-type]


def _entries(found: Scan) -> int:
    """Entries of the whole workspace: of the folders listed anew, and of those known and untouched."""
    listed = sum(len(work.names) for work in found.works.values())
    if found.cache is None:
        return listed
    known = sum(found.cache.counts) - sum(found.cache.counts[i] for i in found.removed)
    return listed + known


def _coverage(found: Scan, built: Built) -> Coverage:
    """The cache's totals, less the folders that were built again or went, plus what they are now."""
    if found.cache is None:
        totals = [0] * len(COUNTERS)
    else:
        totals = found.cache.totals_without(replaced_by(found, built.records))
    for record in built.records.values():
        for j, value in enumerate(record.counters):
            totals[j] += value
    return Coverage(**dict(zip(COUNTERS, totals, strict=True)))


def _listed(records: Mapping[bytes, FolderRecord]) -> int:
    """Paths that a comparison with nothing lists: every entry but folders that hold something."""
    kept = {path: len(record.states) - record.states.count(IGNORED) for path, record in records.items()}
    return sum(kept.values()) - sum(1 for path, n in kept.items() if n and path)
