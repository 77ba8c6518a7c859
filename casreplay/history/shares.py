"""Divide the folders of a commit into shares that workers draw one after the other.

Owns the arithmetic only: which folders go together. Many more shares than workers, so
that a slow core takes fewer of them; complete sub-trees where that is possible, so that
whoever reads the files can build the trees as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

__all__ = ["SHARES", "Share", "depth_first", "divide"]

SHARES = 64
"""About so many shares; never more than four times as many."""


class Share(NamedTuple):
    """Folders that one worker takes together.

    Attributes:
        positions: of the folders, ascending.
        is_whole: whether they are complete sub-trees; otherwise folders above several shares.
        weight: the sum of their weights.
    """

    positions: tuple[int, ...]
    is_whole: bool
    weight: int


def depth_first(path: bytes) -> bytes:
    """A key that sorts paths so that every folder is followed by all that is below it."""
    return path.replace(b"/", b"\0")


def divide(paths: Sequence[bytes], weights: Sequence[int]) -> list[Share]:
    """Shares of about equal weight that cover every folder once, the heaviest exceptions first.

    Args:
        paths: folders in the order of ``depth_first``; not every folder need be there.
        weights: what each costs by itself.
    """
    limit = sum(weights) // SHARES
    sums = [0, *accumulate(weights)]
    ends = _ends(paths)
    whole, above = _Pile(limit, is_whole=True), _Pile(limit, is_whole=False)
    at = 0
    while at < len(paths):
        end = ends[at]
        if sums[end] - sums[at] > limit and end > at + 1:
            end = at + 1
            above.add(range(at, end), weights[at])
        else:
            whole.add(range(at, end), sums[end] - sums[at])
        at = end
    shares = [*whole.shares(), *above.shares()]
    # What is heavier than a share may be must not be begun last.
    return sorted(shares, key=lambda share: -share.weight if share.weight > limit else 0)


class _Pile:
    """Gathers folders into shares that stay below the limit unless a single one is above it."""

    def __init__(self, limit: int, *, is_whole: bool) -> None:
        self._limit = limit
        self._is_whole = is_whole
        self._shares: list[Share] = []
        self._positions: list[int] = []
        self._weight = 0

    def add(self, positions: range, weight: int) -> None:
        if self._positions and self._weight + weight > self._limit:
            self._close()
        self._positions += positions
        self._weight += weight

    def _close(self) -> None:
        self._shares.append(Share(tuple(self._positions), self._is_whole, self._weight))
        self._positions, self._weight = [], 0

    def shares(self) -> list[Share]:
        if self._positions:
            self._close()
        return self._shares


def _ends(paths: Sequence[bytes]) -> list[int]:
    """For each folder the position behind the last one below it."""
    ends = [len(paths)] * len(paths)
    open_ones: list[tuple[int, bytes]] = []
    for i, path in enumerate(paths):
        while open_ones and not path.startswith(open_ones[-1][1]):
            ends[open_ones.pop()[0]] = i
        open_ones.append((i, path + b"/" if path else b""))
    return ends
