"""From what the disk shows and what the cache knows to the work a commit has to do.

Owns the decision, entry by entry, between "as before" and "read it", and the bookkeeping
of folders that appeared, vanished or could not be listed. Reads no contents and writes
nothing: ``history.ingest`` reads, ``history.treebuild`` assembles.
"""

from __future__ import annotations

import errno
import os
import stat
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from casreplay.clock import system_clock
from casreplay.errors import CasreplayError
from casreplay.model.objects import EntryState
from casreplay.model.paths import join, parent
from casreplay.workspace.ignore import FolderRules, IgnoreRules
from casreplay.workspace.scanner import COLUMNS, NO_STAMP, Listing, changed_listings, list_tree
from casreplay.workspace.stat_cache import IGNORED, FolderRecord, StatCache, settled_stamp

__all__ = ["FolderWork", "Scan", "ScanOptions", "scan"]

SPOT_CHECK_SHARE = 1009
"""One known folder in so many is listed and read again at each commit, whatever its stats say."""
LARGEST_FILE_BYTES = 880 << 30
"""Of a larger file the list of chunks might be longer than a frame may be."""
_NO_ID = bytes(32)
_FAILED = {
    errno.ENOENT: EntryState.VANISHED,
    errno.ENOTDIR: EntryState.VANISHED,
    errno.ELOOP: EntryState.VANISHED,
    errno.EXDEV: EntryState.MOUNT,
}
"""What it means that a folder cannot be listed; anything else: unreadable."""
_FOLDER, _REGULAR, _LINK = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How to scan.

    Attributes:
        root: the workspace, an absolute path.
        rules: what to leave out.
        max_file_bytes: larger files get an entry without content; 0: ``LARGEST_FILE_BYTES``.
        reread: read every file again, whatever the cache says (``commit --full``).
        start_ns: when the scan begins; chooses the folders of the spot check.
        machine_ns: the same moment by the clock that folders' times come from, whatever clock
            snapshots are dated by.
    """

    root: bytes
    rules: IgnoreRules
    max_file_bytes: int = 0
    reread: bool = False
    start_ns: int = 0
    machine_ns: int = field(default_factory=system_clock)


@dataclass(slots=True)
class FolderWork:
    """One folder whose tree has to be built again. Columns are in listing order.

    Attributes:
        path: below the root.
        names: entry names.
        rows: ``COLUMNS`` stat columns an entry.
        ids: 32 bytes an entry: what is known already, zeros elsewhere; ingest fills the rest.
        states: one byte an entry: ``EntryState`` or ``IGNORED``.
        bases: earlier blob ids (possibly zero) of the entries in ``captures``.
        captures: positions of files and links to read.
        stamp: of the listing, zeros when that may not be built on (``settled_stamp``).
    """

    path: bytes
    names: list[bytes]
    rows: array[int]
    ids: bytearray
    states: bytearray
    captures: list[int] = field(default_factory=list)
    bases: list[bytes] = field(default_factory=list)
    stamp: bytes = NO_STAMP

    def mode(self, i: int) -> int:
        """``st_mode`` of entry ``i``; 0 when its stat was denied."""
        return self.rows[COLUMNS * i]

    def folders(self) -> Iterator[tuple[int, bytes]]:
        """Position and name of every sub-folder that is entered."""
        for i, name in enumerate(self.names):
            if self.rows[COLUMNS * i] & 0o170000 == _FOLDER and not self.states[i]:
                yield i, name


class Scan(NamedTuple):
    """What a commit has to do.

    Attributes:
        works: folders to build again, by path.
        removed: positions in the cache of folders that are gone.
        cache: the cache the positions refer to; ``None`` when nothing could be reused.
        settled: positions of folders as they were, whose new stamps the cache was told.
    """

    works: dict[bytes, FolderWork]
    removed: frozenset[int]
    cache: StatCache | None
    settled: frozenset[int] = frozenset()


def scan(options: ScanOptions, cache: StatCache | None, *, rules_match: bool) -> Scan:
    """Compare the workspace with ``cache``.

    Args:
        options: what and how.
        cache: the last commit's view, or ``None``.
        rules_match: whether the cache was made under the same ignore rules; otherwise
            every folder is listed anew, and known files are still not read again.

    Raises:
        CasreplayError: the workspace itself cannot be listed.
    """
    if cache is not None and rules_match and not options.reread:
        found = _incremental(options, cache)
        if found is not None:
            return found
    return _complete(options, cache)


def _complete(options: ScanOptions, cache: StatCache | None) -> Scan:
    """List everything; the cache, when there is one, still says which files are known."""
    known = cache.positions if cache else {}
    try:
        listings, failed = list_tree(options.root, b"", _enter_rule(options.rules))
    except OSError as error:
        raise _unlistable(options.root, error.errno) from error
    if b"" in failed:
        raise _unlistable(options.root, failed[b""])
    works = {}
    for path, listing in listings.items():
        record = cache.record(known[path]) if cache and path in known else None
        works[path] = _plan_folder(options, path, listing, record)
    _mark_failed(works, failed)
    return Scan(works, frozenset(range(len(cache) if cache else 0)), cache)


def _unlistable(root: bytes, number: int | None) -> CasreplayError:
    reason = os.strerror(number or errno.EIO)
    return CasreplayError(
        f"Cannot list the workspace {os.fsdecode(root)}: {reason}",
        hint="Check that the folder exists and may be read",
    )


def _incremental(options: ScanOptions, cache: StatCache) -> Scan | None:
    """Only what differs; ``None`` when an ignore file changed and every decision is open again."""
    changed, settled = _compared(options, cache)
    if isinstance(changed.get(0), int):
        raise _unlistable(options.root, errno.ENOENT)
    known = cache.positions if changed else {}
    works: dict[bytes, FolderWork] = {}
    gone: set[bytes] = set()
    for i, listing in changed.items():
        if isinstance(listing, int):
            continue
        record = cache.record(i)
        work = works[cache.paths[i]] = _plan_folder(options, cache.paths[i], listing, record)
        if _touches_rules(options.rules, work, record):
            return None
        gone |= _lost_folders(work, record)
    removed = _below(cache.paths, gone) if gone else set()
    failed = {cache.paths[i]: x for i, x in changed.items() if isinstance(x, int) and i not in removed}
    for path in [path for path in works if known[path] in removed]:
        del works[path]
    failed.update(_add_new_folders(options, works, known, removed))
    removed |= _shut_off(cache.paths, works, failed)
    for path in failed:
        if parent(path) not in works:
            works[parent(path)] = _from_record(parent(path), cache.record(known[parent(path)]))
    _mark_failed(works, failed)
    _spot_check(options, cache, works, removed)
    return Scan(works, frozenset(removed), cache, settled)


def _compared(options: ScanOptions, cache: StatCache) -> tuple[dict[int, Listing | int], frozenset[int]]:
    """Folders that differ, by position, and those of which the cache was told a new stamp alone."""
    doubted = {i: cache.stamp(i) for i in _spot_folders(options, cache)}
    for i in doubted:
        cache.set_stamp(i, NO_STAMP)
    try:
        found = changed_listings(options.root, cache.paths, cache.counts, cache.known)
    except OSError as error:
        raise _unlistable(options.root, error.errno) from error
    for i, stamp in doubted.items():
        cache.set_stamp(i, stamp)
    changed: dict[int, Listing | int] = {}
    settled: set[int] = set()
    for i, one in found.items():
        if isinstance(one, bytes):
            stamp = settled_stamp(one, options.machine_ns)
            if stamp != cache.stamp(i):
                cache.set_stamp(i, stamp)
                settled.add(i)
        else:
            changed[i] = one
    return changed, frozenset(settled)


def _spot_folders(options: ScanOptions, cache: StatCache) -> range:
    """The rotating share of the known folders that is listed and read whatever stats say."""
    bucket = options.start_ns // 1_000_000 % SPOT_CHECK_SHARE
    return range(bucket, len(cache), SPOT_CHECK_SHARE)


def _touches_rules(rules: IgnoreRules, work: FolderWork, record: FolderRecord) -> bool:
    """Whether an ignore file in this folder came, went or changed."""
    if not rules.ignore_names:
        return False
    present = rules.ignore_names.intersection(work.names)
    before = rules.ignore_names.intersection(record.names.split(b"/"))
    return present != before or any(work.names[i] in present for i in work.captures)


def _lost_folders(work: FolderWork, record: FolderRecord) -> set[bytes]:
    """Paths of folders that were entered from this one and no longer are."""
    old = _from_record(work.path, record)
    before = {name for _, name in old.folders()}
    return {join(work.path, name) for name in before.difference(name for _, name in work.folders())}


def _shut_off(paths: Iterable[bytes], works: dict[bytes, FolderWork], failed: dict[bytes, int]) -> set[int]:
    """Positions of known folders that failed or lie below one that did; takes the lower ones out.

    Below a folder that was locked all that was known fails too, and is no part of the snapshot.
    """
    if not failed:
        return set()
    for path in [path for path in failed if any(above in failed for above in _above(path))]:
        del failed[path]
    for path in [path for path in works if any(above in failed for above in _above(path))]:
        del works[path]
    return _below(paths, set(failed))


def _above(path: bytes) -> Iterator[bytes]:
    """The folders above ``path``, the nearest first, without the root."""
    while path := parent(path):
        yield path


def _below(paths: Iterable[bytes], gone: set[bytes]) -> set[int]:
    prefixes = tuple(path + b"/" for path in gone)
    return {i for i, path in enumerate(paths) if path in gone or path.startswith(prefixes)}


def _add_new_folders(
    options: ScanOptions, works: dict[bytes, FolderWork], known: Mapping[bytes, int], removed: set[int]
) -> dict[bytes, int]:
    """List folders the cache does not know; returns those that could not be listed."""
    failed: dict[bytes, int] = {}
    enter = _enter_rule(options.rules)
    for path, work in list(works.items()):
        for _, name in work.folders():
            start = join(path, name)
            if known.get(start, -1) not in removed and start in known:
                continue
            listings, failures = list_tree(options.root, start, enter)
            failed.update(failures)
            for new_path, listing in listings.items():
                works[new_path] = _plan_folder(options, new_path, listing, None)
    return failed


def _spot_check(
    options: ScanOptions, cache: StatCache, works: dict[bytes, FolderWork], removed: set[int]
) -> None:
    """Read a rotating share of the known folders again: stats can lie, contents cannot."""
    reread = replace(options, reread=True)
    for i in _spot_folders(options, cache):
        path = cache.paths[i]
        if path not in works and i not in removed:
            record = cache.record(i)
            works[path] = _plan_folder(
                reread, path, Listing(record.names, record.stats, record.stamp), record
            )


def _enter_rule(rules: IgnoreRules) -> _Enter:
    return _Enter(rules)


class _Enter:
    """The walker's question "which sub-folders?", answered from the rules in force there."""

    def __init__(self, rules: IgnoreRules) -> None:
        self._rules = rules

    def __call__(self, path: bytes, listing: Listing) -> list[bytes]:
        folders = list(listing.folders())
        if not folders:
            return []
        decide = _rules_for(self._rules, path, listing.names)
        if decide.is_trivial:
            return [name for _, name in folders]
        return [name for _, name in folders if not decide.ignores(name, True)]


