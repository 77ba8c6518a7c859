"""Give back the space of what no snapshot needs: measure, plan, execute.

Owns which segments go and which are written anew. What is needed is an argument: roots of
trees, so that whoever pins a snapshot (an incident, a session) adds its root without this
module knowing why. The order of the steps is the store's (``DiskStore.delete_segments``):
caches are invalidated first, then the log says what goes, then the index forgets it, then
the data goes.

Interlock. Deleting takes the store's exclusive lock, and every writer holds a share of it
from its first object to its log record. A writer that is frozen keeps its share: gc is
refused while it lives. Should a lock not be what it seems (a network file system), the
second guard holds: a writer remembers how many sweeps the log held when it began, and its
append is refused when there was another since. So a writer's work is refused or intact.

What is needed, exactly: the trees and blobs below the roots; the chunks of chunked blobs;
the base of every delta that is needed, whole, with its chunks: to the next writer a base
counts as present like any other object.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from casreplay.clock import Clock
from casreplay.codec.records import Encoding, RecordType
from casreplay.errors import CorruptError, LockedError, MissingObjectError
from casreplay.history.walk import reachable
from casreplay.model.ids import BlobId, ObjectId, TreeId
from casreplay.store.base import ObjectKind
from casreplay.store.disk import DiskStore
from casreplay.store.entries import Entry
from casreplay.store.files import join
from casreplay.store.segments import HEADER, StoredRecord
from casreplay.store.writer import SegmentWriter

__all__ = [
    "GcPlan",
    "GcResult",
    "GcRules",
    "SegmentUse",
    "collect",
    "measure",
    "needed_roots",
    "plan",
    "positions",
    "preview",
]

CACHES = ("stat",)
"""Caches that take an object for present because it was: gone before anything is deleted."""
_POSITIONS = 1 << 13
"""More than the members of any group."""


@dataclass(frozen=True, slots=True)
class GcRules:
    """When a segment is worth writing anew.

    Attributes:
        max_dead_share: rewrite a segment when more than this share of it is dead.
        grace_ns: leave segments that no snapshot ever named alone while they are younger
            than this, by the file's time. Writers hold a lock; this is for locks that lie.
    """

    max_dead_share: float = 0.2
    grace_ns: int = 600 * 10**9


@dataclass(frozen=True, slots=True)
class SegmentUse:
    """How much of one segment is needed.

    Attributes:
        number: of the segment.
        total_bytes: length of the file.
        live_bytes: bytes of records, or shares of groups, that are needed.
        is_named: whether a log record names it; one that none names is of a dead writer.
        mtime_ns: when it was last written to.
        is_short: whether it has lost something. When all that is needed is there, what is left moves,
            and the damage is over.
    """

    number: int
    total_bytes: int
    live_bytes: int
    is_named: bool = True
    mtime_ns: int = 0
    is_short: bool = False

    @property
    def dead_bytes(self) -> int:
        """What would be given back by writing it anew."""
        return self.total_bytes - self.live_bytes


@dataclass(frozen=True, slots=True)
class GcPlan:
    """What a gc would do. Numbers are segment numbers, ascending.

    Attributes:
        drop: segments without anything needed.
        rewrite: segments whose needed part is copied to a new one first.
        keep: segments that stay as they are.
        live_bytes: needed bytes in all segments.
        dead_bytes: bytes in all segments that are not needed.
        freed_bytes: dead bytes in the segments that go.
        unfinished_bytes: of the dead bytes those that stay because they are younger than the grace:
            what a commit wrote that has not ended, or did not end well.
        ripe_ns: when the youngest of these is old enough to go; 0: there are none.
    """

    drop: tuple[int, ...]
    rewrite: tuple[int, ...]
    keep: tuple[int, ...]
    live_bytes: int
    dead_bytes: int
    freed_bytes: int
    unfinished_bytes: int = 0
    ripe_ns: int = 0

    @property
    def spared_bytes(self) -> int:
        """Dead bytes that stay because the rest of their segments is not worth writing anew."""
        return self.dead_bytes - self.freed_bytes - self.unfinished_bytes

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.drop and not self.rewrite


@dataclass(frozen=True, slots=True)
class GcResult:
    """What a gc did: its plan, the bytes of files removed, and those of copies written."""

    plan: GcPlan
    removed_bytes: int
    copied_bytes: int


class _Need(NamedTuple):
    """An object that is needed: as a list of chunks, in one piece (chunks, bases), or either."""

    id: bytes
    is_list: bool | None = None

    def fits(self, entry: Entry) -> bool:
        """Whether a copy is of that form."""
        return self.is_list is None or (entry.type == RecordType.CHUNKED) == self.is_list


Live = dict[int, set[int]]
"""By segment, the needed places: ``offset * _POSITIONS + position``."""


def plan(uses: Iterable[SegmentUse], rules: GcRules, *, now_ns: int) -> GcPlan:
    """Decide what happens to each segment."""
    drop, rewrite, keep = [], [], []
    live = dead = freed = unfinished = ripe_ns = 0
    for use in sorted(uses, key=lambda use: use.number):
        live += use.live_bytes
        dead += use.dead_bytes
        is_young = rules.grace_ns > 0 and now_ns - use.mtime_ns < rules.grace_ns
        if not use.is_named and is_young:
            keep.append(use.number)
            unfinished += use.dead_bytes
            ripe_ns = max(ripe_ns, use.mtime_ns + rules.grace_ns)
        elif not use.live_bytes:
            drop.append(use.number)
            freed += use.dead_bytes
        elif use.is_short or use.dead_bytes > rules.max_dead_share * use.total_bytes:
            rewrite.append(use.number)
            freed += use.dead_bytes
        else:
            keep.append(use.number)
    return GcPlan(tuple(drop), tuple(rewrite), tuple(keep), live, dead, freed, unfinished, ripe_ns)


def measure(store: DiskStore, roots: Iterable[TreeId]) -> tuple[list[SegmentUse], Live]:
    """How much of each segment ``roots`` need, and where it lies.

    Cost: every tree below the roots, the headers of all records; memory about 200 bytes
    for each object needed.

    Raises:
        MissingObjectError: something needed is not there: nothing must be deleted from such
            a store before ``fsck`` has had a look.
        CorruptError: a tree is damaged.
    """
    lengths = store.catalog.lengths()
    bases: dict[tuple[int, int], bytes] = {}
    for number, length in lengths.items():
        for record in store.segments.scan(number, 0, length):
            if record.header.encoding is Encoding.DELTA:
                bases[number, record.offset] = record.header.base
    live = _live_places(store, roots, bases)
    uses = [
        SegmentUse(
            number,
            store.segments.size(number),
            _needed_bytes(store, number, length, live[number]),
            mtime_ns=_mtime_ns(store, number),
            is_short=store.segments.size(number) < length,
        )
        for number, length in lengths.items()
    ]
    uses += [
        SegmentUse(number, store.segments.size(number), 0, is_named=False, mtime_ns=_mtime_ns(store, number))
        for number in store.unused_segments()
    ]
    return uses, live


def _live_places(
    store: DiskStore, roots: Iterable[TreeId], bases: dict[tuple[int, int], bytes]
) -> defaultdict[int, set[int]]:
    """Places of everything needed: see the module's docstring for what that is."""
    live: defaultdict[int, set[int]] = defaultdict(set)
    purged, whole = store.log.tombstones(), store.whole_copies()
    stack: list[_Need] = []
    for object_id in reachable(store, roots):
        stack.append(_Need(object_id))
        while stack:
            wanted = stack.pop()
            copies = whole.get(wanted.id) or _needed_copy(store, wanted, bases)
            if not copies and wanted.id not in purged:
                raise MissingObjectError(
                    f"Object {wanted.id.hex()} is needed and not in the store; nothing was removed",
                    hint="Run casreplay fsck",
                    id=wanted.id.hex(),
                )
            for entry in copies:
                place = entry.offset * _POSITIONS + entry.position
                if place not in live[entry.segment]:
                    live[entry.segment].add(place)
                    stack += _needs_of(store, entry, bases.get((entry.segment, entry.offset)))
    return live


