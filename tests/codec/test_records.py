"""Records: what goes in comes out, and nothing else is accepted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.codec import records
from casreplay.codec.records import Encoding, RecordHeader, RecordType
from casreplay.errors import CorruptError

IDS = st.binary(min_size=32, max_size=32)


@st.composite
def whole_records(draw):
    kind = draw(st.sampled_from(list(RecordType)))
    encoding = draw(st.sampled_from(list(Encoding)))
    if kind is RecordType.GROUP and encoding is Encoding.DELTA:
        encoding = Encoding.ZSTD
    body = draw(st.binary(max_size=200))
    raw = len(body) if encoding is Encoding.PLAIN else draw(st.integers(0, 1 << 20))
    if kind is RecordType.CHUNKED:
        raw -= raw % 36
        body = body[:raw] if encoding is Encoding.PLAIN else body
    count = draw(st.integers(1, 5)) if kind is RecordType.GROUP else 1
    ids = draw(st.lists(IDS, min_size=count, max_size=count))
    lengths: tuple[int, ...] = (raw,)
    if kind is RecordType.GROUP:
        lengths = (raw, *(0 for _ in range(count - 1)))
    elif kind is RecordType.CHUNKED:
        lengths = (draw(st.integers(0, 1 << 60)),)
    is_delta = encoding is Encoding.DELTA
    header = RecordHeader(
        kind,
        draw(st.sampled_from([1, 2])),
        encoding,
        draw(st.integers(1, 32)) if is_delta else 0,
        raw,
        len(body),
        records.body_checksum(body),
        b"".join(ids),
        lengths,
        bytes(byte ^ 1 for byte in ids[0]) if is_delta else b"",
    )
    return header, body


@given(whole_records(), st.binary(max_size=40))
def test_a_record_comes_back_as_it_was(record, before):
    header, body = record
    data = before + records.encode_record(header, body)
    assert records.decode_header(data, len(before)) == header
    assert len(data) - len(before) == header.total_bytes
    assert data[len(before) + header.header_bytes :] == body


@given(whole_records(), st.data())
def test_a_flip_in_a_header_is_refused(record, data):
    header, body = record
    whole = bytearray(records.encode_record(header, body))
    at = data.draw(st.integers(0, header.header_bytes - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptError):
        records.decode_header(bytes(whole))


@given(whole_records(), st.data())
def test_a_header_cut_short_is_refused(record, data):
    header, body = record
    whole = records.encode_record(header, body)
    with pytest.raises(CorruptError):
        records.decode_header(whole[: data.draw(st.integers(0, header.header_bytes - 1))])


@given(st.lists(whole_records(), max_size=6), st.sampled_from([1, 2]), st.binary(max_size=99), st.data())
def test_a_glance_at_single_objects_agrees_with_their_whole_headers(written, wanted, noise, data):
    whole = b"".join(records.encode_record(header, body) for header, body in written)
    cut = data.draw(st.integers(0, len(whole)))
    expected, end, before_cut = [], 0, 0
    for header, body in written:
        end += header.total_bytes
        if header.type is RecordType.OBJECT and header.kind == wanted:
            expected.append((header.ids, header.encoding, header.raw_bytes, header.base, body))
            before_cut += end <= cut
    assert list(records.peek_singles(whole[:cut], wanted)) == expected[:before_cut]
    assert list(records.peek_singles(whole + b"\0" + noise, wanted)) == expected


@given(st.binary(max_size=300))
def test_noise_is_refused(noise):
    with pytest.raises(CorruptError):
        records.decode_header(noise)


@given(st.lists(whole_records(), min_size=1, max_size=4), st.binary(max_size=60))
def test_the_scanner_finds_the_next_record_behind_damage(all_records, damage):
    whole = [records.encode_record(header, body) for header, body in all_records]
    data = damage + b"crR1" + whole[0]
    assert records.find_record(data, 0) == len(damage) + 4
    assert records.find_record(damage, 0) == -1


FORGED = [
    {"raw_bytes": 1 << 30},
    {"stored_bytes": 1 << 30},
    {"depth": 3},
    {"encoding": Encoding.PLAIN, "raw_bytes": 7},
    {"encoding": Encoding.DELTA, "depth": 0, "base": bytes(32)},
    {"encoding": Encoding.DELTA, "depth": 33, "base": bytes(32)},
    {"encoding": Encoding.DELTA, "depth": 1, "base": b"i" * 32},
    {"type": RecordType.GROUP, "lengths": (5,)},
    {"type": RecordType.GROUP, "lengths": (), "ids": b"", "raw_bytes": 0},
    {"type": RecordType.CHUNKED, "raw_bytes": 35},
]


@pytest.mark.parametrize("forged", FORGED)
def test_a_header_that_contradicts_itself_is_refused(forged):
    fields = {
        "type": RecordType.OBJECT,
        "kind": 1,
        "encoding": Encoding.ZSTD,
        "depth": 0,
        "raw_bytes": 100,
        "stored_bytes": 4,
        "body_crc": records.body_checksum(b"body"),
        "ids": b"i" * 32,
        "lengths": (100,),
    }
    good = RecordHeader(**fields)
    assert records.decode_header(records.encode_record(good, b"body")) == good
    bad = records.encode_record(RecordHeader(**{**fields, **forged}), b"body")
    with pytest.raises(CorruptError):
        records.decode_header(bad)


@given(st.lists(st.tuples(IDS, st.integers(1, 1 << 20)), max_size=20))
def test_chunk_lists_come_back(chunks):
    body = records.encode_chunk_list([c for c, _ in chunks], [n for _, n in chunks])
    assert records.decode_chunk_list(body, sum(n for _, n in chunks)) == chunks


@pytest.mark.parametrize(
    ("lengths", "whole"), [([10, 20], 31), ([0, 30], 30), ([(64 << 20) + 1], (64 << 20) + 1)]
)
def test_chunk_lists_that_do_not_add_up_are_refused(lengths, whole):
    body = records.encode_chunk_list([bytes(32)] * len(lengths), lengths)
    with pytest.raises(CorruptError):
        records.decode_chunk_list(body, whole)
    with pytest.raises(CorruptError):
        records.decode_chunk_list(body[:-1], whole)
