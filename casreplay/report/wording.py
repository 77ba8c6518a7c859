"""Words for numbers and times in reports; everything in UTC, so that a report is the same everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["count", "duration", "moment", "plain", "size"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(time_ns: int | None) -> str:
    """``2026-11-20 10:00:03 UTC``; a dash where there is no time."""
    if time_ns is None:
        return "-"
    try:
        return (_EPOCH + timedelta(microseconds=time_ns // 1000)).strftime("%Y-%m-%d %H:%M:%S UTC")
    except OverflowError:
        return f"{time_ns} ns"


def duration(seconds: float | None) -> str:
    """``3 h 20 min``, ``2 min 5 s``, ``0.4 s``; a dash where it is unknown."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"


def size(size_bytes: int) -> str:
    """``512 B``, ``1.4 KB``, ``23 MB``, in powers of ten."""
    value = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 file``, ``2,000 files``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def plain(text: str) -> str:
    r"""``text`` with everything invisible or obeyed by terminals and browsers shown as ``\uNNNN``.

    Control characters but tab and line end, bidirectional controls, zero-width characters and
    lone surrogates. Source: Unicode Standard, general categories Cc, Cf, Cs, Zl, Zp.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in "\n\t" or c.isprintable() else f"\\u{ord(c):04x}" for c in text)
