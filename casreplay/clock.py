"""The only reader of the wall clock.

A clock is a callable that returns UTC nanoseconds since the epoch. Everything
that needs the time takes a ``Clock``; tests pass a ticking fake.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock", "monotonic_ns", "system_clock"]

Clock = Callable[[], int]


def system_clock() -> int:
    """UTC nanoseconds since 1970-01-01 from the system's real-time clock."""
    return time.time_ns()


def monotonic_ns() -> int:
    """Nanoseconds from an arbitrary start that never go backwards; for durations only."""
    return time.perf_counter_ns()
