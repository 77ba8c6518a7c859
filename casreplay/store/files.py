"""Durable file operations: the only user of ``os`` for the store.

Owns the seam ``Files`` and its implementation on the operating system. Eight
operations change the disk: make a folder, create a file, append, sync a file, sync
a folder, rename, truncate, remove. A double that fails the n-th of them, or forgets
what was not synced, therefore sees every step the store takes
(``tests/support/faulty_files.py``). Knows no record, index or log.

Errors of the system become ``StoreIOError`` with the errno in its fields. A failed
append leaves the file longer by an unknown part of the data, never by anything
else; a handle whose write or sync failed refuses everything afterwards, because a
second ``fsync`` may claim success for pages that were already dropped
(https://lwn.net/Articles/752063/).
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from casreplay.errors import StoreIOError
from casreplay.store import platform

__all__ = [
    "AppendFile",
    "FileLock",
    "Files",
    "OsFiles",
    "ReadFile",
    "is_missing",
    "join",
    "make_folders",
    "replace",
]

FILE_MODE = 0o600
FOLDER_MODE = 0o700
_LARGE_BYTES = 1 << 20
"""A write of this much is sent on its way to the disk at once: the disk works while we go on."""

Bytes = bytes | bytearray | memoryview
_T = TypeVar("_T")

_HINTS = {
    errno.ENOSPC: "Free some space on the disk; nothing that was recorded before is lost",
    getattr(errno, "EDQUOT", -1): "The quota of this user is used up; free some space",
    errno.EROFS: "The file system is mounted read-only",
    errno.EACCES: "The store belongs to another user, or its permissions were changed",
    errno.EPERM: "The store belongs to another user, or its permissions were changed",
    errno.EIO: "The disk reports an error; copy the store elsewhere before doing anything else",
    errno.EMFILE: "Too many files are open; raise the limit (ulimit -n)",
}


class AppendFile(Protocol):
    """A file that only grows."""

    size: int
    """Length in bytes, as far as this handle knows."""

    def write(self, data: Bytes) -> None:
        """Append all of ``data``."""

    def sync(self) -> None:
        """Make everything appended so far durable."""

    def close(self) -> None:
        """Release the file; does not sync. Calling it twice is harmless."""


class ReadFile(Protocol):
    """A file read at any offset, by any thread and in forked children."""

    def pread(self, count: int, offset: int) -> bytes:
        """At most ``count`` bytes from ``offset``; fewer only at the file's end."""

    def size(self) -> int:
        """The length now."""

    def close(self) -> None:
        """Release the file."""


class FileLock(Protocol):
    """A lock that is held until it is released or its process ends."""

    def release(self) -> None:
        """Give it back. Calling it twice is harmless."""


class Files(Protocol):
    """What the store may do to a disk. Paths are absolute or relative system paths as text."""

    def make_folder(self, path: str) -> None:
        """Create one folder, mode 0700; an existing one is left as it is."""

    def append(self, path: str, *, create: bool = False) -> AppendFile:
        """Open for appending; with ``create`` the file must not exist yet."""

    def rename(self, old: str, new: str) -> None:
        """Give ``old`` the name ``new``, replacing what had it, in one step."""

    def truncate(self, path: str, size: int) -> None:
        """Cut a file to ``size`` bytes and make that durable."""

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is no error."""

    def sync_folder(self, path: str) -> None:
        """Make creations, renames and removals in a folder durable."""

    def open(self, path: str) -> ReadFile:
        """Open for reading."""

    def read(self, path: str) -> bytes:
        """All bytes of a file."""

    def map(self, path: str) -> mmap.mmap | bytes:
        """A file as read-only memory."""

    def stamp(self, path: str) -> tuple[int, int, int] | None:
        """Inode, size and mtime in ns of a file; ``None`` when there is none."""

    def names(self, folder: str) -> list[str]:
        """Names in a folder, sorted; empty when it does not exist."""

    def try_lock(self, path: str, *, exclusive: bool) -> FileLock | None:
        """Lock a file, creating it when missing; ``None`` when somebody else holds it."""

    def random_bytes(self, count: int) -> bytes:
        """Bytes nobody can guess."""

    def pause(self, seconds: float) -> None:
        """Let time pass while waiting for a lock."""

    def owner(self) -> str:
        """Who this process is, for messages: process number and host."""


def join(folder: str, *names: str) -> str:
    """A path below ``folder``."""
    return os.path.join(folder, *names)


def make_folders(files: Files, path: str) -> None:
    """Create a folder and what is missing above it, each durable in the one that holds it."""
    above = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(path):
        if above != path:
            make_folders(files, above)
        files.make_folder(path)
        files.sync_folder(above)


def is_missing(error: StoreIOError) -> bool:
    """Whether the error says that a file does not exist."""
    return error.fields.get("errno") == errno.ENOENT


def is_refused(error: StoreIOError) -> bool:
    """Whether the error says that nothing may be written there: not by this user, or by nobody."""
    return error.fields.get("errno") in (errno.EROFS, errno.EACCES, errno.EPERM)


def replace(files: Files, path: str, data: Bytes) -> None:
    """Put ``data`` under ``path``, durably and in one step: the old bytes or the new, never a mixture.

    Costs two syncs. A failure leaves the old file, and possibly ``path + ".tmp"``.
    """
    temporary = path + ".tmp"
    files.remove(temporary)
    handle = files.append(temporary, create=True)
    try:
        handle.write(data)
        handle.sync()
    finally:
        handle.close()
    files.rename(temporary, path)
    files.sync_folder(os.path.dirname(path))


def _translated(what: str, path: str, action: Callable[[], _T]) -> _T:
    """Run ``action``; an ``OSError`` becomes a ``StoreIOError`` that says what was tried."""
    try:
        return action()
    except OSError as error:
        raise StoreIOError(
            f"Cannot {what} {path!r}: {error.strerror or error}",
            hint=_HINTS.get(error.errno or 0, ""),
            errno=error.errno,
            file=path,
        ) from error


class _OsAppendFile:
    """An append handle on the operating system."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._broken = False
        self.size = os.fstat(descriptor).st_size

    def write(self, data: Bytes) -> None:
        self._guarded("write to", lambda: self._write_all(memoryview(data)))

    def _write_all(self, view: memoryview) -> None:
        start = self.size
        while view:
            written = os.write(self._descriptor, view)
            self.size += written
            view = view[written:]
        if self.size - start >= _LARGE_BYTES:
            platform.start_writing(self._descriptor, start, self.size - start)

    def sync(self) -> None:
        self._guarded("sync", lambda: platform.sync_descriptor(self._descriptor))

    def _guarded(self, what: str, action: Callable[[], None]) -> None:
        if self._broken:
            raise StoreIOError(f"Cannot {what} {os.fsencode(self._path)!r}: an earlier write failed")
        self._broken = True
        _translated(what, self._path, action)
        self._broken = False

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class _OsReadFile:
    """A read handle on the operating system."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def pread(self, count: int, offset: int) -> bytes:
        try:
            data = platform.pread(self._descriptor, count, offset)
            while len(data) < count:
                more = platform.pread(self._descriptor, count - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise StoreIOError(
                f"Cannot read {os.fsencode(self._path)!r}: {error.strerror}",
                hint=_HINTS.get(error.errno or 0, ""),
                errno=error.errno,
                file=self._path,
            ) from error
        return data

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class _OsLock:
    """A lock on an open file of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            platform.unlock(descriptor)
            os.close(descriptor)


