"""Destroy contents on purpose: a leaked secret, out of the whole history at once.

Owns what belongs to a purge and its order. Snapshots and trees stay as they are, so every
id and the log's chain still verify; the log says which objects were destroyed, when and
why, and reading one says so. What goes: the blobs asked for, in every copy, and chunks
that no other blob uses. Objects stored as deltas against them are written anew first.

What a purge cannot do, and says: the same bytes in another blob (another version of the
file, another file that holds the secret too) stay until they are purged themselves; a
file still in the workspace is recorded again by the next commit; copies of the store
elsewhere are not reached, nor what a disk keeps of deleted files.

Interlock: as ``history.gc``: the store's exclusive lock, and the log record first. When a
purge is cut short behind it, the objects are named as destroyed but still there; running
it again finishes the work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from casreplay.clock import Clock
from casreplay.codec.hashing import blob_id
from casreplay.codec.records import Encoding, RecordType
from casreplay.errors import AmbiguousNameError, UnknownNameError
from casreplay.history.check_trees import losses
from casreplay.history.gc import Live, invalidate, measure, needed_roots, positions
from casreplay.history.times import utc_text
from casreplay.history.walk import find, reachable, walk
from casreplay.model.ids import BlobId, ObjectId, TreeId, is_hex_prefix, matches_prefix
from casreplay.model.objects import Snapshot
from casreplay.model.paths import display
from casreplay.store.base import ObjectKind
from casreplay.store.disk import DiskStore
from casreplay.store.files import join
from casreplay.store.segments import StoredRecord
from casreplay.store.writer import SegmentWriter

__all__ = ["PurgePlan", "PurgeResult", "blob_called", "blobs_at", "plan_purge", "purge"]

EMPTY = blob_id(b"")
KEPT_CACHES = ("paths",)
"""Caches that hold names only."""


@dataclass(frozen=True, slots=True)
class PurgePlan:
    """What a purge would destroy.

    Attributes:
        blobs: the blobs, sorted by id.
        chunks: chunks that only these blobs use.
        shared_chunks: chunks that other blobs use too and that therefore stay.
        paths: every path that loses its content in some snapshot, sorted, also those that
            were not asked for but hold the same bytes.
        snapshots: live snapshots that lose something, newest first.
        raw_bytes: length of the blobs together.
    """

    blobs: tuple[BlobId, ...]
    chunks: tuple[ObjectId, ...]
    shared_chunks: int
    paths: tuple[bytes, ...]
    snapshots: tuple[Snapshot, ...]
    raw_bytes: int


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What was done: objects destroyed, bytes of files removed, bytes written anew."""

    objects: int
    removed_bytes: int
    copied_bytes: int


@dataclass(frozen=True, slots=True)
class _Stay:
    """What decides about each record: needed places, doomed ids, places that need a doomed object."""

    live: Live
    doomed: frozenset[bytes]
    tainted: set[tuple[int, int]]


def blobs_at(store: DiskStore, snapshots: Iterable[Snapshot], path: bytes) -> set[BlobId]:
    """Every blob that was ever at ``path`` or below it, in the given snapshots.

    Raises:
        UnknownNameError: no snapshot has anything there.
    """
    found: set[BlobId] = set()
    seen: set[bytes] = set()
    is_known = False
    for root in dict.fromkeys(snapshot.root for snapshot in snapshots):
        entry = find(store, root, path)
        if entry is None or (key := entry.tree_id or entry.id) in seen:
            is_known = is_known or entry is not None
            continue
        is_known = True
        seen.add(key)
        if entry.blob_id is not None:
            found.add(entry.blob_id)
        elif entry.tree_id is not None:
            found.update(one.blob_id for _, one in walk(store, entry.tree_id) if one.blob_id is not None)
    if not is_known:
        raise UnknownNameError(f"No snapshot holds {display(path)}", path=display(path))
    return found


