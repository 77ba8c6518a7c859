"""Where a change most likely sits when runs contradict each other: posterior and next probe.

Owns the probability model of flaky predicates; decides nothing about ends, skips or
stopping rules (``history.bisect`` does). Pure arithmetic: counts in, numbers out.

The model. Positions 0..n-1 run from the good end to the bad end. A hypothesis is either
"b is the first bad position" (1 <= b < n, all equally likely) or "nothing changes in this
range". On each side of b every run fails independently with that side's unknown rate.
A side is deterministic with prior weight w (the good side never fails, the bad side
always does), else its rate has Jeffreys' prior Beta(1/2, 1/2), so y failures and m passes
weigh

    w * [side consistent with determinism] + (1 - w) * B(1/2 + y, 1/2 + m) / B(1/2, 1/2).

Under a hypothesis in which both sides showed both outcomes w is 0: a predicate that is
known to be flaky on both sides gets no credit for looking deterministic elsewhere.

Between two tested positions all boundaries are equally likely, so everything here costs
O(tested positions), whatever n is.

Source: Google's flake-aware culprit finding (Henderson et al., ICSE-SEIP 2023) for the
hypothesis "no change"; git_bayesect for Beta priors on both sides; the mixture and its
figures are re-simulated by ``benchmarks/bisect_flaky.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import erf, exp, lgamma, log, log2, sqrt

__all__ = ["Posterior", "Segment", "SideModel", "Tally", "best_probe", "posterior", "quantile_probes"]

LOG_PI = 2 * lgamma(0.5)


@dataclass(frozen=True, slots=True)
class Tally:
    """Outcomes of all runs at one position: how many failed (bad) and how many passed (good)."""

    position: int
    failed: int
    passed: int


@dataclass(frozen=True, slots=True)
class SideModel:
    """Prior on how a predicate behaves.

    Attributes:
        deterministic: w, the prior weight of a side that always gives the same verdict.
        no_change: prior probability that the range holds no change at all.
        rates: known failure rates of the good and of the bad side; ``None`` to learn them.
    """

    deterministic: float = 0.5
    no_change: float = 0.35
    rates: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """Boundaries ``first..last`` (both included), which the data cannot tell apart.

    Attributes:
        first: smallest "first bad" position of the segment.
        last: largest one.
        mass: posterior probability that the boundary is one of them.
        fail_good: predicted failure rate of the next run on the good side, if it is.
        fail_bad: the same on the bad side.
        good: failures and passes seen on the good side, if it is.
        bad: the same on the bad side.
    """

    first: int
    last: int
    mass: float
    fail_good: float
    fail_bad: float
    good: tuple[int, int]
    bad: tuple[int, int]

    @property
    def size(self) -> int:
        """How many boundaries the segment holds."""
        return self.last - self.first + 1

    def below(self, effect: float) -> float:
        """The probability that the failure rate rises by less than ``effect``, if the boundary is here.

        Both rates with their posterior Beta distributions, the difference taken for normal.
        """
        (low, low_spread), (high, high_spread) = _rate(*self.good), _rate(*self.bad)
        spread = sqrt(low_spread + high_spread)
        return (1 + erf((effect - (high - low)) / (spread * sqrt(2)))) / 2


@dataclass(frozen=True, slots=True)
class Posterior:
    """What the runs say: boundary segments in order, and "no change".

    Attributes:
        segments: every possible boundary once, in order of position.
        no_change: posterior probability that nothing changes in the range.
        fail_flat: predicted failure rate of the next run if nothing changes.
    """

    segments: tuple[Segment, ...]
    no_change: float
    fail_flat: float

    def mode(self) -> tuple[int, float]:
        """The most likely first bad position and its probability; the earliest of equals."""
        best = max(self.segments, key=lambda s: (s.mass / s.size, -s.first))
        return best.first, best.mass / best.size

    def indistinct(self, effect: float) -> float:
        """The probability that no change raises the failure rate by at least ``effect``."""
        return self.no_change + sum(s.mass * s.below(effect) for s in self.segments)

    def mass(self, first: int, last: int) -> float:
        """The probability that the first bad position lies in ``first..last``."""
        total = 0.0
        for s in self.segments:
            shared = min(last, s.last) - max(first, s.first) + 1
            total += s.mass * max(shared, 0) / s.size
        return total

    def interval(self, level: float) -> tuple[int, int, float]:
        """A short run of boundaries that holds ``level`` of all probability: first, last, mass.

        Grown greedily from the most likely segment; less than ``level`` comes back when "no
        change" holds the rest.
        """
        at = max(range(len(self.segments)), key=lambda i: self.segments[i].mass / self.segments[i].size)
        low = high = at
        mass = self.segments[at].mass
        while mass < level and (low > 0 or high + 1 < len(self.segments)):
            left = self.segments[low - 1].mass if low else -1.0
            right = self.segments[high + 1].mass if high + 1 < len(self.segments) else -1.0
            if left >= right:
                low -= 1
            else:
                high += 1
            mass += max(left, right)
        return self.segments[low].first, self.segments[high].last, mass


def _rate(failed: int, passed: int) -> tuple[float, float]:
    """Mean and variance of a failure rate: Beta(1/2 + failed, 1/2 + passed)."""
    mean = (0.5 + failed) / (1 + failed + passed)
    return mean, mean * (1 - mean) / (2 + failed + passed)


@cache
def _log_beta(failed: int, passed: int) -> float:
    """Log of B(1/2 + failed, 1/2 + passed) / B(1/2, 1/2)."""
    return lgamma(0.5 + failed) + lgamma(0.5 + passed) - lgamma(1 + failed + passed) - LOG_PI


def _log_side(failed: int, passed: int, weight: float, *, bad: bool) -> float:
    beta = _log_beta(failed, passed)
    if weight == 0:
        return beta
    consistent = passed == 0 if bad else failed == 0
    return log(weight * consistent + (1 - weight) * exp(beta)) if consistent else log(1 - weight) + beta


def _log_known(failed: int, passed: int, rate: float) -> float:
    rate = min(max(rate, 1e-6), 1 - 1e-6)
    return failed * log(rate) + passed * log(1 - rate)


def _log_likelihood(good: tuple[int, int], bad: tuple[int, int], model: SideModel) -> float:
    if model.rates is not None:
        return _log_known(*good, model.rates[0]) + _log_known(*bad, model.rates[1])
    weight = 0.0 if all(good) and all(bad) else model.deterministic
    return _log_side(*good, weight, bad=False) + _log_side(*bad, weight, bad=True)


def _log_flat(failed: int, passed: int, model: SideModel) -> float:
    """Likelihood of all runs if nothing changes: one side, good or bad with equal prior."""
    if model.rates is not None:
        sides = [_log_known(failed, passed, rate) for rate in model.rates]
    else:
        weight = 0.0 if failed and passed else model.deterministic
        sides = [_log_side(failed, passed, weight, bad=bad) for bad in (False, True)]
    top = max(sides)
    return top + log(sum(exp(side - top) for side in sides) / 2)


def posterior(size: int, tallies: Sequence[Tally], model: SideModel) -> Posterior:
    """Posterior over the boundary, given every run so far.

    Args:
        size: number of positions, at least 2; 0 is the good end, ``size - 1`` the bad end.
        tallies: one for each tested position, in order; positions without runs may be missing.
        model: the prior.

    Returns:
        Segments that cover boundaries 1..size-1. Cost: O(len(tallies)).
    """
    failed = sum(t.failed for t in tallies)
    passed = sum(t.passed for t in tallies)
    edges = [t for t in tallies if t.position < size - 1]
    starts = [0, *(t.position for t in edges)]
    ends = [*(t.position for t in edges), size - 1]
    below, raw = (0, 0), []
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if i:
            below = (below[0] + edges[i - 1].failed, below[1] + edges[i - 1].passed)
        if end > start:
            above = (failed - below[0], passed - below[1])
            raw.append((start + 1, end, below, above, _log_likelihood(below, above, model)))
    prior = log((1 - model.no_change) / (size - 1)) if size > 1 else 0.0
    logs = [prior + log(end - first + 1) + value for first, end, _, _, value in raw]
    flat = _log_flat(failed, passed, model) + log(model.no_change) if model.no_change else float("-inf")
    top = max([*logs, flat])
    total = sum(exp(value - top) for value in logs) + exp(flat - top)
    segments = tuple(
        Segment(first, end, exp(value - top) / total, *_predict(good, bad, likelihood, model), good, bad)
        for (first, end, good, bad, likelihood), value in zip(raw, logs, strict=True)
    )
    up = _log_flat(failed + 1, passed, model)
    return Posterior(segments, exp(flat - top) / total, _share(up, _log_flat(failed, passed + 1, model)))


def _predict(
    good: tuple[int, int], bad: tuple[int, int], _likelihood: float, model: SideModel
) -> tuple[float, float]:
    """Probability that one more run fails, on the good and on the bad side."""
    if model.rates is not None:
        return model.rates
    (gf, gp), (bf, bp) = good, bad
    return (
        _share(_log_likelihood((gf + 1, gp), bad, model), _log_likelihood((gf, gp + 1), bad, model)),
        _share(_log_likelihood(good, (bf + 1, bp), model), _log_likelihood(good, (bf, bp + 1), model)),
    )


def _share(up: float, down: float) -> float:
    return 1 / (1 + exp(min(down - up, 700.0)))


def _entropy(p: float) -> float:
    return 0.0 if p <= 0 or p >= 1 else -p * log2(p) - (1 - p) * log2(1 - p)


def best_probe(state: Posterior, usable: Sequence[tuple[int, int]]) -> tuple[int, float]:
    """The position whose next run is expected to tell most about the boundary.

    Args:
        state: the posterior.
        usable: ranges ``first..last`` (both included, in order) of positions that may be probed.

    Returns:
        The position and the expected information in bits. Inside a segment the information
        is concave in the position, so a ternary search finds the best one.
        Cost: O(segments * log(n)) evaluations.
    """
    profile = _Profile(state)
    best = (usable[0][0], -1.0)
    for low, high in usable:
        for segment in state.segments:
            # A probe at x separates boundaries <= x from those > x; the segment (first..last)
            # is split by x in first-1..last.
            start, end = max(low, segment.first - 1), min(high, segment.last)
            while end - start > 2:
                a = start + (end - start) // 3
                b = end - (end - start) // 3
                if profile.information(a) < profile.information(b):
                    start = a + 1
                else:
                    end = b
            for x in range(start, end + 1):
                value = profile.information(x)
                if value > best[1] + 1e-12:
                    best = (x, value)
    return best


class _Profile:
    """Prefix sums that answer "how much would a run at x tell" in O(log segments)."""

    def __init__(self, state: Posterior) -> None:
        self._segments = state.segments
        self._flat = (state.no_change * state.fail_flat, state.no_change * _entropy(state.fail_flat))
        self._bad = [(0.0, 0.0)]
        for s in state.segments:
            p, h = self._bad[-1]
            self._bad.append((p + s.mass * s.fail_bad, h + s.mass * _entropy(s.fail_bad)))
        self._good = [(0.0, 0.0)]
        for s in reversed(state.segments):
            p, h = self._good[-1]
            self._good.append((p + s.mass * s.fail_good, h + s.mass * _entropy(s.fail_good)))
        self._good.reverse()

    def information(self, x: int) -> float:
        """Mutual information, in bits, between the boundary and the outcome of a run at ``x``."""
        low, high = 0, len(self._segments)
        while low < high:
            middle = (low + high) // 2
            if self._segments[middle].last <= x:
                low = middle + 1
            else:
                high = middle
        p, h = self._bad[low]
        rest = low
        if low < len(self._segments) and self._segments[low].first <= x:
            s = self._segments[low]
            part = s.mass * (x - s.first + 1) / s.size
            p += part * s.fail_bad + (s.mass - part) * s.fail_good
            h += part * _entropy(s.fail_bad) + (s.mass - part) * _entropy(s.fail_good)
            rest = low + 1
        p += self._good[rest][0] + self._flat[0]
        h += self._good[rest][1] + self._flat[1]
        return _entropy(p) - h


def quantile_probes(state: Posterior, count: int) -> list[int]:
    """Up to ``count`` distinct positions that cut the boundary's probability into equal parts."""
    total = sum(s.mass for s in state.segments)
    found: list[int] = []
    for i in range(1, count + 1):
        wanted, seen = total * i / (count + 1), 0.0
        for s in state.segments:
            if seen + s.mass >= wanted or s is state.segments[-1]:
                inside = int((wanted - seen) / s.mass * s.size) if s.mass else 0
                found.append(min(s.last, s.first + inside))
                break
            seen += s.mass
    return sorted(set(found))
