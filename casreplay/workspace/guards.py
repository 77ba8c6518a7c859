"""What a recorder refuses to do: record the whole disk, fill it, or go on without end.

Owns the limits and their messages. Where the numbers come from is ``model.config``; who
asks, and how often, is the committer's affair. Nothing here changes the disk.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from casreplay.errors import CasreplayError, StoreIOError, UsageError

__all__ = ["Limits", "check_free_space", "check_workspace"]


def check_workspace(root: bytes, *, force: bool = False) -> None:
    """Refuse a workspace that is almost certainly a mistake.

    Args:
        root: absolute, symlinks resolved.
        force: the user insists.

    Raises:
        UsageError: not a folder; or the file system's root or a home folder, without ``force``.
    """
    if not os.path.isdir(root):
        raise UsageError(f"Workspace {os.fsdecode(root)!r} is not a folder", path=os.fsdecode(root))
    if force:
        return
    what = ""
    if os.path.dirname(root) == root:
        what = "the whole file system"
    elif any(_is_same(root, home) for home in _homes()):
        what = "a home folder"
    if what:
        raise UsageError(
            f"Workspace {os.fsdecode(root)!r} is {what}",
            hint="Choose a project's folder, or say --force if this is meant",
            path=os.fsdecode(root),
        )


def _homes() -> set[bytes]:
    """The user's home folder, as the environment and as the system's accounts name it."""
    homes = {os.path.expanduser(b"~")}
    try:
        import pwd  # noqa: PLC0415 - missing on Windows, where the environment's word is all there is

        homes.add(os.fsencode(pwd.getpwuid(os.getuid()).pw_dir))
    except (ImportError, KeyError):
        pass
    return homes - {b"~", b"/", b""}


def _is_same(root: bytes, home: bytes) -> bool:
    try:
        return os.path.samefile(root, home)
    except OSError:
        return False


def check_free_space(path: bytes | str, min_percent: float, *, needed_bytes: int = 0) -> None:
    """Stop before the disk that holds ``path`` is too full.

    Args:
        path: an existing file or folder on the disk concerned, usually the store.
        min_percent: share of the disk to keep free; 0 switches the check off.
        needed_bytes: what is about to be written.

    Cost: one system call. Raises:
        StoreIOError: less than ``min_percent`` would remain.
    """
    if not min_percent:
        return
    free, total = _disk_usage(path)
    if (free - needed_bytes) * 100 >= total * min_percent:
        return
    free_percent = 100 * free / total
    raise StoreIOError(
        f"The disk has {free >> 20} MiB free ({free_percent:.1f} %); {min_percent:g} % are kept free",
        hint="Free space, move the store with STORE, run gc, or lower MIN_FREE_PERCENT",
        free_bytes=free,
        total_bytes=total,
        needed_bytes=needed_bytes,
    )


def _disk_usage(path: bytes | str) -> tuple[int, int]:
    """Free and all bytes of the disk that holds ``path``."""
    if hasattr(os, "statvfs"):
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    from shutil import disk_usage  # noqa: PLC0415 - for Windows only; it loads every packer there is

    usage = disk_usage(path)
    return usage.free, usage.total


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on one snapshot; 0 means no cap.

    Attributes:
        max_entries: ``MAX_SNAPSHOT_ENTRIES``.
        max_bytes: ``MAX_SNAPSHOT_SIZE``.
        max_seconds: ``MAX_COMMIT_SECONDS``.
    """

    max_entries: int = 0
    max_bytes: int = 0
    max_seconds: float = 0.0

    def check(self, *, entries: int = 0, size_bytes: int = 0, elapsed_s: float = 0.0) -> None:
        """Stop when what was counted so far is over a cap.

        Raises:
            CasreplayError: names the cap, the figure and the configuration's key.
        """
        counted = (
            ("MAX_SNAPSHOT_ENTRIES", "entries", entries, self.max_entries),
            ("MAX_SNAPSHOT_SIZE", "bytes", size_bytes, self.max_bytes),
            ("MAX_COMMIT_SECONDS", "seconds", elapsed_s, self.max_seconds),
        )
        for key, unit, found, limit in counted:
            if limit and found > limit:
                raise CasreplayError(
                    f"The snapshot is over its limit of {limit:g} {unit}; nothing was recorded",
                    hint=f"Leave folders out with EXCLUDE_PATTERNS, or raise {key}",
                    key=key,
                    limit=limit,
                    found=found,
                )
