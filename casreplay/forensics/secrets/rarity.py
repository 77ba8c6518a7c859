"""How unlikely a string is as a word or a name: a character-bigram model.

Entropy cannot tell ``getAccessToken`` from a key of the same length; the odds of each next
letter can. Names and words score 3 to 5 bits a character, random base62 8 to 9.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

__all__ = ["bits", "looks_random"]

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OTHER = 53
_CLASS = bytes(
    byte - 97
    if 97 <= byte <= 122
    else byte - 65 + 26
    if 65 <= byte <= 90
    else 52
    if 48 <= byte <= 57
    else _OTHER
    for byte in range(256)
)
_HEX = frozenset(b"0123456789abcdefABCDEF-")
RANDOM_BITS = 5.2
"""Mean bits from which a string of 12 characters or more counts as random."""


@cache
def _table() -> tuple[tuple[float, ...], ...]:
    text = resources.files("casreplay.data").joinpath("rarity.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)["rows"]
    return tuple(tuple(_DIGITS.index(cell) / 4 for cell in row) for row in rows)


def bits(value: bytes) -> float:
    """Mean bits a character, the ends of the string counted as word ends; 0 for an empty string."""
    if not value:
        return 0.0
    table, previous, total = _table(), _OTHER, 0.0
    for code in value.translate(_CLASS):
        total += table[previous][code]
        previous = code
    return (total + table[previous][_OTHER]) / (len(value) + 1)


def looks_random(value: bytes, at_least: float = RANDOM_BITS) -> bool:
    """Whether ``value`` looks drawn by a machine rather than written by a person.

    Hexadecimal is judged by its variety (the model finds digits likely), everything else
    by ``bits``, of which ``at_least`` are asked for. Short strings need more: chance makes
    eight letters look odd more often.
    """
    if len(value) >= 16 and all(byte in _HEX for byte in value):
        digits = sum(48 <= byte <= 57 for byte in value)
        return len(set(value)) >= 6 and 0 < digits < len(value)
    if len(set(value)) < 5:
        return False
    return bits(value) >= at_least + (1.0 if len(value) < 12 else 0.0)
