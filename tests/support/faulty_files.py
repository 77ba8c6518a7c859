"""A disk that fails when told to, and one that remembers every step so that a power cut can be played back.

``FaultyFiles`` wraps the real files of a temporary folder. Every operation is counted;
the ``fail_at``-th raises the given errno, a write after half of its bytes. With
``record`` every change is kept in ``events``; ``disk_after`` rebuilds what a disk may
hold when the power goes after the k-th of them: all that was synced, and a random,
torn part of what was not.
"""

from __future__ import annotations

import errno
import os
import random

from casreplay.errors import StoreIOError
from casreplay.store.files import OsFiles

BLOCK = 512


class FaultyFiles(OsFiles):
    def __init__(self, *, fail_at: int | None = None, error: int = errno.EIO, record: bool = False) -> None:
        self.count = 0
        self.fail_at = fail_at
        self.error = error
        self.failed = ""
        self.events: list[tuple] | None = [] if record else None

    def step(self, name: str, path: str) -> bool:
        """Count one operation; whether it is the one to fail."""
        self.count += 1
        if self.count == self.fail_at:
            self.failed = f"{name} {os.path.basename(path)}"
            return True
        return False

    def fail(self, name: str, path: str) -> StoreIOError:
        return StoreIOError(f"Cannot {name} {path!r}: {os.strerror(self.error)}", errno=self.error, file=path)

    def check(self, name: str, path: str) -> None:
        if self.step(name, path):
            raise self.fail(name, path)

    def note(self, *event) -> None:
        if self.events is not None:
            self.events.append(event)

    def make_folder(self, path):
        if not os.path.isdir(path):
            self.check("create the folder", path)
            super().make_folder(path)
            self.note("mkdir", path)

    def append(self, path, *, create=False):
        self.check("open", path)
        handle = super().append(path, create=create)
        if create:
            self.note("create", path)
        return FaultyAppendFile(self, path, handle)

    def rename(self, old, new):
        self.check("rename", old)
        super().rename(old, new)
        self.note("rename", old, new)

    def truncate(self, path, size):
        self.check("cut", path)
        super().truncate(path, size)
        self.note("truncate", path, size)

    def remove(self, path):
        if os.path.lexists(path):
            self.check("remove", path)
            super().remove(path)
            self.note("remove", path)

    def sync_folder(self, path):
        self.check("sync the folder", path)
        self.note("sync_folder", path)

    def open(self, path):
        self.check("open", path)
        return super().open(path)

    def map(self, path):
        self.check("map", path)
        return super().map(path)

    def names(self, folder):
        self.check("list", folder)
        return super().names(folder)

    def try_lock(self, path, *, exclusive):
        self.check("open the lock", path)
        return super().try_lock(path, exclusive=exclusive)

    def pause(self, seconds):
        """Waiting is no part of a test."""


class FaultyAppendFile:
    def __init__(self, files, path, inner) -> None:
        self._files = files
        self._path = path
        self._inner = inner

    @property
    def size(self):
        return self._inner.size

    def write(self, data):
        data = bytes(data)
        at = self._inner.size
        if self._files.step("write to", self._path):
            half = data[: len(data) // 2]
            self._inner.write(half)
            self._files.note("write", self._path, at, half)
            self._inner._broken = True
            raise self._files.fail("write to", self._path)
        self._inner.write(data)
        self._files.note("write", self._path, at, data)

    def sync(self):
        if self._files.step("sync", self._path):
            self._inner._broken = True
            raise self._files.fail("sync", self._path)
        # Nothing is really synced: only what the recorded events say counts, and the tests stay fast.
        self._files.note("sync", self._path)

    def close(self):
        self._inner.close()


class _Inode:
    """A file's bytes: those that are durable, and how it looked to running programs."""

    def __init__(self) -> None:
        self.durable = b""
        self.content = b""


class _Disk:
    """Folders of names and the changes to them that are not durable yet."""

    def __init__(self) -> None:
        self.names: dict[str, _Inode] = {}
        self.folders: dict[str, bool] = {}
        self.durable_names: dict[str, _Inode] = {}
        self.unsynced: dict[str, list[tuple]] = {}

    def apply(self, event: tuple) -> None:
        kind, path = event[0], event[1]
        if kind == "mkdir":
            self.folders[path] = True
        elif kind == "create":
            self.names[path] = _Inode()
            self._name_change(path, ("link", path, self.names[path]))
        elif kind == "write":
            inode = self.names[path]
            inode.content = inode.content[: event[2]].ljust(event[2], b"\0") + event[3]
        elif kind == "sync":
            inode = self.names[path]
            inode.durable = inode.content
        elif kind == "truncate":
            inode = self.names[path]
            inode.content = inode.durable = inode.content[: event[2]]
        elif kind == "rename":
            inode = self.names.pop(path)
            self.names[event[2]] = inode
            self._name_change(path, ("move", path, event[2], inode))
        elif kind == "remove":
            del self.names[path]
            self._name_change(path, ("unlink", path))
        elif kind == "sync_folder":
            for change in self.unsynced.pop(path, []):
                _apply_name(self.durable_names, change)

    def _name_change(self, path: str, change: tuple) -> None:
        self.unsynced.setdefault(os.path.dirname(path), []).append(change)

    def after_power_cut(self, rng: random.Random) -> dict[str, bytes]:
        """Path to bytes: synced names, a random prefix of each folder's later changes, torn contents."""
        names = dict(self.durable_names)
        for changes in self.unsynced.values():
            for change in changes[: rng.randint(0, len(changes))]:
                _apply_name(names, change)
        return {path: _torn(inode, rng) for path, inode in names.items()}


def _apply_name(names: dict, change: tuple) -> None:
    if change[0] == "link":
        names[change[1]] = change[2]
    elif change[0] == "move":
        names.pop(change[1], None)
        names[change[2]] = change[3]
    else:
        names.pop(change[1], None)


def _torn(inode: _Inode, rng: random.Random) -> bytes:
    """The durable bytes, and of those written since: any length, any block of zeros."""
    durable, content = inode.durable, inode.content
    length = rng.choice(
        [len(durable), len(content), rng.randint(len(durable), max(len(durable), len(content)))]
    )
    data = bytearray(durable[:length] + content[len(durable) : length])
    for start in range(len(durable), len(data), BLOCK):
        if rng.random() < 0.3:
            end = min(start + BLOCK, len(data))
            data[start:end] = bytes(end - start)
    return bytes(data)


def disk_after(events: list[tuple], k: int, *, seed: int, old_root: str, new_root: str) -> None:
    """Write to ``new_root`` what the disk may hold of ``old_root`` when the power goes after ``k`` events."""
    disk = _Disk()
    for event in events[:k]:
        if event[0] != "ack":
            disk.apply(event)
    for folder in disk.folders:
        os.makedirs(new_root + folder.removeprefix(old_root), exist_ok=True)
    for path, data in disk.after_power_cut(random.Random(seed * 100_003 + k)).items():
        target = new_root + path.removeprefix(old_root)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as handle:
            handle.write(data)
