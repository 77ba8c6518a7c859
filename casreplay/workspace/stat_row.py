"""What is kept of a file's status: five 64-bit integers, and how what does not fit is made to.

Files may bear times beyond the year 2262 (ext4 to 2446, others further), which no 64-bit count
of nanoseconds reaches: any program can set one. They are kept as the last moment there is room
for; so one such file neither stops a commit nor looks changed at the next. Inodes of some file
systems use all 64 bits; they are kept with their sign.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from operator import attrgetter

__all__ = ["FileStat", "held_time", "raw_row", "stat_row"]

FileStat = tuple[int, int, int, int, int]
"""mode, size, mtime_ns, ctime_ns, inode: one row of the scanner's columns."""

LATEST_NS = (1 << 63) - 1
"""2262-04-11 23:47:16.854775807 UTC."""
EARLIEST_NS = -(1 << 63)

raw_row: Callable[[os.stat_result], FileStat] = attrgetter(
    "st_mode", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino"
)
"""The row as the system says it. Of a file whose times do not fit it is like no row that is kept."""


def held_time(time_ns: int) -> int:
    """``time_ns`` as it is kept: the nearest that fits into 64 bits."""
    return min(max(time_ns, EARLIEST_NS), LATEST_NS)


def stat_row(found: os.stat_result) -> FileStat:
    """The row as it is kept."""
    mode, size, mtime_ns, ctime_ns, inode = raw_row(found)
    if inode > LATEST_NS:
        inode -= 1 << 64
    return mode, size, held_time(mtime_ns), held_time(ctime_ns), inode
