"""Unexpected deletions: gone, not renamed, not ignored; how bad depends on what the file was for.

Not in this module: whether an agent said it would delete the file, which nobody looks at, and
what of it can be brought back (``forensics.loss``).
"""

from __future__ import annotations

from collections.abc import Iterator

from casreplay.forensics.roles import Role, Roles
from casreplay.forensics.triggers.pair import Examined, Pair
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.findings import Finding, FindingKind, Severity
from casreplay.model.objects import EntryKind
from casreplay.model.paths import display

__all__ = ["deletions"]

_SEVERITY = {
    Role.SOURCE: Severity.HIGH,
    Role.CONFIG: Severity.HIGH,
    Role.DATA: Severity.HIGH,
    Role.MEMORY: Severity.MEDIUM,
    Role.DOCUMENT: Severity.MEDIUM,
    Role.OUTPUT: Severity.MEDIUM,
    Role.OTHER: Severity.MEDIUM,
    Role.LOCK: Severity.MEDIUM,
    Role.LOG: Severity.LOW,
    Role.CACHE: Severity.INFO,
}


def deletions(pair: Pair, roles: Roles, examined: Examined) -> Iterator[Finding]:
    """One finding ``deletion.<role>`` for each file, symlink or empty folder that is gone."""
    for change in pair.changes:
        if change.kind is not ChangeKind.DELETED or change.before is None:
            continue
        examined.count("deletions")
        if pair.is_ignored(change.path):
            continue
        role = roles.of(change.path)
        severity = _SEVERITY[role]
        if change.before.kind is EntryKind.FOLDER or change.before.size_bytes == 0:
            severity = min(severity, Severity.LOW)
        yield Finding(
            f"deletion.{role.value}",
            FindingKind.DELETION,
            severity,
            _message(change, role),
            (pair.at_before(change),),
        )


def _message(change: Change, role: Role) -> str:
    entry = change.before
    assert entry is not None
    if entry.kind is EntryKind.FOLDER:
        return f"The empty folder {display(change.path)} was deleted"
    what = "A symlink" if entry.kind is EntryKind.SYMLINK else f"A {role.value} file"
    if role is Role.OTHER:
        what = "A file"
    return f"{what} was deleted: {display(change.path)} ({entry.size_bytes:,} bytes)"
