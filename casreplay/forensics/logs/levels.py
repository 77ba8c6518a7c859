# Expressions that match log lines read better whole than broken over lines.
# ruff: noqa: E501
"""Severity of a log line: words, brackets, key=value, numeric levels, CI annotations.

Levels are ``trace debug info notice warning error fatal``, ascending; ``""`` when a
line states none. Only a stated level counts: the word "error" inside a sentence is
no level.
"""

from __future__ import annotations

import re

__all__ = ["LEVELS", "at_least", "find_level", "numeric_level", "word_level"]

LEVELS = ("trace", "debug", "info", "notice", "warning", "error", "fatal")
_RANK = {name: rank for rank, name in enumerate(LEVELS)}
_WORDS = {
    "trace": "trace", "finest": "trace", "finer": "trace", "verbose": "trace", "silly": "trace", "trce": "trace",
    "debug": "debug", "dbg": "debug", "dbug": "debug", "fine": "debug", "config": "debug",
    "info": "info", "information": "info", "informational": "info", "inf": "info", "log": "info",
    "notice": "notice", "success": "notice",
    "warn": "warning", "warning": "warning", "wrn": "warning", "warnings": "warning",
    "err": "error", "error": "error", "eror": "error", "severe": "error", "fail": "error", "failed": "error", "failure": "error",
    "fatal": "fatal", "ftl": "fatal", "critical": "fatal", "crit": "fatal", "emerg": "fatal", "emergency": "fatal",
    "alert": "fatal", "panic": "fatal",
}  # fmt: skip
_LETTER = {
    "T": "trace",
    "V": "trace",
    "D": "debug",
    "I": "info",
    "N": "notice",
    "W": "warning",
    "E": "error",
    "F": "fatal",
    "C": "fatal",
}
_UPPER = "TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|FATAL|CRIT(?:ICAL)?|SEVERE|EMERG|ALERT|PANIC|FINE(?:R|ST)?|INFORMATION"
_START = re.compile(
    r"""\s*[-|:>]?\s*(?:
        \#\#\[(?P<ci>error|warning|debug|notice|section|command|group)\]
      | ::(?P<gh>error|warning|notice|debug)\b[^:]*::
      | [\[(<{](?P<br>[A-Za-z]{3,13})\s*[\])>}]
      | (?P<npm>npm\ (?:ERR!|error|WARN|warn))(?=\s)
      | (?P<up>(?:"""
    + _UPPER
    + r"""))(?=[\s:\]|,\[(-]|$)
      | (?P<low>(?i:trace|debug|info|notice|warn(?:ing)?|err(?:or)?|fatal|critical|panic|severe)):(?=\s|$)
      | \[?(?P<one>[TVDINWEFC])(?:\]|[/ :|](?=\s|[A-Za-z\[]))(?!\w\s)
    )""",
    re.VERBOSE,
)
_KEYED = re.compile(
    r"(?:^|[\s,{\"'])(?:level|lvl|severity|loglevel|log\.level)[\"']?\s?[=:]\s?[\"']?(?P<w>[A-Za-z]{3,13}|\d{1,3})\b"
)
_INSIDE = re.compile(r"(?:^|[\s\[(|:])(?P<w>" + _UPPER + r")(?=[\s\])|:,]|$)")


def word_level(word: str) -> str:
    """The level a word names (``WARN``, ``crit``), or ``""``."""
    return _WORDS.get(word.lower(), "")


def numeric_level(value: float, *, key: str = "level") -> str:
    """The level a number stands for: pino and bunyan tens, Python's tens, syslog 0-7.

    ``severity`` numbers up to 24 under that key follow OpenTelemetry when above 7.
    """
    if value >= 10 and not (key.startswith("severity") and value <= 24 and value % 10):
        return LEVELS[min(6, {1: 0, 2: 1, 3: 2, 4: 4, 5: 5}.get(int(value) // 10, 6))]
    if value > 7:
        return ("trace", "debug", "info", "warning", "error", "fatal")[min(5, (int(value) - 1) // 4)]
    return ("fatal", "fatal", "fatal", "error", "warning", "notice", "info", "debug")[max(0, int(value))]


def find_level(text: str, *, after_time: bool) -> tuple[str, int]:
    """The level stated by a line and where the message starts.

    Args:
        text: the line without its time.
        after_time: whether a time stood before it; then a level further inside counts too.

    Returns:
        ``(level, offset of the rest)``; ``("", 0)`` when none is stated.
    """
    match = _START.match(text)
    if match is not None:
        kind = match.lastgroup or ""
        word = match.group(kind)
        if kind == "one":
            if after_time or match.group().strip().startswith("["):
                return _LETTER[word], match.end()
        elif kind == "npm":
            return (
                "error" if "r" in word[4:].lower() and "w" not in word[4:].lower() else "warning"
            ), match.end()
        elif word_level(word) and not (kind == "br" and word.lower() in {"config", "log", "fine", "success"}):
            return word_level(word), match.end()
    keyed = _KEYED.search(text, 0, 400)
    if keyed is not None:
        word = keyed["w"]
        level = numeric_level(int(word)) if word.isdigit() else word_level(word)
        if level:
            return level, 0
    if after_time:
        inside = _INSIDE.search(text, 0, 120)
        if inside is not None:
            return word_level(inside["w"]), inside.end()
    return "", 0


def at_least(level: str, floor: str) -> bool:
    """Whether ``level`` is stated and not below ``floor``."""
    return level != "" and _RANK[level] >= _RANK[floor]
