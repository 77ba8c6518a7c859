"""Bases: deltas decode against what was kept, and what is remembered stays within its bounds."""

from __future__ import annotations

import pytest
from support.snapshots import noise

from casreplay.codec import frame, hashing
from casreplay.codec.records import Encoding, SingleRecord
from casreplay.errors import MissingObjectError
from casreplay.store.bases import Bases

OLD = noise(1500, 1) * 2
NEW = OLD[:1000] + b"changed" + OLD[1000:]
BASE = hashing.tree_id(OLD)


def record(raw: bytes, encoding: Encoding, base: bytes = b"") -> SingleRecord:
    body = raw
    if encoding is not Encoding.PLAIN:
        body = frame.compress(raw, prefix=OLD if base else None)
    return SingleRecord(hashing.tree_id(raw), encoding, len(raw), base, body)


class Asked:
    """Gives the base and notes how often."""

    def __init__(self):
        self.times = 0

    def __call__(self, object_id):
        self.times += 1
        if object_id != BASE:
            raise MissingObjectError("Not here")
        return OLD


@pytest.mark.parametrize("encoding", [Encoding.PLAIN, Encoding.ZSTD])
def test_what_needs_no_base_asks_for_none(encoding):
    asked = Asked()
    assert Bases(asked, 1 << 20).decoded(record(NEW, encoding)) == NEW
    assert asked.times == 0


def test_a_base_is_fetched_once_and_remembered():
    asked = Asked()
    bases = Bases(asked, 1 << 20)
    assert [bases.decoded(record(NEW, Encoding.DELTA, BASE)) for _ in range(3)] == [NEW] * 3
    assert asked.times == 1


def test_a_base_that_was_kept_is_not_fetched():
    asked = Asked()
    bases = Bases(asked, 1 << 20)
    bases.keep(BASE, OLD)
    assert bases.decoded(record(NEW, Encoding.DELTA, BASE)) == NEW
    assert asked.times == 0


def test_beyond_the_limit_what_was_not_asked_for_of_late_is_forgotten():
    asked = Asked()
    bases = Bases(asked, 10_000)
    bases.keep(BASE, OLD)
    for seed in range(9):
        bases.keep(bytes([seed]) * 32, noise(3000, seed))
    assert bases.decoded(record(NEW, Encoding.DELTA, BASE)) == NEW
    assert asked.times == 1


def test_a_missing_base_and_a_damaged_body_give_nothing():
    bases = Bases(Asked(), 1 << 20)
    assert bases.decoded(record(NEW, Encoding.DELTA, b"x" * 32)) is None
    whole = record(NEW, Encoding.ZSTD)
    assert bases.decoded(whole._replace(body=whole.body[:-9])) is None
