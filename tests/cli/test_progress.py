from __future__ import annotations

import io
import sys

import pytest

from casreplay.cli.progress import PERIOD_NS, QUIET_NS, Progress


@pytest.fixture
def catch(monkeypatch):
    """Called in the test itself: pytest puts its own streams back before a test begins."""

    def install():
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        return sys.stderr

    return install


class Clock:
    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


def test_short_work_shows_nothing(catch):
    stderr = catch()
    clock = Clock()
    with Progress(enabled=True, clock=clock) as progress:
        progress.stage("reading", 10, "files")
        clock.now = QUIET_NS - 1
        progress.advance(9)
    assert stderr.getvalue() == ""


def test_long_work_shows_a_line_and_erases_it(catch):
    stderr = catch()
    clock = Clock()
    with Progress(enabled=True, clock=clock) as progress:
        progress.stage("reading", 1000, "files")
        clock.now = QUIET_NS
        progress.advance(250)
        assert stderr.getvalue() == "\rreading  25 %  250 of 1,000 files  1.00 s"
    assert stderr.getvalue().endswith("\r" + " " * 41 + "\r")


def test_the_line_is_drawn_a_few_times_a_second_at_most(catch):
    stderr = catch()
    clock = Clock()
    progress = Progress(enabled=True, clock=clock)
    progress.stage("reading")
    for step in range(1000):
        clock.now = QUIET_NS + step * 1_000_000
        progress.advance(step)
    assert stderr.getvalue().count("\r") == 1000 * 1_000_000 // PERIOD_NS


@pytest.mark.parametrize(
    ("total", "unit", "shown"),
    [
        (4_000_000, "B", "packing  25 %  2.00 s"),
        (4_000_000, "", "packing  25 %  2.00 s"),
        (0, "B", "packing  1.0 MB  2.00 s"),
    ],
)
def test_bytes_and_weights_are_a_share_or_a_size(catch, total, unit, shown):
    stderr = catch()
    clock = Clock()
    progress = Progress(enabled=True, clock=clock)
    progress.stage("packing", total, unit)
    clock.now = 2 * QUIET_NS
    progress.advance(1_000_000)
    assert stderr.getvalue() == "\r" + shown


def test_without_a_terminal_there_is_no_progress(catch):
    stderr = catch()
    clock = Clock()
    progress = Progress(clock=clock)
    clock.now = 10 * QUIET_NS
    progress.stage("reading", 10)
    progress.advance(5)
    progress.close()
    assert stderr.getvalue() == ""
