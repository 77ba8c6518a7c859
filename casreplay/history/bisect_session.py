"""A bisect as it is asked for, and the whole of it for built-in predicates.

Owns the request, its range and the listener that both kinds of bisect share. Searching
with a command is ``history.bisect_command``. Progress goes to the listener; nothing is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from casreplay.clock import Clock, monotonic_ns
from casreplay.history.bisect import Bisector
from casreplay.history.bisect_board import Board
from casreplay.history.bisect_flips import FlipFinder
from casreplay.history.bisect_model import (
    ENDS_SWAPPED,
    Outcome,
    Probe,
    SearchOptions,
    Status,
    Verdict,
    boundary,
)
from casreplay.history.bisect_range import Range, between, classes, first_parents
from casreplay.history.bisect_report import BisectReport, Effort, report_of
from casreplay.history.bisect_run import ProbeRecord
from casreplay.history.bisect_shrink import of_changes
from casreplay.history.diff import diff_trees
from casreplay.history.predicates import AnyFile, ContentPredicate, sweep, witnesses
from casreplay.model.changes import Change
from casreplay.model.objects import Snapshot
from casreplay.store.base import CommitStore

__all__ = [
    "BisectRequest",
    "Listener",
    "bisect_callable",
    "bisect_content",
    "bisect_each",
    "boundary_changes",
    "range_of",
]


@dataclass(frozen=True, slots=True)
class BisectRequest:
    """What to look for and how.

    Attributes:
        good: the good end.
        bad: the bad end; it may be the older one.
        options: of the search.
        find_all: look for every flip.
        jobs: runs at a time.
        watch: paths that decide the verdict; empty for all content.
        first_parent: leave out what merges brought in.
        any_failure: every failure is the one looked for.
        minimize: shrink the boundary's change set; ``None``: when it has more than one part.
        budget_s: stop the search after so many seconds.
        use_cache: remember verdicts, and use remembered ones.
        trace: find out what each run reads, and let one run stand for snapshots that agree there (Linux).
        labels: snapshot labels that changed after the commit.
        clock: measures time.
    """

    good: Snapshot
    bad: Snapshot
    options: SearchOptions = field(default_factory=SearchOptions)
    find_all: bool = False
    jobs: int = 1
    watch: tuple[bytes, ...] = ()
    first_parent: bool = False
    any_failure: bool = False
    minimize: bool | None = None
    budget_s: float | None = None
    use_cache: bool = True
    trace: bool = False
    labels: Mapping[bytes, str] = field(default_factory=dict)
    clock: Clock = monotonic_ns


class Listener:
    """Told of what happens; does nothing by itself."""

    def begin(self, line: Range, resumed: int) -> None:
        """The range is known; ``resumed`` verdicts come from an interrupted run."""

    def probe(self, line: Range, record: ProbeRecord) -> None:
        """One verdict was settled."""

    def shrinking(self, parts: int, applied: int, bad: bool) -> None:
        """One trial of the shrinking: parts in all, parts applied, the answer."""


def range_of(store: CommitStore, request: BisectRequest) -> Range:
    """The range of a request. Cost: the log between the ends, a lookup for each watched path."""
    line = between(store.log, request.good, request.bad)
    if request.first_parent:
        line = first_parents(line)
    return classes(store, line, request.watch)


def bisect_content(
    store: CommitStore,
    request: BisectRequest,
    predicate: ContentPredicate,
    *,
    invert: bool = False,
) -> BisectReport:
    """All flips of a built-in predicate, exactly; materialises nothing.

    Raises:
        CorruptError: a snapshot cannot be read.
    """
    started = request.clock()
    line = range_of(store, replace(request, watch=()))
    swept = sweep(store, (line.first(p) for p in range(line.size)), predicate, invert=invert)
    outcome = _swept(swept.verdicts)
    if isinstance(predicate, AnyFile) and predicate.covers is not None and not swept.files:
        outcome = replace(outcome, reason=f"{outcome.reason}: no path fits")
    effort = Effort(
        runs=swept.blobs,
        skipped=swept.verdicts.count(Verdict.SKIP),
        unexamined=swept.unexamined,
        purged=swept.purged,
        pairs=swept.pairs,
        elapsed_ns=request.clock() - started,
    )
    name = ("not " if invert else "") + predicate.name
    report = report_of(outcome, line, predicate=name, effort=effort)
    report = replace(report, changes=boundary_changes(store, report))
    found = witnesses(store, predicate, report.changes, invert=invert)
    if report.first_bad is None or not found or request.minimize is False:
        return report
    return replace(report, shrunk=of_changes(store, found, report.first_bad.root))


def _swept(verdicts: Sequence[Verdict]) -> Outcome:
    """The outcome when every position has its verdict: nothing is uncertain."""
    board = Board(len(verdicts))
    for position, verdict in enumerate(verdicts):
        board.mark(position, verdict)
    flips = board.flips()
    first, last = verdicts[0], verdicts[-1]
    turned = [flip for flip in flips if flip.after is Verdict.BAD]
    if (first, last) == (Verdict.BAD, Verdict.GOOD):
        return Outcome(Status.ABORTED, flips=flips, reason=ENDS_SWAPPED)
    if Verdict.SKIP in (first, last):
        end = "good" if first is Verdict.SKIP else "bad"
        return Outcome(Status.ABORTED, flips=flips, reason=f"the {end} end cannot be judged")
    if first is last:
        reason = f"both ends are {first}"
        return Outcome(Status.ENDPOINTS_AGREE, flips=flips, reason=reason)
    live = turned[-1]
    return replace(boundary(live.last, live.first), flips=flips, posterior=1.0)


def bisect_each(
    store: CommitStore, request: BisectRequest, judge: Callable[[Snapshot], Verdict], *, name: str
) -> BisectReport:
    """All flips of a function of the content that is cheap enough to ask about every snapshot, in order.

    Cost: one call a class.
    """
    started = request.clock()
    line = range_of(store, request)
    verdicts = [judge(line.first(position)) for position in range(line.size)]
    effort = Effort(
        runs=len(verdicts), skipped=verdicts.count(Verdict.SKIP), elapsed_ns=request.clock() - started
    )
    report = report_of(_swept(verdicts), line, predicate=name, effort=effort)
    return replace(report, changes=boundary_changes(store, report))


def bisect_callable(
    store: CommitStore,
    request: BisectRequest,
    judge: Callable[[Snapshot], Verdict],
    *,
    name: str,
    on_verdict: Callable[[Snapshot, Verdict], None] = lambda *_: None,
) -> BisectReport:
    """Search with a function of a snapshot, in this thread.

    Args:
        store: history and objects.
        request: what to look for; ``options.confirm`` says how often the boundary is run again
            (0 for a function of the content alone).
        judge: gives the verdict.
        name: the predicate in words.
        on_verdict: told of every verdict.

    Cost: ceil(log2 classes) + 2 calls, plus the confirmations; ``find_all``: one a class.
    """
    started = request.clock()
    line = range_of(store, request)
    kind = FlipFinder if request.find_all else Bisector
    searcher: Bisector | FlipFinder = kind(line.size, request.options)
    skipped = 0
    while isinstance(step := searcher.next_step(), Probe):
        for position in step.positions:
            snapshot = line.first(position)
            verdict = judge(snapshot)
            searcher.mark(position, verdict)
            skipped += verdict is Verdict.SKIP
            on_verdict(snapshot, verdict)
    effort = Effort(runs=searcher.board.runs, skipped=skipped, elapsed_ns=request.clock() - started)
    report = report_of(step, line, predicate=name, effort=effort)
    return replace(report, changes=boundary_changes(store, report))


def boundary_changes(store: CommitStore, report: BisectReport) -> tuple[Change, ...]:
    """What differs between last good and first bad, without renames; nothing without both."""
    if report.last_good is None or report.first_bad is None:
        return ()
    return tuple(diff_trees(store, report.last_good.root, report.first_bad.root))
