"""Reading trees one after the other, when they were stored in about that order.

Owns a look ahead in the segments: the index is asked once for a stretch of a segment, the
headers in it are kept, and what is asked for next is decoded from there, a delta against
the version that was read before. Every tree is checked against its id, as anywhere. What
does not lie ahead, lies in a group or is damaged is read the ordinary way.

Headers are read without their checksums: a wrong one leads to bytes of another id.
"""

from __future__ import annotations

from typing import Protocol

from casreplay.codec import hashing
from casreplay.codec.records import RecordType, SingleRecord, peek_singles
from casreplay.model.ids import ObjectId
from casreplay.store.base import ObjectKind
from casreplay.store.bases import Bases
from casreplay.store.entries import Entry

__all__ = ["TreesAhead"]

_OBJECT = int(RecordType.OBJECT)
_TREE = int(ObjectKind.TREE)
_LEAST_WINDOW = 4 << 10
_LARGEST_WINDOW = 256 << 10
_AHEAD_BYTES = 16 << 20
"""Stretches that are remembered; beyond that they are forgotten."""
_HELD_BYTES = 16 << 20
"""Trees that are remembered as bases, twice over."""


class Source(Protocol):
    """What is needed of a store."""

    def get(self, object_id: ObjectId) -> bytes:
        """An object's bytes, verified."""

    def entry_of(self, object_id: bytes) -> Entry | None:
        """Where an object lies."""

    def durable_bytes(self, segment: int, count: int, offset: int) -> bytes:
        """At most ``count`` bytes of a segment's durable part."""


class TreesAhead:
    """Gives trees by id; fastest when they are asked for in the order in which they were stored.

    Args:
        source: the store.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._ahead: dict[bytes, SingleRecord] = {}
        self._ahead_bytes = 0
        self._window = _LEAST_WINDOW
        self._found = self._taken = 0
        self._bases = Bases(source.get, _HELD_BYTES)

    def get(self, object_id: ObjectId) -> bytes:
        """The tree's bytes, verified against its id. Cost: some 8 us in order, else as the store's ``get``.

        Raises:
            MissingObjectError: not in the store.
            CorruptError: damaged.
        """
        record = self._ahead.pop(object_id, None)
        if record is None:
            self._look(object_id)
            record = self._ahead.pop(object_id, None)
        else:
            self._taken += 1
        raw = None if record is None else self._bases.decoded(record)
        if raw is None or hashing.tree_id(raw) != object_id:
            raw = self._source.get(object_id)
        self._bases.keep(object_id, raw)
        return raw

    def _look(self, object_id: bytes) -> None:
        """Take in the stretch that begins with the object, if it has a record of its own."""
        entry = self._source.entry_of(object_id)
        if entry is None or entry.type != _OBJECT:
            return
        # Stretches grow while most of what they hold is asked for.
        is_worth_it = 2 * self._taken >= self._found
        self._window = min(2 * self._window, _LARGEST_WINDOW) if is_worth_it else _LEAST_WINDOW
        if self._ahead_bytes > _AHEAD_BYTES:
            self._ahead.clear()
            self._ahead_bytes = 0
        window = self._source.durable_bytes(entry.segment, max(self._window, entry.length), entry.offset)
        self._ahead_bytes += len(window)
        before = len(self._ahead)
        for record in peek_singles(window, _TREE):
            self._ahead[record.id] = record
        self._found, self._taken = len(self._ahead) - before, 1
