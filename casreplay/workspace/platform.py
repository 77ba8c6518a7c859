"""What differs between systems and file systems: everything this floor knows about it.

Writing relies on calls relative to an open folder (``openat`` and its family); a
system without them (Windows) is refused, not served with something less safe.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import threading
from collections.abc import Iterator

from casreplay.errors import UsageError

__all__ = ["IS_WINDOWS", "exact_modes", "ignores_case", "marks_folders", "require_folder_calls", "set_mode"]

IS_WINDOWS = sys.platform == "win32"

_PROBE = b".casreplay-Probe-"
_MARKING = frozenset((b"ext2", b"ext3", b"ext4", b"xfs", b"btrfs", b"f2fs", b"tmpfs"))
_MOUNTS = "/proc/self/mountinfo"


def require_folder_calls() -> None:
    """Refuse a system on which files cannot be written relative to an open folder.

    Raises:
        UsageError: always there, never elsewhere.
    """
    needed = (os.open, os.mkdir, os.unlink, os.rmdir, os.rename, os.symlink, os.stat, os.utime)
    if not all(call in os.supports_dir_fd for call in needed):
        raise UsageError(
            "This system has no calls relative to an open folder, which safe writing needs",
            hint="Use a POSIX system, for instance the Windows Subsystem for Linux",
        )


def marks_folders(device: int, mounts: str = _MOUNTS) -> bool:
    """Whether each change of a folder's names shows in its own times at once, on the file system ``device``.

    POSIX asks for it, and Linux's own file systems on disks and in memory do it. Those that
    ask a server or another program (NFS, SMB, FUSE, 9p) may tell times they remember, so only file
    systems known to do it count; where the system does not say which one it is, the answer is no.

    Args:
        device: ``st_dev`` of a file on it.
        mounts: the table of mounts, as proc(5) describes it under ``mountinfo``.

    Cost: reads the table, about 50 us.
    """
    try:
        wanted = b"%d:%d" % (os.major(device), os.minor(device))
        with open(mounts, "rb") as file:
            lines = [line.split() for line in file]
    except (OSError, AttributeError):
        return False
    kinds = {line[line.index(b"-") + 1] for line in lines if line[2:3] == [wanted] and b"-" in line[:-1]}
    return bool(kinds) and kinds <= _MARKING


def ignores_case(folder_fd: int) -> bool:
    """Whether the file system of an open, writable folder takes ``A`` and ``a`` for one name.

    Found out by making an empty file and looking for it under another case; the file is
    removed. ``False`` where nothing can be written.
    """
    name = _PROBE + b"%d" % os.getpid()
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=folder_fd))
    except OSError:
        return False
    try:
        os.stat(name.lower(), dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    finally:
        os.unlink(name, dir_fd=folder_fd)
    return True


@contextlib.contextmanager
def exact_modes() -> Iterator[bool]:
    """Within, files get exactly the mode they are created with, if this yields ``True``.

    The umask belongs to the whole process: with other threads running it is left alone,
    ``False`` is yielded, and the caller sets each mode afterwards.
    """
    if threading.active_count() > 1:
        yield False
        return
    before = os.umask(0)
    try:
        yield True
    finally:
        os.umask(before)


def set_mode(name: bytes, mode: int, folder_fd: int) -> None:
    """Set the mode of the file or folder ``name`` in an open folder; a link is refused, not followed.

    Linux lacks the direct call; there the entry is pinned by a descriptor first.

    Raises:
        OSError: as ``chmod``; ``ELOOP`` for a link.
    """
    if os.chmod in os.supports_follow_symlinks:
        os.chmod(name, mode, dir_fd=folder_fd, follow_symlinks=False)
        return
    flags = getattr(os, "O_PATH", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    fd = os.open(name, flags, dir_fd=folder_fd)
    try:
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        os.chmod(b"/proc/self/fd/%d" % fd, mode)
    finally:
        os.close(fd)
