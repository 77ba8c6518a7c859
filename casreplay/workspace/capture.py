"""Read one file so that what is stored is what was hashed, and say when it would not hold still.

Owns the safe read: open relative to an open folder without following links and without
blocking on a FIFO, check that it is a regular file, read, look again. A file that only
grew keeps the bytes it had when it was opened (``PREFIX``); one that changed otherwise is
read again up to three times and then kept as ``TORN``. Never turns a failure into an
empty file. Does not hash and does not store.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

from casreplay.model.objects import EntryState
from casreplay.workspace.stat_row import FileStat, raw_row, stat_row

__all__ = ["Captured", "FileStat", "FileStream", "read_file", "read_link", "read_listed", "read_start"]

ATTEMPTS = 3
WAITS_S = (0.0, 0.01, 0.05)
PIECE_BYTES = 1 << 20

_OPEN_FILE = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)

Sleep = Callable[[float], None]

_pread: Callable[[int, int, int], bytes] | None = getattr(os, "pread", None)


class Captured(NamedTuple):
    """What reading one entry gave.

    Attributes:
        state: whether the content is complete, and why not.
        stat: the row that goes with the content; zeros when nothing could be read.
        data: the content; ``None`` where the state has none.
    """

    state: EntryState
    stat: FileStat
    data: bytes | None


_NOTHING: FileStat = (0, 0, 0, 0, 0)


def _failed(error: OSError) -> Captured:
    gone = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # ELOOP: a link took the name
    return Captured(EntryState.VANISHED if gone else EntryState.UNREADABLE, _NOTHING, None)


def read_listed(folder_fd: int, name: bytes, row: FileStat) -> bytes | None:
    """The content of a regular file that still is what the listing saw, or ``None``.

    Args:
        folder_fd: the open folder.
        name: the file.
        row: what the listing said of it: a regular file.

    The listing's row stands for the look before the reading: mode, length, times and inode
    behind it must all be the same, so nothing was written in between. Whatever else there
    is to say (changed, growing, gone, replaced, denied) is ``read_file``'s affair, which
    ``None`` asks for. A FIFO or socket that took the name is not read from, for it has no
    offsets. Cost: open, ``pread``, ``fstat``, close.
    """
    found = read_start(folder_fd, name, row[1] + 1)
    if found is None:
        return None
    data, after = found
    return data if len(data) == row[1] and after == row else None


def read_start(folder_fd: int, name: bytes, count: int) -> tuple[bytes, FileStat] | None:
    """At most ``count`` bytes from the start of ``name``, its raw row afterwards; ``None`` where that fails.

    Nothing is taken out of a FIFO: ``pread`` refuses what has no offsets. Cost: open, ``pread``,
    ``fstat``, close.
    """
    if _pread is None:
        return None
    try:
        fd = os.open(name, _OPEN_FILE, dir_fd=folder_fd)
        try:
            return _pread(fd, count, 0), raw_row(os.fstat(fd))
        finally:
            os.close(fd)
    except OSError:
        return None


def read_file(folder_fd: int, name: bytes, *, sleep: Sleep = time.sleep) -> Captured:
    """The content of the regular file ``name`` in an open folder, held in memory.

    Cost: open, two ``fstat``, read, close; again when the file changed meanwhile. For
    files too big to hold use ``FileStream``.

    A name that is no regular file any more (replaced by a FIFO, a link, a folder)
    counts as ``VANISHED``: the next snapshot sees what took its place.
    """
    try:
        for attempt in range(ATTEMPTS):
            captured = _read_once(folder_fd, name)
            if captured.state is not EntryState.TORN:
                return captured
            if attempt < ATTEMPTS - 1:
                sleep(WAITS_S[attempt])
    except OSError as error:
        return _failed(error)
    return captured


def _read_once(folder_fd: int, name: bytes) -> Captured:
    fd = os.open(name, _OPEN_FILE, dir_fd=folder_fd)
    try:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            return Captured(EntryState.VANISHED, _NOTHING, None)
        size = before.st_size
        data = os.read(fd, size + 1)
        if 0 < len(data) < size:  # a signal, or more than one system call can carry
            data = _read_rest(fd, data, size + 1)
        after = os.fstat(fd)
    finally:
        os.close(fd)
    if len(data) == size and before.st_mtime_ns == after.st_mtime_ns and after.st_size == size:
        return Captured(EntryState.COMPLETE, stat_row(after), data)
    return _unsteady(before, after, data)


def _read_rest(fd: int, start: bytes, limit: int) -> bytes:
    pieces, have = [start], len(start)
    while have < limit and (piece := os.read(fd, min(PIECE_BYTES, limit - have))):
        pieces.append(piece)
        have += len(piece)
    return b"".join(pieces)


def _unsteady(before: os.stat_result, after: os.stat_result, data: bytes) -> Captured:
    """A file that changed while it was read: grown only, or torn."""
    size = before.st_size
    mode, _, mtime, ctime, inode = stat_row(before)
    if after.st_size > size and len(data) >= size:
        return Captured(EntryState.PREFIX, (mode, size, mtime, ctime, inode), data[:size])
    return Captured(EntryState.TORN, (mode, len(data), mtime, ctime, inode), data)


def read_link(folder_fd: int, name: bytes) -> Captured:
    """The target of the symlink ``name`` in an open folder, as its content."""
    try:
        target = os.readlink(name, dir_fd=folder_fd)
        row = stat_row(os.stat(name, dir_fd=folder_fd, follow_symlinks=False))
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno == 22:  # EINVAL: no link any more
            return Captured(EntryState.VANISHED, _NOTHING, None)
        return _failed(error)
    return Captured(EntryState.COMPLETE, (row[0], len(target), row[2], row[3], row[4]), target)


class FileStream:
    """The content of a big regular file in pieces, with the verdict afterwards.

    Use as a context manager around the reading of ``pieces()``; ``result()`` then says
    what state and stat row belong to the bytes that were given out. Raises ``OSError``
    from the constructor when the file cannot be opened, and ``FileNotFoundError`` when
    it is no regular file any more.
    """

    def __init__(self, folder_fd: int, name: bytes) -> None:
        self._fd = os.open(name, _OPEN_FILE, dir_fd=folder_fd)
        self._before = os.fstat(self._fd)
        self._given = 0
        if not stat.S_ISREG(self._before.st_mode):
            os.close(self._fd)
            raise FileNotFoundError(2, "No regular file any more", name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def pieces(self) -> Iterator[bytes]:
        """The first ``st_size`` bytes the file had when it was opened, a megabyte at a time."""
        size = self._before.st_size
        while self._given < size:
            piece = os.read(self._fd, min(PIECE_BYTES, size - self._given))
            if not piece:
                return
            self._given += len(piece)
            yield piece

    def result(self) -> Captured:
        """State and stat row of what ``pieces`` gave; ``data`` is ``None``.

        A growing file is ``PREFIX``; one that shrank or was rewritten in place is ``TORN``
        (big files are not read again: they would only be torn again).
        """
        after = os.fstat(self._fd)
        mode, size, mtime, ctime, inode = stat_row(self._before)
        row = (mode, self._given, mtime, ctime, inode)
        if self._given == size == after.st_size and after.st_mtime_ns == self._before.st_mtime_ns:
            return Captured(EntryState.COMPLETE, stat_row(after), None)
        if self._given == size and after.st_size > size:
            return Captured(EntryState.PREFIX, row, None)
        return Captured(EntryState.TORN, row, None)
