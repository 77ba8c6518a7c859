"""Files so large that their chunks are longer than files that are chunked: such a chunk stays in one piece.

That begins at 4 GiB; here it begins at the first byte.
"""

from __future__ import annotations

import pytest
from support.snapshots import noise

from casreplay import CommitOptions, Repository
from casreplay.codec import chunking, hashing
from casreplay.codec.records import RecordType, encode_chunk_list
from casreplay.history.gc import GcRules, collect
from casreplay.history.purge import blobs_at, plan_purge, purge
from casreplay.history.verify import fsck
from casreplay.store import disk
from casreplay.store.base import ObjectKind
from casreplay.store.catalog import Catalog
from casreplay.store.encoding import list_record
from casreplay.store.writer import CHUNKED_ABOVE, SegmentWriter

EAGER = GcRules(max_dead_share=0.0, grace_ns=0)
MIB = 1 << 20


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(chunking, "_GROW_AT", 0)
    (tmp_path / "work").mkdir()
    with Repository.init(tmp_path / "work", tmp_path / "store") as repository:
        yield tmp_path / "work", repository


def commit(repository, label):
    return repository.commit(CommitOptions(label=label)).snapshot


def is_whole(repository):
    report = fsck(repository.store, data=True)
    assert not report.problems, report.problems
    return True


def records(store):
    for number, length in store.catalog.lengths().items():
        yield from store.segments.scan(number, 0, length)


def test_a_gc_keeps_a_long_chunk_in_one_piece(place):
    """It shares its frame with a small file that goes."""
    work, repository = place
    content = b"\0" + noise(3 * MIB, 5)
    (work / "a").write_bytes(b"\0small, and before it")
    (work / "big").write_bytes(content)
    first = commit(repository, "one")
    groups = [one.header.lengths for one in records(repository.store) if one.header.type is RecordType.GROUP]
    assert any(len(lengths) > 1 and max(lengths) > CHUNKED_ABOVE for lengths in groups)
    (work / "a").unlink()
    last = commit(repository, "two")
    repository.store.log.remove([first.id], "test")
    assert collect(repository.store, [], clock=lambda: 0, rules=EAGER).copied_bytes
    assert repository.read(last, b"big") == content
    assert is_whole(repository)


def test_a_purge_keeps_a_long_chunk_in_one_piece(place):
    work, repository = place
    content = b"\0" + noise(3 * MIB, 5)
    (work / "a").write_bytes(b"\0small, and secret")
    (work / "big").write_bytes(content)
    first = commit(repository, "one")
    snapshots = list(repository.snapshots())
    plan = plan_purge(repository.store, snapshots, blobs_at(repository.store, snapshots, b"a"))
    purge(repository.store, plan, [], clock=lambda: 0)
    assert repository.read(first, b"big") == content
    assert is_whole(repository)


def test_a_long_chunk_that_is_a_file_too(place, monkeypatch):
    """Both are zeros: the file was stored in chunks before the larger one needs it as a chunk."""
    work, repository = place
    (work / "disk").write_bytes(bytes(2 * MIB))
    with monkeypatch.context() as patched:
        patched.setattr(chunking, "_GROW_AT", 4 << 30)  # as in any file below that
        commit(repository, "one")
    (work / "image").write_bytes(bytes(9 * MIB))
    last = commit(repository, "two")
    assert repository.read(last, b"image") == bytes(9 * MIB)
    assert repository.read(last, b"disk") == bytes(2 * MIB)
    assert is_whole(repository)


def test_a_chunk_that_another_writer_stored_as_a_file_at_the_same_time(place, monkeypatch):
    """Neither saw the other's copy: a list needs the one in one piece, and a gc must keep it."""
    work, repository = place
    store, chunk = repository.store, noise(3 * MIB, 6)
    blob, double = hashing.blob_id(chunk), hashing.blob_id(chunk * 2)
    (work / "file").write_bytes(chunk)
    (work / "double").write_bytes(chunk * 2)

    class Both(SegmentWriter):
        """Two writers in one: the second half does not know what the first stored."""

        def put_blob(self, wanted, raw, base=None):
            if wanted != double:
                return super().put_blob(wanted, raw, base)
            super().put_blob(blob, chunk)
            self.put_whole(ObjectKind.BLOB, blob, chunk)
            self._append(*list_record(double, encode_chunk_list([blob, blob], [3 * MIB] * 2), 6 * MIB))
            return True

    with monkeypatch.context() as patched:
        patched.setattr(disk, "SegmentWriter", Both)
        last = commit(repository, "one")
    find = Catalog.find

    def list_first(self, object_id):
        lists = [one for one in self.find_all(object_id) if one.type == RecordType.CHUNKED]
        return lists[0] if lists else find(self, object_id)

    monkeypatch.setattr(Catalog, "find", list_first)
    forms = {RecordType(one.type) for one in store.catalog.find_all(blob)}
    assert len(forms) == 2
    assert RecordType.CHUNKED in forms
    for _ in range(2):
        assert repository.read(last, b"double") == chunk * 2
        assert repository.read(last, b"file") == chunk
        assert is_whole(repository)
        (work / "goes").write_bytes(noise(100_000))
        gone = commit(repository, "goes")
        (work / "goes").unlink()
        last = commit(repository, "stays")
        store.log.remove([gone.id], "test")
        collect(store, [], clock=lambda: 0, rules=EAGER)
