"""An incident as a value: what is known of it, where it stands, and how long each step took.

Owns the states and the transitions between them. ``incidents.database`` keeps incidents;
``report`` shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from casreplay.errors import UsageError
from casreplay.model.findings import Severity

__all__ = [
    "Action",
    "ActionKind",
    "Incident",
    "IncidentEvent",
    "IncidentNote",
    "Occurrence",
    "Status",
    "incident_number",
]

PREFIX = "INC-"


class Status(StrEnum):
    """Where an incident stands."""

    TRIAGE = "triage"
    STARTED = "started"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    CLOSED = "closed"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to do something; snapshots of open incidents are pinned."""
        return self in (Status.TRIAGE, Status.STARTED, Status.MITIGATED)


_ALLOWED: Mapping[Status, tuple[Status, ...]] = {
    Status.TRIAGE: (Status.STARTED, Status.MITIGATED, Status.RESOLVED, Status.CANCELLED),
    Status.STARTED: (Status.MITIGATED, Status.RESOLVED, Status.CANCELLED, Status.TRIAGE),
    Status.MITIGATED: (Status.RESOLVED, Status.STARTED),
    Status.RESOLVED: (Status.CLOSED, Status.STARTED),
    Status.CLOSED: (Status.STARTED,),
    Status.CANCELLED: (Status.TRIAGE,),
}


def check_transition(now: Status, wanted: Status) -> None:
    """Raise ``UsageError`` when an incident cannot go from ``now`` to ``wanted``; says what it can."""
    if wanted not in _ALLOWED[now]:
        raise UsageError(
            f"An incident that is {now} cannot become {wanted}",
            hint=f"From {now} it can become {' or '.join(_ALLOWED[now])}",
            status=now.value,
            wanted=wanted.value,
        )


class ActionKind(StrEnum):
    """What an action item is for."""

    PREVENT = "prevent"
    MITIGATE = "mitigate"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class Action:
    """Something to be done because of an incident; numbered from 1 within it."""

    number: int
    kind: ActionKind
    text: str
    owner: str = ""
    done_ns: int | None = None

    def to_dict(self) -> dict[str, object]:
        """JSON: ``number, kind, text, owner, done_ns``."""
        return {
            "number": self.number,
            "kind": self.kind.value,
            "text": self.text,
            "owner": self.owner,
            "done_ns": self.done_ns,
        }


