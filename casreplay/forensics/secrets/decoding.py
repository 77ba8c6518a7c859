"""Text inside text, unwrapped once: base64, percent escapes, JSON escapes, UTF-16 in bytes, gzip.

Each wrapped piece is handed out with a map back to the bytes it came from. Nothing is
unwrapped twice: what hides below two layers is not found, and the documentation says so.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from casreplay.forensics.secrets.model import FileKind, Probe

__all__ = ["MARKERS", "Piece", "gunzip", "is_gzip", "pieces"]

MAX_UNPACKED = 256 << 20
_SHORTEST_RUN = 24
_LONGEST_RUN = 64 << 10
_SEGMENT = 2048
_ALNUM = bytes(97 if chr(b).isascii() and chr(b).isalnum() else 32 for b in range(256))
_FIRST = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef")
"""What the base64 of an ASCII character can begin with."""
_RUN = re.compile(rb"[A-Za-z0-9+/_\-]{24,}={0,2}")
_RUN_BEFORE = re.compile(rb"[A-Za-z0-9+/]{0,64}\Z")
_TEXT = re.compile(rb"[\t\r\n\x20-\x7e\xc2-\xf4\x80-\xbf]+\Z")
_LETTERS = re.compile(rb"[A-Za-z]{2}")
_WIDE_LE = re.compile(rb"(?:[\t\n\r\x20-\xff]\x00){12,}")
_WIDE_BE = re.compile(rb"(?:\x00[\t\n\r\x20-\xff]){12,}")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_JSON_ESCAPE = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|([\"\\/bfnrt]))")
_JSON_LETTER = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f"}
_DELIMITERS = tuple(bytes((byte,)) for byte in b" \n\r\t\"'<>")
_WORD = re.compile(rb"[^\s\"'<>]{0,2048}")


@dataclass(frozen=True, slots=True)
class Piece:
    """Unwrapped text and the way back.

    Attributes:
        text: the unwrapped bytes.
        encoding: what was undone.
        starts: positions in ``text`` where the distance to the source changes, ascending.
        sources: the source position of each of ``starts``.
        step: source bytes for each byte of text (2 in UTF-16).
    """

    text: bytes
    encoding: str
    starts: tuple[int, ...]
    sources: tuple[int, ...]
    step: int = 1

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The source span of ``text[start:end]``; in base64 widened to whole groups of four."""
        if self.encoding == "base64":
            run = self.sources[0]
            return run + start // 3 * 4, run + -(-end // 3) * 4
        return self._source(start), self._source(end)

    def _source(self, at: int) -> int:
        i = bisect_right(self.starts, at) - 1
        return self.sources[i] + (at - self.starts[i]) * self.step


def pieces(data: bytes, marks: Iterable[tuple[int, int]]) -> Iterator[Piece]:
    """Every wrapped piece of ``data``, family by family.

    ``marks`` are (position, number of ``MARKERS``) pairs: where escapes that may hide a
    secret's surroundings stand. Cost: two passes at memory speed, and the pieces.
    """
    yield from _base64_runs(data)
    covered = [0] * len(MARKERS)
    for at, number in sorted(marks):
        if at >= covered[number]:
            decoder = _DECODERS[number]
            start, end = decoder.bounds(data, at)
            covered[number] = max(end, at + 1)
            yield decoder.piece(data[start:end], start)
    if b"\0" in data:
        yield from _wide(data)


def _base64_runs(data: bytes) -> Iterator[Piece]:
    """Runs of letters and digits that are base64 of text; ``/`` and ``+`` join them.

    Encoded text seldom holds ``/`` or ``+``, so a run of 24 letters and digits finds it; where such
    a character stands before the run, all four alignments are tried.
    """
    letters = data.translate(_ALNUM)
    needle = b"a" * _SHORTEST_RUN
    at = letters.find(needle)
    while at >= 0:
        start = _aligned(data, at)
        if start < 0:
            at = letters.find(b" ", at + _SHORTEST_RUN)
        else:
            run = _RUN.match(data, start, start + _LONGEST_RUN)
            end = run.end() if run is not None else at + _SHORTEST_RUN
            text = _unbase64(data[start:end])
            if text is not None:
                yield Piece(text, "base64", (0,), (start,))
            at = max(end, at + _SHORTEST_RUN)
        at = letters.find(needle, at) if at >= 0 else -1


def _aligned(data: bytes, at: int) -> int:
    """Where in or before the run at ``at`` whole groups that decode to text begin; -1: nowhere."""
    joined = at > 0 and data[at - 1] in b"+/"
    for start in range(at, at + (4 if joined else 1)):
        if data[start] in _FIRST and _TEXT.match(binascii.a2b_base64(data[start : start + 20])):
            if not joined:
                return start
            lead = _RUN_BEFORE.search(data, max(0, start - 64), start)
            return start - (start - lead.start()) // 4 * 4 if lead is not None else start
    return -1


