"""Which snapshots changed which path: a rebuildable accelerator under ``log PATH`` and ``find``.

Owns what is asked of the journal in ``cache/paths`` and when it is written: one record
for each snapshot, appended by commits. It holds nothing that trees do not say; whatever is
missing, torn or from another history is found out and written anew.
Being a cache it may be cut and rewritten in place, and it never makes a commit fail.

Snapshots that were removed stay in the journal: their changes count for the next snapshot
that still exists, and such a sum is checked against the two trees before it is believed.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from casreplay.errors import StoreIOError, UsageError
from casreplay.history import paths_journal as journal
from casreplay.history.diff import diff_trees
from casreplay.history.paths_file import JournalFile
from casreplay.history.walk import find, walk
from casreplay.model.changes import Change
from casreplay.model.ids import SnapshotId
from casreplay.model.objects import Snapshot
from casreplay.store.base import ObjectReader
from casreplay.store.files import Files

__all__ = ["Interval", "PathEvent", "PathsIndex"]


class LiveRecord(NamedTuple):
    """A live snapshot, undecoded."""

    sequence: int
    id: SnapshotId


class RecordLog(Protocol):
    """A snapshot log that can be listed cheaply."""

    def live_ids(self) -> list[tuple[int, SnapshotId]]:
        """Sequence and id of every live snapshot, oldest first."""

    def get(self, snapshot_id: SnapshotId) -> Snapshot:
        """One live snapshot."""


class IndexedStore(ObjectReader, Protocol):
    """What is needed of a store."""

    @property
    def id(self) -> bytes:
        """Random bytes made with the store."""

    @property
    def files(self) -> Files:
        """The disk."""

    @property
    def folder(self) -> str:
        """Where the store lies."""

    @property
    def log(self) -> RecordLog:
        """Its history."""


@dataclass(frozen=True, slots=True)
class PathEvent:
    """A snapshot that changed a path.

    Attributes:
        sequence: of the snapshot.
        sigil: what happened to the path: A, M, D, T or m; for a folder M when something
            below it changed.
        paths: the paths at or below the one asked for that changed, sorted.
    """

    sequence: int
    sigil: str
    paths: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """A path was there in every snapshot from ``first`` to ``last`` (both sequence numbers)."""

    path: bytes
    first: int
    last: int


class PathsIndex:
    """The index of one store.

    Args:
        store: whose history is indexed.
    """

    def __init__(self, store: IndexedStore) -> None:
        self._store = store
        self._file = JournalFile(store.files, store.folder, store.id)

    # Writing

    def append(self, snapshot: Snapshot, parent: Snapshot | None, changes: Iterable[Change]) -> bool:
        """Add a snapshot just recorded.

        Args:
            snapshot: the newest snapshot.
            parent: the one before it; ``None`` for the first, whose changes are not needed.
            changes: from ``parent`` to it, as ``diff_trees(..., folders=True)`` gives them.

        Returns:
            Whether it was added. It is not when the journal's last record is not
            ``parent``, when somebody else is writing, or when the disk refuses; the next
            query then catches up from the trees.

        Cost: one read of 64 bytes and one unsynced append; every 128 KiB one compression.
        """
        try:
            lock = self._file.lock()
            if lock is None:
                return False
            try:
                end = self._file.end()
                if (end.snapshot if end else None) != (parent.id if parent else None):
                    return False
                previous = parent.sequence if parent else 0
                texts = journal.encode_record(snapshot.sequence, previous, changes if parent else ())
                self._file.write(texts, snapshot.id, snapshot.sequence)
            finally:
                lock.release()
        except StoreIOError:
            return False
        return True

    def catch_up(self) -> int:
        """Index snapshots that are not yet; returns how many. Cost: one diff each.

        Raises:
            StoreIOError: the disk refused.
            CorruptError: a tree is damaged; what was indexed until then stays.
        """
        return self._texts(self._live())[1]

    def rebuild(self) -> int:
        """Write the journal anew from the trees; returns the number of snapshots."""
        self._file.remove()
        return self.catch_up()

    def _live(self) -> list[LiveRecord]:
        """Live snapshots, oldest first."""
        return [LiveRecord(*one) for one in self._store.log.live_ids()]

    def _missing(
        self, live: Sequence[LiveRecord], end: journal.End | None, *, write: bool
    ) -> Iterator[bytes]:
        """Texts of the snapshots that the journal lacks, oldest first; written as they come if ``write``."""
        at = bisect_left(live, end.sequence + 1 if end else 0, key=lambda record: record.sequence)
        before = self._snapshot(live[at - 1]) if at and at < len(live) else None
        for record in live[at:]:
            snapshot = self._snapshot(record)
            texts = journal.encode_record(
                snapshot.sequence, before.sequence if before else 0, self._changes(before, snapshot)
            )
            if write:
                self._file.write(texts, snapshot.id, snapshot.sequence)
            yield b"".join(texts)
            before = snapshot

    def _snapshot(self, record: LiveRecord) -> Snapshot:
        return self._store.log.get(record.id)

    def _changes(
        self, before: Snapshot | None, after: Snapshot, paths: Iterable[bytes] = ()
    ) -> Iterator[Change]:
        """Changes between two snapshots; none for the first, whose tree is read when it matters."""
        if before is None:
            return iter(())
        return diff_trees(self._store, before.root, after.root, paths=paths, folders=True)

    def _texts(self, live: Sequence[LiveRecord]) -> tuple[list[bytes], int]:
        """All text, and how much of it the file lacked; that is added to it when nobody else writes."""
        lock = self._file.lock()
        try:
            texts, is_whole = self._file.texts()
            # What lies behind damage cannot be told apart from nothing.
            end = self._file.end() if lock and is_whole else self._file.repair(cut=lock is not None)
            if _is_foreign(end, live):
                texts, end = [], None
                if lock is not None:
                    self._file.remove()
            missing = list(self._missing(live, end, write=lock is not None))
            return texts + missing, len(missing)
        finally:
            if lock is not None:
                lock.release()

    # Questions

    def history_of(self, path: bytes) -> list[PathEvent]:
        """Live snapshots that changed ``path`` or something below it, newest first.

        The oldest live snapshot counts as adding what it holds. The root (``b""``) is changed
        by every snapshot that changed anything.

        Cost: one pass over the journal (some 100 bytes a snapshot); snapshots behind removed
        ones are compared again.

        Raises:
            CorruptError: a tree is damaged.
        """
        live = self._live()
        if not live:
            return []
        events: list[PathEvent] = []
        for sequence, hits in self._hits(live, journal.path_body(path), [path] if path else []):
            own = next((hit.sigil for hit in hits if hit.path == path), "M")
            events.append(PathEvent(sequence, own, tuple(sorted(hit.path for hit in hits))))
        first = self._snapshot(live[0])
        if not path or find(self._store, first.root, path) is not None:
            events.insert(0, PathEvent(first.sequence, "A", (path,)))
        return events[::-1]

    def find(self, pattern: bytes) -> list[Interval]:
        """Where in history there were paths that a glob fits, by path, then by time.

        ``last`` is the newest snapshot when the path is still there. Globs as in
        ``paths_journal.glob_body``.

        Cost: as ``history_of``, and one walk of the oldest live snapshot.

        Raises:
            UsageError: an empty pattern.
            CorruptError: a tree is damaged.
        """
        if not pattern.strip(b"/"):
            raise UsageError("An empty pattern finds nothing")
        live = self._live()
        if not live:
            return []
        body = journal.glob_body(pattern)
        is_wanted = re.compile(body, re.DOTALL).fullmatch
        sequences = [record.sequence for record in live]
        first = self._snapshot(live[0])
        since = {path: first.sequence for path, _ in walk(self._store, first.root) if is_wanted(path)}
        intervals: list[Interval] = []
        for sequence, hits in self._hits(live, body, []):
            for hit in hits:
                if hit.sigil != "D":
                    since.setdefault(hit.path, sequence)
                elif hit.path in since:
                    last = sequences[bisect_left(sequences, sequence) - 1]
                    intervals.append(Interval(hit.path, since.pop(hit.path), last))
        intervals.extend(Interval(path, start, sequences[-1]) for path, start in since.items())
        return sorted(intervals, key=lambda interval: (interval.path, interval.first))

    def _hits(
        self, live: Sequence[LiveRecord], body: bytes, paths: list[bytes]
    ) -> Iterator[tuple[int, list[journal.Hit]]]:
        """For each live snapshot after the oldest, oldest first, the changes that ``body`` matches."""
        texts, _ = self._texts(live)
        previous: dict[int, int] = {}
        for text in texts:
            previous |= journal.previous_of(text)
        sequences = [record.sequence for record in live]
        place = _places(previous, sequences)
        by_place: defaultdict[int, list[journal.Hit]] = defaultdict(list)
        for text in texts:
            for hit in journal.search(text, body):
                if hit.sequence in place:
                    by_place[place[hit.sequence]].append(hit)
        is_wanted = re.compile(body, re.DOTALL).fullmatch
        for i in sorted(by_place):
            if i == 0:
                continue
            hits = by_place[i]
            if previous[sequences[i]] != sequences[i - 1]:
                before, after = self._snapshot(live[i - 1]), self._snapshot(live[i])
                changes = self._changes(before, after, paths)
                hits = [journal.Hit(sequences[i], c.kind.sigil, c.path) for c in changes if is_wanted(c.path)]
            if hits:
                yield sequences[i], hits


def _is_foreign(end: journal.End | None, live: Sequence[LiveRecord]) -> bool:
    """Whether the journal tells of another history: a live snapshot has its sequence but not its id."""
    return end is not None and any(one.sequence == end.sequence and one.id != end.snapshot for one in live)


def _places(previous: dict[int, int], sequences: list[int]) -> dict[int, int]:
    """For each record on the way back from the newest live snapshot: the live one it counts for.

    Records beside that way belong to a head that was removed before its successor came.
    """
    place: dict[int, int] = {}
    at, i = sequences[-1], len(sequences) - 1
    while at in previous and at not in place:
        while i and sequences[i - 1] >= at:
            i -= 1
        place[at] = i
        at = previous[at]
    return place
