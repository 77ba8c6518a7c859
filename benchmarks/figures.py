"""The figures to reach, and the verdict on each from what was measured. Pure: values in, values out."""

import statistics
from dataclasses import dataclass

OTHERS = ("git", "git-tuned", "git-monitored", "restic", "borg")
GITS = ("git", "git-tuned", "git-monitored")
OWN = "casreplay"


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        what: What the line is called.
        operation: The operation it is about.
        metric: Which of its measurements.
        against: Tools whose best median it is measured by; empty when the limit is absolute.
        limit: Highest ratio, or highest value in the metric's own unit.
        profiles: Profiles it is stated for; beside others it is shown as information.
    """

    what: str
    operation: str
    metric: str
    against: tuple
    limit: float
    profiles: tuple = ("large",)


@dataclass(frozen=True)
class Verdict:
    """A figure with what was measured; `cpu_ratio` compares the processor times of the same two tools."""

    figure: Figure
    own: float
    best: float | None
    best_name: str | None
    cpu_ratio: float | None = None

    @property
    def value(self):
        """The ratio, or the value itself where the limit is absolute."""
        return self.own if self.best is None else self.own / self.best

    @property
    def reached(self):
        return self.value <= self.figure.limit

    @property
    def words(self):
        if self.reached:
            return "reached"
        return f"missed by {100 * (self.value / self.figure.limit - 1):.0f} %"


FIGURES = (
    Figure("first commit", "first commit", "wall_s", OTHERS, 0.4),
    Figure("commit, nothing changed", "nothing changed", "wall_s", GITS, 1.0),
    Figure("commit, 0.1 % of files changed", "small change", "wall_s", GITS, 1.0),
    Figure("nothing changed, beside git without a monitor", "nothing changed", "wall_s", GITS[:2], 1.0),
    Figure("0.1 % changed, beside git without a monitor", "small change", "wall_s", GITS[:2], 1.0),
    Figure("diff of two snapshots 0.1 % apart, names, s", "diff, 0.1 %", "wall_s", (), 0.2),
    Figure("diff of two snapshots 1 % apart, names, s", "diff, 1 %", "wall_s", (), 0.2),
    Figure("full restore", "restore all", "wall_s", OTHERS, 0.9),
    Figure("`fsck --data` against `git fsck --full`", "verify", "wall_s", GITS, 0.6),
    Figure("store after the first commit", "first commit", "stored_mb", OTHERS, 1.0, ("large", "small")),
    Figure("peak memory, first commit, MB", "first commit", "tree_mb", (), 250.0),
    Figure("peak memory, nothing changed, MB", "nothing changed", "tree_mb", (), 150.0),
)


def median(cells, operation, peer, metric):
    """The median of what one tool did, or None."""
    values = cells.get(operation, {}).get(peer, {}).get(metric)
    return statistics.median(values) if values else None


def best_of(cells, operation, metric, peers):
    """(median, name) of the best of some tools, or None when none of them was measured."""
    found = [(median(cells, operation, peer, metric), peer) for peer in peers]
    return min(((value, peer) for value, peer in found if value is not None), default=None)


def judge(cells):
    """A verdict for each figure the measurements allow."""
    verdicts = []
    for figure in FIGURES:
        own = median(cells, figure.operation, OWN, figure.metric)
        if own is None:
            continue
        if not figure.against:
            verdicts.append(Verdict(figure, own, None, None))
            continue
        best = best_of(cells, figure.operation, figure.metric, figure.against)
        if best is not None:
            verdicts.append(Verdict(figure, own, *best, _cpu_ratio(cells, figure, best[1])))
    return verdicts


def _cpu_ratio(cells, figure, best_name):
    """How the processor times of the two compare: less exact, but a busy machine disturbs it less."""
    if figure.metric != "wall_s":
        return None
    other = median(cells, figure.operation, best_name, "cpu_s")
    return median(cells, figure.operation, OWN, "cpu_s") / other if other else None


def judge_growth(growth):
    """The verdict on the store after a long history, beside the smallest, packed or not."""
    own = growth.get(OWN)
    sizes = [
        (size, f"{peer}{', packed' if stage == 'packed' else ''}")
        for peer, stages in growth.items()
        if peer != OWN
        for stage, size in stages.items()
        if stage in {"packed", last_commit(stages)}
    ]
    if not own or not sizes:
        return None
    best, name = min(sizes)
    figure = Figure(f"store after {last_commit(own)} commits", "growth", "stored_mb", OTHERS, 1.0, ("small",))
    return Verdict(figure, own[last_commit(own)], best, name)


def last_commit(stages):
    """The highest commit number a size was noted for."""
    return max((stage for stage in stages if stage.isdigit()), key=int)
