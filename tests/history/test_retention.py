from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.list_log import snapshot

from casreplay.errors import UsageError
from casreplay.history.retention import KeepRules, plan
from casreplay.model.ids import ObjectId, SnapshotId

HOUR = 3600 * 10**9
START = int(datetime(2026, 11, 16, tzinfo=UTC).timestamp()) * 10**9


def hourly(number, step_hours=1):
    """Newest first."""
    return [snapshot(i, time_ns=START + i * step_hours * HOUR) for i in range(number - 1, -1, -1)]


def kept(snapshots, zone=UTC, **rules):
    options = {key: rules.pop(key) for key in ("pinned", "tags_of") if key in rules}
    found = plan(snapshots, KeepRules(**rules), zone=zone, **options)
    assert len(found.kept) + len(found.removed) == len(snapshots)
    return {one.snapshot.sequence: one.reasons for one in found.kept}


def test_keep_last():
    assert kept(hourly(10), last=3) == {9: ("newest", "last"), 8: ("last",), 7: ("last",)}


def test_each_day_keeps_its_newest():
    assert sorted(kept(hourly(72), daily=2)) == [47, 71]


def test_days_without_snapshots_do_not_count():
    far = [snapshot(9, time_ns=START + 900 * HOUR), *hourly(3)]
    assert sorted(kept(far, daily=2)) == [2, 9]


def test_a_rule_not_used_up_keeps_the_oldest_too():
    found = kept(hourly(30), daily=5)
    assert found[0] == ("oldest daily",)
    assert sorted(found) == [0, 23, 29]


def test_rules_add_up_and_list_their_reasons():
    found = kept(hourly(400), last=1, hourly=2, daily=1, weekly=1, monthly=1, yearly=1)
    assert found == {
        399: ("newest", "last", "hourly", "daily", "weekly", "monthly", "yearly"),
        398: ("hourly",),
    }


def test_weeks_are_iso_weeks():
    assert sorted(kept(hourly(24 * 15), weekly=2)) == [24 * 14 - 1, 24 * 15 - 1]


def test_without_limit():
    assert len(kept(hourly(24 * 5), daily=-1)) == 6


def test_hours_begin_where_the_zone_says():
    india = timezone(timedelta(hours=5, minutes=30))
    half_hours = [snapshot(i, time_ns=START + i * HOUR // 2) for i in range(5, -1, -1)]
    assert sorted(kept(half_hours, hourly=2)) == [3, 5]
    assert sorted(kept(half_hours, zone=india, hourly=2)) == [4, 5]


def test_tags_set_later_count():
    snapshots = hourly(4)
    found = kept(snapshots, tags=("keep",), tags_of=lambda one: ("keep",) if one.sequence == 1 else ())
    assert found == {3: ("newest",), 1: ("tag keep",)}


def test_within_is_measured_from_the_newest():
    assert sorted(kept(hourly(10), within_ns=2 * HOUR)) == [7, 8, 9]


def test_pinned_snapshots_stay():
    snapshots = hourly(5)
    assert kept(snapshots, last=1, pinned={snapshots[3].id})[1] == ("pinned",)


def test_a_clock_set_back_does_not_fill_an_hour_twice():
    times = [5, 4, 5, 4, 5, 4]
    snapshots = [snapshot(9 - i, time_ns=START + hour * HOUR) for i, hour in enumerate(times)]
    assert sorted(kept(snapshots, hourly=3)) == [4, 8, 9]


@pytest.mark.parametrize("rules", [{}, {"last": -2}, {"daily": 1, "hourly": -9}])
def test_calls_that_make_no_sense_are_refused(rules):
    with pytest.raises(UsageError):
        kept(hourly(3), **rules)


def test_an_empty_history_needs_no_plan():
    assert kept([], last=1) == {}


numbers = st.integers(min_value=-1, max_value=5)
# Beyond what a commit records: a damaged or hostile store may hold any number.
times = st.lists(st.integers(min_value=-(1 << 70), max_value=1 << 70), min_size=1, max_size=30)


def snapshots_at(times_ns):
    """Newest first; their ids are made up, since times beyond 64 bits have no canonical form."""
    ids = [SnapshotId(ObjectId(number.to_bytes(32, "big"))) for number in range(len(times_ns), 0, -1)]
    return [snapshot(len(ids) - i, id=ids[i], time_ns=t) for i, t in enumerate(times_ns)]


@given(times, numbers, numbers, numbers)
def test_the_newest_always_stays_and_nothing_is_lost(times_ns, last, daily, yearly):
    snapshots = snapshots_at(times_ns)
    if not (last or daily or yearly):
        return
    found = plan(snapshots, KeepRules(last=last, daily=daily, yearly=yearly), zone=UTC)
    assert found.kept[0].snapshot is snapshots[0]
    assert all(one.reasons for one in found.kept)
    both = [one.snapshot for one in found.kept] + list(found.removed)
    assert sorted(s.sequence for s in both) == sorted(s.sequence for s in snapshots)


@given(times, st.integers(min_value=1, max_value=5))
def test_more_to_keep_never_keeps_less(times_ns, number):
    snapshots = snapshots_at(times_ns)
    few = kept(snapshots, daily=number)
    many = kept(snapshots, daily=number + 1)
    assert set(few) <= set(many)
