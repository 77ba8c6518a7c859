"""Decoding trees against the trees that were decoded before.

Owns a bounded memory of trees as bases of deltas, and the way from a record that was only
glanced at to bytes. Verifies nothing: who asks compares the bytes with the id.
"""

from __future__ import annotations

from collections.abc import Callable

from casreplay.codec import frame
from casreplay.codec.records import Encoding, SingleRecord
from casreplay.errors import CorruptError, MissingObjectError
from casreplay.model.ids import ObjectId

__all__ = ["Bases"]

_PLAIN, _DELTA = int(Encoding.PLAIN), int(Encoding.DELTA)


class Bases:
    """Trees that were decoded, by id: those of late, and those before them.

    Args:
        get: gives a base that is not remembered, verified.
        limit_bytes: how much is remembered, twice over.
    """

    def __init__(self, get: Callable[[ObjectId], bytes], limit_bytes: int) -> None:
        self._get = get
        self._limit_bytes = limit_bytes
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._held_bytes = 0

    def decoded(self, record: SingleRecord) -> bytes | None:
        """The record's bytes, not verified; ``None`` when they cannot be had."""
        if record.encoding == _PLAIN:
            return record.body
        prefix = None
        try:
            if record.encoding == _DELTA:
                prefix = self._young.get(record.base) or self._old.get(record.base)
                if prefix is None:
                    prefix = self._get(ObjectId(record.base))
                self.keep(record.base, prefix)
            return frame.decompress(record.body, record.raw_bytes, prefix=prefix)
        except (CorruptError, MissingObjectError):
            return None  # another copy may be whole

    def keep(self, object_id: bytes, raw: bytes) -> None:
        """Remember a tree, verified by now: what is decoded next may be a delta against it."""
        if object_id in self._young:
            return
        self._young[object_id] = raw
        self._held_bytes += len(raw)
        if self._held_bytes > self._limit_bytes:
            self._old, self._young, self._held_bytes = self._young, {}, 0
