"""From two states to one document: changes, findings, timeline, decisions, root cause, loss.

Owns the order of the steps and the document's shape (``docs/json.md``, "analyze"). Every
judgement is made by the module it belongs to. The document holds plain JSON values, every
text redacted, so that an incident can keep it and a report be made from it much later.

A document is remembered in the store's cache under everything it depends on: both trees,
the configuration, the extra logs, the rules. Asking again costs a read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from casreplay.codec.hashing import blob_id
from casreplay.forensics.analysis_history import History, histories
from casreplay.forensics.analysis_parts import (
    SafeLog,
    change_row,
    changed_decisions,
    config_key_changes,
    redacted_cause,
    safe_lines,
    safe_logs,
    timeline_of,
)
from casreplay.forensics.analysis_scene import Scene, open_scene
from casreplay.forensics.classify import classify
from casreplay.forensics.loss import find_losses
from casreplay.forensics.newlines import new_lines
from casreplay.forensics.redaction import Redactor
from casreplay.forensics.roles import Roles
from casreplay.forensics.rootcause_case import Case, CaseLog
from casreplay.forensics.secrets.blobs import BlobSecrets
from casreplay.forensics.secrets.rules import default_rules
from casreplay.forensics.signals import load_rules
from casreplay.forensics.triggers.check import check
from casreplay.forensics.triggers.history import blob_secrets
from casreplay.forensics.triggers.log import LogChange, changed_logs, read_log
from casreplay.forensics.triggers.overlap import told_once
from casreplay.forensics.triggers.pair import Examined, Pair, file_blob
from casreplay.history.repository import Repository
from casreplay.history.walk import walk
from casreplay.model.changes import Change
from casreplay.model.ids import BlobId, ObjectId
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import Snapshot
from casreplay.model.paths import display

__all__ = ["AnalyzeOptions", "ExtraLog", "analyze", "with_incident"]

VERSION = 4
"""Raised whenever the document changes for the same input."""
MAX_PATHS = 20_000
"""Paths of the bad snapshot among which the classifier looks for code that names a changed file."""
MAX_TIMELINE = 2000
MAX_CHANGES = 5000


@dataclass(frozen=True, slots=True)
class ExtraLog:
    """A log from outside the workspace, for instance of the failing command.

    Attributes:
        name: shown as its path.
        data: its content, or the end of it.
        lines_before: lines that stand before ``data``.
    """

    name: str
    data: bytes
    lines_before: int = 0


@dataclass(frozen=True, slots=True)
class AnalyzeOptions:
    """What is known beside the two states.

    Attributes:
        logs: further logs.
        exit_code: of the failing command; ``None`` when unknown.
        engine: overrides ``SECRETS_ENGINE``.
        use_changes: whether the change set counts as evidence (``False`` only to measure what it adds).
    """

    logs: Sequence[ExtraLog] = ()
    exit_code: int | None = None
    engine: str | None = None
    use_changes: bool = True


def analyze(
    repository: Repository,
    good: Snapshot,
    bad: Snapshot | None,
    options: AnalyzeOptions | None = None,
    *,
    monitor: Monitor = SILENT,
) -> dict[str, Any]:
    """The analysis of ``good`` against ``bad`` (``None``: the folder as it is now).

    Returns:
        JSON values: ``incident`` (always ``None`` here), ``root_cause``, ``confidence``,
        ``candidates``, ``sub_cause``, ``evidence``, ``remediation``, ``loss``, ``changes``,
        ``triggers``, ``coverage``, ``good``, ``bad``, ``exit_code``, ``timeline``,
        ``decisions``, ``lost_decisions``.

    Cost: linear in the changed bytes; the second time one read from the cache.
    """
    wanted = options or AnalyzeOptions()
    with open_scene(repository, good, bad, monitor) as scene:
        key = _key(scene, wanted)
        kept = repository.store.read_cache(f"analysis-{key[:32]}")
        document = _remembered(kept, key)
        if document is None:
            document = _Analysis(scene, wanted, monitor).document()
            text = json.dumps({"key": key, "document": document}, separators=(",", ":")).encode()
            repository.store.write_cache(f"analysis-{key[:32]}", [text])
        return {**document, "good": _snapshot_row(good), "bad": _snapshot_row(bad)}


def _remembered(kept: bytes | None, key: str) -> dict[str, Any] | None:
    if kept is None:
        return None
    try:
        found = json.loads(kept)
        document: dict[str, Any] | None = found["document"] if found["key"] == key else None
    except (ValueError, KeyError, TypeError):
        return None
    return document


def _key(scene: Scene, options: AnalyzeOptions) -> str:
    """Everything the document depends on, as one digest."""
    config = scene.repository.config
    rules = load_rules(config.root_cause_categories)
    head = scene.repository.head() if scene.after is None else None
    parts = [
        str(VERSION),
        head.id.hex() if head else "",
        default_rules().digest.hex(),
        scene.before.id.hex() if scene.before else "",
        scene.after.id.hex() if scene.after else scene.root.hex(),
        repr(config),
        rules.digest,
        str(options.exit_code),
        str(options.use_changes),
        *(f"{log.name} {log.lines_before} {blob_id(log.data).hex()}" for log in options.logs),
    ]
    return blob_id("\0".join(parts).encode("utf-8", "surrogateescape")).hex()


class _LogReader:
    """Reads what is new in a log once, for triggers and analysis."""

    def __init__(self) -> None:
        self._known: dict[bytes, LogChange | None] = {}

    def __call__(self, pair: Pair, change: Change, examined: Examined) -> LogChange | None:
        """See ``triggers.log.read_log``."""
        if change.path not in self._known:
            self._known[change.path] = read_log(pair, change, examined)
        return self._known[change.path]


class _Analysis:
    """One run over one scene."""

    def __init__(self, scene: Scene, options: AnalyzeOptions, monitor: Monitor) -> None:
        self.scene = scene
        self.options = options
        self.monitor = monitor
        self.config = scene.repository.config
        self.roles = Roles(self.config)
        self.examined = Examined()

    def document(self) -> dict[str, Any]:
        """All steps, in order."""
        scene, pair = self.scene, self.scene.pair
        history = histories(scene.repository, scene.before, scene.after)
        with blob_secrets(scene.repository, objects=scene.objects, engine=self.options.engine) as secrets:
            redactor = Redactor(secrets.scanner)
            reader = _LogReader()
            result = check(pair, self.config, secrets, read=reader, monitor=self.monitor)
            self.monitor.stage("reading logs")
            changed = (
                reader(pair, one, self.examined) for one in changed_logs(pair, self.roles, self.examined)
            )
            logs = safe_logs((log for log in changed if log is not None), secrets)
            decisions = changed_decisions(scene, self.roles, logs, secrets, history)
            self.monitor.stage("weighing evidence")
            case = self._case(logs, secrets)
            cause = redacted_cause(classify(case, load_rules(self.config.root_cause_categories)), redactor)
            losses = self._losses(history)
            findings, repeated = told_once(result.findings)
            timeline = timeline_of(scene, history, logs, (findings, decisions.found), redactor)
        coverage = {
            **result.coverage,
            "notes": [
                *_notes(result.coverage),
                *_repeated(repeated),
                *decisions.problems,
                *self._partly(),
                *_truncated(len(timeline), len(pair.changes)),
            ],
            "before": scene.before.coverage.to_dict() if scene.before else None,
            "after": scene.coverage.to_dict(),
        }
        return {
            "incident": None,
            **cause,
            "loss": losses,
            "changes": [change_row(change) for change in pair.changes[:MAX_CHANGES]],
            "triggers": [finding.to_dict() for finding in findings],
            "coverage": coverage,
            "good": _snapshot_row(scene.before),
            "bad": _snapshot_row(scene.after),
            "exit_code": self.options.exit_code,
            "timeline": [event.to_dict() for event in timeline[:MAX_TIMELINE]],
            "decisions": [one.to_dict() for one in decisions.found],
            "lost_decisions": [{**one.to_dict(), "became": became} for one, became in decisions.lost],
        }

    def _partly(self) -> list[str]:
        return [
            f"Of {display(os.fsencode(log.name))} only the end was read, from line {log.lines_before + 1:,}"
            for log in self.options.logs
            if log.lines_before
        ]

    def _case(self, logs: Sequence[SafeLog], secrets: BlobSecrets) -> Case:
        scene = self.scene
        after = scene.after.id.hex() if scene.after else None
        found = [CaseLog(log.change.path, log.new, after, file_blob(log.change.after)) for log in logs]
        for log in self.options.logs:
            path = os.fsencode(log.name)
            lines = safe_lines(new_lines(None, log.data).lines, secrets.scanner.scan((log.data,), path))
            if log.lines_before:
                lines = [replace(line, number=line.number + log.lines_before) for line in lines]
            found.append(CaseLog(path, lines))
        use = self.options.use_changes
        return Case(
            logs=found,
            changes=scene.pair.changes if use else None,
            key_changes=config_key_changes(scene, self.roles) if use else (),
            exit_code=self.options.exit_code,
            read_before=lambda path: scene.read(path, later=False),
            read_after=lambda path: scene.read(path, later=True),
            paths=[path for path, _ in islice(walk(scene.objects, scene.root), MAX_PATHS)],
            snapshot_before=scene.before.id.hex() if scene.before else None,
            snapshot_after=after,
        )

    def _losses(self, history: History) -> dict[str, object]:
        store = self.scene.repository.objects

        def has(blob: BlobId) -> bool:
            return store.has(ObjectId(blob))

        ledger = find_losses(self.scene.pair.changes, self.scene.objects.get, has, history.place)
        return ledger.to_dict()


def _notes(coverage: Mapping[str, Any]) -> list[str]:
    return list(coverage.get("notes") or ())


def _repeated(findings: int) -> list[str]:
    if not findings:
        return []
    return [f"Findings of own log triggers left out because built-in rules tell the same: {findings:,}"]


def _truncated(events: int, changes: int) -> list[str]:
    notes = []
    if events > MAX_TIMELINE:
        notes.append(f"The timeline shows {MAX_TIMELINE:,} of {events:,} events")
    if changes > MAX_CHANGES:
        notes.append(f"The list of changes shows {MAX_CHANGES:,} of {changes:,}")
    return notes


def _snapshot_row(snapshot: Snapshot | None) -> dict[str, object] | None:
    if snapshot is None:
        return None
    return {
        "id": snapshot.id.hex(),
        "sequence": snapshot.sequence,
        "label": display(snapshot.label.encode("utf-8", "surrogateescape")),
        "time_ns": snapshot.time_ns,
    }


def with_incident(document: dict[str, Any], incident: str | None) -> dict[str, Any]:
    """The same document naming the incident it was recorded as."""
    return {**document, "incident": incident}
