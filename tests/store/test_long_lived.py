"""A store that stays open for days beside other processes: what it remembers must not outlive its truth."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from support.snapshots import noise
from support.store_story import read_all, record

from casreplay.codec import hashing
from casreplay.errors import CorruptError, StoreIOError
from casreplay.history.gc import GcRules, collect
from casreplay.history.purge import plan_purge, purge
from casreplay.history.verify import fsck
from casreplay.model.monitor import SilentMonitor
from casreplay.store import segments
from casreplay.store.disk import DiskStore
from casreplay.store.entries import pack
from casreplay.store.files import OsFiles
from casreplay.store.index import Index
from casreplay.store.overlay import Fresh

EAGER = GcRules(max_dead_share=0.0, grace_ns=0)
BACK = {b"comes back": b"the same content" * 40}
OTHER = {b"other": b"something else" * 40}


@pytest.fixture
def folder(tmp_path):
    DiskStore.create(str(tmp_path / "store"), wait_s=0).close()
    return str(tmp_path / "store")


def opened(folder):
    return DiskStore.open(folder, wait_s=0)


def full(*_args, **_kwargs):
    raise StoreIOError("No space left on device", errno=errno.ENOSPC)


def exported_by_a_worker(store):
    """Pairs and export of a worker's writer that stored ``BACK``."""
    with store.writer() as helper:
        for raw in BACK.values():
            helper.put_blob(hashing.blob_id(raw), raw)
        return helper.sync(), helper.export_entries()


def collected_by_another(folder):
    """Another process forgets all snapshots but the newest, and collects."""
    other = opened(folder)
    other.log.remove([one.id for one in list(other.log.newest_first())[1:]], "prune")
    collect(other, [], clock=lambda: 0, rules=EAGER)
    other.close()


def checked(folder, snapshot):
    """The snapshot as a new process reads it, from an index made anew."""
    fresh = opened(folder)
    fresh.rebuild_index()
    try:
        return read_all(fresh, snapshot)
    finally:
        fresh.close()


def test_what_workers_stored_is_forgotten_with_the_index_that_could_not_be_written(folder, monkeypatch):
    """Adopted, recorded, never indexed here, and collected by another process: it is not there any more."""
    store = opened(folder)
    with monkeypatch.context() as patched:
        patched.setattr(store.catalog.index, "publish", full)
        patched.setattr(store.catalog.index, "rebuild", full)
        record(store, BACK, worker=True)
    other = opened(folder)
    record(other, OTHER)
    other.close()
    collected_by_another(folder)
    again = record(store, BACK)
    assert checked(folder, again) == BACK
    store.close()


def test_a_discarded_export_is_forgotten_while_somebody_looks_at_its_segment(folder):
    store = opened(folder)
    pairs, exported = exported_by_a_worker(store)
    store.adopt(exported)
    looking = store.files.try_lock(store.segments.path(pairs[0][0]), exclusive=True)
    store.discard(exported)
    looking.release()
    assert not any(store.has(hashing.blob_id(raw)) for raw in BACK.values())
    assert checked(folder, record(store, BACK)) == BACK
    store.close()


def test_what_was_adopted_does_not_outlive_the_last_writer(folder):
    """A commit that was interrupted after its workers answered had no time to give anything back."""
    store = opened(folder)

    def interrupted():
        with store.writer():
            store.adopt(exported_by_a_worker(store)[1])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert checked(folder, record(store, BACK)) == BACK
    store.close()


def test_a_writer_that_could_not_begin_keeps_no_lock(folder, monkeypatch):
    store = opened(folder)
    with monkeypatch.context() as patched:
        patched.setattr(store.catalog, "refresh", full)
        with pytest.raises(StoreIOError):
            store.writer()
    with opened(folder).deleting():
        pass
    store.close()


def test_an_index_that_is_lost_under_a_running_process_is_made_up_for(folder):
    store = opened(folder)
    made = record(store, BACK)
    shutil.rmtree(os.path.join(folder, "index"))
    store.refresh()
    assert read_all(store, made) == BACK
    assert store.catalog.lengths()
    store.close()


@pytest.mark.parametrize("is_open", [False, True])
def test_what_an_older_log_does_not_name_does_not_count(folder, is_open):
    """The index was written and the log was not: a power failure without ``full``, or a copy put back."""
    store = opened(folder)
    record(store, OTHER)
    log = Path(folder, "log").read_bytes()
    record(store, BACK)
    Path(folder, "log").write_bytes(log)
    if not is_open:
        store.close()
        store = opened(folder)
    store.refresh()
    assert not any(store.has(hashing.blob_id(raw)) for raw in BACK.values())
    again = record(store, BACK)
    assert checked(folder, again) == BACK
    store.close()


