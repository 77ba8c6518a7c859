"""The stat cache: what goes in comes out, racy rows are blank, damage is noticed."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.model.objects import EntryState
from casreplay.workspace import stat_cache
from casreplay.workspace.scanner import COLUMNS, NO_STAMP, STAMP
from casreplay.workspace.stat_cache import COUNTERS, IGNORED, CacheHeader, FolderRecord, StatCache

HEADER = CacheHeader(b"r" * 32, b"u" * 32, b"b" * 32, 12345)

names = st.lists(
    st.binary(min_size=1, max_size=8).filter(lambda n: b"/" not in n and b"\0" not in n),
    unique=True,
    max_size=5,
)


@st.composite
def records(draw):
    entries = draw(names)
    n = len(entries)
    return FolderRecord(
        names=b"/".join(entries),
        stats=array(
            "q", draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=COLUMNS * n, max_size=COLUMNS * n))
        ).tobytes(),
        ids=draw(st.binary(min_size=32 * n, max_size=32 * n)),
        states=draw(st.binary(min_size=n, max_size=n)),
        tree_id=draw(st.binary(min_size=32, max_size=32)),
        content_id=draw(st.binary(min_size=32, max_size=32)),
        subtree_bytes=draw(st.integers(0, 2**62)),
        counters=tuple(draw(st.lists(st.integers(0, 2**40), min_size=len(COUNTERS), max_size=len(COUNTERS)))),
        stamp=draw(st.binary(min_size=STAMP.size, max_size=STAMP.size)),
    )


paths = st.binary(min_size=1, max_size=6).filter(lambda p: b"\0" not in p)
folders = st.builds(
    lambda root, below: {b"": root, **below}, records(), st.dictionaries(paths, records(), max_size=5)
)


def _encode(items, old=None, parts=None):
    return b"".join(stat_cache.encode(HEADER, parts if parts is not None else items.items(), old))


@given(folders)
def test_what_goes_in_comes_out(items):
    cache = StatCache(_encode(items))
    assert cache.header == HEADER
    assert cache.paths == list(items)
    assert [cache.record(i) for i in range(len(cache))] == list(items.values())
    assert [cache.listing(i) for i in range(len(cache))] == [(r.names, r.stats) for r in items.values()]
    assert [cache.known(i)[2] for i in range(len(cache))] == [r.stamp for r in items.values()]


@given(folders, st.data())
def test_ranges_of_an_old_cache_are_copied_whole(items, data):
    old = StatCache(_encode(items))
    cut = data.draw(st.integers(0, len(items)))
    parts = [part for part in (range(cut), range(cut, len(items))) if len(part)]
    again = StatCache(_encode(None, old, parts))
    assert [again.record(i) for i in range(len(again))] == list(items.values())


@given(folders, st.data())
def test_a_replaced_folder_takes_its_place(items, data):
    old = StatCache(_encode(items))
    i = data.draw(st.integers(0, len(items) - 1))
    new = data.draw(records())
    parts = [part for part in (range(i), (old.paths[i], new), range(i + 1, len(items))) if part]
    again = StatCache(_encode(None, old, parts))
    expected = list(items.values())
    expected[i] = new
    assert [again.record(j) for j in range(len(again))] == expected


@given(folders, st.data())
def test_a_stamp_learned_later_goes_into_the_next_cache(items, data):
    old = StatCache(_encode(items))
    i = data.draw(st.integers(0, len(items) - 1))
    old.set_stamp(i, b"s" * STAMP.size)
    again = StatCache(_encode(None, old, [range(len(items))]))
    expected = [r.stamp for r in items.values()]
    expected[i] = b"s" * STAMP.size
    assert [again.stamp(j) for j in range(len(again))] == expected
    assert again.record(i).names == old.record(i).names


@given(folders)
def test_totals_leave_out_what_they_are_told(items):
    cache = StatCache(_encode(items))
    rest = list(items.values())[1:]
    assert cache.totals_without([0]) == [sum(r.counters[j] for r in rest) for j in range(len(COUNTERS))]


@given(folders, st.data())
def test_a_cache_cut_short_is_refused(items, data):
    whole = _encode(items)
    with pytest.raises(ValueError, match="cache"):
        StatCache(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.dictionaries(paths, records(), max_size=3))
def test_a_cache_that_does_not_begin_with_the_root_is_refused(items):
    with pytest.raises(ValueError, match="root"):
        StatCache(_encode(items))


def test_another_layout_is_refused():
    with pytest.raises(ValueError, match="cache"):
        StatCache(b"crS3" + bytes(500))


SCAN = 100_000_000_000
OLD, NEW = SCAN - 3_000_000_000, SCAN - 1_000_000_000


@pytest.mark.parametrize(
    ("mode", "mtime", "ctime", "state", "blank"),
    [
        (0o100644, OLD, OLD, 0, False),
        (0o100644, NEW, OLD, 0, True),
        (0o100644, OLD, NEW, 0, True),
        (0o100644, SCAN + 10**12, OLD, 0, True),
        (0o120777, NEW, NEW, 0, True),
        (0o040755, NEW, NEW, 0, False),
        (0o100644, NEW, NEW, IGNORED, False),
        (0o100644, OLD, OLD, EntryState.TORN, True),
        (0o100644, OLD, OLD, EntryState.PREFIX, True),
        (0o100644, OLD, OLD, EntryState.UNREADABLE, True),
    ],
)
def test_rows_that_cannot_be_trusted_are_blank(mode, mtime, ctime, state, blank):
    row = array("q", [mode, 5, mtime, ctime, 77])
    kept = row.tobytes()
    got = stat_cache.blank_racy_rows(row, bytes([state]), SCAN)
    assert got == (bytes(len(kept)) if blank else kept)


class TestSettledStamp:
    def test_an_old_folder_keeps_its_stamp(self):
        stamp = STAMP.pack(7, OLD, OLD)
        assert stat_cache.settled_stamp(stamp, SCAN) == stamp

    @pytest.mark.parametrize("times", [(NEW, OLD), (OLD, NEW), (SCAN, OLD), (SCAN + 10**9, OLD)])
    def test_one_touched_lately_by_either_time_or_in_the_future_has_none(self, times):
        assert stat_cache.settled_stamp(STAMP.pack(7, *times), SCAN) == NO_STAMP

    def test_none_stays_none(self):
        assert stat_cache.settled_stamp(NO_STAMP, SCAN) == NO_STAMP
