"""A file that was stored in chunks and shrinks to less than one: stored in one piece, it stays readable.

A list whose only chunk is the blob itself makes two copies of it, of two forms. Stores have such lists.
What needs the bytes, a delta or another list, must not be led to a list.
"""

from __future__ import annotations

import pytest
from support.snapshots import noise

from casreplay import CommitOptions, Repository
from casreplay.codec import hashing
from casreplay.codec.records import RecordType, encode_chunk_list
from casreplay.history.gc import GcRules, collect
from casreplay.history.purge import blobs_at, plan_purge, purge
from casreplay.history.verify import fsck
from casreplay.store import disk
from casreplay.store.catalog import Catalog
from casreplay.store.encoding import list_record
from casreplay.store.writer import SegmentWriter

EAGER = GcRules(max_dead_share=0.0, grace_ns=0)
SMALL = noise(33_000, 1)
VERSIONS = (noise(400_000, 0), SMALL, SMALL + b"edited", SMALL + b"edited again")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "work").mkdir()
    Repository.init(tmp_path / "work", tmp_path / "store").close()
    return tmp_path / "work", lambda: Repository.open(tmp_path / "store", tmp_path / "work")


def record(place):
    """One snapshot for each version; the first has a file beside it that goes."""
    work, opened = place
    snapshots = []
    for number, content in enumerate(VERSIONS):
        (work / "file").write_bytes(content)
        with opened() as repository:
            snapshots.append(repository.commit(CommitOptions(label=str(number))).snapshot)
    return snapshots


def read(repository, snapshots):
    blobs = [repository.entry(one, b"file").blob_id for one in snapshots]
    assert [b"".join(repository.store.stream(blob)) for blob in blobs] == [*map(repository.store.get, blobs)]
    return tuple(map(repository.store.get, blobs))


def test_it_is_stored_once_and_in_one_piece(place):
    snapshots = record(place)
    with place[1]() as repository:
        repository.store.rebuild_index()
        (found,) = repository.store.catalog.find_all(hashing.blob_id(SMALL))
        assert found.type != RecordType.CHUNKED
        assert read(repository, snapshots) == VERSIONS


class Earlier(SegmentWriter):
    """Writes the list of the blob itself beside the blob, as earlier versions did."""

    def put_blob(self, wanted, raw, base=None):
        stored = super().put_blob(wanted, raw, base)
        if stored and wanted == hashing.blob_id(SMALL):
            self._append(*list_record(wanted, encode_chunk_list([wanted], [len(raw)]), len(raw)))
        return stored


@pytest.fixture
def earlier(place, monkeypatch):
    """A store with both forms, in which the list is always the copy that is found first."""
    work, _ = place
    (work / "secret").write_bytes(noise(50_000, 9))
    with monkeypatch.context() as patched:
        patched.setattr(disk, "SegmentWriter", Earlier)
        snapshots = record(place)
    find = Catalog.find

    def list_first(self, object_id):
        lists = [one for one in self.find_all(object_id) if one.type == RecordType.CHUNKED]
        return lists[0] if lists else find(self, object_id)

    monkeypatch.setattr(Catalog, "find", list_first)
    return snapshots


def test_both_forms_are_read(place, earlier):
    with place[1]() as repository:
        forms = {one.type for one in repository.store.catalog.find_all(hashing.blob_id(SMALL))}
        assert len(forms) == 2
        assert read(repository, earlier) == VERSIONS
        assert fsck(repository.store, data=True).is_clean


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_gc_keeps_the_form_that_is_needed(place, earlier, kept):
    with place[1]() as repository:
        repository.store.log.remove([one.id for one in earlier[:kept]], "test")
        assert collect(repository.store, [], clock=lambda: 0, rules=EAGER).removed_bytes
        assert read(repository, earlier[kept:]) == VERSIONS[kept:]
        assert fsck(repository.store, data=True).is_clean


def test_a_purge_of_something_else_keeps_the_form_that_is_needed(place, earlier):
    with place[1]() as repository:
        doomed = plan_purge(repository.store, earlier, blobs_at(repository.store, earlier, b"secret"))
        purge(repository.store, doomed, [], clock=lambda: 0)
        assert read(repository, earlier) == VERSIONS
        assert fsck(repository.store, data=True).is_clean
