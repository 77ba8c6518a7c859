from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.errors import UsageError
from casreplay.history.times import format_time, parse_duration, parse_time

HOUR = 3600 * 10**9
EAST = timezone(timedelta(hours=2))


def ns(*fields, zone=UTC):
    return int(datetime(*fields, tzinfo=zone).timestamp()) * 10**9


NOW = ns(2026, 11, 20, 15, 30)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("2h", 7200),
        ("1d12h", 129_600),
        ("1d 12h", 129_600),
        ("3 weeks", 3 * 7 * 86_400),
        ("1 day, 2 minutes", 86_520),
        ("1y", 365 * 86_400),
        ("6 months", 180 * 86_400),
        ("0s", 0),
        ("5M", 300),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds * 10**9


@pytest.mark.parametrize("text", ["", "h", "2", "2 fortnights", "-2h", "2h later", "1.5h", "s"])
def test_what_is_no_duration(text):
    with pytest.raises(UsageError) as caught:
        parse_duration(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("2h ago", NOW - 2 * HOUR),
        ("1d 1h ago", NOW - 25 * HOUR),
        ("2026-11-20", ns(2026, 11, 20)),
        ("today", ns(2026, 11, 20)),
        ("Yesterday", ns(2026, 11, 19)),
        ("10:00", ns(2026, 11, 20, 10)),
        ("9:05:07", ns(2026, 11, 20, 9, 5, 7)),
        ("2026-11-20 10:00", ns(2026, 11, 20, 10)),
        ("2026-11-20T10:00:05", ns(2026, 11, 20, 10, 0, 5)),
        ("2026-11-20 10:00Z", ns(2026, 11, 20, 10)),
        ("2026-11-20 10:00+02:00", ns(2026, 11, 20, 8)),
        ("1969-12-31 23:59:59", -(10**9)),
        ("2026-11-20T10:00:00.123456", ns(2026, 11, 20, 10) + 123_456_000),
        ("2026-11-20T10:00:00.123456789Z", ns(2026, 11, 20, 10) + 123_456_789),
        ("2026-11-20 10:00:00,5+02:00", ns(2026, 11, 20, 8) + 500_000_000),
    ],
)
def test_times(text, expected):
    assert parse_time(text, now_ns=NOW, zone=UTC) == expected


def test_a_date_alone_can_mean_its_end():
    assert parse_time("2026-11-20", now_ns=NOW, zone=UTC, end=True) == ns(2026, 11, 21) - 1
    assert parse_time("yesterday", now_ns=NOW, zone=UTC, end=True) == ns(2026, 11, 20) - 1
    assert parse_time("10:00", now_ns=NOW, zone=UTC, end=True) == ns(2026, 11, 20, 10)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("2026-11-20 10:00:05", ns(2026, 11, 20, 10, 0, 6) - 1),
        ("2026-11-20T10:00:05Z", ns(2026, 11, 20, 10, 0, 6) - 1),
        ("10:00:05", ns(2026, 11, 20, 10, 0, 6) - 1),
        ("2026-11-20 10:00:05.12", ns(2026, 11, 20, 10, 0, 5) + 129_999_999),
        ("2026-11-20T10:00:05.123456789Z", ns(2026, 11, 20, 10, 0, 5) + 123_456_789),
    ],
)
def test_what_is_shown_cut_off_can_mean_all_that_was_cut_off(text, last):
    assert parse_time(text, now_ns=NOW, zone=UTC, end=True) == last


def test_local_times_are_in_the_zone_given():
    assert parse_time("2026-11-20 10:00", now_ns=NOW, zone=EAST) == ns(2026, 11, 20, 8)
    late = ns(2026, 11, 20, 23, 0)
    assert parse_time("today", now_ns=late, zone=EAST) == ns(2026, 11, 20, 22)


def test_the_systems_own_zone_is_used_without_one():
    assert format_time(parse_time("2026-11-20 10:00", now_ns=NOW, zone=None), None) == "2026-11-20 10:00:00"


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "25:00", "2026-11-20 ago", "9999-12-31x", "ago"])
def test_what_is_no_time(text):
    with pytest.raises(UsageError) as caught:
        parse_time(text, now_ns=NOW, zone=UTC)
    assert caught.value.hint


@given(st.text(max_size=20))
def test_any_text_is_a_time_or_a_usage_error(text):
    try:
        assert isinstance(parse_time(text, now_ns=NOW, zone=UTC), int)
    except UsageError:
        assert text.strip() not in ("now", "today")


@given(st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1))
def test_every_time_can_be_shown(at_ns):
    assert format_time(at_ns, UTC)
    assert format_time(at_ns, None)
