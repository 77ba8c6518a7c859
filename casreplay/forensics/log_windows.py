"""The few lines of a large log that are worth parsing as records, and those lines without secrets.

Parsing every line of a large log into records costs minutes; decisions and timelines need a
handful. Owns choosing them: lines that hit, with a little around them. Secrets are taken out
here by what is known of the whole content, which also hides a key that spans lines.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from casreplay.forensics.logs.lines import Line
from casreplay.forensics.newlines import NewLine
from casreplay.forensics.secrets.model import SecretMatch
from casreplay.forensics.secrets.scanner import label

__all__ = ["Tail", "around", "as_lines", "tail_of", "without_secrets"]

BATCH = 10_000
AFTER = 8
"""Lines shown after a hit: enough for its reason and for what followed."""

Finder = Callable[[Sequence[Line]], set[int]]
"""From lines to the indexes of those that hit."""


def around(lines: Iterable[Line], find: Finder) -> Iterator[Line]:
    """Lines that ``find`` hits, with the line before and eight after each; in order, each once."""
    held: Line | None = None
    left = 0
    source = iter(lines)
    while batch := list(islice(source, BATCH)):
        hits = find(batch)
        if not hits and not left:
            held = batch[-1]
            continue
        for i, line in enumerate(batch):
            if i in hits:
                if held is not None:
                    yield held
                yield line
                held, left = None, AFTER
            elif left:
                yield line
                held, left = None, left - 1
            else:
                held = line


def as_lines(lines: Iterable[NewLine]) -> Iterator[Line]:
    """New lines as lines, so that records can be made of them."""
    for line in lines:
        yield Line(line.number, line.offset, line.end_offset, line.text)


def without_secrets(lines: Iterable[Line], matches: Sequence[SecretMatch]) -> Iterator[Line]:
    """``lines`` of one content without the secrets that are known to be in it.

    A line whose bytes are its text loses the secret alone; any other line that a secret
    touches is replaced as a whole.

    Args:
        lines: ascending.
        matches: of the content the lines are of; those found inside gzip are left out.
    """
    found = sorted((one for one in matches if one.encoding != "gzip"), key=lambda one: one.offset)
    if not found:
        yield from lines
        return
    ends: list[int] = []
    for one in found:
        ends.append(max(one.offset + one.length, ends[-1] if ends else 0))
    for line in lines:
        first = bisect_left(ends, line.offset + 1)
        touching = []
        for one in found[first:]:
            if one.offset >= line.end_offset:
                break
            if one.offset + one.length > line.offset:
                touching.append(one)
        yield _hidden(line, touching) if touching else line


def _hidden(line: Line, touching: Sequence[SecretMatch]) -> Line:
    size = line.end_offset - line.offset
    if not line.text.isascii() or not 0 <= size - len(line.text) <= len("\r\n"):
        shown = " ".join(label(one.rule, one.value_length, one.fingerprint) for one in touching)
        return Line(line.number, line.offset, line.end_offset, shown)
    text, out, last = line.text, "", 0
    for one in touching:
        start = max(one.offset - line.offset, last)
        end = min(one.offset + one.length - line.offset, len(text))
        if end > start:
            out += text[last:start] + label(one.rule, one.value_length, one.fingerprint)
            last = end
    return Line(line.number, line.offset, line.end_offset, out + text[last:])


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a content.

    Attributes:
        data: its last bytes, from the start of a line unless one line is longer than all of it.
        lines_before: lines that stand before ``data``.
        bytes_before: bytes that stand before ``data``.
    """

    data: bytes
    lines_before: int
    bytes_before: int

    def moved(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Lines of ``data`` with the numbers and offsets they have in the whole content."""
        if not self.bytes_before:
            yield from lines
            return
        for line in lines:
            number, offset = line.number + self.lines_before, line.offset + self.bytes_before
            yield Line(number, offset, line.end_offset + self.bytes_before, line.text)


def tail_of(pieces: Iterable[bytes], limit: int) -> Tail:
    """The last ``limit`` bytes or a little less of ``pieces``, whatever their number.

    Memory: twice ``limit``. Cost: one pass; line ends before the tail are counted.
    """
    held = bytearray()
    lines = dropped = 0
    for piece in pieces:
        held += piece
        if len(held) > 2 * limit:
            lines, dropped = _drop(held, len(held) - limit, lines, dropped)
    if len(held) > limit:
        lines, dropped = _drop(held, len(held) - limit, lines, dropped)
    start = held.find(b"\n") + 1
    if dropped and start:
        lines, dropped = _drop(held, start, lines, dropped)
    return Tail(bytes(held), lines, dropped)


def _drop(held: bytearray, size: int, lines: int, dropped: int) -> tuple[int, int]:
    lines += held.count(b"\n", 0, size)
    del held[:size]
    return lines, dropped + size
