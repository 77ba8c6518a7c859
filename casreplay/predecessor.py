"""The programming interface of casreplay's predecessor, Incident Replay, on casreplay's own parts.

A script written for it runs after changing only its import lines:

    from casreplay.predecessor import Analyzer, Capturer, Snapshot, _load_config

``docs/migrating.md`` maps every old call to the modern one. Results are dictionaries that
also answer to ``.to_dict()`` and to attributes, whichever way the old script used them.
The store is the one the command line uses for the same folder, so both see one history.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from casreplay.cli.store_location import StoreLocation, locate_for_writing, record
from casreplay.codec import config as config_codec
from casreplay.errors import UsageError
from casreplay.forensics.analysis import analyze
from casreplay.forensics.analysis_parts import change_row
from casreplay.forensics.decisions_history import decisions_of
from casreplay.forensics.triggers.history import check_snapshots
from casreplay.history.commit import CommitOptions
from casreplay.history.repository import Repository
from casreplay.incidents.database import NAME, IncidentDatabase
from casreplay.incidents.recording import record as record_incident
from casreplay.model import objects
from casreplay.model.incidents import Incident
from casreplay.model.paths import display
from casreplay.report.wording import moment

__all__ = ["Analyzer", "Capturer", "Record", "Snapshot", "_load_config"]


class Record(dict[str, Any]):
    """A dictionary whose keys are attributes too, with the ``to_dict`` old scripts call."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary."""
        return dict(self)


def _load_config(path: str) -> Record:
    """The configuration at ``path`` as the old scripts held it: a dictionary of upper-case keys.

    Raises:
        ConfigError: (a ``ValueError``) the path does not end in ``.json``, is missing, is over
            1 MB, or the content is wrong; every problem is named.
    """
    import json  # noqa: PLC0415 - only here

    config_codec.load(path)
    with open(path, "rb") as file:
        found = Record(json.load(file))
    found.setdefault("WORKSPACE_ROOT", ".")
    found["_path"] = os.path.abspath(path)
    return found


class Snapshot:
    """A snapshot as old scripts saw it.

    Attributes:
        id: full hex id.
        label: the label it was taken with.
        timestamp: ``2026-11-20 10:00:03 UTC``.
        file_count: files in it.
    """

    def __init__(self, snapshot: objects.Snapshot, files: Mapping[str, Mapping[str, Any]]) -> None:
        self.snapshot = snapshot
        self.id = snapshot.id.hex()
        self.label = snapshot.label
        self.timestamp = moment(snapshot.time_ns)
        self.file_count = snapshot.coverage.files
        self.files = files

    def to_dict(self) -> dict[str, Any]:
        """``id, label, timestamp, file_count, files`` (path to ``size`` and ``hash``)."""
        return {
            "id": self.id,
            "label": self.label,
            "timestamp": self.timestamp,
            "file_count": self.file_count,
            "files": {path: dict(one) for path, one in self.files.items()},
        }


class _Place:
    """The workspace and store that a configuration means."""

    def __init__(self, cfg: Mapping[str, Any]) -> None:
        base = os.path.dirname(str(cfg.get("_path") or os.path.abspath("casreplay.json")))
        self.config = config_codec.parse(_text({k: v for k, v in cfg.items() if k != "_path"}))
        root = os.path.realpath(os.path.join(base, os.path.expanduser(self.config.workspace_root)))
        if not os.path.isdir(root):
            raise UsageError(f"WORKSPACE_ROOT {root} is no folder", hint="Name the folder to record")
        self.location = self._located(os.fsencode(root), base)

    def _located(self, root: bytes, base: str) -> StoreLocation:
        if self.config.store:
            store = os.path.realpath(os.path.join(base, os.path.expanduser(self.config.store)))
            return StoreLocation(root, os.fsencode(store), "casreplay.json")
        return locate_for_writing(root, option=None, environ=os.environ)

    @contextmanager
    def repository(self) -> Iterator[Repository]:
        """The open repository; the store is made on first use."""
        where = self.location
        if not where.exists:
            Repository.init(where.workspace, where.store).close()
            if where.source == "default":
                record(where, os.environ)
        with Repository.open(where.store, where.workspace, config=self.config) as repository:
            yield repository


def _text(cfg: Mapping[str, Any]) -> str:
    import json  # noqa: PLC0415 - only here

    return json.dumps(cfg)


