"""One incident of an export into the database, under a new number; strict about what it reads."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from casreplay.errors import ConfigError
from casreplay.model.findings import Severity
from casreplay.model.incidents import ActionKind, Status

__all__ = ["insert_incident"]

_TIMES = ("happened_ns", "detected_ns", "mitigated_ns", "resolved_ns", "closed_ns")


def insert_incident(db: sqlite3.Connection, fields: Mapping[str, Any]) -> int:
    """Insert what ``Incident.to_dict`` gave; returns the new number. Inside a transaction.

    Raises:
        ConfigError: a missing key or a value of the wrong kind.
    """
    try:
        number = _insert_row(db, fields)
        for name in fields["tags"]:
            db.execute("INSERT INTO tag VALUES (?, ?)", (number, str(name)))
        for note in fields["notes"]:
            db.execute(
                "INSERT INTO note VALUES (?, ?, ?, ?)",
                (number, int(note["time_ns"]), str(note["author"]), str(note["text"])),
            )
        for action in fields["actions"]:
            db.execute(
                "INSERT INTO action VALUES (?, ?, ?, ?, ?, ?)",
                (
                    number,
                    int(action["number"]),
                    ActionKind(action["kind"]).value,
                    str(action["text"]),
                    str(action["owner"]),
                    action["done_ns"],
                ),
            )
        for event in fields["events"]:
            db.execute(
                "INSERT INTO event VALUES (?, ?, ?, ?)",
                (number, int(event["time_ns"]), str(event["what"]), str(event["detail"])),
            )
        for one in fields["occurrences"]:
            db.execute(
                "INSERT INTO occurrence VALUES (?, ?, ?, ?)",
                (number, str(one["good"]), str(one["bad"]), int(one["recorded_ns"])),
            )
    except (KeyError, TypeError, ValueError, sqlite3.IntegrityError) as error:
        raise ConfigError(f"An incident of the export cannot be read ({error})") from error
    return number


def _insert_row(db: sqlite3.Connection, fields: Mapping[str, Any]) -> int:
    times = [None if fields[key] is None else int(fields[key]) for key in _TIMES]
    cursor = db.execute(
        "INSERT INTO incident (title, severity, status, owner, good, bad, root_cause, cause_by, fingerprint,"
        " analysis, happened_ns, detected_ns, mitigated_ns, resolved_ns, closed_ns)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            str(fields["title"]),
            Severity.parse(fields["severity"]).label,
            Status(fields["status"]).value,
            str(fields["owner"]),
            fields["good"] or "",
            fields["bad"] or "",
            str(fields["root_cause"]),
            str(fields["cause_by"]),
            str(fields["fingerprint"]),
            json.dumps(fields["analysis"], sort_keys=True, separators=(",", ":")),
            *times,
        ),
    )
    return int(cursor.lastrowid or 0)
