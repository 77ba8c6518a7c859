"""What differs between systems: file locks, folder fsync, a durable fsync, reading at an offset.

Everything else in the store is the same everywhere. On POSIX locks are ``flock``:
they belong to an open file, survive a rename, and the kernel drops them when the
holder dies, however it dies. Where ``fcntl`` is missing, ranges of bytes far
beyond the file's end are locked with ``msvcrt``: one byte of 64 for a shared
lock, all of them for an exclusive one.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

__all__ = ["OPEN_FLAGS", "pread", "start_writing", "sync_descriptor", "sync_folder", "try_lock", "unlock"]

OPEN_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Flags every file is opened with: not inherited by other programs, no translation of line ends."""

_SLOTS = 64
_SLOT_AT = 1 << 40


if sys.platform == "win32":  # pragma: no cover - exercised where fcntl is missing
    import msvcrt

    def try_lock(descriptor: int, *, exclusive: bool) -> bool:
        """Take the lock on an open file without waiting; returns whether it was free."""
        widths = [(_SLOT_AT, _SLOTS)] if exclusive else [(_SLOT_AT + slot, 1) for slot in range(_SLOTS)]
        for start, width in widths:
            os.lseek(descriptor, start, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, width)
            except OSError:
                continue
            return True
        return False

    def unlock(descriptor: int) -> None:
        """Give the lock back: closing the descriptor does it."""
        del descriptor

    def sync_folder(path: str) -> None:
        """Folders cannot be synced here; the file system orders renames itself."""
        del path

else:
    import fcntl

    def try_lock(descriptor: int, *, exclusive: bool) -> bool:
        """Take the lock on an open file without waiting; returns whether it was free."""
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Give the lock back, even while a forked child still holds the open file."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    def sync_folder(path: str) -> None:
        """Make the names in a folder durable."""
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | OPEN_FLAGS)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


if hasattr(os, "pread"):
    pread = os.pread
else:  # pragma: no cover - exercised where pread is missing
    _seeking = threading.Lock()

    def pread(descriptor: int, count: int, offset: int, /) -> bytes:
        """Read at an offset; threads of one process take turns."""
        with _seeking:
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.read(descriptor, count)


def start_writing(descriptor: int, offset: int, count: int) -> None:
    """Have the system begin to write a range to the disk, without waiting; nothing where it cannot.

    Left alone, written pages wait up to half a minute for the disk, and whoever syncs then
    waits for all of them. Linux starts at once when it is told that a range is not needed,
    and drops no page that is not written yet. Source: posix_fadvise(2), Linux ``mm/fadvise.c``.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.posix_fadvise(descriptor, offset, count, os.POSIX_FADV_DONTNEED)


def sync_descriptor(descriptor: int) -> None:
    """Make a file's bytes and length durable, past the drive's own cache where the system lets us."""
    if sys.platform == "darwin":  # fsync there stops at the drive's cache
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError:
            os.fsync(descriptor)
    elif hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)
