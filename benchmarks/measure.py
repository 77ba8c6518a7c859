"""Run one command and say what it used: wall, CPU, peak memory of the largest process and of the whole tree.

Owns: starting, timing, sampling. Does not own: what is run (`peers.py`) or in which order (`scenario.py`).

Memory of the tree is the proportional set size (pages shared after a fork are counted once), sampled; a peak
between two samples can be missed, one inside the largest process cannot: that one the kernel reports at the
end. The kernel's figure cannot fall below this program's own size at the moment of the start (about 20 MB).
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
FIRST_SAMPLE_S = 0.02
LONGEST_PAUSE_S = 0.1


class CommandError(Exception):
    """A measured command failed or took longer than allowed."""


@dataclass
class Cost:
    """What the measured commands of one operation used, added up; memory is the highest of them."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    largest_mb: float = 0.0
    tree_mb: float = 0.0

    def add(self, wall_s, usage, tree_kb):
        self.wall_s += wall_s
        self.cpu_s += usage.ru_utime + usage.ru_stime
        self.largest_mb = max(self.largest_mb, usage.ru_maxrss / 1024)
        self.tree_mb = max(self.tree_mb, tree_kb / 1024, self.largest_mb)


def family(pid):
    """A process and all its living descendants."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{thread}/children", "rb") as f:
                    todo += map(int, f.read().split())
    return found


def resident_kb(pid):
    with open(f"/proc/{pid}/statm", "rb") as f:
        return int(f.read().split()[1]) * PAGE_KB


def proportional_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup", "rb") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(b"Pss:"))


class TreeSampler(threading.Thread):
    """Follows the memory of a process tree until told to stop.

    Resident sizes are cheap and never below the proportional ones, so the dear figure is read only when the
    cheap one says that a new peak is possible.
    """

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.peak_kb = 0
        self.over = threading.Event()

    def run(self):
        pause = FIRST_SAMPLE_S
        while not self.over.wait(pause):
            self.sample()
            pause = min(LONGEST_PAUSE_S, pause * 1.5)

    def sample(self):
        total = 0
        with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
            members = family(self.pid)
            total = sum(resident_kb(pid) for pid in members)
            if len(members) > 1 and total > self.peak_kb:
                total = sum(proportional_kb(pid) for pid in members)
        self.peak_kb = max(self.peak_kb, total)


@dataclass(frozen=True)
class Setting:
    """Where and how a command runs. Standard output goes to `out`, standard error to `out` + ".err"."""

    cwd: Path
    env: dict
    out: Path
    timeout_s: float = 1800.0
    good: tuple = (0,)


def run(argv, setting, cost):
    """Run a command to its end, add what it used to `cost`, and give the file with its output.

    Raises:
        CommandError: Another exit code than the good ones, or killed after the time allowed.
    """
    argv = [str(part) for part in argv]
    errors = Path(f"{setting.out}.err")
    with open(setting.out, "wb") as stdout, open(errors, "wb") as stderr:
        start = time.perf_counter()
        child = subprocess.Popen(
            argv,
            cwd=setting.cwd,
            env=setting.env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        status, usage, wall_s, tree_kb = _follow(child.pid, start, setting.timeout_s)
    child.returncode = os.waitstatus_to_exitcode(status)
    cost.add(wall_s, usage, tree_kb)
    if child.returncode not in setting.good:
        why = "timed out" if wall_s >= setting.timeout_s else f"exit {child.returncode}"
        raise CommandError(f"{' '.join(argv)}: {why}: {errors.read_text(errors='replace').strip()[-300:]}")
    return setting.out


def _follow(pid, start, timeout_s):
    """Wait for a process (its group is killed after the time allowed) while its tree is sampled."""
    sampler = TreeSampler(pid)
    sampler.start()
    killer = threading.Timer(timeout_s, os.killpg, (pid, signal.SIGKILL))
    killer.start()
    try:
        _, status, usage = os.wait4(pid, 0)
        wall_s = time.perf_counter() - start
    finally:
        killer.cancel()
        sampler.over.set()
    sampler.join()
    return status, usage, wall_s, sampler.peak_kb


def disk_bytes(folder, *, without=()):
    """Space on disk of everything below `folder`, folders included, leaving out some sub-folders."""
    total = 0
    for base, dirs, names in os.walk(folder):
        dirs[:] = [name for name in dirs if f"{base}/{name}" not in without]
        for name in [*names, *dirs]:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(f"{base}/{name}").st_blocks * 512
    return total


def warm(folder, *, content=True):
    """Bring names, inodes and (with `content`) bytes below `folder` into the cache of the system."""
    buffer = bytearray(1 << 20)
    for base, _, names in os.walk(folder):
        for name in names:
            path = f"{base}/{name}"
            info = os.lstat(path)
            if content and info.st_mode & 0o170000 == 0o100000:
                fd = os.open(path, os.O_RDONLY)
                while os.readv(fd, [buffer]):
                    pass
                os.close(fd)
