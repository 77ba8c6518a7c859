"""The long view: metrics over a history, what each of them does, and the snapshots to look at.

Samples snapshots, asks metrics, has ``drift_changes`` analyse the numbers, and names the
snapshots behind the places it finds. Reads no clock and prints nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import partial

from casreplay.errors import UsageError
from casreplay.forensics.drift_changes import ChangePoint, Shape, analyse
from casreplay.forensics.drift_metrics import Metric
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import Snapshot
from casreplay.workspace import workers

__all__ = ["MetricDrift", "Turn", "measure", "sample"]

MAX_SAMPLES = 10_000
_WORTH_A_PROCESS = 5_000
"""Values that pay for another process to analyse them."""
_UNITS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


@dataclass(frozen=True, slots=True)
class Turn:
    """A change point and the snapshots around it: ``last`` still has the old level, ``first`` the new."""

    change: ChangePoint
    last: Snapshot
    first: Snapshot


@dataclass(frozen=True, slots=True)
class MetricDrift:
    """One metric over a history.

    Attributes:
        name: of the metric.
        unit: of its numbers.
        snapshots: those that have a number, oldest first.
        values: their numbers.
        missing: samples without a number.
        shape: what the series does.
        turns: its change points with their snapshots, largest first.
    """

    name: str
    unit: str
    snapshots: tuple[Snapshot, ...]
    values: tuple[float, ...]
    missing: int
    shape: Shape
    turns: tuple[Turn, ...]


def sample(
    snapshots: Iterable[Snapshot], every: str = "", *, limit: int | None = MAX_SAMPLES
) -> list[Snapshot]:
    """The snapshots to look at.

    Args:
        snapshots: oldest first.
        every: a number N for every N-th, or a time such as ``1h`` or ``2d`` for the last of each
            such stretch; when empty all, or of more than ``limit`` every so many-th. The newest is
            always kept.
        limit: ``None`` for no limit.

    Raises:
        UsageError: ``every`` is neither.
    """
    line = list(snapshots)
    if not every:
        return line[::-1][:: (-(-len(line) // limit) or 1) if limit else 1][::-1]
    if every.isdecimal() and int(every):
        return line[::-1][:: int(every)][::-1]
    number, unit = every[:-1], every[-1:]
    if not number.isdecimal() or not int(number) or unit not in _UNITS_S:
        raise UsageError(
            f"--every {every}: neither a count nor a time", hint="For instance 10, 30m, 1h or 1d"
        )
    width = int(number) * _UNITS_S[unit] * 1_000_000_000
    kept = [a for a, b in itertools.pairwise(line) if a.time_ns // width != b.time_ns // width]
    return [*kept, line[-1]]


def measure(
    line: Sequence[Snapshot], metrics: Sequence[Metric], *, monitor: Monitor = SILENT
) -> list[MetricDrift]:
    """Every metric over ``line`` (oldest first), in the order of ``metrics``.

    Cost: each distinct folder and blob once for each metric that needs it.

    Raises:
        CorruptError: a snapshot cannot be read.
    """
    columns: list[list[float | None]] = [[] for _ in metrics]
    for metric in metrics:
        metric.prepare(line, monitor)
    monitor.stage("measuring", len(line), "snapshots")
    previous: Snapshot | None = None
    for i, snapshot in enumerate(line):
        for metric, column in zip(metrics, columns, strict=True):
            column.append(metric.value(snapshot, previous))
        previous = snapshot
        if not i % 256:
            monitor.advance(i)
    monitor.stage("analysing")
    shapes = _shapes([[value for value in column if value is not None] for column in columns])
    return [
        _drift(metric, line, column, shape)
        for metric, column, shape in zip(metrics, columns, shapes, strict=True)
    ]


def _shapes(series: Sequence[Sequence[float]]) -> list[Shape]:
    """What each series does; long ones are divided between processes."""
    hands = workers.count() if sum(map(len, series)) >= _WORTH_A_PROCESS else 1

    def analysed(numbers: Sequence[int]) -> list[tuple[object, ...]]:
        found = [analyse(series[number]) for number in numbers]
        return [astuple(shape) for shape in found]

    hand_of = workers.deal(range(len(series)), hands)
    jobs = [partial(analysed, numbers) for numbers in hand_of]
    answers = workers.run(jobs)
    shapes = {
        number: Shape(kind, tuple(ChangePoint(*one) for one in changes), *rest)
        for numbers, answer in zip(hand_of, answers, strict=True)
        for number, (kind, changes, *rest) in zip(numbers, answer, strict=True)
    }
    return [shapes[number] for number in range(len(series))]


def _drift(
    metric: Metric, line: Sequence[Snapshot], column: Sequence[float | None], shape: Shape
) -> MetricDrift:
    held = [(one, value) for one, value in zip(line, column, strict=True) if value is not None]
    values = tuple(value for _, value in held)
    snapshots = tuple(one for one, _ in held)
    turns = tuple(Turn(c, snapshots[max(c.at - shape.resolution, 0)], snapshots[c.at]) for c in shape.changes)
    return MetricDrift(metric.name, metric.unit, snapshots, values, len(column) - len(held), shape, turns)
