"""What a bisect found, in snapshots: the outcome of a search turned from positions into names.

Values and pure arithmetic over them; printing and JSON are the command line's affair.
"""

from __future__ import annotations

from dataclasses import dataclass

from casreplay.history.bisect_model import Flip, Outcome, Status, Verdict
from casreplay.history.bisect_range import Range
from casreplay.history.bisect_reads import TraceSummary
from casreplay.history.bisect_shrink import Shrunk
from casreplay.history.observations import Signature
from casreplay.model.changes import Change
from casreplay.model.objects import Snapshot

__all__ = ["BisectReport", "Effort", "SnapshotFlip", "report_of"]


@dataclass(frozen=True, slots=True)
class SnapshotFlip:
    """A change of verdict between two snapshots, neighbours unless skips or gaps hide the exact place."""

    before: Verdict
    after: Verdict
    last: Snapshot
    first: Snapshot


@dataclass(frozen=True, slots=True)
class Effort:
    """What the answer cost and rests on.

    Attributes:
        runs: runs of the predicate; for a built-in one, blobs read.
        cached: verdicts remembered instead of run.
        skipped: verdicts that were a skip.
        shrink_runs: runs that shrinking the change set took.
        leftovers: paths that runs changed or left behind, all put back.
        differing: runs that failed in another way than the bad end.
        unexamined: blobs too large to be searched by a built-in predicate, or purged.
        purged: contents that were purged: not searched, and absent where a command runs.
        pairs: (snapshot, path) pairs that a built-in predicate covered.
        elapsed_ns: wall time.
    """

    runs: int = 0
    cached: int = 0
    skipped: int = 0
    shrink_runs: int = 0
    leftovers: int = 0
    differing: int = 0
    unexamined: int = 0
    purged: int = 0
    pairs: int = 0
    elapsed_ns: int = 0


@dataclass(frozen=True, slots=True)
class BisectReport:
    """The answer.

    Attributes:
        status: how it ended.
        reason: one clause for people; may be empty.
        predicate: what was looked for, in words.
        last_good: the good side of the boundary; ``None`` without one.
        first_bad: the bad side.
        candidates: every snapshot that may be the first bad one, in order.
        flips: every flip known, in order.
        posterior: probability that the answer holds under the model; ``None`` without an answer.
        no_change: probability of "nothing changes in this range".
        signature: how the bad end failed; ``None`` for built-in predicates.
        changes: from last good to first bad, by path.
        shrunk: the minimal part of the changes; ``None`` when it was not looked for.
        snapshots: in the range, both ends included.
        classes: positions searched: neighbours of equal content count once.
        untested: snapshots inside the answer that nothing looked at.
        largest_gap: longest stretch of positions that no run looked at.
        effort: what it cost.
        trace: what tracing told; ``None`` when nothing was traced.
    """

    status: Status
    reason: str
    predicate: str
    last_good: Snapshot | None
    first_bad: Snapshot | None
    candidates: tuple[Snapshot, ...]
    flips: tuple[SnapshotFlip, ...]
    posterior: float | None
    no_change: float
    signature: Signature | None
    changes: tuple[Change, ...]
    shrunk: Shrunk | None
    snapshots: int
    classes: int
    untested: int
    largest_gap: int
    effort: Effort
    trace: TraceSummary | None = None


def report_of(
    outcome: Outcome,
    line: Range,
    *,
    predicate: str = "",
    signature: Signature | None = None,
    effort: Effort | None = None,
) -> BisectReport:
    """The report of a search over ``line``; changes and minimal set are added later."""
    low, high = outcome.last_good, outcome.first_bad
    between = outcome.candidates
    return BisectReport(
        status=outcome.status,
        reason=outcome.reason,
        predicate=predicate,
        last_good=line.last(low) if low is not None else None,
        first_bad=line.first(high) if high is not None else None,
        candidates=_candidates(line, *between) if between else (),
        flips=tuple(_flip(line, flip) for flip in outcome.flips),
        posterior=outcome.posterior,
        no_change=outcome.no_change,
        signature=signature,
        changes=(),
        shrunk=None,
        snapshots=len(line.snapshots),
        classes=line.size,
        untested=outcome.untested,
        largest_gap=outcome.largest_gap,
        effort=effort or Effort(),
    )


def _candidates(line: Range, first: int, last: int) -> tuple[Snapshot, ...]:
    """The first snapshot of each class: in a class only the first can be the first bad one."""
    return tuple(line.first(position) for position in range(first, last + 1))


def _flip(line: Range, flip: Flip) -> SnapshotFlip:
    return SnapshotFlip(flip.before, flip.after, line.last(flip.last), line.first(flip.first))
