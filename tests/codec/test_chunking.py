"""Chunking: nothing is lost, chunks keep their bounds, an edit disturbs its surroundings only."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.snapshots import noise

from casreplay.codec import chunking
from casreplay.codec.chunking import MAX_CHUNK, MIN_CHUNK, cut, cut_stream
from casreplay.codec.hashing import blob_id

SIZE = 3 << 20


def text(length: int) -> bytes:
    rng = random.Random(3)
    words = [bytes(rng.choices(b"etaoinshrdlucmfw", k=rng.randint(1, 9))) for _ in range(500)]
    parts, held = [], 0
    while held < length:
        parts.append(rng.choice(words) + rng.choice([b" ", b" ", b" ", b", ", b"\n"]))
        held += len(parts[-1])
    return b"".join(parts)[:length]


def log(length: int) -> bytes:
    line = b"2026-11-23T10:%02d:%02d INFO worker-%d step %d loss=%.6f\n"
    return b"".join(line % (i // 60 % 60, i % 60, i % 7, i, 1 / (i + 1)) for i in range(length // 40))[
        :length
    ]


def pages(length: int) -> bytes:
    return b"".join(i.to_bytes(4, "big") + noise(2500, seed=i) + bytes(1592) for i in range(length // 4096))


CONTENTS = {
    "noise": noise(SIZE),
    "text": text(SIZE),
    "log": log(SIZE),
    "hex": noise(SIZE // 2).hex().encode(),
    "pages": pages(SIZE),
}


@pytest.mark.parametrize("name", [*CONTENTS, "zeros"])
def test_chunks_join_to_the_whole_and_keep_their_bounds(name):
    data = CONTENTS.get(name, bytes(SIZE))
    chunks = list(cut(data))
    assert b"".join(chunk for _, chunk in chunks) == data
    assert all(chunk_id == blob_id(chunk) for chunk_id, chunk in chunks)
    assert all(MIN_CHUNK <= len(chunk) <= MAX_CHUNK for _, chunk in chunks[:-1])
    if name != "zeros":
        assert 40_000 < len(data) / len(chunks) < 150_000
    else:
        assert len({chunk_id for chunk_id, _ in chunks}) <= 2


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("with_known", [False, True])
def test_an_insertion_disturbs_only_its_neighbours(name, with_known):
    data = CONTENTS[name]
    old = list(cut(data))
    known = {chunk_id for chunk_id, _ in old}
    hint = [(chunk_id, len(chunk)) for chunk_id, chunk in old] if with_known else ()
    for share in (0, 0.3, 0.7):
        at = int(len(data) * share)
        edited = data[:at] + b"some inserted words" + data[at:]
        new = list(cut(edited, hint))
        assert b"".join(chunk for _, chunk in new) == edited
        assert sum(chunk_id not in known for chunk_id, _ in new) <= 4


def test_an_append_disturbs_only_the_last_chunk():
    data = CONTENTS["log"]
    old = list(cut(data))
    new = list(cut(data + b"one more line\n", [(chunk_id, len(chunk)) for chunk_id, chunk in old]))
    assert new[: len(old) - 1] == old[:-1]
    assert len(new) <= len(old) + 1


def test_known_chunks_cost_no_second_cut():
    data = CONTENTS["text"]
    old = list(cut(data))
    assert list(cut(data, [(chunk_id, len(chunk)) for chunk_id, chunk in old])) == old


@settings(max_examples=15)
@given(st.lists(st.integers(1, 700_000), min_size=1, max_size=8), st.integers(0, 3))
def test_the_pieces_a_stream_comes_in_do_not_matter(sizes, seed):
    data = noise(sum(sizes), seed)
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    assert list(cut_stream(pieces)) == list(cut(data))


def test_nothing_has_no_chunk():
    assert list(cut(b"")) == []
    assert list(cut_stream([])) == []
    assert list(cut_stream([b"", b""])) == []


def test_chunks_grow_beyond_the_limit(monkeypatch):
    monkeypatch.setattr(chunking, "_GROW_AT", 1 << 20)
    data = noise(12 << 20)
    chunks = [
        chunk for _, chunk in cut_stream(data[at : at + (1 << 20)] for at in range(0, len(data), 1 << 20))
    ]
    assert b"".join(chunks) == data
    assert max(map(len, chunks)) > MAX_CHUNK
    assert min(map(len, chunks[-5:-1])) >= 8 * MIN_CHUNK
