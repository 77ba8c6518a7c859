"""The stat cache: what every folder looked like at the last commit, as one flat file.

Owns the layout below and the racy rule. It is a cache: losing it costs time, never
truth. Nothing in it is believed when its header does not match the store's head, the
ignore rules or the workspace.

Layout (native integers; the file never leaves the machine): lengths; as one zstd frame
the header, columns over folders (entry counts, listing lengths, sub-tree sizes, twelve
coverage counts, tree ids, content ids, stamps) and the folder paths joined by NUL; then one
listing a folder: names joined by ``/``, ``COLUMNS`` 64-bit stat columns, ids and states
an entry. A frame as long as what it holds is not compressed.

The racy rule (source: git's ``racy-git`` document, borg#3536): a file whose mtime or
ctime is not safely older than the scan may have been written again within the same
tick. Such rows are stored as zeros, so the next scan finds them changed and reads the
file again. The same holds for a folder's names and its stamp: one that is not safely older is
stored as zeros, and the next scan lists the folder whatever its times say.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass, fields, replace
from functools import cached_property
from itertools import accumulate, pairwise

from casreplay.codec import frame
from casreplay.codec.hashing import blob_id
from casreplay.errors import CorruptError
from casreplay.model.objects import Coverage
from casreplay.workspace.scanner import COLUMNS, NO_STAMP, STAMP

__all__ = [
    "COUNTERS",
    "IGNORED",
    "CacheHeader",
    "FolderRecord",
    "StatCache",
    "blank_racy_rows",
    "encode",
    "settled_stamp",
]

MAGIC = b"crS4"
OUTER = struct.Struct("<4sQQQQ")
HEADER = struct.Struct("<32s32s32sQQQ")
PACKED_LISTINGS_BYTES = 4 << 20
"""Listings up to this size are compressed too; of larger ones unpacking would be felt."""
IGNORED = 255
"""State of an entry that rules leave out; beside the values of ``EntryState``."""
RACY_NS = 2_000_000_000
COUNTERS = tuple(field.name for field in fields(Coverage))
_MODE, _SIZE, _MTIME, _CTIME = range(4)


@dataclass(frozen=True, slots=True)
class CacheHeader:
    """What a cache is valid for; all three ids must match before it is believed.

    Attributes:
        root: tree id of the snapshot it describes.
        rules: fingerprint of the ignore rules, 32 bytes.
        binding: 32 bytes that tie it to its store and workspace.
        scan_ns: when the scan began, UTC nanoseconds.
    """

    root: bytes
    rules: bytes
    binding: bytes
    scan_ns: int


@dataclass(frozen=True, slots=True)
class FolderRecord:
    """One folder as the cache keeps it.

    ``ids`` is 32 bytes and ``states`` one byte an entry, in listing order. Counters
    are of this folder alone, in the order of ``COUNTERS``; ``subtree_bytes`` is not. ``stamp``
    is that of the listing, or zeros (``settled_stamp``).
    """

    names: bytes
    stats: bytes
    ids: bytes
    states: bytes
    tree_id: bytes
    content_id: bytes
    subtree_bytes: int
    counters: tuple[int, ...]
    stamp: bytes = NO_STAMP


class StatCache:
    """Read access to a cache file's bytes (a ``bytes`` or a memory map).

    Opening parses columns only: a few milliseconds for 20,000 folders.

    Raises:
        ValueError: the bytes are not a whole cache of this layout, or its first folder is not the root.
    """

    def __init__(self, data: bytes) -> None:
        self._file = data
        self._data, self._listings, first = _unpacked(data)
        self.patched: dict[int, FolderRecord] = {}
        """Folders that were replaced since the file was written (``stat_patch``)."""
        root, rules, binding, scan_ns, n, paths_length = HEADER.unpack_from(self._data)
        self.header = CacheHeader(root, rules, binding, scan_ns)
        at = HEADER.size
        self.counts, at = self._column(at, n)
        lengths, at = self._column(at, n)
        self._offsets = array("q", accumulate(lengths, initial=first))
        self._subtree, at = self._column(at, n)
        self._counters, at = self._column(at, n * len(COUNTERS))
        self._tree_ids_at, at = at, at + 32 * n
        self._content_ids_at, at = at, at + 32 * n
        self._stamps, at = bytearray(self._data[at : at + STAMP.size * n]), at + STAMP.size * n
        self.paths: list[bytes] = self._data[at:].split(b"\0") if n else []
        if (
            len(self.paths) != n
            or len(self._data) != at + paths_length
            or len(self._listings) != self._offsets[-1]
        ):
            raise ValueError("A stat cache is cut short")
        if self.paths[:1] != [b""]:
            raise ValueError("A stat cache does not begin with the root")

    def _column(self, at: int, n: int) -> tuple[array[int], int]:
        if len(self._data) < at + 8 * n:
            raise ValueError("A stat cache is cut short")
        column = array("q")
        column.frombytes(self._data[at : at + 8 * n])
        return column, at + 8 * n

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def key(self) -> bytes:
        """32 bytes that tell this file from others: the hash of all but the listings."""
        return blob_id(self._file[: OUTER.size + OUTER.unpack_from(self._file)[2]])

    def replace(self, i: int, record: FolderRecord) -> None:
        """Let folder ``i`` be what ``record`` says from now on."""
        k = len(COUNTERS)
        self.counts[i], self._subtree[i] = len(record.states), record.subtree_bytes
        self._counters[k * i : k * i + k] = array("q", record.counters)
        self.set_stamp(i, record.stamp)
        self.patched[i] = record

    @cached_property
    def positions(self) -> Mapping[bytes, int]:
        """The number of each folder by its path."""
        return {path: i for i, path in enumerate(self.paths)}

    def listing(self, i: int) -> tuple[bytes, bytes]:
        """Names and stats of folder ``i``, racy rows blank, as the scanner compares them."""
        if i in self.patched:
            return self.patched[i].names, self.patched[i].stats
        start, n = self._offsets[i], self.counts[i]
        ids_at = self._offsets[i + 1] - 33 * n
        stats_at = ids_at - 8 * COLUMNS * n
        return self._listings[start:stats_at], self._listings[stats_at:ids_at]

    def known(self, i: int) -> tuple[bytes, bytes, bytes]:
        """Names, stats and stamp of folder ``i``: what the scanner asks for."""
        return (*self.listing(i), self.stamp(i))

    def stamp(self, i: int) -> bytes:
        """The stamp of folder ``i`` from when it was listed, or zeros."""
        return bytes(self._stamps[STAMP.size * i : STAMP.size * i + STAMP.size])

    def set_stamp(self, i: int, stamp: bytes) -> None:
        """Keep another stamp of folder ``i``: it was listed again and held the same."""
        self._stamps[STAMP.size * i : STAMP.size * i + STAMP.size] = stamp

    def record(self, i: int) -> FolderRecord:
        """Everything kept about folder ``i``."""
        if i in self.patched:
            return replace(self.patched[i], stamp=self.stamp(i))
        names, stats = self.listing(i)
        n, k = self.counts[i], len(COUNTERS)
        end = self._offsets[i + 1]
        return FolderRecord(
            names=names,
            stats=stats,
            ids=self._listings[end - 33 * n : end - n],
            states=self._listings[end - n : end],
            tree_id=self._data[self._tree_ids_at + 32 * i : self._tree_ids_at + 32 * i + 32],
            content_id=self._data[self._content_ids_at + 32 * i : self._content_ids_at + 32 * i + 32],
            subtree_bytes=self._subtree[i],
            counters=tuple(self._counters[k * i : k * i + k]),
            stamp=self.stamp(i),
        )

    def tree_id(self, i: int) -> bytes:
        """The tree id of folder ``i``."""
        if i in self.patched:
            return self.patched[i].tree_id
        return self._data[self._tree_ids_at + 32 * i : self._tree_ids_at + 32 * i + 32]

    def totals_without(self, left_out: Collection[int]) -> list[int]:
        """The sums of all counters, in the order of ``COUNTERS``, over all folders but those."""
        k = len(COUNTERS)
        totals = [sum(self._counters[j::k]) for j in range(k)]
        for i in left_out:
            for j in range(k):
                totals[j] -= self._counters[k * i + j]
        return totals

    def copy_range(self, part: range, out: _Columns) -> None:
        """Append the folders of ``part`` to the columns of another cache, as slices where none is patched."""
        start = part.start
        for i in sorted(i for i in self.patched if i in part):
            self._copy_slices(start, i, out)
            out.add(self.paths[i], self.record(i))
            start = i + 1
        self._copy_slices(start, part.stop, out)

    def _copy_slices(self, lo: int, hi: int, out: _Columns) -> None:
        k = len(COUNTERS)
        out.counts.extend(self.counts[lo:hi])
        out.lengths.extend(array("q", [b - a for a, b in pairwise(self._offsets[lo : hi + 1])]))
        out.subtree.extend(self._subtree[lo:hi])
        out.counters.extend(self._counters[k * lo : k * hi])
        out.tree_ids.append(self._data[self._tree_ids_at + 32 * lo : self._tree_ids_at + 32 * hi])
        out.content_ids.append(self._data[self._content_ids_at + 32 * lo : self._content_ids_at + 32 * hi])
        out.stamps.append(bytes(self._stamps[STAMP.size * lo : STAMP.size * hi]))
        out.paths.extend(self.paths[lo:hi])
        out.listings.append(self._listings[self._offsets[lo] : self._offsets[hi]])


@dataclass(slots=True)
class _Columns:
    """The columns of a cache being written."""

    counts: array[int]
    lengths: array[int]
    subtree: array[int]
    counters: array[int]
    tree_ids: list[bytes]
    content_ids: list[bytes]
    stamps: list[bytes]
    paths: list[bytes]
    listings: list[bytes]

    def add(self, path: bytes, record: FolderRecord) -> None:
        listing = record.names + record.stats + record.ids + record.states
        self.counts.append(len(record.states))
        self.lengths.append(len(listing))
        self.subtree.append(record.subtree_bytes)
        self.counters.extend(record.counters)
        self.tree_ids.append(record.tree_id)
        self.content_ids.append(record.content_id)
        self.stamps.append(record.stamp)
        self.paths.append(path)
        self.listings.append(listing)


Part = range | tuple[bytes, FolderRecord]


def encode(header: CacheHeader, parts: Iterable[Part], old: StatCache | None) -> list[bytes]:
    """The pieces of a cache file, to be written one after the other.

    Args:
        header: what the cache is valid for.
        parts: ranges of folders copied from ``old`` unchanged, or (path, record) of others, in any order.
        old: the cache that ranges refer to.

    Cost: copies ranges as slices; one record's work for each changed folder.
    """
    out = _Columns(array("q"), array("q"), array("q"), array("q"), [], [], [], [], [])
    for part in parts:
        if isinstance(part, range):
            assert old is not None
            old.copy_range(part, out)
        else:
            out.add(*part)
    joined = b"\0".join(out.paths)
    columns = b"".join(
        [
            HEADER.pack(*astuple(header), len(out.paths), len(joined)),
            out.counts.tobytes(),
            out.lengths.tobytes(),
            out.subtree.tobytes(),
            out.counters.tobytes(),
            *out.tree_ids,
            *out.content_ids,
            *out.stamps,
            joined,
        ]
    )
    return _packed(columns, out.listings)


def _packed(columns: bytes, listings: list[bytes]) -> list[bytes]:
    """Columns always compressed (they are mostly zeros), listings when they are few."""
    size = sum(map(len, listings))
    stored_columns = frame.compress(columns, level=1) if len(columns) <= frame.MAX_RAW_BYTES else None
    packed = frame.compress(b"".join(listings), level=1) if size <= PACKED_LISTINGS_BYTES else None
    pieces = [columns if stored_columns is None else stored_columns]
    outer = OUTER.pack(MAGIC, len(columns), len(pieces[0]), size, size if packed is None else len(packed))
    return [outer, *pieces, *(listings if packed is None else [packed])]


def _unpacked(data: bytes) -> tuple[bytes, bytes, int]:
    """The columns of a cache file, the bytes that end with its listings, and where the first one starts.

    Listings that are not compressed stay where they are: they are most of the file.
    """
    if len(data) < OUTER.size or data[:4] != MAGIC:
        raise ValueError("Not a stat cache of this version")
    _, columns_raw, columns_stored, listings_raw, listings_stored = OUTER.unpack_from(data)
    start = OUTER.size + columns_stored
    if columns_raw < HEADER.size or len(data) != start + listings_stored:
        raise ValueError("A stat cache is cut short")
    try:
        columns, listings, first = data[OUTER.size : start], data, start
        if columns_stored != columns_raw:
            columns = frame.decompress(columns, columns_raw)
        if listings_stored != listings_raw:
            listings, first = frame.decompress(data[start:], listings_raw), 0
    except CorruptError as error:
        raise ValueError("A stat cache is damaged") from error
    return columns, listings, first


def blank_racy_rows(rows: array[int], states: bytes, scan_ns: int) -> bytes:
    """Stat rows for the cache: zeros where the next scan must look again.

    That is every regular file or link touched less than two seconds before the scan
    began, and everything that was not captured whole. Folders keep their rows.
    """
    horizon = scan_ns - RACY_NS
    for i, state in enumerate(states):
        at = COLUMNS * i
        is_folder = rows[at + _MODE] & 0o170000 == 0o040000
        recent = rows[at + _MTIME] >= horizon or rows[at + _CTIME] >= horizon
        if (recent and not is_folder and state != IGNORED) or 0 < state < IGNORED:
            rows[at : at + COLUMNS] = array("q", bytes(8 * COLUMNS))
    return rows.tobytes()


def settled_stamp(stamp: bytes, scan_ns: int) -> bytes:
    """The stamp for the cache: zeros when the folder was touched within two seconds of the scan's begin."""
    _, *times = STAMP.unpack(stamp)
    return stamp if max(times) < scan_ns - RACY_NS else NO_STAMP
