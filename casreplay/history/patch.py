"""Patches: the unified diff of a change, in the dialect that ``git apply`` and ``patch`` read.

Owns: hunks, headers, quoting of names, and what counts as binary. Values in, bytes out;
colour is the caller's affair. Names and texts come from the workspace and may hold terminal
control characters: names are quoted here, texts are given as they are, and a caller that prints
them to a terminal must escape them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from casreplay.errors import MissingObjectError
from casreplay.history.lines import Match, match, split_lines
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.ids import BlobId
from casreplay.model.objects import EntryKind, TreeEntry

__all__ = ["LineCounts", "hunks", "is_binary", "line_counts", "patch", "quote"]

BINARY_PROBE_BYTES = 8000
"""git's rule: a NUL among the first 8,000 bytes makes a file binary. Source: git, ``xdiff-interface.c``."""
MAX_TEXT_BYTES = 16 << 20
"""Files beyond this are said to differ, not compared line by line."""
CONTEXT_LINES = 3
NO_NEWLINE = b"\\ No newline at end of file\n"

_GIT_MODES = {
    EntryKind.FILE: b"100644",
    EntryKind.EXECUTABLE: b"100755",
    EntryKind.SYMLINK: b"120000",
}
_ESCAPES = {
    7: b"\\a",
    8: b"\\b",
    9: b"\\t",
    10: b"\\n",
    11: b"\\v",
    12: b"\\f",
    13: b"\\r",
    34: b'\\"',
    92: b"\\\\",
}


@dataclass(frozen=True, slots=True)
class LineCounts:
    """Lines that a change adds and removes; both -1 for a binary or too large file."""

    added: int
    removed: int


BINARY = LineCounts(-1, -1)


def is_binary(content: bytes) -> bool:
    """Whether ``content`` is better not shown as text."""
    return b"\0" in content[:BINARY_PROBE_BYTES]


def _is_text(content: bytes) -> bool:
    return len(content) <= MAX_TEXT_BYTES and not is_binary(content)


def line_counts(before: bytes, after: bytes) -> LineCounts:
    """How many lines a change from one content to the other adds and removes."""
    if not (_is_text(before) and _is_text(after)):
        return BINARY
    old, new = split_lines(before), split_lines(after)
    shared = sum(run.count for run in match(old, new))
    return LineCounts(len(new) - shared, len(old) - shared)


def hunks(before: bytes, after: bytes, *, context: int = CONTEXT_LINES) -> Iterator[bytes]:
    r"""The lines of a unified diff, each with its ``\n``, from the first ``@@`` on; none when equal."""
    old, new = split_lines(before), split_lines(after)
    runs = [*match(old, new), Match(len(old), len(new), 0)]
    for edits in _grouped(_edits(runs), context):
        a0 = max(0, edits[0][0] - context)
        b0 = max(0, edits[0][2] - context)
        a1 = min(len(old), edits[-1][1] + context)
        b1 = min(len(new), edits[-1][3] + context)
        yield b"@@ -%s +%s @@\n" % (_range(a0, a1), _range(b0, b1))
        at = a0
        for i0, i1, j0, j1 in edits:
            yield from _lines(b" ", old[at:i0])
            yield from _lines(b"-", old[i0:i1])
            yield from _lines(b"+", new[j0:j1])
            at = i1
        yield from _lines(b" ", old[at:a1])


Edit = tuple[int, int, int, int]
"""Lines [0] to [1] of the old text were replaced by lines [2] to [3] of the new one."""


def _edits(runs: list[Match]) -> Iterator[Edit]:
    """The gaps between runs; ``runs`` ends with an empty one at the ends of both texts."""
    a = b = 0
    for run in runs:
        if run.before > a or run.after > b:
            yield a, run.before, b, run.after
        a, b = run.before + run.count, run.after + run.count


def _grouped(edits: Iterator[Edit], context: int) -> Iterator[list[Edit]]:
    """Edits whose context lines would touch or overlap, together."""
    group: list[Edit] = []
    for edit in edits:
        if group and edit[0] - group[-1][1] > 2 * context:
            yield group
            group = []
        group.append(edit)
    if group:
        yield group


def _range(start: int, end: int) -> bytes:
    """Line numbers as unified diffs write them: an empty range names the line before it."""
    count = end - start
    if count == 1:
        return b"%d" % (start + 1)
    return b"%d,%d" % (start + 1 if count else start, count)


