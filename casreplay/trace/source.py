"""The seam between what an agent left behind and decisions: records in, marked records out.

Plain text is the one source there is; a transcript format of an agent's own would be another.
A source is total: bytes it cannot read become a ``Problem``, never an exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from casreplay.model.events import TimeQuality
from casreplay.model.problems import Problem

__all__ = ["EventSource", "Marked", "TextRecord"]


@dataclass(frozen=True, slots=True)
class TextRecord:
    """One record of a log or one paragraph of a note.

    Attributes:
        line: first line, counted from 1.
        end_line: last line, inclusive.
        text: its text, lines joined by newlines.
        time_ns: when; ``None`` with quality ``none``.
        quality: how well the time is known.
    """

    line: int
    end_line: int
    text: str
    time_ns: int | None = None
    quality: TimeQuality = TimeQuality.NONE


@dataclass(frozen=True, slots=True)
class Marked:
    """A record that states a decision.

    Attributes:
        record: where.
        text: what was decided.
        why: the reason, when one is given.
        marker: the name of the marker that found it.
        confidence: 0.4 to 1.0.
        following: texts of the records right after it, up to the next decision, at most three.
    """

    record: TextRecord
    text: str
    why: str
    marker: str
    confidence: float
    following: tuple[str, ...] = ()


class EventSource(Protocol):
    """One format that decisions are read from."""

    def decisions(self, records: Iterable[TextRecord]) -> Iterator[Marked | Problem]:
        """Decisions in the order they stand; problems for what cannot be read."""
