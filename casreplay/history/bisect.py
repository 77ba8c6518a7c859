"""The search for one boundary: verified ends, halving, confirmation, and doubt when runs disagree.

Pure: positions and verdicts in, positions to probe or an outcome out. Every decision is a
function of the verdicts so far, which is what makes a search resumable from its log.

What holds (``docs/bisect.md`` says it for people):

1. Both ends are run first. If they differ and the predicate is a function of the
   snapshot, halving ends at a genuine neighbouring pair of different verdicts, whether the
   history between is monotone or not.
2. If they agree, the end that was expected to differ is run up to 2K more times before
   the search says so.
3. The boundary is believed after K re-runs on each side. One contradiction anywhere and
   all runs so far become the data of the probabilistic search (``history.bisect_bayes``).
4. Skips never become an arbitrary answer: what they hide is reported as an interval.

Runs, deterministic predicate: at most ceil(log2 n) + 2 + 2K; with W workers
ceil(log_{W+1} n) rounds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import replace

from casreplay.history.bisect_bayes import Posterior, best_probe, posterior, quantile_probes
from casreplay.history.bisect_board import Board
from casreplay.history.bisect_model import (
    ENDS_SWAPPED,
    Outcome,
    Probe,
    SearchOptions,
    Status,
    Verdict,
    boundary,
)

__all__ = ["Bisector"]

SIDE_RUNS = 4
"""Runs that each side of a probabilistic boundary must rest on, anywhere on that side."""
NEIGHBOUR_RUNS = 3
"""Runs at each of the two positions that touch a probabilistic boundary."""
FLAT_RUNS = 40
"""Runs before "no change in this range" may end a search."""
END_RUNS = 12
"""Runs of each end before that: nowhere else does a change show as well, if there is one."""
MOST_END_RUNS = 60
"""Runs of an end at most, however rarely it is known to fail."""

MOST_SKIPS = 8
"""Skips of one position before it is not run again, even if it could be judged once."""


class Bisector:
    """Finds the first bad position of a range whose ends are expected to be good and bad."""

    def __init__(self, size: int, options: SearchOptions | None = None) -> None:
        self.board = Board(size)
        self.options = options or SearchOptions()

    def mark(self, position: int, verdict: Verdict, *, copied: bool = False) -> None:
        """Record the verdict of one run at ``position``, or one that another run stands for."""
        self.board.mark(position, verdict, copied=copied)

    def next_step(self, width: int = 1) -> Probe | Outcome:
        """Positions to run next on up to ``width`` workers, or the outcome."""
        if self.board.size == 1:
            return Outcome(Status.ENDPOINTS_AGREE, reason="nothing that is compared differs between the ends")
        ends = self._ends(width)
        if ends is not None:
            return ends
        if self.options.rates is not None or self.board.contradictions():
            return self._doubt(width)
        return self._halve(width)

    def is_moot(self, position: int) -> bool:
        """Whether a halving probe at ``position`` lies outside the pair that is being narrowed."""
        last = self.board.size - 1
        if self.board.contradictions() or not (self.board.count(0) and self.board.count(last)):
            return False
        low, high = self.bracket()
        return not low <= position <= high

    def conclude(self, reason: str) -> Outcome:
        """The interval that remains when the search must stop now."""
        if self._ends(1) is not None or self.board.size == 1:
            return Outcome(Status.ABORTED, reason=reason)
        if self.options.rates is not None or self.board.contradictions():
            return self._credible(self._posterior(), reason)
        return self._interval(*self.bracket(), reason)

    def bracket(self) -> tuple[int, int]:
        """The good-to-bad pair being narrowed: the closest one, the last of equals.

        In a monotone history there is only one. Where there are several, staying with the
        closest means that halving never jumps between them.
        """
        pairs = [f for f in self.board.flips() if f.after is Verdict.BAD]
        best = min(pairs, key=lambda f: (f.first - f.last, -f.last))
        return best.last, best.first

    # -- the ends -------------------------------------------------------------------------

    def _ends(self, width: int) -> Probe | Outcome | None:
        """What the two ends still need; ``None`` once good and bad are established."""
        board, last = self.board, self.board.size - 1
        missing = tuple(p for p in (0, last) if board.verdict(p) is None)
        if missing:
            return Probe(missing[:width] if width < 2 else missing, False, last, "ends")
        for position, name in ((0, "good"), (last, "bad")):
            if board.verdict(position) is Verdict.SKIP:
                return Outcome(Status.ABORTED, reason=f"the {name} end cannot be tested")
        shown = {p: {v for v in (Verdict.GOOD, Verdict.BAD) if self._showed(p, v)} for p in (0, last)}
        wrong = [p for p, want in ((0, Verdict.GOOD), (last, Verdict.BAD)) if want not in shown[p]]
        if not wrong:
            return None
        retry = tuple(p for p in self._testable(wrong) if board.count(p) < self._patience(p))
        if retry:
            return Probe(retry[:1] if width < 2 else retry, True, last, "ends")
        if len(wrong) == 2:
            return Outcome(Status.ABORTED, reason=ENDS_SWAPPED)
        side = Verdict.BAD if wrong == [0] else Verdict.GOOD
        runs = board.count(wrong[0])
        again = f", the {'good' if wrong == [0] else 'bad'} one in each of {runs} runs" if runs > 1 else ""
        return Outcome(
            Status.ENDPOINTS_AGREE,
            reason=f"both ends are {side}{again}",
            untested=board.untested(0, last),
            largest_gap=_largest(board, 0, last),
        )

    def _patience(self, position: int) -> int:
        """Runs of an end before it is believed that it does not show what it should.

        Where its rate is known, as many as show it with 95 %.
        """
        least = 1 + 2 * self.options.confirm
        if self.options.rates is None:
            return least
        good, bad = self.options.rates
        hides = 1 - bad if position else good
        if hides <= 0:
            return least
        return min(max(least, math.ceil(math.log(0.05) / math.log(hides))), MOST_END_RUNS)

    def _showed(self, position: int, verdict: Verdict) -> bool:
        return any(
            (t.failed if verdict is Verdict.BAD else t.passed) > 0
            for t in self.board.tallies()
            if t.position == position
        )

    def _testable(self, positions: Iterable[int]) -> list[int]:
        """Those of ``positions`` that are worth another run: not skipped again and again."""
        return [p for p in positions if self.board.skips(p) < MOST_SKIPS]

    # -- halving --------------------------------------------------------------------------

    def _halve(self, width: int) -> Probe | Outcome:
        low, high = self.bracket()
        gaps = list(self.board.gaps(low + 1, high - 1))
        skips = len(self.board.skipped(low + 1, high - 1))
        if gaps and (skips < self.options.max_skips or not skips):
            found = sorted({_aim(gaps, low + (high - low) * i // (width + 1)) for i in range(1, width + 1)})
            return Probe(tuple(found), False, high - low, "halve")
        if low == 0 and high == self.board.size - 1 and gaps:
            reason = f"{skips} positions could not be tested"
            return self._interval(low, high, reason)
        again = [p for p in self._testable((low, high)) if self.board.count(p) <= self.options.confirm]
        if again:
            again.sort(key=self.board.count)
            return Probe(tuple(sorted(again[:width])), True, high - low, "confirm")
        return self._interval(low, high, "")

    def _interval(self, low: int, high: int, reason: str) -> Outcome:
        board = self.board
        found = boundary(low, high)
        skips = len(board.skipped(low + 1, high - 1))
        if found.status is Status.INTERVAL and not reason:
            reason = f"{skips} of the {high - low - 1} positions between cannot be tested"
        return replace(
            found,
            flips=board.flips(),
            posterior=self._posterior().mass(low + 1, high),
            untested=board.untested(low + 1, high - 1),
            largest_gap=_largest(board, 0, board.size - 1),
            reason=reason,
        )

    # -- doubt ----------------------------------------------------------------------------

    def _posterior(self) -> Posterior:
        return posterior(self.board.size, self.board.tallies(), self.options.side_model)

    def _doubt(self, width: int) -> Probe | Outcome:
        board, options = self.board, self.options
        state = self._posterior()
        first, last = self._around(state.mode()[0])
        if state.mass(first, last) >= options.threshold:
            short = self._testable(self._unproven(first, last))
            if not short:
                return self._boundary(state, first, last)
            if board.runs < options.max_runs:
                return Probe(tuple(short[:width]), True, last - first + 1, "flaky")
        # Rates that are told say how large the change is: what is left is whether there is one.
        flat = state.no_change if options.rates is not None else state.indistinct(options.effect)
        if flat >= options.threshold and board.runs >= FLAT_RUNS:
            ends = sorted((0, board.size - 1), key=board.count)
            ends = [p for p in self._testable(ends) if board.count(p) < END_RUNS]
            if options.rates is None and ends and board.runs < options.max_runs:
                return Probe(tuple(ends[:1]), True, board.size - 1, "flaky")
            return Outcome(
                Status.NO_CHANGE,
                posterior=flat,
                no_change=state.no_change,
                reason="the verdicts vary, but not with the position",
            )
        if board.runs >= options.max_runs:
            return self._credible(state, f"undecided after {board.runs} runs")
        low, high, _ = state.interval(options.threshold)
        return Probe(self._informative(state, width), True, high - low + 1, "flaky")

    def _informative(self, state: Posterior, width: int) -> tuple[int, ...]:
        last = self.board.size - 1
        tested = {t.position for t in self.board.tallies()}
        dead = sorted({*self.board.skipped(0, last)} | tested.difference(self._testable(tested)))
        edges = [-1, *dead, self.board.size]
        usable = [(a + 1, b - 1) for a, b in itertools.pairwise(edges) if b - a > 1] or [(0, last)]
        found = [best_probe(state, usable)[0]]
        for x in quantile_probes(state, width) if width > 1 else ():
            if x not in found and x not in dead and len(found) < width:
                found.append(x)
        return tuple(sorted(found))

    def _around(self, boundary: int) -> tuple[int, int]:
        """The boundaries that no testable position separates from ``boundary``."""
        first, last = boundary, boundary
        while self.board.verdict(first - 1) is Verdict.SKIP:
            first -= 1
        while self.board.verdict(last) is Verdict.SKIP:
            last += 1
        return first, last

    def _unproven(self, first: int, last: int) -> list[int]:
        """Positions to run again before a boundary in ``first..last`` is believed, neediest first."""
        if self.options.rates is not None:
            return [p for p in (first - 1, last) if not self.board.count(p)]
        short = [p for p in (first - 1, last) if self.board.count(p) < NEIGHBOUR_RUNS]
        short.sort(key=self.board.count)
        tallies = self.board.tallies()
        if sum(t.failed + t.passed for t in tallies if t.position < first) < SIDE_RUNS:
            short.append(first - 1)
        if sum(t.failed + t.passed for t in tallies if t.position >= last) < SIDE_RUNS:
            short.append(last)
        return list(dict.fromkeys(short))

    def _boundary(self, state: Posterior, first: int, last: int) -> Outcome:
        return replace(
            boundary(first - 1, last),
            posterior=state.mass(first, last),
            no_change=state.no_change,
            untested=self.board.untested(first, last - 1),
            largest_gap=_largest(self.board, 0, self.board.size - 1),
            reason="" if first == last else "the positions between cannot be tested",
        )

    def _credible(self, state: Posterior, reason: str) -> Outcome:
        first, last, mass = state.interval(self.options.threshold)
        return Outcome(
            Status.INTERVAL,
            last_good=first - 1,
            first_bad=last,
            candidates=(first, last),
            posterior=mass,
            no_change=state.no_change,
            untested=self.board.untested(first, last - 1),
            largest_gap=_largest(self.board, 0, self.board.size - 1),
            reason=reason,
        )


def _aim(gaps: list[tuple[int, int]], target: int) -> int:
    """The untested position to probe for ``target``: itself, or the middle of the largest gap.

    A skipped target lies in a block that is probably untestable as a whole; its nearest
    neighbour is the worst next choice.
    """
    for low, high in gaps:
        if low <= target <= high:
            return target
    low, high = max(gaps, key=lambda g: (g[1] - g[0], -abs((g[0] + g[1]) // 2 - target)))
    return (low + high) // 2


def _largest(board: Board, first: int, last: int) -> int:
    return max((high - low + 1 for low, high in board.gaps(first, last)), default=0)
