# Expressions that match log lines read better whole than broken over lines.
# ruff: noqa: E501
r"""Bytes of a log to numbered lines: encodings, line ends, progress bars, terminal escapes.

Owns line numbers and byte offsets. Line ends are ``\\n``, ``\\r\\n`` and a lone
``\\r``, as Python's universal newlines and most editors count them. A frame that a
lone carriage return lets the next one overwrite is dropped when it shows progress
(a percentage, ``3/10``, a bar, a size) or nothing; its number is still counted.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["MAX_LINE_BYTES", "Line", "clean", "encoding_of", "is_binary", "is_progress", "read_lines"]

MAX_LINE_BYTES = 64 * 1024
"""Text kept of one line; the rest of a longer line is skipped, its bytes are counted."""

PROBE_BYTES = 8192

_CONTROL = bytes(c for c in range(32) if c not in b"\t\n\r\x1b\x08\x0c\x07\x00")
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,512}(?:\x07|\x1b\\)?|[_PX^][^\x07\x1b]{0,512}(?:\x07|\x1b\\)?|[@-Z\\-~])"
)
_LEFTOVER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]+")
_PROGRESS = re.compile(
    rb"\d ?%|\d+ ?/ ?\d+|[#=>.\xe2\x96\x88-]{6,}|\b\d[\d.]* ?[kKMG]i?B\b|\|[#= >-]{4,}\||^\s*(?:\x1b\[[\d;?]*[a-zA-Z])*\s*$"
)
_ENDS = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log.

    Attributes:
        number: 1-based, counted over all line ends.
        offset: byte offset of its first byte in the log.
        end_offset: byte offset after its last byte, line end included.
        text: decoded, without line end, terminal escapes and other control characters.
    """

    number: int
    offset: int
    end_offset: int
    text: str


def encoding_of(head: bytes) -> str:
    """``utf-8``, ``utf-16-le``, ``utf-16-be`` or ``binary``, judged by the first bytes of a log.

    Text with a few NULs (a log cut by a power loss) is text; more than a tenth of
    control bytes is binary.
    """
    head = head[:PROBE_BYTES]
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    nuls = head.count(0)
    if len(head) >= 8 and nuls > len(head) * 0.35:
        odd = head[1::2].count(0)
        even = nuls - odd
        if odd > 0.7 * (len(head) // 2) and even < 0.05 * len(head):
            return "utf-16-le"
        if even > 0.7 * (len(head) // 2) and odd < 0.05 * len(head):
            return "utf-16-be"
    bad = nuls + len(head) - len(head.translate(None, _CONTROL))
    # A third of the allowance when the bytes are no UTF-8 either: compressed data has few controls by chance.
    allowed = len(head) / (10 if _is_utf8(head) else 30)
    return "binary" if bad > allowed else "utf-8"


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def is_binary(head: bytes) -> bool:
    """Whether a blob that starts with ``head`` is not a log that can be read as text."""
    return encoding_of(head) == "binary"


def is_progress(raw: bytes) -> bool:
    """Whether a line that ends in a lone carriage return is a frame of a progress display, or blank."""
    return _PROGRESS.search(raw, 0, 4096) is not None


def clean(text: str) -> str:
    """``text`` without terminal escapes, backspaces and other control characters (tabs stay)."""
    if "\x1b" in text:
        text = _ESCAPE.sub("", text)
    if not text.isprintable():
        text = _LEFTOVER.sub("", text)
    return text


def read_lines(data: bytes | Iterable[bytes]) -> Iterator[Line]:
    """Every line of a log in order; nothing for a binary one.

    Args:
        data: the whole log or its pieces in order, of any sizes.

    Cost: one piece and one line (64 KiB at most) in memory, whatever the log's size.
    Invalid UTF-8 in a line is read as Windows-1252, so mixed encodings stay legible.
    """
    pieces: Iterator[bytes] = iter((data,) if isinstance(data, bytes) else data)
    head = b""
    for piece in pieces:
        head += bytes(piece)
        if len(head) >= PROBE_BYTES:
            break
    encoding = encoding_of(head)
    if encoding == "binary":
        return
    everything = _chain(head, pieces)
    if encoding == "utf-8":
        yield from _split(everything)
    else:
        yield from _split_wide(everything, encoding)


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _split(pieces: Iterable[bytes]) -> Iterator[Line]:
    """Lines of pieces in an encoding whose line ends are single bytes."""
    number, offset = 1, 0
    held = b""
    skipped = 0
    for piece in pieces:
        buffer = held + bytes(piece)
        # A trailing \r may be the first half of \r\n: decide with the next piece.
        usable = len(buffer) - 1 if buffer.endswith(b"\r") else len(buffer)
        start = 0
        for match in _ENDS.finditer(buffer, 0, usable):
            end = match.end()
            line = _line(buffer[start : match.start()], buffer[match.start() : end], number, offset, skipped)
            offset += skipped + end - start
            skipped = 0
            number += 1
            start = end
            if line is not None:
                yield line
        held = buffer[start:]
        if len(held) > 2 * MAX_LINE_BYTES:
            skipped += len(held) - MAX_LINE_BYTES
            held = held[:MAX_LINE_BYTES]
    if held:
        end_of_line = b"\r" if held.endswith(b"\r") else b""
        line = _line(held[: len(held) - len(end_of_line)], end_of_line, number, offset, skipped)
        if line is not None:
            yield line


def _line(raw: bytes, end: bytes, number: int, offset: int, skipped: int) -> Line | None:
    """The line, or ``None`` for a progress frame that the next one overwrites."""
    end_offset = offset + skipped + len(raw) + len(end)
    if end == b"\r" and is_progress(raw):
        return None
    raw = raw[:MAX_LINE_BYTES]
    if offset == 0 and raw.startswith(codecs.BOM_UTF8):
        raw = raw[3:]
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    return Line(number, offset, end_offset, clean(text))


def _split_wide(pieces: Iterable[bytes], encoding: str) -> Iterator[Line]:
    """Lines of UTF-16 pieces; offsets count the original bytes."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    offset, number, held = 0, 1, ""
    for piece in pieces:
        held += decoder.decode(bytes(piece))
        *whole, held = held.split("\n")
        for text in whole:
            size = len(text.encode(encoding, "surrogatepass")) + 2
            yield Line(
                number, offset, offset + size, clean(text.lstrip("\ufeff").rstrip("\r")[:MAX_LINE_BYTES])
            )
            offset += size
            number += 1
    if held:
        size = len(held.encode(encoding, "surrogatepass"))
        yield Line(number, offset, offset + size, clean(held.lstrip("\ufeff").rstrip("\r")[:MAX_LINE_BYTES]))