def blob_called(store: DiskStore, name: str) -> BlobId:
    """The blob whose id starts with ``name``, 4 or more hexadecimal digits. Reads the whole index.

    Raises:
        UnknownNameError: none does.
        AmbiguousNameError: several do; ``fields['candidates']`` holds their ids.
    """
    found = (
        [one for one in store.ids(ObjectKind.BLOB) if matches_prefix(one, name)]
        if is_hex_prefix(name)
        else []
    )
    if not found:
        raise UnknownNameError(f"No blob is called {name!r}", hint="Give 4 or more digits of its id")
    if len(found) > 1:
        candidates = sorted(one.hex() for one in found)
        raise AmbiguousNameError(
            f"{name!r} fits {len(found)} blobs", hint="\n".join(candidates[:10]), candidates=candidates
        )
    return BlobId(found[0])


def plan_purge(store: DiskStore, snapshots: Sequence[Snapshot], blobs: Collection[BlobId]) -> PurgePlan:
    """Find out what destroying ``blobs`` concerns.

    Empty content is left out: it holds no secret, and every empty file of all history would go with it.

    Args:
        store: the store.
        snapshots: all live snapshots, newest first.
        blobs: what to destroy.

    Cost: every distinct tree once; the chunk lists of all chunked blobs.

    Raises:
        UnknownNameError: a blob is not in the store.
        CorruptError: a tree is damaged.
    """
    wanted = frozenset(blobs) - {EMPTY}
    for blob in wanted:
        if not store.has(blob):
            raise UnknownNameError(f"No blob {blob.hex()} in the store", id=blob.hex())
    roots = dict.fromkeys(snapshot.root for snapshot in snapshots)
    lost = dict(losses(store, roots, dict.fromkeys(wanted)))
    own, shared = _own_chunks(store, wanted, roots)
    return PurgePlan(
        blobs=tuple(sorted(wanted)),
        chunks=tuple(sorted(own)),
        shared_chunks=len(shared),
        paths=tuple(sorted({path for found in lost.values() for path, blob in found if blob in wanted})),
        snapshots=tuple(snapshot for snapshot in snapshots if snapshot.root in lost),
        raw_bytes=sum(store.info(blob).raw_bytes for blob in wanted),
    )


def _own_chunks(
    store: DiskStore, wanted: frozenset[BlobId], roots: Iterable[TreeId]
) -> tuple[set[ObjectId], set[ObjectId]]:
    """Chunks that nothing but the wanted blobs has, and those that something else has too."""
    own, others = _chunks(store, wanted)
    # A chunk may be, byte for byte, a small file of its own.
    others |= set(reachable(store, roots)) - wanted if own else set()
    return own - others, own & others


def _chunks(store: DiskStore, wanted: frozenset[BlobId]) -> tuple[set[ObjectId], set[ObjectId]]:
    """Chunks of the wanted blobs, and chunks of all others; small blobs are no chunks of themselves."""
    own: set[ObjectId] = set()
    others: set[ObjectId] = set()
    for number, length in store.catalog.lengths().items():
        for record in store.segments.scan(number, 0, length):
            if record.header.type is RecordType.CHUNKED:
                blob = BlobId(ObjectId(record.header.ids))
                chunks = {ObjectId(chunk) for chunk, _ in store.chunk_list(blob)}
                (own if blob in wanted else others).update(chunks)
    return own, others


