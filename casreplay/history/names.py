"""Snapshot names: what people type, to one snapshot.

Order of precedence, the first that fits wins:

1. ``@`` is the newest snapshot; ``@{TIME}`` the newest at or before a time (a date alone
   means the end of that day). A name that starts with ``@`` is never looked for among labels.
2. All 64 digits of an id.
3. A label or a tag, the whole text as it is; so a label ``v1~2`` can be named. Those set
   later win over those given at commit time. On several snapshots: ambiguous.
4. The first 4 or more hexadecimal digits of an id. On several snapshots: ambiguous.
5. ``NAME~N``: N snapshots before ``NAME``, along what history still holds; ``~`` is ``~1``.

Owns: that order and its errors. Reads a log; labels set later arrive as an argument.
Cost: ``@`` and ``@~3`` read the log's end, a time reads back to its place; a label or the first
digits of an id are looked for in a table of the whole history, because only that shows that they
are unique.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import tzinfo
from itertools import islice
from operator import itemgetter
from typing import Protocol

from casreplay.clock import Clock
from casreplay.errors import AmbiguousNameError, UnknownNameError
from casreplay.history.times import format_time, parse_time
from casreplay.model.ids import SnapshotId, is_hex_prefix, short
from casreplay.model.objects import Snapshot

__all__ = ["NameResolver", "Notes", "split_range"]

MAX_CANDIDATES = 10
MAX_SUGGESTIONS = 3
MAX_SUGGESTED_FROM = 2000
"""Newest snapshots among whose names an unknown one may find its like."""
SHORTEST_PREFIX = 4
"""Digits of an id that may stand for it, at least; see ``is_hex_prefix``."""
NEAR_STEPS = 100
"""Steps back from the newest that are cheaper to walk than to look up."""


class TimedRecord(Protocol):
    """What the log says about a snapshot without decoding it."""

    @property
    def id(self) -> bytes:
        """The snapshot's id."""

    @property
    def time_ns(self) -> int:
        """When it was taken."""


class NamedLog(Protocol):
    """A history in which names can be looked for without decoding all of it."""

    def head(self) -> Snapshot | None:
        """The newest snapshot."""

    def get(self, snapshot_id: SnapshotId) -> Snapshot:
        """One live snapshot; raises ``UnknownNameError``."""

    def newest_first(self) -> Iterator[Snapshot]:
        """Live snapshots from the newest back."""

    def live_records(self) -> Iterator[TimedRecord]:
        """The same, undecoded."""

    def live_ids(self) -> list[tuple[int, SnapshotId]]:
        """Sequence and id of every live snapshot, oldest first."""

    def prefixed(self, prefix: str) -> Iterator[Snapshot]:
        """Live snapshots whose id starts with ``prefix`` in lower-case hexadecimal, newest first."""

    def mentioning(self, text: str) -> Iterator[Snapshot]:
        """Live snapshots whose label or tag is ``text``, newest first; perhaps others."""


class Notes(Protocol):
    """Labels and tags as they are now: those of the commit, unless changed later."""

    def called(self, name: str) -> list[SnapshotId]:
        """Snapshots that were given this label or tag after their commit."""

    def label_of(self, snapshot: Snapshot) -> str:
        """The label that counts."""

    def tags_of(self, snapshot: Snapshot) -> tuple[str, ...]:
        """The tags that count."""


