"""Which snapshots to keep: a pure planner. Removing is the repository's and ``history.gc``'s affair.

Rules and their meaning are restic's: ``hourly=24`` keeps the newest snapshot of each of
the last 24 hours *that have one*, and so on; a snapshot that any rule keeps stays; with a
rule not yet used up the oldest snapshot counts once more, so that history keeps its start.
Source: restic, ``internal/data/snapshot_policy.go`` (``ApplyPolicy``), and its manual.

Beyond restic: the newest snapshot and pinned ones always stay, and a call without any
rule is refused, since it would remove everything but the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from casreplay.errors import UsageError
from casreplay.history.times import local_time
from casreplay.model.ids import SnapshotId
from casreplay.model.objects import Snapshot

__all__ = ["KeepRules", "Kept", "RetentionPlan", "plan"]


@dataclass(frozen=True, slots=True)
class KeepRules:
    """What to keep; a number of -1 means without limit, 0 that the rule is not used.

    Attributes:
        last: the newest snapshots, whenever taken.
        hourly: the newest of each of so many hours.
        daily: the newest of each of so many days.
        weekly: the newest of each of so many ISO weeks.
        monthly: the newest of each of so many months.
        yearly: the newest of each of so many years.
        tags: snapshots that have any of these tags.
        within_ns: snapshots at most this much older than the newest one; ``None``: not used.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    tags: tuple[str, ...] = ()
    within_ns: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no rule keeps anything."""
        return self.within_ns is None and not self.tags and not any(number for _, number in self.numbers())

    def numbers(self) -> tuple[tuple[str, int], ...]:
        """The rules that count, by name."""
        return (
            ("last", self.last),
            ("hourly", self.hourly),
            ("daily", self.daily),
            ("weekly", self.weekly),
            ("monthly", self.monthly),
            ("yearly", self.yearly),
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot that stays, with every reason for it, such as ``daily`` or ``tag keep``."""

    snapshot: Snapshot
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What a prune would do. Both newest first."""

    kept: tuple[Kept, ...]
    removed: tuple[Snapshot, ...]


@dataclass(slots=True)
class _Bucket:
    """One counted rule while the snapshots pass by, newest first."""

    name: str
    left: int
    seen: set[object] = field(default_factory=set)

    def reason(self, key: object, *, is_oldest: bool) -> str | None:
        """Why this rule keeps a snapshot with ``key``; ``None`` when it does not.

        Keys are remembered rather than compared with the last one: with a clock that was
        set back, an hour may come up twice.
        """
        if self.left == 0:
            return None
        is_new = key not in self.seen
        if not is_new and not is_oldest:
            return None
        self.seen.add(key)
        self.left -= self.left > 0
        return self.name if is_new else f"oldest {self.name}"


def plan(
    newest_first: Iterable[Snapshot],
    rules: KeepRules,
    *,
    zone: tzinfo | None,
    tags_of: Callable[[Snapshot], Collection[str]] = lambda snapshot: snapshot.tags,
    pinned: Collection[SnapshotId] | Mapping[SnapshotId, str] = (),
) -> RetentionPlan:
    """Divide snapshots into those that stay and those that go.

    Args:
        newest_first: the history in the order of its sequence, newest first.
        rules: what to keep.
        zone: in which hours, days and weeks begin; ``None`` for the system's own.
        tags_of: the tags that count now.
        pinned: snapshots that something else needs (an incident, a search); as a mapping, with the
            word that is the reason instead of ``pinned``.

    Raises:
        UsageError: no rule at all, or a number below -1.
    """
    if rules.is_empty:
        raise UsageError(
            "Without a rule every snapshot but the newest would be removed",
            hint="Say what to keep, for instance --keep-last 50 --keep-daily 14",
        )
    for name, number in rules.numbers():
        if number < -1:
            raise UsageError(f"Cannot keep {number} snapshots ({name})")
    snapshots = list(newest_first)
    buckets = [_Bucket(name, number) for name, number in rules.numbers()]
    kept: list[Kept] = []
    removed: list[Snapshot] = []
    for i, snapshot in enumerate(snapshots):
        reasons = ["newest"] if i == 0 else []
        if snapshot.id in pinned:
            reasons.append(pinned[snapshot.id] if isinstance(pinned, Mapping) else "pinned")
        reasons += [f"tag {tag}" for tag in rules.tags if tag in tags_of(snapshot)]
        if rules.within_ns is not None and snapshot.time_ns >= snapshots[0].time_ns - rules.within_ns:
            reasons.append("within")
        is_oldest = i == len(snapshots) - 1
        for bucket, key in zip(buckets, _keys(snapshot, i, zone), strict=True):
            reason = bucket.reason(key, is_oldest=is_oldest)
            if reason:
                reasons.append(reason)
        if reasons:
            kept.append(Kept(snapshot, tuple(reasons)))
        else:
            removed.append(snapshot)
    return RetentionPlan(tuple(kept), tuple(removed))


def _keys(snapshot: Snapshot, number: int, zone: tzinfo | None) -> tuple[object, ...]:
    """What a snapshot is grouped by, in the order of ``KeepRules.numbers``."""
    at: datetime = local_time(snapshot.time_ns, zone)
    return (
        number,
        (at.year, at.month, at.day, at.hour),
        (at.year, at.month, at.day),
        at.isocalendar()[:2],
        (at.year, at.month),
        at.year,
    )