@dataclass(frozen=True, slots=True)
class IncidentNote:
    """A remark: when, by whom (may be empty), what."""

    time_ns: int
    author: str
    text: str

    def to_dict(self) -> dict[str, object]:
        """JSON: ``time_ns, author, text``."""
        return {"time_ns": self.time_ns, "author": self.author, "text": self.text}


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """One change of an incident, in the order they happened."""

    time_ns: int
    what: str
    detail: str

    def to_dict(self) -> dict[str, object]:
        """JSON: ``time_ns, what, detail``."""
        return {"time_ns": self.time_ns, "what": self.what, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time the incident was seen: the pair of snapshots and when it was recorded."""

    good: str
    bad: str
    recorded_ns: int

    def to_dict(self) -> dict[str, object]:
        """JSON: ``good, bad, recorded_ns``."""
        return {"good": self.good, "bad": self.bad, "recorded_ns": self.recorded_ns}


@dataclass(frozen=True, slots=True)
class Incident:
    """Everything that is kept about one incident.

    Times are UTC nanoseconds, ``None`` while they have not come.

    Attributes:
        id: ``INC-0001`` and so on; never given twice.
        title: one line for people.
        severity: how much it matters.
        status: where it stands.
        owner: who works on it; may be empty.
        tags: sorted, without repetition.
        good: hex id of the last good snapshot; empty when unknown.
        bad: hex id of the first bad snapshot; empty when unknown.
        happened_ns: time of the first bad snapshot.
        detected_ns: when the incident was recorded.
        mitigated_ns, resolved_ns, closed_ns: when those states were reached last.
        root_cause: category id or ``undetermined``.
        cause_by: ``machine`` until a person sets the cause, then ``person``.
        fingerprint: what makes another incident the same pattern; see ``incidents.patterns``.
        merged_into: id of the incident this one was merged into; empty otherwise.
        analysis: the whole result of ``analyze`` as JSON values; reports are made from it.
        notes, actions, events, occurrences: in order.
    """

    id: str
    title: str
    severity: Severity
    status: Status
    owner: str
    tags: tuple[str, ...]
    good: str
    bad: str
    happened_ns: int | None
    detected_ns: int
    mitigated_ns: int | None
    resolved_ns: int | None
    closed_ns: int | None
    root_cause: str
    cause_by: str
    fingerprint: str
    merged_into: str = ""
    analysis: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[IncidentNote, ...] = ()
    actions: tuple[Action, ...] = ()
    events: tuple[IncidentEvent, ...] = ()
    occurrences: tuple[Occurrence, ...] = ()

    @property
    def time_to_detect_ns(self) -> int | None:
        """From the first bad snapshot to the record; never negative."""
        return None if self.happened_ns is None else max(0, self.detected_ns - self.happened_ns)

    @property
    def time_to_mitigate_ns(self) -> int | None:
        """From the record to ``mitigated`` (or ``resolved``, when that step was skipped)."""
        reached = self.mitigated_ns if self.mitigated_ns is not None else self.resolved_ns
        return None if reached is None else max(0, reached - self.detected_ns)

    @property
    def time_to_resolve_ns(self) -> int | None:
        """From the record to ``resolved``."""
        return None if self.resolved_ns is None else max(0, self.resolved_ns - self.detected_ns)

    def to_dict(self, *, whole: bool = True) -> dict[str, object]:
        """JSON values; ``whole=False`` leaves out the analysis and the lists but for their lengths."""
        fields: dict[str, object] = {
            "id": self.id,
            "title": self.title,
            "severity": self.severity.label,
            "status": self.status.value,
            "owner": self.owner,
            "tags": list(self.tags),
            "good": self.good or None,
            "bad": self.bad or None,
            "happened_ns": self.happened_ns,
            "detected_ns": self.detected_ns,
            "mitigated_ns": self.mitigated_ns,
            "resolved_ns": self.resolved_ns,
            "closed_ns": self.closed_ns,
            "time_to_detect_s": _seconds(self.time_to_detect_ns),
            "time_to_mitigate_s": _seconds(self.time_to_mitigate_ns),
            "time_to_resolve_s": _seconds(self.time_to_resolve_ns),
            "root_cause": self.root_cause,
            "cause_by": self.cause_by,
            "fingerprint": self.fingerprint,
            "merged_into": self.merged_into or None,
        }
        if not whole:
            return {**fields, "occurrences": len(self.occurrences), "open_actions": self._open_actions()}
        return {
            **fields,
            "notes": [note.to_dict() for note in self.notes],
            "actions": [action.to_dict() for action in self.actions],
            "events": [event.to_dict() for event in self.events],
            "occurrences": [one.to_dict() for one in self.occurrences],
            "analysis": dict(self.analysis),
        }

    def _open_actions(self) -> int:
        return sum(1 for action in self.actions if action.done_ns is None)


def _seconds(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else round(duration_ns / 1e9, 3)


def incident_id(number: int) -> str:
    """``INC-0001`` for 1; wider numbers keep all their digits."""
    return f"{PREFIX}{number:04d}"


def incident_number(text: str) -> int:
    """The number in ``INC-0001``, ``inc-1`` or ``1``.

    Raises:
        UsageError: the text names no incident.
    """
    digits = text.strip().upper().removeprefix(PREFIX)
    if not digits.isascii() or not digits.isdigit() or int(digits) < 1:
        raise UsageError(f"{text!r} is no incident id", hint="Incident ids look like INC-0001", id=text)
    return int(digits)
