"""The traced runs of a search, and which of them speak for a snapshot that was not run.

A run speaks for a snapshot when nothing it read differs there. Reads trees to find out;
runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from casreplay.history.bisect_model import Verdict
from casreplay.history.bisect_reads import Reads
from casreplay.history.bisect_same import MAX_READ_DEPTH, SameReads
from casreplay.history.observations import Observation
from casreplay.model.objects import Snapshot
from casreplay.store.base import ObjectReader

__all__ = ["TracedRuns"]

MAX_ASKED = 32
"""Distinct sets of reads, the newest first, that a snapshot is compared with before it is run."""


@dataclass(slots=True)
class _Group:
    """The runs that read the same paths, by what they found there."""

    same: SameReads
    seen: dict[bytes, Observation] = field(default_factory=dict)


@dataclass(slots=True)
class TracedRuns:
    """The traced runs of one search.

    Args:
        objects: where trees are read.
    """

    objects: ObjectReader
    reused: int = 0
    unclear: dict[str, int] = field(default_factory=dict)
    _groups: dict[Reads, _Group] = field(default_factory=dict)
    _last: dict[int, Reads] = field(default_factory=dict)

    def add(self, position: int, snapshot: Snapshot, seen: Observation) -> None:
        """Keep a run that was made on ``snapshot``."""
        reads = seen.reads
        if reads is None:
            return
        self._last[position] = reads
        why = _why_not(reads)
        if why:
            self.unclear[why] = self.unclear.get(why, 0) + 1
        elif seen.verdict is not None and (seen.verdict is not Verdict.SKIP or seen.signature is not None):
            # The counts say nothing about what has to be the same.
            key = replace(reads, files=0, absent=0, outside=0)
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = _Group(SameReads(self.objects, key))
            group.seen[group.same.value(snapshot.root, snapshot.tree)] = seen

    def reads_at(self, position: int) -> Reads | None:
        """What the last traced run at ``position`` read; ``None`` when none was."""
        return self._last.get(position)

    def speaks_for(self, snapshot: Snapshot) -> Observation | None:
        """The observation of a traced run that would have read the same in ``snapshot``.

        Cost: the folders on the way to what was read, those that no earlier snapshot shared.
        """
        for group in list(reversed(self._groups.values()))[:MAX_ASKED]:
            seen = group.seen.get(group.same.value(snapshot.root, snapshot.tree))
            if seen is not None:
                self.reused += 1
                return seen
        return None


def _why_not(reads: Reads) -> str:
    """Why a run cannot stand for others; empty when it can."""
    if reads.unclear:
        return reads.unclear
    if b"" in reads.whole:
        return "the whole folder counts"
    paths = (path for group in (reads.touched, reads.named, reads.listed, reads.whole) for path in group)
    if any(path.count(b"/") >= MAX_READ_DEPTH for path in paths):
        return "it looked too deep"
    return ""
