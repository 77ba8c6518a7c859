"""The traced runs of a search, and which of them speak for a snapshot that was not run.

A run speaks for a snapshot when nothing it read differs there. Reads trees to find out
what differs; runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from casreplay.history.bisect_model import Verdict
from casreplay.history.bisect_reads import Reads, concerns
from casreplay.history.observations import Observation
from casreplay.model.changes import Change
from casreplay.model.ids import TreeId

__all__ = ["TracedRuns"]

MAX_COMPARED = 12
"""Traced runs, the nearest first, that a snapshot is compared with before it is run."""


@dataclass(slots=True)
class _Known:
    """One traced run that may stand for others."""

    position: int
    root: TreeId
    seen: Observation
    reads: Reads


@dataclass(slots=True)
class TracedRuns:
    """The traced runs of one search, and which of them speak for a snapshot that was not run.

    Args:
        changes: what differs between two trees, added and deleted folders included.
    """

    changes: Callable[[TreeId, TreeId], Iterable[Change]]
    reused: int = 0
    unclear: dict[str, int] = field(default_factory=dict)
    _known: list[_Known] = field(default_factory=list)
    _last: dict[int, Reads] = field(default_factory=dict)

    def add(self, position: int, root: TreeId, seen: Observation) -> None:
        """Keep a run that was made."""
        reads = seen.reads
        if reads is None:
            return
        self._last[position] = reads
        if not reads.proves:
            why = reads.unclear or "the whole folder counts"
            self.unclear[why] = self.unclear.get(why, 0) + 1
        elif seen.verdict is not None and (seen.verdict is not Verdict.SKIP or seen.signature is not None):
            self._known = [one for one in self._known if one.position != position]
            self._known.append(_Known(position, root, seen, reads))

    def reads_at(self, position: int) -> Reads | None:
        """What the last traced run at ``position`` read; ``None`` when none was."""
        return self._last.get(position)

    def speaks_for(self, position: int, root: TreeId) -> Observation | None:
        """The observation of a traced run that would have read the same in ``root``.

        Cost: a diff with each of the ``MAX_COMPARED`` nearest traced runs, as far as its first
        change that counts.
        """
        nearest: Sequence[_Known] = sorted(self._known, key=lambda one: abs(one.position - position))
        for one in nearest[:MAX_COMPARED]:
            if not any(concerns(one.reads, change) for change in self.changes(one.root, root)):
                self.reused += 1
                return one.seen
        return None
