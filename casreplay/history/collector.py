"""Python's cyclic garbage collector, kept still while much is allocated.

A scan or a restore of 100,000 files makes millions of values without cycles; looking for
cycles among them takes up to a fifth of the time. Reference counting frees them as ever.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["no_collector"]


@contextmanager
def no_collector() -> Iterator[None]:
    """No garbage collection within, unless it was off already; then it stays off."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
