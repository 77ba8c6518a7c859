"""One sorted run of index entries in a mapped file, and merging runs.

A run is a header, a fan-out table over the leading bits of the id (about a dozen
entries to a bucket), and the sorted entries. Finding an id is one table look-up and
one search of a bucket at C speed. A run is written once and never changed.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from casreplay.codec.hashing import checksum
from casreplay.errors import CorruptError
from casreplay.store.entries import ENTRY_BYTES, Entry, slices, unpack
from casreplay.store.files import Files

__all__ = ["Run", "encode_run", "merged"]

MAGIC = b"casreplay idx 1\n"
_HEADER = struct.Struct("<16sQII")
_BUCKETS_OF_MERGE = 256
_MAX_BITS = 20


class Run:
    """A mapped run.

    Raises:
        CorruptError: the file's length does not fit its header.
    """

    def __init__(self, files: Files, path: str) -> None:
        data = files.map(path)
        if len(data) < _HEADER.size:
            raise CorruptError("An index run is cut short", file=path)
        magic, count, bits, _ = _HEADER.unpack_from(data)
        self._fan_at = _HEADER.size
        self._entries_at = self._fan_at + 4 * ((1 << min(bits, _MAX_BITS)) + 1)
        if magic != MAGIC or bits > _MAX_BITS or len(data) != self._entries_at + count * ENTRY_BYTES:
            raise CorruptError("An index run has the wrong length or layout", file=path)
        self._data = data
        self._shift = 24 - bits
        self._pair = struct.Struct("<2I").unpack_from
        self.count: int = count

    def find(self, object_id: bytes) -> Entry | None:
        """The first entry of an id. Cost: about 1 us."""
        prefix = (object_id[0] << 16 | object_id[1] << 8 | object_id[2]) >> self._shift
        low, high = self._pair(self._data, self._fan_at + 4 * prefix)
        if low == high:
            return None
        base = self._entries_at
        end = base + high * ENTRY_BYTES
        at = self._data.find(object_id, base + low * ENTRY_BYTES, end)
        while at >= 0:
            # A match that is not at an entry's start is chance, or somebody's intent.
            if (at - base) % ENTRY_BYTES == 0:
                return unpack(self._data, at)  # type: ignore[arg-type]  # a map is read like bytes
            at = self._data.find(object_id, at + 1, end)
        return None

    def find_all(self, object_id: bytes) -> list[Entry]:
        """Every entry of an id: more than one when two writers stored it at once."""
        found = self.find(object_id)
        if found is None:
            return []
        bucket = self._bucket(int.from_bytes(object_id[:3], "big") >> self._shift)
        return [entry for entry in map(unpack, slices(bucket)) if entry.id == object_id]

    def _bucket(self, prefix: int) -> bytes:
        low, high = self._pair(self._data, self._fan_at + 4 * prefix)
        return self._data[self._entries_at + low * ENTRY_BYTES : self._entries_at + high * ENTRY_BYTES]

    def part(self, number: int, parts: int) -> bytes:
        """Packed entries of the ``number``-th of ``parts`` equal ranges of leading byte."""
        width = 256 // parts
        low = self._position(number * width)
        high = self._position((number + 1) * width)
        return self._data[self._entries_at + low * ENTRY_BYTES : self._entries_at + high * ENTRY_BYTES]

    def _position(self, leading: int) -> int:
        """Entries whose first byte is below ``leading``."""
        if leading >= 256:
            return self.count
        if self._shift <= 16:
            at = self._fan_at + 4 * (leading << (16 - self._shift))
            return int(struct.unpack_from("<I", self._data, at)[0])
        entries = slices(bytes(self._data[self._entries_at :]))
        return bisect_left(entries, bytes([leading]))

    def checksum(self) -> bytes:
        """Checksum of the whole file, as the manifest records it. Reads all of it."""
        return checksum(bytes(self._data))


def encode_run(parts: Iterator[list[bytes]], count: int) -> bytes:
    """The file of a run from sorted single entries in 256 parts by leading byte.

    Memory: the packed entries and one part. Cost: about 0.5 us an entry.
    """
    bits = max(0, min(_MAX_BITS, count.bit_length() - 4))
    fan: list[int] = []
    body: list[bytes] = []
    done = 0
    for leading, part in enumerate(parts):
        inner = max(0, bits - 8)
        if bits >= 8 or leading % (1 << (8 - bits)) == 0:
            for i in range(1 << inner):
                prefix = ((leading << inner) | i) << (16 - inner)
                fan.append(done + bisect_left(part, prefix.to_bytes(3, "big")))
        done += len(part)
        body.append(b"".join(part))
    fan.append(done)
    header = _HEADER.pack(MAGIC, done, bits, 0)
    return b"".join((header, struct.pack(f"<{len(fan)}I", *fan), *body))


def merged(runs: Sequence[Run], packed: bytes, dropped: set[int]) -> bytes:
    """The file of one run that holds what ``runs`` and ``packed`` hold, sorted.

    Args:
        runs: runs to merge.
        packed: further entries in any order.
        dropped: segments whose entries are left out.
    """
    extra: list[list[bytes]] = [[] for _ in range(_BUCKETS_OF_MERGE)]
    for entry in slices(packed):
        extra[entry[0]].append(entry)

    gone = {number.to_bytes(4, "little") for number in dropped}

    def parts() -> Iterator[list[bytes]]:
        for leading in range(_BUCKETS_OF_MERGE):
            entries = extra[leading]
            extra[leading] = []
            for run in runs:
                entries += slices(run.part(leading, _BUCKETS_OF_MERGE))
            if gone:
                entries = [entry for entry in entries if entry[32:36] not in gone]
            yield sorted(set(entries))

    return encode_run(parts(), sum(run.count for run in runs) + len(packed) // ENTRY_BYTES)
