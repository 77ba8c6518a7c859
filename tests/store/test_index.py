"""Index and runs: every entry is found, files stay few, damage and torn batches are noticed."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.errors import CorruptError
from casreplay.store import index as index_module
from casreplay.store.entries import ENTRY_BYTES, Entry, iterate, pack, unpack
from casreplay.store.files import OsFiles
from casreplay.store.index import Index
from casreplay.store.runs import Run, encode_run, merged


def entries(count: int, seed: int = 0, segment: int = 1) -> bytes:
    rng = random.Random(seed)
    return b"".join(pack(rng.randbytes(32), segment, i * 10, 10, i % 3, 1, 1) for i in range(count))


@pytest.fixture
def index(tmp_path):
    (tmp_path / "index").mkdir()
    made = Index(OsFiles(), str(tmp_path))
    made.rebuild(b"", {}, log_end=32, next_segment=1, dropped=set())
    return made


def reopened(tmp_path):
    again = Index(OsFiles(), str(tmp_path))
    assert again.load()
    return again


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
)
def test_entries_come_back(object_id, number, offset, position):
    entry = Entry(object_id, number, offset, 7, position, 2, 3)
    assert unpack(b"x" + pack(*entry), 1) == entry
    assert list(iterate(pack(*entry) * 2)) == [entry, entry]


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 300, 5000])
def test_a_run_holds_every_entry(tmp_path, count):
    packed = entries(count)
    (tmp_path / "run").write_bytes(merged([], packed, set()))
    run = Run(OsFiles(), str(tmp_path / "run"))
    assert run.count == count
    for entry in iterate(packed):
        assert run.find(entry.id) == entry
        assert run.find_all(entry.id) == [entry]
    rng = random.Random(99)
    assert not any(run.find(rng.randbytes(32)) for _ in range(200))
    parts = b"".join(run.part(leading, 256) for leading in range(256))
    assert sorted(iterate(parts)) == sorted(iterate(packed))


def test_clustered_ids_are_found(tmp_path):
    """Ids that share their first bytes overflow one bucket; the search must still be exact."""
    packed = b"".join(pack(bytes(28) + i.to_bytes(4, "big"), 1, i, 10, 0, 1, 1) for i in range(1000))
    (tmp_path / "run").write_bytes(merged([], packed, set()))
    run = Run(OsFiles(), str(tmp_path / "run"))
    assert all(run.find(entry.id) == entry for entry in iterate(packed))
    assert run.find(bytes(28) + (1000).to_bytes(4, "big")) is None


def test_an_id_inside_other_bytes_is_not_a_match(tmp_path):
    """Somebody may choose an id so that it appears across two entries."""
    first = pack(bytes(32), 0x01020304, 0x05060708, 9, 0, 1, 1)
    second = pack(bytes(31) + b"\1", 1, 1, 10, 0, 1, 1)
    across = (first + second)[20:52]
    (tmp_path / "run").write_bytes(merged([], first + second, set()))
    assert Run(OsFiles(), str(tmp_path / "run")).find(across) is None


def test_merging_keeps_all_and_drops_segments(tmp_path):
    paths = []
    for seed in range(3):
        paths.append(tmp_path / f"run{seed}")
        paths[-1].write_bytes(merged([], entries(700, seed, segment=seed + 1), set()))
    runs = [Run(OsFiles(), str(path)) for path in paths]
    (tmp_path / "all").write_bytes(merged(runs, entries(50, 9, segment=4), {2}))
    whole = Run(OsFiles(), str(tmp_path / "all"))
    assert whole.count == 700 + 700 + 50
    assert all(whole.find(entry.id) is None for entry in iterate(entries(700, 1, segment=2)))
    assert all(whole.find(entry.id) == entry for entry in iterate(entries(700, 2, segment=3)))


def test_a_run_of_wrong_length_is_refused(tmp_path):
    data = merged([], entries(100), set())
    for broken in (data[:-1], data + b"x", data[:10], b"", b"x" * len(data)):
        (tmp_path / "run").write_bytes(broken)
        with pytest.raises(CorruptError):
            Run(OsFiles(), str(tmp_path / "run"))


def test_an_empty_run_can_be_made():
    assert len(encode_run(iter([[] for _ in range(256)]), 0)) == 40


def test_small_batches_share_one_file(index, tmp_path):
    for i in range(20):
        index.publish(entries(3, seed=i), {1: 100 + i}, log_end=100 + i, next_segment=2)
    assert len(os.listdir(tmp_path / "index")) == 2
    again = reopened(tmp_path)
    assert (len(again), again.log_end, dict(again.covered), again.next_segment) == (60, 119, {1: 119}, 2)
    assert all(again.find(entry.id) == entry for i in range(20) for entry in iterate(entries(3, seed=i)))


def test_files_stay_few_however_many_batches(index, tmp_path, monkeypatch):
    monkeypatch.setattr(index_module, "TAIL_LIMIT", 50)
    for i in range(200):
        index.publish(entries(20, seed=i), {1: i + 16}, log_end=100 + i, next_segment=2)
    assert len([name for name in os.listdir(tmp_path / "index") if name.endswith(".run")]) <= 6
    again = reopened(tmp_path)
    assert len(again) == 4000
    assert all(again.find(entry.id) == entry for i in range(200) for entry in iterate(entries(20, seed=i)))


def test_another_process_is_followed(index, tmp_path, monkeypatch):
    monkeypatch.setattr(index_module, "TAIL_LIMIT", 10)
    reader = reopened(tmp_path)
    assert not reader.refresh()
    for i in range(10):
        index.publish(entries(3, seed=i), {1: 100 + i}, log_end=100 + i, next_segment=2)
        assert reader.refresh()
        assert all(reader.find(entry.id) == entry for entry in iterate(entries(3, seed=i)))
        assert reader.log_end == index.log_end


def test_a_torn_batch_is_not_believed_and_then_replaced(index, tmp_path):
    index.publish(entries(3, seed=1), {1: 100}, log_end=100, next_segment=2)
    index.publish(entries(3, seed=2), {1: 200}, log_end=200, next_segment=2)
    (tail,) = (tmp_path / "index").glob("*.tail")
    os.truncate(tail, tail.stat().st_size - 5)
    again = reopened(tmp_path)
    assert (again.log_end, len(again)) == (100, 3)
    again.publish(entries(3, seed=3), {1: 300}, log_end=300, next_segment=2)
    third = reopened(tmp_path)
    assert (third.log_end, len(third)) == (300, 6)


def test_doubles_are_all_found(index):
    one = bytes(32)
    index.rebuild(pack(one, 1, 10, 5, 0, 1, 1), {}, log_end=32, next_segment=3, dropped=set())
    index.publish(pack(one, 2, 10, 5, 0, 1, 1), {}, log_end=40, next_segment=3)
    assert {entry.segment for entry in index.find_all(one)} == {1, 2}


def test_dropping_a_segment_forgets_its_entries(index, tmp_path):
    index.publish(entries(5, seed=1, segment=1), {1: 100}, log_end=100, next_segment=2)
    index.publish(entries(5, seed=2, segment=2), {2: 100}, log_end=200, next_segment=3)
    index.drop({1}, log_end=300)
    again = reopened(tmp_path)
    assert (len(again), dict(again.covered), again.log_end, again.next_segment) == (5, {2: 100}, 300, 3)


def test_a_manifest_that_was_changed_is_not_believed(index, tmp_path):
    index.publish(entries(5), {1: 100}, log_end=100, next_segment=2)
    path = tmp_path / "index" / "manifest"
    path.write_bytes(path.read_bytes().replace(b'"log_end":32', b'"log_end":99'))
    again = Index(OsFiles(), str(tmp_path))
    assert not again.load()
    assert (len(again), again.log_end) == (0, 0)


CHANGES = {
    "batch": lambda index: index.publish(entries(3, seed=7), {1: 300}, log_end=300, next_segment=3),
    "fold": lambda index: index.publish(entries(5000, seed=8), {1: 300}, log_end=300, next_segment=3),
    "drop": lambda index: index.drop({1}, log_end=300),
    "rebuild": lambda index: index.rebuild(
        entries(9, seed=9), {3: 50}, log_end=300, next_segment=4, dropped={1}
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_fails_leaves_the_index_as_it_was(tmp_path, change):
    """Here as well as on disk: what is believed to be known but is not would be lost for ever."""
    from support.faulty_files import FaultyFiles

    from casreplay.errors import StoreIOError

    for n in range(1, 60):
        folder = tmp_path / f"store-{n}"
        (folder / "index").mkdir(parents=True)
        files = FaultyFiles()
        index = Index(files, str(folder))
        index.rebuild(entries(40, seed=1), {1: 100}, log_end=100, next_segment=2, dropped=set())
        index.publish(entries(4, seed=2, segment=2), {2: 100}, log_end=200, next_segment=3)
        before = (len(index), dict(index.covered), index.log_end, index.next_segment)
        files.count, files.fail_at = 0, n
        try:
            CHANGES[change](index)
        except StoreIOError:
            assert (len(index), dict(index.covered), index.log_end, index.next_segment) == before
            assert all(index.find(entry.id) == entry for entry in iterate(entries(40, seed=1)))
            files.fail_at = None
            CHANGES[change](index)
        after = (len(index), dict(index.covered), index.log_end, index.next_segment)
        again = reopened(folder)
        assert (len(again), dict(again.covered), again.log_end, again.next_segment) == after
        assert after[2] == 300
        if not files.failed:
            break
    assert n > 2


def test_no_index_is_no_error(tmp_path):
    assert not Index(OsFiles(), str(tmp_path)).load()


@pytest.mark.slow
def test_a_million_objects_open_at_once(index, tmp_path):
    from casreplay.clock import monotonic_ns

    for i in range(5):
        index.publish(entries(200_000, seed=i), {1: 100 + i}, log_end=100 + i, next_segment=2)
    started = monotonic_ns()
    again = reopened(tmp_path)
    assert monotonic_ns() - started < 50_000_000
    assert len(again) == 1_000_000
    assert all(
        again.find(entry.id) == entry for entry in iterate(entries(1000, seed=4)[: ENTRY_BYTES * 1000])
    )
