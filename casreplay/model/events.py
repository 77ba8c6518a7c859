"""Events on a timeline and decisions: what happened when, and how well the time is known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from casreplay.model.findings import Evidence

__all__ = ["Decision", "Event", "EventKind", "TimeQuality"]


class TimeQuality(StrEnum):
    """How well an event's time is known; the words are part of the JSON."""

    EXACT = "exact"
    NAIVE = "naive"
    """A local time without an offset, taken as the reader's zone."""
    INFERRED = "inferred"
    """From what stands around it: the record before, the first snapshot that holds it."""
    MTIME = "mtime"
    """The file's modification time."""
    NONE = "none"


class EventKind(StrEnum):
    """What an event is; the words are part of the JSON."""

    SNAPSHOT = "snapshot"
    CHANGE = "change"
    LOG = "log"
    FINDING = "finding"
    DECISION = "decision"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: what it is.
        text: one line for people, redacted.
        time_ns: UTC nanoseconds; ``None`` with quality ``none``.
        quality: how well the time is known.
        evidence: where it is proved; a snapshot's own evidence has an empty path.
        level: severity or log level; empty where there is none.
    """

    kind: EventKind
    text: str
    time_ns: int | None
    quality: TimeQuality
    evidence: Evidence
    level: str = ""

    def to_dict(self) -> dict[str, object]:
        """JSON: ``kind, time_ns, quality, text, level`` and the evidence's location keys."""
        return {
            "kind": self.kind.value,
            "time_ns": self.time_ns,
            "quality": self.quality.value,
            "text": self.text,
            "level": self.level,
            **self.evidence.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision somebody wrote down.

    Attributes:
        text: what was decided, redacted.
        why: the reason given; empty when none was.
        followed: what came after it, in order: files that changed and were named, later records.
        marker: which marker found it.
        confidence: 0.4 to 1.0, how sure it is that this is a decision.
        time_ns: when; ``None`` with quality ``none``.
        quality: how well the time is known.
        evidence: where it is written.
    """

    text: str
    why: str
    followed: tuple[str, ...]
    marker: str
    confidence: float
    time_ns: int | None
    quality: TimeQuality
    evidence: Evidence

    def to_dict(self) -> dict[str, object]:
        """JSON: ``text, why, followed, marker, confidence, time_ns, quality`` and the location keys."""
        return {
            "text": self.text,
            "why": self.why,
            "followed": list(self.followed),
            "marker": self.marker,
            "confidence": self.confidence,
            "time_ns": self.time_ns,
            "quality": self.quality.value,
            **self.evidence.to_dict(),
        }