class OsFiles:
    """``Files`` on the operating system."""

    def make_folder(self, path: str) -> None:
        """See ``Files``."""

        def make() -> None:
            try:
                os.mkdir(path, FOLDER_MODE)
            except FileExistsError:
                if not os.path.isdir(path):
                    raise

        if not os.path.isdir(path):
            _translated("create the folder", path, make)

    def append(self, path: str, *, create: bool = False) -> AppendFile:
        """See ``Files``."""
        flags = os.O_WRONLY | os.O_APPEND | platform.OPEN_FLAGS | (os.O_CREAT | os.O_EXCL if create else 0)
        return _OsAppendFile(path, _translated("open", path, lambda: os.open(path, flags, FILE_MODE)))

    def rename(self, old: str, new: str) -> None:
        """See ``Files``."""
        _translated("rename", old, lambda: os.replace(old, new))

    def truncate(self, path: str, size: int) -> None:
        """See ``Files``."""

        def cut() -> None:
            descriptor = os.open(path, os.O_WRONLY | platform.OPEN_FLAGS)
            try:
                os.ftruncate(descriptor, size)
                platform.sync_descriptor(descriptor)
            finally:
                os.close(descriptor)

        _translated("cut", path, cut)

    def remove(self, path: str) -> None:
        """See ``Files``."""

        def unlink() -> None:
            try:
                os.unlink(path)
            except FileNotFoundError:
                return

        _translated("remove", path, unlink)

    def sync_folder(self, path: str) -> None:
        """See ``Files``."""
        _translated("sync the folder", path, lambda: platform.sync_folder(path))

    def open(self, path: str) -> ReadFile:
        """See ``Files``."""
        return _OsReadFile(
            path, _translated("open", path, lambda: os.open(path, os.O_RDONLY | platform.OPEN_FLAGS))
        )

    def read(self, path: str) -> bytes:
        """See ``Files``."""
        handle = self.open(path)
        try:
            return handle.pread(handle.size(), 0)
        finally:
            handle.close()

    def map(self, path: str) -> mmap.mmap | bytes:
        """See ``Files``."""

        def mapped() -> mmap.mmap | bytes:
            descriptor = os.open(path, os.O_RDONLY | platform.OPEN_FLAGS)
            try:
                if os.fstat(descriptor).st_size == 0:
                    return b""
                return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
            finally:
                os.close(descriptor)

        return _translated("map", path, mapped)

    def stamp(self, path: str) -> tuple[int, int, int] | None:
        """See ``Files``."""
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            # Something is there that cannot be looked at: reading it will say what.
            return (0, 0, 0)
        return (found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None

    def names(self, folder: str) -> list[str]:
        """See ``Files``."""

        def listed() -> list[str]:
            try:
                return sorted(os.listdir(folder))
            except FileNotFoundError:
                return []

        return _translated("list", folder, listed)

    def try_lock(self, path: str, *, exclusive: bool) -> FileLock | None:
        """See ``Files``."""
        flags = os.O_RDWR | os.O_CREAT | platform.OPEN_FLAGS
        descriptor = _translated("open the lock", path, lambda: os.open(path, flags, FILE_MODE))
        if platform.try_lock(descriptor, exclusive=exclusive):
            return _OsLock(descriptor)
        os.close(descriptor)
        return None

    def random_bytes(self, count: int) -> bytes:
        """See ``Files``."""
        return os.urandom(count)

    def pause(self, seconds: float) -> None:
        """See ``Files``."""
        time.sleep(seconds)

    def owner(self) -> str:
        """See ``Files``."""
        host = os.uname().nodename if hasattr(os, "uname") else ""
        return f"process {os.getpid()} on {host or 'this machine'}"
