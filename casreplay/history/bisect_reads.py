"""What a traced run read of its snapshot, and whether another snapshot shows the same there.

Pure: names and changes in, answers out. A verdict may be carried to another snapshot only
where everything it rests on holds: each file read or looked at, each one looked for in vain, each
folder listed. How reads come to be known is ``history.bisect_trace``'s affair.
"""

from __future__ import annotations

from dataclasses import dataclass

from casreplay.model.changes import Change, ChangeKind
from casreplay.model.paths import is_inside, parent

__all__ = ["Reads", "TraceSummary", "concerns"]


@dataclass(frozen=True, slots=True)
class Reads:
    """Everything one run can know of its snapshot; a path stands for itself, links were followed.

    Attributes:
        touched: opened, looked at, executed or looked for in vain: content, kind, mode and absence count.
        named: overwritten or removed unread: whether there is something, and what, counts; not the content.
        listed: folders whose names (and the kinds of what they name) were listed.
        whole: paths that count with everything below: moved, linked to. ``b""`` is the whole snapshot.
        files: how many files and links of the snapshot are among ``touched``.
        absent: how many of ``touched`` are not in the snapshot.
        outside: how many distinct files outside the snapshot were opened, the run's own apart.
        unclear: why the trace proves nothing; such a run's verdict is never carried over. Empty when it does.
    """

    touched: frozenset[bytes] = frozenset()
    named: frozenset[bytes] = frozenset()
    listed: frozenset[bytes] = frozenset()
    whole: frozenset[bytes] = frozenset()
    files: int = 0
    absent: int = 0
    outside: int = 0
    unclear: str = ""

    @property
    def proves(self) -> bool:
        """Whether the verdict may be carried to snapshots that agree on what was read."""
        return not self.unclear and b"" not in self.whole


def concerns(reads: Reads, change: Change) -> bool:
    """Whether a run that read ``reads`` could notice ``change``.

    Cost: the depth of the path and the number of whole paths.
    """
    path = change.path
    if reads.unclear or path in reads.touched:
        return True
    if not _keeps_name(change) and (path in reads.named or parent(path) in reads.listed):
        return True
    if path in reads.named and not _keeps_mode(change):
        return True
    return any(is_inside(path, one) for one in reads.whole)


def _keeps_name(change: Change) -> bool:
    """Whether both sides put an entry of the same type into the folder."""
    before, after = change.before, change.after
    if before is None or after is None or change.kind not in (ChangeKind.MODIFIED, ChangeKind.MODE):
        return False
    return before.state is after.state


def _keeps_mode(change: Change) -> bool:
    before, after = change.before, change.after
    return (
        before is not None and after is not None and before.mode == after.mode and before.kind is after.kind
    )


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """What tracing told, for the answer.

    Attributes:
        reused: verdicts carried over from a traced run instead of running again.
        unclear: runs whose trace proved nothing, by reason.
        files: paths of the first bad snapshot that the command read; ``None`` when it was not traced.
        absent: paths it looked for in vain there.
        folders: folders it listed there.
        outside: files outside the snapshot that it opened.
        read_changes: paths of the boundary's change set that the command could notice.
    """

    reused: int = 0
    unclear: tuple[tuple[str, int], ...] = ()
    files: int | None = None
    absent: int = 0
    folders: int = 0
    outside: int = 0
    read_changes: tuple[bytes, ...] = ()