def test_a_merge_between_looking_at_the_tail_and_reading_it(folder, monkeypatch):
    store = opened(folder)
    record(store, OTHER)
    reader = opened(folder)
    made = record(store, BACK)
    read = reader.files.read

    def merging_first(path):
        if path.endswith(".tail"):
            monkeypatch.undo()
            store.rebuild_index()
        return read(path)

    monkeypatch.setattr(reader.files, "read", merging_first)
    assert read_all(reader, made) == BACK
    reader.close()
    store.close()


def test_the_number_of_a_dropped_segment_never_comes_again(folder):
    """It came and went while the index could not be written, and no file of it is left."""
    index = Index(OsFiles(), folder)
    assert index.load()
    index.drop({7}, log_end=index.log_end)
    assert index.next_segment == 8


def test_every_copy_counts_that_the_index_does_not_hold_yet():
    """The least deep of all copies must be among them: a gc keeps that one."""
    one, two, three = (pack(b"a" * 32, segment, 16, 80, 0, 1, 1) for segment in (1, 2, 3))
    other = pack(b"b" * 32, 1, 96, 80, 0, 1, 1)
    fresh = Fresh(packed=[one + other + two, three])
    assert {entry.segment for entry in fresh.find_all(b"a" * 32)} == {1, 2, 3}
    assert fresh.find_all(b"a" * 32)[0] == fresh.find(b"a" * 32)
    assert [entry.offset for entry in fresh.find_all(b"b" * 32)] == [96]
    assert fresh.find_all(b"c" * 32) == []


@pytest.fixture
def moved_base(folder, monkeypatch):
    """A store with a reader in it, opened before a gc that moves what the newest snapshot builds on.

    Gives the reader, the newest snapshot's contents by name, and the gc as a call. Every commit has
    a segment of its own: what the newest one wrote stays where it is.
    """
    monkeypatch.setattr(segments, "SEAL_BYTES", 1 << 20)
    store = opened(folder)
    old = {b"small": noise(9_000, 1), b"big": noise(700_000, 2), b"gone": noise(30_000, 3)}
    record(store, old)
    new = {b"small": old[b"small"] + b"more", b"big": b"other" + old[b"big"]}
    record(store, new)
    numbers = store.segments.numbers()
    store.close()
    reader = opened(folder)

    def collected():
        collected_by_another(folder)
        left = reader.segments.numbers()
        assert numbers[0] not in left
        assert numbers[1] in left

    yield reader, {name: hashing.blob_id(raw) for name, raw in new.items()}, new, collected
    reader.close()


def test_a_base_and_chunks_that_moved_under_a_reader_are_found(moved_base):
    reader, ids, contents, collected = moved_base
    collected()
    for name, blob in ids.items():
        assert reader.get(blob) == contents[name]


def test_facts_are_told_of_what_moved_under_a_reader(moved_base):
    reader, ids, contents, collected = moved_base
    collected()
    assert sum(length for _, length in reader.chunk_list(ids[b"big"])) == len(contents[b"big"])
    assert reader.info(ids[b"small"]).raw_bytes == len(contents[b"small"])


def test_a_gc_in_the_middle_of_a_stream(moved_base):
    reader, ids, contents, collected = moved_base
    pieces = reader.stream(ids[b"big"])
    first = next(pieces)
    collected()
    reader.segments.close()  # as when many others were read meanwhile
    assert first + b"".join(pieces) == contents[b"big"]


@pytest.mark.parametrize("data", [False, True])
def test_a_check_beside_a_gc_finds_nothing_wrong(moved_base, data):
    reader, _, _, collected = moved_base

    class Meanwhile(SilentMonitor):
        done = False

        def stage(self, name, *_args):
            if name == "reading headers" and not self.done:
                self.done = True
                collected()

    disturbed = fsck(reader, data=data, monitor=Meanwhile()).problems
    assert disturbed == fsck(reader, data=data).problems
    assert {problem.code for problem in disturbed} == {"size"}  # the story's trees state none


@pytest.mark.parametrize("is_purge", [False, True])
def test_nothing_goes_while_index_and_log_differ(folder, is_purge):
    """Whatever makes a process believe in a shorter segment, it must not take the rest for nothing."""
    store = opened(folder)
    record(store, OTHER)
    made = record(store, BACK)
    (number,) = store.catalog.lengths()
    doomed = plan_purge(store, [made], [hashing.blob_id(OTHER[b"other"])])
    middle = store.catalog.find(hashing.blob_id(BACK[b"comes back"])).offset
    store.catalog.index.publish(b"", {number: middle}, log_end=store.log.end(), next_segment=number + 1)

    def removing():
        if is_purge:
            return purge(store, doomed, [], clock=lambda: 0)
        return collect(store, [], clock=lambda: 0, rules=EAGER)

    with pytest.raises(CorruptError):
        removing()
    assert store.segments.numbers() == [number]
    store.close()
    assert checked(folder, made) == BACK
