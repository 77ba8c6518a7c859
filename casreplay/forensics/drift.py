"""The long view: metrics over a history, what each of them does, and the snapshots to look at.

Samples snapshots, asks metrics, has ``drift_changes`` analyse the numbers, and names the
snapshots behind the places it finds. Reads no clock and prints nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from casreplay.errors import UsageError
from casreplay.forensics.drift_changes import ChangePoint, Shape, analyse
from casreplay.forensics.drift_metrics import Metric
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import Snapshot

__all__ = ["MetricDrift", "Turn", "measure", "sample"]

MAX_SAMPLES = 10_000
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

    @property
    def drifts(self) -> bool:
        """Whether anything changes for good."""
        return bool(self.turns) or self.shape.slope is not None


def sample(snapshots: Iterable[Snapshot], every: str = "") -> list[Snapshot]:
    """The snapshots to look at.

    Args:
        snapshots: oldest first.
        every: a number N for every N-th, or a time such as ``1h`` or ``2d`` for the last of each
            such stretch; when empty all, or of more than 10,000 every so many-th. The newest is
            always kept.

    Raises:
        UsageError: ``every`` is neither.
    """
    line = list(snapshots)
    if not every:
        return line[::-1][:: -(-len(line) // MAX_SAMPLES) or 1][::-1]
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
    monitor.stage("measuring", len(line), "snapshots")
    previous: Snapshot | None = None
    for i, snapshot in enumerate(line):
        for metric, column in zip(metrics, columns, strict=True):
            column.append(metric.value(snapshot, previous))
        previous = snapshot
        if not i % 256:
            monitor.advance(i)
    return [_drift(metric, line, column) for metric, column in zip(metrics, columns, strict=True)]


def _drift(metric: Metric, line: Sequence[Snapshot], column: Sequence[float | None]) -> MetricDrift:
    held = [(one, value) for one, value in zip(line, column, strict=True) if value is not None]
    values = tuple(value for _, value in held)
    snapshots = tuple(one for one, _ in held)
    shape = analyse(values)
    turns = tuple(Turn(c, snapshots[max(c.at - shape.resolution, 0)], snapshots[c.at]) for c in shape.changes)
    return MetricDrift(metric.name, metric.unit, snapshots, values, len(column) - len(held), shape, turns)
