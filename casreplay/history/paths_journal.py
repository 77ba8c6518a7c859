r"""The journal's bytes: which snapshot changed which paths, searchable at C speed.

Owns: the text of a record, the frames of the journal file, and searches over the text.
Pure; ``history.paths_index`` owns the file.

Text of one record: ``\0@SEQUENCE PREVIOUS`` and then ``\0`` + sigil + path for each
change, sigils as in ``ChangeKind``; a rename is written as a deletion and an addition.
A path holds no NUL, so a search for ``\0`` + sigil + path + ``\0`` finds exactly that
path. Frames hold one record as it is, or many records compressed together.
"""

from __future__ import annotations

import re
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from casreplay.codec import frame
from casreplay.errors import CorruptError
from casreplay.model.changes import Change, ChangeKind

__all__ = [
    "END_BYTES",
    "End",
    "Hit",
    "decode_end",
    "encode_frame",
    "encode_record",
    "frames",
    "glob_body",
    "path_body",
    "previous_of",
    "search",
]

MAX_TEXT_BYTES = 16 << 20
"""A record with more text is written as several, each with the same head."""
_FRAME = struct.Struct("<4sIII")
_END = struct.Struct("<32sQQI4s")
END_BYTES = _END.size
_MAGIC = b"crP1"
_HEAD = re.compile(rb"\0@(\d+) (\d+)(?=\0)")


@dataclass(frozen=True, slots=True)
class End:
    """What stands at the end of every frame, so that the newest is read without the others.

    Attributes:
        snapshot: id of the newest snapshot in the frame.
        sequence: its sequence number.
        plain_from: offset in the file from which on frames hold single records.
        frame_bytes: length of the whole frame.
    """

    snapshot: bytes
    sequence: int
    plain_from: int
    frame_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """A path that matched: in which record, what happened, and to which path."""

    sequence: int
    sigil: str
    path: bytes


def encode_record(sequence: int, previous: int, changes: Iterable[Change]) -> list[bytes]:
    r"""The text of one snapshot's changes in pieces of about 16 MiB, each with head and final ``\0``."""
    head = b"\0@%d %d" % (sequence, previous)
    pieces: list[bytes] = []
    parts, held = [head], len(head)
    for change in changes:
        if change.kind is ChangeKind.RENAMED and change.old_path is not None:
            entry = b"D%s\0A%s" % (change.old_path, change.path)
        else:
            entry = change.kind.sigil.encode("ascii") + change.path
        if held + len(entry) > MAX_TEXT_BYTES:
            pieces.append(b"\0".join(parts) + b"\0")
            parts, held = [head], len(head)
        parts.append(entry)
        held += len(entry) + 1
    pieces.append(b"\0".join(parts) + b"\0")
    return pieces


def encode_frame(text: bytes, end: End, *, folded_at: int | None = None) -> bytes:
    """One frame around ``text``; its length in ``end`` is filled in here.

    With ``folded_at``, the offset where it will stand, the frame is compressed and the
    place from which on frames hold single records is behind it.
    """
    stored = (frame.compress(text) if folded_at is not None else None) or text
    head = _FRAME.pack(_MAGIC, len(stored), len(text), zlib.crc32(stored))
    total = _FRAME.size + len(stored) + _END.size
    plain_from = end.plain_from if folded_at is None else folded_at + total
    return head + stored + _END.pack(end.snapshot, end.sequence, plain_from, total, _MAGIC)


def decode_end(data: bytes) -> End | None:
    """What the last bytes of a journal say; ``None`` when they are no frame's end."""
    if len(data) < _END.size:
        return None
    snapshot, sequence, plain_from, total, magic = _END.unpack_from(data, len(data) - _END.size)
    return End(snapshot, sequence, plain_from, total) if magic == _MAGIC else None


