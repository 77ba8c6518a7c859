"""Which lines two texts share: the matching under patches, line counts and blame.

Owns: ``match`` and nothing else. Values in, values out; bytes, not characters.

Method: common ends are cut off; lines that occur once on each side anchor the rest
(patience diff); gaps without anchors are searched for a shortest edit (Myers 1986), up to
a bound, beyond which the gap counts as replaced whole. So the cost stays near
n log n plus ``MAX_EDITS`` squared for a gap, whatever the texts hold.
Source: B. Cohen's patience diff; E. Myers, "An O(ND) Difference Algorithm", section 4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Match", "match", "split_lines"]

MAX_EDITS = 400
"""Edits a gap may need before it counts as replaced whole."""


@dataclass(frozen=True, slots=True)
class Match:
    """``count`` equal lines that begin at line ``before`` on one side and ``after`` on the other, from 0."""

    before: int
    after: int
    count: int


def split_lines(text: bytes) -> list[bytes]:
    r"""The lines of ``text`` with their ``\n``; the last may lack it. Carriage returns are part of a line."""
    lines = text.split(b"\n")
    last = lines.pop()
    joined = [line + b"\n" for line in lines]
    if last:
        joined.append(last)
    return joined


def match(before: Sequence[bytes], after: Sequence[bytes]) -> list[Match]:
    """Runs of lines that both sides share, in order, as long as they can be."""
    pairs: list[tuple[int, int]] = []
    stack = [(0, len(before), 0, len(after))]
    while stack:
        a0, a1, b0, b1 = stack.pop()
        while a0 < a1 and b0 < b1 and before[a0] == after[b0]:
            pairs.append((a0, b0))
            a0, b0 = a0 + 1, b0 + 1
        while a0 < a1 and b0 < b1 and before[a1 - 1] == after[b1 - 1]:
            a1, b1 = a1 - 1, b1 - 1
            pairs.append((a1, b1))
        if a0 == a1 or b0 == b1:
            continue
        anchors = _anchors(before, after, (a0, a1, b0, b1))
        if not anchors:
            pairs.extend(_shortest_edit(before[a0:a1], after[b0:b1], a0, b0))
            continue
        pairs.extend(anchors)
        for x, y in (*anchors, (a1, b1)):
            stack.append((a0, x, b0, y))
            a0, b0 = x + 1, y + 1
    pairs.sort()
    return _runs(pairs)


def _runs(pairs: list[tuple[int, int]]) -> list[Match]:
    runs: list[Match] = []
    start = 0
    for i in range(1, len(pairs) + 1):
        if i == len(pairs) or pairs[i] != (pairs[i - 1][0] + 1, pairs[i - 1][1] + 1):
            runs.append(Match(*pairs[start], i - start))
            start = i
    return runs


def _anchors(
    before: Sequence[bytes], after: Sequence[bytes], gap: tuple[int, int, int, int]
) -> list[tuple[int, int]]:
    """Lines that occur once on each side of the gap, the longest sequence of them in one order."""
    a0, a1, b0, b1 = gap
    once_a = Counter(before[a0:a1])
    once_b = Counter(after[b0:b1])
    where = {after[j]: j for j in range(b0, b1) if once_b[after[j]] == 1 and once_a[after[j]] == 1}
    candidates = [(i, where[before[i]]) for i in range(a0, a1) if before[i] in where]
    return _longest_increasing(candidates)


def _longest_increasing(candidates: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of ``candidates`` (sorted by the first number) whose second numbers rise."""
    tops: list[int] = []
    piles: list[int] = []
    behind: list[int] = []
    for k, (_, j) in enumerate(candidates):
        at = bisect_left(tops, j)
        behind.append(piles[at - 1] if at else -1)
        tops[at : at + 1] = [j]
        piles[at : at + 1] = [k]
    chain: list[tuple[int, int]] = []
    k = piles[-1] if piles else -1
    while k >= 0:
        chain.append(candidates[k])
        k = behind[k]
    chain.reverse()
    return chain


def _shortest_edit(a: Sequence[bytes], b: Sequence[bytes], a_at: int, b_at: int) -> list[tuple[int, int]]:
    """Pairs of equal lines along a shortest edit from ``a`` to ``b``; none when it needs too many edits.

    ``reach[k]`` is how far down ``a`` the furthest path on diagonal k (x - y) has come.
    """
    n, m = len(a), len(b)
    reach = {1: 0}
    history: list[dict[int, int]] = []
    for edits in range(min(n + m, MAX_EDITS) + 1):
        history.append(dict(reach))
        for k in range(-edits, edits + 1, 2):
            down = k == -edits or (k != edits and reach.get(k - 1, -1) < reach.get(k + 1, -1))
            x = reach.get(k + 1, 0) if down else reach[k - 1] + 1
            y = x - k
            while x < n and y < m and a[x] == b[y]:
                x, y = x + 1, y + 1
            reach[k] = x
            if x >= n and y >= m:
                return _trace(history, n, m, a_at, b_at)
    return []


def _trace(history: list[dict[int, int]], n: int, m: int, a_at: int, b_at: int) -> list[tuple[int, int]]:
    """The diagonal steps of the path that ``_shortest_edit`` found, from its end to its start."""
    pairs: list[tuple[int, int]] = []
    x, y = n, m
    for edits in range(len(history) - 1, -1, -1):
        reach = history[edits]
        k = x - y
        down = k == -edits or (k != edits and reach.get(k - 1, -1) < reach.get(k + 1, -1))
        from_k = k + 1 if down else k - 1
        from_x = reach.get(from_k, 0)
        from_y = from_x - from_k
        while x > from_x and y > from_y and x > 0 and y > 0:
            x, y = x - 1, y - 1
            pairs.append((a_at + x, b_at + y))
        x, y = from_x, from_y
    return pairs
