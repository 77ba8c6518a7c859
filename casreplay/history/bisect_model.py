"""Values of a bisect: verdicts, options, what to probe next, how it ended.

Positions count from the good end (0) to the bad end; a position stands for a class of
neighbouring snapshots that agree on everything the predicate reads. Which snapshots a
class holds is ``history.bisect_range``'s affair.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from casreplay.history.bisect_bayes import SideModel

__all__ = [
    "ENDS_SWAPPED",
    "Flip",
    "Outcome",
    "Probe",
    "SearchOptions",
    "Searcher",
    "Status",
    "Verdict",
    "boundary",
]


ENDS_SWAPPED = "the good end is bad and the bad end is good"


class Verdict(StrEnum):
    """What one run of a predicate says about a snapshot."""

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"
    """Cannot be judged: exit 125, a timeout, or a failure of another kind than the one looked for."""


class Status(StrEnum):
    """How a search ended."""

    FOUND = "found"
    INTERVAL = "interval"
    """The first bad position is one of ``candidates``; skips or the budget hide which."""
    NO_CHANGE = "no_change"
    """The predicate's verdicts vary, but not with the position."""
    ENDPOINTS_AGREE = "endpoints_agree"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How hard to look.

    Attributes:
        confirm: K, re-runs on each side of the boundary before it is believed; 0 for predicates
            that are functions of the content.
        rates: known failure rates of the good and the bad side; given, the search is
            probabilistic from the first run.
        threshold: posterior at which a flaky search stops.
        effect: smallest rise of the failure rate that counts as a change.
        max_skips: skipped positions between the ends before the interval is reported as it stands.
        max_runs: runs after which a flaky search reports what it has.
        model: prior of the flaky search.
    """

    confirm: int = 3
    rates: tuple[float, float] | None = None
    threshold: float = 0.95
    effect: float = 0.1
    max_skips: int = 32
    max_runs: int = 300
    model: SideModel = field(default_factory=SideModel)

    @property
    def side_model(self) -> SideModel:
        """The prior with the known rates in it."""
        return SideModel(self.model.deterministic, self.model.no_change, self.rates)


@dataclass(frozen=True, slots=True)
class Probe:
    """Positions to run now, in parallel if there are several.

    Attributes:
        positions: where; distinct, in order.
        fresh: whether a remembered verdict will not do (a re-run was asked for).
        remaining: how many positions may still be the first bad one.
        why: ``ends``, ``halve``, ``confirm``, ``flaky`` or ``gap``.
    """

    positions: tuple[int, ...]
    fresh: bool
    remaining: int
    why: str


@dataclass(frozen=True, slots=True)
class Flip:
    """Two tested positions with different verdicts and no tested one between.

    Attributes:
        before: verdict at ``last``.
        after: verdict at ``first``.
        last: last position of the old verdict.
        first: first position of the new one; ``last + 1`` unless skips or gaps hide the exact place.
    """

    before: Verdict
    after: Verdict
    last: int
    first: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a search, in positions.

    Attributes:
        status: how it ended.
        last_good: the good side of the boundary.
        first_bad: the bad side; ``last_good + 1`` when found.
        candidates: first and last position that may be the first bad one.
        flips: every flip known, in order.
        posterior: probability that the answer is right under the model; ``None`` without an answer.
        no_change: probability of "nothing changes in this range"; 0 unless runs contradicted.
        untested: positions between the ends of the answer that were neither tested nor skipped.
        largest_gap: longest stretch that no run looked at; other flips could hide in it.
        reason: one clause for people, empty when the status says everything.
    """

    status: Status
    last_good: int | None = None
    first_bad: int | None = None
    candidates: tuple[int, int] | None = None
    flips: tuple[Flip, ...] = ()
    posterior: float | None = None
    no_change: float = 0.0
    untested: int = 0
    largest_gap: int = 0
    reason: str = ""


def boundary(last_good: int, first_bad: int) -> Outcome:
    """The bare outcome that the change lies between two positions: found when they are neighbours."""
    return Outcome(
        Status.FOUND if first_bad == last_good + 1 else Status.INTERVAL,
        last_good=last_good,
        first_bad=first_bad,
        candidates=(last_good + 1, first_bad),
    )


class Searcher(Protocol):
    """A search as jj shapes it: ask what to do, do it elsewhere, mark what came out.

    Source: jj, ``lib/src/bisect.rs``.
    """

    def mark(self, position: int, verdict: Verdict, *, copied: bool = False) -> None:
        """Record the verdict of one run, or one that a run elsewhere stands for (``copied``)."""

    def next_step(self, width: int = 1) -> Probe | Outcome:
        """What to run next on up to ``width`` workers, or the end. Marking nothing changes nothing."""

    def is_moot(self, position: int) -> bool:
        """Whether a run under way at ``position`` can no longer change the answer."""

    def conclude(self, reason: str) -> Outcome:
        """The best answer now: the budget is spent or the user had enough."""
