"""A store that stays open for days beside other processes: what it remembers must not outlive its truth."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from support.store_story import read_all, record

from casreplay.codec import hashing
from casreplay.errors import StoreIOError
from casreplay.history.gc import GcRules, collect
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
