"""Patches to the stat cache: file and patch together say what a file written anew would."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.workspace import stat_cache, stat_patch
from casreplay.workspace.scanner import COLUMNS, STAMP
from casreplay.workspace.stat_cache import COUNTERS, CacheHeader, FolderRecord, StatCache

OLD = CacheHeader(b"r" * 32, b"u" * 32, b"b" * 32, 12345)
NEW = CacheHeader(b"n" * 32, b"u" * 32, b"b" * 32, 67890)


def record(seed, entries=2):
    """A folder's record; different seeds give different ones."""
    one = bytes([seed % 251])
    return FolderRecord(
        names=b"/".join(b"%d-%d" % (seed, i) for i in range(entries)),
        stats=one * 8 * COLUMNS * entries,
        ids=one * 32 * entries,
        states=bytes(entries),
        tree_id=one * 32,
        content_id=one[::-1] * 32,
        subtree_bytes=seed,
        counters=tuple(range(seed, seed + len(COUNTERS))),
        stamp=one * STAMP.size,
    )


def opened(folders, header=OLD):
    return StatCache(b"".join(stat_cache.encode(header, folders.items(), None)))


def contents(cache):
    return {path: cache.record(i) for i, path in enumerate(cache.paths)}


BASE = {b"": record(1), b"a": record(2, 0), b"a/b": record(3), b"c": record(4, 3)}
changes = st.dictionaries(
    st.sampled_from(list(BASE)), st.builds(record, st.integers(5, 250), st.integers(0, 4))
)


@given(st.lists(changes, max_size=4))
def test_patch_upon_patch_says_what_was_put_in(rounds):
    file = b"".join(stat_cache.encode(OLD, BASE.items(), None))
    patch, expected = None, dict(BASE)
    for changed in rounds:
        cache = StatCache(file)
        if patch is not None:
            stat_patch.apply_patch(cache, patch)
        expected |= changed
        patch = b"".join(stat_patch.encode_patch(cache, NEW, changed))
    cache = StatCache(file)
    if patch is not None:
        stat_patch.apply_patch(cache, patch)
        assert cache.header == NEW
    assert contents(cache) == expected
    assert cache.counts.tolist() == [len(one.states) for one in expected.values()]
    assert [cache.tree_id(i) for i in range(len(cache))] == [one.tree_id for one in expected.values()]
    assert [cache.known(i) for i in range(len(cache))] == [
        (one.names, one.stats, one.stamp) for one in expected.values()
    ]
    assert cache.totals_without([]) == [sum(one.counters[j] for one in expected.values()) for j in range(12)]
    assert contents(StatCache(b"".join(stat_cache.encode(NEW, [range(len(cache))], cache)))) == expected


def test_a_patch_of_another_file_is_refused_and_changes_nothing():
    patch = b"".join(stat_patch.encode_patch(opened(BASE), NEW, {b"c": record(9)}))
    other = opened({**BASE, b"a": record(8)})
    before = contents(other)
    with pytest.raises(ValueError, match="Not a patch of this"):
        stat_patch.apply_patch(other, patch)
    assert (contents(other), other.header) == (before, OLD)


def test_the_same_folders_written_at_another_time_are_another_file():
    patch = b"".join(stat_patch.encode_patch(opened(BASE), NEW, {b"c": record(9)}))
    with pytest.raises(ValueError, match="Not a patch of this"):
        stat_patch.apply_patch(opened(BASE, dataclasses.replace(OLD, scan_ns=1)), patch)


@given(st.data())
def test_a_patch_cut_short_is_refused_and_changes_nothing(data):
    cache = opened(BASE)
    patch = b"".join(stat_patch.encode_patch(cache, NEW, {b"c": record(9)}))
    with pytest.raises(ValueError, match="stat cache"):
        stat_patch.apply_patch(cache, patch[: data.draw(st.integers(0, len(patch) - 1))])
    assert (contents(cache), cache.header) == (BASE, OLD)


def test_a_patch_with_folders_nobody_knows_is_refused_and_changes_nothing():
    cache = opened(BASE)
    patch = b"".join(stat_patch.encode_patch(cache, NEW, {b"x": record(9), b"c": record(10)}))
    with pytest.raises(ValueError, match="does not know"):
        stat_patch.apply_patch(cache, patch)
    assert contents(cache) == BASE


def test_a_patch_is_for_few_folders_of_many():
    many = opened({b"": record(1), **{b"%d" % i: record(i % 200) for i in range(1, 2000)}})
    assert stat_patch.is_worth_a_patch(many, set(range(83)))
    assert not stat_patch.is_worth_a_patch(many, set(range(84)))
    many.replace(1999, record(3))
    assert not stat_patch.is_worth_a_patch(many, set(range(83)))
    assert not stat_patch.is_worth_a_patch(opened(BASE), {1})
