"""The tables of the incident database and the steps from each version to the next.

A database of a version this program does not know is not touched. Steps only ever
get added; each runs in one transaction with the change of ``user_version``.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import quote

from casreplay.errors import CorruptError, LockedError, StoreIOError, UnknownFormatError

__all__ = ["connect", "keep_write_ahead_log", "transaction"]

BUSY_SECONDS = 10.0
_PAUSE_SECONDS = 0.05

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

    Write-ahead log, foreign keys on, ten seconds of patience with other writers. In a store
    that cannot be written the database is opened for reading; where there is none, an empty
    one in memory stands for it. Changing either is refused by ``transaction``.

    Raises:
        UnknownFormatError: made by a newer version; nothing was changed.
        CorruptError: not a database, or a damaged one.
        StoreIOError: the file cannot be opened.
    """
    try:
        try:
            return _open(path)
        except sqlite3.OperationalError:
            if os.access(os.path.dirname(path), os.W_OK):
                raise
            return _open_for_reading(path)
    except sqlite3.OperationalError as error:
        raise StoreIOError(f"Cannot open the incident database {path}: {error}", file=path) from error
    except sqlite3.DatabaseError as error:
        raise CorruptError(
            f"The incident database {path} is damaged: {error}",
            hint="Move it away; snapshots are not affected, and `incident import` reads an earlier export",
            file=path,
        ) from error


def _open(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _open_for_reading(path: str) -> sqlite3.Connection:
    """The database where nothing can be written beside it.

    SQLite reads a write-ahead log only with the help of files it makes itself. Without one the
    file is all there is, and can be declared to stay as it is; with one that is left to SQLite,
    because what the log holds must not be overlooked.

    Source: https://www.sqlite.org/wal.html#read_only_databases
    """
    if not os.path.exists(path):
        connection = _open(":memory:")
    else:
        log = path + "-wal"
        is_whole = not os.path.exists(log) or os.path.getsize(log) == 0
        mode = "mode=ro&immutable=1" if is_whole else "mode=ro"
        connection = sqlite3.connect(f"file:{quote(path)}?{mode}", uri=True, isolation_level=None)
        connection.row_factory = sqlite3.Row
        if connection.execute("PRAGMA user_version").fetchone()[0] < len(STEPS):
            connection.close()
            raise sqlite3.OperationalError("it is of an older version, and cannot be brought up to date here")
        _check_version(connection, path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _check_version(connection: sqlite3.Connection, path: str) -> int:
    """The version of the database, when this program knows it."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(STEPS):
        raise UnknownFormatError(
            f"The incident database {path} has version {version}, newer than this program's {len(STEPS)}",
            hint="Use the version of casreplay that wrote it, or a later one",
            file=path,
        )
    return version


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    version = _check_version(connection, path)
    keep_write_ahead_log(connection)
    if version == len(STEPS):
        return
    with transaction(connection):
        # Another process may have been faster: look again under the lock.
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for number, step in enumerate(STEPS[version:], start=version + 1):
            for statement in step.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")


class _Executes(Protocol):
    def execute(self, statement: str, /) -> object: ...


def keep_write_ahead_log(connection: _Executes, *, sleep: Callable[[float], object] = time.sleep) -> None:
    """Have changes written to a log first; waits up to ten seconds for others who are at the same.

    SQLite does not wait here by itself: of two that open a new database at once, one finds it locked.
    """
    for _ in range(int(BUSY_SECONDS / _PAUSE_SECONDS)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            sleep(_PAUSE_SECONDS)
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


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
        hint = "The store cannot be written here" if "readonly" in str(error) else ""
        raise StoreIOError(f"Cannot write the incident database: {error}", hint=hint) from error
