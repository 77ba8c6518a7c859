"""Put one file, symlink or removal into an open folder, safely.

Every call is relative to a descriptor and follows no link. What is new is created with
``O_EXCL`` (never written through something that is there), what replaces is written
beside and renamed over. What would be replaced or removed is looked at first: if it is not
what the plan saw, it was changed meanwhile and is left alone unless forced. Owns single
entries; the order of things and the folders are ``workspace.materialize``'s affair.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from casreplay.errors import CasreplayError, CorruptError, StoreIOError
from casreplay.model.ids import BlobId
from casreplay.model.objects import EntryKind, TreeEntry
from casreplay.workspace.platform import set_mode
from casreplay.workspace.stat_row import held_time
from casreplay.workspace.steps import FileWork

__all__ = [
    "CREATE",
    "FAILURES",
    "STREAM_BYTES",
    "ChangedMeanwhileError",
    "Content",
    "Writer",
    "is_fatal",
    "remove_temporaries",
    "write_rest",
]

TEMPORARY_PREFIX = b".casreplay-tmp-"
STREAM_BYTES = 4 << 20
"""Larger files are written piece by piece."""
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
"""Flags for a file that must not exist yet."""
_FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EIO)

FAILURES = (OSError, ValueError, OverflowError, CasreplayError)
"""What one entry may fail with: no room for the name, a time or target the system refuses, damage."""


class ChangedMeanwhileError(CasreplayError):
    """What stands there is not what the plan saw."""


@dataclass(frozen=True, slots=True)
class Content:
    """Where file contents come from.

    Attributes:
        read: the bytes of a blob, verified.
        stream: the same in pieces, verified when the last one was taken.
        locate: for many blobs at once, places in whose order reading is cheapest; optional.
    """

    read: Callable[[BlobId], bytes]
    stream: Callable[[BlobId], Iterator[bytes]]
    locate: Callable[[Sequence[BlobId]], Sequence[tuple[int, ...]]] | None = None


def remove_temporaries(folder_fd: int) -> None:
    """Remove the files that interrupted writers left in an open folder."""
    for name in os.listdir(folder_fd):
        if os.fsencode(name).startswith(TEMPORARY_PREFIX):
            os.unlink(name, dir_fd=folder_fd)


def is_fatal(error: BaseException) -> bool:
    """Whether going on with the next entry would fail the same way."""
    return isinstance(error, StoreIOError) or (isinstance(error, OSError) and error.errno in _FATAL)


class Writer:
    """Writes entries into open folders. One for each process.

    Args:
        content: where contents come from.
        modes_are_exact: whether a created file gets exactly the mode asked for (no umask).
        force: replace and remove what changed since the plan was made.
    """

    def __init__(self, content: Content, *, modes_are_exact: bool, force: bool) -> None:
        self.content = content
        self.modes_are_exact = modes_are_exact
        self._force = force
        self._temporary = 0

    def write_file(self, folder_fd: int, work: FileWork) -> int:
        """Write a regular file; returns the bytes written.

        Raises:
            ChangedMeanwhileError: something else stands there.
            FileExistsError: something stands there the plan did not know of.
            OSError, CasreplayError: it cannot be written or its content cannot be read; what
                stood there before is untouched, and no part of the new file remains.
        """
        if work.retouch and self._retouch(folder_fd, work):
            return 0
        entry = work.entry
        final = self._checked(folder_fd, work) and entry.size_bytes <= STREAM_BYTES
        name = work.name if final else self._temporary_name()
        fd = os.open(name, CREATE, entry.mode & 0o777, dir_fd=folder_fd)
        try:
            try:
                written = self._fill(fd, entry)
                if not self.modes_are_exact:
                    os.fchmod(fd, entry.mode & 0o777)
                os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
            finally:
                os.close(fd)
            if not final:
                self._put_in_place(folder_fd, name, work)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder_fd)
            raise
        return written

    def _put_in_place(self, folder_fd: int, name: bytes, work: FileWork) -> None:
        """Rename a finished file over what it replaces, or to a name that must still be free."""
        if work.before is None and not self._force:
            os.link(name, work.name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd, follow_symlinks=False)
            os.unlink(name, dir_fd=folder_fd)
        else:
            os.rename(name, work.name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)

    def _fill(self, fd: int, entry: TreeEntry) -> int:
        blob = BlobId(entry.id)  # type: ignore[arg-type]
        if entry.size_bytes > STREAM_BYTES:
            written = _write_pieces(fd, self.content.stream(blob))
        else:
            data = self.content.read(blob)
            written = len(data)
            if os.write(fd, data) != written:
                write_rest(fd, data)
        if written != entry.size_bytes:
            raise CorruptError(f"A file of {entry.size_bytes} bytes has {written} bytes in the store")
        return written

    def _retouch(self, folder_fd: int, work: FileWork) -> bool:
        """Set mode and time of what has the right content already; ``False``: it has to be written.

        So has what has other names (hard links): they share mode and time, and may lie outside.
        """
        before = work.before
        assert before is not None
        if self._check_unchanged(folder_fd, work.name, before) != 1:
            return False
        entry = work.entry
        if before.mode != entry.mode and entry.kind != EntryKind.SYMLINK:
            try:
                set_mode(work.name, entry.mode & 0o777, folder_fd)
            except OSError:
                return False
        os.utime(work.name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder_fd, follow_symlinks=False)
        return True

    def write_link(self, folder_fd: int, work: FileWork) -> int:
        """Make a symlink; returns the length of its target. Raises as ``write_file``."""
        if work.retouch and self._retouch(folder_fd, work):
            return 0
        final = self._checked(folder_fd, work)
        name = work.name if final else self._temporary_name()
        entry = work.entry
        target = self.content.read(BlobId(entry.id))  # type: ignore[arg-type]
        os.symlink(target, name, dir_fd=folder_fd)
        try:
            os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder_fd, follow_symlinks=False)
            if not final:
                os.rename(name, work.name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder_fd)
            raise
        return len(target)

    def remove(self, folder_fd: int, name: bytes, before: TreeEntry) -> None:
        """Remove a file, link or special file, or an empty folder.

        Raises:
            ChangedMeanwhileError: it is not what the plan saw.
            OSError: it cannot be removed; ``ENOTEMPTY``: the folder holds what the plan did not know of.
        """
        if before.kind == EntryKind.FOLDER:
            os.rmdir(name, dir_fd=folder_fd)
            return
        self._check_unchanged(folder_fd, name, before)
        os.unlink(name, dir_fd=folder_fd)

    def _checked(self, folder_fd: int, work: FileWork) -> bool:
        """Whether the final name is free; otherwise what stands there may be replaced."""
        if work.before is not None:
            self._check_unchanged(folder_fd, work.name, work.before)
            return False
        if not self._force:
            return True
        try:
            found = os.stat(work.name, dir_fd=folder_fd, follow_symlinks=False)
        except FileNotFoundError:
            return True
        if stat.S_ISDIR(found.st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), work.name)
        return False

    def _check_unchanged(self, folder_fd: int, name: bytes, before: TreeEntry) -> int:
        """How many names what stands there has; 0 when nothing does."""
        try:
            found = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
        except FileNotFoundError:
            return 0
        if stat.S_ISDIR(found.st_mode):
            raise ChangedMeanwhileError("A folder has taken its place")
        is_regular = before.kind in (EntryKind.FILE, EntryKind.EXECUTABLE)
        if self._force or not before.state.has_content:
            return found.st_nlink
        if stat.S_ISREG(found.st_mode) != is_regular or held_time(found.st_mtime_ns) != before.mtime_ns:
            raise ChangedMeanwhileError("It was changed after it was looked at")
        if is_regular and found.st_size != before.size_bytes:
            raise ChangedMeanwhileError("It was changed after it was looked at")
        return found.st_nlink

    def _temporary_name(self) -> bytes:
        self._temporary += 1
        return TEMPORARY_PREFIX + b"%d-%d" % (os.getpid(), self._temporary)


def write_rest(fd: int, data: bytes) -> None:
    """Write what a first, partial write left over."""
    rest = memoryview(data)[os.lseek(fd, 0, os.SEEK_CUR) :]
    while rest:
        rest = rest[os.write(fd, rest) :]


def _write_pieces(fd: int, pieces: Iterator[bytes]) -> int:
    """Write a long file; pieces of zeros become holes."""
    length = 0
    for piece in pieces:
        if piece.count(0) == len(piece):
            os.lseek(fd, len(piece), os.SEEK_CUR)
        else:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(fd, rest) :]
        length += len(piece)
    os.ftruncate(fd, length)
    return length
