"""What ``strace -f -y -xx`` writes, line by line: text to calls.

Owns the format and nothing of what the calls mean. Strict: a line that is not understood
comes back as such, so that the trace it is in proves nothing. Pure.

Source: strace(1); the shapes below are those of strace 5.10 to 6.x with ``-o``: every line begins
with a process number, strings are in hex, descriptors carry their path, a call that was overtaken
by another process is written in two parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Call", "descriptor", "parse", "text"]

_HEAD = re.compile(rb"(\d+) +(.*)", re.DOTALL)
_NAME = re.compile(rb"(\w+)\(")
_RESUMED = re.compile(rb"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_UNFINISHED = b" <unfinished ...>"
_TOKEN = re.compile(
    rb'"[^"\\]*(?:\\.[^"\\]*)*"|<[^<>"\\\s,]*(?:\\.[^<>"\\\s,]*)*>|[][{}()]|,|[^][{}()<>",]+|[<>]'
)
_RESULT = re.compile(rb"\s*= (\?|-?\d+|0x[0-9a-f]+)(.*)", re.DOTALL)
_STRING = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"')
_DESCRIPTOR = re.compile(rb"(?:AT_FDCWD|-?\d+)<([^<>\\]*(?:\\.[^<>\\]*)*)>(?:\(deleted\))?")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f", b"a": b"\a", b"e": b"\x1b"}


@dataclass(frozen=True, slots=True)
class Call:
    """One system call.

    Attributes:
        process: who made it.
        name: of the call; ``?`` for a line that is not understood, whose text is in ``args``.
        args: as written.
        result: what it returned; ``None`` when the process ended in it or it has not ended yet.
        rest: what follows the number: the path of a new descriptor, or the name of an error.
        is_begun: it has not ended yet: the first of two parts; the whole comes later.
    """

    process: int
    name: str
    args: tuple[bytes, ...] = ()
    result: int | None = None
    rest: bytes = b""
    is_begun: bool = False

    @property
    def failed(self) -> bool:
        """Whether it is known to have changed nothing."""
        return self.result is not None and self.result < 0


def parse(lines: Iterable[bytes]) -> Iterator[Call]:
    """The calls in order; a call in two parts comes twice, when it begins and when it ends."""
    open_calls: dict[int, bytes] = {}
    for line in lines:
        head = _HEAD.fullmatch(line.rstrip(b"\n"))
        if head is None:
            yield Call(0, "?", (line,))
            continue
        process, body = int(head[1]), head[2]
        if body.startswith((b"+++ ", b"--- ")):
            if b"superseded" in body:
                yield Call(process, "?", (body,))
            continue
        resumed = _RESUMED.fullmatch(body)
        if resumed is not None:
            begun = open_calls.pop(process, b"")
            if not begun.startswith(resumed[1] + b"("):
                yield Call(process, "?", (body,))
                continue
            body = begun + resumed[2]
        elif body.endswith(_UNFINISHED):
            body = body[: -len(_UNFINISHED)]
            open_calls[process] = body
            yield _call(process, body, is_begun=True)
            continue
        yield _call(process, body, is_begun=False)


def _call(process: int, body: bytes, *, is_begun: bool) -> Call:
    unknown = Call(process, "?", (body,))
    name = _NAME.match(body)
    if name is None:
        return unknown
    # A process that was killed in a call leaves "call(args <unfinished ...>) = ?".
    body = body.replace(_UNFINISHED + b")", b")")
    args, end = _split(body, name.end())
    if is_begun:
        return Call(process, name[1].decode(), args, is_begun=True)
    found = _RESULT.fullmatch(body, end) if end else None
    if found is None:
        return unknown
    result = None if found[1] == b"?" else int(found[1], 0)
    return Call(process, name[1].decode(), args, result, found[2])


def _split(body: bytes, start: int) -> tuple[tuple[bytes, ...], int]:
    """The arguments from ``start`` and where the closing bracket ends; 0 when there is none."""
    args: list[bytes] = []
    depth, at, end, length = 0, start, start, len(body)
    while end < length:
        token = _TOKEN.match(body, end)
        if token is None:
            return tuple(args), 0
        first = body[end : end + 1]
        if first == b")" and depth == 0:
            args.append(body[at:end].strip())
            return tuple(args), end + 1
        if first == b"," and depth == 0:
            args.append(body[at:end].strip())
            at = end + 1
        depth += (first in (b"(", b"[", b"{")) - (first in (b")", b"]", b"}"))
        end = token.end()
    args.append(body[at:].strip())
    return tuple(args), 0


def text(arg: bytes) -> bytes | None:
    """The bytes of a string argument; ``None`` for anything else, a shortened string included."""
    found = _STRING.fullmatch(arg)
    return None if found is None else _unescape(found[1])


def descriptor(arg: bytes) -> bytes | None:
    """The path of a descriptor, absolute; ``None`` where it has none (a pipe, a closed one)."""
    found = _DESCRIPTOR.match(arg)
    if found is None:
        return None
    path = _unescape(found[1]).removesuffix(b" (deleted)")
    return path if path.startswith(b"/") else None


def _unescape(raw: bytes) -> bytes:
    if b"\\" not in raw:
        return raw
    if raw.count(b"\\x") * 4 == len(raw):
        return bytes.fromhex(raw.replace(b"\\x", b"").decode("ascii"))
    return _ESCAPE.sub(_escaped, raw)


def _escaped(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return bytes((int(found[1], 16),))
    if found[2]:
        return bytes((int(found[2], 8) & 0xFF,))
    return _LETTERS.get(found[3], found[3])