def _rules_for(rules: IgnoreRules, path: bytes, names: bytes) -> FolderRules:
    """Rules of one folder; its ignore files are read only when its listing shows some."""
    has_own = any(name in names for name in rules.ignore_names)
    return rules.for_folder(path, None if has_own else {})


def _from_record(path: bytes, record: FolderRecord) -> FolderWork:
    rows = array("q")
    rows.frombytes(record.stats)
    names = record.names.split(b"/") if record.names else []
    ids, states = bytearray(record.ids), bytearray(record.states)
    return FolderWork(path, names, rows, ids, states, stamp=record.stamp)


def _mark_failed(works: dict[bytes, FolderWork], failed: dict[bytes, int]) -> None:
    """Give folders that could not be listed an explicit state in their parent."""
    for path, number in failed.items():
        folder, _, name = path.rpartition(b"/")
        work = works.get(folder)
        if work is None or name not in work.names:
            continue
        work.states[work.names.index(name)] = _FAILED.get(number, EntryState.UNREADABLE)


def _plan_folder(
    options: ScanOptions, path: bytes, listing: Listing, record: FolderRecord | None
) -> FolderWork:
    """Decide for every entry of one folder whether it is as before, to be read, or left out."""
    names = listing.split_names()
    n = len(names)
    stamp = settled_stamp(listing.stamp, options.machine_ns)
    work = FolderWork(path, names, listing.rows(), bytearray(32 * n), bytearray(n), stamp=stamp)
    decide = _rules_for(options.rules, path, listing.names)
    before = _Before(record, listing.names, reuse=not options.reread)
    limit = min(options.max_file_bytes or LARGEST_FILE_BYTES, LARGEST_FILE_BYTES)
    rows = work.rows
    for i, name in enumerate(names):
        mode = rows[COLUMNS * i]
        form = mode & 0o170000
        if not decide.is_trivial and decide.ignores(name, form == _FOLDER):
            work.states[i] = IGNORED
        elif form == _REGULAR and rows[COLUMNS * i + 1] > limit:
            work.states[i] = EntryState.TOO_LARGE
        elif form in (_REGULAR, _LINK):
            before.settle(work, i)
        elif not mode:
            work.states[i] = EntryState.UNREADABLE
    return work


class _Before:
    """What the cache knew about one folder's files."""

    def __init__(self, record: FolderRecord | None, names: bytes, *, reuse: bool) -> None:
        self._record = record
        self._reuse = reuse
        self._same_names = record is not None and record.names == names
        self._position: dict[bytes, int] = {}
        if record is not None and not self._same_names and record.names:
            self._position = {name: i for i, name in enumerate(record.names.split(b"/"))}

    def settle(self, work: FolderWork, i: int) -> None:
        """Take over entry ``i`` when its row is the one that was kept; otherwise have it read."""
        j = i if self._same_names else self._position.get(work.names[i], -1)
        base = _NO_ID
        record = self._record
        if j >= 0 and record is not None and record.states[j] != IGNORED:
            width = 8 * COLUMNS
            old_row = record.stats[width * j : width * j + width]
            new_row = work.rows[COLUMNS * i : COLUMNS * i + COLUMNS].tobytes()
            base = record.ids[32 * j : 32 * j + 32]
            if self._reuse and old_row == new_row:
                work.ids[32 * i : 32 * i + 32] = base
                work.states[i] = record.states[j]
                return
        work.captures.append(i)
        work.bases.append(base)