def _needs_of(store: DiskStore, entry: Entry, base: bytes | None) -> list[_Need]:
    """What a copy cannot be decoded without."""
    is_list = entry.type == RecordType.CHUNKED
    found = [] if base is None else [_Need(base, is_list=is_list)]
    if is_list:
        chunks = store.chunk_list(BlobId(ObjectId(entry.id)))
        found += [_Need(chunk, is_list=False) for chunk, _ in chunks]
    return found


def _needed_copy(store: DiskStore, wanted: _Need, bases: Mapping[tuple[int, int], bytes]) -> list[Entry]:
    """Of several copies one of the form that is needed."""
    entry = store.entry_of(wanted.id)
    if entry is not None and (not wanted.fits(entry) or (entry.segment, entry.offset) in bases):
        # Of deltas the least deep: others could be deltas of each other.
        entry = store.least_copy(wanted.id, is_list=wanted.is_list)
    return [] if entry is None else [entry]


def positions(record: StoredRecord, live: set[int]) -> list[int]:
    """Which members of a record are needed."""
    first = record.offset * _POSITIONS
    return [i for i in range(len(record.header.lengths)) if first + i in live]


def _needed_bytes(store: DiskStore, number: int, length: int, live: set[int]) -> int:
    """Bytes of one segment that are needed; its header is, when anything else is."""
    needed = sum(_live_bytes(record, live) for record in store.segments.scan(number, 0, length))
    return needed + len(HEADER) if needed else 0