def _unbase64(run: bytes) -> bytes | None:
    """The text that ``run`` encodes; ``None`` when it encodes none."""
    clean = run.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    try:
        text = base64.b64decode(clean[: len(clean) - (len(clean) % 4 == 1)] + b"=" * (-len(clean) % 4))
    except (binascii.Error, ValueError):
        return None
    return text if _TEXT.match(text) and _LETTERS.search(text) else None


class _Decoder:
    """How a family of escapes is bounded and undone."""

    encoding = ""
    escape: re.Pattern[bytes]

    @staticmethod
    def bounds(data: bytes, at: int) -> tuple[int, int]:
        """The segment around an escape: at most 2,048 bytes to either side."""
        raise NotImplementedError

    @staticmethod
    def replacement(match: re.Match[bytes]) -> bytes:
        """The bytes that an escape stands for."""
        raise NotImplementedError

    @classmethod
    def piece(cls, segment: bytes, offset: int) -> Piece:
        """``segment`` with its escapes undone."""
        out = bytearray()
        starts, sources, last = [0], [offset], 0
        for match in cls.escape.finditer(segment):
            out += segment[last : match.start()]
            starts.append(len(out))
            sources.append(offset + match.start())
            out += cls.replacement(match)
            starts.append(len(out))
            sources.append(offset + match.end())
            last = match.end()
        out += segment[last:]
        return Piece(bytes(out), cls.encoding, tuple(starts), tuple(sources))


class _Percent(_Decoder):
    encoding = "percent"
    escape = _PERCENT

    @staticmethod
    def bounds(data: bytes, at: int) -> tuple[int, int]:
        low = max(0, at - _SEGMENT)
        before = max(data.rfind(delimiter, low, at) for delimiter in _DELIMITERS)
        after = _WORD.match(data, at)
        return (before + 1 if before >= 0 else low), (after.end() if after else at)

    @staticmethod
    def replacement(match: re.Match[bytes]) -> bytes:
        return bytes((int(match[1], 16),))


class _Json(_Decoder):
    encoding = "json"
    escape = _JSON_ESCAPE

    @staticmethod
    def bounds(data: bytes, at: int) -> tuple[int, int]:
        line = max(data.rfind(b"\n", 0, at) + 1, at - _SEGMENT, 0)
        end = data.find(b"\n", at, at + _SEGMENT)
        return line, end if end >= 0 else min(len(data), at + _SEGMENT)

    @staticmethod
    def replacement(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return chr(int(match[1], 16)).encode("utf-8", "surrogatepass")
        return _JSON_LETTER.get(match[2], match[2])


def _nothing(_data: bytes, _at: int, _kind: FileKind) -> None:
    """A marker is no candidate: it only says where to unwrap."""


_DECODERS: tuple[type[_Decoder], ...] = (_Percent, _Json)
MARKERS = (
    Probe(
        "percent",
        (b"%3D", b"%3d", b"%3A", b"%3a", b"%3E", b"%3e", b"%22", b"%2F%2F", b"%2f%2f"),
        "%(?:3[DdAaEe]|22|2[Ff]%2[Ff])",
        0,
        _nothing,
    ),
    Probe("json", (b"\\u00",), r"\\u00", 4, _nothing),
)


def _wide(data: bytes) -> Iterator[Piece]:
    """Runs of UTF-16 text, either byte order, wherever they stand: whole files or a part of a log."""
    covered = 0
    for match in _WIDE_LE.finditer(data):
        start, end = match.span()
        if start and data[start - 1 : start] == b"\0" and data[start - 2 : start - 1] != b"\0":
            continue
        yield Piece(data[start:end:2], "utf-16", (0,), (start,), step=2)
        covered = end
    if covered == 0:
        for match in _WIDE_BE.finditer(data):
            start, end = match.span()
            yield Piece(data[start + 1 : end : 2], "utf-16", (0,), (start,), step=2)


def is_gzip(head: bytes) -> bool:
    """Whether a blob starts like a gzip member."""
    return head[:3] == b"\x1f\x8b\x08"


def gunzip(pieces_in: Iterable[bytes]) -> Iterator[bytes]:
    """The unpacked bytes of a gzip blob, at most 256 MiB; ends quietly where the blob is damaged."""
    unpacker, left = zlib.decompressobj(31), MAX_UNPACKED
    for piece in pieces_in:
        rest = piece
        while rest and left > 0:
            try:
                out = unpacker.decompress(rest, min(left, 1 << 20))
            except zlib.error:
                return
            left -= len(out)
            yield out
            rest = unpacker.unconsumed_tail
            if unpacker.eof:
                rest, unpacker = unpacker.unused_data, zlib.decompressobj(31)
