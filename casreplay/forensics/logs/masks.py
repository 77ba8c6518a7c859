# Expressions that match log lines read better whole than broken over lines.
# ruff: noqa: E501
"""Masks: what varies between two runs (times, numbers, ids, paths) replaced by placeholders.

Two lines with the same mask are the same message. The masks are for comparing,
never for showing.
"""

from __future__ import annotations

import re

__all__ = ["mask", "mask_block"]

_VARIABLE = re.compile(
    rb"""
      (?P<a>\x1b\[[0-9;?]*[A-Za-z])                                              # terminal colour
    | (?P<t>(?<![0-9])[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{5,8}(?:[.,][0-9]+)?(?:Z|[ ]?[+-][0-9]{2}:?[0-9]{2})?)
    | (?P<d>\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\b(?=[ ,/-]))
    | (?P<u>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)
    | (?P<x>\b0x[0-9a-fA-F]+\b|\b(?=[0-9a-f]*[0-9])[0-9a-f]{7,}\b|\b(?=[0-9A-F]*[0-9])(?=[0-9A-F]*[A-F])[0-9A-F]{8,}\b)
    | (?P<p>(?<![\w.:/])(?:~|\.{1,2})?(?:/[\w.@%+~=,-]+){2,}/?|\b[A-Za-z]:(?:\\[\w.@%+~-]+)+)   # a path
    | (?P<n>[0-9]+)
    """,
    re.VERBOSE,
)
_NAMES = {"a": b"", "t": b"<time>", "d": b"<day>", "u": b"<uuid>", "x": b"<hex>", "p": b"<path>", "n": b"0"}
_DIGITS = bytes(range(ord("0"), ord("9") + 1))
_HEX_AS_H = bytes(ord("h") if code in b"0123456789abcdef-" else ord(".") for code in range(256))
_LONG_HEX = re.compile(b"hhhhhhhhh*")
"""Eight or more in a row. Over bytes of two kinds, with a fixed start, six times as fast as over a class."""


def _replace(match: re.Match[bytes]) -> bytes:
    return _NAMES[match.lastgroup or "n"]


def mask(line: str | bytes) -> bytes:
    """``line`` with times, days, UUIDs, hex ids, paths and numbers replaced by fixed words."""
    raw = line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line
    return _VARIABLE.sub(_replace, raw).strip()


def mask_block(lines: bytes) -> bytes:
    r"""The masks of many lines at once, ``\\n`` kept: one pass of the expression over the whole block."""
    return _VARIABLE.sub(_replace, lines)


def without_digits(block: bytes) -> bytes:
    """``block`` with every digit deleted: a rough mask at memory speed, the first sieve for new lines."""
    return block.translate(None, _DIGITS)


def without_ids(block: bytes) -> bytes:
    """``without_digits`` after runs of eight or more hex digits and dashes are deleted too: the second sieve."""
    kept: list[bytes] = []
    last = 0
    for match in _LONG_HEX.finditer(block.translate(_HEX_AS_H)):
        kept.append(block[last : match.start()])
        last = match.end()
    kept.append(block[last:])
    return b"".join(kept).translate(None, _DIGITS)