class NameResolver:
    """Turns names into snapshots of one history.

    Attributes:
        log: the history.
        clock: the present, for ``2h ago``.
        notes: labels and tags set later.
        zone: zone of times without an offset; ``None`` for the system's own.
    """

    def __init__(self, log: NamedLog, clock: Clock, notes: Notes, zone: tzinfo | None = None) -> None:
        self.log = log
        self.clock = clock
        self.notes = notes
        self.zone = zone

    def resolve(self, name: str) -> Snapshot:
        """The one snapshot called ``name``.

        Raises:
            UnknownNameError: no snapshot fits; the hint holds names that come near.
            AmbiguousNameError: several fit; ``fields['candidates']`` holds id, time in
                nanoseconds and label of each, newest first.
            UsageError: ``@{...}`` holds no time.
        """
        found = self._plain(name)
        if found is not None:
            return found
        base, steps = split_steps(name)
        if base == name:
            raise self._unknown(name)
        start = self._plain(base)
        if start is None:
            raise self._unknown(base)
        return self._before(start, steps, name)

    def _plain(self, name: str) -> Snapshot | None:
        """Rules 1 to 4."""
        if name == "@":
            head = self.log.head()
            if head is None:
                raise UnknownNameError(
                    "No snapshot has been taken yet", hint="Take one with: casreplay commit"
                )
            return head
        if name.startswith("@{") and name.endswith("}"):
            return self._at(name)
        if len(name) == 64 and is_hex_prefix(name):
            return self._by_id(name)
        if not name or name.startswith("@"):
            return None
        candidates = self._called(name) or self._prefixed(name)
        if len(candidates) > 1:
            raise self._ambiguous(name, candidates)
        return candidates[0] if candidates else None

    def _called(self, name: str) -> list[Snapshot]:
        """Rule 3: live snapshots that have the label or tag now, newest first."""
        found = {snapshot.id: snapshot for snapshot in self.log.mentioning(name)}
        for snapshot_id in self.notes.called(name):
            if snapshot_id not in found:
                with suppress(UnknownNameError):  # it was removed since
                    found[snapshot_id] = self.log.get(snapshot_id)
        named = [
            snapshot
            for snapshot in found.values()
            if self.notes.label_of(snapshot) == name or name in self.notes.tags_of(snapshot)
        ]
        return sorted(named, key=lambda snapshot: -snapshot.sequence)

    def _prefixed(self, name: str) -> list[Snapshot]:
        """Rule 4: live snapshots whose id starts so, newest first."""
        if not is_hex_prefix(name):
            return []
        return list(self.log.prefixed(name.lower()))

    def _by_id(self, name: str) -> Snapshot | None:
        try:
            return self.log.get(SnapshotId(bytes.fromhex(name)))
        except UnknownNameError:
            return None

    def _at(self, name: str) -> Snapshot:
        limit_ns = parse_time(name[2:-1], now_ns=self.clock(), zone=self.zone, end=True)
        oldest: TimedRecord | None = None
        for record in self.log.live_records():
            if record.time_ns <= limit_ns:
                return self.log.get(SnapshotId(record.id))
            oldest = record
        hint = f"The oldest was taken at {format_time(oldest.time_ns, self.zone)}" if oldest else ""
        raise UnknownNameError(f"No snapshot was taken at or before {name[2:-1]}", hint=hint, name=name)

    def _before(self, start: Snapshot, steps: int, name: str) -> Snapshot:
        if steps <= NEAR_STEPS and start == self.log.head():
            found = next(islice(self.log.newest_first(), steps, None), None)
        else:
            ids = self.log.live_ids()
            at = bisect_left(ids, start.sequence, key=itemgetter(0)) - steps
            found = self.log.get(ids[at][1]) if at >= 0 else None
        if found is None:
            raise UnknownNameError(f"History does not reach back to {name}", name=name)
        return found

    def _ambiguous(self, name: str, candidates: list[Snapshot]) -> AmbiguousNameError:
        shown = [
            f"{short(s.id)}  {format_time(s.time_ns, self.zone)}  {self.notes.label_of(s)}".rstrip()
            for s in candidates[:MAX_CANDIDATES]
        ]
        if len(candidates) > MAX_CANDIDATES:
            shown.append(f"and {len(candidates) - MAX_CANDIDATES} more")
        facts = [
            {"id": s.id.hex(), "time_ns": s.time_ns, "label": self.notes.label_of(s)} for s in candidates
        ]
        return AmbiguousNameError(
            f"{name!r} fits {len(candidates)} snapshots", hint="\n".join(shown), name=name, candidates=facts
        )

    def _unknown(self, name: str) -> UnknownNameError:
        near = nearest(name, self._all_names())
        hint = f"Did you mean {' or '.join(near)}?" if near else "casreplay log lists the snapshots"
        if name and is_hex_prefix(name.ljust(SHORTEST_PREFIX, "0")) and len(name) < SHORTEST_PREFIX:
            hint += f"\nThe start of an id needs {SHORTEST_PREFIX} digits or more"
        elif name == "HEAD":
            hint = "The newest snapshot is called @"
        return UnknownNameError(f"No snapshot is called {name!r}", hint=hint, name=name, near=near)

    def _all_names(self) -> Iterator[str]:
        for snapshot in islice(self.log.newest_first(), MAX_SUGGESTED_FROM):
            label = self.notes.label_of(snapshot)
            if label:
                yield label
            yield from self.notes.tags_of(snapshot)


def split_steps(name: str) -> tuple[str, int]:
    """``NAME~2~`` as (``NAME``, 3): the base and how far back from it; (name, 0) without steps."""
    base, steps = name, 0
    while True:
        head, tilde, digits = base.rpartition("~")
        if not (tilde and head and (digits == "" or (digits.isascii() and digits.isdigit()))):
            return base, steps
        base, steps = head, steps + (min(int(digits[:12]), 1 << 40) if digits else 1)


def split_range(name: str) -> tuple[str, str] | None:
    """``A..B`` as (A, B), an empty side as ``@``; ``None`` for one name. Times in ``@{...}`` hold none."""
    at = name.find("..", name.find("}") + 1 if name.startswith("@{") else 0)
    return (name[:at] or "@", name[at + 2 :] or "@") if at >= 0 else None


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """At most three of ``names`` that ``name`` may have meant, the nearest first, each once.

    A name comes near when it contains what was typed, whatever the case, or when a
    third of the letters at most must be changed.
    """
    typed = name.lower()
    scored: dict[str, int] = {}
    for other in names:
        if other in scored:
            continue
        lower = other.lower()
        distance = 1 if typed and typed in lower else _distance(typed, lower, limit=(len(typed) + 2) // 3)
        scored[other] = distance
    best = sorted((distance, other) for other, distance in scored.items() if distance >= 0)
    return [other for _, other in best[:MAX_SUGGESTIONS]]


def _distance(a: str, b: str, limit: int) -> int:
    """Edits from ``a`` to ``b``, or -1 when there are more than ``limit``."""
    if abs(len(a) - len(b)) > limit:
        return -1
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (x != y))
        if min(row) > limit:
            return -1
    return row[-1] if row[-1] <= limit else -1
