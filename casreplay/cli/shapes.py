"""Snapshots, changes and coverage as JSON fields and as lines for people.

The JSON shapes are documented in ``docs/json.md`` and pinned by tests: fields are added at the
end, never renamed or removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from casreplay.cli.text import count, iso_time, size
from casreplay.model.changes import Change, ChangeCounts, ChangeKind
from casreplay.model.objects import Coverage, EntryKind, Snapshot, TreeEntry
from casreplay.model.paths import display, to_json

__all__ = [
    "change_fields",
    "changes_line",
    "counts_fields",
    "coverage_fields",
    "coverage_line",
    "entry_mode",
    "not_examined",
    "shown_path",
    "snapshot_fields",
    "summary_fields",
]

_TYPE_BITS = {
    EntryKind.FILE: 0o100000,
    EntryKind.EXECUTABLE: 0o100000,
    EntryKind.SYMLINK: 0o120000,
    EntryKind.FOLDER: 0o040000,
    EntryKind.FIFO: 0o010000,
    EntryKind.SOCKET: 0o140000,
    EntryKind.CHARACTER_DEVICE: 0o020000,
    EntryKind.BLOCK_DEVICE: 0o060000,
}
_GAPS = (
    ("unreadable", "unreadable"),
    ("too_large", "too large"),
    ("vanished", "vanished while reading"),
    ("torn", "changing while read"),
    ("prefix", "growing while read"),
)


def snapshot_fields(snapshot: Snapshot, label: str, tags: Sequence[str]) -> dict[str, Any]:
    """A snapshot as ``show --json`` and each row of ``log --json`` give it.

    ``label`` and ``tags`` are those that count now: changed ones win over those of the commit.
    ``git`` is there only for snapshots of a git workspace.
    """
    fields = {
        "id": snapshot.id.hex(),
        "sequence": snapshot.sequence,
        "label": label,
        "tags": list(tags),
        "time": iso_time(snapshot.time_ns),
        "parent": snapshot.parent.hex() if snapshot.parent else None,
        "tree": snapshot.tree.hex(),
        "session": snapshot.session,
        "mode": snapshot.mode,
        "coverage": coverage_fields(snapshot.coverage),
    }
    git = snapshot.git
    if git is not None:
        fields["git"] = {"head": git.head, "branch": git.branch, "refs_digest": git.refs_digest}
    return fields


def coverage_fields(coverage: Coverage) -> dict[str, Any]:
    """Every count of the coverage, and ``complete``: whether all that no rule left out was captured whole."""
    return coverage.to_dict()


def counts_fields(counts: ChangeCounts) -> dict[str, int]:
    """The four counts of ``commit --json``."""
    return {
        "added": counts.added,
        "modified": counts.modified,
        "deleted": counts.deleted,
        "renamed": counts.renamed,
    }


def summary_fields(changes: Iterable[Change]) -> dict[str, int]:
    """How many changes there are of each kind, and in all."""
    numbers = {kind.value: 0 for kind in ChangeKind}
    for change in changes:
        numbers[change.kind.value] += 1
    numbers["total"] = sum(numbers.values())
    return numbers


def entry_mode(entry: TreeEntry) -> str:
    """Type and permissions in octal as git writes them: ``100644``, ``100755``, ``120777``, ``040755``."""
    return f"{_TYPE_BITS[entry.kind] | entry.mode:06o}"


def change_fields(change: Change) -> dict[str, Any]:
    """One row of ``diff --json``; what does not exist on a side is ``null``."""
    before, after = change.before, change.after
    row: dict[str, Any] = {**to_json(change.path), "kind": change.kind.value, "old_path": None}
    if change.old_path is not None:
        row.update(to_json(change.old_path, "old_path"))
    row["size_before"] = before.size_bytes if before else None
    row["size_after"] = after.size_bytes if after else None
    row["blob_before"] = _blob(before)
    row["blob_after"] = _blob(after)
    row["mode_before"] = entry_mode(before) if before else None
    row["mode_after"] = entry_mode(after) if after else None
    return row


def _blob(entry: TreeEntry | None) -> str | None:
    blob = entry.blob_id if entry is not None else None
    return blob.hex() if blob is not None else None


def shown_path(path: bytes, entry: TreeEntry | None = None) -> str:
    """A path for people: escaped, a folder with its slash, the root as ``.``."""
    text = display(path) if path else "."
    return text + "/" if path and entry is not None and entry.kind is EntryKind.FOLDER else text


def changes_line(counts: ChangeCounts) -> str:
    """``3 added, 12 modified, 1 deleted, 0 renamed``."""
    return ", ".join(f"{number:,} {kind}" for kind, number in counts_fields(counts).items())


def not_examined(coverage: Coverage) -> str:
    """What was not captured whole: ``2 unreadable, 1 too large``; empty when there is nothing to say."""
    parts = [f"{getattr(coverage, name):,} {words}" for name, words in _GAPS if getattr(coverage, name)]
    if coverage.mounts:
        parts.append(count(coverage.mounts, "mount point"))
    return ", ".join(parts)


def coverage_line(coverage: Coverage) -> str:
    """One line on what a snapshot holds and what it does not; silence about a gap would be a lie."""
    held = [count(coverage.files, "file"), count(coverage.folders, "folder")]
    if coverage.symlinks:
        held.append(count(coverage.symlinks, "symlink"))
    if coverage.special:
        held.append(count(coverage.special, "special file"))
    line = f"{', '.join(held)}, {size(coverage.bytes)}"
    if coverage.ignored:
        line += f"; left out by rules: {coverage.ignored:,}"
    return f"{line}; not examined: {not_examined(coverage) or 'nothing'}"
