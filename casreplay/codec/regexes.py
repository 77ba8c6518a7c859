"""Which regular expressions of users are accepted: those that match in linear time.

``re`` backtracks: ``(a+)+$`` and ``(a|aa)+b`` keep it busy for seconds to centuries, and
nothing can interrupt it. RE2 accepts only what it can match in linear time, so where the
``re2`` module is installed its word counts. Without it a conservative reading of the
pattern refuses what could blow up; it refuses some harmless patterns and says why.
Neither runs the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["has_re2", "refusal"]

MAX_PATTERN_CHARS = 4096
MAX_OPEN_REPEATS = 4
"""Unbounded repeats in a row cost one power of the line's length each."""


def has_re2() -> bool:
    """Whether the RE2 engine is installed (``pip install casreplay[regex]``)."""
    try:
        import re2  # noqa: F401, PLC0415 - an extra: looked for when the first pattern is checked
    except ImportError:
        return False
    return True


def refusal(pattern: str, *, use_re2: bool | None = None) -> str:
    """Why ``pattern`` is refused, as the end of a sentence; empty when it is accepted.

    Args:
        pattern: a regular expression in Python's and RE2's common syntax.
        use_re2: which check decides; ``None``: RE2 where it is installed.
    """
    if len(pattern) > MAX_PATTERN_CHARS:
        return f"is longer than {MAX_PATTERN_CHARS} characters"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is no regular expression ({error})"
    if use_re2 is None:
        use_re2 = has_re2()
    return _refused_by_re2(pattern) if use_re2 else _refused_by_reading(pattern)


def _refused_by_re2(pattern: str) -> str:
    import re2  # noqa: PLC0415 - an extra: see has_re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        return f"cannot be matched in linear time (RE2: {text})"
    return ""


def _refused_by_reading(pattern: str) -> str:
    parsed = re._parser.parse(pattern)  # type: ignore[attr-defined]  # noqa: SLF001 - the only exact reading of re's own syntax
    for name, _ in _nodes(parsed):
        if name in ("GROUPREF", "GROUPREF_EXISTS"):
            return "refers back to a group, which cannot be matched in linear time"
        if name in ("ASSERT", "ASSERT_NOT"):
            return "looks ahead or behind, which cannot be matched in linear time"
    open_repeats = 0
    for name, value in _nodes(parsed):
        if name not in ("MAX_REPEAT", "MIN_REPEAT"):
            continue
        low, high, body = value
        if int(high) - int(low) < 2 and int(high) < 2:
            continue
        reason = _repeat_problem(body)
        if reason:
            return reason
        open_repeats += int(high) > 64
    if open_repeats > MAX_OPEN_REPEATS:
        return f"has more than {MAX_OPEN_REPEATS} open repeats, whose cost multiplies"
    return ""


def _repeat_problem(body: Any) -> str:
    low, high = body.getwidth()
    if low == 0 or low != high:
        return "repeats something that can itself match in different lengths, such as (a+)+"
    for name, value in _nodes(body):
        if name == "BRANCH" and not _are_distinct(value[1]):
            return "repeats alternatives that can begin alike, such as (a|aa)+"
    return ""


def _are_distinct(branches: Any) -> bool:
    """Whether every alternative begins with a literal of its own, so that none is tried in vain."""
    firsts = [branch[0] for branch in branches if len(branch) and str(branch[0][0]) == "LITERAL"]
    return len({first[1] for first in firsts}) == len(branches)


def _nodes(parsed: Any) -> Iterator[tuple[str, Any]]:
    """Every node of a parsed pattern, parents first, as (name, argument)."""
    for operator, value in parsed:
        yield str(operator), value
        for child in _children(value):
            yield from _nodes(child)


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, re._parser.SubPattern):  # type: ignore[attr-defined]  # noqa: SLF001 - see _refused_by_reading
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _children(part)
