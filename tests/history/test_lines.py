from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.history.lines import _shortest_edit, match, split_lines


def lines(text):
    return [c.encode() for c in text]


def common(before, after):
    return sum(run.count for run in match(before, after))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a\n"]),
        (b"a\n\nb", [b"a\n", b"\n", b"b"]),
        (b"a\r\nb\r", [b"a\r\n", b"b\r"]),
        (b"a\x0bb\x0c\x85\n", [b"a\x0bb\x0c\x85\n"]),
    ],
)
def test_lines_end_at_line_feeds_only(text, expected):
    assert split_lines(text) == expected


@pytest.mark.parametrize(
    ("before", "after", "number"),
    [
        ("", "", 0),
        ("abc", "abc", 3),
        ("abc", "xyz", 0),
        ("abc", "abxc", 3),
        ("abcabba", "cbabac", 4),
        ("aaaa", "aa", 2),
        ("abcdef", "defabc", 3),
    ],
)
def test_shared_lines(before, after, number):
    assert common(lines(before), lines(after)) == number


texts = st.lists(st.sampled_from([b"a", b"b", b"c", b"{", b"}"]), max_size=30)


@given(texts, texts)
def test_runs_are_equal_lines_in_order_and_do_not_touch(before, after):
    end_a = end_b = 0
    previous = None
    for run in match(before, after):
        assert run.count > 0
        assert run.before >= end_a
        assert run.after >= end_b
        assert (run.before, run.after) != previous
        assert before[run.before : run.before + run.count] == after[run.after : run.after + run.count]
        end_a, end_b = run.before + run.count, run.after + run.count
        previous = (end_a, end_b)


@given(texts, texts)
def test_a_shortest_edit_keeps_the_longest_common_sequence(before, after):
    longest = [[0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for i, x in enumerate(before):
        for j, y in enumerate(after):
            longest[i + 1][j + 1] = longest[i][j] + 1 if x == y else max(longest[i][j + 1], longest[i + 1][j])
    pairs = _shortest_edit(before, after, 0, 0)
    assert len(pairs) == longest[-1][-1]
    assert all(before[i] == after[j] for i, j in pairs)


@given(st.lists(st.binary(min_size=1, max_size=2), max_size=40, unique=True), st.data())
def test_deleted_lines_leave_all_others_shared(before, data):
    after = [line for line in before if data.draw(st.booleans())]
    assert common(before, after) == len(after)


def test_a_block_that_moved_is_found_as_well_as_difflib_does():
    before = [b"%d\n" % i for i in range(300)]
    after = before[100:200] + before[:100] + before[200:]
    reference = sum(b.size for b in difflib.SequenceMatcher(None, before, after).get_matching_blocks())
    assert common(before, after) >= reference


def test_texts_that_share_nothing_unique_are_given_up_in_bounded_time():
    before = [b"a\n", b"b\n"] * 3000
    after = [b"b\n", b"b\n", b"a\n"] * 3000
    assert common(before, after) < len(before)