def purge(
    store: DiskStore, plan: PurgePlan, roots: Sequence[TreeId], *, clock: Clock, reason: str = ""
) -> PurgeResult:
    """Destroy what ``plan`` names, and with it everything that no root needs.

    The plan is older than the lock. What was recorded in between stays, whole but for the
    contents to destroy: snapshots are listed again under the lock, and a chunk that something
    else has by then is spared.

    Args:
        store: the store.
        plan: from ``plan_purge``.
        roots: what must stay beside the snapshots in the log, which always stay.
        clock: the present, kept with the reason.
        reason: kept in the log for ever; must not hold the secret.

    Raises:
        LockedError: somebody writes; nothing was changed.
        MissingObjectError, CorruptError: something needed is lost or damaged; nothing was changed
            before the log record, nothing else is lost behind it.
        StoreIOError: the disk refused; run the purge again.
    """
    with store.deleting():
        store.catalog.check_against_log()
        needed = needed_roots(store, roots)
        uses, live = measure(store, needed)
        own, _ = _own_chunks(store, frozenset(plan.blobs), needed)
        doomed = frozenset((*plan.blobs, *own))
        records, tainted = _tainted(store, doomed)
        stay = _Stay(live, doomed, tainted)
        # What no snapshot needs any more may hold an earlier version of the same secret: it goes too.
        touched = {number for number, _ in tainted} | {use.number for use in uses if use.dead_bytes}
        _forget_caches(store)
        note = f"on {utc_text(clock())}" + (f": {reason}" if reason else "")
        store.log.purge(doomed, note)
        with store.writer(rewriting=True) as writer:
            for number in sorted(touched):
                for record in records.get(number, ()):
                    _copy(store, writer, number, record, stay)
            moved = writer.sync()
            copied = writer.stored_bytes
            removed = store.delete_segments(touched, moved=moved, reason="purge")
    return PurgeResult(len(doomed), removed, copied)


def _tainted(
    store: DiskStore, doomed: frozenset[bytes]
) -> tuple[dict[int, list[StoredRecord]], set[tuple[int, int]]]:
    """All records by segment, and the places of those that hold doomed objects or need one to be decoded."""
    records = {
        number: list(store.segments.scan(number, 0, length))
        for number, length in store.catalog.lengths().items()
    }
    dependents: defaultdict[bytes, list[tuple[int, StoredRecord]]] = defaultdict(list)
    stack: list[tuple[int, StoredRecord]] = []
    for number, found in records.items():
        for record in found:
            if record.header.encoding is Encoding.DELTA:
                dependents[record.header.base].append((number, record))
            if any(one in doomed for one in _ids(record)):
                stack.append((number, record))
    tainted: set[tuple[int, int]] = set()
    while stack:
        number, record = stack.pop()
        if (number, record.offset) in tainted:
            continue
        tainted.add((number, record.offset))
        for object_id in _ids(record):
            # Members of a group are whole; only what hangs from a doomed or a tainted delta is tainted.
            if object_id in doomed or record.header.encoding is Encoding.DELTA:
                stack.extend(dependents[object_id])
    return records, tainted


def _ids(record: StoredRecord) -> list[bytes]:
    ids = record.header.ids
    return [ids[i : i + 32] for i in range(0, len(ids), 32)]


def _copy(store: DiskStore, writer: SegmentWriter, number: int, record: StoredRecord, stay: _Stay) -> None:
    """Copy what stays of one record; as it is when nothing in it or that it needs is doomed."""
    header = record.header
    ids = _ids(record)
    needed = [
        ObjectId(ids[i]) for i in positions(record, stay.live.get(number, set())) if ids[i] not in stay.doomed
    ]
    if needed and (number, record.offset) not in stay.tainted and len(needed) == len(ids):
        _, body = store.segments.record(number, record.offset, header.total_bytes)
        writer.copy_record(header, body)
        return
    for object_id in needed:
        if header.type is RecordType.CHUNKED:
            writer.put_stream(store.stream(BlobId(object_id)))
        else:
            writer.put_whole(ObjectKind(header.kind), object_id, store.get(object_id))


def _forget_caches(store: DiskStore) -> None:
    """Remove, durably, every cache that may hold contents or take objects for present."""
    invalidate(store)
    folder = join(store.folder, "cache")
    for name in store.files.names(folder):
        if name not in KEPT_CACHES:
            store.files.remove(join(folder, name))
    store.files.sync_folder(folder)
