"""The tables of the incident database and the steps from each version to the next.

A database of a version this program does not know is not touched. Steps only ever
get added; each runs in one transaction with the change of ``user_version``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from casreplay.errors import CorruptError, LockedError, StoreIOError, UnknownFormatError

__all__ = ["connect", "transaction"]

BUSY_SECONDS = 10.0

_VERSION_1 = """
CREATE TABLE incident (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    severity TEXT NOT NULL,
    status TEXT NOT NULL,
    owner TEXT NOT NULL DEFAULT '',
    good TEXT NOT NULL DEFAULT '',
    bad TEXT NOT NULL DEFAULT '',
    happened_ns INTEGER,
    detected_ns INTEGER NOT NULL,
    mitigated_ns INTEGER,
    resolved_ns INTEGER,
    closed_ns INTEGER,
    root_cause TEXT NOT NULL,
    cause_by TEXT NOT NULL DEFAULT 'machine',
    fingerprint TEXT NOT NULL DEFAULT '',
    merged_into INTEGER REFERENCES incident(number) ON DELETE SET NULL,
    analysis TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX incident_fingerprint ON incident(fingerprint);
CREATE TABLE tag (
    incident INTEGER NOT NULL REFERENCES incident(number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (incident, name)
) WITHOUT ROWID;
CREATE TABLE note (
    incident INTEGER NOT NULL REFERENCES incident(number) ON DELETE CASCADE,
    time_ns INTEGER NOT NULL,
    author TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE TABLE action (
    incident INTEGER NOT NULL REFERENCES incident(number) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    owner TEXT NOT NULL,
    done_ns INTEGER,
    PRIMARY KEY (incident, number)
) WITHOUT ROWID;
CREATE TABLE event (
    incident INTEGER NOT NULL REFERENCES incident(number) ON DELETE CASCADE,
    time_ns INTEGER NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE TABLE occurrence (
    incident INTEGER NOT NULL REFERENCES incident(number) ON DELETE CASCADE,
    good TEXT NOT NULL,
    bad TEXT NOT NULL,
    recorded_ns INTEGER NOT NULL
);
CREATE TABLE ignored_pattern (
    fingerprint TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    time_ns INTEGER NOT NULL
) WITHOUT ROWID;
"""

STEPS = (_VERSION_1,)


def connect(path: str) -> sqlite3.Connection:
    """Open the database at ``path``, made or brought up to date when needed.

    Write-ahead log, foreign keys on, ten seconds of patience with other writers.

    Raises:
        UnknownFormatError: made by a newer version; nothing was changed.
        CorruptError: not a database, or a damaged one.
        StoreIOError: the file cannot be opened.
    """
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
    except sqlite3.OperationalError as error:
        raise StoreIOError(f"Cannot open the incident database {path}: {error}", file=path) from error
    except sqlite3.DatabaseError as error:
        raise CorruptError(
            f"The incident database {path} is damaged: {error}",
            hint="Move it away; snapshots are not affected, and `incident import` reads an earlier export",
            file=path,
        ) from error
    return connection


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(STEPS):
        raise UnknownFormatError(
            f"The incident database {path} has version {version}, newer than this program's {len(STEPS)}",
            hint="Use the version of casreplay that wrote it, or a later one",
            file=path,
        )
    connection.execute("PRAGMA journal_mode = WAL")
    if version == len(STEPS):
        return
    with transaction(connection):
        # Another process may have been faster: look again under the lock.
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for number, step in enumerate(STEPS[version:], start=version + 1):
            for statement in step.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction: all of it or nothing.

    Raises:
        LockedError: another process kept writing for ten seconds.
        StoreIOError: the disk refused.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise LockedError(
                "Another process is writing to the incident database", hint="Try again"
            ) from error
        raise StoreIOError(f"Cannot write the incident database: {error}") from error
