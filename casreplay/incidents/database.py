"""Incidents on disk: create, read, change, merge, export. SQLite in the store's folder.

Owns persistence and the history of each incident's changes. Rules of the life cycle are
in ``model.incidents``; what makes two incidents one pattern is in ``incidents.patterns``.
Every change is one transaction; several processes may use the database at once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from casreplay.clock import Clock, system_clock
from casreplay.errors import ConfigError, UnknownNameError, UsageError
from casreplay.incidents.records import read_incident, read_summary
from casreplay.incidents.schema import connect, transaction
from casreplay.incidents.transfer import insert_incident
from casreplay.model.findings import Severity
from casreplay.model.incidents import (
    ActionKind,
    Incident,
    Status,
    check_transition,
    incident_id,
    incident_number,
)

__all__ = ["Draft", "IncidentDatabase"]

NAME = "incidents.db"
EXPORT_VERSION = 1
_EDITABLE = ("title", "severity", "owner", "root_cause")
_STAMPS = {Status.MITIGATED: "mitigated_ns", Status.RESOLVED: "resolved_ns", Status.CLOSED: "closed_ns"}


@dataclass(frozen=True, slots=True)
class Draft:
    """What an incident is created from; see ``Incident`` for the fields."""

    title: str
    severity: Severity = Severity.MEDIUM
    good: str = ""
    bad: str = ""
    happened_ns: int | None = None
    root_cause: str = "undetermined"
    fingerprint: str = ""
    tags: tuple[str, ...] = ()
    analysis: Mapping[str, Any] = field(default_factory=dict)


class IncidentDatabase:
    """The incidents of one store. Use as a context manager.

    Args:
        path: the database file; made when missing.
        clock: the time of changes.

    Raises:
        UnknownFormatError, CorruptError, StoreIOError: see ``incidents.schema.connect``.
    """

    def __init__(self, path: str, *, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._db = connect(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Reading

    def get(self, name: str) -> Incident:
        """The incident called ``name`` (``INC-0001``, ``inc-1`` or ``1``), whole.

        Raises:
            UnknownNameError: there is none; the hint says how to list them.
        """
        return read_incident(self._db, self._row(incident_number(name)))

    def incidents(
        self, *, statuses: Iterable[Status] = (), since_ns: int | None = None, tag: str = ""
    ) -> list[Incident]:
        """Incidents, newest first, with their occurrences, tags and actions, without analyses.

        Args:
            statuses: only these; all when empty.
            since_ns: only those recorded at this time or later.
            tag: only those that carry it.
        """
        wanted = {status.value for status in statuses}
        rows = self._db.execute("SELECT * FROM incident ORDER BY number DESC").fetchall()
        found = [read_summary(self._db, row) for row in rows if not wanted or row["status"] in wanted]
        return [
            one
            for one in found
            if (since_ns is None or one.detected_ns >= since_ns) and (not tag or tag in one.tags)
        ]

    def by_fingerprint(self, fingerprint: str) -> list[Incident]:
        """Incidents of one pattern, oldest first, without analyses."""
        rows = self._db.execute(
            "SELECT * FROM incident WHERE fingerprint = ? AND fingerprint <> '' ORDER BY number",
            (fingerprint,),
        ).fetchall()
        return [read_summary(self._db, row) for row in rows]

    def pinned(self) -> frozenset[str]:
        """Hex ids of snapshots that must not be pruned: those of open incidents."""
        rows = self._db.execute(
            "SELECT o.good, o.bad FROM occurrence o JOIN incident i ON i.number = o.incident"
            " WHERE i.status IN ('triage', 'started', 'mitigated')"
        ).fetchall()
        return frozenset(one for row in rows for one in row if one)

    def ignored(self) -> dict[str, str]:
        """Fingerprints that were called wrongly flagged, with the reason."""
        return dict(self._db.execute("SELECT fingerprint, reason FROM ignored_pattern").fetchall())

    def _row(self, number: int) -> sqlite3.Row:
        row: sqlite3.Row | None = self._db.execute(
            "SELECT * FROM incident WHERE number = ?", (number,)
        ).fetchone()
        if row is None:
            raise UnknownNameError(
                f"There is no incident {incident_id(number)}",
                hint="`casreplay incident list` shows those there are",
                id=incident_id(number),
            )
        return row

    # Creating and changing

    def create(self, draft: Draft) -> Incident:
        """Record a new incident in state ``triage``."""
        now = self._clock()
        with transaction(self._db):
            cursor = self._db.execute(
                "INSERT INTO incident (title, severity, status, good, bad, happened_ns, detected_ns,"
                " root_cause, fingerprint, analysis) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    _title(draft.title),
                    draft.severity.label,
                    Status.TRIAGE.value,
                    draft.good,
                    draft.bad,
                    draft.happened_ns,
                    now,
                    draft.root_cause,
                    draft.fingerprint,
                    _json(draft.analysis),
                ),
            )
            number = int(cursor.lastrowid or 0)
            self._add_occurrence(number, draft, now)
            self._set_tags(number, draft.tags)
            self._event(number, "created", draft.title)
        return self.get(incident_id(number))

    def recur(self, name: str, draft: Draft) -> Incident:
        """Add an occurrence to an incident: it was seen again.

        One that is resolved or closed is reopened and its times to mitigate and resolve
        start anew; its analysis becomes that of the newest occurrence.
        """
        number = incident_number(name)
        with transaction(self._db):
            row = self._row(number)
            now = self._clock()
            known = self._db.execute(
                "SELECT 1 FROM occurrence WHERE incident = ? AND good = ? AND bad = ?",
                (number, draft.good, draft.bad),
            ).fetchone()
            if known is None:
                self._add_occurrence(number, draft, now)
            self._db.execute(
                "UPDATE incident SET analysis = ?, good = ?, bad = ? WHERE number = ?",
                (_json(draft.analysis), draft.good, draft.bad, number),
            )
            if Status(row["status"]) in (Status.RESOLVED, Status.CLOSED):
                self._reopen(number, "recurred")
            elif known is None:
                self._event(number, "recurred", draft.bad)
        return self.get(name)

    def edit(self, name: str, **changes: str) -> Incident:
        """Change ``title``, ``severity``, ``owner`` or ``root_cause``; a cause set here is a person's.

        Raises:
            UsageError: another field, an empty title or an unknown severity.
        """
        number = incident_number(name)
        with transaction(self._db):
            row = self._row(number)
            for key, value in changes.items():
                if key not in _EDITABLE:
                    raise UsageError(f"An incident has no field {key!r} that can be edited", field=key)
                new = _checked(key, value)
                if new != row[key]:
                    self._db.execute(f"UPDATE incident SET {key} = ? WHERE number = ?", (new, number))  # noqa: S608 - one of four words
                    self._event(number, key, f"{row[key]} -> {new}" if row[key] else new)
                if key == "root_cause":
                    self._db.execute("UPDATE incident SET cause_by = 'person' WHERE number = ?", (number,))
        return self.get(name)

    def set_status(self, name: str, status: Status, *, reason: str = "") -> Incident:
        """Move an incident to ``status``.

        Raises:
            UsageError: the life cycle has no such step; the hint names those it has.
        """
        number = incident_number(name)
        with transaction(self._db):
            now = Status(self._row(number)["status"])
            check_transition(now, status)
            if status is Status.STARTED and now in (Status.RESOLVED, Status.CLOSED):
                self._reopen(number, reason or "reopened")
            else:
                self._move(number, status, reason)
        return self.get(name)

    def add_note(self, name: str, text: str, *, author: str = "") -> Incident:
        """Add a remark; an empty one is refused."""
        if not text.strip():
            raise UsageError("A note needs some text")
        number = incident_number(name)
        with transaction(self._db):
            self._row(number)
            self._db.execute("INSERT INTO note VALUES (?, ?, ?, ?)", (number, self._clock(), author, text))
        return self.get(name)

    def tag(self, name: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Incident:
        """Add and remove tags."""
        number = incident_number(name)
        with transaction(self._db):
            self._row(number)
            self._set_tags(number, add)
            self._db.executemany(
                "DELETE FROM tag WHERE incident = ? AND name = ?", [(number, one) for one in remove]
            )
        return self.get(name)

    def add_action(self, name: str, kind: ActionKind, text: str, *, owner: str = "") -> Incident:
        """Add something to be done."""
        if not text.strip():
            raise UsageError("An action item needs some text")
        number = incident_number(name)
        with transaction(self._db):
            self._row(number)
            last = self._db.execute(
                "SELECT max(number) FROM action WHERE incident = ?", (number,)
            ).fetchone()[0]
            self._db.execute(
                "INSERT INTO action VALUES (?, ?, ?, ?, ?, NULL)",
                (number, (last or 0) + 1, kind.value, text, owner),
            )
        return self.get(name)

    def finish_action(self, name: str, action: int) -> Incident:
        """Mark action item number ``action`` as done; raises ``UnknownNameError`` when there is none."""
        number = incident_number(name)
        with transaction(self._db):
            self._row(number)
            changed = self._db.execute(
                "UPDATE action SET done_ns = coalesce(done_ns, ?) WHERE incident = ? AND number = ?",
                (self._clock(), number, action),
            ).rowcount
            if not changed:
                raise UnknownNameError(f"{incident_id(number)} has no action item {action}", action=action)
        return self.get(name)

    def merge(self, name: str, into: str) -> Incident:
        """Make ``name`` part of ``into``: its occurrences, tags and notes move, and it is cancelled.

        Raises:
            UsageError: both are the same, or ``into`` was merged itself.
        """
        source, target = incident_number(name), incident_number(into)
        if source == target:
            raise UsageError("An incident cannot be merged into itself")
        with transaction(self._db):
            self._row(source)
            if self._row(target)["merged_into"] is not None:
                raise UsageError(f"{incident_id(target)} was merged into another incident itself")
            for table in ("occurrence", "note"):
                self._db.execute(f"UPDATE {table} SET incident = ? WHERE incident = ?", (target, source))  # noqa: S608 - two fixed words
            tags = [row[0] for row in self._db.execute("SELECT name FROM tag WHERE incident = ?", (source,))]
            self._set_tags(target, tags)
            self._db.execute("UPDATE incident SET merged_into = ? WHERE number = ?", (target, source))
            self._move(source, Status.CANCELLED, f"merged into {incident_id(target)}")
            self._event(target, "merged", incident_id(source))
        return self.get(into)

    def delete(self, name: str) -> None:
        """Remove an incident and all that belongs to it; its number is never given again."""
        number = incident_number(name)
        with transaction(self._db):
            self._row(number)
            self._db.execute("DELETE FROM incident WHERE number = ?", (number,))

    def ignore(self, fingerprint: str, reason: str) -> None:
        """Remember that a pattern was wrongly flagged: it opens no incident any more."""
        with transaction(self._db):
            self._db.execute(
                "INSERT OR REPLACE INTO ignored_pattern VALUES (?, ?, ?)",
                (fingerprint, reason, self._clock()),
            )

    def unignore(self, fingerprint: str) -> bool:
        """Take ``ignore`` back; returns whether the pattern was ignored."""
        with transaction(self._db):
            return bool(
                self._db.execute("DELETE FROM ignored_pattern WHERE fingerprint = ?", (fingerprint,)).rowcount
            )

    # Export and import

    def export(self) -> dict[str, object]:
        """Everything, as JSON values: ``version``, ``incidents`` (oldest first), ``ignored_patterns``."""
        rows = self._db.execute("SELECT * FROM incident ORDER BY number").fetchall()
        return {
            "version": EXPORT_VERSION,
            "incidents": [read_incident(self._db, row).to_dict() for row in rows],
            "ignored_patterns": self.ignored(),
        }

    def import_(self, document: Mapping[str, Any]) -> list[str]:
        """Add the incidents of an export under new ids; returns the new ids, in the export's order.

        All of them or, when the document is wrong, none.

        Raises:
            ConfigError: not an export of this version.
        """
        if document.get("version") != EXPORT_VERSION or not isinstance(document.get("incidents"), list):
            raise ConfigError(
                "This is no export of incidents", hint="Make one with `casreplay incident export`"
            )
        with transaction(self._db):
            numbers = [insert_incident(self._db, one) for one in document["incidents"]]
            for fingerprint, reason in dict(document.get("ignored_patterns") or {}).items():
                self._db.execute(
                    "INSERT OR IGNORE INTO ignored_pattern VALUES (?, ?, ?)",
                    (str(fingerprint), str(reason), self._clock()),
                )
        return [incident_id(number) for number in numbers]

    # Parts, inside a transaction

    def _add_occurrence(self, number: int, draft: Draft, now: int) -> None:
        self._db.execute("INSERT INTO occurrence VALUES (?, ?, ?, ?)", (number, draft.good, draft.bad, now))

    def _set_tags(self, number: int, tags: Iterable[str]) -> None:
        names = [(number, one.strip()) for one in tags if one.strip()]
        self._db.executemany("INSERT OR IGNORE INTO tag VALUES (?, ?)", names)

    def _event(self, number: int, what: str, detail: str) -> None:
        self._db.execute("INSERT INTO event VALUES (?, ?, ?, ?)", (number, self._clock(), what, detail))

    def _move(self, number: int, status: Status, reason: str) -> None:
        self._db.execute("UPDATE incident SET status = ? WHERE number = ?", (status.value, number))
        stamp = _STAMPS.get(status)
        if stamp is not None:
            self._db.execute(f"UPDATE incident SET {stamp} = ? WHERE number = ?", (self._clock(), number))  # noqa: S608 - one of three words
        self._event(number, f"status {status.value}", reason)

    def _reopen(self, number: int, reason: str) -> None:
        self._db.execute(
            "UPDATE incident SET mitigated_ns = NULL, resolved_ns = NULL, closed_ns = NULL WHERE number = ?",
            (number,),
        )
        self._db.execute("UPDATE incident SET status = ? WHERE number = ?", (Status.STARTED.value, number))
        self._event(number, "reopened", reason)


def _title(title: str) -> str:
    cleaned = " ".join(title.split())
    if not cleaned:
        raise UsageError("An incident needs a title")
    return cleaned


def _checked(key: str, value: str) -> str:
    if key == "title":
        return _title(value)
    if key == "severity":
        try:
            return Severity.parse(value).label
        except ValueError as error:
            raise UsageError(str(error)) from error
    return value.strip()


def _json(analysis: Mapping[str, Any]) -> str:
    return json.dumps(analysis, sort_keys=True, separators=(",", ":"))