def _live_bytes(record: StoredRecord, live: set[int]) -> int:
    header = record.header
    needed = positions(record, live)
    if len(needed) == len(header.lengths):
        return header.total_bytes
    if not needed:
        return 0
    raw = sum(header.lengths[i] for i in needed)
    # Never nothing: an empty file has no bytes in its group and is lost with it all the same.
    return max(1, header.total_bytes * raw // max(1, header.raw_bytes))


def _mtime_ns(store: DiskStore, number: int) -> int:
    stamp = store.files.stamp(store.segments.path(number))
    return stamp[2] if stamp else 0


def needed_roots(store: DiskStore, roots: Iterable[TreeId]) -> list[TreeId]:
    """``roots`` and those of every snapshot in the log, each once. Under ``deleting()``.

    A caller lists snapshots before it has the lock, and may wait for it until a writer is
    done: what that writer recorded is in the log and not in the caller's list.
    """
    return list(dict.fromkeys([*roots, *(one.root for one in store.log.newest_first())]))


def preview(store: DiskStore, roots: Iterable[TreeId], *, clock: Clock, rules: GcRules) -> GcPlan:
    """What ``collect`` would do now. Changes nothing, needs no lock; cost and errors as ``measure``."""
    uses, live = measure(store, roots)
    return settled(store, plan(uses, rules, now_ns=clock()), uses, live)


def collect(
    store: DiskStore, roots: Sequence[TreeId], *, clock: Clock, rules: GcRules | None = None
) -> GcResult:
    """Measure, plan and execute, all under the store's exclusive lock.

    ``roots`` are what must stay beside the snapshots in the log, which always stay.

    A failure at any point leaves every needed object where it was: new segments that no log
    record names are removed by the next gc.

    Raises:
        LockedError: somebody writes, or keeps a frozen writer; nothing was changed.
        MissingObjectError, CorruptError: see ``measure``; nothing was changed.
        StoreIOError: the disk refused.
    """
    chosen = rules or GcRules()
    with store.deleting():
        store.catalog.check_against_log()
        uses, live = measure(store, needed_roots(store, roots))
        decided = settled(store, plan(uses, chosen, now_ns=clock()), uses, live)
        if decided.is_empty:
            return GcResult(decided, 0, 0)
        removed, copied = execute(store, decided, live)
    return GcResult(decided, removed, copied)


def settled(store: DiskStore, decided: GcPlan, uses: Iterable[SegmentUse], live: Live) -> GcPlan:
    """The plan, widened until nothing that stays needs anything that goes.

    An object no snapshot needs stays when its segment does, and counts as present to the
    next writer: left without its base or its chunks it would be taken for stored, and lost.
    Segments with such an object are written anew as well, without it.

    Cost: the headers of kept segments and the chunk lists in them, again for each widening.
    """
    dead = {use.number: use.dead_bytes for use in uses}
    while True:
        gone = {*decided.drop, *decided.rewrite}
        spoiled = {number for number in decided.keep if _is_spoiled(store, number, gone, live)}
        if not spoiled:
            return decided
        decided = replace(
            decided,
            rewrite=tuple(sorted({*decided.rewrite, *spoiled})),
            keep=tuple(number for number in decided.keep if number not in spoiled),
            freed_bytes=decided.freed_bytes + sum(dead[number] for number in spoiled),
        )


def _is_spoiled(store: DiskStore, number: int, gone: set[int], live: Live) -> bool:
    """Whether a segment that stays holds an object that would lose its base or a chunk."""
    length = store.catalog.lengths().get(number)
    if length is None:
        return False
    purged = store.log.tombstones()

    def stays(needed: _Need) -> bool:
        entry = store.entry_of(needed.id)
        if entry is not None and not needed.fits(entry):
            entry = next(filter(needed.fits, store.catalog.find_all(needed.id)), None)
        if entry is None:
            return needed.id in purged
        place = entry.offset * _POSITIONS + entry.position
        return entry.segment not in gone or place in live.get(entry.segment, ())

    return any(
        not all(stays(needed) for needed in _dependencies(store, record))
        for record in store.segments.scan(number, 0, length)
    )


def _dependencies(store: DiskStore, record: StoredRecord) -> list[_Need]:
    """What a record cannot be decoded without; an id nothing has when its chunk list cannot be read."""
    header = record.header
    is_list = header.type is RecordType.CHUNKED
    found = [_Need(header.base, is_list=is_list)] if header.encoding is Encoding.DELTA else []
    if is_list:
        try:
            chunks = store.chunk_list(BlobId(ObjectId(header.ids[:32])))
            found += [_Need(chunk, is_list=False) for chunk, _ in chunks]
        except (CorruptError, MissingObjectError):
            found.append(_Need(bytes(32)))
    return found


def execute(store: DiskStore, decided: GcPlan, live: Live, *, reason: str = "gc") -> tuple[int, int]:
    """Copy what is needed out of the segments that go, then take them away. Under ``deleting()``.

    Returns:
        Bytes removed and bytes written anew.
    """
    gone = (*decided.drop, *decided.rewrite)
    for number in decided.drop:
        _agree(number, live.get(number, set()), 0)
    if not decided.rewrite:
        return store.delete_segments(gone, reason=reason, before=lambda: invalidate(store)), 0
    with store.writer(rewriting=True) as writer:
        for number in decided.rewrite:
            _copy_live(store, writer, number, live.get(number, set()))
        moved = writer.sync()
        if {number for number, _ in moved} & set(gone):
            raise LockedError("Copies went into a segment that was about to go", hint="Try again")
        copied = writer.stored_bytes
        removed = store.delete_segments(gone, moved=moved, reason=reason, before=lambda: invalidate(store))
    return removed, copied


def _copy_live(store: DiskStore, writer: SegmentWriter, number: int, live: set[int]) -> None:
    """Copy the needed records of one segment; of groups the needed members, in a new frame."""
    seen = 0
    for record in store.segments.scan(number, 0, store.catalog.lengths()[number]):
        header = record.header
        needed = positions(record, live)
        seen += len(needed)
        if len(needed) == len(header.lengths):
            _, body = store.segments.record(number, record.offset, header.total_bytes)
            writer.copy_record(header, body)
            continue
        for i in needed:
            object_id = ObjectId(header.ids[32 * i : 32 * i + 32])
            writer.put_whole(ObjectKind(header.kind), object_id, store.get(object_id))
    _agree(number, live, seen)


def _agree(number: int, live: set[int], seen: int) -> None:
    """Refuse to go on unless every needed place of a segment was met in it: the last look before it goes."""
    if seen != len(live):
        raise CorruptError(
            f"Of {len(live)} needed objects in segment {number} {seen} were found: nothing was removed",
            hint="Run casreplay fsck; if it finds nothing, run the command again",
        )


def invalidate(store: DiskStore) -> None:
    """Remove, durably, every cache that takes objects for present."""
    for name in CACHES:
        store.files.remove(join(store.folder, "cache", name))
    store.files.sync_folder(join(store.folder, "cache"))
