"""Look at a folder that was or shall be written: what is there, and is it what it should be.

Owns listing with ids (to plan a restore over an existing folder) and the check after a
restore. Changes nothing, follows no link, enters no mount point.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial

from casreplay.codec.hashing import BlobHasher, blob_id
from casreplay.model.objects import NO_ID, EntryKind, EntryState, TreeEntry
from casreplay.model.paths import display
from casreplay.model.problems import Problem
from casreplay.workspace import workers
from casreplay.workspace.capture import FileStat, FileStream, read_file, read_link, read_listed, read_start
from casreplay.workspace.folders import FolderStack, open_root
from casreplay.workspace.scanner import list_folder
from casreplay.workspace.stat_row import stat_row
from casreplay.workspace.steps import Entry

__all__ = ["Row", "check", "difference", "entries_of", "still_there", "survey"]

Row = tuple[int, int, int, int, int]
"""mode, size, mtime_ns, ctime_ns, inode."""
STREAM_BYTES = 4 << 20
MIN_PARALLEL_ENTRIES = 2000
ENTRY_WEIGHT_BYTES = 20_000
_FOLDER_BITS = stat.S_IFDIR

_KINDS = {
    stat.S_IFREG: EntryKind.FILE,
    stat.S_IFDIR: EntryKind.FOLDER,
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFIFO: EntryKind.FIFO,
    stat.S_IFSOCK: EntryKind.SOCKET,
    stat.S_IFCHR: EntryKind.CHARACTER_DEVICE,
    stat.S_IFBLK: EntryKind.BLOCK_DEVICE,
}
_FILES = (EntryKind.FILE, EntryKind.EXECUTABLE)


def survey(root_fd: int) -> dict[bytes, Row]:
    """Every entry below an open folder with its stat, folders before their contents.

    Cost: about 3 us an entry. A folder that vanishes or cannot be read counts as empty.
    """
    device = os.fstat(root_fd).st_dev
    found: dict[bytes, Row] = {}
    pending = [b""]
    while pending:
        folder = pending.pop()
        try:
            listing = list_folder(root_fd, folder, device)
        except OSError:
            continue
        flat = iter(listing.rows())
        rows = zip(flat, flat, flat, flat, flat, strict=True)  # one column each, COLUMNS of them
        prefix = folder + b"/" if folder else b""
        for name, row in zip(listing.split_names(), rows, strict=True):
            found[prefix + name] = row
            if row[0] & 0o170000 == _FOLDER_BITS:
                pending.append(prefix + name)
    return found


def entries_of(folder: bytes) -> Iterator[Entry]:
    """What is in the folder at ``folder``, contents hashed, folders before their contents.

    Folders carry no content id. Cost: reads every file. Raises ``OSError`` when ``folder`` cannot be opened.
    """
    root_fd = open_root(folder)
    try:
        rows = survey(root_fd)
        with FolderStack(root_fd) as stack:
            for path in sorted(rows, key=lambda path: path.replace(b"/", b"\0")):
                above, _, name = path.rpartition(b"/")
                try:
                    yield path, _entry(stack.open(above), name, rows[path])
                except OSError:
                    continue
    finally:
        os.close(root_fd)


def _entry(folder_fd: int, name: bytes, row: Row) -> TreeEntry:
    kind = _KINDS.get(stat.S_IFMT(row[0]), EntryKind.SOCKET)
    if kind is EntryKind.FILE and row[0] & 0o111:
        kind = EntryKind.EXECUTABLE
    state, object_id, size = EntryState.COMPLETE, NO_ID, 0
    if kind.has_content:
        state, object_id, size = _content_id(folder_fd, name, kind, row)
    return TreeEntry(name, kind, state, row[0] & 0o7777, size, row[2], object_id)


def _content_id(folder_fd: int, name: bytes, kind: EntryKind, row: FileStat) -> tuple[EntryState, bytes, int]:
    """State, blob id and length of a file's or link's content, zeros where it cannot be read."""
    if kind is not EntryKind.SYMLINK and row[1] > STREAM_BYTES:
        hasher = BlobHasher()
        try:
            with FileStream(folder_fd, name) as stream:
                for piece in stream.pieces():
                    hasher.update(piece)
                result = stream.result()
        except OSError:
            return EntryState.UNREADABLE, NO_ID, 0
        return result.state, hasher.id(), result.stat[1]
    if kind is not EntryKind.SYMLINK:
        data = read_listed(folder_fd, name, row)
        if data is not None:
            return EntryState.COMPLETE, blob_id(data), len(data)
    captured = read_link(folder_fd, name) if kind is EntryKind.SYMLINK else read_file(folder_fd, name)
    if captured.data is None:
        return captured.state, NO_ID, 0
    return captured.state, blob_id(captured.data), len(captured.data)


def check(folder: bytes, expected: Sequence[Entry], *, contents: bool = True) -> list[Problem]:
    """Compare what is in ``folder`` with what should be there.

    Args:
        folder: the folder that was written.
        expected: files, links and folders, in walk order; what is not named is not looked at.
        contents: read and hash every file again; otherwise kind, mode, size and time only.

    Returns:
        One problem for each entry that differs, code ``not-restored``, in the order of ``expected``.

    Cost: about 4 us an entry, and with ``contents`` the reading of all files, in two or more processes.
    """
    jobs = 1 if len(expected) < MIN_PARALLEL_ENTRIES else workers.count()
    weights = [ENTRY_WEIGHT_BYTES + (entry.size_bytes if contents else 0) for _, entry in expected]
    parts = workers.split_by_weight(weights, jobs) if expected else []
    tasks = [
        partial(_differences, folder, expected[part.start : part.stop], contents=contents) for part in parts
    ]
    return [
        Problem("not-restored", f"{display(path)} is not as recorded: {reason}", path=display(path))
        for found in workers.run(tasks)
        for path, reason in found
    ]


def still_there(folder: bytes, paths: Sequence[bytes]) -> list[bytes]:
    """Those of ``paths`` that exist below ``folder``, links counted as themselves."""
    found = []
    root_fd = open_root(folder)
    try:
        with FolderStack(root_fd) as stack:
            for path in paths:
                above, _, name = path.rpartition(b"/")
                with contextlib.suppress(OSError):
                    os.stat(name, dir_fd=stack.open(above), follow_symlinks=False)
                    found.append(path)
    finally:
        os.close(root_fd)
    return found


def _differences(folder: bytes, expected: Sequence[Entry], *, contents: bool) -> list[tuple[bytes, str]]:
    found: list[tuple[bytes, str]] = []
    root_fd = open_root(folder)
    try:
        with FolderStack(root_fd) as stack:
            for path, entry in expected:
                above, _, name = path.rpartition(b"/")
                try:
                    reason = difference(stack.open(above), name, entry, contents=contents)
                except OSError as error:
                    reason = error.strerror or str(error)
                if reason:
                    found.append((path, reason))
    finally:
        os.close(root_fd)
    return found


def _is_as_recorded(folder_fd: int, name: bytes, entry: TreeEntry) -> bool:
    """Whether a file that fits in memory is ``entry`` in everything, at one look; otherwise look closer."""
    size = entry.size_bytes
    if entry.kind not in _FILES or size > STREAM_BYTES:
        return False
    found = read_start(folder_fd, name, size + 1)
    if found is None:
        return False
    data, (mode, length, mtime_ns, _, _) = found
    return (
        stat.S_ISREG(mode)
        and not (mode ^ entry.mode) & 0o777
        and mtime_ns == entry.mtime_ns
        and length == len(data) == size
        and blob_id(data) == entry.id
    )


def difference(folder_fd: int, name: bytes, entry: TreeEntry, *, contents: bool) -> str:
    """Why ``name`` in an open folder is not ``entry``, as the end of a sentence; empty when it is.

    Raises:
        OSError: there is nothing of that name, or it cannot be looked at.
    """
    if contents and _is_as_recorded(folder_fd, name, entry):
        return ""
    s = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    kind = _KINDS.get(stat.S_IFMT(s.st_mode))
    wanted = EntryKind.FILE if entry.kind is EntryKind.EXECUTABLE else entry.kind
    if kind is not wanted:
        return f"it is a {kind.name.lower() if kind else 'special file'}, not a {wanted.name.lower()}"
    if (
        kind is not EntryKind.SYMLINK
        and (s.st_mode ^ entry.mode) & 0o777
        and entry.state is not EntryState.MOUNT
    ):
        return f"its mode is {s.st_mode & 0o7777:04o}, not {entry.mode & 0o777:04o}"
    row = stat_row(s)
    if row[2] != entry.mtime_ns:
        return "its time differs"
    if kind is EntryKind.FOLDER:
        return ""
    if s.st_size != entry.size_bytes:
        return f"it has {s.st_size} bytes, not {entry.size_bytes}"
    if contents and _content_id(folder_fd, name, kind, row)[1] != entry.id:
        return "its content differs"
    return ""
