"""Progress on standard error: only on a terminal, only after a second, a few times a second.

Commands hand a ``Progress`` (a ``model.monitor.Monitor``) to what takes long; below ``cli``
nothing prints. A run shorter than ``QUIET_NS`` never shows anything, and whatever was shown is
erased before the answer appears.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from casreplay.cli.text import duration, safe_line, size
from casreplay.clock import Clock, monotonic_ns

__all__ = ["Progress"]

QUIET_NS = 1_000_000_000
PERIOD_NS = 100_000_000
_BYTES = ("B", "bytes")
_SHARES = ("", *_BYTES)


class Progress:
    """One line that shows what is going on; a context manager that erases it at the end.

    Args:
        enabled: ``False`` shows nothing at all (``--quiet``, ``--json``, no terminal).
        clock: a monotonic clock in nanoseconds.
    """

    def __init__(self, *, enabled: bool | None = None, clock: Clock = monotonic_ns) -> None:
        self._enabled = sys.stderr.isatty() if enabled is None else enabled
        self._clock = clock
        self._started = clock()
        self._last = 0
        self._shown = 0
        self._stage = ""
        self._unit = ""
        self._total = 0
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stage(self, name: str, total: int = 0, unit: str = "") -> None:
        """A new stretch of work: what it does, how much there is (0: unknown), and of what.

        Of bytes, and of what has no unit, only the share is shown when the total is known.
        """
        self._stage, self._total, self._unit, self._done = name, total, unit, 0
        self._draw()

    def advance(self, done: int) -> None:
        """``done`` of the total are finished. Cost: a clock reading when shown, nothing when not."""
        self._done = done
        if self._enabled:
            self._draw()

    def close(self) -> None:
        """Erase the line."""
        if self._shown:
            sys.stderr.write("\r" + " " * self._shown + "\r")
            sys.stderr.flush()
            self._shown = 0

    def _draw(self) -> None:
        now = self._clock()
        if not self._enabled or now - self._started < QUIET_NS or now - self._last < PERIOD_NS:
            return
        self._last = now
        text = self._line(now)[: _width() - 1]
        sys.stderr.write("\r" + text.ljust(self._shown))
        sys.stderr.flush()
        self._shown = len(text)

    def _line(self, now: int) -> str:
        parts = [safe_line(self._stage)]
        if self._total:
            done = min(self._done, self._total)
            parts.append(f"{100 * done // self._total} %")
            if self._unit not in _SHARES:  # of bytes and weights the share says more than the sum
                parts.append(f"{done:,} of {self._total:,} {self._unit}".rstrip())
        elif self._done:
            parts.append(self._amount(self._done))
        parts.append(duration(now - self._started))
        return "  ".join(part for part in parts if part)

    def _amount(self, number: int) -> str:
        return size(number) if self._unit in _BYTES else f"{number:,} {self._unit}".rstrip()


def _width() -> int:
    from shutil import get_terminal_size  # noqa: PLC0415 - only a terminal that waits pays for it

    return max(20, get_terminal_size().columns)
