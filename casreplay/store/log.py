"""The snapshot log: one append-only file, hash-chained, read from its end.

Owns: appending under the lock, finding records, the torn tail, and saying what is
missing, altered or out of order. A snapshot's record is the commit point of
everything it names; the objects are durable before it is written.

Removed snapshots stay in the file, so the chain stays verifiable; they are only no
longer history. A damaged record in the middle is stepped over and named by
``verify``; records on both sides stay readable. What a crash left half-written at
the end is cut by the next writer, under the lock, and a copy is kept in ``lost/``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from casreplay.codec import log_records as codec
from casreplay.codec.log_records import LogRecord, LogRecordType, NewRecord
from casreplay.codec.manifest import decode_snapshot, encode_snapshot
from casreplay.errors import CorruptError, LockedError, UnknownNameError
from casreplay.model.ids import SnapshotId
from casreplay.model.objects import Snapshot
from casreplay.model.problems import Problem
from casreplay.store.files import Files, join, replace
from casreplay.store.locks import Leases
from casreplay.store.log_chain import chain_problems
from casreplay.store.log_lookup import Lookup, fields_of, removed_by
from casreplay.store.log_scan import LogFile

__all__ = ["DiskLog"]

NAME = "log"
LOST = "lost"
_SELECTIVE_DIGITS = 4
Segments = tuple[tuple[int, int], ...]


class DiskLog:
    """The log of one store.

    Args:
        files: the disk.
        folder: the store's folder.
        leases: its locks.
        synced: whether a record is synced before it counts (durability ``full``).
    """

    def __init__(self, files: Files, folder: str, leases: Leases, *, synced: bool = True) -> None:
        self._files = files
        self._folder = folder
        self._leases = leases
        self._synced = synced
        self._file = LogFile(files, join(folder, NAME))
        self.lookup = Lookup(self._file)
        self.published: Callable[[LogRecord, int, int], None] = lambda _record, _start, _end: None
        """Called under the lock after a record is durable, with the record, its start and its end."""
        self.expected_sweeps: int | None = None
        """Sweeps in the log when the current writer began; an append after another sweep is refused."""

    # Reading

    def end(self) -> int:
        """Offset behind the last whole record."""
        return self._file.end()

    def head(self) -> Snapshot | None:
        """See ``SnapshotLog``. Reads the last record, and further back only past removals."""
        return next(self.newest_first(), None)

    def newest_first(self) -> Iterator[Snapshot]:
        """See ``SnapshotLog``. A damaged record is passed over; ``verify`` names it."""
        for record in self.live_records():
            try:
                yield self._decoded(record)
            except CorruptError:
                continue

    def live_records(self) -> Iterator[LogRecord]:
        """Records of live snapshots from the newest back, undecoded: id, sequence and time are at hand."""
        removed: set[bytes] = set()
        for record in self._file.backwards():
            if record.type == LogRecordType.SNAPSHOT:
                if record.id not in removed:
                    yield record
            elif record.type == LogRecordType.REMOVAL:
                removed.update(removed_by(record))

    def live_ids(self) -> list[tuple[int, SnapshotId]]:
        """Sequence and id of every live snapshot, oldest first. Cost: 1 us each, nothing is decoded."""
        removed = self.removed_ids()
        return [
            (sequence, SnapshotId(one))
            for _, kind, sequence, one in codec.identities(self._file.content())
            if kind == LogRecordType.SNAPSHOT and one not in removed
        ]

    def prefixed(self, prefix: str) -> Iterator[Snapshot]:
        """Live snapshots whose id starts with ``prefix`` in lower-case hexadecimal, newest first.

        Cost: a search at C speed, see ``log_lookup``; for fewer than four digits that of ``live_ids``.

        Raises:
            CorruptError: the record of one is damaged.
        """
        if len(prefix) >= _SELECTIVE_DIGITS:
            return map(self._decoded, self.lookup.starting(prefix))
        return (self.get(one) for _, one in reversed(self.live_ids()) if one.hex().startswith(prefix))

    def mentioning(self, text: str) -> Iterator[Snapshot]:
        """Live snapshots whose label or tag ``text`` is, newest first, and perhaps others in which it stands.

        Cost: a search at C speed, see ``log_lookup``; only those found are decoded.
        """
        for record in self.lookup.naming(text):
            try:
                yield self._decoded(record)
            except CorruptError:
                continue  # ``verify`` names it

    def get(self, snapshot_id: SnapshotId) -> Snapshot:
        """See ``SnapshotLog``. Cost: a search at C speed from the end back to it."""
        found = self.lookup.locate(snapshot_id)
        if found is None or snapshot_id in self.lookup.removed_behind(found[0]):
            raise UnknownNameError(
                f"No snapshot {snapshot_id.hex()}",
                hint="See `casreplay log` for those there are",
                id=snapshot_id.hex(),
            )
        return self._decoded(found[1])

    def before(self, snapshot: Snapshot) -> Snapshot | None:
        """The newest live snapshot of a lower sequence; damaged ones are passed over.

        Cost: that of ``get``, and a step for each removed one in between; nothing else is decoded.
        """
        found = self.lookup.locate(snapshot.id)
        removed = set(self.lookup.removed_behind(found[0] if found else self._file.end()))
        for record in self._file.backwards(found[0] if found else None):
            if record.type == LogRecordType.REMOVAL:
                removed.update(removed_by(record))
            is_earlier = record.type == LogRecordType.SNAPSHOT and record.sequence < snapshot.sequence
            if is_earlier and record.id not in removed:
                try:
                    return self._decoded(record)
                except CorruptError:
                    continue
        return None

    def removed_ids(self) -> frozenset[bytes]:
        """Ids of snapshots that a later record removed."""
        removals = self._file.of_type(LogRecordType.REMOVAL)
        return frozenset(chain.from_iterable(map(removed_by, removals)))

    def tombstones(self) -> frozenset[bytes]:
        """Ids of objects that were destroyed on purpose."""
        return frozenset(self.purge_reasons())

    def purge_reasons(self) -> dict[bytes, str]:
        """Every object that was destroyed on purpose, with what was said about it then."""
        reasons: dict[bytes, str] = {}
        for record in self._file.of_type(LogRecordType.PURGE):
            fields = fields_of(record)
            reasons.update(
                {bytes.fromhex(one): str(fields.get("reason", "")) for one in fields.get("objects", ())}
            )
        return reasons

    def next_sequence(self) -> int:
        """One more than the sequence of any snapshot ever recorded."""
        last = next(self._file.backwards(), None)
        return 1 if last is None else last.sequence + 1

    def __len__(self) -> int:
        return len(self.live_ids())

    def records_from(self, offset: int) -> Iterator[tuple[int, LogRecord]]:
        """Records from ``offset`` on with their offsets, oldest first; damaged stretches are passed over."""
        return self._file.forwards(offset)

    def verify(self) -> list[Problem]:
        """Everything wrong with the chain: records altered, missing, out of order; a torn tail."""
        return chain_problems(self._file.raw(), decode=self._decoded)

    def _decoded(self, record: LogRecord) -> Snapshot:
        snapshot = decode_snapshot(codec.payload_of(record))
        if (snapshot.id, snapshot.sequence, snapshot.time_ns) != (record.id, record.sequence, record.time_ns):
            raise CorruptError(
                f"The log's record of snapshot {record.sequence} does not match its payload",
                id=record.id.hex(),
                sequence=record.sequence,
            )
        return snapshot

    # Writing

    def append(
        self, snapshot: Snapshot, segments: Iterable[tuple[int, int]], parent: SnapshotId | None
    ) -> None:
        """See ``SnapshotLog``."""
        payload = encode_snapshot(snapshot)
        with self._leases.appending():
            self._check_head(parent)
            if snapshot.sequence != self.next_sequence():
                raise LockedError("The snapshot's sequence is taken", hint="Try again", id=snapshot.id.hex())
            self._write(
                NewRecord(
                    type=LogRecordType.SNAPSHOT,
                    payload=payload,
                    sequence=snapshot.sequence,
                    sweeps=self.sweeps(),
                    time_ns=snapshot.time_ns,
                    id=snapshot.id,
                    segments=tuple(segments),
                )
            )

    def remove(self, ids: Iterable[SnapshotId], reason: str) -> None:
        """See ``SnapshotLog``."""
        fields = {"ids": [one.hex() for one in ids], "reason": reason}
        if fields["ids"]:
            with self._leases.appending():
                self._note(LogRecordType.REMOVAL, fields, ())

    def sweep(self, dropped: Iterable[int], segments: Segments, reason: str) -> None:
        """Record that segments hold nothing needed any more; the first step of deleting them."""
        with self._leases.appending():
            self._note(LogRecordType.SWEEP, {"dropped": sorted(dropped), "reason": reason}, segments)

    def purge(self, objects: Iterable[bytes], reason: str) -> None:
        """Record that objects are destroyed on purpose; reading them says so from now on."""
        fields = {"objects": sorted(one.hex() for one in objects), "reason": reason}
        if fields["objects"]:
            with self._leases.appending():
                self._note(LogRecordType.PURGE, fields, ())

    def sweeps(self) -> int:
        """How many sweeps were recorded so far; reads the last record only."""
        last = next(self._file.backwards(), None)
        return 0 if last is None else last.sweeps

    def _note(self, kind: LogRecordType, fields: Mapping[str, object], segments: Segments) -> None:
        payload = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")
        sweeps = self.sweeps() + (kind == LogRecordType.SWEEP)
        self._write(NewRecord(kind, payload, self.next_sequence() - 1, sweeps, segments=segments))

    def _check_head(self, parent: SnapshotId | None) -> None:
        head = self.head()  # a damaged record is nobody's parent
        if (head.id if head else None) != parent:
            raise LockedError(
                "Another process recorded a snapshot in between",
                hint="Try again",
                expected=parent.hex() if parent else None,
                actual=head.id.hex() if head else None,
            )
        if self.expected_sweeps is not None and self.expected_sweeps != self.sweeps():
            raise LockedError(
                "Data was removed from the store while this snapshot was being written",
                hint="Nothing was recorded; try again",
            )

    def _write(self, new: NewRecord) -> None:
        """Append one record; the lock is held. A failure leaves at most a torn tail."""
        path = join(self._folder, NAME)
        start = self._file.end()
        self._cut_torn_tail(path, start)
        data = codec.encode_record(new, self._file.chain_at(start))
        handle = self._files.append(path)
        try:
            handle.write(data)
            if self._synced:
                handle.sync()
        finally:
            handle.close()
        self.published(codec.decode_record(data, 0, None), start, start + len(data))

    def _cut_torn_tail(self, path: str, end: int) -> None:
        stamp = self._files.stamp(path)
        if stamp is None or stamp[1] <= end:
            return
        torn = self._files.read(path)[end:]
        self._files.make_folder(join(self._folder, LOST))
        replace(self._files, join(self._folder, LOST, f"log-{end}-{len(torn)}"), torn)
        self._files.truncate(path, end)
