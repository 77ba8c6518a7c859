"""A folder that is switched from tree to tree, used by strangers in between, and put right again.

Owns what a bisect's probe needs of the disk: write only what differs between two trees,
notice by stat what a command changed or left behind, and restore exactly that. Like every
writer of this floor it goes through folder descriptors: a command that plants a link in
place of a folder gains nothing.

Times are derived from contents, so that two versions of a file never share one (a stale
bytecode file would be taken for fresh) and equal content always does. Modes are opened
up for the owner: a command may want to write.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import replace

from casreplay.model.objects import NO_ID, EntryKind, EntryState, TreeEntry
from casreplay.model.problems import Problem
from casreplay.workspace.folders import FolderStack, open_root
from casreplay.workspace.materialize import ApplyOptions, Content, apply
from casreplay.workspace.plan import PlanOptions, plan_changes
from casreplay.workspace.platform import set_mode
from casreplay.workspace.steps import Entry
from casreplay.workspace.survey import Row, survey

__all__ = ["KnownChange", "ProbeFolder"]

KnownChange = tuple[bytes, TreeEntry | None, TreeEntry | None]
"""A path, what is there now and what shall be there; ``None``: nothing."""

EPOCH_NS = 946_684_800 * 10**9
"""Content-derived times start in the year 2000 and spread over twenty years."""
SPREAD_S = 20 * 365 * 86_400
_SPECIAL = TreeEntry(b"", EntryKind.SOCKET, EntryState.UNREADABLE, 0, 0, 0, NO_ID)


class ProbeFolder:
    """Holds one tree at a time. Not safe for two threads at once.

    Args:
        path: an empty folder that belongs to this object.
        content: where contents come from.
    """

    def __init__(self, path: bytes, content: Content) -> None:
        self.path = path
        self._content = content
        self._entries: dict[bytes, TreeEntry] = {}
        self._rows: dict[bytes, Row] = {}

    def fill(self, entries: Iterable[Entry]) -> list[Problem]:
        """Write a whole tree into the empty folder; several processes when it is large."""
        return self._apply([(path, None, entry) for path, entry in entries], jobs=0)

    def switch(self, changes: Iterable[KnownChange]) -> list[Problem]:
        """Apply the differences between the tree that is there and another one.

        Folders that appear, vanish or change need to be among the changes. The folder must be
        as this object left it: ``sweep`` first. Returns what could not be written.

        Cost: about a millisecond for one changed file, whatever the size of the tree.
        """
        return self._apply(list(changes), jobs=1)

    def _apply(self, changes: Sequence[KnownChange], jobs: int) -> list[Problem]:
        steps = [
            (path, self._entries.get(path), _for_probe(after) if after is not None else None)
            for path, _, after in changes
        ]
        for path, _, after in steps:
            if after is None:
                self._entries.pop(path, None)
            elif after.kind == EntryKind.FOLDER or after.blob_id is not None:
                self._entries[path] = after
        return self._write(steps, jobs)

    def _write(self, steps: Sequence[KnownChange], jobs: int) -> list[Problem]:
        plan = plan_changes(steps, PlanOptions(windows=False))
        problems = apply(plan, self.path, self._content, ApplyOptions(force=True, jobs=jobs)).problems
        self._note_rows(path for path, _, _ in steps)
        return problems

    def _note_rows(self, paths: Iterable[bytes]) -> None:
        """Remember how what was written looks; folders only by mode, their times move."""
        root_fd = open_root(self.path)
        try:
            with FolderStack(root_fd) as stack:
                for path in paths:
                    above, _, name = path.rpartition(b"/")
                    try:
                        s = os.stat(name, dir_fd=stack.open(above), follow_symlinks=False)
                    except OSError:
                        self._rows.pop(path, None)
                        continue
                    self._rows[path] = (s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino)
        finally:
            os.close(root_fd)

    def sweep(self) -> list[bytes]:
        """Undo everything done to the folder since it was last written; returns the paths concerned, sorted.

        Cost: one stat for each path (about 3 us), more only for what was changed. What cannot be
        put right stays noticed: the next sweep returns it again.
        """
        root_fd = open_root(self.path)
        try:
            found = self._survey(root_fd)
        finally:
            os.close(root_fd)
        touched: list[KnownChange] = []
        for path, row in found.items():
            known = self._rows.get(path)
            if known is None or _is_other(known, row):
                touched.append((path, _as_found(path, row), self._entries.get(path)))
        touched.extend((path, None, self._entries.get(path)) for path in self._rows if path not in found)
        if touched:
            for path, _, _ in touched:
                self._rows.pop(path, None)
            self._write(touched, 1)
        return sorted(path for path, _, _ in touched)

    def _survey(self, root_fd: int) -> dict[bytes, Row]:
        """What is there; folders that were closed to their owner are opened first."""
        while True:
            found = survey(root_fd)
            shut = [path for path, row in found.items() if stat.S_ISDIR(row[0]) and row[0] & 0o700 != 0o700]
            if not shut:
                return found
            with FolderStack(root_fd) as stack:
                for path in shut:
                    above, _, name = path.rpartition(b"/")
                    set_mode(name, stat.S_IMODE(found[path][0]) | 0o700, stack.open(above))


def _for_probe(entry: TreeEntry) -> TreeEntry:
    """``entry`` with a time that follows from its content, and open to its owner."""
    seconds = int.from_bytes(entry.id[:6], "big") % SPREAD_S if entry.kind != EntryKind.FOLDER else 0
    opened = 0o700 if entry.kind == EntryKind.FOLDER else 0o600
    return replace(entry, mtime_ns=EPOCH_NS + seconds * 10**9, mode=entry.mode & 0o777 | opened)


def _is_other(known: Row, row: Row) -> bool:
    """Whether the entry is not the one that was written; a folder is, while its mode and inode stay."""
    if stat.S_ISDIR(known[0]) and stat.S_ISDIR(row[0]):
        return (known[0], known[4]) != (row[0], row[4])
    return known != row


def _as_found(path: bytes, row: Row) -> TreeEntry:
    """What stands there now, as a plan wants to know it: of unknown content."""
    name = path.rpartition(b"/")[2]
    if stat.S_ISDIR(row[0]):
        return TreeEntry(name, EntryKind.FOLDER, EntryState.COMPLETE, stat.S_IMODE(row[0]), 0, row[2], NO_ID)
    return replace(_SPECIAL, name=name)
