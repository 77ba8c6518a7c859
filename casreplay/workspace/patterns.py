r"""One line of gitignore syntax as a value, and globs that match in linear time.

Owns the reading of a line (``parse_line``), the cutting into segments and the
translation of one segment into a test on one name. Which rule wins, and how rules
reach a folder, is ``workspace.ignore``'s affair.

The semantics are git's, byte for byte: wildcards match bytes, ``?`` is one byte,
``[...]`` knows ranges, negation, escapes and POSIX classes, and a segment that is
invalid (an open bracket, an unknown class, a trailing backslash) matches nothing.
The ``pathspec`` package serves the tests as a second opinion only: importing it costs
40 ms where its optional engines are installed, it lacks POSIX classes, and its
regexes backtrack, so that one line such as ``*a*a*a*a*a*b``, written by whoever the
recorder watches, would stop the recorder (docs/adr/0010). Source: git's ``wildmatch.c`` and ``dir.c``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

__all__ = [
    "MAX_IGNORE_FILE_BYTES",
    "NameTest",
    "Pattern",
    "Segment",
    "literal_pattern",
    "parse_line",
    "parse_lines",
]

MAX_IGNORE_FILE_BYTES = 1 << 20
"""An ignore file is read up to this length; what follows is not a rule."""

_GLOB_BYTES = frozenset(b"*?[\\")
_CLASSES: dict[bytes, Callable[[int], bool]] = {
    b"alnum": lambda c: chr(c).isalnum(),
    b"alpha": lambda c: chr(c).isalpha(),
    b"blank": lambda c: c in b" \t",
    b"cntrl": lambda c: c < 32 or c == 127,
    b"digit": lambda c: chr(c).isdigit(),
    b"graph": lambda c: 32 < c < 127,
    b"lower": lambda c: chr(c).islower(),
    b"print": lambda c: 32 <= c < 127,
    b"punct": lambda c: 32 < c < 127 and not chr(c).isalnum(),
    b"space": lambda c: c in b" \t\n\v\f\r",
    b"upper": lambda c: chr(c).isupper(),
    b"xdigit": lambda c: chr(c) in "0123456789abcdefABCDEF",
}


class Segment(NamedTuple):
    """What stands between two slashes of a pattern.

    Exactly one of the forms applies: ``deep`` (``**``: any number of folders),
    ``literal``, ``suffix`` (``*`` and then a literal; empty for a lone ``*``) or
    ``regex`` source text. None of them: the segment matches nothing.
    """

    deep: bool = False
    literal: bytes | None = None
    suffix: bytes | None = None
    regex: bytes | None = None

    def matches(self, name: bytes) -> bool:
        """Whether the segment matches ``name``; not meant for ``deep`` segments."""
        if self.literal is not None:
            return name == self.literal
        if self.suffix is not None:
            return name.endswith(self.suffix)
        return self.regex is not None and re.fullmatch(self.regex, name) is not None


class Pattern(NamedTuple):
    """One rule: its segments from the folder it was written in downwards.

    Attributes:
        text: the line as written, for messages.
        segments: never empty; a pattern without a slash starts with a ``deep`` segment.
        negated: the line began with ``!``: what it matches is kept.
        folders_only: the line ended with ``/``.
        rank: precedence between sources; a higher one wins over a nearer one.
    """

    text: str
    segments: tuple[Segment, ...]
    negated: bool = False
    folders_only: bool = False
    rank: int = 0


_DEEP = Segment(deep=True)


def literal_pattern(path: bytes, rank: int) -> Pattern:
    """A rule for exactly ``path``, whatever characters it holds."""
    segments = tuple(Segment(literal=name) for name in path.split(b"/"))
    return Pattern(path.decode("utf-8", "backslashreplace"), segments, rank=rank)


def parse_lines(text: bytes, rank: int = 0) -> tuple[Pattern, ...]:
    """The rules of an ignore file, in order; comments and blank lines are none."""
    body = text[:MAX_IGNORE_FILE_BYTES].removeprefix(b"\xef\xbb\xbf")
    parsed = (parse_line(line.removesuffix(b"\r"), rank) for line in body.split(b"\n"))
    return tuple(pattern for pattern in parsed if pattern is not None)


def parse_line(line: bytes, rank: int = 0) -> Pattern | None:
    """The rule that one line of gitignore syntax states, or ``None`` for a comment or blank line.

    Source: gitignore(5) "PATTERN FORMAT"; ``dir.c:parse_path_pattern``.
    """
    if line.startswith(b"#"):
        return None
    body = _trim_trailing_spaces(line)
    negated = body.startswith(b"!")
    body = body[negated:]
    folders_only = body.endswith(b"/")
    if folders_only:
        body = body[:-1]
    if not body:
        return None
    anchored = b"/" in body
    segments = [_segment(part, in_path=anchored) for part in _split(body.removeprefix(b"/"))]
    if not anchored:
        segments.insert(0, _DEEP)
    text = line.decode("utf-8", "backslashreplace")
    return Pattern(text, tuple(_merged(segments)), negated, folders_only, rank)


def _trim_trailing_spaces(line: bytes) -> bytes:
    r"""Drop trailing spaces, keeping those behind a backslash (``name\ ``)."""
    kept = len(line.rstrip(b" "))
    backslashes = kept - len(line[:kept].rstrip(b"\\"))
    if backslashes % 2 and kept < len(line):
        kept += 1
    return line[:kept]


def _split(body: bytes) -> list[bytes]:
    r"""``body`` cut at its slashes; one inside brackets is a member of them, ``\/`` is a plain slash."""
    parts = []
    start = i = 0
    while i < len(body):
        char = body[i]
        i += 1
        if char == ord("["):
            i = _bracket(body, i)[1]
        elif char == ord("\\") and body[i : i + 1] != b"/":
            i += 1
        elif char in b"/\\":
            parts.append(body[start : i - 1])
            i = start = i + (char == ord("\\"))
    return [*parts, body[start:]]


def _merged(segments: Iterable[Segment]) -> list[Segment]:
    """``segments`` with runs of ``**`` made one, which matches the same."""
    out: list[Segment] = []
    for segment in segments:
        if not (segment.deep and out and out[-1].deep):
            out.append(segment)
    return out


def _segment(part: bytes, *, in_path: bool) -> Segment:
    if in_path and len(part) > 1 and not part.strip(b"*"):
        return _DEEP
    if _GLOB_BYTES.isdisjoint(part):
        return Segment(literal=part)
    rest = part.lstrip(b"*")
    if len(rest) < len(part) and _GLOB_BYTES.isdisjoint(rest):
        return Segment(suffix=rest)
    return _translate(part)


def _translate(part: bytes) -> Segment:
    """``part`` as a regex without backtracking, or as a literal when it only holds escapes.

    The text between two ``*`` is looked for leftmost, inside an atomic group: the
    leftmost place leaves most for what follows, so no other needs to be tried.
    Source: CPython's ``fnmatch.translate``.
    """
    pieces: list[bytes] = [b""]
    plain: bytes | None = b""
    i = 0
    while i < len(part):
        char = part[i]
        i += 1
        if char == ord("*"):
            plain = None
            pieces.append(b"")
        elif char == ord("?"):
            plain = None
            pieces[-1] += rb"[\s\S]"
        elif char == ord("["):
            plain = None
            members, i = _bracket(part, i)
            if not members:
                return Segment()
            pieces[-1] += b"[%b]" % b"".join(b"\\x%02x" % c for c in sorted(members))
        else:
            if char == ord("\\"):
                if i == len(part):
                    return Segment()
                char = part[i]
                i += 1
            if plain is not None:
                plain += bytes((char,))
            pieces[-1] += re.escape(bytes((char,)))
    if plain is not None:
        return Segment(literal=plain)
    return Segment(regex=_join(pieces))


def _join(pieces: list[bytes]) -> bytes:
    if len(pieces) == 1:
        return pieces[0]
    middle = b"".join(rb"(?>[\s\S]*?%b)" % piece for piece in pieces[1:-1] if piece)
    return pieces[0] + middle + rb"[\s\S]*" + pieces[-1]


def _bracket(part: bytes, i: int) -> tuple[set[int], int]:
    """The bytes that the bracket expression before ``i`` matches, and where it ends.

    An empty set stands for an invalid expression. The slash is never a member.
    """
    negated = part[i : i + 1] in (b"!", b"^")
    i += negated
    members: set[int] = set()
    first = True
    while first or part[i : i + 1] != b"]":
        first = False
        if part.startswith(b"[:", i):
            end = part.find(b":]", i + 2)
            test = _CLASSES.get(part[i + 2 : end]) if end > 0 else None
            if test is not None:
                members.update(filter(test, range(128)))
                i = end + 2
                continue
            if end > 0 and part[i + 2 : end].isalpha():
                return set(), i
        low, i = _member(part, i)
        if low < 0:
            return set(), i
        high = low
        if part[i : i + 1] == b"-" and part[i + 1 : i + 2] not in (b"]", b""):
            high, i = _member(part, i + 1)
            if high < 0:
                return set(), i
        members.update(range(low, high + 1))
    if negated:
        members = set(range(1, 256)) - members
    members.discard(ord("/"))
    return members, i + 1


def _member(part: bytes, i: int) -> tuple[int, int]:
    """One byte of a bracket expression, an escaped one included; -1 at the end of the text."""
    if part[i : i + 1] == b"\\":
        i += 1
    return (part[i], i + 1) if i < len(part) else (-1, i)


class NameTest:
    """Whether a name matches any of several final segments: two set look-ups and suffix tests.

    Built once for a folder and asked for each of its names; costs about 0.2 us a name
    for plain names and ``*.ext``, whatever their number.
    """

    __slots__ = ("_exact", "_exact_folders", "_regex", "_regex_folders", "_suffixes", "_suffixes_folders")

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        sides: dict[bool, tuple[set[bytes], list[bytes], list[bytes]]]
        sides = {False: (set(), [], []), True: (set(), [], [])}
        for pattern in patterns:
            last = pattern.segments[-1]
            exact, suffixes, regexes = sides[pattern.folders_only]
            if last.deep:
                suffixes.append(b"")
            elif last.literal is not None:
                exact.add(last.literal)
            elif last.suffix is not None:
                suffixes.append(last.suffix)
            elif last.regex is not None:
                regexes.append(last.regex)
        self._exact, self._suffixes, self._regex = _compiled(*sides[False])
        self._exact_folders, self._suffixes_folders, self._regex_folders = _compiled(*sides[True])

    def matches(self, name: bytes, is_folder: bool) -> bool:
        """Whether ``name`` matches; ``is_folder`` opens the rules written with a trailing slash."""
        if name in self._exact or name.endswith(self._suffixes):
            return True
        if self._regex is not None and self._regex(name) is not None:
            return True
        if not is_folder:
            return False
        if name in self._exact_folders or name.endswith(self._suffixes_folders):
            return True
        return self._regex_folders is not None and self._regex_folders(name) is not None

    @property
    def is_empty(self) -> bool:
        """Whether no name can match."""
        return not (
            self._exact
            or self._suffixes
            or self._regex
            or self._exact_folders
            or self._suffixes_folders
            or self._regex_folders
        )


_FullMatch = Callable[[bytes], "re.Match[bytes] | None"]


def _compiled(
    exact: set[bytes], suffixes: list[bytes], regexes: list[bytes]
) -> tuple[frozenset[bytes], tuple[bytes, ...], _FullMatch | None]:
    joined = b"|".join(b"(?:%b)" % regex for regex in regexes)
    return frozenset(exact), tuple(suffixes), re.compile(joined).fullmatch if regexes else None
