"""One ordered view: snapshots, file changes, log records, findings, decisions, commands.

Owns the order. Events with a known time come by time; at equal times by kind, then path
and line, so that the same input always gives the same order. What has no time of its own
gets that of the last timed record of its log, or of the first snapshot that shows its path,
marked as inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from casreplay.forensics.logs import LogRecord
from casreplay.forensics.redaction import Redactor
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.events import Decision, Event, EventKind, TimeQuality
from casreplay.model.findings import Evidence, Finding
from casreplay.model.ids import short
from casreplay.model.objects import Snapshot
from casreplay.model.paths import display

__all__ = [
    "ChangedAt",
    "Known",
    "change_events",
    "decision_events",
    "finding_events",
    "log_events",
    "order",
    "snapshot_events",
]

MAX_TEXT = 240
_RANK = {
    kind: i
    for i, kind in enumerate(
        (
            EventKind.DECISION,
            EventKind.COMMAND,
            EventKind.CHANGE,
            EventKind.LOG,
            EventKind.FINDING,
            EventKind.SNAPSHOT,
        )
    )
}
_COMMAND = re.compile(
    r"^\s*(?:[$+]\s|>>>\s|(?:running|executing|exec|run|cmd|command)(?:\s+command)?\s*[:=]\s)\s*(\S.*)",
    re.IGNORECASE,
)
_QUALITIES = {quality.value: quality for quality in TimeQuality}


@dataclass(frozen=True, slots=True)
class ChangedAt:
    """A change, its ``after`` as in the snapshot that first shows it (``None``: only the folder does)."""

    change: Change
    snapshot: Snapshot | None


def order(events: Iterable[Event]) -> list[Event]:
    """``events`` in the one order of a timeline; those without any time come last."""
    return sorted(
        events,
        key=lambda event: (
            event.time_ns is None,
            event.time_ns or 0,
            _RANK[event.kind],
            event.evidence.path,
            event.evidence.line or 0,
            event.text,
        ),
    )


def snapshot_events(snapshots: Iterable[Snapshot]) -> list[Event]:
    """One event a snapshot, with its label."""
    return [
        Event(
            EventKind.SNAPSHOT,
            f"Snapshot {short(one.id)}" + (f" {one.label}" if one.label else ""),
            one.time_ns,
            TimeQuality.EXACT,
            Evidence(b"", one.id.hex()),
        )
        for one in snapshots
    ]


def change_events(changes: Iterable[ChangedAt]) -> list[Event]:
    """One event a changed path, at the file's modification time if there is one, else the snapshot's."""
    found = []
    for item in changes:
        change, snapshot = item.change, item.snapshot
        time_ns, quality = _change_time(change, snapshot)
        blob = change.after.blob_id if change.after else None
        old = f" from {display(change.old_path)}" if change.old_path else ""
        evidence = Evidence(change.path, snapshot.id.hex() if snapshot else None, blob)
        found.append(
            Event(
                EventKind.CHANGE,
                f"{change.kind.value} {display(change.path)}{old}",
                time_ns,
                quality,
                evidence,
            )
        )
    return found


def _change_time(change: Change, snapshot: Snapshot | None) -> tuple[int | None, TimeQuality]:
    """A file's mtime, when it is believable: not after the snapshot that holds it."""
    limit = snapshot.time_ns if snapshot else None
    if change.after is not None and change.kind is not ChangeKind.RENAMED:
        mtime = change.after.mtime_ns
        if mtime > 0 and (limit is None or mtime <= limit):
            return mtime, TimeQuality.MTIME
    return (limit, TimeQuality.INFERRED) if limit is not None else (None, TimeQuality.NONE)


def log_events(
    records: Iterable[LogRecord], evidence: Evidence, redactor: Redactor, *, new: Sequence[int] | None = None
) -> list[Event]:
    """Records of one log as events; those that show a command being run are commands.

    Args:
        records: of the log, in order.
        evidence: the log itself; lines are filled in.
        redactor: takes secrets out.
        new: only records with one of these line numbers.
    """
    wanted = None if new is None else set(new)
    found: list[Event] = []
    last: int | None = None
    for record in records:
        if record.time_ns is not None:
            last = record.time_ns
        if wanted is not None and wanted.isdisjoint(record.lines):
            continue
        quality = _QUALITIES.get(
            {"naive": "naive", "exact": "exact"}.get(record.time_quality, "inferred"), TimeQuality.INFERRED
        )
        time_ns = record.time_ns if record.time_ns is not None else last
        command = _COMMAND.match(record.message)
        text = redactor.text(record.message.strip(), evidence.path)[:MAX_TEXT]
        if not text:
            continue
        found.append(
            Event(
                EventKind.COMMAND if command else EventKind.LOG,
                text,
                time_ns,
                quality if time_ns is not None else TimeQuality.NONE,
                Evidence(evidence.path, evidence.snapshot, evidence.blob, record.line, record.end_line),
                record.level,
            )
        )
    return found


Known = dict[tuple[bytes, int | None], tuple[int, TimeQuality]]
"""When something at a path and line, or at a path as a whole (``None``), happened."""


def finding_events(findings: Iterable[Finding], times: Known, fallback_ns: int | None) -> list[Event]:
    """One event a finding: at its line's time, else its path's, else at the time of the later state."""
    found = []
    for one in findings:
        at = one.location
        whole = times.get((at.path, None), (fallback_ns, TimeQuality.INFERRED))
        time_ns, quality = times.get((at.path, at.line), whole)
        if time_ns is None:
            quality = TimeQuality.NONE
        found.append(
            Event(
                EventKind.FINDING,
                f"{one.rule}: {one.message}"[:MAX_TEXT],
                time_ns,
                quality,
                at,
                one.severity.label,
            )
        )
    return found


def decision_events(decisions: Iterable[Decision]) -> list[Event]:
    """One event a decision."""
    return [
        Event(
            EventKind.DECISION,
            (one.text + (f" (because {one.why})" if one.why else ""))[:MAX_TEXT],
            one.time_ns,
            one.quality,
            one.evidence,
        )
        for one in decisions
    ]
