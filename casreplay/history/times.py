"""Points in time and durations as people type them, in words that need no manual.

Owns: ``parse_time`` and ``parse_duration``. Reads no clock: the present is an argument.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from casreplay.errors import UsageError

__all__ = ["format_time", "local_time", "parse_duration", "parse_time", "utc_text"]

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS

_UNITS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hr": 3600,
    "hour": 3600,
    "d": 86_400,
    "day": 86_400,
    "w": 7 * 86_400,
    "week": 7 * 86_400,
    "month": 30 * 86_400,
    "y": 365 * 86_400,
    "year": 365 * 86_400,
}
_PART = re.compile(r"(\d{1,9})\s*([a-z]+)\s*,?\s*", re.IGNORECASE)
_CLOCK_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?$")
_TO_THE_SECOND = re.compile(r"(\d{1,2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?")
_TIME_HINT = "Try '2026-11-20', '2026-11-20 10:00', '10:00', 'yesterday' or '2h ago'"
_DURATION_HINT = "Try '90s', '30m', '2h', '1d12h', '3 weeks', '6 months' or '1y'"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_US = (datetime(2, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
_LAST_US = (datetime(9998, 12, 31, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def parse_duration(text: str) -> int:
    """Nanoseconds in ``text``: one or more numbers with a unit, such as ``1d12h`` or ``3 weeks``.

    Units are seconds, minutes (``m``), hours, days, weeks, months of 30 days, years of 365.

    Raises:
        UsageError: not a duration.
    """
    rest, seconds = text.strip(), 0
    if not rest:
        raise UsageError("An empty text is no duration", hint=_DURATION_HINT)
    while rest:
        found = _PART.match(rest)
        unit = found[2].lower() if found else ""
        factor = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s"))
        if found is None or factor is None:
            raise UsageError(f"{text!r} is no duration", hint=_DURATION_HINT)
        seconds += int(found[1]) * factor
        rest = rest[found.end() :]
    return seconds * SECOND_NS


def parse_time(text: str, *, now_ns: int, zone: tzinfo | None, end: bool = False) -> int:
    """The point in time that ``text`` names, in UTC nanoseconds.

    Args:
        text: a date, a date and a time (with ``Z`` or an offset, or local), a time of
            today, ``now``, ``today``, ``yesterday``, or a duration with ``ago``.
        now_ns: the present.
        zone: zone of times without an offset; ``None`` for the system's own.
        end: a date alone means its last nanosecond rather than its first; so does a second, or a
            fraction of one: times are shown cut off there, and what is shown must name what it is shown of.

    Raises:
        UsageError: none of these, or out of range.
    """
    words = " ".join(text.split())
    lower = words.lower()
    if lower == "now":
        return now_ns
    if lower.endswith(" ago"):
        return now_ns - parse_duration(words[:-4])
    try:
        today = local_time(now_ns, zone).date()
        day = {"today": today, "yesterday": today - timedelta(days=1)}.get(lower) or _date(words)
        if day is not None:
            if not end:
                return _ns(datetime.combine(day, time()), zone)
            return _ns(datetime.combine(day + timedelta(days=1), time()), zone) - 1
        words, within_ns = _whole_second(words, end=end)
        clock = _CLOCK_TIME.match(words)
        if clock:
            at = time(int(clock[1]), int(clock[2]), int(clock[3] or 0))
            return _ns(datetime.combine(today, at), zone) + within_ns
        return _ns(datetime.fromisoformat(words), zone) + within_ns
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{text!r} is no point in time", hint=_TIME_HINT) from error


def _whole_second(text: str, *, end: bool) -> tuple[str, int]:
    """``text`` without the fraction of a second, and that fraction in nanoseconds; its end with ``end``."""
    found = _TO_THE_SECOND.search(text)
    if found is None:
        return text, 0
    digits = found[2] or ""
    within_ns = int(digits.ljust(9, "0")) + (10 ** (9 - len(digits)) - 1 if end else 0)
    return text[: found.end(1)] + text[found.end() :], within_ns


def _date(text: str) -> date | None:
    return date.fromisoformat(text) if len(text) == 10 else None


def local_time(at_ns: int, zone: tzinfo | None) -> datetime:
    """``at_ns`` in ``zone``, to the microsecond; beyond the years 2 to 9998 the nearest of them."""
    at_us = min(max(at_ns // 1000, _FIRST_US), _LAST_US)
    return (EPOCH + timedelta(microseconds=at_us)).astimezone(zone)


def _ns(moment: datetime, zone: tzinfo | None) -> int:
    """Exact nanoseconds; a moment that knows its offset keeps it, others are in ``zone``."""
    if moment.tzinfo is None:
        moment = moment.astimezone() if zone is None else moment.replace(tzinfo=zone)
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def format_time(at_ns: int, zone: tzinfo | None) -> str:
    """``2026-11-20 10:00:05`` in ``zone`` (``None``: the system's own)."""
    return local_time(at_ns, zone).isoformat(" ", "seconds")[:19]


def utc_text(at_ns: int) -> str:
    """``2026-11-20 10:00:05 UTC``."""
    return format_time(at_ns, UTC) + " UTC"
