"""Content-defined chunking: where to cut a large blob so that an edit disturbs its surroundings only.

The cut points are policy, not format: a reader never needs them, and two
versions of this module may cut differently and only lose sharing.

A byte loop in Python is a hundred times too slow, so the work is left to three
functions that run at C speed. ``bytes.translate`` maps every byte to one of four
classes, ``bytes.find`` finds a pattern of four classes (about one place in 256,
on text, logs, hex digits, pages and noise alike), and the checksum of the 64
bytes before such a place decides: one in 128 is a cut. All three look at nearby
bytes only, which is what makes the cuts follow the content. The first 32 KiB of a
chunk are not searched, and a chunk without a cut ends at 256 KiB (zeros do).
Why not the ``fastcdc`` package: ``docs/adr/0003-own-chunker.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from zlib import crc32

__all__ = ["MAX_CHUNK", "MIN_CHUNK", "cut", "cut_stream"]

MIN_CHUNK = 32 << 10
MAX_CHUNK = 256 << 10
WINDOW = 64
"""Bytes before a place that decide whether it is a cut."""
_CHANCE = 128
_STEP = 24 << 10
_CLASSES = bytes((byte ^ (byte >> 2) ^ (byte >> 5)) & 3 for byte in range(256))
_PATTERN = b"\3\1\1\0"
_GROW_AT = 4 << 30
"""Beyond this many bytes of one blob, chunks are eight times as large, so that lists stay small."""

Bytes = bytes | bytearray | memoryview


def _next_cut(data: memoryview, start: int, scale: int) -> int:
    """End of the chunk that starts at ``start``; at most ``len(data)``."""
    limit = min(start + MAX_CHUNK * scale, len(data))
    first = start + MIN_CHUNK * scale
    mask = _CHANCE * scale - 1
    while first + len(_PATTERN) <= limit:
        # The overlap lets a pattern that straddles two steps be found in the first of them.
        classes = bytes(data[first : min(first + _STEP + len(_PATTERN) - 1, limit)]).translate(_CLASSES)
        found = classes.find(_PATTERN)
        while found >= 0:
            place = first + found
            if crc32(data[place - WINDOW : place]) & mask == 0:
                return place
            found = classes.find(_PATTERN, found + 1)
        first += _STEP
    return limit


def cut(data: Bytes) -> list[int]:
    """Ends of the chunks of ``data``, in order; the last is ``len(data)``, none for empty data.

    Cost: about 2 ms a MiB and no memory beyond the chunk searched.
    """
    view = memoryview(data)
    ends: list[int] = []
    at = 0
    while at < len(view):
        at = _next_cut(view, at, 1)
        ends.append(at)
    return ends


def cut_stream(pieces: Iterable[Bytes]) -> Iterator[bytes]:
    """The chunks of a blob that arrives in pieces of any size; memory is two chunks and a piece.

    Cuts at the same places as ``cut`` does on the whole, up to 4 GiB.
    """
    buffer = bytearray()
    done = 0
    for piece in pieces:
        buffer += piece
        scale = 8 if done >= _GROW_AT else 1
        if len(buffer) < 2 * MAX_CHUNK * scale:
            continue
        at = 0
        with memoryview(buffer) as view:
            while len(view) - at >= MAX_CHUNK * scale:
                end = _next_cut(view, at, scale)
                yield bytes(view[at:end])
                at = end
        done += at
        del buffer[:at]
    scale = 8 if done >= _GROW_AT else 1
    at = 0
    with memoryview(buffer) as view:
        while at < len(view):
            end = _next_cut(view, at, scale)
            yield bytes(view[at:end])
            at = end
