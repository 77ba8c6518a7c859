"""A whole bisect with a command: search, confirmation, change set, culprits.

Wires the parts together and chooses nothing of its own: the search is ``bisect`` or
``bisect_flips``, runs are ``probes`` through ``bisect_run``, the minimal set is
``bisect_shrink``. State is a log in the store's caches, written after every verdict.
"""

from __future__ import annotations

import os
import shlex
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from casreplay.codec.hashing import blob_id
from casreplay.errors import BisectAbortedError, CasreplayError
from casreplay.history.bisect import Bisector
from casreplay.history.bisect_flips import FlipFinder
from casreplay.history.bisect_model import Outcome, Status, Verdict
from casreplay.history.bisect_range import Range
from casreplay.history.bisect_reads import Reads, TraceSummary, concerns
from casreplay.history.bisect_report import BisectReport, Effort, report_of
from casreplay.history.bisect_run import Judge, ProbeRecord, Runner, SearchJob, VerdictCache, run_search
from casreplay.history.bisect_session import BisectRequest, Listener, boundary_changes, range_of
from casreplay.history.bisect_shrink import PartialTrees, TreeJudge, shrink
from casreplay.history.bisect_state import (
    BisectState,
    VerdictRow,
    decode_cache,
    decode_state,
    encode_cache,
    encode_state,
    settings_of,
)
from casreplay.history.bisect_traced import TracedRuns
from casreplay.history.bisect_tracer import Tracer
from casreplay.history.diff import diff_trees
from casreplay.history.overlay import OverlayStore
from casreplay.history.probes import Command, CommandProbe, ProbeArea
from casreplay.model.objects import Snapshot
from casreplay.model.paths import display
from casreplay.store.base import CommitStore

__all__ = ["RUN_LOG", "bisect_command"]

RUN_LOG = "bisect-run.jsonl"
SAVE_COPIED = 256
"""The log is written after every run, and after so many verdicts that were carried over."""


def bisect_command(
    store: CommitStore,
    request: BisectRequest,
    command: Command,
    *,
    listener: Listener | None = None,
    executor: Executor | None = None,
) -> BisectReport:
    """Search with a command, then shrink the boundary's change set.

    State is written after every verdict (``bisect-run.jsonl`` among the store's caches); the
    same search, interrupted before, goes on where it was.

    Args:
        store: history and objects; nothing but caches is written.
        request: what to look for.
        command: the predicate.
        listener: told of progress.
        executor: where runs happen; a local pool of ``request.jobs`` threads when left out.

    A command that cannot judge (exit 127 or above) ends the search as ``aborted``; the next call goes on
    from there.

    Raises:
        KeyboardInterrupt: nothing is left behind; the next call goes on from here.
    """
    started = request.clock()
    overlay = OverlayStore(store)
    line = range_of(store, request)
    pool = executor or ThreadPoolExecutor(max_workers=max(request.jobs, 1))
    try:
        with ProbeArea(overlay) as area:
            runner = CommandProbe(area, command, tracer=_tracer(request, command, area))
            run = _CommandRun(store, request, line, command, listener or Listener())
            try:
                report = run.search(runner, pool)
                report = run.shrink(runner, overlay, report)
            except BaseException:
                area.stop_all()
                raise
            finally:
                if executor is None:
                    pool.shutdown(wait=True, cancel_futures=True)
            area.settle()
            leftovers, purged = area.leftovers, len(area.purged)
    finally:
        if executor is None:
            pool.shutdown(wait=True, cancel_futures=True)
    elapsed_ns = request.clock() - started
    effort = replace(report.effort, leftovers=leftovers, purged=purged, elapsed_ns=elapsed_ns)
    return replace(report, effort=effort)


