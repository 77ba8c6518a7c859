from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.disk_trees import commit_folder, record
from support.snapshots import noise
from support.tree_builder import DictObjects, Symlink, put_tree, tree_of
from support.tree_builder import entry as make_entry

from casreplay.codec import hashing
from casreplay.errors import CorruptError
from casreplay.history import check_data
from casreplay.history.verify import fsck, repair_index
from casreplay.history.walk import walk
from casreplay.store.disk import DiskStore

BIG = noise(700_000, 9)
HISTORY = [
    {b"a": noise(3000, 1), b"d": {b"x": noise(3000, 2), b"e": {b"y": noise(3000, 3)}}, b"big": BIG},
    {b"a": noise(3000, 1), b"d": {b"x": noise(3000, 4), b"e": {b"y": noise(3000, 3)}}, b"big": BIG},
    {b"a": noise(3000, 5), b"to": Symlink(b"a"), b"big": BIG[:300_000] + b"!" + BIG[300_000:]},
]


@pytest.fixture
def store(tmp_path):
    made = DiskStore.create(str(tmp_path / "store"), wait_s=0.05)
    for content in HISTORY:
        commit_folder(made, content)
    yield made
    made.close()


def reopened(store):
    store.close()
    return DiskStore.open(store.folder, wait_s=0.05)


def damage(store, object_id, at=-3):
    """Flip a byte in the body of the record that holds an object."""
    entry = store.entry_of(object_id)
    path = store.segments.path(entry.segment)
    with open(path, "r+b") as file:
        where = entry.offset + entry.length + at
        file.seek(where)
        byte = file.read(1)
        file.seek(where)
        file.write(bytes([byte[0] ^ 0xFF]))


def intact(store):
    """Sequences of the snapshots that can be read whole."""
    whole = []
    for snapshot in store.log.newest_first():
        try:
            for _, entry in walk(store, snapshot.root):
                if entry.blob_id:
                    store.get(entry.blob_id)
        except CorruptError:
            continue
        whole.append(snapshot.sequence)
    return whole


def sequences(store, hex_ids):
    names = {one.id.hex(): one.sequence for one in store.log.newest_first()}
    return [names[one] for one in hex_ids]


@pytest.mark.parametrize("data", [False, True])
def test_a_sound_store_is_clean(store, data):
    report = fsck(store, data=data)
    assert report.is_clean
    assert (report.problems, report.notes, report.damaged) == ((), (), ())
    assert (report.snapshots, report.trees, report.blobs) == (3, 6, 8)
    assert (report.data_bytes > 700_000) == data


def test_an_empty_store_is_clean(tmp_path):
    assert fsck(DiskStore.create(str(tmp_path / "empty")), data=True).is_clean


def test_checking_changes_nothing(store):
    def state():
        return {path: path.read_bytes() for path in Path(store.folder).rglob("*") if path.is_file()}

    damage(store, hashing.blob_id(noise(3000, 1)))
    before = state()
    fsck(store, data=True)
    assert state() == before


def test_damaged_content_names_the_snapshots_and_paths_that_lose_it(store):
    damage(store, hashing.blob_id(noise(3000, 2)), at=-1)
    store = reopened(store)
    assert fsck(store).is_clean
    report = fsck(store, data=True)
    by_object = {problem.object: problem for problem in report.problems}
    found = by_object[hashing.blob_id(noise(3000, 2)).hex()]
    assert found.code == "damaged"
    assert found.path == "d/x"
    assert sequences(store, found.snapshots) == [1]
    assert sorted(sequences(store, report.damaged) + intact(store)) == [1, 2, 3]
    assert "concerns d/x in 1 snapshot" in found.message


def test_a_damaged_tree_names_the_folder(store):
    inner = next(e.tree_id for p, e in walk(store, list(store.log.newest_first())[1].root) if p == b"d/e")
    damage(store, inner)
    store = reopened(store)
    report = fsck(store)
    damaged = {one.path for one in report.problems if one.code == "damaged"}
    assert "d/e" in damaged
    assert not set(sequences(store, report.damaged)) & set(intact(store))
    assert len(report.damaged) + len(intact(store)) == 3


