"""What a classification looks at, as values: logs, changes, an exit code, two read callables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from casreplay.forensics.newlines import NewLine
from casreplay.model.causes import KeyChange
from casreplay.model.changes import Change
from casreplay.model.ids import BlobId

__all__ = ["Case", "CaseLog", "Reader"]

Reader = Callable[[bytes], bytes | None]
"""From a path to (the first megabytes of) its content; ``None`` where there is none."""


def _nothing(_path: bytes) -> bytes | None:
    return None


@dataclass(frozen=True, slots=True)
class CaseLog:
    """The new lines of one log.

    Attributes:
        path: the log's path.
        lines: from ``newlines.new_lines``.
        snapshot: hex id of the snapshot that holds it; ``None`` for a file outside.
        blob: its content.
    """

    path: bytes
    lines: Sequence[NewLine]
    snapshot: str | None = None
    blob: BlobId | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One failure to be explained.

    Attributes:
        logs: every log with new lines, in any order.
        changes: what differs between the good and the bad snapshot; ``None`` when that is unknown
            (a log alone), which is not the same as nothing.
        key_changes: key-level differences of configuration files among ``changes``.
        exit_code: of the failing command, negative or above 128 for signals; ``None`` when unknown.
        read_before: content of a path in the good snapshot.
        read_after: content of a path in the bad one.
        paths: every path of the bad snapshot, to find the code that names a changed file; may be empty.
        snapshot_before: hex id of the good snapshot.
        snapshot_after: hex id of the bad one; ``None`` for the folder as it is now.
    """

    logs: Sequence[CaseLog] = ()
    changes: Sequence[Change] | None = None
    key_changes: Sequence[KeyChange] = ()
    exit_code: int | None = None
    read_before: Reader = field(default=_nothing)
    read_after: Reader = field(default=_nothing)
    paths: Sequence[bytes] = ()
    snapshot_before: str | None = None
    snapshot_after: str | None = None