class _CommandRun:
    """One call of ``bisect_command``: the log, the memory of verdicts, and what is counted."""

    def __init__(
        self, store: CommitStore, request: BisectRequest, line: Range, command: Command, listener: Listener
    ) -> None:
        self._store = store
        self._request = request
        self._line = line
        self._listener = listener
        self._traced = TracedRuns(store) if request.trace else None
        self._judge = Judge(line.size, any_failure=request.any_failure)
        self._predicate = command.line
        self._cache_name = f"bisect-verdicts-{blob_id(_digest(command, request)).hex()[:16]}.jsonl"
        known = decode_cache(store.read_cache(self._cache_name)) if request.use_cache else {}
        self._cache = VerdictCache(known, enabled=request.use_cache)
        self._positions = {line.first(p).id.hex(): p for p in range(line.size)}
        self._state = self._begin(command)
        self._resumed = len(self._state.rows)
        self._unjudged = 0
        """Runs without a verdict: the one that ended the search."""

    def _begin(self, command: Command) -> BisectState:
        """A fresh state, or the one that an interrupted run of the same search left."""
        r, o = self._request, self._request.options
        settings = settings_of(
            command=command.line,
            outside=_outside(command.line),
            timeout_s=command.timeout_s,
            watch=[display(path) for path in r.watch],
            first_parent=r.first_parent,
            any_failure=r.any_failure,
            find_all=r.find_all,
            confirm=o.confirm,
            rates=list(o.rates) if o.rates else None,
        )
        state = BisectState(r.good.id.hex(), r.bad.id.hex(), settings)
        data = self._store.read_cache(RUN_LOG) if r.use_cache else None
        try:
            earlier = decode_state(data) if data else state
        except CasreplayError:
            return state  # the log is a cache: one that cannot be read is made anew
        return earlier if earlier.is_same_search(state) and not earlier.over else state

    def search(self, runner: Runner, pool: Executor) -> BisectReport:
        request = self._request
        searcher: Bisector | FlipFinder
        kind = FlipFinder if request.find_all else Bisector
        searcher = kind(self._line.size, request.options)
        self._replay(searcher)
        self._listener.begin(self._line, self._resumed)
        job = SearchJob(
            self._line,
            runner,
            self._judge,
            self._cache,
            self._record,
            request.labels,
            request.budget_s,
            request.clock,
            self._traced,
        )
        try:
            outcome = run_search(searcher, job, pool, width=max(request.jobs, 1))
            self._state = replace(self._state, over=True)
        except BisectAbortedError as error:
            outcome = Outcome(Status.ABORTED, reason=error.message[:1].lower() + error.message[1:])
            self._unjudged = 1
        finally:
            self._save()
        if request.use_cache:
            self._store.write_cache(self._cache_name, [encode_cache(self._cache.known)])
        report = report_of(
            outcome,
            self._line,
            predicate=self._predicate,
            signature=self._judge.reference[0] if self._judge.reference else None,
            effort=self._effort(),
        )
        report = replace(report, changes=boundary_changes(self._store, report))
        return replace(report, trace=self._traced_summary(report)) if self._traced is not None else report

    def _traced_summary(self, report: BisectReport) -> TraceSummary:
        reads, known = self._reads_of(report.first_bad), self._traced
        assert known is not None
        unclear = tuple(sorted(known.unclear.items()))
        if reads is None:
            return TraceSummary(known.reused, unclear)
        noticed = tuple(change.path for change in report.changes if concerns(reads, change))
        listed = len(reads.listed)
        return TraceSummary(known.reused, unclear, reads.files, reads.absent, listed, reads.outside, noticed)

    def _reads_of(self, snapshot: Snapshot | None) -> Reads | None:
        """What the last run on ``snapshot`` read, as far as its trace proves anything."""
        position = self._line.position_of(snapshot) if snapshot is not None else None
        if self._traced is None or position is None:
            return None
        reads = self._traced.reads_at(position)
        return reads if reads is not None and reads.proves else None

    def shrink(self, runner: Runner, overlay: OverlayStore, report: BisectReport) -> BisectReport:
        """Add the minimal set, where one was asked for and there is a boundary."""
        good, bad = report.last_good, report.first_bad
        # A reason means that the budget is spent: no run is made any more.
        if report.status is not Status.FOUND or report.reason or good is None or bad is None:
            return report
        changes = list(diff_trees(overlay, good.root, bad.root))
        is_wanted = self._request.minimize
        if is_wanted is False or not changes or (is_wanted is None and len(changes) == 1):
            return report
        trees = PartialTrees(overlay, good.root)
        listener = self._listener
        # What the bad side cannot have noticed need not be tried; a flaky run may read on another day.
        reads = self._reads_of(bad) if report.posterior is not None and not self._is_flaky() else None
        found, runs = None, 0
        # A command that never contradicted itself is run once a trial. When that leads to a set that is
        # not bad, it is flaky after all, and everything is weighed.
        for rates in (self._rates(bad), self._seen_rates(bad)):
            is_bad = TreeJudge(runner, self._judge, rates=rates)
            found = shrink(
                trees,
                changes,
                is_bad,
                on_trial=lambda applied, parts, bad: listener.shrinking(parts, applied, bad),
                concerns=partial(concerns, reads) if reads is not None else lambda _: True,
            )
            runs += is_bad.runs
            if found is not None:
                break
        return replace(report, shrunk=found, effort=replace(report.effort, shrink_runs=runs))

    def _is_flaky(self) -> bool:
        """Whether two runs on one snapshot disagreed."""
        seen: dict[str, set[Verdict]] = {}
        for row in self._state.rows:
            if row.verdict is not Verdict.SKIP:
                seen.setdefault(row.snapshot, set()).add(row.verdict)
        return any(len(verdicts) > 1 for verdicts in seen.values())

    def _rates(self, bad: Snapshot) -> tuple[float, float]:
        """How often a good and a bad state fail: as told, as seen, or never and always."""
        if self._request.options.rates is not None:
            return self._request.options.rates
        return self._seen_rates(bad) if self._is_flaky() else (0.0, 1.0)

    def _seen_rates(self, bad: Snapshot) -> tuple[float, float]:
        """The rates of failure on the two sides of the boundary, each taken a run short.

        Too far apart, the two let a trial end too soon.
        """
        bad_at = self._line.position_of(bad) or 0
        sides: tuple[list[bool], list[bool]] = ([], [])
        for row in self._state.rows:
            position = self._positions.get(row.snapshot)
            if position is not None and row.verdict is not Verdict.SKIP and row.source != "traced":
                sides[position >= bad_at].append(row.verdict is Verdict.BAD)
        before, after = sides
        bad_rate = sum(after) / (len(after) + 1)
        return min((sum(before) + 1) / (len(before) + 1), bad_rate / 2), bad_rate

    def _replay(self, searcher: Bisector | FlipFinder) -> None:
        """Feed the verdicts of an interrupted run; each costs nothing."""
        for row in self._state.rows:
            position = self._positions.get(row.snapshot)
            if position is None:
                continue
            searcher.mark(position, row.verdict, copied=row.source == "traced")
            if position == self._line.size - 1 and row.verdict is Verdict.BAD and row.signature:
                self._judge.reference.append(row.signature)

    def _record(self, record: ProbeRecord) -> None:
        snapshot = self._line.first(record.position)
        self._state = self._state.with_row(
            VerdictRow(
                snapshot.id.hex(),
                record.verdict,
                "traced" if record.copied else "cached" if record.cached else "run",
                record.signature,
                record.elapsed_ns,
                record.why,
                record.note,
            )
        )
        # A verdict carried over costs next to nothing: writing the log for each would be most of it.
        if not record.copied or not len(self._state.rows) % SAVE_COPIED:
            self._save()
        self._listener.probe(self._line, record)

    def _save(self) -> None:
        self._store.write_cache(RUN_LOG, [encode_state(self._state)])

    def _effort(self) -> Effort:
        rows = self._state.rows
        return Effort(
            runs=sum(row.source == "run" for row in rows) + self._unjudged,
            cached=sum(row.source in ("cached", "traced") for row in rows),
            skipped=sum(row.verdict is Verdict.SKIP for row in rows),
            differing=self._judge.differing,
        )


def _tracer(request: BisectRequest, command: Command, area: ProbeArea) -> Tracer | None:
    """What traces the runs, tried out; ``None`` when nothing is to be traced."""
    if not request.trace:
        return None
    tracer = Tracer(command.environ)
    tracer.check(area.path)
    return tracer


def _digest(command: Command, request: BisectRequest) -> bytes:
    """What a remembered verdict depends on besides the content."""
    return b"\0".join(
        [command.line.encode("utf-8", "surrogateescape"), _outside(command.line).encode(), *request.watch]
    )


def _outside(line: str) -> str:
    """Size and time of every existing file that the command line names by an absolute path.

    A script kept outside the snapshots is part of the predicate: once it was edited,
    earlier verdicts are those of another command.
    """
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    found = []
    for word in words:
        if os.path.isabs(word) and os.path.isfile(word):
            facts = os.stat(word)
            found.append(f"{word} {facts.st_size} {facts.st_mtime_ns}")
    return "\n".join(found)