def frames(data: bytes, at: int) -> Iterator[tuple[bytes, End, int]]:
    """Text, end and offset behind each whole frame from offset ``at`` on; stops at the first that is none."""
    while at + _FRAME.size + _END.size <= len(data):
        magic, stored_bytes, raw_bytes, crc = _FRAME.unpack_from(data, at)
        start = at + _FRAME.size
        stop = start + stored_bytes + _END.size
        if magic != _MAGIC or stop > len(data):
            return
        stored = data[start : start + stored_bytes]
        end = decode_end(data[start:stop])
        if end is None or end.frame_bytes != stop - at or zlib.crc32(stored) != crc:
            return
        try:
            text = stored if stored_bytes == raw_bytes else frame.decompress(stored, raw_bytes)
        except CorruptError:
            return
        yield text, end, stop
        at = stop


def previous_of(text: bytes) -> dict[int, int]:
    """For each record in ``text`` the sequence it follows."""
    return {int(match[1]): int(match[2]) for match in _HEAD.finditer(text)}


def search(text: bytes, body: bytes) -> Iterator[Hit]:
    """Every change in ``text`` whose whole path the expression ``body`` matches, in file order.

    Cost: one pass of the regular expression engine over the text.
    """
    pattern = re.compile(rb"\0([ADMTm])(" + body + rb")(?=\0)", re.DOTALL)
    found = [(match.start(), match[1], match[2]) for match in pattern.finditer(text)]
    if not found:
        return
    heads = [(match.start(), int(match[1])) for match in _HEAD.finditer(text)]
    starts = [start for start, _ in heads]
    for at, sigil, path in found:
        i = bisect_right(starts, at) - 1
        if i >= 0:
            yield Hit(heads[i][1], sigil.decode("ascii"), path)


def path_body(path: bytes) -> bytes:
    """An expression for ``path`` and everything below it; for all paths when it is the root."""
    return re.escape(path) + rb"(?:/[^\0]*)?" if path else rb"[^\0]*"


def glob_body(pattern: bytes) -> bytes:
    r"""An expression for the paths that a glob fits.

    ``*`` and ``?`` stop at ``/``, ``**`` does not, ``[...]`` is a set, ``\`` takes the next
    character as it is. Without a ``/`` the glob fits a name in any folder; with one it
    starts at the root.
    """
    anywhere = b"/" not in pattern.strip(b"/") and not pattern.startswith(b"/")
    return (rb"(?:[^\0]*/)?" if anywhere else rb"") + _translate(pattern.strip(b"/"))


def _translate(glob: bytes) -> bytes:
    out: list[bytes] = []
    i = 0
    while i < len(glob):
        char = glob[i : i + 1]
        i += 1
        if glob.startswith(b"**/", i - 1):
            out.append(rb"(?:[^\0]*/)?")
            i += 2
        elif glob.startswith(b"**", i - 1):
            out.append(rb"[^\0]*")
            i += 1
        elif char == b"*":
            out.append(rb"[^/\0]*")
        elif char == b"?":
            out.append(rb"[^/\0]")
        elif char == b"[" and (close := glob.find(b"]", i + 1 + glob.startswith((b"!", b"^"), i))) > 0:
            negated = glob.startswith((b"!", b"^"), i)
            members = _set(glob[i + negated : close])
            out.append((rb"[^/\0" if negated else rb"[") + members + rb"]")
            i = close + 1
        elif char == b"\\" and i < len(glob):
            out.append(re.escape(glob[i : i + 1]))
            i += 1
        else:
            out.append(re.escape(char))
    return b"".join(out)


def _set(members: bytes) -> bytes:
    r"""The inside of a set, everything but ranges escaped; a range upside down is turned round."""
    out: list[bytes] = []
    i = 0
    while i < len(members):
        if members[i + 1 : i + 2] == b"-" and i + 2 < len(members):
            low, high = sorted((members[i], members[i + 2]))
            out.append(rb"\x%02x-\x%02x" % (low, high))
            i += 3
        else:
            out.append(rb"\x%02x" % members[i])
            i += 1
    return b"".join(out)
