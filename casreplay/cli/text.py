"""How facts look on a terminal: escaping, sizes, times, counts. Pure functions, no printing.

Everything that came from a file name, a file, a label or a message goes through ``safe``
before it is shown: a log line can hold escape sequences that move the cursor, retitle the
window or reorder the line it stands in.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

__all__ = [
    "ago",
    "clock_time",
    "columns",
    "count",
    "duration",
    "iso_time",
    "safe",
    "safe_line",
    "size",
]

SECOND_NS = 1_000_000_000
_KEPT = frozenset("\n\t\u00a0\u3000")
_STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (7, "day"), (52, "week"))


def safe(text: str) -> str:
    r"""``text`` with everything a terminal might obey shown as ``\xNN`` or ``\uNNNN``.

    Line ends and tabs stay; control characters, bidirectional overrides, zero-width
    characters and undecodable bytes (lone surrogates) do not. Cost: one pass; plain ASCII is
    returned as it is.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in _KEPT else _escaped(char) for char in text)


def safe_line(text: str) -> str:
    """``safe`` for a place that must stay one line: line ends and tabs are escaped too."""
    return safe(text).replace("\n", "\\n").replace("\t", "\\t")


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def size(size_bytes: int) -> str:
    """Bytes for people, in powers of ten: ``0 B``, ``512 B``, ``1.4 KB``, ``23 MB``."""
    if abs(size_bytes) < 1000:
        return f"{size_bytes} B"
    value = float(size_bytes)
    for unit in ("KB", "MB", "GB", "TB"):
        value /= 1000
        if abs(value) < 999.5 or unit == "TB":
            break
    return f"{value:.1f} {unit}" if abs(value) < 9.95 else f"{value:.0f} {unit}"


def duration(elapsed_ns: int) -> str:
    """A length of time for people: ``3 ms``, ``1.24 s``, ``2 min 5 s``, ``3 h 20 min``."""
    if elapsed_ns < SECOND_NS:
        return f"{elapsed_ns / 1e6:.0f} ms"
    seconds = elapsed_ns / SECOND_NS
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def clock_time(time_ns: int) -> str:
    """A moment in the reader's own time zone, to the second: ``2026-11-20 10:00:03``."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_ns // SECOND_NS))
    except (OverflowError, ValueError, OSError):
        return f"{time_ns} ns"


def iso_time(time_ns: int) -> str:
    """A moment for ``--json``: ISO 8601 in UTC with nine digits, ``2026-11-20T10:00:03.000000000Z``."""
    seconds, rest = divmod(time_ns, SECOND_NS)
    try:
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"{time_ns} ns"
    return f"{whole}.{rest:09d}Z"


def ago(time_ns: int, now_ns: int) -> str:
    """How long before ``now_ns`` it was: ``just now``, ``5 minutes ago``, ``3 weeks ago``."""
    amount = (now_ns - time_ns) // SECOND_NS
    if amount < 0:
        return "in the future"
    if amount < 5:
        return "just now"
    for step, unit in _STEPS:
        if amount < step:
            return f"{count(amount, unit)} ago"
        amount //= step
    return f"{count(amount, 'year')} ago"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun: ``1 file``, ``2,000 files``, ``3 entries`` with ``plural`` given."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def columns(
    rows: Sequence[tuple[str, ...]], *, right: frozenset[int] = frozenset(), gap: str = "  "
) -> list[str]:
    """Rows as aligned lines; columns in ``right`` are right-aligned, the last one is never padded."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = len(widths) - 1
    return [
        gap.join(
            cell.rjust(widths[i]) if i in right else (cell if i == last else cell.ljust(widths[i]))
            for i, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]
