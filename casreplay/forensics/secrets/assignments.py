"""Values given to names that hold secrets: ``password = ...`` in all the ways files write it.

The engine finds a keyword (``keys.KEYWORDS``); from there this module finds the operator, the
whole name and the value. Code counts quoted values only, settings and logs unquoted ones too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from casreplay.forensics.secrets.keys import KEYWORDS, KeyClass, classify
from casreplay.forensics.secrets.model import Candidate, FileKind, Probe, SecretClass
from casreplay.forensics.secrets.values import is_secret_value

__all__ = ["PROBES"]

_REST = rb"[A-Za-z0-9_.\-]{0,40}"
_CLOSE = rb"""["'`\\\])]{0,6}[ \t]{0,20}"""
# What may stand between a name and its value. ``vl`` is the second half of a name/value pair.
_OPERATOR = re.compile(
    _REST
    + _CLOSE
    + rb"""(?:
      (?P<vl> (?:,[ \t]*)? (?:\r?\n\s{0,40})? \\*["']? value \\*["']? [ \t]{0,8} [:=] )
    | (?P<sign> : [ \t]* [\w&<>\[\]|?]{1,30} [ \t]* = (?!=) | =>? | ==+ | :=? )
    | (?P<comma> , (?=[ \t]*\\*["']) )
    | (?P<call> \( (?=[ \t]*\\*["']) )
    | (?P<tag> > (?=[^\s<]) )
    | (?P<sql> (?=') )
    | (?P<prose> is\b:? )
    )""",
    re.VERBOSE,
)
_FLAG = re.compile(rb"[A-Za-z0-9_\-]{0,20}[ \t]+(?=[^\s-])")
_REST_OF_NAME = re.compile(_REST)
_NAME_BEFORE = re.compile(rb"[A-Za-z0-9_.\-$]{0,60}\Z")
_FLAG_BEFORE = re.compile(rb"(?:\A|[\s\"'`(])--[A-Za-z0-9_\-]{0,30}\Z")

_QUOTED = re.compile(rb"""[rbuf@$L]{0,2}(["'`])((?:\\[\x20-\xff]|(?!\1)[^\\\x00-\x1f]){1,512})\1""")
_ESCAPED = re.compile(rb"""(\\{1,7}["'])((?:(?!\1)[^\x00-\x1f]){1,512}?)\1""")
_TO_SPACE = re.compile(rb"""[^\x00-\x20"'`<>]{1,512}""")
_TO_LINE_END = re.compile(rb"[^\x00-\x08\x0a-\x1f]{1,512}")
_SHELL_WORD = re.compile(rb"""[^\x00-\x20"'`<>;|&()]{1,512}""")
_BELOW = re.compile(rb"(?:[(\[>|\\][-+]?)?[ \t]*\r?\n[ \t]{1,80}(?=[^\s#])")
"""A value that stands alone on the next, indented line: in brackets, as a YAML block, or just there."""
_LINE_ENDS = re.compile(rb"[ \t]*[,;)\]}]{0,3}[ \t]*(?:\r?\n|\Z)")
_ALONE = re.compile(rb"""[^\x00-\x20"'`<>{}\[\]]{1,512}(?=[ \t]*(?:\r?\n|\Z))""")
_IN_TAG = re.compile(rb"([^<\x00-\x1f]{1,512})</")
_NEXT_PAIR = re.compile(rb"[&;,](?=\"?\\?[\w.\[\]\-]{1,40}\"?[=:])|;(?=(?:[A-Z][a-z]+)?\Z)|\\[nrt\"']")
_COMMENT = re.compile(rb"\s+[#;](?:\s.*)?\Z|\s+//.*\Z")


@dataclass(frozen=True, slots=True)
class _Place:
    """A name that may hold a secret, and what follows it.

    Attributes:
        data: the window.
        kind: what kind of file it is.
        key: what the name promises.
        how: the operator: a group of ``_OPERATOR``, or ``flag``.
        name_start: first byte of the name.
        at: first byte after the operator.
    """

    data: bytes
    kind: FileKind
    key: KeyClass
    how: str
    name_start: int
    at: int


def _find(data: bytes, start: int, kind: FileKind) -> Candidate | None:
    match = _OPERATOR.match(data, start)
    return _named(data, start, kind, match, match.lastgroup or "") if match is not None else None


def _find_flag(data: bytes, start: int, kind: FileKind) -> Candidate | None:
    if _OPERATOR.match(data, start) is not None:
        return None
    match = _FLAG.match(data, start)
    if match is None or not _FLAG_BEFORE.search(data, max(0, start - 40), start):
        return None
    return _named(data, start, kind, match, "flag")


def _named(data: bytes, start: int, kind: FileKind, match: re.Match[bytes], how: str) -> Candidate | None:
    before = _NAME_BEFORE.search(data, max(0, start - 60), start)
    after = _REST_OF_NAME.match(data, start)
    name_start = before.start() if before else start
    name = data[name_start : after.end() if after else start].lstrip(b"-$")
    key = classify(name)
    if key is None or not _fits(match, how, name.lower(), kind):
        return None
    if how == "comma" and not _is_argument(data, name_start):
        return None
    return _value(_Place(data, kind, key, how, name_start, match.end()))


def _fits(match: re.Match[bytes], how: str, name: bytes, kind: FileKind) -> bool:
    """Whether the operator makes sense for a name: prose and SQL speak of passwords only."""
    if how in ("prose", "sql") and not name.endswith((b"password", b"passphrase", b"passwd")):
        return False
    if name == b"pass" and not _is_pass_a_name(match.group(), kind):
        return False
    return how != "call" or b"." not in match.group()


def _is_pass_a_name(operator: bytes, kind: FileKind) -> bool:
    """Whether ``pass`` alone is a setting: ``pass=x`` is, the ``PASS:`` of a test's result is not."""
    if kind in (FileKind.SETTINGS, FileKind.YAML):
        return True
    return b"=" in operator or operator[4:5] in (b'"', b"'", b">")


def _is_argument(data: bytes, name_start: int) -> bool:
    """Whether a quoted name before a comma is the first argument of a call, or a command-line flag."""
    before = data[max(0, name_start - 8) : name_start].rstrip(b"\\\"'")
    return before.endswith(b"(") or data[name_start : name_start + 2] == b"--"


def _value(place: _Place) -> Candidate | None:
    data, at = place.data, place.at
    if place.how == "tag":
        opened = data[place.name_start - 1 : place.name_start] in (b"<", b":")
        inside = _IN_TAG.match(data, at) if opened else None
        return _judged(place, inside.span(1), quoted=True) if inside is not None else None
    while data[at : at + 1] in (b" ", b"\t"):
        at += 1
    for pattern in (_QUOTED, _ESCAPED):
        quoted = pattern.match(data, at)
        if quoted is not None:
            return _judged(place, quoted.span(2), quoted=True)
    below = _BELOW.match(data, at) if place.how == "sign" else None
    if below is not None:
        return _value_below(place, below.end())
    if place.kind is FileKind.CODE or place.how in ("comma", "call", "sql"):
        return None
    if data[at : at + 1] in (b'"', b"'"):
        at += 1
    span = _unquoted(place, at)
    if place.how == "prose" and not any(48 <= byte <= 57 for byte in data[span[0] : span[1]]):
        return None
    return _judged(place, span, quoted=False)


def _value_below(place: _Place, at: int) -> Candidate | None:
    """The value alone on the line that starts at ``at``: quoted in any file, bare outside of code."""
    quoted = _QUOTED.match(place.data, at)
    if quoted is not None:
        ends = _LINE_ENDS.match(place.data, quoted.end())
        return _judged(place, quoted.span(2), quoted=True) if ends else None
    bare = _ALONE.match(place.data, at) if place.kind is not FileKind.CODE else None
    if bare is None or bare.group().endswith(b":"):
        return None
    return _judged(place, bare.span(), quoted=False)


def _unquoted(place: _Place, at: int) -> tuple[int, int]:
    """The span of an unquoted value at ``at``; empty when there is none."""
    whole_line = _takes_line(place)
    pattern = _TO_LINE_END if whole_line else _SHELL_WORD if place.kind is FileKind.SHELL else _TO_SPACE
    found = pattern.match(place.data, at)
    if found is None:
        return at, at
    value = found.group()
    if whole_line:
        comment = _COMMENT.search(value)
        value = (value[: comment.start()] if comment else value).rstrip(b" \t,")
        return at, at + len(value)
    cut = _NEXT_PAIR.search(value)
    value = value[: cut.start()] if cut else value
    return at, at + len(value.rstrip(b".,;:)]}\\"))


def _takes_line(place: _Place) -> bool:
    """Whether an unquoted value goes on to the end of the line: in settings, unless inside braces."""
    if place.kind not in (FileKind.SETTINGS, FileKind.YAML) or place.how not in ("sign", "vl"):
        return False
    line = place.data.rfind(b"\n", 0, place.name_start) + 1
    return place.data.rfind(b"{", line, place.name_start) <= place.data.rfind(b"}", line, place.name_start)


def _judged(place: _Place, span: tuple[int, int], *, quoted: bool) -> Candidate | None:
    if not is_secret_value(place.data[span[0] : span[1]], place.key, place.kind, quoted=quoted):
        return None
    return Candidate(f"assign.{place.key.value}", SecretClass.PASSWORD_LIKE, span[0], span[1], rank=7)


_ANY = "(?:" + "|".join(re.escape(word.decode()) for word in KEYWORDS) + ")"
PROBES = (
    Probe(
        "assign",
        KEYWORDS,
        _ANY + r"""[A-Za-z0-9_.\-]{0,40}["'`\\\])]{0,6}[ \t]{0,20}"""
        r"""(?:[=:,(>']|is|v|[\\"]{0,3}value|\r?\n\s{0,40}[\\"']{0,8}v)""",
        0,
        _find,
    ),
    Probe(
        "assign.flag",
        KEYWORDS,
        r"--[A-Za-z0-9_\-]{0,30}" + _ANY + r"[A-Za-z0-9_\-]{0,20}[ \t]",
        0,
        _find_flag,
    ),
)
"""The second probe finds command-line flags, whose operator is a space."""
