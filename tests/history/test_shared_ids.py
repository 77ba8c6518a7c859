"""The shared table of ids: one claimant an id in one process, and never a lost id among several."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.history.shared_ids import SharedIds
from casreplay.workspace import workers


def _id(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


@given(st.lists(st.integers(0, 50), max_size=200))
def test_the_first_claim_wins_and_later_ones_lose(numbers):
    table = SharedIds(50)
    seen = set()
    for number in numbers:
        assert table.claim(_id(number)) is (number not in seen)
        seen.add(number)


def test_ids_that_share_their_place_are_kept_apart():
    table = SharedIds(10)
    same_place = [bytes(8) + bytes([i + 1]) * 24 for i in range(100)]
    assert all(table.claim(one) for one in same_place)
    assert not any(table.claim(one) for one in same_place)


def test_a_full_table_says_store_it():
    table = SharedIds(1)
    assert all(table.claim(_id(i)) for i in range(1024))
    assert table.claim(_id(5000))
    assert table.claim(_id(5000)), "full: stored twice, never lost"


@pytest.mark.skipif(not workers.can_fork(), reason="forking is not possible in this process")
def test_between_processes_every_id_is_claimed_at_least_once():
    table = SharedIds(4000)
    ids = [_id(i) for i in range(2000)]

    def claim_all() -> list[int]:
        return [i for i, one in enumerate(ids) if table.claim(one)]

    claimed = workers.run([claim_all] * 4)
    every = [i for part in claimed for i in part]
    assert set(every) == set(range(2000))
    assert len(every) < 2200, "a race may store an id twice, now and then"


def test_progress_of_all_workers_adds_up():
    table = SharedIds(1)

    def report(worker: int) -> int:
        table.report(worker, 100 + worker)
        return os.getpid()

    workers.run([lambda w=w: report(w) for w in range(3)])
    assert table.total_done() == 303