def test_a_missing_segment_names_everything_that_was_in_it(store):
    number = store.segments.numbers()[0]
    os.remove(store.segments.path(number))
    store = reopened(store)
    report = fsck(store)
    codes = {problem.code for problem in report.problems}
    assert "segment-short" in codes
    assert "damaged" in codes
    assert sorted(sequences(store, report.damaged)) == [1, 2, 3]


def test_a_damaged_header_is_a_stretch_without_records(store):
    entry = store.entry_of(hashing.blob_id(noise(3000, 5)))
    with open(store.segments.path(entry.segment), "r+b") as file:
        file.seek(entry.offset + 8)
        file.write(b"\xff\xff")
    store = reopened(store)
    report = fsck(store, data=True)
    assert "segment-damaged" in {problem.code for problem in report.problems}


def test_a_log_that_was_cut_is_said(store):
    path = store.folder + "/log"
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) - 10)
    store = reopened(store)
    report = fsck(store)
    assert "log-torn" in {problem.code for problem in report.problems}
    assert report.snapshots == 2
    assert report.damaged == ()


def test_a_purged_blob_is_a_note(store, monkeypatch):
    blob = hashing.blob_id(noise(3000, 1))
    monkeypatch.setattr(store.log, "purge_reasons", lambda: {blob: "leaked"})
    real = store.catalog.find
    monkeypatch.setattr(store.catalog, "find", lambda one: None if one == blob else real(one))
    report = fsck(store)
    assert [p.code for p in report.notes] == ["purged"]
    assert {p.code for p in report.problems} <= {"index"}


def test_a_missing_index_entry_is_said_and_mended(store, monkeypatch):
    blob = hashing.blob_id(noise(3000, 1))
    with monkeypatch.context() as patched:
        real = store.catalog.find
        patched.setattr(store.catalog, "find", lambda one: None if one == blob else real(one))
        codes = {problem.code for problem in fsck(store).problems}
        assert {"index", "missing"} <= codes
    for name in os.listdir(store.folder + "/index"):
        os.remove(f"{store.folder}/index/{name}")
    objects, snapshots, problems = repair_index(store)
    assert problems == ()
    assert objects >= 15
    assert snapshots == 3
    assert fsck(store, data=True).is_clean


def test_one_damaged_copy_of_two_loses_nothing(store):
    blob, raw = hashing.blob_id(noise(3000, 1)), noise(3000, 1)
    first = store.entry_of(blob)
    with store.deleting(), store.writer(rewriting=True) as writer:
        writer.put_blob(blob, raw)
        store.log.sweep((), writer.sync(), "test")
    store = reopened(store)
    second = next(entry for entry in store.catalog.find_all(blob) if entry.segment != first.segment)
    with open(store.segments.path(second.segment), "r+b") as file:
        file.seek(second.offset + second.length - 2)
        file.write(b"\0\0")
    store = reopened(store)
    report = fsck(store, data=True)
    assert [problem.code for problem in report.problems] == ["damaged-copy"]
    assert report.damaged == ()
    assert intact(store) == [3, 2, 1]


def test_the_work_may_be_divided_between_processes(store, monkeypatch):
    damage(store, hashing.blob_id(noise(3000, 5)))
    store = reopened(store)
    alone = fsck(store, data=True)
    monkeypatch.setattr(check_data, "WORTH_FORKING_BYTES", 0)
    monkeypatch.setattr(check_data.workers, "count", lambda: 3)
    assert fsck(store, data=True) == alone
    assert not alone.is_clean


@pytest.mark.parametrize("size", [1000, 300_000])
def test_content_under_a_wrong_id_is_found_with_data(store, size):
    posing = hashing.blob_id(b"what it is said to be")
    objects = DictObjects()
    entry = make_entry(b"f", noise(size, 11), objects)
    objects.kept = {}
    root, tree = put_tree(objects, tree_of([replace(entry, id=posing)]))
    objects.put(noise(size, 11), at=posing)
    snapshot = record(store, objects, root, tree)
    report = fsck(store, data=True)
    assert [problem.object for problem in report.problems] == [posing.hex()]
    assert report.damaged == (snapshot.id.hex(),)


def test_annotations_that_cannot_be_read_are_said(store):
    with open(store.folder + "/annotations", "w") as file:
        file.write("nonsense\n")
    assert [problem.code for problem in fsck(store).problems] == ["annotation"]