class Capturer:
    """Takes and compares snapshots of the configured workspace."""

    def __init__(self, cfg: Mapping[str, Any]) -> None:
        self._place = _Place(cfg)

    def take_snapshot(self, label: str = "") -> Snapshot:
        """Record the workspace as it is now, durably; always a new snapshot, as the predecessor did."""
        with self._place.repository() as repository:
            options = CommitOptions(label=label or "snapshot")
            return _old_snapshot(repository, repository.commit(options).snapshot)

    def diff_snapshots(self, before: Snapshot, after: Snapshot) -> list[Record]:
        """What changed, sorted by path: ``path, kind, old_path``, sizes and content ids of both sides."""
        with self._place.repository() as repository:
            return [Record(change_row(one)) for one in repository.diff(before.snapshot, after.snapshot)]

    def check_triggers(self, before: Snapshot, after: Snapshot) -> list[Record]:
        """The findings that fire between two snapshots, worst first; each has ``.to_dict()``."""
        with self._place.repository() as repository:
            result = check_snapshots(repository, before.snapshot, after.snapshot)
            return [Record(one.to_dict()) for one in result.findings]


def _old_snapshot(repository: Repository, snapshot: objects.Snapshot) -> Snapshot:
    files = {
        display(path): {"size": entry.size_bytes, "hash": entry.id.hex()}
        for path, entry in repository.walk(snapshot)
        if entry.blob_id is not None
    }
    return Snapshot(snapshot, files)


class Analyzer:
    """Decisions, timelines and incidents of the configured workspace."""

    def __init__(self, cfg: Mapping[str, Any]) -> None:
        self._place = _Place(cfg)

    def extract_decisions(self, snapshot: Snapshot) -> list[Record]:
        """Decisions in the logs and memory notes of a snapshot, by time where it is known."""
        with self._place.repository() as repository:
            return [Record(one.to_dict()) for one in decisions_of(repository, snapshot.snapshot)[0]]

    def build_timeline(
        self,
        snapshots: Sequence[Snapshot],
        triggers: Iterable[Mapping[str, Any]] = (),
        changes: Iterable[Mapping[str, Any]] = (),
    ) -> list[dict[str, Any]]:
        """Events from the first to the last snapshot in one order, as dictionaries.

        The events come from the snapshots themselves; triggers and changes that were given and
        are not among them (from other sources) are put at the time of the last snapshot.
        """
        ordered = sorted(snapshots, key=lambda one: one.snapshot.sequence)
        if not ordered:
            return []
        with self._place.repository() as repository:
            document = analyze(repository, ordered[0].snapshot, ordered[-1].snapshot)
        events: list[dict[str, Any]] = list(document["timeline"])
        known = {(one["kind"], one["path"]) for one in events}
        last = ordered[-1].snapshot.time_ns
        for kind, rows in (("finding", triggers), ("change", changes)):
            for row in rows:
                if (kind, row.get("path", "")) not in known:
                    text = str(row.get("message") or f"{row.get('kind', 'changed')} {row.get('path', '')}")
                    events.append(
                        {"kind": kind, "time_ns": last, "quality": "inferred", "text": text, **dict(row)}
                    )
        return events

    def create_incident(
        self,
        title: str,
        timeline: Sequence[Mapping[str, Any]] = (),
        **given: Any,
    ) -> Incident:
        """Record an incident and say its root cause.

        Args:
            title: one line for people.
            timeline: from ``build_timeline``; its first and last snapshot are analysed.
            given: ``triggers``, ``file_changes`` and ``decisions`` as the old interface passed
                them; kept with the incident when the timeline names no snapshots.

        Returns:
            The incident: ``.id`` is ``INC-0001`` and so on, ``.root_cause`` a category.
        """
        ids = [
            str(one["snapshot"]) for one in timeline if one.get("kind") == "snapshot" and one.get("snapshot")
        ]
        with self._place.repository() as repository:
            if ids:
                document = analyze(repository, repository.snapshot(ids[0]), repository.snapshot(ids[-1]))
            else:
                document = _document_of(timeline, given)
            path = os.path.join(os.fsdecode(self._place.location.store), NAME)
            with IncidentDatabase(path) as database:
                recorded = record_incident(database, document, title=title, force=True)
        assert recorded.incident is not None
        return recorded.incident


def _document_of(timeline: Sequence[Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """An analysis document from what a script has at hand; without snapshots no cause is named."""
    plain = {
        key: [dict(one) for one in given.get(key) or ()] for key in ("triggers", "file_changes", "decisions")
    }
    triggers = [one for one in plain["triggers"] if "severity" in one and "rule" in one]
    return {
        "incident": None,
        "root_cause": "undetermined",
        "confidence": 0.0,
        "candidates": [],
        "sub_cause": "",
        "evidence": [],
        "remediation": [],
        "loss": {"entries": [], "summary": {}},
        "changes": plain["file_changes"],
        "triggers": triggers,
        "coverage": {},
        "good": None,
        "bad": None,
        "timeline": [dict(one) for one in timeline],
        "decisions": plain["decisions"],
    }
