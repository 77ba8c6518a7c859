"""Processes of probes: killing a group, killing what left its group, areas whose owner is dead.

Owns the signals; knows nothing of snapshots. POSIX; what escapes its group is found on Linux only.
"""

from __future__ import annotations

import os
import signal

from casreplay.errors import UsageError
from casreplay.history.bisect_folder import remove_folder

__all__ = ["kill_group", "kill_marked", "remove_abandoned", "require_groups"]


def require_groups() -> None:
    """Refuse a system on which a program cannot be ended together with all it started.

    Raises:
        UsageError: always there, never elsewhere.
    """
    if not hasattr(os, "killpg"):
        raise UsageError(
            "This system has no process groups, which running a command on many snapshots needs",
            hint="Use a POSIX system, such as the Windows Subsystem for Linux; searches without --run work",
        )


def kill_group(group: int) -> None:
    """Kill every process of a group; none left is fine."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def kill_marked(area: str) -> None:
    """Kill processes that left their group but still carry the area in their environment (Linux only)."""
    mark = os.fsencode(area)
    try:
        numbers = [name for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid()]
    except OSError:
        return
    for name in numbers:
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if b"TMPDIR=" + mark in file.read():
                    os.kill(int(name), signal.SIGKILL)
        except OSError:
            continue


def remove_abandoned(base: str, prefix: str) -> None:
    """Remove areas of processes that were killed before they could."""
    for name in os.listdir(base):
        if not name.startswith(prefix):
            continue
        owner = name[len(prefix) :].partition("-")[0]
        path = os.path.join(base, name)
        if owner.isdecimal() and not _is_alive(int(owner)) and os.lstat(path).st_uid == os.getuid():
            kill_marked(path)
            remove_folder(os.fsencode(path))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
