"""Log records: both ways, forwards and from the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.codec import log_records as codec
from casreplay.codec.log_records import LogRecordType, NewRecord
from casreplay.errors import CorruptError

START = codec.chain_start(codec.encode_header(bytes(16)))
NEW = st.builds(
    NewRecord,
    type=st.sampled_from(list(LogRecordType)),
    payload=st.binary(max_size=400),
    sequence=st.integers(0, 2**32 - 1),
    sweeps=st.integers(0, 2**32 - 1),
    time_ns=st.integers(-(2**63), 2**63 - 1),
    id=st.binary(min_size=32, max_size=32),
    segments=st.lists(st.tuples(st.integers(1, 2**32 - 1), st.integers(0, 2**32 - 1)), max_size=5).map(tuple),
)


@given(NEW)
def test_a_record_comes_back_as_it_was(new):
    data = codec.encode_record(new, START)
    record = codec.decode_record(data, 0, START)
    assert codec.payload_of(record) == new.payload
    for name in ("type", "sequence", "sweeps", "time_ns", "id", "segments"):
        assert getattr(record, name) == getattr(new, name)
    assert record.total_bytes == len(data) == codec.record_end(data, 0)


@given(NEW, st.data())
def test_every_flip_breaks_the_chain_or_the_frame(new, data):
    whole = bytearray(codec.encode_record(new, START))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptError):
        codec.decode_record(bytes(whole), 0, START)


@given(NEW, NEW)
def test_a_record_fits_only_behind_the_one_before_it(first, second):
    one = codec.encode_record(first, START)
    chain = codec.decode_record(one, 0, START).chain
    two = codec.encode_record(second, chain)
    assert codec.decode_record(one + two, len(one), chain).payload is not None
    with pytest.raises(CorruptError):
        codec.decode_record(two, 0, START)


@given(st.binary(max_size=300))
def test_noise_is_no_record(noise):
    assert codec.record_end(noise, 0) == -1
    assert codec.find_record(noise, 0) == -1
    with pytest.raises(CorruptError):
        codec.decode_record(noise, 0, None)


@given(st.lists(NEW, min_size=1, max_size=4), st.binary(max_size=50))
def test_the_next_record_is_found_behind_damage(all_new, damage):
    whole = b"".join(codec.encode_record(new, START) for new in all_new)
    assert codec.find_record(damage + b"crL1" + whole, 0) == len(damage) + 4


def test_a_record_that_cannot_be_framed_is_refused():
    with pytest.raises(ValueError, match="cannot hold"):
        codec.encode_record(NewRecord(LogRecordType.SWEEP, bytes(17 << 20), 0, 0), START)


def test_a_header_of_something_else_is_refused():
    assert codec.store_id_of(codec.encode_header(b"0123456789abcdef")) == b"0123456789abcdef"
    with pytest.raises(CorruptError):
        codec.store_id_of(b"casreplay log 2\n" + bytes(16))
    with pytest.raises(CorruptError):
        codec.store_id_of(b"casreplay log 1\n")
