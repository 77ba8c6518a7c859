"""Who may change the store: shared locks for writers, exclusive ones for the log and for deletion.

Two locks, both on files that hold nothing:

* ``lock``: shared by every writer while it lives, exclusive for whoever deletes data.
  A writer that is frozen keeps its share, so nothing can be deleted under it.
* ``leases/log``: exclusive, for the moment of one append to the log.

The stale-lock rule: there are no stale locks. The kernel drops a lock with its
holder, so nobody ever has to guess from an age or a process number whether to
break one. The small texts in ``leases/`` only say who to wait for. Each is locked by
the process it speaks of, so that those of dead writers are told from the others; they
are removed by the next holder of the exclusive lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import gmtime, strftime
from typing import NamedTuple

from casreplay.clock import Clock, monotonic_ns
from casreplay.errors import LockedError, StoreIOError
from casreplay.store.files import FileLock, Files, is_refused, join

__all__ = ["LEASES", "NOTICE_S", "Leases", "Waiting"]

LEASES = "leases"
NOTICE_S = 1.0
"""Seconds after which somebody who waits is told so."""
_POLL_SECONDS = 0.01
_WHO = ".who"


class Waiting(NamedTuple):
    """What a process that waits for a lock can say about it.

    Attributes:
        why: what the others do, as a sentence without a full stop.
        holders: who does it: process, machine, command and since when; those who said so.
        wait_s: seconds until the waiting is given up, counted from its start.
    """

    why: str
    holders: tuple[str, ...]
    wait_s: float


class Leases:
    """The locks of one store.

    Args:
        files: the disk.
        folder: the store's folder.
        wait_s: seconds to wait for a lock before ``LockedError``.
        clock: counts the waiting.

    Attributes:
        command: what this process does with the store, for those who wait for it; may be empty.
        waiting: called once when a lock was not free for ``NOTICE_S`` seconds, from where it is waited for.
    """

    def __init__(
        self, files: Files, folder: str, *, wait_s: float = 10.0, clock: Clock = monotonic_ns
    ) -> None:
        self._files = files
        self._folder = folder
        self._wait_s = wait_s
        self._clock = clock
        self._announced: dict[str, FileLock] = {}
        self.command = ""
        self.waiting: Callable[[Waiting], None] = _say_nothing

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
    def annotating(self) -> Iterator[None]:
        """The right to append to the annotations; ``LockedError`` when somebody keeps it too long."""
        why = "Another process is writing annotations"
        lock = self._take(join(LEASES, "annotations"), exclusive=True, why=why)
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
                if name.endswith(_WHO):
                    self._files.remove(join(self._folder, LEASES, name))
            with suppress(StoreIOError):  # only a text for whoever has to wait
                self.announce("deleting")
            yield
        finally:
            with suppress(StoreIOError):
                self.withdraw("deleting")
            lock.release()

    def _take(self, name: str, *, exclusive: bool, why: str) -> FileLock:
        path = join(self._folder, name)
        try:
            self._files.make_folder(join(self._folder, LEASES))  # a copy of a store may lack empty folders
            return self._wait_for(path, exclusive=exclusive, why=why)
        except StoreIOError as error:
            if not is_refused(error):
                raise
            message = f"The store {self._folder!r} cannot be written: {error.message}"
            raise StoreIOError(message, hint=error.hint, **error.fields) from error

    def _wait_for(self, path: str, *, exclusive: bool, why: str) -> FileLock:
        started, told = self._clock(), False
        while True:
            lock = self._files.try_lock(path, exclusive=exclusive)
            if lock is not None:
                return lock
            waited_s = (self._clock() - started) / 1e9
            if waited_s >= self._wait_s:
                holders = self.holders()
                raise LockedError(
                    why,
                    hint=f"Wait for {', '.join(holders) or 'the other process'}, or stop it, and try again",
                    holders=holders,
                )
            if waited_s >= NOTICE_S and not told:
                told = True
                self.waiting(Waiting(why, tuple(self.holders()), self._wait_s))
            self._files.pause(_POLL_SECONDS)

    def holders(self) -> list[str]:
        """Who works with the store: process, machine, command, since when (UTC); the living alone."""
        found = (self._holder(name) for name in self._files.names(join(self._folder, LEASES)))
        return [text for text in found if text]

    def _holder(self, name: str) -> str:
        """What the text ``name`` says; empty when it is none, or its author is dead."""
        path = join(self._folder, LEASES, name)
        stamp = self._files.stamp(path) if name.endswith(_WHO) else None
        if stamp is None:
            return ""
        try:
            text = self._files.read(path).decode("utf-8", "replace").strip()
            lock = self._files.try_lock(path, exclusive=True)
            if lock is not None:  # of a dead writer; or made by our own look, when it was just withdrawn
                lock.release()
                self._files.remove(path)
                return ""
        except StoreIOError:  # withdrawn between our looks
            return ""
        return f"{text}, since {_utc(stamp[2])}" if text else ""

    def announce(self, name: str) -> None:
        """Leave a text that says who holds the lease ``name``; not durable, not needed for safety."""
        path = join(self._folder, LEASES, name + _WHO)
        self._files.remove(path)
        handle = self._files.append(path, create=True)
        try:
            lock = self._files.try_lock(path, exclusive=True)
            if lock is not None:
                self._announced[name] = lock
            command = f" ({self.command})" if self.command else ""
            handle.write(f"{self._files.owner()}{command}\n".encode())
        finally:
            handle.close()

    def withdraw(self, name: str) -> None:
        """Take the text back."""
        lock = self._announced.pop(name, None)
        if lock is not None:
            lock.release()
        self._files.remove(join(self._folder, LEASES, name + _WHO))


def _say_nothing(_waiting: Waiting) -> None:
    """Nobody asked to be told of waiting."""


def _utc(time_ns: int) -> str:
    return strftime("%Y-%m-%d %H:%M:%S UTC", gmtime(time_ns // 10**9))
