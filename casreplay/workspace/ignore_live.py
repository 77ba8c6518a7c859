"""Rules on their way down a tree: which can still match, and how far each has come.

A pattern of several names advances by one segment with each folder it matches; in each
folder only the rules that have reached their last segment are compared. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from casreplay.workspace.patterns import NameTest, Pattern

__all__ = ["Live", "advance", "closure", "is_tied", "name_tests", "turning_names"]

Live = tuple[tuple[Pattern, tuple[int, ...]], ...]
"""Rules that can still match below a folder, each with the segments it has reached there."""


def closure(pattern: Pattern, at: Iterable[int]) -> tuple[int, ...]:
    """``at`` with the segment behind each ``**`` added: ``**`` may stand for no folder at all."""
    reached = set(at)
    for i in list(reached):
        if pattern.segments[i].deep and i + 1 < len(pattern.segments):
            reached.add(i + 1)
    return tuple(sorted(reached))


def advance(live: Live, name: bytes) -> Live:
    """The rules that are left below the folder ``name``, with the segments they reach there."""
    out = []
    for pattern, at in live:
        segments = pattern.segments
        reached = {i for i in at if segments[i].deep}
        reached.update(
            i + 1 for i in at if i + 1 < len(segments) and not segments[i].deep and segments[i].matches(name)
        )
        if reached:
            out.append((pattern, closure(pattern, reached)))
    return tuple(out)


def turning_names(live: Live) -> frozenset[bytes] | None:
    """The folder names that advance some rule; ``None`` when that takes more than comparing names."""
    names: set[bytes] = set()
    for pattern, at in live:
        for i in at:
            segment = pattern.segments[i]
            if segment.deep or i + 1 == len(pattern.segments):
                continue
            if segment.literal is None:
                return None
            names.add(segment.literal)
    return frozenset(names)


def is_tied(live: Live) -> bool:
    """Whether some rule is tied to this folder and gone in every folder below."""
    return any(
        not pattern.segments[i].deep and (i == 0 or not pattern.segments[i - 1].deep)
        for pattern, at in live
        for i in at
    )


def name_tests(live: Live, *, lowest_keeps: bool) -> tuple[tuple[bool, NameTest], ...]:
    """Name tests from the highest precedence down, neighbours of one polarity joined; ``True`` keeps.

    Where nothing is left out unless a rule says so, ``!`` rules below all others decide nothing.
    """
    runs: list[tuple[bool, list[Pattern]]] = []
    for pattern, at in reversed(live):
        if at[-1] != len(pattern.segments) - 1:
            continue
        if not runs or runs[-1][0] != pattern.negated:
            runs.append((pattern.negated, []))
        runs[-1][1].append(pattern)
    while runs and runs[-1][0] and not lowest_keeps:
        runs.pop()
    return tuple((keeps, NameTest(patterns)) for keeps, patterns in runs)
