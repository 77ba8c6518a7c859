"""Token forms: a prefix, an alphabet and a length, compiled to what the engines need.

A form is literal text with ``{alphabet:length}`` parts (``casreplay/data/secrets.toml`` lists
the alphabets). From it follow the exact pattern, the literal keyword an engine looks for and
the *gate*: the fixed-length expression around the keyword that a regular expression engine
can test natively. Nothing here looks at data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ALPHABETS", "Form", "Part", "parse"]

_B62 = "0-9A-Za-z"
ALPHABETS = {
    "dec": "0-9",
    "hex": "0-9a-f",
    "HEX": "0-9A-F",
    "hexi": "0-9A-Fa-f",
    "low": "a-z",
    "up": "A-Z",
    "b36": "0-9a-z",
    "B36": "0-9A-Z",
    "b32": "A-Z2-7",
    "b32l": "a-z2-7",
    "b62": _B62,
    "word": _B62 + "_",
    "url": _B62 + r"_\-",
    "b64": _B62 + r"+/",
    "dot": _B62 + r"_\-.~",
    "enc": _B62 + r"+/_\-=%.",
    "bech": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}
_UUID = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
_UUID_LENGTH = 36
_PART = re.compile(r"\{([A-Za-z0-9]+)(?::(\d+)(\+|-(\d+))?)?\}")
_OPEN_END = 4096
_GATE_CLASS = 24
# A token may start where a word starts, right after a JSON escape (\n), a colour code (0m) or a
# percent escape (%20).
_AFTER_ESCAPE = r"|(?<=\\[nrtbf])|(?<=[0-9\[]m)|(?<=%[0-9A-Fa-f][0-9A-Fa-f]))"
_LEFT = r"(?:(?<![0-9A-Za-z_])" + _AFTER_ESCAPE
_LEFT_LOOSE = r"(?:(?<![0-9A-Za-z])" + _AFTER_ESCAPE


@dataclass(frozen=True, slots=True)
class Part:
    """Literal text (``alphabet`` empty), or ``low`` to ``high`` characters of an alphabet."""

    text: str
    alphabet: str = ""
    low: int = 0
    high: int = 0

    @property
    def pattern(self) -> str:
        """A regular expression for this part."""
        if not self.alphabet:
            return re.escape(self.text)
        if self.alphabet == "uuid":
            return _UUID
        length = f"{self.low}" if self.low == self.high else f"{self.low},{self.high}"
        return f"[{ALPHABETS[self.alphabet]}]{{{length}}}"

    @property
    def is_fixed(self) -> bool:
        """Whether every match of this part has the same length."""
        return not self.alphabet or self.low == self.high


@dataclass(frozen=True, slots=True)
class Form:
    """One compiled form.

    Attributes:
        source: the form as written.
        parts: literals and classes in order.
        keyword: the literal an engine searches for.
        before: fewest and most characters that precede the keyword.
        pattern: the whole token with its boundaries; one group for each class part.
        gate: fixed-length expression around the keyword, implied by ``pattern``.
        gate_tail: length of the gate from the keyword's first character on.
    """

    source: str
    parts: tuple[Part, ...]
    keyword: bytes
    before: tuple[int, int]
    pattern: re.Pattern[bytes]
    gate: str
    gate_tail: int


def parse(source: str) -> Form:
    """Compile a form.

    Raises:
        ValueError: unknown alphabet, or no literal of at least two characters to search for.
    """
    parts = tuple(_parts(source))
    literals = [i for i, part in enumerate(parts) if not part.alphabet and len(part.text) > 1]
    if not literals:
        raise ValueError(f"Form {source!r} has no literal of two characters or more")
    at = max(literals, key=lambda i: len(parts[i].text))
    head = parts[:at]
    before = (sum(_low(p) for p in head), sum(_high(p) for p in head))
    gate, tail = _gate(parts, at)
    return Form(source, parts, parts[at].text.encode(), before, _pattern(parts), gate, tail)


def _parts(source: str) -> list[Part]:
    parts: list[Part] = []
    position = 0
    for match in _PART.finditer(source):
        if match.start() > position:
            parts.append(Part(source[position : match.start()]))
        parts.append(_class_part(match))
        position = match.end()
    if position < len(source):
        parts.append(Part(source[position:]))
    return parts


def _class_part(match: re.Match[str]) -> Part:
    name, low, more, high = match.groups()
    if name == "uuid":
        return Part("", "uuid", _UUID_LENGTH, _UUID_LENGTH)
    if name not in ALPHABETS or low is None:
        raise ValueError(f"Unknown alphabet or missing length in {match.group()!r}")
    most = int(high) if high else _OPEN_END if more == "+" else int(low)
    return Part("", name, int(low), most)


def _low(part: Part) -> int:
    return part.low if part.alphabet else len(part.text)


def _high(part: Part) -> int:
    return part.high if part.alphabet else len(part.text)


def _pattern(parts: tuple[Part, ...]) -> re.Pattern[bytes]:
    first, last = parts[0], parts[-1]
    left = _LEFT_LOOSE if not first.alphabet and not first.text[0].isalnum() else _LEFT
    right = f"(?![{ALPHABETS.get(last.alphabet, _B62)}])" if last.alphabet else "(?![0-9A-Za-z])"
    body = "".join(f"({p.pattern})" if p.alphabet else p.pattern for p in parts)
    return re.compile((left + body + right).encode())


def _gate(parts: tuple[Part, ...], at: int) -> tuple[str, int]:
    """The longest fixed-length run of parts around the keyword, classes cut to a bounded length."""
    gate, tail = re.escape(parts[at].text), len(parts[at].text)
    for part in parts[at + 1 :]:
        piece, length, whole = _cut(part)
        gate += piece
        tail += length
        if not whole:
            break
    for part in reversed(parts[:at]):
        piece, _, whole = _cut(part)
        gate = piece + gate
        if not whole:
            break
    return gate, tail


def _cut(part: Part) -> tuple[str, int, bool]:
    """A fixed-length pattern implied by ``part``, its length, and whether it stands for all of it."""
    if not part.alphabet:
        return re.escape(part.text), len(part.text), True
    length = min(part.low, _GATE_CLASS)
    letters = r"0-9A-Fa-f\-" if part.alphabet == "uuid" else ALPHABETS[part.alphabet]
    return f"[{letters}]{{{length}}}", length, part.is_fixed and length == part.low
