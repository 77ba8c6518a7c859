"""Decisions in plain text: markers, reasons, what followed, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.trace.source import TextRecord
from casreplay.trace.text import MARKERS, TextSource, may_decide


def read(text: str, **options):
    records = [TextRecord(i, i, line) for i, line in enumerate(text.split("\n"), start=1) if line]
    return list(TextSource(**options).decisions(records))


@pytest.mark.parametrize(
    ("line", "text", "why", "marker"),
    [
        ("Decision: use SQLite", "use SQLite", "", "decision"),
        ("2026-01-02 03:04:05 INFO Decision: use it because I say so", "use it", "I say so", "decision"),
        ("- **Decision**: use SQLite", "use SQLite", "", "decision"),
        ("DECISION #3: use SQLite, since nothing else fits", "use SQLite", "nothing else fits", "decision"),
        ("I decided to keep both files", "keep both files", "", "chose"),
        ("We opted for the slow path due to memory", "the slow path", "memory", "chose"),
        ("going with plan B", "plan B", "", "instead"),
        ("Action: search[weather]", "search[weather]", "", "action"),
        ("Plan: read, then write", "read, then write", "", "plan"),
        ("I'll delete the cache", "delete the cache", "", "intent"),
        ("Let me check the tests", "check the tests", "", "intent"),
    ],
)  # fmt: skip
def test_markers(line, text, why, marker):
    [found] = read(line)
    assert (found.text, found.why, found.marker) == (text, why, marker)
    assert 0.4 <= found.confidence <= 1


@pytest.mark.parametrize(
    "line",
    [
        "INFO started",
        "the decision is pending",
        "an action was taken",
        "transaction: 17",
        "explanation: none",
    ],
)
def test_what_is_no_decision(line):
    assert read(line) == []


def test_a_thought_before_and_a_reason_after_are_reasons():
    [first, second] = read(
        "Thought: the file is too large\nAction: split it\nDecision: use zstd\nWhy: it is fast"
    )
    assert first.why == "the file is too large"
    assert second.why == "it is fast"


def test_what_followed_ends_at_the_next_decision_and_at_three():
    [first, second] = read("Decision: a\nx\ny\nz\nw\nDecision: b\nv")
    assert first.following == ("x", "y", "z")
    assert second.following == ("v",)


def test_own_markers_win():
    [found] = read("Decision: a", own={1: ("own 1", "paint it blue")})
    assert (found.text, found.marker, found.confidence) == ("paint it blue", "own 1", 0.9)


def test_headings_are_decisions_where_that_is_said():
    text = "# Decisions\n## Context\n## Use SQLite\nBecause it is one file.\n## 2026-01-02\n"
    [found] = read(text, headings=True)
    assert (found.text, found.why, found.marker) == ("Use SQLite", "it is one file.", "heading")
    assert read(text) == []


def test_long_text_is_cut():
    [found] = read("Decision: " + "word " * 200)
    assert len(found.text) <= 400


WORDS = st.sampled_from(
    ["decision", "Decided:", "I", "will", "I'll", "let", "me", "Action:", "plan", ":", "opted for", "with"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=8).map(" ".join))
def test_the_quick_look_misses_no_marker(line):
    if any(marker.pattern.search(line) for marker in MARKERS):
        assert may_decide([line]) == {0}


@given(st.lists(st.text(max_size=80), max_size=8))
def test_it_is_total_and_says_where(lines):
    records = [TextRecord(i, i, line) for i, line in enumerate(lines, start=1)]
    for found in TextSource().decisions(records):
        assert found.record in records
        assert "\n" not in found.text + found.why
