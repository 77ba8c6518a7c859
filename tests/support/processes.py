"""Forked processes for tests: work in a child, and waiting for it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable


def child(work: Callable[[], object]) -> int:
    """Run ``work`` in a forked process; its exit status is 0 when it returned. Gives the process's id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:  # noqa: BLE001 - the child must never return into pytest
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def join_all(pids: Iterable[int]) -> None:
    """Wait for processes that must end well."""
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
