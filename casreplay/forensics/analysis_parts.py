"""Parts of an analysis: key changes of configurations, decisions and the timeline of a change set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from casreplay.forensics import timeline as times
from casreplay.forensics.analysis_history import History
from casreplay.forensics.analysis_scene import Scene
from casreplay.forensics.config_diff.compare import compare, format_of
from casreplay.forensics.config_diff.entries import ConfigEntry
from casreplay.forensics.decisions import (
    DecisionFile,
    date_by_history,
    decisions_in,
    link_changes,
    lost_decisions,
    merged,
)
from casreplay.forensics.log_windows import as_lines, without_secrets
from casreplay.forensics.logs import read_lines
from casreplay.forensics.logs.records import records_of
from casreplay.forensics.newlines import NewLine
from casreplay.forensics.purged import content_left
from casreplay.forensics.redaction import Redactor
from casreplay.forensics.roles import Role, Roles
from casreplay.forensics.secrets.blobs import BlobSecrets
from casreplay.forensics.secrets.model import SecretMatch
from casreplay.forensics.triggers.log import LogChange
from casreplay.forensics.triggers.pair import file_blob
from casreplay.history.walk import find
from casreplay.model.causes import KeyChange, RootCause
from casreplay.model.changes import Change
from casreplay.model.events import Decision, Event, EventKind, TimeQuality
from casreplay.model.findings import Evidence, Finding
from casreplay.model.objects import TreeEntry
from casreplay.model.paths import to_json

__all__ = [
    "Decisions",
    "SafeLog",
    "change_row",
    "changed_decisions",
    "config_key_changes",
    "redacted_cause",
    "safe_lines",
    "safe_logs",
    "timeline_of",
]

MAX_CONFIG_BYTES = 2_000_000
MAX_NOTE_BYTES = 4 << 20
MAX_LOG_EVENTS = 1500
"""Records shown of all logs together; each gets its share."""
MIN_LOG_EVENTS = 60
ENDS = 20
"""Lines shown of the beginning and of the end of a log that has too many."""


def change_row(change: Change) -> dict[str, object]:
    """JSON of one change: path, kind, old path, sizes and blobs of both sides."""
    before, after = change.before, change.after
    row: dict[str, object] = {**to_json(change.path), "kind": change.kind.value, "old_path": None}
    if change.old_path is not None:
        row.update(to_json(change.old_path, "old_path"))
    for side, entry in (("before", before), ("after", after)):
        blob = entry.blob_id if entry else None
        row[f"size_{side}"] = entry.size_bytes if entry else None
        row[f"blob_{side}"] = blob.hex() if blob else None
    return row


def config_key_changes(scene: Scene, roles: Roles) -> list[KeyChange]:
    """Key-level differences of the configuration files that changed."""
    found: list[KeyChange] = []
    for change in scene.pair.changes:
        before, after = file_blob(change.before), file_blob(change.after)
        sizes = [entry.size_bytes for entry in (change.before, change.after) if entry is not None]
        is_config = format_of(change.path) and roles.of(change.path) is Role.CONFIG
        if (
            before is None
            or after is None
            or before == after
            or not is_config
            or max(sizes) > MAX_CONFIG_BYTES
        ):
            continue
        diff = compare(scene.objects.get(before), scene.objects.get(after), change.path)
        if diff is None or diff.failure is not None:
            continue
        for key in diff.changes:
            place = key.after or key.before
            kind = "type" if key.kind.value == "type-changed" else key.kind.value
            line = place.line if place else None
            found.append(KeyChange(change.path, key.key, kind, _value(key.before), _value(key.after), line))
    return found


def _value(entry: ConfigEntry | None) -> str:
    return entry.value if entry is not None else ""


def redacted_cause(cause: RootCause, redactor: Redactor) -> dict[str, Any]:
    """JSON of a root cause, every message without secrets."""
    fields: dict[str, Any] = cause.to_dict()
    for piece in fields["evidence"]:
        piece["message"] = redactor.text(piece["message"])
    for remedy in fields["remediation"]:
        remedy["text"] = redactor.text(remedy["text"])
    return fields


@dataclass(frozen=True, slots=True)
class SafeLog:
    """A changed log and its new lines without secrets.

    Attributes:
        change: of the log.
        new: new lines and the known lines of their blocks.
    """

    change: Change
    new: Sequence[NewLine]


def safe_logs(logs: Iterable[LogChange], secrets: BlobSecrets) -> list[SafeLog]:
    """The new lines of ``logs`` without the secrets known to be in them, those that span lines included."""
    found = []
    for log in logs:
        blob = file_blob(log.change.after)
        matches = secrets.of(blob, log.change.path) if blob is not None else ()
        found.append(SafeLog(log.change, safe_lines(log.new.lines, matches)))
    return found


def safe_lines(lines: Sequence[NewLine], matches: Sequence[SecretMatch]) -> Sequence[NewLine]:
    """``lines`` without the secrets that ``matches`` names; the same object when it names none."""
    if not matches:
        return lines
    shown = without_secrets(as_lines(lines), matches)
    return tuple(
        line if line.text is safe.text else replace(line, text=safe.text)
        for line, safe in zip(lines, shown, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was decided between two states.

    Attributes:
        found: in order.
        lost: those of changed notes that are gone, with ``deleted`` or what they became.
        problems: as sentences.
    """

    found: Sequence[Decision]
    lost: Sequence[tuple[Decision, str]]
    problems: Sequence[str]


