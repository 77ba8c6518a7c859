"""The loop around a search: run what it asks for, settle the verdicts, tell it, tell the caller.

Owns: parallel runs on any ``concurrent.futures.Executor``, verdicts remembered by content,
the rule that another failure is no "bad", time limits, and clean stops. Chooses nothing
about where to look: that is the searcher's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field, replace
from typing import Protocol

from casreplay.clock import Clock, monotonic_ns
from casreplay.errors import BisectAbortedError
from casreplay.history.bisect_model import Outcome, Probe, Searcher, Verdict
from casreplay.history.bisect_range import Range
from casreplay.history.bisect_traced import TracedRuns
from casreplay.history.observations import Observation, Signature, same_failure
from casreplay.history.probes import Target

__all__ = [
    "Judge",
    "ProbeRecord",
    "Runner",
    "SearchJob",
    "VerdictCache",
    "run_search",
    "target_of",
]

RECHECK = 16
"""One in so many remembered verdicts is checked by a real run."""


class Runner(Protocol):
    """What runs a predicate; ``probes.CommandProbe`` is one, a cluster's client may be another."""

    def __call__(self, target: Target, stop: threading.Event) -> Observation:
        """Judge one tree; may be called from several threads."""

    def cancel(self, stop: threading.Event) -> None:
        """The run that was given ``stop`` is not wanted any more."""

    def cancel_all(self) -> None:
        """No run is wanted any more."""


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """One verdict as it was settled, in the order of the log.

    Attributes:
        position: class of the range.
        verdict: what the search was told.
        cached: remembered, not run.
        signature: how the run failed, if it did.
        elapsed_ns: how long the run took; 0 when remembered.
        why: what the search wanted: ``ends``, ``halve``, ``confirm``, ``flaky``, ``gap``;
            ``manual`` from a person.
        note: why it was skipped, or the last line of its output.
        remaining: positions that may be the first bad one, as of when it was asked for.
        copied: a traced run elsewhere stands for it: all that it read is the same here.
    """

    position: int
    verdict: Verdict
    cached: bool = False
    signature: Signature | None = None
    elapsed_ns: int = 0
    why: str = ""
    note: str = ""
    remaining: int = 0
    copied: bool = False


@dataclass(slots=True)
class VerdictCache:
    """Verdicts by content key, for predicates that were seen to be functions of the content.

    ``known`` maps a key to good and bad counts and the signature of the last failure; a key
    with both counts is flaky and never answered.
    """

    known: dict[bytes, tuple[int, int, Signature | None]] = field(default_factory=dict)
    enabled: bool = True

    def get(self, key: bytes) -> Observation | None:
        """The remembered observation, unless there is none, it is flaky or due for a check."""
        entry = self.known.get(key)
        if entry is None or not self.enabled or (entry[0] and entry[1]) or key[0] % RECHECK == 0:
            return None
        return Observation(Verdict.GOOD if entry[0] else Verdict.BAD, entry[2], cached=True)

    def add(self, key: bytes, seen: Observation) -> None:
        """Count a real run."""
        good, bad, signature = self.known.get(key, (0, 0, None))
        if seen.verdict is Verdict.GOOD:
            self.known[key] = (good + 1, bad, signature)
        elif seen.verdict is Verdict.BAD:
            self.known[key] = (good, bad + 1, seen.signature)


class Judge:
    """Turns observations into verdicts: a failure unlike that of the bad end is a skip.

    Args:
        size: positions of the search; the last one is the bad end.
        any_failure: count every failure as bad.
    """

    def __init__(self, size: int, *, any_failure: bool = False) -> None:
        self._size = size
        self._any = any_failure
        self.reference: list[Signature] = []
        """Failures seen at the bad end."""
        self.differing = 0
        """Runs that failed in another way."""

    def settle(self, position: int, seen: Observation) -> tuple[Verdict, str]:
        """The verdict that counts and a note for people.

        Raises:
            BisectAbortedError: the command cannot judge.
        """
        if seen.verdict is None:
            raise BisectAbortedError(seen.detail[:1].upper() + seen.detail[1:])
        if seen.verdict is not Verdict.BAD or seen.signature is None:
            return seen.verdict, seen.detail
        if position == self._size - 1:
            if not any(same_failure(seen.signature, one) for one in self.reference):
                self.reference.append(seen.signature)
            return Verdict.BAD, seen.detail
        if self.is_same(seen.signature) or position == 0:
            return Verdict.BAD, seen.detail
        self.differing += 1
        return Verdict.SKIP, f"fails differently: {seen.signature}"

    def is_same(self, signature: Signature) -> bool:
        """Whether ``signature`` is the failure looked for."""
        return self._any or not self.reference or any(same_failure(signature, one) for one in self.reference)


def target_of(line: Range, position: int, labels: Mapping[bytes, str]) -> Target:
    """What is run for a class: its first snapshot."""
    snapshot = line.first(position)
    return Target(snapshot.root, snapshot.id.hex(), labels.get(snapshot.id, snapshot.label))


