"""The record of verdicts by position, and what can be read off it without deciding anything."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from casreplay.history.bisect_bayes import Tally
from casreplay.history.bisect_model import Flip, Verdict

__all__ = ["Board"]


class Board:
    """Counts of good, bad and skip for every position that was run.

    A verdict may be copied: known because another run read nothing that differs here. It says
    where to look next, as long as nothing was run there, and is no run: it is not counted.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.runs = 0
        self._counts: dict[int, list[int]] = {}
        self._copied: dict[int, Verdict] = {}
        self._order = {Verdict.BAD: 0, Verdict.GOOD: 1, Verdict.SKIP: 2}

    def mark(self, position: int, verdict: Verdict, *, copied: bool = False) -> None:
        """Count one verdict, or keep a copied one; raises ``IndexError`` outside 0..size-1."""
        if not 0 <= position < self.size:
            raise IndexError(position)
        if copied:
            self._copied[position] = verdict
            return
        self._counts.setdefault(position, [0, 0, 0])[self._order[verdict]] += 1
        self.runs += 1

    def count(self, position: int) -> int:
        """Good and bad verdicts at ``position``."""
        failed, passed, _ = self._counts.get(position, (0, 0, 0))
        return failed + passed

    def skips(self, position: int) -> int:
        """Runs at ``position`` that were a skip."""
        return self._counts.get(position, (0, 0, 0))[2]

    def margin(self, position: int) -> int:
        """How far failures and passes at ``position`` are apart."""
        failed, passed, _ = self._counts.get(position, (0, 0, 0))
        return abs(failed - passed)

    def verdict(self, position: int) -> Verdict | None:
        """The majority of good and bad (ties: bad), else skip, else ``None`` when never run."""
        counts = self._counts.get(position)
        if counts is None:
            return self._copied.get(position)
        failed, passed, _ = counts
        if failed or passed:
            return Verdict.BAD if failed >= passed else Verdict.GOOD
        return Verdict.SKIP

    def contradictions(self) -> list[int]:
        """Positions whose runs disagree: proof that the predicate is no function of the content."""
        found = {p for p, (failed, passed, _) in self._counts.items() if failed and passed}
        for position, verdict in self._copied.items():
            failed, passed, _ = self._counts.get(position, (0, 0, 0))
            if (failed and verdict is Verdict.GOOD) or (passed and verdict is Verdict.BAD):
                found.add(position)
        return sorted(found)

    def _seen(self) -> list[int]:
        """Positions with any verdict, in order."""
        return sorted(self._counts.keys() | self._copied.keys())

    def decided(self) -> list[tuple[int, Verdict]]:
        """Positions with a good or bad verdict, in order."""
        found = ((p, self.verdict(p)) for p in self._seen())
        return [(p, v) for p, v in found if v is Verdict.GOOD or v is Verdict.BAD]

    def skipped(self, first: int, last: int) -> list[int]:
        """Positions in ``first..last`` of which nothing but skips is known, in order."""
        return [p for p in self._seen() if first <= p <= last and self.verdict(p) is Verdict.SKIP]

    def tallies(self) -> list[Tally]:
        """Failures and passes for each position with either, in order."""
        return [Tally(p, c[0], c[1]) for p, c in sorted(self._counts.items()) if c[0] or c[1]]

    def flips(self) -> tuple[Flip, ...]:
        """Neighbouring decided positions whose verdicts differ, in order."""
        seen = self.decided()
        pairs = itertools.pairwise(seen)
        return tuple(Flip(u, v, p, q) for (p, u), (q, v) in pairs if u is not v)

    def gaps(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Maximal stretches inside ``first..last`` that were never run, as first and last position."""
        start = first
        for p in self._seen():
            if first <= p <= last:
                if p > start:
                    yield start, p - 1
                start = p + 1
        if start <= last:
            yield start, last

    def untested(self, first: int, last: int) -> int:
        """How many positions in ``first..last`` were never run."""
        return sum(high - low + 1 for low, high in self.gaps(first, last))
