"""Where a series of numbers changes: steps, change points, slopes. Pure arithmetic.

Three cases, tried in this order:

1. An exact step function (few changes of value, each level held): its steps, largest first. No statistics.
2. Otherwise change points by PELT on rank-transformed values, squared error, penalty
   3 sigma^2 ln n with sigma = MAD(differences) / (0.6745 sqrt 2) or more, raised for autocorrelation rho by
   (1 + rho) / (1 - rho)^2: differences of such noise show only (1 - rho) of its variance, and its
   sums have (1 + rho) / (1 - rho) times more. A least effect. Ranks make it deaf to outliers.
3. A monotone trend (Mann-Kendall) is a slope; change points are then looked for in what is left.

Series of more than 2,000 points are thinned for 2 and 3: places are then exact to n / 2,000
points, and ``bisect --metric`` finds the snapshot.
Source: Killick, Fearnhead, Eckley, "Optimal Detection of Changepoints With a Linear
Computational Cost" (2012); Mann (1945), Kendall (1975); Theil (1950), Sen (1968).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import log, sqrt
from statistics import median

__all__ = ["ChangePoint", "Shape", "analyse", "change_points", "is_step_function"]

MAX_POINTS = 2000
MIN_SEGMENT = 5
LEAST_EFFECT = 1.0
"""Smallest shift of the median, in robust standard deviations, that counts."""
TREND_POINTS = 400
TREND_Z = 3.5
LEAST_TREND = 0.02
"""Smallest relative rise or fall over the whole series that counts as a slope."""
STEP_SHARE = 8
"""A series is a step function when at most one value in so many differs from the one before it."""


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A place where a series changes.

    Attributes:
        at: index of the first value of the new level.
        before: level before (median of the stretch).
        after: level after.
        effect: shift in robust standard deviations of the two stretches; ``None`` when they do not
            vary at all (an exact step).
    """

    at: int
    before: float
    after: float
    effect: float | None

    @property
    def shift(self) -> float:
        """How far the level moves."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Shape:
    """What a series does.

    Attributes:
        kind: ``constant``, ``steps`` (exact), ``noisy`` or ``short`` (too few values to say).
        changes: largest shift first.
        slope: change over the whole series by its trend; ``None`` without one.
        trend_z: Mann-Kendall statistic behind ``slope``.
        resolution: values between two that were looked at; 1 when all were.
    """

    kind: str
    changes: tuple[ChangePoint, ...]
    slope: float | None = None
    trend_z: float = 0.0
    resolution: int = 1


def analyse(values: Sequence[float]) -> Shape:
    """What ``values`` do, in order of time. Cost: O(n) plus up to 2,000 points squared, once or twice."""
    if len(set(values)) <= 1:
        return Shape("constant", ())
    if is_step_function(values):
        return Shape("steps", _largest(_steps(values)))
    if len(values) < 3 * MIN_SEGMENT:
        return Shape("short", ())
    stride = -(-len(values) // MAX_POINTS)
    points = list(values[::stride])
    found = change_points(points)
    slope, z = _trend(points)
    if slope is not None:
        level = [value - slope * i / (len(points) - 1) for i, value in enumerate(points)]
        rest = change_points(level)
        # A slope is the simpler account when what is left of it changes less often.
        if len(rest) < len(found) or not found:
            moved = _levels(points, [c.at for c in rest])
            return Shape("noisy", _scaled(moved, stride), slope, z, stride)
    return Shape("noisy", _scaled(found, stride), None, z, stride)


def is_step_function(values: Sequence[float]) -> bool:
    """Whether the series holds a level, jumps, and holds the next: few changes, none undone at once."""
    changed = [i for i, (a, b) in enumerate(pairwise(values), start=1) if a != b]
    held = all(b - a > 1 for a, b in pairwise(changed))
    return len(changed) <= max(1, len(values) // STEP_SHARE) and held


def _steps(values: Sequence[float]) -> list[ChangePoint]:
    return [ChangePoint(i, a, b, None) for i, (a, b) in enumerate(pairwise(values), start=1) if a != b]


def _largest(changes: Sequence[ChangePoint]) -> tuple[ChangePoint, ...]:
    return tuple(sorted(changes, key=lambda c: (-abs(c.shift), c.at)))


def _scaled(changes: Sequence[ChangePoint], stride: int) -> tuple[ChangePoint, ...]:
    return _largest([ChangePoint(c.at * stride, c.before, c.after, c.effect) for c in changes])


def change_points(values: Sequence[float]) -> list[ChangePoint]:
    """Change points of a noisy series, in order. At most a few thousand values: the cost may be quadratic."""
    ranks = _ranks(values)
    sigma = _sigma(ranks)
    rho = _autocorrelation(ranks)
    n = len(values)
    penalty = 3 * sigma * sigma * log(n) * (1 + rho) / (1 - rho) ** 2
    # A stretch shorter than a few correlation lengths is a swing of the noise, not a level.
    shortest = min(round(MIN_SEGMENT * (1 + rho) / (1 - rho)), max(n // 4, MIN_SEGMENT))
    places = _pelt(ranks, max(penalty, n * 1e-9), shortest)
    while True:
        levels = _levels(values, places)
        short = [(_excess(c, levels, n, rho), c.at) for c in levels]
        weakest = min(short, default=(0.0, 0))
        if weakest[0] >= 0:
            return levels
        places = [p for p in places if p != weakest[1]]


def _excess(change: ChangePoint, levels: Sequence[ChangePoint], n: int, rho: float) -> float:
    """By how much an effect exceeds what counts: the least effect, and four standard errors of the shift."""
    if change.effect is None:
        return 0.0
    edges = [0, *(c.at for c in levels), n]
    i = edges.index(change.at)
    sizes = (edges[i] - edges[i - 1], edges[i + 1] - edges[i])
    error = sqrt((1 / sizes[0] + 1 / sizes[1]) * (1 + rho) / (1 - rho))
    return change.effect - max(LEAST_EFFECT, 4 * error)


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, ties share their mean."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for k in range(start, end + 1):
            ranks[order[k]] = (start + end) / 2 + 1
        start = end + 1
    return ranks


def _sigma(ranks: Sequence[float]) -> float:
    """Noise of ranks from their differences: by the median or the mean square, whichever says more.

    Ranks are bounded, so that a few steps barely move the mean square; where most
    neighbours are equal the median alone would take the rest for signal.
    """
    steps = [b - a for a, b in pairwise(ranks)]
    by_median = median(abs(s) for s in steps) / (0.6745 * sqrt(2))
    return max(by_median, sqrt(sum(s * s for s in steps) / len(steps) / 2))


def _autocorrelation(values: Sequence[float]) -> float:
    """Lag-one autocorrelation of the noise, 0 to 0.95, from the differences: steps barely touch it.

    For an AR(1) process the differences correlate by -(1 - rho) / 2 at lag one.
    """
    steps = [b - a for a, b in pairwise(values)]
    total = sum(s * s for s in steps)
    if not total:
        return 0.0
    found = 1 + 2 * sum(a * b for a, b in pairwise(steps)) / total
    # The estimate strays by about 2 / sqrt(n); taking it too low costs false alarms.
    error = 2 / sqrt(len(values))
    return min(max(found + error if found > error else found, 0.0), 0.95)


def _pelt(values: Sequence[float], penalty: float, shortest: int) -> list[int]:
    """Starts of all segments but the first, in order, for squared error and ``penalty`` a change."""
    n = len(values)
    sums = [0.0, *accumulate(values)]
    squares = [0.0, *accumulate(v * v for v in values)]
    best = [-penalty, *([float("inf")] * n)]
    previous = [0] * (n + 1)
    # What a segment from ``start`` costs beyond the sums at its end, with those sums beside it.
    alive = [(0, best[0], 0.0)]
    for end in range(shortest, n + 1):
        at = sums[end]
        costs = [base - (at - total) * (at - total) / (end - start) for start, base, total in alive]
        lowest = min(costs)
        best[end] = lowest + squares[end] + penalty
        previous[end] = alive[costs.index(lowest)][0]
        bound = lowest + penalty
        if max(costs) > bound:
            alive = [one for one, cost in zip(alive, costs, strict=True) if cost <= bound]
        start = end - shortest + 1
        if start >= shortest:
            alive.append((start, best[start] - squares[start], sums[start]))
    places = []
    end = n
    while previous[end]:
        end = previous[end]
        places.append(end)
    return places[::-1]


def _levels(values: Sequence[float], places: Sequence[int]) -> list[ChangePoint]:
    """Change points at ``places`` with the medians on both sides and the effect."""
    edges = [0, *places, len(values)]
    stretches = [values[a:b] for a, b in pairwise(edges)]
    medians = [median(s) for s in stretches]
    found = []
    for i, at in enumerate(places):
        spread = _spread(stretches[i], medians[i], stretches[i + 1], medians[i + 1])
        shift = abs(medians[i + 1] - medians[i])
        found.append(ChangePoint(at, medians[i], medians[i + 1], shift / spread if spread else None))
    return found


def _spread(a: Sequence[float], a_median: float, b: Sequence[float], b_median: float) -> float:
    """Robust standard deviation within both stretches."""
    off = [abs(v - a_median) for v in a] + [abs(v - b_median) for v in b]
    return 1.4826 * median(off) or 1.2533 * sum(off) / len(off)


def _trend(values: Sequence[float]) -> tuple[float | None, float]:
    """The rise over the whole series by Theil-Sen and its Mann-Kendall z; ``None`` when it is nothing.

    The variance is widened for autocorrelation, which otherwise makes trends out of wandering.
    """
    thin = values[:: -(-len(values) // TREND_POINTS)]
    n = len(thin)
    pairs = [(j - i, thin[j] - thin[i]) for i in range(n) for j in range(i + 1, n)]
    score = sum((d > 0) - (d < 0) for _, d in pairs)
    rho = _autocorrelation(_ranks(thin))
    variance = n * (n - 1) * (2 * n + 5) / 18 * (1 + rho) / (1 - rho)
    z = score / sqrt(variance)
    slope = median(d / gap for gap, d in pairs) * (n - 1)
    scale = max(abs(median(thin)), 1e-12)
    is_trend = abs(z) >= TREND_Z and abs(slope) >= LEAST_TREND * scale and abs(slope) > 0
    return (slope if is_trend else None), z
