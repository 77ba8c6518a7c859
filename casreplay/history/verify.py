"""fsck: does the store hold what it says, and if not, who loses what. Repair of what can be rebuilt.

Owns the order of the checks and the sentence for each finding. Every finding names the
snapshots and the paths that lose something; snapshots it does not name are whole. Changes
nothing: damage is evidence. ``repair_index`` writes caches and the index anew, which hold
nothing that segments and log do not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from casreplay.errors import CorruptError, MissingObjectError, StoreIOError
from casreplay.history.annotations import Annotations
from casreplay.history.check_data import Survey, check_records, survey
from casreplay.history.check_trees import Flaw, NameRules, TreeCheck, losses
from casreplay.history.gc import invalidate
from casreplay.history.paths_index import PathsIndex
from casreplay.model.ids import BlobId, ObjectId, TreeId, short
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import Snapshot
from casreplay.model.paths import display
from casreplay.model.problems import Problem
from casreplay.store.disk import DiskStore

__all__ = ["FsckReport", "Repaired", "fsck", "repair_index"]

JOURNAL = "paths"
MAX_PATHS_SHOWN = 3
ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class FsckReport:
    """What a check found.

    Attributes:
        problems: everything wrong: the log first, then segments, then objects.
        damaged: ids of live snapshots that lose anything, newest first; all others are whole.
        notes: what is right but worth knowing: purged contents, names only some systems hold.
        snapshots: live snapshots looked at.
        trees: distinct trees looked at.
        blobs: distinct blobs that trees name.
        records: records of segments.
        data_bytes: decoded bytes hashed; 0 when contents were not read.
        has_read: whether contents were read: asked for, or because a segment has lost something.
    """

    problems: tuple[Problem, ...]
    damaged: tuple[str, ...]
    notes: tuple[Problem, ...]
    snapshots: int
    trees: int
    blobs: int
    records: int
    data_bytes: int
    has_read: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def fsck(
    store: DiskStore,
    *,
    data: bool = False,
    names: NameRules | None = None,
    monitor: Monitor = SILENT,
) -> FsckReport:
    """Check the whole store; reads only.

    The log's chain; the headers of all records against the index; every tree below a live
    snapshot, strictly; that every blob is there with the length its entries state. With
    ``data`` every record is decoded and hashed too, those that nothing needs included; also where
    a segment has lost something: what was a delta of that, or has a chunk there, looks whole else.

    A gc, purge or prune under way takes away what is being looked at. Problems found meanwhile are
    nobody's: the check begins again, up to three times.

    Cost: without ``data`` every distinct tree once and the headers; with it all data once.
    """
    rules = names or NameRules()
    for _ in range(ATTEMPTS - 1):
        before = store.log.end(), store.log.sweeps()
        report = _check(store, rules, monitor, data=data)
        has_changed = (store.log.end(), store.log.sweeps()) != before
        if report.is_clean or not has_changed:
            return report
    return _check(store, rules, monitor, data=data)


def _check(store: DiskStore, names: NameRules, monitor: Monitor, *, data: bool) -> FsckReport:
    store.refresh()
    problems = list(store.log.verify())
    problems += Annotations(store, clock=lambda: 0).problems()
    problems += _key_problems(store)
    monitor.stage("reading headers")
    found = survey(store, chunks=data)
    if not data and (found.short or found.lost):
        data, found = True, survey(store, chunks=True)
    problems += _segment_problems(found)
    snapshots = list(store.log.newest_first())
    check = TreeCheck(store, names)
    monitor.stage("checking trees", len(snapshots), "snapshots")
    flaws: dict[ObjectId, Flaw] = {}
    for number, snapshot in enumerate(snapshots, 1):
        check.check(snapshot.root)
        monitor.advance(number)
        problems += _root_problems(snapshot, check)
    flaws.update(check.flaws)
    purged = store.log.purge_reasons()
    flaws |= _blob_flaws(store, check, found, purged)
    healed: list[Problem] = []
    if data:
        for object_id, flaw in _data_flaws(store, found, monitor).items():
            if flaw.code == "damaged-copy":
                healed.append(Problem(flaw.code, flaw.message, object=object_id.hex()))
            elif object_id not in purged:
                flaws.setdefault(object_id, flaw)
    lost = dict(losses(store, dict.fromkeys(one.root for one in snapshots), flaws)) if flaws else {}
    problems += healed + _attributed(flaws, snapshots, lost, check)
    unlike = {one for problem in problems if problem.code == "content-id" for one in problem.snapshots}
    return FsckReport(
        problems=tuple(problems),
        damaged=tuple(hex_id for one in snapshots if (hex_id := one.id.hex()) in unlike or one.root in lost),
        notes=tuple(_notes(check, purged)),
        snapshots=len(snapshots),
        trees=len(check),
        blobs=len(check.sizes),
        records=len(found.places),
        data_bytes=sum(place.weight_bytes for place in found.places) if data else 0,
        has_read=data,
    )


def _segment_problems(found: Survey) -> list[Problem]:
    problems = [
        Problem(
            "segment-short",
            f"Segment {number} has {size} bytes where the log says {stated}",
            path=f"segments/{number:08d}.seg",
        )
        for number, size, stated in found.short
    ]
    problems += [
        Problem(
            "segment-damaged",
            f"Bytes {start} to {end} of segment {number} hold no readable record",
            path=f"segments/{number:08d}.seg",
        )
        for number, start, end in found.lost
    ]
    if found.unindexed:
        text = f"The index lacks {len(found.unindexed)} objects; casreplay repair --rebuild-index mends that"
        problems.append(Problem("index", text, path="index", object=found.unindexed[0].hex()))
    return problems


def _key_problems(store: DiskStore) -> list[Problem]:
    try:
        store.key()
    except CorruptError as error:
        return [Problem("key", error.message, path="key")]
    except StoreIOError:
        pass  # who may read the store need not be trusted with the key
    return []


def _root_problems(snapshot: Snapshot, check: TreeCheck) -> list[Problem]:
    content = check.content_of(snapshot.root)
    if content is None or content == snapshot.tree:
        return []
    text = f"Snapshot {short(snapshot.id)} states another content id than its tree has"
    return [Problem("content-id", text, object=snapshot.root.hex(), snapshots=(snapshot.id.hex(),))]


def _blob_flaws(
    store: DiskStore, check: TreeCheck, found: Survey, purged: Mapping[bytes, str]
) -> dict[ObjectId, Flaw]:
    """Blobs that trees name and that are missing, or of another length than stated."""
    flaws: dict[ObjectId, Flaw] = {}
    for blob, size in check.sizes.items():
        if blob not in found.lengths or store.entry_of(blob) is None:
            flaw = None if blob in purged else _absent(store, BlobId(blob))
            if flaw is not None:
                flaws[blob] = flaw
        elif size >= 0 and found.lengths.get(blob, size) != size:
            text = f"Blob {short(blob)} has {found.lengths[blob]} bytes where its entry says {size}"
            flaws[blob] = Flaw("size", text)
    return flaws


def _absent(store: DiskStore, blob: BlobId) -> Flaw | None:
    """What is wrong with a blob that no record was seen of; nothing when it was recorded just now."""
    try:
        store.info(blob)
    except MissingObjectError:
        return Flaw("missing", f"Blob {short(blob)} is not in the store")
    except CorruptError as error:  # the index knows where it was
        return Flaw("damaged", f"Blob {short(blob)} is lost: {error.message}")
    return None


def _data_flaws(store: DiskStore, found: Survey, monitor: Monitor) -> dict[ObjectId, Flaw]:
    """Objects whose bytes do not decode or hash; ``damaged-copy`` where another copy is whole."""
    flaws: dict[ObjectId, Flaw] = {}
    for raw_id, code, message in check_records(store, found, monitor):
        object_id = ObjectId(raw_id)
        if object_id in flaws:
            continue
        try:
            store.get(object_id)
        except CorruptError:
            flaws[object_id] = Flaw(code, message)
        else:
            text = f"One copy of object {short(object_id)} is damaged, another is whole: {message}"
            flaws[object_id] = Flaw("damaged-copy", text)
    return flaws


def _attributed(
    flaws: Mapping[ObjectId, Flaw],
    snapshots: Sequence[Snapshot],
    lost: Mapping[TreeId, list[tuple[bytes, ObjectId]]],
    check: TreeCheck,
) -> list[Problem]:
    """A problem for each flawed object, with the snapshots and paths that lose something."""
    by_root: defaultdict[TreeId, list[str]] = defaultdict(list)
    for snapshot in snapshots:
        by_root[snapshot.root].append(snapshot.id.hex())
    paths: defaultdict[ObjectId, dict[bytes, None]] = defaultdict(dict)
    losers: defaultdict[ObjectId, dict[str, None]] = defaultdict(dict)
    for root, found in lost.items():
        for path, object_id in found:
            paths[object_id][path] = None
            losers[object_id].update(dict.fromkeys(by_root[root]))
    needed = {*check.sizes, *check.trees()}
    return [
        Problem(
            flaw.code,
            flaw.message + _whom(list(paths[one]), len(losers[one]), is_needed=one in needed),
            path=display(next(iter(paths[one]), b"")),
            object=one.hex(),
            snapshots=tuple(losers[one]),
        )
        for one, flaw in flaws.items()
    ]


def _whom(paths: list[bytes], snapshots: int, *, is_needed: bool) -> str:
    """The end of a sentence: who is concerned."""
    if not snapshots:
        return "; concerns some of the damaged snapshots" if is_needed else "; no snapshot needs it"
    shown = ", ".join(display(path) or "the whole folder" for path in paths[:MAX_PATHS_SHOWN])
    more = f" and {len(paths) - MAX_PATHS_SHOWN} more" if len(paths) > MAX_PATHS_SHOWN else ""
    plural = "" if snapshots == 1 else "s"
    return f"; concerns {shown}{more} in {snapshots} snapshot{plural}"


def _notes(check: TreeCheck, purged: Mapping[bytes, str]) -> list[Problem]:
    notes = [
        Problem("purged", f"Blob {short(blob)} was purged ({reason})", object=blob.hex())
        for blob, reason in sorted(purged.items())
        if blob in check.sizes
    ]
    notes += [
        Problem("not-portable", f"The name {display(name)} {reason}", path=display(name))
        for name, reason in sorted(check.notes.items())
    ]
    return notes


class Repaired(NamedTuple):
    """What was written anew.

    Attributes:
        objects: objects in the new index.
        snapshots: snapshots in the new paths journal.
        problems: why there is no new journal, when a tree is damaged: the old one was kept.
    """

    objects: int
    snapshots: int
    problems: tuple[Problem, ...] = ()


def repair_index(store: DiskStore, *, monitor: Monitor = SILENT) -> Repaired:
    """Write index and caches anew from segments, log and trees; deletes nothing else.

    Where a tree is damaged, the journal of changed paths knows more than the trees, and is kept.

    Cost: the headers of every segment, and one diff for each snapshot.

    Raises:
        LockedError: somebody records a snapshot just now.
    """
    monitor.stage("rebuilding the index")
    objects = store.rebuild_index()
    invalidate(store)
    monitor.stage("rebuilding the paths journal")
    kept = store.read_cache(JOURNAL)
    try:
        return Repaired(objects, PathsIndex(store).rebuild())
    except CorruptError as error:
        if kept is not None:
            store.write_cache(JOURNAL, [kept])
        text = f"The record of changed paths was not written anew, a snapshot is damaged: {error.message}"
        return Repaired(objects, 0, (Problem("paths", text, object=str(error.fields.get("id", ""))),))