@dataclass(slots=True)
class _Pending:
    """A run under way."""

    position: int
    stop: threading.Event


@dataclass(frozen=True, slots=True)
class SearchJob:
    """Everything a search needs besides the searcher itself.

    Attributes:
        line: the range.
        runner: runs the predicate.
        judge: settles verdicts.
        cache: remembered verdicts.
        on_record: told of every verdict, in the order in which the search was told.
        labels: snapshot labels that changed after the commit.
        budget_s: seconds after which the search concludes with what it has.
        clock: measures the budget.
        traced: runs that may stand for others; ``None`` when nothing is traced.
    """

    line: Range
    runner: Runner
    judge: Judge
    cache: VerdictCache
    on_record: Callable[[ProbeRecord], None]
    labels: Mapping[bytes, str] = field(default_factory=dict)
    budget_s: float | None = None
    clock: Clock = monotonic_ns
    traced: TracedRuns | None = None

    def known(self, step: Probe, position: int) -> tuple[Observation | None, bool]:
        """What is known of ``position`` without a run, and whether it is copied from another one.

        The ends are always run themselves: all else rests on them.
        """
        if step.fresh:
            return None, False
        seen = self.cache.get(self.line.keys[position])
        if seen is not None or self.traced is None or step.why == "ends":
            return seen, False
        return self.traced.speaks_for(self.line.first(position)), True


def run_search(searcher: Searcher, job: SearchJob, executor: Executor, *, width: int = 1) -> Outcome:
    """Drive ``searcher`` to its outcome.

    Args:
        searcher: where to look; may hold verdicts already (a resumed search).
        job: what to run.
        executor: where runs happen; nothing but ``submit`` is used.
        width: how many runs at a time.

    Raises:
        BisectAbortedError: the command cannot judge; every run was stopped.
        CasreplayError: a snapshot cannot be read.
        KeyboardInterrupt: every run was stopped.
    """
    deadline = None if job.budget_s is None else job.clock() + int(job.budget_s * 1e9)
    try:
        while True:
            step = searcher.next_step(width)
            if isinstance(step, Outcome):
                return step
            in_time = _round(searcher, step, job, executor, deadline)
            # A round of verdicts that are known runs nothing, and so waits for nothing.
            if not in_time or (deadline is not None and job.clock() >= deadline):
                job.runner.cancel_all()
                return searcher.conclude(f"the budget of {job.budget_s:g} s is spent")
    except BaseException:
        job.runner.cancel_all()
        raise


def _round(searcher: Searcher, step: Probe, job: SearchJob, executor: Executor, deadline: int | None) -> bool:
    """Run one step; ``False`` when time ran out before all of it was settled."""
    pending: dict[Future[Observation], _Pending] = {}
    # Looked up before anything runs: trees are read by one thread at a time.
    found = [(position, *job.known(step, position)) for position in step.positions]
    for position, known, is_copied in found:
        if known is not None:
            _settle(searcher, step, job, position, replace(known, cached=True), copied=is_copied)
            continue
        stop = threading.Event()
        target = target_of(job.line, position, job.labels)
        pending[executor.submit(job.runner, target, stop)] = _Pending(position, stop)
    while pending:
        left = None if deadline is None else max(0.0, (deadline - job.clock()) / 1e9)
        done, _ = wait(pending, left, FIRST_COMPLETED)
        if not done:
            return False
        for future in sorted(done, key=lambda f: pending[f].position):
            item = pending.pop(future)
            seen = future.result()
            if not seen.cancelled:
                _settle(searcher, step, job, item.position, seen)
        _drop_moot(searcher, step, job, pending)
    return True


def _settle(  # noqa: PLR0913 - what _round knows, for each of its verdicts
    searcher: Searcher, step: Probe, job: SearchJob, position: int, seen: Observation, *, copied: bool = False
) -> None:
    if not seen.cached:
        job.cache.add(job.line.keys[position], seen)
        if job.traced is not None:
            job.traced.add(position, job.line.first(position), seen)
    verdict, note = job.judge.settle(position, seen)
    searcher.mark(position, verdict, copied=copied)
    elapsed = 0 if seen.cached else seen.elapsed_ns
    facts = (seen.cached, seen.signature, elapsed, step.why, note, step.remaining, copied)
    job.on_record(ProbeRecord(position, verdict, *facts))


def _drop_moot(
    searcher: Searcher, step: Probe, job: SearchJob, pending: dict[Future[Observation], _Pending]
) -> None:
    """Stop runs whose result can no longer narrow the search."""
    if step.why != "halve":
        return
    for future, item in pending.items():
        if searcher.is_moot(item.position):
            job.runner.cancel(item.stop)
            future.cancel()
    for future in [f for f in pending if f.cancelled()]:
        del pending[future]
