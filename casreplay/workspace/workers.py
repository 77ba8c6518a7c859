"""Divide work between forked processes, with the same code in one process where forking is not possible.

Owns process handling of this floor: fork, a pipe a worker, ``marshal`` for results
(plain values only), and the rule that no worker outlives the call. A job that raises
``OSError`` or ``CasreplayError`` in a worker is raised again in the caller.

Forking is safe here because the command line is single-threaded when it calls; a
process that has started threads gets the single-process path.
"""

from __future__ import annotations

import marshal
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from casreplay.codec import hashing
from casreplay.errors import CasreplayError, StoreIOError

__all__ = ["Deck", "can_fork", "count", "deal", "run", "split_by_weight"]

T = TypeVar("T")
MAX_WORKERS = 8
PATIENCE_S = 5.0
"""How long a child may take to clean up before it is killed."""
_RAISED = b"E"
_VALUE = b"V"


def can_fork() -> bool:
    """Whether work may be divided by ``os.fork`` here and now (not on macOS, whose libraries dislike it)."""
    return hasattr(os, "fork") and sys.platform != "darwin" and threading.active_count() == 1


def count() -> int:
    """Workers worth starting: the cores this process may use, at most eight; 1 without fork."""
    if not can_fork():
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MAX_WORKERS, cores))


def deal(items: Sequence[T], hands: int) -> list[list[T]]:
    """``items`` dealt out like cards into at most ``hands`` non-empty lists."""
    return [part for part in (list(items[i::hands]) for i in range(hands)) if part]


def split_by_weight(weights: Sequence[int], parts: int) -> list[range]:
    """Contiguous ranges over ``weights`` of about equal sum (each item also weighs one)."""
    total = sum(weights) + len(weights)
    ranges: list[range] = []
    start = done = 0
    for i, weight in enumerate(weights):
        done += weight + 1
        if done * parts >= total * (len(ranges) + 1):
            ranges.append(range(start, i + 1))
            start = i + 1
    if start < len(weights):
        ranges.append(range(start, len(weights)))
    return ranges


class Deck:
    """The numbers below ``cards``, each drawn once by whichever process asks first; a context manager.

    Made before ``run`` forks: a pipe that already holds all the numbers. Who is slow, or is
    given little of a core, draws fewer. What a worker drew and did not finish is lost with it,
    and ``run`` fails.

    Raises:
        ValueError: more cards than the smallest pipe of any system is sure to hold.
    """

    MAX_CARDS = 1024
    _CARD_BYTES = 4

    def __init__(self, cards: int) -> None:
        if cards > self.MAX_CARDS:
            raise ValueError(f"{cards} cards are too many")
        self._fd, write_fd = os.pipe()
        os.write(write_fd, b"".join(i.to_bytes(self._CARD_BYTES, "little") for i in range(cards)))
        os.close(write_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def __iter__(self) -> Iterator[int]:
        """Draw until none is left. A read of a pipe is one step: no card is torn in two."""
        while card := os.read(self._fd, self._CARD_BYTES):
            yield int.from_bytes(card, "little")


def run(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    """The results of all jobs, in order; all but the first run in forked children.

    Results must be values ``marshal`` can carry. The first job runs in the calling
    process. Children are reaped before this returns or raises, whatever happens.

    Raises:
        CasreplayError, OSError: what a job raised.
        StoreIOError: a child died without an answer.
    """
    if len(jobs) < 2 or not can_fork():
        return [job() for job in jobs]
    children: list[tuple[int, int]] = []
    try:
        children.extend(_fork(job) for job in jobs[1:])
        results = [jobs[0]()]
        results.extend(_collect(fd) for _, fd in children)
    except BaseException:
        _stop(children)
        raise
    finally:
        for pid, fd in children:
            os.close(fd)
            os.waitpid(pid, 0)
    return results


def _stop(children: Sequence[tuple[int, int]]) -> None:
    """Ask the children to give up, so that they take back what they wrote; kill those that do not."""
    for pid, _ in children:
        os.kill(pid, signal.SIGTERM)
    for pid, fd in children:
        if not select.select([fd], [], [], PATIENCE_S)[0]:  # readable once the child is gone
            os.kill(pid, signal.SIGKILL)


class _GivenUpError(BaseException):
    """The parent wants this child to end: nothing but clean-up may catch it."""


def _give_up(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _GivenUpError


def _fork(job: Callable[[], Any]) -> tuple[int, int]:
    read_fd, write_fd = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    # No signal may find a child that still has its parent's handlers: it would run its parent's code.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(write_fd)
        return pid, read_fd
    status = 1
    try:
        os.close(read_fd)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the parent decides
        signal.signal(signal.SIGTERM, _give_up)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        hashing.stay_single_threaded()
        try:
            answer = _VALUE + marshal.dumps(job())
        except (CasreplayError, OSError) as error:
            hint = getattr(error, "hint", "")
            answer = _RAISED + marshal.dumps(
                (type(error).__name__, str(error), getattr(error, "errno", None), hint)
            )
        with os.fdopen(write_fd, "wb") as pipe:
            pipe.write(answer)
        status = 0
    finally:
        os._exit(status)  # never run the parent's exit handlers in a child


def _kinds(base: type[CasreplayError]) -> list[type[CasreplayError]]:
    """An error class and all below it."""
    return [base, *(kind for sub in base.__subclasses__() for kind in _kinds(sub))]


def _collect(fd: int) -> Any:
    pieces = []
    while piece := os.read(fd, 1 << 20):
        pieces.append(piece)
    answer = b"".join(pieces)
    value: Any = None
    try:
        value = marshal.loads(answer[1:])  # noqa: S302 -- our own child wrote it just now
    except (EOFError, ValueError, TypeError):
        answer = b""  # killed in the middle of its answer
    if answer[:1] == _VALUE:
        return value
    if answer[:1] == _RAISED:
        name, text, number, hint = value
        found = next((kind for kind in _kinds(CasreplayError) if kind.__name__ == name), None)
        raise OSError(number, text) if found is None else found(text, hint=hint)
    raise StoreIOError(
        "A worker process died before it finished",
        hint="Run the command again; if it recurs, look for an out-of-memory kill",
    )
