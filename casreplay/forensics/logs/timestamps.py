# Expressions that match log lines read better whole than broken over lines.
# ruff: noqa: E501
"""Times at the start of log lines: known formats, one locked per file after its first hit.

A time carries its quality: ``exact`` (with a zone or since the epoch), ``naive``
(local time of unknown zone, read as UTC), ``inferred`` (no year or no day: taken
from the caller's base time) or ``none``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

__all__ = ["FORMATS", "Stamp", "TimestampReader", "parse_iso"]

RELOCK_AFTER = 400
"""Lines without the locked format after which another format may take its place (a second program writes)."""

_MONTHS = {
    m: i
    for i, m in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_CLOCK = r"(?P<h>[0-2]?\d):(?P<mi>[0-5]\d):(?P<s>[0-6]\d)(?:[.,:](?P<f>\d{1,9}))?"
_ZONE = r"(?:\ ?(?P<z>Z|UTC|GMT|[+-]\d\d:?\d\d)\b)?"
_MONTH = r"(?P<mon>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_DAYNAME = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\ +)"


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time read from a line: UTC nanoseconds (``None`` when out of range), quality, where the rest starts."""

    time_ns: int | None
    quality: str
    end: int


def _compile(body: str) -> re.Pattern[str]:
    # An opening bracket, quote or "time=" may stand before the time and its partner after it.
    return re.compile(
        r"[\[(<\"]?(?:(?:time|ts|t|timestamp)=\"?)?" + body + r"[\])>\"]?(?=[\s:,|;\]\-]|$)", re.VERBOSE
    )


FORMATS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("iso", _compile(r"(?P<y>[12]\d{3})-(?P<mo>[01]?\d)-(?P<d>[0-3]?\d)[T\ _]" + _CLOCK + _ZONE)),
    ("slash", _compile(r"(?P<y>[12]\d{3})/(?P<mo>[01]?\d)/(?P<d>[0-3]?\d)[T\ ]" + _CLOCK + _ZONE)),
    ("dots", _compile(r"(?P<y>[12]\d{3})\.(?P<mo>[01]\d)\.(?P<d>[0-3]\d)[T\ -]" + _CLOCK + _ZONE)),
    (
        "compact",
        _compile(
            r"(?P<y>20\d\d)(?P<mo>[01]\d)(?P<d>[0-3]\d)[T\ -]?(?P<h>[0-2]\d):?(?P<mi>[0-5]\d):?(?P<s>[0-6]\d)(?:[.,](?P<f>\d{1,9}))?"
            + _ZONE
        ),
    ),
    ("short-compact", _compile(r"(?P<y2>\d\d)(?P<mo>[01]\d)(?P<d>[0-3]\d)\ " + _CLOCK)),
    ("short-slash", _compile(r"(?P<y2>\d\d)/(?P<mo>[01]\d)/(?P<d>[0-3]\d)\ " + _CLOCK)),
    (
        "clf",
        _compile(r"(?:\S+\ \S+\ \S+\ \[)?(?P<d>[0-3]?\d)/" + _MONTH + r"/(?P<y>[12]\d{3}):" + _CLOCK + _ZONE),
    ),
    (
        "day-month-year",
        _compile(r"(?P<d>[0-3]?\d)[-\ ./]" + _MONTH + r"[-\ ./](?P<y>[12]\d{3}),?\ " + _CLOCK + _ZONE),
    ),
    (
        "us",
        _compile(r"(?P<mo>[01]?\d)/(?P<d>[0-3]?\d)/(?P<y>[12]\d{3}),?\ " + _CLOCK + r"(?:\ ?(?P<ap>[AP]M))?"),
    ),
    ("european", _compile(r"(?P<d>[0-3]\d)[.-](?P<mo>[01]\d)[.-](?P<y>[12]\d{3}),?\ " + _CLOCK + _ZONE)),
    (
        "month-first",
        _compile(
            _MONTH + r"\ +(?P<d>[0-3]?\d),?\ (?P<y>[12]\d{3}),?\ " + _CLOCK + r"(?:\ (?P<ap>[AP]M))?" + _ZONE
        ),
    ),
    (
        "rfc2822",
        _compile(_DAYNAME + r"(?P<d>[0-3]?\d)\ " + _MONTH + r"\ (?P<y>[12]\d{3})\ " + _CLOCK + _ZONE),
    ),
    (
        "ctime",
        _compile(
            _DAYNAME
            + _MONTH
            + r"\ +(?P<d>[0-3]?\d)\ "
            + _CLOCK
            + r"(?:\ (?P<zn>[A-Z]{3,4}))?\ (?P<y>[12]\d{3})"
        ),
    ),
    ("glog", re.compile(r"(?=[IWEF]\d{4}\ )[IWEF](?P<mo>[01]\d)(?P<d>[0-3]\d)\ +" + _CLOCK, re.VERBOSE)),
    (
        "syslog-pri",
        re.compile(
            r"<\d{1,3}>1\ (?P<y>[12]\d{3})-(?P<mo>[01]\d)-(?P<d>[0-3]\d)T" + _CLOCK + _ZONE, re.VERBOSE
        ),
    ),
    (
        "syslog",
        re.compile(r"(?:<\d{1,3}>)?" + _MONTH + r"\ +(?P<d>[0-3]?\d)\ " + _CLOCK + r"(?=\s)", re.VERBOSE),
    ),
    ("month-day", _compile(r"(?P<mo>[01]\d)-(?P<d>[0-3]\d)\ " + _CLOCK)),
    (
        "epoch",
        re.compile(r"\[?(?P<e>1[0-9]{9})(?:\.(?P<f>\d{1,9})|(?P<sub>\d{3}|\d{6}|\d{9}))?\]?(?=[\s:,|])"),
    ),
    ("uptime", re.compile(r"\[\ *(?P<up>\d{1,9})\.(?P<f>\d{3,6})\](?=\s)")),
    ("clock", _compile(r"(?P<h>[0-2]\d):(?P<mi>[0-5]\d):(?P<s>[0-6]\d)(?:[.,](?P<f>\d{1,9}))?")),
)
"""Name and expression of each format, most specific first. The expression is matched at the line's start."""

