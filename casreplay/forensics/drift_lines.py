"""Lines of contents that grow: counted chunk by chunk, so that each line is read once.

A log that grows by a line a snapshot shares all its chunks but the last with its earlier
self. Where the store says what a content's chunks are, each distinct one is counted
once; otherwise the content is streamed. Nothing is held but counts.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from casreplay.model.ids import BlobId, ObjectId
from casreplay.store.base import ObjectReader

__all__ = ["LineCounter"]


@runtime_checkable
class Chunked(Protocol):
    """A store that knows the chunks of its contents."""

    def chunk_list(self, blob: BlobId) -> list[tuple[bytes, int]]:
        """Ids and lengths of the chunks in order; the content itself when it is in one piece."""


class _Count(NamedTuple):
    """Line ends in a piece, and whether it ends with one."""

    newlines: int
    is_closed: bool


class LineCounter:
    """Counts lines; keeps the counts of every chunk it saw (some 150 bytes each).

    Args:
        objects: where contents are read.
    """

    def __init__(self, objects: ObjectReader) -> None:
        self._objects = objects
        self._known: dict[bytes, _Count] = {}

    def lines(self, blob: BlobId) -> int:
        """Lines of a content, an unfinished last one included. Cost: the chunks not seen before.

        Each chunk is verified against its id; that the list of them is the content's is what
        ``fsck --data`` verifies.

        Raises:
            MissingObjectError: the content, or a chunk of it, is not in the store.
            CorruptError: damaged.
        """
        if not isinstance(self._objects, Chunked):
            return _lines(_sum([_count(piece) for piece in self._objects.stream(blob) if piece]))
        return _lines(_sum([self._chunk(one) for one, _ in self._objects.chunk_list(blob)]))

    def _chunk(self, object_id: bytes) -> _Count:
        known = self._known.get(object_id)
        if known is None:
            known = self._known[object_id] = _count(self._objects.get(ObjectId(object_id)))
        return known


def _count(piece: bytes) -> _Count:
    return _Count(piece.count(b"\n"), not piece or piece.endswith(b"\n"))


def _sum(counts: list[_Count]) -> _Count:
    return _Count(sum(one.newlines for one in counts), counts[-1].is_closed if counts else True)


def _lines(whole: _Count) -> int:
    return whole.newlines + (not whole.is_closed)
