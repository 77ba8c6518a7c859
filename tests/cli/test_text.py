from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.cli.text import ago, clock_time, columns, count, duration, iso_time, safe, safe_line, size

MINUTE_NS = 60 * 10**9


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain text", "plain text"),
        ("Grüße, 日本", "Grüße, 日本"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("back\rto the start", "back\\x0dto the start"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202egpj.exe", "abc\\u202egpj.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\U000e0041tag", "\\U000e0041tag"),
        ("\udcff", "\\xff"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_escaped(raw, shown):
    assert safe(raw) == shown


@given(st.text())
def test_nothing_that_moves_a_cursor_survives(raw):
    shown = safe_line(raw)
    assert not [c for c in shown if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0x202A <= ord(c) <= 0x202E]
    shown.encode("utf-8")


def test_a_line_stays_a_line():
    assert safe_line("a\nb\tc") == "a\\nb\\tc"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (1449, "1.4 KB"),
        (9_949, "9.9 KB"),
        (9_950, "10 KB"),
        (999_499, "999 KB"),
        (999_500, "1.0 MB"),
        (40_000_000, "40 MB"),
        (1_000_000_000, "1.0 GB"),
        (5_000_000_000_000_000, "5000 TB"),
        (-1500, "-1.5 KB"),
    ],
)
def test_sizes(number, shown):
    assert size(number) == shown


@pytest.mark.parametrize(
    ("elapsed_ns", "shown"),
    [
        (0, "0 ms"),
        (3_400_000, "3 ms"),
        (1_240_000_000, "1.24 s"),
        (12_340_000_000, "12.3 s"),
        (125 * 10**9, "2 min 5 s"),
        (12_000 * 10**9, "3 h 20 min"),
    ],
)
def test_durations(elapsed_ns, shown):
    assert duration(elapsed_ns) == shown


@pytest.mark.parametrize(
    ("before_ns", "shown"),
    [
        (0, "just now"),
        (30 * 10**9, "30 seconds ago"),
        (MINUTE_NS, "1 minute ago"),
        (90 * MINUTE_NS, "1 hour ago"),
        (26 * 60 * MINUTE_NS, "1 day ago"),
        (15 * 24 * 60 * MINUTE_NS, "2 weeks ago"),
        (800 * 24 * 60 * MINUTE_NS, "2 years ago"),
        (-MINUTE_NS, "in the future"),
    ],
)
def test_how_long_ago(before_ns, shown):
    now = 1_800_000_000 * 10**9
    assert ago(now - before_ns, now) == shown


@given(st.integers(0, 253_402_300_799 * 10**9))
def test_json_times_are_exact_and_readable_by_python(time_ns):
    text = iso_time(time_ns)
    assert text.endswith("Z")
    assert len(text) == len("2026-11-20T10:00:03.000000000Z")
    moment = dt.datetime.fromisoformat(text)
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert (moment - epoch) // dt.timedelta(microseconds=1) == time_ns // 1000
    assert int(text[-10:-1]) == time_ns % 10**9


def test_json_times_before_1970():
    assert iso_time(-1) == "1969-12-31T23:59:59.999999999Z"


def test_an_impossible_time_is_still_shown():
    assert clock_time(2**200) == f"{2**200} ns"
    assert iso_time(2**200) == f"{2**200} ns"


def test_counts():
    assert count(1, "file") == "1 file"
    assert count(2000, "file") == "2,000 files"
    assert count(2, "entry", "entries") == "2 entries"


def test_columns_align_and_leave_no_trailing_space():
    rows = [("a", "1", "x"), ("long", "200", "")]
    assert columns(rows, right=frozenset({1})) == ["a       1  x", "long  200"]
    assert columns([]) == []
