"""Cases for the classifier from plain values: a log and ``{path: (before, after)}``."""

from __future__ import annotations

from casreplay.codec.hashing import blob_id
from casreplay.forensics.classify import Case, CaseLog
from casreplay.forensics.newlines import new_lines
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.objects import EntryKind, EntryState, TreeEntry

GOOD, BAD = "4" * 64, "5" * 64


def entry(path: bytes, data: bytes, mode: int = 0o644) -> TreeEntry:
    return TreeEntry(path, EntryKind.FILE, EntryState.COMPLETE, mode, len(data), 1, blob_id(data))


def change(path: bytes, before: bytes | None, after: bytes | None) -> Change:
    kind = (
        ChangeKind.ADDED if before is None else ChangeKind.DELETED if after is None else ChangeKind.MODIFIED
    )
    old = entry(path, before) if before is not None else None
    new = entry(path, after) if after is not None else None
    return Change(path, kind, old, new)


def cause_case(log=b"", changes=None, *, keys=(), exit_code=None, earlier=b"ok\n") -> Case:
    """A case; a side that is ``None`` is absent, ``changes=None`` means unknown."""
    sides = changes or {}
    logs = [CaseLog(b"run.log", new_lines(earlier, log).lines, BAD, blob_id(log))] if log else []
    return Case(
        logs=logs,
        changes=None if changes is None else [change(path, *pair) for path, pair in sides.items()],
        key_changes=keys,
        exit_code=exit_code,
        read_before=lambda path: sides.get(path, (None, None))[0],
        read_after=lambda path: sides.get(path, (None, None))[1],
        snapshot_before=GOOD,
        snapshot_after=BAD,
    )
