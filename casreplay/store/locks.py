"""Who may change the store: shared locks for writers, exclusive ones for the log and for deletion.

Two locks, both on files that hold nothing:

* ``lock``: shared by every writer while it lives, exclusive for whoever deletes data.
  A writer that is frozen keeps its share, so nothing can be deleted under it.
* ``leases/log``: exclusive, for the moment of one append to the log.

The stale-lock rule: there are no stale locks. The kernel drops a lock with its
holder, so nobody ever has to guess from an age or a process number whether to
break one. The small texts in ``leases/`` only say who to wait for; those of dead
writers are removed by the next holder of the exclusive lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from casreplay.clock import monotonic_ns
from casreplay.errors import LockedError, StoreIOError
from casreplay.store.files import FileLock, Files, join

__all__ = ["LEASES", "Leases"]

LEASES = "leases"
_POLL_SECONDS = 0.01


class Leases:
    """The locks of one store.

    Args:
        files: the disk.
        folder: the store's folder.
        wait_s: seconds to wait for a lock before ``LockedError``.
    """

    def __init__(self, files: Files, folder: str, *, wait_s: float = 10.0) -> None:
        self._files = files
        self._folder = folder
        self._wait_s = wait_s

    def writing(self) -> FileLock:
        """A writer's share of the store; ``LockedError`` while data is being deleted."""
        return self._take("lock", exclusive=False, why="Data is being removed from this store")

    @contextmanager
    def appending(self) -> Iterator[None]:
        """The right to append to the log; ``LockedError`` when somebody keeps it too long."""
        lock = self._take(join(LEASES, "log"), exclusive=True, why="Another process is recording a snapshot")
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def deleting(self) -> Iterator[None]:
        """Sole use of the store; ``LockedError`` while any writer lives, frozen ones included."""
        lock = self._take("lock", exclusive=True, why="Another process is writing to this store")
        try:
            for name in self._files.names(join(self._folder, LEASES)):
                if name.endswith(".who"):
                    self._files.remove(join(self._folder, LEASES, name))
            yield
        finally:
            lock.release()

    def _take(self, name: str, *, exclusive: bool, why: str) -> FileLock:
        path = join(self._folder, name)
        self._files.make_folder(join(self._folder, LEASES))  # a copy of a store may lack empty folders
        deadline = monotonic_ns() + int(self._wait_s * 1e9)
        while True:
            lock = self._files.try_lock(path, exclusive=exclusive)
            if lock is not None:
                return lock
            if monotonic_ns() >= deadline:
                holders = self.holders()
                raise LockedError(
                    why,
                    hint=f"Wait for {', '.join(holders) or 'the other process'}, or stop it, and try again",
                    holders=holders,
                )
            self._files.pause(_POLL_SECONDS)

    def holders(self) -> list[str]:
        """Who said that they write here; the dead among them are included until the next deletion."""
        texts = []
        for name in self._files.names(join(self._folder, LEASES)):
            if name.endswith(".who"):
                try:
                    data = self._files.read(join(self._folder, LEASES, name))
                except StoreIOError:  # withdrawn between our two looks
                    continue
                texts.append(data.decode("utf-8", "replace").strip())
        return texts

    def announce(self, name: str) -> None:
        """Leave a text that says who holds the lease ``name``; not durable, not needed for safety."""
        path = join(self._folder, LEASES, name + ".who")
        self._files.remove(path)
        handle = self._files.append(path, create=True)
        try:
            handle.write((self._files.owner() + "\n").encode())
        finally:
            handle.close()

    def withdraw(self, name: str) -> None:
        """Take the text back."""
        self._files.remove(join(self._folder, LEASES, name + ".who"))
