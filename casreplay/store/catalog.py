"""Where every object lies, as far as the log says so: the index, and what it does not hold yet.

Owns: looking ids up in the index, in what a dead writer left unindexed and in what this
process adopted from its workers; publishing behind a log record; rebuilding. Reads
segment headers, never bodies. Takes no lock: ``publish`` and ``rebuild`` run under the
log's lock, which the caller holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from casreplay.codec.log_records import LogRecord
from casreplay.errors import CorruptError, StoreIOError
from casreplay.store.entries import Entry
from casreplay.store.files import Files
from casreplay.store.index import Index
from casreplay.store.log import DiskLog
from casreplay.store.overlay import Fresh, dropped_by, gather, newly_durable
from casreplay.store.segments import HEADER, Segments

__all__ = ["Catalog", "Span"]

Span = tuple[int, int, int, bytes]
"""Segment, length before, length after, packed entries of the records in between."""


class Catalog:
    """The catalog of one store; ``load`` before anything else."""

    def __init__(self, files: Files, folder: str, segments: Segments, log: DiskLog) -> None:
        self.index = Index(files, folder)
        self._segments = segments
        self._log = log
        self._fresh = Fresh()
        self._seen: tuple[object, int] | None = None
        self._adopted: dict[int, Fresh] = {}
        self._pending: dict[int, tuple[int, int, bytes]] = {}

    # Looking up

    def load(self) -> bool:
        """Read the index; ``False`` when it has to be rebuilt. Either way ``catch_up`` makes it complete."""
        self.index.load()
        self.catch_up()
        return self.index.is_usable

    def refresh(self) -> None:
        """Take in what other processes published or removed since. Cost: three ``stat``s."""
        self.index.refresh()
        # What is held beside the index belongs to that index and that log alone.
        if self._seen != (self.index.mark, self._log.end()):
            self.catch_up()

    def catch_up(self) -> None:
        """Hold in memory what the log says beyond the index: a reader writes nothing.

        An index that knows more than the log is not believed: what no log record names does not
        count. A power failure leaves it so (durability ``batch`` and ``off``), or an older log put back.
        """
        end = self._log.end()
        if end < self.index.log_end:
            self.index.distrust()
        fresh = Fresh(log_end=end)
        if end > self.index.log_end:
            records = (record for _, record in self._log.records_from(self.index.log_end))
            fresh.covered, fresh.dropped = newly_durable(records, self.index.covered)
            fresh.packed = gather(self._segments, self.index.covered, fresh.covered)
        self._hold(fresh)

    def _hold(self, fresh: Fresh) -> None:
        self._fresh = fresh
        self._seen = (self.index.mark, fresh.log_end)

    def find(self, object_id: bytes) -> Entry | None:
        """Where an object lies, or ``None``. Cost: 1 to 2 us."""
        for adopted in self._adopted.values():
            found = adopted.find(object_id)
            if found is not None:
                return found
        found = self.index.find(object_id)
        if found is not None and found.segment in self._fresh.dropped:
            # Swept, and the sweep's writer did not live to index it: it may lie elsewhere too.
            return next(iter(self.find_all(object_id)), None)
        if found is None and self._fresh.packed:
            found = self._fresh.find(object_id)
        return found

    def find_all(self, object_id: bytes) -> list[Entry]:
        """Every place where the object lies."""
        found = self.index.find_all(object_id)
        for fresh in (self._fresh, *self._adopted.values()):
            found += [entry for entry in fresh.find_all(object_id) if entry not in found]
        return [entry for entry in found if entry.segment not in self._fresh.dropped]

    def part(self, leading: int) -> Iterator[Entry]:
        """Entries of the ids that start with the byte ``leading``; an id may come more than once."""
        for entry in self.index.part(leading):
            if entry.segment not in self._fresh.dropped:
                yield entry
        for fresh in (self._fresh, *self._adopted.values()):
            yield from (entry for entry in fresh.entries() if entry.id[0] == leading)

    def doubles(self) -> set[bytes]:
        """Ids of objects that are stored more than once; perhaps a few others. Cost: 0.2 us an object."""
        fresh = (self._fresh, *self._adopted.values())
        return self.index.doubles(b"".join(piece for one in fresh for piece in one.packed))

    def lengths(self) -> dict[int, int]:
        """Segment number to durable length, of every segment in use."""
        longest = dict(self.index.covered)
        for number, length in self._fresh.covered.items():
            longest[number] = max(length, longest.get(number, 0))
        return {number: length for number, length in longest.items() if number not in self._fresh.dropped}

    def short(self) -> dict[int, int]:
        """Segments that have lost something, missing ones too, by their length. Cost: a ``stat`` each.

        Whoever has a share of the store's lock may call that damage: nobody removes segments meanwhile.
        """
        return self._short(self.lengths())

    def _short(self, lengths: Mapping[int, int]) -> dict[int, int]:
        sizes = ((number, self._segments.size(number), length) for number, length in lengths.items())
        return {number: size for number, size, length in sizes if size < length}

    def check_against_log(self) -> None:
        """Refuse when what is known here of segments is not what the whole log says: before data goes.

        Cost: the frames of all log records, some 10 us each.

        Raises:
            CorruptError: they differ.
        """
        stated, _ = newly_durable((record for _, record in self._log.records_from(0)), {})
        if stated != self.lengths():
            numbers = sorted({number for number, _ in stated.items() ^ self.lengths().items()})
            raise CorruptError(
                f"Index and log differ about {len(numbers)} segments: nothing was removed",
                hint="Run casreplay fsck; if the log is whole, casreplay repair --rebuild-index",
                segments=numbers,
            )

    def next_segment(self) -> int:
        """A number no segment had before."""
        known = [self.index.next_segment - 1, *self._fresh.covered, *self._fresh.dropped]
        return max([*known, *self._segments.numbers()]) + 1

    # What this process knows and the log does not say yet

    def note(self, spans: Iterable[Span]) -> None:
        """Remember what a writer of this process made durable, so that publishing need not scan."""
        for number, start, end, packed in spans:
            self._pending[number] = (start, end, packed)

    def adopt(self, spans: Iterable[Span]) -> None:
        """Remember what a worker made durable, and let this process read it at once."""
        for number, start, end, packed in spans:
            self._pending[number] = (start, end, packed)
            self._adopted[number] = Fresh(packed=[packed])

    def forget(self, number: int) -> None:
        """Forget what was noted or adopted of a segment: it was cut back."""
        self._pending.pop(number, None)
        self._adopted.pop(number, None)

    def forget_unrecorded(self) -> None:
        """Forget all that was noted or adopted: no writer lives any more that could record it."""
        self._pending.clear()
        self._adopted.clear()

    # Under the log's lock, behind a durable log record

    def publish(self, record: LogRecord, start: int, end: int) -> None:
        """Index what a log record made durable.

        A failure costs nothing but a scan at the next opening: the snapshot is recorded,
        and the index is an accelerator.
        """
        try:
            self._publish(record, start, end)
        except StoreIOError:
            with suppress(StoreIOError):  # the next look catches up
                self.catch_up()
            return
        self._hold(Fresh(log_end=end))
        for number, _ in record.segments:
            self._adopted.pop(number, None)

    def _publish(self, record: LogRecord, start: int, end: int) -> None:
        self.index.refresh()
        if self.index.log_end == 0 or self.index.log_end > start:
            self.rebuild(end)
            return
        packed: list[bytes] = []
        covered: dict[int, int] = {}
        if self.index.log_end < start:
            self._catch_up_to(start, packed, covered)
        for number, length in record.segments:
            known = max(self.index.covered.get(number, 0), covered.get(number, 0), len(HEADER))
            if length > known:
                packed.append(self._entries_between(number, known, length))
                covered[number] = length
        top = max([self.index.next_segment - 1, *covered]) + 1
        dropped = dropped_by(record)
        # A sweep is known only once its segments are dropped: until then the log's end stays before it.
        known_end = start if dropped else end
        self.index.publish(b"".join(packed), covered, log_end=known_end, next_segment=top)
        if dropped:
            self.index.drop(dropped, log_end=end)

    def _entries_between(self, number: int, known: int, length: int) -> bytes:
        """Packed entries of a segment's records in ``[known, length)``."""
        start, end, packed = self._pending.pop(number, (0, 0, b""))
        if start == known and end == length:
            return packed
        return b"".join(gather(self._segments, {number: known}, {number: length}))

    def _catch_up_to(self, end: int, packed: list[bytes], covered: dict[int, int]) -> None:
        """Gather what other writers recorded and did not live to index."""
        older = [record for offset, record in self._log.records_from(self.index.log_end) if offset < end]
        longer, dropped = newly_durable(older, self.index.covered)
        packed += gather(self._segments, self.index.covered, longer)
        covered.update(longer)
        if dropped:
            self.index.drop(dropped, log_end=self.index.log_end)

    def rebuild(self, end: int) -> None:
        """Build the index anew from segments and log. Cost: the headers of every segment."""
        durable, dropped = newly_durable((record for _, record in self._log.records_from(0)), {})
        packed = gather(self._segments, {}, durable)
        top = max([0, *durable, *dropped, *self._segments.numbers()]) + 1
        self.index.rebuild(
            b"".join(packed),
            durable,
            log_end=end,
            next_segment=top,
            dropped=dropped,
            short=self._short(durable),
        )
        self._hold(Fresh(log_end=end))
