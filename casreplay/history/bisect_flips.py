"""The search for every flip: exhaustive when time allows, else the best use of the time there is.

Pure, the same shape as ``history.bisect``. Order of probes: the ends, then the middle of every pair of
neighbours whose verdicts differ until they touch, then both sides of these flips again, then the
middle of the largest gap, for as long as there are gaps. Stopping early is honest: every flip reported
is real (for a predicate that is a function of the snapshot), and any other lasts at most as
many positions as the largest gap is long.

Once two runs on one snapshot disagree, a side of a flip is run until failures and passes are so far
apart that one wrong flip anywhere is improbable, before the search goes on; flips that no number
of runs settles are not reported. Source: A. Wald, "Sequential Tests of Statistical Hypotheses".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from casreplay.history.bisect_board import Board
from casreplay.history.bisect_model import Flip, Outcome, Probe, SearchOptions, Status, Verdict, boundary

__all__ = ["FlipFinder"]

DOUBT = 0.05
"""How probable one wrong flip anywhere may be, where runs contradict each other."""
SETTLE_RUNS = 64
"""Runs of one position at most, to settle what it is."""
MOST_SKIPS = 8
"""Skips of one position before it is not run again."""


class FlipFinder:
    """Finds all flips of a range; expects nothing of its ends."""

    def __init__(self, size: int, options: SearchOptions | None = None) -> None:
        self.board = Board(size)
        self.options = options or SearchOptions()

    def mark(self, position: int, verdict: Verdict, *, copied: bool = False) -> None:
        """Record the verdict of one run at ``position``, or one that another run stands for."""
        self.board.mark(position, verdict, copied=copied)

    def next_step(self, width: int = 1) -> Probe | Outcome:
        """Positions to run next on up to ``width`` workers, or the outcome once nothing is untested."""
        board, last = self.board, self.board.size - 1
        missing = tuple(p for p in sorted({0, last}) if board.verdict(p) is None)
        if missing:
            return Probe(missing[: max(width, 1)], False, board.untested(0, last), "ends")
        flips = board.flips()
        again = Probe(tuple(self._unsettled(flips)[:width]), True, board.untested(0, last), "confirm")
        if again.positions and board.contradictions():
            return again
        gaps = list(board.gaps(0, last))
        inside = self._in_flips(gaps, flips)
        if inside:
            return Probe(_middles(inside, width), False, board.untested(0, last), "halve")
        if again.positions:
            return again
        if gaps:
            return Probe(_middles(gaps, width), False, board.untested(0, last), "gap")
        return self.conclude("")

    def is_moot(self, position: int) -> bool:
        """Nothing is moot: every verdict counts."""
        del position
        return False

    def conclude(self, reason: str) -> Outcome:
        """All flips known, the last of them as the boundary that matters now."""
        board, last = self.board, self.board.size - 1
        every = board.flips()
        is_flaky = bool(board.contradictions())
        flips = tuple(f for f in every if self._is_settled(f)) if is_flaky else every
        turned = [f for f in flips if f.after is Verdict.BAD]
        untested = board.untested(0, last)
        largest = max((high - low + 1 for low, high in board.gaps(0, last)), default=0)
        if not board.decided():
            return Outcome(Status.ABORTED, untested=untested, reason=reason or "nothing could be tested")
        if turned:
            live = turned[-1]
            return replace(
                boundary(live.last, live.first),
                flips=flips,
                posterior=1.0 if not is_flaky and self._is_settled(live) else None,
                untested=untested,
                largest_gap=largest,
                reason=reason,
            )
        if len(flips) < len(every):
            status, reason = Status.ABORTED, "the runs contradict each other and settle no flip into bad"
        elif flips:
            status, reason = Status.NO_CHANGE, reason or "nothing turns bad, only good again"
        elif is_flaky:
            status, reason = Status.NO_CHANGE, reason or "the verdicts vary, but not with the position"
        else:
            status = Status.ENDPOINTS_AGREE if untested else Status.NO_CHANGE
        return Outcome(status, flips=flips, untested=untested, largest_gap=largest, reason=reason)

    def _in_flips(self, gaps: Sequence[tuple[int, int]], flips: Sequence[Flip]) -> list[tuple[int, int]]:
        wide = [(f.last, f.first) for f in flips if f.first - f.last > 1]
        return [g for g in gaps if any(low < g[0] and g[1] < high for low, high in wide)] if wide else []

    def _margin(self) -> int:
        """How far failures and passes must be apart at a side of a flip.

        K + 1 while nothing contradicts. Then far enough for every position together, at the share of
        odd runs that was seen.
        """
        least = self.options.confirm + 1
        again = [t for t in self.board.tallies() if t.failed + t.passed > 1]
        odd, runs = sum(min(t.failed, t.passed) for t in again), sum(t.failed + t.passed for t in again)
        if not odd:
            return least
        rate = min((odd + 1) / (runs + 2), 0.45)
        return max(least, math.ceil(math.log(self.board.size / DOUBT) / math.log((1 - rate) / rate)))

    def _is_settled(self, flip: Flip) -> bool:
        needed = self._margin()
        return all(self.board.margin(p) >= needed for p in (flip.last, flip.first))

    def _unsettled(self, flips: Sequence[Flip]) -> list[int]:
        """Positions beside a flip, and doubtful ends, that still owe runs."""
        board, needed = self.board, self._margin()
        beside = {p for f in flips for p in (f.last, f.first)}
        if board.contradictions():
            beside |= {0, board.size - 1}
        return sorted(
            p
            for p in beside
            if board.margin(p) < needed and board.count(p) < SETTLE_RUNS and board.skips(p) < MOST_SKIPS
        )


def _middles(gaps: Sequence[tuple[int, int]], width: int) -> tuple[int, ...]:
    """The middles of the ``width`` largest stretches, each cut in two as it is taken."""
    left = list(gaps)
    found: list[int] = []
    while left and len(found) < width:
        low, high = max(left, key=lambda g: (g[1] - g[0], g[0]))
        left.remove((low, high))
        middle = (low + high) // 2
        found.append(middle)
        left += [g for g in ((low, middle - 1), (middle + 1, high)) if g[0] <= g[1]]
    return tuple(sorted(found))
