"""Every exception casreplay raises on purpose, its fields and its exit code.

Exit codes are part of the interface: documented in ``docs/cli.md``, tested,
append-only. 0 ok, 1 failed or found, 2 usage, 3 finished with problems,
10 no repository, 11 locked, 12 unknown format, 13 corrupt, 130 interrupted.

Source errors (one file of the workspace cannot be read) are not exceptions:
they are ``model.problems.Problem`` values, counted in the snapshot's coverage.
Store errors are exceptions: the operation stops and records nothing.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AmbiguousNameError",
    "BisectAbortedError",
    "CasreplayError",
    "ConfigError",
    "CorruptError",
    "LockedError",
    "MissingExtraError",
    "MissingObjectError",
    "NoRepositoryError",
    "StoreIOError",
    "UnknownFormatError",
    "UnknownNameError",
    "UsageError",
]

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PROBLEMS = 3
EXIT_NO_REPOSITORY = 10
EXIT_LOCKED = 11
EXIT_UNKNOWN_FORMAT = 12
EXIT_CORRUPT = 13
EXIT_GIVEN_UP = 23
EXIT_INTERRUPTED = 130


class CasreplayError(Exception):
    """Base of all errors a user may see.

    Attributes:
        message: what went wrong and where, capital first, no full stop.
        hint: what to do about it, printed on its own line; may be empty.
        fields: the facts behind the message, for ``--json``.
    """

    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, message: str, *, hint: str = "", **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields = fields


class UsageError(CasreplayError):
    """The call itself cannot be carried out: wrong or contradicting arguments."""

    exit_code = EXIT_USAGE


class ConfigError(CasreplayError, ValueError):
    """A configuration file is missing, too large, malformed or has unknown keys."""

    exit_code = EXIT_USAGE


class UnknownNameError(CasreplayError, LookupError):
    """A snapshot, path or object name that resolves to nothing."""


class AmbiguousNameError(CasreplayError, LookupError):
    """A name that fits several snapshots; ``fields['candidates']`` lists them."""

    exit_code = EXIT_USAGE


class BisectAbortedError(CasreplayError):
    """The command of a bisect says that no snapshot can be judged: exit 127 or above, or a signal."""

    exit_code = EXIT_GIVEN_UP


class NoRepositoryError(CasreplayError):
    """No store belongs to this folder."""

    exit_code = EXIT_NO_REPOSITORY


class LockedError(CasreplayError):
    """Another process holds the lock that this operation needs."""

    exit_code = EXIT_LOCKED


class UnknownFormatError(CasreplayError):
    """The store was written by a newer format; nothing was changed."""

    exit_code = EXIT_UNKNOWN_FORMAT


class CorruptError(CasreplayError):
    """Stored bytes do not match what their id or checksum promises."""

    exit_code = EXIT_CORRUPT


class MissingObjectError(CorruptError):
    """An object that a snapshot needs is not in the store."""

    @property
    def is_purged(self) -> bool:
        """Whether it was erased on purpose: nothing is damaged then."""
        return bool(self.fields.get("purged"))


class StoreIOError(CasreplayError):
    """The operating system refused a store operation (disk full, read-only, I/O error)."""


class MissingExtraError(CasreplayError):
    """An optional dependency is needed; the hint names the extra that brings it."""

    exit_code = EXIT_USAGE
