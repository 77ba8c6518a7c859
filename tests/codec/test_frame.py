"""Frames: bounded, verified, and decoded only as far as asked."""

from __future__ import annotations

import contextlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from support.snapshots import noise

from casreplay.codec import frame
from casreplay.errors import CorruptError

TEXT = b"".join(b"line %d of a text that compresses\n" % i for i in range(20_000))


@given(st.binary(max_size=3000), st.sampled_from([3, 9, frame.QUICK]))
def test_a_frame_comes_back_or_is_not_worth_it(raw, level):
    packed = frame.compress(raw, level=level)
    if packed is not None:
        assert len(packed) < len(raw)
        assert frame.decompress(packed, len(raw)) == raw


@given(st.integers(0, 9), st.binary(max_size=50))
def test_a_delta_needs_its_prefix(seed, more):
    raw = noise(2000, seed)
    packed = frame.compress(raw + more, prefix=raw)
    assert packed is not None
    assert len(packed) < 200
    assert frame.decompress(packed, len(raw + more), prefix=raw) == raw + more
    try:
        other = frame.decompress(packed, len(raw + more), prefix=noise(2000, seed + 1))
    except CorruptError:
        return
    assert other != raw + more


@pytest.mark.parametrize("length", [1, 63, 4000, 65_536, 65_537, 200_000])
def test_prefixes_of_every_length_serve(length):
    prefix = noise(length, length)
    raw = TEXT[:900] + prefix + b"and more"
    packed = frame.compress(raw, prefix=prefix)
    assert packed is not None
    assert frame.decompress(packed, len(raw), prefix=prefix) == raw


@given(st.integers(0, 10_000), st.integers(1, 255), st.integers(0, 40))
def test_a_damaged_delta_is_refused_or_wrong_and_harms_no_later_one(at, flip, cut):
    prefix = noise(2000, 1)
    raw = prefix[:1500] + TEXT[:300] + prefix[1500:]
    packed = frame.compress(raw, prefix=prefix)
    broken = bytearray(packed[: len(packed) - cut])
    broken[at % len(broken)] ^= flip
    with contextlib.suppress(CorruptError):
        assert len(frame.decompress(bytes(broken), len(raw), prefix=prefix)) == len(raw)
    assert frame.decompress(packed, len(raw), prefix=prefix) == raw
    alone = frame.compress(TEXT)
    assert frame.decompress(alone, len(TEXT)) == TEXT


@pytest.mark.parametrize("count", [0, 1, 1000, 131_072, 400_000, len(TEXT)])
def test_the_start_of_a_frame(count):
    packed = frame.compress(TEXT)
    assert frame.decompress_start(packed, len(TEXT), count) == TEXT[:count]


def test_the_start_of_a_damaged_frame_is_refused():
    packed = frame.compress(TEXT)
    for broken, raw, count in (
        (packed[: len(packed) // 3], len(TEXT), len(TEXT)),
        (packed, len(TEXT) - 1, 10),
        (packed, len(TEXT), len(TEXT) + 1),
        (b"no frame at all", 100, 10),
        (packed, 1 << 40, 10),
    ):
        with pytest.raises(CorruptError):
            frame.decompress_start(broken, raw, count)


def test_a_frame_of_another_length_is_refused():
    packed = frame.compress(TEXT)
    for raw in (0, 10, len(TEXT) - 1, len(TEXT) + 1, 1 << 40):
        with pytest.raises(CorruptError):
            frame.decompress(packed, raw)
    stateless = zstandard.ZstdCompressor(write_content_size=False).compress(TEXT)
    with pytest.raises(CorruptError):
        frame.decompress(stateless, len(TEXT))


def test_too_much_at_once_is_refused():
    with pytest.raises(ValueError, match="over the limit"):
        frame.compress(bytes(frame.MAX_RAW_BYTES + 1))


def test_a_compressor_that_lies_is_caught(monkeypatch):
    class Lying:
        def compress(self, raw):
            return zstandard.ZstdCompressor().compress(bytes(raw)[:-1] + b"!")

    monkeypatch.setattr(frame, "_compressor", lambda _: Lying())
    with pytest.raises(CorruptError, match="did not decode"):
        frame.compress(TEXT)


def test_the_quick_frame_is_a_plain_frame_of_text_with_its_length_and_no_checksum():
    packed = frame.compress(TEXT, level=frame.QUICK)
    assert packed is not None
    assert len(packed) < len(TEXT) // 3
    facts = zstandard.get_frame_parameters(packed)
    assert (facts.content_size, facts.dict_id, facts.has_checksum) == (len(TEXT), 0, False)
    assert frame.decompress(packed, len(TEXT)) == TEXT