_CANDIDATE = re.compile(
    r"[\[(<\"]?(?:\d|[JFMASONDTWIE]\w{2,3}|[IWEF]\d{4}|time=|ts=|t=|timestamp=|\[ *\d|<\d|\S+ \S+ \S+ \[\d)"
)


def parse_iso(text: str) -> tuple[int | None, str]:
    """UTC nanoseconds and quality of an ISO-like time (as in JSON logs); ``(None, "none")`` when it is none."""
    match = FORMATS[0][1].match(text)
    if match is None:
        return None, "none"
    stamp = _stamp(match, None)
    return stamp.time_ns, stamp.quality


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text in {"Z", "UTC", "GMT"}:
        return UTC
    sign = -1 if text[0] == "-" else 1
    digits = text[1:].replace(":", "")
    return timezone(sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:4])))


def _stamp(match: re.Match[str], base_ns: int | None) -> Stamp:
    parts = match.groupdict()
    nanos = int((parts.get("f") or "0").ljust(9, "0")[:9])
    if parts.get("e"):
        scale = {0: 0, 3: 6, 6: 3, 9: 0}[len(parts.get("sub") or "")]
        return Stamp(
            int(parts["e"]) * 10**9 + (int(parts["sub"]) * 10**scale if parts["sub"] else nanos),
            "exact",
            match.end(),
        )
    if parts.get("up"):
        return Stamp(None, "none", match.end())
    base = datetime.fromtimestamp(base_ns / 1e9, UTC) if base_ns is not None else None
    year, quality = _year(parts, base)
    month = (
        _MONTHS[parts["mon"][:3].lower()]
        if parts.get("mon")
        else int(parts.get("mo") or (base.month if base else 0))
    )
    day = int(parts.get("d") or (base.day if base else 0))
    hour = int(parts["h"])
    if parts.get("ap"):
        hour = hour % 12 + (12 if parts["ap"] == "PM" else 0)
    zone = _zone(parts.get("z") or ("UTC" if parts.get("zn") in {"UTC", "GMT"} else None))
    try:
        when = datetime(
            year, month, day, hour, int(parts["mi"]), min(int(parts["s"]), 59), tzinfo=zone or UTC
        )
    except (ValueError, OverflowError):
        return Stamp(None, "none", match.end())
    seconds = int((when - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return Stamp(seconds * 10**9 + nanos, quality or ("exact" if zone else "naive"), match.end())


def _year(parts: dict[str, str], base: datetime | None) -> tuple[int, str]:
    if parts.get("y"):
        return int(parts["y"]), ""
    if parts.get("y2"):
        return 2000 + int(parts["y2"]), ""
    return (base.year, "inferred") if base else (0, "inferred")


class TimestampReader:
    """Reads the time at the start of lines; keeps to the first format that fits.

    Args:
        base_ns: a time near the log's (for instance the snapshot's), for formats without year or day.
    """

    def __init__(self, *, base_ns: int | None = None) -> None:
        self._base_ns = base_ns
        self._locked: re.Pattern[str] | None = None
        self._misses = 0
        self.name = ""

    def read(self, text: str) -> Stamp | None:
        """The time at the start of ``text`` in the locked format, or ``None``."""
        if self._locked is not None:
            match = self._locked.match(text)
            if match is not None:
                self._misses = 0
                return _stamp(match, self._base_ns)
            self._misses += 1
            if self._misses < RELOCK_AFTER:
                return None
        return self._search(text)

    def _search(self, text: str) -> Stamp | None:
        if not _CANDIDATE.match(text):
            return None
        for name, pattern in FORMATS:
            match = pattern.match(text)
            if match is None:
                continue
            stamp = _stamp(match, self._base_ns)
            if stamp.time_ns is None and name not in {"uptime", "syslog", "glog", "month-day", "clock"}:
                continue
            self._locked, self.name, self._misses = pattern, name, 0
            return stamp
        return None
