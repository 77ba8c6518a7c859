"""Parts of an analysis: key changes of configurations, decisions and the timeline of a change set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from casreplay.forensics import timeline as times
from casreplay.forensics.analysis_history import History
from casreplay.forensics.analysis_scene import Scene
from casreplay.forensics.config_diff.compare import compare, format_of
from casreplay.forensics.config_diff.entries import ConfigEntry
from casreplay.forensics.decisions import DecisionFile, date_by_history, decisions_in, link_changes
from casreplay.forensics.logs import read_records
from casreplay.forensics.newlines import new_lines
from casreplay.forensics.redaction import Redactor
from casreplay.forensics.roles import Role, Roles
from casreplay.forensics.triggers.log import LogChange
from casreplay.forensics.triggers.pair import file_blob
from casreplay.history.walk import find
from casreplay.model.causes import KeyChange, RootCause
from casreplay.model.changes import Change
from casreplay.model.events import Decision, Event, TimeQuality
from casreplay.model.findings import Evidence, Finding
from casreplay.model.paths import to_json

__all__ = ["change_row", "changed_decisions", "config_key_changes", "redacted_cause", "timeline_of"]

MAX_CONFIG_BYTES = 2_000_000
MAX_TEXT_FILE_BYTES = 64 << 20
MAX_LOG_EVENTS = 1500
LOUD = ("warning", "error", "fatal")
"""Levels that a timeline shows when a log has too many records for all."""


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


def changed_decisions(
    scene: Scene, roles: Roles, logs: Sequence[LogChange], redactor: Redactor, history: History
) -> tuple[list[Decision], list[str]]:
    """Decisions in what is new in logs and notes, dated, with the changes they name; and problems."""
    problems: list[str] = []
    markers = scene.repository.config.decision_markers
    found: list[Decision] = []
    new: dict[bytes, set[int]] = {log.change.path: {line.number for line in log.new.lines} for log in logs}
    files = [*_note_files(scene, roles, new), *_log_files(scene, logs)]
    for one in decisions_in(files, markers, redactor, problems):
        if (one.evidence.line or 0) in new.get(one.evidence.path, ()):
            dated = one if one.time_ns is not None else _dated(scene, one, history)
            found.append(dated)
    found.sort(
        key=lambda one: (one.time_ns is None, one.time_ns or 0, one.evidence.path, one.evidence.line or 0)
    )
    return link_changes(found, [change.path for change in scene.pair.changes]), problems


def _note_files(scene: Scene, roles: Roles, new: dict[bytes, set[int]]) -> Iterator[DecisionFile]:
    after = scene.after.id.hex() if scene.after else None
    for change in scene.pair.changes:
        blob = file_blob(change.after)
        if blob is None or roles.of(change.path) is not Role.MEMORY or change.path in new:
            continue
        if change.after is None or change.after.size_bytes > MAX_TEXT_FILE_BYTES:
            continue
        data = scene.objects.get(blob)
        old = file_blob(change.before)
        fresh = new_lines(scene.objects.get(old) if old else None, data)
        new[change.path] = {line.number for line in fresh.lines if line.novel}
        yield DecisionFile(change.path, data, blob, after, is_note=True)


def _log_files(scene: Scene, logs: Sequence[LogChange]) -> Iterator[DecisionFile]:
    after = scene.after.id.hex() if scene.after else None
    for log in logs:
        blob = file_blob(log.change.after)
        entry = log.change.after
        if blob is not None and entry is not None and entry.size_bytes <= MAX_TEXT_FILE_BYTES:
            yield DecisionFile(log.change.path, scene.objects.get(blob), blob, after)


def _dated(scene: Scene, decision: Decision, history: History) -> Decision:
    """A decision without a time gets that of the first snapshot on the way that holds it."""
    path = decision.evidence.path

    def reader(root: Any) -> bytes:
        entry = find(scene.objects, root, path)
        blob = file_blob(entry)
        return scene.objects.get(blob) if blob is not None else b""

    versions = ((one.time_ns, lambda one=one: reader(one.root)) for one in history.snapshots)
    return date_by_history(decision, versions)


def timeline_of(
    scene: Scene,
    history: History,
    logs: Sequence[LogChange],
    judged: tuple[Sequence[Finding], Sequence[Decision]],
    redactor: Redactor,
) -> list[Event]:
    """Everything that happened between the two states, in order."""
    findings, decisions = judged
    events = times.snapshot_events(history.snapshots)
    events += times.change_events(
        times.ChangedAt(change, history.shown_by(change.path)) for change in scene.pair.changes
    )
    known: dict[tuple[bytes, int | None], tuple[int, TimeQuality]] = {}
    for log in logs:
        found = _log_events(scene, log, redactor)
        for event in found:
            if event.time_ns is not None:
                known[log.change.path, event.evidence.line] = (event.time_ns, event.quality)
        events += found
    last = scene.after.time_ns if scene.after else None
    events += times.finding_events(findings, known, last)
    events += times.decision_events(decisions)
    return times.order(events)


def _log_events(scene: Scene, log: LogChange, redactor: Redactor) -> list[Event]:
    """The new records of one log; only the loud ones when there are very many."""
    blob, entry = file_blob(log.change.after), log.change.after
    if blob is None or entry is None:
        return []
    lines = [line.number for line in log.new.lines]
    evidence = Evidence(log.change.path, scene.after.id.hex() if scene.after else None, blob)
    if entry.size_bytes <= MAX_TEXT_FILE_BYTES:
        records = list(read_records(scene.objects.get(blob)))
        if len(lines) > MAX_LOG_EVENTS:
            causes = {line.number for line in log.new.lines if line.cause}
            records = [one for one in records if one.level in LOUD or not causes.isdisjoint(one.lines)]
        return times.log_events(records, evidence, redactor, new=lines)[:MAX_LOG_EVENTS]
    return []
