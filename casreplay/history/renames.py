"""Renames: deleted and added files that are the same file, found after the fact.

Owns: pairing deleted with added entries, by equal content first, then by similarity.
Nothing here is recorded; a rename is a reading of two trees, as in git, and a path that
another reading would pair otherwise is still listed with both its entries.

Similarity is git's measure: bytes in lines (cut at 64 bytes) that both files have, over
the larger file's length; 50 of 100 make a rename. Source: git, ``diffcore-delta.c`` and
``diffcore-rename.c``. With few candidates every pair is compared; with many, only the most
likely ones, and the result says so: those that share the most pieces few others have.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import NamedTuple

from casreplay.errors import CasreplayError, MissingObjectError
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.ids import BlobId
from casreplay.model.objects import EntryKind
from casreplay.workspace import workers

__all__ = ["RenameResult", "detect_renames", "similarity"]

THRESHOLD = 50
MAX_FILE_BYTES = 1 << 20
"""Larger files are paired by equal content only."""
MAX_PAIRS = 10_000
"""Up to so many pairs, all are compared; beyond, a short list for each added file."""
MAX_FILES = 2_000
"""Deleted, and as many added, files that are read at most."""
MANY_FILES = 512
"""Candidates from which on a second process helps to read them."""
SHORT_LIST = 6
"""Deleted files compared with one added file when there are too many for all pairs."""
MAX_TOTAL_BYTES = 64 << 20
"""Bytes read on each side at most."""
MAX_SHARERS = 32
"""A piece that more deleted files have (a licence header) says nothing about any of them."""

_PIECES = re.compile(rb"[^\n]{0,63}\n|[^\n]{1,64}")


class RenameResult(NamedTuple):
    """Changes with renames in them.

    Attributes:
        changes: sorted by path; a renamed file stands under its new path, once.
        is_complete: whether every pair that could be a rename was looked at.
    """

    changes: tuple[Change, ...]
    is_complete: bool = True


Pair = tuple[Change, Change]
"""A deleted and an added entry."""
Pieces = dict[bytes, int]
"""The lines of a file, cut at 64 bytes, with how often each occurs."""


def detect_renames(changes: Iterable[Change], read: Callable[[BlobId], bytes]) -> RenameResult:
    """Replace pairs of deleted and added files by renames.

    Args:
        changes: as ``diff_trees`` gives them.
        read: gives a blob's bytes; called once for each file that is a candidate.

    Cost: nothing is read when contents are equal; otherwise the candidates, many of
    them by two processes, and at most ``MAX_PAIRS`` comparisons of about 0.1 ms each.

    A content that was purged is compared with nothing.

    Raises:
        CorruptError: from ``read``.
    """
    found = list(changes)
    gone = [c for c in found if c.kind is ChangeKind.DELETED and _is_movable(c)]
    new = [c for c in found if c.kind is ChangeKind.ADDED and _is_movable(c)]
    if not gone or not new:
        return RenameResult(tuple(found))
    renamed: dict[bytes, Change] = {}
    for before, after in _equal_pairs(gone, new):
        renamed[before.path] = _renamed(before, after, 100)
    taken = {change.path for change in renamed.values()}
    rest_gone = [c for c in gone if c.path not in renamed and _is_comparable(c)]
    rest_new = [c for c in new if c.path not in taken and _is_comparable(c)]
    scored, is_complete = _similar_pairs(rest_gone, rest_new, read)
    for score, before, after in scored:
        if before.path not in renamed and after.path not in taken:
            renamed[before.path] = _renamed(before, after, score)
            taken.add(after.path)
    merged = [c for c in found if not _is_replaced(c, renamed, taken)]
    merged.extend(renamed.values())
    merged.sort(key=lambda change: change.path)
    return RenameResult(tuple(merged), is_complete)


def _is_replaced(change: Change, renamed: dict[bytes, Change], taken: set[bytes]) -> bool:
    if change.kind is ChangeKind.DELETED:
        return change.path in renamed
    return change.kind is ChangeKind.ADDED and change.path in taken


def _renamed(before: Change, after: Change, score: int) -> Change:
    return Change(after.path, ChangeKind.RENAMED, before.before, after.after, before.path, score)


def _blob(change: Change) -> BlobId | None:
    entry = change.after or change.before
    return entry.blob_id if entry is not None else None


def _size(change: Change) -> int:
    entry = change.after or change.before
    return entry.size_bytes if entry is not None else 0


def _is_symlink(change: Change) -> bool:
    entry = change.after or change.before
    return entry is not None and entry.kind is EntryKind.SYMLINK


def _is_movable(change: Change) -> bool:
    return _blob(change) is not None


def _is_comparable(change: Change) -> bool:
    return 0 < _size(change) <= MAX_FILE_BYTES and not _is_symlink(change)


def _basename(change: Change) -> bytes:
    return change.path.rpartition(b"/")[2]


def _equal_pairs(gone: list[Change], new: list[Change]) -> list[Pair]:
    """Files of equal content: of one name first, then in path order. Empty files need equal names."""
    by_content: defaultdict[tuple[BlobId | None, bool], list[Change]] = defaultdict(list)
    for change in gone:
        by_content[_blob(change), _is_symlink(change)].append(change)
    pairs: list[Pair] = []
    rest: list[Change] = []
    for after in new:
        candidates = by_content.get((_blob(after), _is_symlink(after)), [])
        if not candidates:
            continue
        name = _basename(after)
        same = next((c for c in candidates[:256] if _basename(c) == name), None)
        if same is not None:
            candidates.remove(same)
            pairs.append((same, after))
        elif _size(after):
            rest.append(after)
    for after in rest:
        candidates = by_content[_blob(after), _is_symlink(after)]
        if candidates:
            pairs.append((candidates.pop(0), after))
    return pairs


def _similar_pairs(
    gone: list[Change], new: list[Change], read: Callable[[BlobId], bytes]
) -> tuple[list[tuple[int, Change, Change]], bool]:
    """Pairs over the threshold with their scores, best first, and whether all that could be were compared."""
    gone, new = _of_like_size(gone, new), _of_like_size(new, gone)
    number = len(gone), len(new)
    if 0 in number:
        return [], True
    gone, new = _within_limits(gone), _within_limits(new)
    is_complete = number == (len(gone), len(new))
    pieces = _pieces_of_all(gone, new, read)
    if len(gone) * len(new) <= MAX_PAIRS:
        pairs = [(before, after) for after in new for before in gone]
    else:
        pairs, is_complete = _short_listed(gone, new, pieces), False
    scored: list[tuple[int, Change, Change]] = []
    for before, after in pairs:
        if _sizes_fit(before, after):
            larger = max(_size(before), _size(after))
            score = _similarity(pieces[before.path], pieces[after.path], larger)
            if score >= THRESHOLD:
                scored.append((score, before, after))
    scored.sort(key=lambda item: (-item[0], _rank(item[1], item[2]), item[2].path, item[1].path))
    return scored, is_complete


def _pieces_of_all(
    gone: list[Change], new: list[Change], read: Callable[[BlobId], bytes]
) -> dict[bytes, Pieces]:
    """The pieces of every candidate by path; of many, one side is read by a forked worker."""
    if len(gone) + len(new) >= MANY_FILES and workers.count() > 1:
        try:
            one, other = workers.run([partial(_pieces_of, side, read) for side in (new, gone)])
        except CasreplayError:
            pass  # a worker's error says less than it knew: alone it comes again
        else:
            return {**one, **other}
    return _pieces_of((*gone, *new), read)


def _pieces_of(changes: Iterable[Change], read: Callable[[BlobId], bytes]) -> dict[bytes, Pieces]:
    pieces: dict[bytes, Pieces] = {}
    for change in changes:
        blob = _blob(change)
        if blob is not None:
            try:
                pieces[change.path] = dict(Counter(_PIECES.findall(read(blob))))
            except MissingObjectError as error:
                if not error.is_purged:
                    raise
                pieces[change.path] = {}  # of what was erased on purpose nothing is like it
    return pieces


def _short_listed(gone: list[Change], new: list[Change], pieces: dict[bytes, Pieces]) -> list[Pair]:
    """For each added file the deleted ones with which it shares the most pieces that few others have."""
    sharers: defaultdict[bytes, list[int]] = defaultdict(list)
    asked = set().union(*(pieces[after.path] for after in new))
    for number, change in enumerate(gone):
        for piece in asked.intersection(pieces[change.path]):
            sharers[piece].append(number)
    telling = {piece: numbers for piece, numbers in sharers.items() if len(numbers) <= MAX_SHARERS}
    pairs: list[Pair] = []
    for after in new:
        numbers = chain.from_iterable(
            map(telling.__getitem__, filter(telling.__contains__, pieces[after.path]))
        )
        shared = Counter(numbers).most_common(SHORT_LIST)
        pairs.extend((gone[number], after) for number, _ in shared)
    return pairs


def _of_like_size(changes: list[Change], others: list[Change]) -> list[Change]:
    """Those of ``changes`` whose size is near enough to that of any of ``others``."""
    sizes = sorted(map(_size, others))
    fitting: list[Change] = []
    for change in changes:
        at = bisect_left(sizes, -(-_size(change) * THRESHOLD // 100))
        if at < len(sizes) and sizes[at] * THRESHOLD <= _size(change) * 100:
            fitting.append(change)
    return fitting


def _within_limits(changes: list[Change]) -> list[Change]:
    """As many of ``changes``, in their order, as may be read."""
    total, taken = 0, 0
    for change in changes[:MAX_FILES]:
        total += _size(change)
        if total > MAX_TOTAL_BYTES:
            break
        taken += 1
    return changes[:taken]


def _sizes_fit(before: Change, after: Change) -> bool:
    a, b = _size(before), _size(after)
    return min(a, b) * 100 >= max(a, b) * THRESHOLD


def _rank(before: Change, after: Change) -> tuple[bool, bool, int]:
    """Likelier pairs first: one name, one ending, near in size."""
    old, new = _basename(before), _basename(after)
    ending = old.rpartition(b".")[2] != new.rpartition(b".")[2]
    return old != new, ending, abs(_size(before) - _size(after))


def similarity(before: bytes, after: bytes) -> int:
    """0 to 100: how much of the larger content the other has too; 100 only when equal."""
    if before == after:
        return 100
    a, b = Counter(_PIECES.findall(before)), Counter(_PIECES.findall(after))
    return _similarity(a, b, max(len(before), len(after)))


def _similarity(a: Pieces, b: Pieces, larger: int) -> int:
    small, large = (a, b) if len(a) <= len(b) else (b, a)
    common = small.keys() & large.keys()
    shared = sum(len(piece) * min(small[piece], large[piece]) for piece in common)
    return min(99, shared * 100 // larger) if larger else 0
