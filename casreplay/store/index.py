"""The index: where every object lies. Rebuildable, a few files however many segments.

Sorted runs in mapped files, and a small tail that is appended to. A commit of a few
objects appends a batch to the tail; a full tail or a large batch becomes a run, and
runs of like size are merged, so there are about log4(n) of them. ``manifest`` names
the files in use and is replaced in one step.

Every batch and the manifest say up to which offset of the log they know everything,
and up to which length of each segment. A reader that finds more in the log scans the
headers of what is new (``store.disk``). Nothing here is synced except runs and the
manifest: a lost batch only means that its headers are scanned again.

Changes are made under the log's lock only; readers take none. Does not read segments.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType

from casreplay.codec.hashing import checksum
from casreplay.errors import CorruptError, StoreIOError
from casreplay.store.entries import ENTRY_BYTES, Entry, iterate, slices, unpack
from casreplay.store.files import Files, is_missing, join, replace
from casreplay.store.runs import Run, merged

__all__ = ["FOLDER", "Index"]

FOLDER = "index"
MANIFEST = "manifest"
TAIL_LIMIT = 4096
"""Entries the tail holds before it becomes a run."""
_RATIO = 4
_ATTEMPTS = 5
_BATCH = struct.Struct("<4sIIQII")
_BATCH_MAGIC = b"crB1"
_PAIR = struct.Struct("<II")
NOTHING_SHORT: Mapping[int, int] = MappingProxyType({})


@dataclass(slots=True)
class _State:
    """One consistent view of the index: what a manifest and its tail say."""

    number: int = 0
    runs: list[tuple[str, Run]] = field(default_factory=list)
    tail_name: str = ""
    tail: bytes = b""
    tail_size: int = 0
    by_id: dict[bytes, int] | None = None
    covered: dict[int, int] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)
    short: dict[int, int] = field(default_factory=dict)
    log_end: int = 0
    next_segment: int = 1
    stamp: tuple[int, int, int] | None = None


class Index:
    """The index of one store. ``load`` before anything else."""

    def __init__(self, files: Files, store_folder: str) -> None:
        self._files = files
        self._folder = join(store_folder, FOLDER)
        self._state = _State()

    @property
    def log_end(self) -> int:
        """Offset of the log up to which everything is known here."""
        return self._state.log_end

    @property
    def covered(self) -> Mapping[int, int]:
        """Segment number to the length below which every object is known here."""
        return self._state.covered

    @property
    def short(self) -> Mapping[int, int]:
        """Segments that had lost something when this was built, by the length up to which they are known."""
        return self._state.short

    @property
    def mark(self) -> object:
        """Equal as long as nothing here changed."""
        return self._state.number, self._state.stamp, self._state.tail_size

    @property
    def is_usable(self) -> bool:
        """Whether there is an index; what is empty has to be rebuilt."""
        return bool(self._state.tail_name)

    def distrust(self) -> None:
        """Know nothing, until another index is there."""
        self._state = _State(stamp=self._state.stamp, next_segment=self._state.next_segment)

    @property
    def next_segment(self) -> int:
        """A number above that of any segment that ever existed, as far as is known here."""
        return self._state.next_segment

    def __len__(self) -> int:
        """Entries, doubles included."""
        state = self._state
        in_runs: int = sum(run.count for _, run in state.runs)
        return in_runs + len(state.tail) // ENTRY_BYTES

    def load(self) -> bool:
        """Read what is on disk now; returns whether it was usable.

        ``False`` leaves an empty index that knows nothing: the caller rebuilds it.
        """
        for _ in range(_ATTEMPTS):
            try:
                self._state = self._read()
            except StoreIOError as error:
                # A merge replaced the files between our two looks, or they were lost.
                if not is_missing(error):
                    raise
            except (CorruptError, ValueError, KeyError, TypeError):
                break
            else:
                return True
        self._state = _State()
        return False

    def refresh(self) -> bool:
        """Take in what others published since; returns whether anything changed. Cost: two ``stat``s."""
        before = self.mark
        state = self._state
        tail = self._files.stamp(join(self._folder, state.tail_name)) if state.tail_name else None
        is_other = self._files.stamp(join(self._folder, MANIFEST)) != state.stamp
        if is_other or (state.tail_name and tail is None):
            self.load()
        elif tail is not None and tail[1] != state.tail_size:
            try:
                self._read_tail(state)
            except StoreIOError as error:
                if not is_missing(error):
                    raise
                self.load()  # a merge replaced it just now
        return self.mark != before

    def _read(self) -> _State:
        path = join(self._folder, MANIFEST)
        stamp = self._files.stamp(path)
        line, _, rest = self._files.read(path).partition(b"\n")
        if checksum(rest).hex().encode() != line:
            raise CorruptError("The index manifest's checksum does not hold", file=path)
        fields = json.loads(rest)
        state = _State(
            number=fields["number"],
            runs=[(name, Run(self._files, join(self._folder, name))) for name in fields["runs"]],
            tail_name=fields["tail"],
            covered={int(key): value for key, value in fields["covered"].items()},
            dropped=set(fields["dropped"]),
            short={int(key): value for key, value in fields.get("short", {}).items()},
            log_end=fields["log_end"],
            next_segment=fields["next_segment"],
            stamp=stamp,
        )
        self._read_tail(state)
        return state

    def _read_tail(self, state: _State) -> None:
        """Append to ``state`` the batches of the tail file that it does not hold yet."""
        data = self._files.read(join(self._folder, state.tail_name))
        at, tail = state.tail_size, [state.tail]
        while len(data) - at >= _BATCH.size:
            magic, entries, pairs, log_end, next_segment, crc = _BATCH.unpack_from(data, at)
            end = at + _BATCH.size + pairs * _PAIR.size + entries * ENTRY_BYTES
            if magic != _BATCH_MAGIC or end > len(data) or _batch_crc(data[at:end]) != crc:
                break  # being written now, or torn: the log says what is missing
            body = at + _BATCH.size
            for number, length in _PAIR.iter_unpack(data[body : body + pairs * _PAIR.size]):
                state.covered[number] = max(length, state.covered.get(number, 0))
            tail.append(data[body + pairs * _PAIR.size : end])
            state.log_end, state.next_segment = log_end, max(next_segment, state.next_segment)
            at = end
        state.tail = b"".join(tail)
        state.tail_size = at
        state.by_id = None

    def find(self, object_id: bytes) -> Entry | None:
        """One entry of an id, or ``None``. Cost: about 1 us a run."""
        state = self._state
        if state.tail:
            if state.by_id is None:
                tail = state.tail
                state.by_id = {tail[i : i + 32]: i for i in range(0, len(tail), ENTRY_BYTES)}
            at = state.by_id.get(object_id)
            if at is not None:
                return unpack(state.tail, at)
        for _, run in state.runs:
            found = run.find(object_id)
            if found is not None:
                return found
        return None

    def find_all(self, object_id: bytes) -> list[Entry]:
        """Every entry of an id, newest first: doubles are what damage to one copy is healed from."""
        state = self._state
        found = []
        at = state.tail.find(object_id)
        while at >= 0:
            if at % ENTRY_BYTES == 0:
                found.append(unpack(state.tail, at))
            at = state.tail.find(object_id, at + 1)
        found.reverse()
        for _, run in reversed(state.runs):
            found += run.find_all(object_id)
        return found

    def part(self, leading: int) -> Iterator[Entry]:
        """Entries of the ids that start with the byte ``leading``, doubles included, in no order."""
        state = self._state
        yield from (entry for entry in iterate(state.tail) if entry.id[0] == leading)
        for _, run in state.runs:
            yield from map(unpack, slices(run.part(leading, 256)))

    def doubles(self, beside: bytes = b"") -> set[bytes]:
        """Ids that have more than one entry here and in ``beside``. Cost: 0.2 us an entry."""
        state = self._state
        packed = state.tail + beside
        extra: list[list[bytes]] = [[] for _ in range(256)]
        for i in range(0, len(packed), ENTRY_BYTES):
            extra[packed[i]].append(packed[i : i + 32])
        found: set[bytes] = set()
        for leading, ids in enumerate(extra):
            for _, run in state.runs:
                part = run.part(leading, 256)
                ids += [part[i : i + 32] for i in range(0, len(part), ENTRY_BYTES)]
            if len(set(ids)) < len(ids):
                found.update(one for one, times in Counter(ids).items() if times > 1)
        return found

    def publish(self, packed: bytes, covered: Mapping[int, int], *, log_end: int, next_segment: int) -> None:
        """Add entries and what is known with them. Under the log's lock only.

        Args:
            packed: entries in any order.
            covered: segment to length, for the segments that ``packed`` concerns.
            log_end: offset of the log up to which everything is known now.
            next_segment: a number above every segment used.
        """
        state = self._state
        count = len(packed) // ENTRY_BYTES
        if not state.tail_name or (len(state.tail) // ENTRY_BYTES) + count > TAIL_LIMIT:
            wanted = dataclasses.replace(
                state,
                covered={**state.covered, **covered},
                log_end=log_end,
                next_segment=max(next_segment, state.next_segment),
            )
            self._fold(wanted, packed)
            return
        batch = _encode_batch(packed, covered, log_end, next_segment)
        handle = self._files.append(join(self._folder, state.tail_name))
        try:
            if handle.size != state.tail_size:
                # A torn batch is in the way: everything behind it would be invisible.
                handle.close()
                self._files.truncate(join(self._folder, state.tail_name), state.tail_size)
                handle = self._files.append(join(self._folder, state.tail_name))
            handle.write(batch)
        finally:
            handle.close()
        state.covered.update(covered)
        state.log_end = log_end
        state.next_segment = max(next_segment, state.next_segment)
        state.tail += packed
        state.tail_size += len(batch)
        if state.by_id is not None:
            start = len(state.tail) - len(packed)
            state.by_id.update({packed[i : i + 32]: start + i for i in range(0, len(packed), ENTRY_BYTES)})

    def drop(self, segments: set[int], *, log_end: int) -> None:
        """Forget everything in ``segments``, durably. Under the log's lock, before their data goes."""
        state = self._state
        left = {number: length for number, length in state.covered.items() if number not in segments}
        gone = state.dropped | segments
        # The number of a segment that came and went between two looks must not come again either.
        top = max([state.next_segment - 1, *segments]) + 1
        short = {number: length for number, length in state.short.items() if number not in segments}
        wanted = dataclasses.replace(
            state, covered=left, dropped=gone, short=short, log_end=log_end, next_segment=top
        )
        self._fold(wanted, b"", forget=segments, everything=True)

    def rebuild(  # noqa: PLR0913 - all of it goes into one manifest
        self,
        packed: bytes,
        covered: Mapping[int, int],
        *,
        log_end: int,
        next_segment: int,
        dropped: set[int],
        short: Mapping[int, int] = NOTHING_SHORT,
    ) -> None:
        """Replace the whole index by ``packed``. Under the log's lock only.

        ``short`` are segments that have lost something, with the length they still have.
        """
        self._files.make_folder(self._folder)
        number = self._highest()
        old = [name for name in self._files.names(self._folder) if name != MANIFEST]
        wanted = _State(
            number=number,
            covered=dict(covered),
            dropped=set(dropped),
            short=dict(short),
            log_end=log_end,
            next_segment=next_segment,
        )
        self._fold(wanted, packed, everything=True)
        self._discard(old)

    def _highest(self) -> int:
        numbers = [self._state.number]
        names = self._files.names(self._folder)
        numbers += [int(name[:8]) for name in names if name[:8].isdigit()]
        return max(numbers)

    def _fold(
        self, state: _State, packed: bytes, *, forget: Iterable[int] = (), everything: bool = False
    ) -> None:
        """Write tail and ``packed`` as a run, merged with runs of like size, and a manifest that says so.

        ``state`` is what shall be known afterwards, its runs and tail those there are. Nothing
        is known that is not on disk: a failure leaves the index as it was, here too.
        """
        keep = list(state.runs)
        absorbed: list[tuple[str, Run]] = []
        count = (len(state.tail) + len(packed)) // ENTRY_BYTES
        while keep and (everything or keep[-1][1].count < _RATIO * count):
            absorbed.append(keep.pop())
            count += absorbed[-1][1].count
        number = state.number + 1
        fresh = list(keep)
        if count:
            name = f"{number:08d}.run"
            data = merged([run for _, run in absorbed], state.tail + packed, set(forget))
            self._create(name, data)
            fresh.append((name, Run(self._files, join(self._folder, name))))
        tail_name = f"{number:08d}.tail"
        self._create(tail_name, b"")
        fields = {
            "number": number,
            "runs": [name for name, _ in fresh],
            "tail": tail_name,
            "covered": {str(key): value for key, value in sorted(state.covered.items())},
            "dropped": sorted(state.dropped),
            "log_end": state.log_end,
            "next_segment": state.next_segment,
        }
        if state.short:
            fields["short"] = {str(key): value for key, value in sorted(state.short.items())}
        text = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
        replace(self._files, join(self._folder, MANIFEST), checksum(text).hex().encode() + b"\n" + text)
        old = [name for name, _ in absorbed] + [state.tail_name]
        self._state = _State(
            number=number,
            runs=fresh,
            tail_name=tail_name,
            covered=state.covered,
            dropped=state.dropped,
            short=state.short,
            log_end=state.log_end,
            next_segment=state.next_segment,
            stamp=self._files.stamp(join(self._folder, MANIFEST)),
        )
        self._discard(filter(None, old))

    def _discard(self, names: Iterable[str]) -> None:
        """Remove files that no manifest names; some systems refuse while a reader has one mapped."""
        for name in names:
            with suppress(StoreIOError):
                self._files.remove(join(self._folder, name))

    def _create(self, name: str, data: bytes) -> None:
        path = join(self._folder, name)
        self._files.remove(path)
        handle = self._files.append(path, create=True)
        try:
            handle.write(data)
            handle.sync()
        finally:
            handle.close()


def _encode_batch(packed: bytes, covered: Mapping[int, int], log_end: int, next_segment: int) -> bytes:
    pairs = b"".join(_PAIR.pack(number, length) for number, length in covered.items())
    counts = (len(packed) // ENTRY_BYTES, len(covered))
    head = _BATCH.pack(_BATCH_MAGIC, *counts, log_end, next_segment, 0)
    crc = _batch_crc(head + pairs + packed)
    return head[:-4] + crc.to_bytes(4, "little") + pairs + packed


def _batch_crc(batch: bytes) -> int:
    """Checksum of a batch, its own four bytes taken as absent."""
    return zlib.crc32(batch[_BATCH.size :], zlib.crc32(batch[: _BATCH.size - 4]))
