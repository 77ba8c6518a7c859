"""How long work reports its progress: counts and a name, nothing printed here.

The library calls a ``Monitor``; the command line shows it on a terminal, tests record it.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["SILENT", "Monitor", "SilentMonitor"]


class Monitor(Protocol):
    """Receives progress. Calls are cheap and may come often; the receiver limits its own rate."""

    def stage(self, name: str, total: int = 0, unit: str = "") -> None:
        """A new stage of the work begins, for instance ``reading``; ``total`` is 0 when unknown.

        ``unit`` says what is counted; it is empty where the numbers mean nothing but a share.
        """

    def advance(self, done: int) -> None:
        """``done`` of the stage's total are finished (absolute, not a difference)."""


class SilentMonitor:
    """A monitor that shows nothing."""

    def stage(self, name: str, total: int = 0, unit: str = "") -> None:
        """Ignore the stage."""

    def advance(self, done: int) -> None:
        """Ignore the progress."""


SILENT = SilentMonitor()
