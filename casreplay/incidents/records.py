"""Rows of the incident database as values. Reads only."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

from casreplay.errors import CorruptError
from casreplay.model.findings import Severity
from casreplay.model.incidents import (
    Action,
    ActionKind,
    Incident,
    IncidentEvent,
    IncidentNote,
    Occurrence,
    Status,
    incident_id,
)

__all__ = ["read_incident", "read_summary"]


def read_summary(db: sqlite3.Connection, row: sqlite3.Row) -> Incident:
    """The incident in ``row`` with tags, actions and occurrences, without analysis, notes and events."""
    number = row["number"]
    tags = db.execute("SELECT name FROM tag WHERE incident = ? ORDER BY name", (number,)).fetchall()
    actions = db.execute(
        "SELECT number, kind, text, owner, done_ns FROM action WHERE incident = ? ORDER BY number", (number,)
    ).fetchall()
    occurrences = db.execute(
        "SELECT good, bad, recorded_ns FROM occurrence WHERE incident = ? ORDER BY rowid", (number,)
    ).fetchall()
    return Incident(
        id=incident_id(number),
        title=row["title"],
        severity=Severity.parse(row["severity"]),
        status=Status(row["status"]),
        owner=row["owner"],
        tags=tuple(one["name"] for one in tags),
        good=row["good"],
        bad=row["bad"],
        happened_ns=row["happened_ns"],
        detected_ns=row["detected_ns"],
        mitigated_ns=row["mitigated_ns"],
        resolved_ns=row["resolved_ns"],
        closed_ns=row["closed_ns"],
        root_cause=row["root_cause"],
        cause_by=row["cause_by"],
        fingerprint=row["fingerprint"],
        merged_into=incident_id(row["merged_into"]) if row["merged_into"] else "",
        actions=tuple(
            Action(one["number"], ActionKind(one["kind"]), one["text"], one["owner"], one["done_ns"])
            for one in actions
        ),
        occurrences=tuple(Occurrence(one["good"], one["bad"], one["recorded_ns"]) for one in occurrences),
    )


def read_incident(db: sqlite3.Connection, row: sqlite3.Row) -> Incident:
    """The whole incident in ``row``.

    Raises:
        CorruptError: its analysis cannot be read.
    """
    number = row["number"]
    try:
        analysis = json.loads(row["analysis"])
    except ValueError as error:
        raise CorruptError(
            f"The analysis of {incident_id(number)} in the incident database is damaged",
            hint="Analyze the two snapshots again; the snapshots themselves are not affected",
            incident=incident_id(number),
        ) from error
    notes = db.execute(
        "SELECT time_ns, author, text FROM note WHERE incident = ? ORDER BY time_ns, rowid", (number,)
    ).fetchall()
    events = db.execute(
        "SELECT time_ns, what, detail FROM event WHERE incident = ? ORDER BY rowid", (number,)
    ).fetchall()
    return replace(
        read_summary(db, row),
        analysis=analysis,
        notes=tuple(IncidentNote(one["time_ns"], one["author"], one["text"]) for one in notes),
        events=tuple(IncidentEvent(one["time_ns"], one["what"], one["detail"]) for one in events),
    )
