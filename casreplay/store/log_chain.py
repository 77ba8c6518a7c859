"""What is wrong with a log: a pure walk over its bytes.

Names records that were altered, missing or out of order, and a torn tail. Somebody
who rewrites every record and every hash after it cannot be found here: that takes a
snapshot id kept elsewhere (``docs/threat-model.md``).
"""

from __future__ import annotations

from collections.abc import Callable

from casreplay.codec import log_records as codec
from casreplay.codec.log_records import LogRecord, LogRecordType
from casreplay.errors import CorruptError
from casreplay.model.objects import Snapshot
from casreplay.model.problems import Problem

__all__ = ["chain_problems"]


def chain_problems(data: bytes, decode: Callable[[LogRecord], Snapshot]) -> list[Problem]:
    """Problems in file order, codes ``log-header``, ``log-damaged``, ``log-altered``, ``log-missing``,
    ``log-order``, ``log-parent`` and ``log-torn``. Cost: one hash over the file.
    """  # noqa: D205 - the list of codes is the summary
    try:
        codec.store_id_of(data)
    except CorruptError as error:
        return [Problem("log-header", error.message, path="log")]
    walk = _Walk(codec.chain_start(data))
    at = codec.HEADER_BYTES
    while at < len(data):
        end = codec.record_end(data, at)
        if end < 0:
            following = codec.find_record(data, at + 1)
            walk.gap(at, following)
            if following < 0:
                break
            walk.chain = None
            at = following
            continue
        walk.step(data, at, decode)
        at = end
    return walk.problems


class _Walk:
    """State of one pass: the hash so far, the last sequence, the ids seen."""

    def __init__(self, chain: bytes) -> None:
        self.chain: bytes | None = chain
        self.problems: list[Problem] = []
        self._sequence = 0
        self._seen: set[bytes] = set()

    def gap(self, start: int, following: int) -> None:
        """Bytes that are no record."""
        if following < 0:
            text = f"The log's last record, at byte {start}, is incomplete"
            self.problems.append(Problem("log-torn", text, path="log"))
        else:
            text = f"Bytes {start} to {following} of the log are damaged, after snapshot {self._sequence}"
            self.problems.append(Problem("log-damaged", text, path="log"))

    def step(self, data: bytes, at: int, decode: Callable[[LogRecord], Snapshot]) -> None:
        """One well-framed record."""
        record = codec.decode_record(data, at, None)
        broken = False
        if self.chain is not None:
            try:
                codec.decode_record(data, at, self.chain)
            except CorruptError:
                broken = True
        is_snapshot = record.type == LogRecordType.SNAPSHOT
        expected = self._sequence + 1 if is_snapshot else self._sequence
        if record.sequence > expected:
            last = record.sequence - 1 if is_snapshot else record.sequence
            text = f"Snapshots {self._sequence + 1} to {last} are missing from the log"
            self._add("log-missing", text, record)
        elif record.sequence < expected:
            text = f"The record of snapshot {record.sequence} stands after that of {self._sequence}"
            self._add("log-order", text, record)
        elif broken:
            text = f"The record of snapshot {record.sequence}, or one before it, was altered or taken out"
            self._add("log-altered", text, record)
        if is_snapshot:
            self._check_payload(record, decode)
            self._seen.add(record.id)
        self._sequence = record.sequence
        self.chain = record.chain

    def _check_payload(self, record: LogRecord, decode: Callable[[LogRecord], Snapshot]) -> None:
        try:
            snapshot = decode(record)
        except CorruptError as error:
            self._add("log-altered", error.message, record)
            return
        if snapshot.parent is not None and snapshot.parent not in self._seen:
            text = f"The parent of snapshot {record.sequence} is not in the log before it"
            self._add("log-parent", text, record)

    def _add(self, code: str, message: str, record: LogRecord) -> None:
        snapshots = (record.id.hex(),) if record.type == LogRecordType.SNAPSHOT else ()
        self.problems.append(Problem(code, message, path="log", snapshots=snapshots))
