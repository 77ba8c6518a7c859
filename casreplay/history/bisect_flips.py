"""The search for every flip: exhaustive when time allows, else the best use of the time there is.

Pure, the same shape as ``history.bisect``. Order of probes: the ends, then the middle of every pair of
neighbours whose verdicts differ until they touch, then the middle of the largest gap,
for as long as there are gaps. Stopping early is honest: every flip reported is real
(for a predicate that is a function of the snapshot), and any other lasts at most as
many positions as the largest gap is long.
"""

from __future__ import annotations

from dataclasses import replace

from casreplay.history.bisect_board import Board
from casreplay.history.bisect_model import Outcome, Probe, SearchOptions, Status, Verdict, boundary

__all__ = ["FlipFinder"]


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
        wanted: list[int] = []
        gaps = list(board.gaps(0, last))
        for why in ("halve", "gap"):
            chosen = self._in_flips(gaps) if why == "halve" else gaps
            while chosen and len(wanted) < width:
                low, high = max(chosen, key=lambda g: (g[1] - g[0], g[0]))
                chosen.remove((low, high))
                middle = (low + high) // 2
                wanted.append(middle)
                chosen += [g for g in ((low, middle - 1), (middle + 1, high)) if g[0] <= g[1]]
            if wanted:
                return Probe(tuple(sorted(wanted)), False, board.untested(0, last), why)
        again = self._unconfirmed()
        if again:
            return Probe(tuple(again[:width]), True, 0, "confirm")
        return self.conclude("")

    def is_moot(self, position: int) -> bool:
        """Nothing is moot: every verdict counts."""
        del position
        return False

    def conclude(self, reason: str) -> Outcome:
        """All flips known, the last of them as the boundary that matters now."""
        board, last = self.board, self.board.size - 1
        flips = board.flips()
        turned = [f for f in flips if f.after is Verdict.BAD]
        untested = board.untested(0, last)
        largest = max((high - low + 1 for low, high in board.gaps(0, last)), default=0)
        if not board.decided():
            return Outcome(Status.ABORTED, untested=untested, reason=reason or "nothing could be tested")
        if not turned:
            status = Status.NO_CHANGE if flips or not untested else Status.ENDPOINTS_AGREE
            return Outcome(status, flips=flips, untested=untested, largest_gap=largest, reason=reason)
        live = turned[-1]
        return replace(
            boundary(live.last, live.first),
            flips=flips,
            posterior=None if board.contradictions() else 1.0,
            untested=untested,
            largest_gap=largest,
            reason=reason,
        )

    def _in_flips(self, gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
        inside = [(f.last, f.first) for f in self.board.flips() if f.first - f.last > 1]
        if not inside:
            return []
        return [g for g in gaps if any(low < g[0] and g[1] < high for low, high in inside)]

    def _unconfirmed(self) -> list[int]:
        """Positions beside a flip that still owe re-runs, unless they are known to be flaky."""
        flaky = set(self.board.contradictions())
        beside = {p for f in self.board.flips() for p in (f.last, f.first)}
        return sorted(p for p in beside - flaky if self.board.count(p) <= self.options.confirm)