def _lines(sign: bytes, lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        if line.endswith(b"\n"):
            yield sign + line
        else:
            yield sign + line + b"\n"
            yield NO_NEWLINE


def quote(name: bytes) -> bytes:
    r"""``name`` as git writes it in patches: bare, or in double quotes with C escapes and octal bytes."""
    if all(32 <= byte < 127 and byte not in (34, 92) for byte in name):
        return name
    escaped = b"".join(
        _ESCAPES.get(byte) or (b"%c" % byte if 32 <= byte < 127 else b"\\%03o" % byte) for byte in name
    )
    return b'"' + escaped + b'"'


def patch(
    change: Change, read: Callable[[BlobId], bytes], *, context: int = CONTEXT_LINES
) -> Iterator[bytes]:
    r"""One change as a patch, line by line, each with its ``\n``; nothing for folders and special files.

    A change of type is a deletion followed by an addition, as git writes it.

    Args:
        change: what to show.
        read: gives a blob's bytes; called at most once a side, not for files over 16 MiB.
        context: unchanged lines around each edit.

    Raises:
        CorruptError: from ``read``.
    """
    before, after = change.before, change.after
    if change.kind is ChangeKind.TYPE:
        before_only = Change(change.path, ChangeKind.DELETED, before, None)
        after_only = Change(change.path, ChangeKind.ADDED, None, after)
        yield from patch(before_only, read, context=context)
        yield from patch(after_only, read, context=context)
        return
    if not any(entry is not None and entry.kind in _GIT_MODES for entry in (before, after)):
        return
    old_name = b"a/" + (change.old_path if change.old_path is not None else change.path)
    new_name = b"b/" + change.path
    yield b"diff --git %s %s\n" % (quote(old_name), quote(new_name))
    yield from _extended(change)
    if before is not None and after is not None and before.id == after.id:
        return
    yield from _body(
        (before, b"/dev/null" if before is None else quote(old_name)),
        (after, b"/dev/null" if after is None else quote(new_name)),
        read,
        context,
    )


def _extended(change: Change) -> Iterator[bytes]:
    """Git's extended header lines: modes, similarity, where a renamed file came from."""
    before, after = change.before, change.after
    if before is None and after is not None:
        yield b"new file mode %s\n" % _GIT_MODES[after.kind]
    elif after is None and before is not None:
        yield b"deleted file mode %s\n" % _GIT_MODES[before.kind]
    elif before is not None and after is not None and before.kind is not after.kind:
        yield b"old mode %s\nnew mode %s\n" % (_GIT_MODES[before.kind], _GIT_MODES[after.kind])
    if change.old_path is not None:
        yield b"similarity index %d%%\n" % change.similarity
        yield b"rename from %s\n" % quote(change.old_path)
        yield b"rename to %s\n" % quote(change.path)


def _shown_id(entry: TreeEntry | None) -> bytes:
    return (
        entry.blob_id.hex()[:12] if entry is not None and entry.blob_id is not None else "0" * 12
    ).encode()


def _body(
    old: tuple[TreeEntry | None, bytes],
    new: tuple[TreeEntry | None, bytes],
    read: Callable[[BlobId], bytes],
    context: int,
) -> Iterator[bytes]:
    """The part below the headers: hunks, or one line that says why there are none.

    Before that line stands git's ``index``, with ids of ours: where a patch has no hunks, git reads
    on into the next file's headers without it, and ``git apply --exclude`` cannot help.
    """
    for entry, name in (old, new):
        if entry is not None and entry.blob_id is None:
            yield b"Content of %s was not captured (%s)\n" % (name, entry.state.name.lower().encode())
            return
    if any(entry is not None and entry.size_bytes > MAX_TEXT_BYTES for entry, _ in (old, new)):
        yield b"Files %s and %s differ (too large to compare by lines)\n" % (old[1], new[1])
        return
    contents: list[bytes] = []
    for entry, name in (old, new):
        try:
            contents.append(b"" if entry is None or entry.blob_id is None else read(entry.blob_id))
        except MissingObjectError as error:
            if not error.is_purged:
                raise
            yield b"Content of %s was purged\n" % name
            return
    before, after = contents
    if is_binary(before) or is_binary(after):
        yield b"index %s..%s\n" % (_shown_id(old[0]), _shown_id(new[0]))
        yield b"Binary files %s and %s differ\n" % (old[1], new[1])
        return
    body = hunks(before, after, context=context)
    first = next(body, None)
    if first is not None:
        # A tab after a name with a space keeps patch(1) from reading what follows as a date.
        yield b"--- %s%s\n" % (old[1], b"\t" if b" " in old[1] else b"")
        yield b"+++ %s%s\n" % (new[1], b"\t" if b" " in new[1] else b"")
        yield first
        yield from body