def changed_decisions(
    scene: Scene, roles: Roles, logs: Sequence[SafeLog], secrets: BlobSecrets, history: History
) -> Decisions:
    """Decisions in what is new in logs and notes, dated, with the changes they name; and what was lost."""
    problems: list[str] = []
    markers = scene.repository.config.decision_markers
    redactor = Redactor(secrets.scanner)
    noted = list(_note_changes(scene, roles, secrets))
    old = decisions_in((before for before, _ in noted if before), markers, redactor, problems)
    new = decisions_in((after for _, after in noted if after), markers, redactor, problems)
    known = {(one.evidence.path, one.text) for one in old}
    fresh = [_dated(scene, one, history) for one in new if (one.evidence.path, one.text) not in known]
    fresh += decisions_in(_log_files(scene, logs), markers, redactor, problems)
    found = link_changes(merged(fresh), [change.path for change in scene.pair.changes])
    notes = {one.path for pair in noted for one in pair if one}
    return Decisions(found, lost_decisions(old, new, notes), problems)


def _note_changes(
    scene: Scene, roles: Roles, secrets: BlobSecrets
) -> Iterator[tuple[DecisionFile | None, DecisionFile | None]]:
    """Both sides of every note that changed, was added or deleted."""
    before = scene.before.id.hex() if scene.before else None
    after = scene.after.id.hex() if scene.after else None
    for change in scene.pair.changes:
        if roles.of(change.path) is Role.MEMORY and file_blob(change.before) != file_blob(change.after):
            yield (
                _note(scene, change.path, change.before, before, secrets),
                _note(scene, change.path, change.after, after, secrets),
            )


def _note(
    scene: Scene, path: bytes, entry: TreeEntry | None, snapshot: str | None, secrets: BlobSecrets
) -> DecisionFile | None:
    blob = file_blob(entry)
    if blob is None or entry is None or entry.size_bytes > MAX_NOTE_BYTES:
        return None
    lines = list(without_secrets(read_lines(content_left(scene.objects, blob)), secrets.of(blob, path)))
    return DecisionFile(path, lines, blob, snapshot, is_note=True)


def _log_files(scene: Scene, logs: Sequence[SafeLog]) -> Iterator[DecisionFile]:
    after = scene.after.id.hex() if scene.after else None
    for log in logs:
        lines = log.new[-scene.repository.config.max_log_lines :]  # 0: all of them
        yield DecisionFile(log.change.path, as_lines(lines), file_blob(log.change.after), after)


def _dated(scene: Scene, decision: Decision, history: History) -> Decision:
    """A decision without a time gets that of the first snapshot on the way that holds it."""
    if decision.time_ns is not None:
        return decision
    path = decision.evidence.path

    def reader(root: Any) -> bytes:
        blob = file_blob(find(scene.objects, root, path))
        return content_left(scene.objects, blob) if blob is not None else b""

    at = history.first_change.get(path, 0)
    versions = ((one.time_ns, lambda one=one: reader(one.root)) for one in history.snapshots[at:])
    return date_by_history(decision, versions)


def timeline_of(
    scene: Scene,
    history: History,
    logs: Sequence[SafeLog],
    judged: tuple[Sequence[Finding], Sequence[Decision]],
    redactor: Redactor,
) -> list[Event]:
    """Everything that happened between the two states, in order."""
    findings, decisions = judged
    events = times.snapshot_events(history.snapshots)
    events += times.change_events(
        times.ChangedAt(history.as_shown(change), history.shown_by(change.path))
        for change in scene.pair.changes
    )
    known: times.Known = {}
    for log in logs:
        found = _log_events(scene, log, redactor, max(MIN_LOG_EVENTS, MAX_LOG_EVENTS // len(logs)))
        for event in found:
            if event.time_ns is not None:
                known[log.change.path, event.evidence.line] = (event.time_ns, event.quality)
        events += found
    for change in scene.pair.changes:
        snapshot = history.shown_by(change.path)
        if snapshot is not None:
            for path in {change.path, change.old_path or change.path}:
                known.setdefault((path, None), (snapshot.time_ns, TimeQuality.INFERRED))
    last = scene.after.time_ns if scene.after else None
    events += times.finding_events(findings, known, last)
    events += times.decision_events(decisions)
    return times.order(_unrepeated(events))


def _unrepeated(events: Sequence[Event]) -> Iterator[Event]:
    """Without the log records that state a decision which is an event itself."""
    stated = {(one.evidence.path, one.evidence.line) for one in events if one.kind is EventKind.DECISION}
    for one in events:
        if one.kind is not EventKind.LOG or (one.evidence.path, one.evidence.line) not in stated:
            yield one


def _log_events(scene: Scene, log: SafeLog, redactor: Redactor, most: int) -> list[Event]:
    """The new records of one log; of very many its ends and those that speak of trouble."""
    lines = log.new
    if len(lines) > most:
        loud = [line for line in lines if line.cause]
        chosen = {line.number: line for line in (*lines[:ENDS], *loud[-most:], *lines[-ENDS:])}
        lines = [chosen[number] for number in sorted(chosen)]
    snapshot = scene.after.id.hex() if scene.after else None
    evidence = Evidence(log.change.path, snapshot, file_blob(log.change.after))
    wanted = [line.number for line in lines]
    return times.log_events(records_of(as_lines(lines)), evidence, redactor, new=wanted)[:most]
