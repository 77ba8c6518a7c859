"""Reading many trees at once, in the order in which they lie.

Owns one look at the index for all trees that are asked for together, and one read for those
that lie near one another, whatever order they are asked for in: the trees of one commit lie
side by side. A delta is decoded against what was read before. Every tree is checked against
its id, as anywhere; what lies in a group or is damaged is read the ordinary way.

Headers are read without their checksums: a wrong one leads to bytes of another id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from casreplay.codec import hashing
from casreplay.codec.records import RecordType, SingleRecord, peek_singles
from casreplay.errors import CorruptError, MissingObjectError
from casreplay.model.ids import ObjectId
from casreplay.store import ahead
from casreplay.store.base import ObjectKind
from casreplay.store.bases import Bases
from casreplay.store.entries import Entry

__all__ = ["TreesTogether"]

_OBJECT = int(RecordType.OBJECT)
_TREE = int(ObjectKind.TREE)
_GAP_BYTES = 32 << 10
"""Trees no farther apart are read in one go: a read of its own costs as much as copying this."""
_STRETCH_BYTES = 1 << 20
_NEAR_BYTES = 8 << 20
"""Stretches that are remembered; beyond that they are forgotten."""
_HELD_BYTES = 8 << 20
"""Trees that are remembered as bases, twice over."""


class Source(ahead.Source, Protocol):
    """What is needed of a store."""

    def get_at(self, entry: Entry) -> bytes:
        """The bytes of the object at a place, verified."""


Stretch = tuple[int, int, int]
"""Segment, start and end."""


class TreesTogether:
    """Gives trees by their ids, many in one call.

    Args:
        source: the store.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._near: dict[bytes, SingleRecord] = {}
        self._near_bytes = 0
        self._bases = Bases(source.get, _HELD_BYTES)

    def get_all(self, ids: Collection[ObjectId]) -> dict[ObjectId, bytes]:
        """The bytes of every one, verified against its id. Bases of deltas are best asked for first.

        Cost: some 10 us each where they lie near one another, else as the store's ``get``.

        Raises:
            MissingObjectError: one is not in the store.
            CorruptError: one is damaged.
        """
        entries = self._look([one for one in ids if one not in self._near])
        found: dict[ObjectId, bytes] = {}
        for one in ids:
            record = self._near.pop(one, None)
            raw = None if record is None else self._bases.decoded(record)
            if raw is None or hashing.tree_id(raw) != one:
                raw = self._elsewhere(one, entries.get(one))
            found[one] = raw
            self._bases.keep(one, raw)
        return found

    def _elsewhere(self, object_id: ObjectId, entry: Entry | None) -> bytes:
        """The bytes of one that is not to be had from what lies near: the ordinary way."""
        if entry is not None:
            try:
                return self._source.get_at(entry)
            except (CorruptError, MissingObjectError):
                pass  # a gc may have moved it since we looked
        return self._source.get(object_id)

    def _look(self, ids: Iterable[ObjectId]) -> dict[ObjectId, Entry]:
        """Take in the stretches in which those lie that have records of their own; where the others lie."""
        others: dict[ObjectId, Entry] = {}
        places: list[Stretch] = []
        for one in ids:
            entry = self._source.entry_of(one)
            if entry is None:
                continue
            _, segment, offset, length, _, kind, record = entry
            if record == _OBJECT and kind == _TREE:
                places.append((segment, offset, offset + length))
            else:
                others[one] = entry
        for segment, start, end in _stretches(places):
            if self._near_bytes > _NEAR_BYTES:
                self._near.clear()
                self._near_bytes = 0
            window = self._source.durable_bytes(segment, end - start, start)
            self._near_bytes += len(window)
            self._near.update((record.id, record) for record in peek_singles(window, _TREE))
        return others


def _stretches(places: list[Stretch]) -> Iterator[Stretch]:
    """The places in disk order, near ones joined."""
    places.sort()
    at, low, high = -1, 0, 0
    for segment, start, end in places:
        if segment == at and start - high <= _GAP_BYTES and end - low <= _STRETCH_BYTES:
            high = max(high, end)
            continue
        if at >= 0:
            yield at, low, high
        at, low, high = segment, start, end
    if at >= 0:
        yield at, low, high
