# Log lines are quoted whole.
# ruff: noqa: E501
"""New lines of a log: masks, appended tails, blocks, cause lines, encodings, bounds."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.forensics import newlines
from casreplay.forensics.logs import masks
from casreplay.forensics.newlines import new_lines

TRACE = b'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    x()\nKeyError: 1\n'
OLD = b"2024-01-01 10:00:00 INFO run 1 started in /tmp/a/b\n2024-01-01 10:00:01 INFO served 200 in 12 ms\n"
NEW = b"2024-01-02 11:30:00 INFO run 2 started in /srv/c/d\n2024-01-02 11:30:01 INFO served 200 in 9 ms\n"


def numbers(lines):
    return [line.number for line in lines]


def test_only_what_masks_differently_is_new():
    got = new_lines(OLD, NEW + b"2024-01-02 11:30:02 ERROR disk full\n")
    assert numbers(got.lines) == numbers(got.cause) == [3]
    assert (got.total, got.appended, got.binary) == (3, False, False)


def test_without_an_earlier_log_everything_is_new():
    assert numbers(new_lines(None, OLD).lines) == [1, 2]
    assert numbers(new_lines(b"", OLD).lines) == [1, 2]


def test_an_appended_tail_is_new_even_where_it_repeats():
    before = OLD + b"ERROR: disk full\n"
    got = new_lines(before, before + b"ERROR: disk full\n2024-01-02 10:00:00 INFO run 2 started in /x/y\n")
    assert got.appended
    assert numbers(got.lines) == [4, 5]
    assert [line.novel for line in got.lines] == [False, False]
    assert before[got.lines[0].offset - 1 : got.lines[0].offset] == b"\n"


def test_a_log_cut_inside_a_line_is_appended_from_that_line_on():
    got = new_lines(b"one\ntw", b"one\ntwo\nthree\n")
    assert [(line.number, line.text) for line in got.lines] == [(2, "two"), (3, "three")]


def test_known_frames_of_a_new_trace_belong_to_it():
    other = TRACE.replace(b"KeyError: 1", b"ValueError: other")
    got = new_lines(b"start\n" + TRACE, b"start\n" + other)
    assert numbers(got.cause) == [2, 3, 4, 5]
    assert [line.novel for line in got.lines if line.number == 5] == [True]


def test_a_runners_epilogue_and_passed_tests_are_not_the_cause():
    after = b"test_bad_input PASSED\nFAILED test_x - KeyError: 'a'\n1 failed, 3 passed in 0.10s\n##[error]Process completed with exit code 1.\n"
    assert numbers(new_lines(b"test_y PASSED\n", after).cause) == [2]


def test_with_nothing_that_looks_like_trouble_every_new_line_is_kept():
    assert numbers(new_lines(b"a\n", b"a\nsomething else\n").cause) == [2]


@pytest.mark.parametrize(
    "encode", [lambda b: b, lambda b: b.replace(b"\n", b"\r\n"), lambda b: b.decode().encode("utf-16")]
)
def test_line_ends_and_encodings_make_no_difference(encode):
    got = new_lines(OLD, encode(NEW + b"ERROR: boom\n"))
    assert [(line.number, line.text) for line in got.cause] == [(3, "ERROR: boom")]


def test_a_binary_log_is_said_to_be_one():
    assert new_lines(None, bytes(range(256)) * 40).binary


def test_beyond_the_limit_only_trouble_is_kept(monkeypatch):
    monkeypatch.setattr(newlines, "MAX_KEPT", 10)
    monkeypatch.setattr(newlines, "THIN_AFTER", 10)
    got = new_lines(None, b"".join(b"line %c\n" % (97 + i % 26) for i in range(30)) + b"ERROR: x\n")
    assert got.truncated
    assert [line.text for line in got.lines] == ["ERROR: x"]


def test_among_very_many_new_lines_repeats_are_left_out(monkeypatch):
    monkeypatch.setattr(newlines, "THIN_AFTER", 20)
    log = b"".join(b"10:00:%02d job %d done id=%016x\n" % (i % 60, i, i * 7919**4) for i in range(50))
    got = new_lines(None, log + b"ERROR: x\n")
    assert got.truncated
    assert numbers(got.lines) == [1, 2, 3, 51]
    assert got.total == 51
    tail = new_lines(b"start\n", b"start\n" + log + b"ERROR: x\n")
    assert tail.appended
    assert numbers(tail.lines) == [2, 3, 4, 52]


def test_a_table_of_bits_takes_over_from_the_exact_set(monkeypatch):
    monkeypatch.setattr(newlines, "MAX_EXACT", 3)
    words = [b"alpha", b"beta", b"gamma", b"delta", b"epsilon", b"zeta"]
    known = b"\n".join(words) + b"\n"
    assert numbers(new_lines(b"x\n" + known, known + b"fresh\n").lines) == [7]


@given(
    st.lists(st.sampled_from([b"a", b"bee", b"c d", b"ERROR: x", b"  in", b""]), max_size=30),
    st.integers(1, 9),
)
def test_pieces_and_whole_logs_give_the_same(lines, size):
    after = b"\n".join(lines)
    pieces = [after[i : i + size] for i in range(0, len(after), size)]
    whole = new_lines(b"bee\nz\n", after)
    assert new_lines(iter([b"bee\n", b"z\n"]), iter(pieces)).lines == whole.lines
    for line in whole.lines:
        assert after[line.offset : line.end_offset].decode().rstrip("\n") == line.text


PAIRS = os.environ.get("LOGPAIRS", "")


@pytest.mark.skipif(
    not PAIRS, reason="the annotated logs are not part of the project; LOGPAIRS names their folder"
)
def test_cause_lines_on_annotated_build_logs():
    import runpy

    bench = runpy.run_path(str(Path(__file__).resolve().parents[2] / "benchmarks" / "logpairs.py"))
    result = bench["measure"](Path(PAIRS), bench["ours"])
    assert result["strict"] >= 0.80
    assert result["strict"] > bench["measure"](Path(PAIRS), bench["masking"])["strict"]


@given(
    st.binary(max_size=400),
    st.lists(st.sampled_from([b"deadbeef", b"12345678-", b"fade", b"\n", b" x", b"--"])),
)
def test_the_second_sieve_deletes_long_runs_of_hex_and_dashes(noise, parts):
    block = noise + b"".join(parts)
    assert masks.without_ids(block) == re.sub(rb"[0-9]", b"", re.sub(rb"[0-9a-f-]{8,}", b"", block))


@given(
    st.lists(st.binary(max_size=9).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b"")), min_size=1),
    st.data(),
)
def test_lines_are_joined_whatever_they_end_with(texts, data):
    ends = [data.draw(st.sampled_from([b"\n", b"\r\n", b"\r", b""])) for _ in texts]
    raws = [text + end for text, end in zip(texts, ends, strict=True)]
    assert newlines._joined(raws) == b"\n".join(texts)
