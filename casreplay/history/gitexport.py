"""Snapshots as a git fast-import stream, so that any git viewer shows them.

Each snapshot becomes a commit on one branch, contents once each. What git cannot hold is
left out and counted: empty folders, special files, entries without content (never captured, or purged),
names that git refuses.
Source: git, ``Documentation/git-fast-import.txt``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from casreplay.history.diff import diff_trees
from casreplay.history.purged_contents import read_left
from casreplay.model.changes import Change
from casreplay.model.ids import TreeId, short
from casreplay.model.objects import EntryKind, Snapshot, TreeEntry
from casreplay.model.paths import split
from casreplay.store.base import ObjectReader

__all__ = ["GitExport"]

_MODES = {EntryKind.FILE: b"100644", EntryKind.EXECUTABLE: b"100755", EntryKind.SYMLINK: b"120000"}
_ESCAPED = {0x22: b'\\"', 0x5C: b"\\\\", 0x0A: b"\\n"}


class GitExport:
    """Writes one stream.

    Args:
        objects: where contents are read.
        branch: full name of the branch to write, for instance ``refs/heads/casreplay``.
        label_of: the label that counts now.

    Attributes:
        left_out: paths that git cannot hold, counted at each snapshot that adds or changes one.
    """

    def __init__(self, objects: ObjectReader, branch: str, label_of: Callable[[Snapshot], str]) -> None:
        self._objects = objects
        self._branch = branch.encode("utf-8", "surrogateescape")
        self._label_of = label_of
        self._marks: dict[bytes, int] = {}
        self._purged: set[bytes] = set()
        self._count = 0
        self.left_out = 0

    def stream(self, snapshots: Sequence[Snapshot]) -> Iterator[bytes]:
        """The stream for ``snapshots``, oldest first, in pieces. Memory: one file at a time.

        Raises:
            CorruptError: a content cannot be read.
        """
        before: TreeId | None = None
        yield b"reset " + self._branch + b"\n"
        for snapshot in snapshots:
            changes = list(diff_trees(self._objects, before, snapshot.root))
            for change in changes:
                yield from self._blob(change.after)
            yield from self._commit(snapshot, changes)
            before = snapshot.root

    def _blob(self, entry: TreeEntry | None) -> Iterator[bytes]:
        blob = entry.blob_id if entry is not None else None
        if blob is None or blob in self._marks or blob in self._purged:
            return
        content = read_left(self._objects, blob)
        if content is None:
            self._purged.add(blob)
            return
        self._count += 1
        self._marks[blob] = self._count
        yield b"blob\nmark :%d\ndata %d\n" % (self._count, len(content))
        yield content
        yield b"\n"

    def _commit(self, snapshot: Snapshot, changes: Sequence[Change]) -> Iterator[bytes]:
        self._count += 1
        yield b"commit %s\nmark :%d\n" % (self._branch, self._count)
        yield b"committer %s %d +0000\n" % (_person(snapshot), snapshot.time_ns // 1_000_000_000)
        message = self._message(snapshot)
        yield b"data %d\n%s\n" % (len(message), message)
        # Deletions first: a file that became a folder is in git's way otherwise.
        for change in changes:
            if self._is_kept(change.before, change.path) and not self._is_kept(change.after, change.path):
                yield b"D %s\n" % quoted(change.path)
        for change in changes:
            after = change.after
            if after is None or after.kind is EntryKind.FOLDER:
                continue
            if not self._is_kept(after, change.path):
                self.left_out += 1
                continue
            yield b"M %s :%d %s\n" % (_MODES[after.kind], self._marks[after.id], quoted(change.path))
        yield b"\n"

    def _is_kept(self, entry: TreeEntry | None, path: bytes) -> bool:
        if entry is None or entry.kind not in _MODES or entry.blob_id is None or entry.id in self._purged:
            return False
        return not any(name.lower() == b".git" for name in split(path))

    def _message(self, snapshot: Snapshot) -> bytes:
        label = self._label_of(snapshot) or f"Snapshot {snapshot.sequence}"
        facts = [f"Casreplay-Snapshot: {snapshot.id.hex()}"]
        facts += [
            f"{name}: {value}"
            for name, value in (("Session", snapshot.session), ("Agent", snapshot.agent))
            if value
        ]
        return "\n".join([label, "", *facts, ""]).encode("utf-8", "replace")


def _person(snapshot: Snapshot) -> bytes:
    """``Name <mail>`` without what git's format forbids."""
    shown = snapshot.author or snapshot.agent or "casreplay"
    name, _, mail = shown.partition("<")
    clean = [part.translate({ord(c): None for c in "<>\n\0"}).strip() for part in (name, mail)]
    mail_or_host = clean[1] or short(snapshot.id) + "@casreplay"
    return f"{clean[0] or 'casreplay'} <{mail_or_host}>".encode("utf-8", "replace")


def quoted(path: bytes) -> bytes:
    """A path as fast-import reads it: C-quoted where it must be."""
    if not path.startswith(b'"') and b"\n" not in path:
        return path
    return b'"' + b"".join(_ESCAPED.get(byte, b"%c" % byte) for byte in path) + b'"'
