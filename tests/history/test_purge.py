from __future__ import annotations

from contextlib import closing

import pytest
from support.disk_trees import commit_folder, put_all
from support.list_log import snapshot
from support.snapshots import noise
from support.tree_builder import DictObjects, build

from casreplay.codec import hashing
from casreplay.errors import (
    AmbiguousNameError,
    CorruptError,
    LockedError,
    MissingObjectError,
    UnknownNameError,
)
from casreplay.history import purge as purging
from casreplay.history.purge import blob_called, blobs_at, plan_purge, purge
from casreplay.history.verify import fsck
from casreplay.history.walk import walk
from casreplay.store.disk import DiskStore
from casreplay.store.files import OsFiles

SECRET = b"AKIA" + noise(40, 77).hex().encode() + b"\n"
NOW = 1_790_000_000 * 10**9
LARGE = noise(900_000, 5)


@pytest.fixture
def store(tmp_path):
    made = DiskStore.create(str(tmp_path / "store"), wait_s=0.05)
    yield made
    made.close()


def live(store):
    return list(store.log.newest_first())


def purged(store, path=None, blobs=None):
    snapshots = live(store)
    plan = plan_purge(store, snapshots, blobs or blobs_at(store, snapshots, path))
    return plan, purge(store, plan, [s.root for s in snapshots], clock=lambda: NOW, reason="leaked key")


def raw_bytes_anywhere(store):
    """Every decoded record of every segment, and every raw file of the store."""
    whole = []
    for number in store.segments.numbers():
        whole.append(store.files.read(store.segments.path(number)))
        for record in store.segments.scan(number):
            for i in range(0, len(record.header.ids), 32):
                try:
                    whole.append(store.get(record.header.ids[i : i + 32]))
                except CorruptError:
                    continue
    whole += [
        store.files.read(f"{store.folder}/cache/{name}")
        for name in store.files.names(store.folder + "/cache")
    ]
    return b"".join(whole)


def contents(store):
    return {
        (one.sequence, path): store.get(entry.blob_id)
        for one in live(store)
        for path, entry in walk(store, one.root)
        if entry.blob_id and store.has(entry.blob_id)
    }


def test_a_secret_is_gone_from_the_whole_history_and_nothing_else_is(store):
    base = b"line\n" * 400
    commit_folder(store, {b"conf": {b".env": SECRET}, b"a": base})
    commit_folder(store, {b"conf": {b".env": SECRET}, b"a": base + b"1", b"copy": SECRET})
    commit_folder(store, {b"conf": {b".env": b"clean\n"}, b"a": base + b"2"})
    before = contents(store)
    store.write_cache("stat", [SECRET])
    plan, result = purged(store, b"conf/.env", blobs={hashing.blob_id(SECRET)})
    assert plan.paths == (b"conf/.env", b"copy")
    assert [one.sequence for one in plan.snapshots] == [2, 1]
    assert result.objects == 1
    assert SECRET[:40] not in raw_bytes_anywhere(store)
    assert contents(store) == {key: raw for key, raw in before.items() if raw != SECRET}
    again = DiskStore.open(store.folder)
    again.rebuild_index()
    assert SECRET[:40] not in raw_bytes_anywhere(again)
    assert contents(again) == contents(store)
    again.close()


def test_ids_and_the_chain_still_verify_and_the_store_says_why(store):
    first = commit_folder(store, {b".env": SECRET})
    commit_folder(store, {b".env": b""})
    purged(store, b".env", blobs={hashing.blob_id(SECRET)})
    report = fsck(store, data=True)
    assert report.is_clean
    assert [note.code for note in report.notes] == ["purged"]
    assert store.log.get(first.id) == first
    with pytest.raises(MissingObjectError, match=r"purged .on 2026-09-21 14:13:20 UTC: leaked key") as caught:
        store.get(hashing.blob_id(SECRET))
    assert caught.value.fields["purged"]
    assert store.log.purge_reasons() == {hashing.blob_id(SECRET): "on 2026-09-21 14:13:20 UTC: leaked key"}


def test_every_version_at_a_path_goes_and_what_was_a_delta_against_it_stays(store):
    kept = noise(5000, 1)
    for i in range(5):
        head = store.log.head()
        raw = kept + b"%d" % i
        with store.writer() as writer:
            # The kept file's versions are deltas against the doomed file's bytes.
            doomed = kept[:4000] + b"doomed %d" % i
            writer.put_blob(hashing.blob_id(doomed), doomed)
            writer.sync()
            writer.put_blob(hashing.blob_id(raw), raw, hashing.blob_id(doomed))
            from support.list_log import snapshot
            from support.snapshots import tree_of

            root, content, raw_tree = tree_of(
                {b"doomed": hashing.blob_id(doomed), b"kept": hashing.blob_id(raw)}
            )
            writer.put_tree(root, raw_tree, head.root if head else None)
            made = snapshot(i + 1, root=root, tree=content, parent=head.id if head else None)
            store.log.append(made, writer.sync(), head.id if head else None)
    plan, _ = purged(store, b"doomed")
    assert len(plan.blobs) == 5
    assert contents(store) == {(i + 1, b"kept"): kept + b"%d" % i for i in range(5)}
    assert b"doomed" not in raw_bytes_anywhere(store).replace(b"doomed\0kept", b"")
    assert not [p for p in fsck(store, data=True).problems if p.code != "size"]


def test_chunks_that_other_blobs_use_stay(store):
    other = LARGE[:600_000] + b"other end" + noise(200_000, 6)
    commit_folder(store, {b"large": LARGE, b"other": other})
    plan, _ = purged(store, b"large")
    assert plan.chunks
    assert plan.shared_chunks
    assert contents(store) == {(1, b"other"): other}
    assert fsck(store, data=True).is_clean


def test_a_chunk_that_is_a_file_of_its_own_stays(store):
    commit_folder(store, {b"large": LARGE})
    chunk = store.chunk_list(hashing.blob_id(LARGE))[0][0]
    raw = store.get(chunk)
    commit_folder(store, {b"large": LARGE, b"small": raw})
    plan, _ = purged(store, b"large")
    assert chunk not in plan.chunks
    assert contents(store) == {(2, b"small"): raw}


def test_what_pruned_snapshots_left_behind_goes_too(store):
    earlier = b"earlier " + SECRET
    first = commit_folder(store, {b".env": earlier, b"a": b"1"})
    commit_folder(store, {b".env": SECRET, b"a": b"1"})
    store.log.remove([first.id], "prune")
    handle = store.files.append(store.segments.path(9), create=True)
    handle.write(b"casreplay seg 1\n" + SECRET)
    handle.close()
    assert SECRET in raw_bytes_anywhere(store)
    purged(store, b".env")
    assert SECRET[:40] not in raw_bytes_anywhere(store)
    assert contents(store) == {(2, b"a"): b"1"}
    assert fsck(store, data=True).is_clean


def test_a_folder_can_be_purged(store):
    commit_folder(store, {b"d": {b"x": b"1", b"e": {b"y": b"2"}}, b"z": b"3"})
    plan, _ = purged(store, b"d")
    assert plan.paths == (b"d/e/y", b"d/x")
    assert contents(store) == {(1, b"z"): b"3"}


def test_a_purge_cut_short_behind_the_log_record_is_finished_by_the_next(store, monkeypatch):
    commit_folder(store, {b".env": SECRET, b"a": b"1"})

    def fail(*_, **__):
        raise CorruptError("Cut short")

    with monkeypatch.context() as patched:
        patched.setattr(purging, "_copy", fail)
        with pytest.raises(CorruptError, match="Cut short"):
            purged(store, b".env")
    assert contents(store) == {(1, b".env"): SECRET, (1, b"a"): b"1"}
    purged(store, b".env")
    assert contents(store) == {(1, b"a"): b"1"}


def test_what_is_recorded_again_afterwards_can_be_read(store):
    commit_folder(store, {b".env": SECRET})
    purged(store, b".env")
    commit_folder(store, {b".env": SECRET})
    assert store.get(hashing.blob_id(SECRET)) == SECRET


def test_while_somebody_writes_nothing_is_destroyed(store):
    commit_folder(store, {b".env": SECRET})
    other = DiskStore.open(store.folder, wait_s=0.05)
    with other.writer(), pytest.raises(LockedError):
        purged(store, b".env")
    assert store.get(hashing.blob_id(SECRET)) == SECRET
    assert store.log.tombstones() == frozenset()
    other.close()


def test_names_of_blobs_and_paths(store):
    commit_folder(store, {b"a": b"1", b"b": b"2"})
    one = hashing.blob_id(b"1")
    assert blob_called(store, one.hex()[:8]) == one
    for name in ("ffff" * 16, "xyz", "12"):
        with pytest.raises(UnknownNameError):
            blob_called(store, name)
    with pytest.raises(UnknownNameError):
        blobs_at(store, live(store), b"nothing")
    with pytest.raises(UnknownNameError):
        plan_purge(store, live(store), {hashing.blob_id(b"never seen")})
    store.ids = lambda kind: iter([b"\xab\xcd" + bytes(30), b"\xab\xcd" + bytes([1] * 30)])
    with pytest.raises(AmbiguousNameError) as caught:
        blob_called(store, "abcd")
    assert len(caught.value.fields["candidates"]) == 2


class Meanwhile(OsFiles):
    """While somebody waits for a lock, ``work`` is done; nothing happens by chance."""

    def __init__(self):
        self.work = []

    def pause(self, seconds):
        self.work.pop(0)()


@pytest.fixture
def race(tmp_path):
    """``race(purge, content)``: a purge waits while another process, already writing, records ``content``."""
    folder = str(tmp_path / "store")
    DiskStore.create(folder).close()
    files = Meanwhile()
    ours, theirs = DiskStore.open(folder, files=files, wait_s=5), DiskStore.open(folder)

    def run(path, content):
        snapshots = live(ours)
        plan = plan_purge(ours, snapshots, blobs_at(ours, snapshots, path))
        objects = DictObjects()
        root, tree, _ = build(objects, content)
        head = theirs.log.head()
        writer = theirs.writer()
        put_all(writer, objects)

        def record():
            made = snapshot(theirs.log.next_sequence(), root=root, tree=tree, parent=head.id)
            theirs.log.append(made, writer.sync(), head.id)
            writer.__exit__(None, None, None)

        files.work.append(record)
        purge(ours, plan, [one.root for one in snapshots], clock=lambda: NOW)
        assert files.work == [], "the purge did not wait for the writer"
        assert len(live(ours)) == len(snapshots) + 1
        return ours

    yield run
    ours.close()
    theirs.close()


def test_what_was_recorded_while_a_purge_waited_stays_but_for_the_secret(race, tmp_path):
    with closing(DiskStore.open(str(tmp_path / "store"))) as store:
        commit_folder(store, {b".env": SECRET, b"a": b"old\n"})
    store = race(b".env", {b".env": SECRET, b"copy": SECRET, b"a": b"new\n", b"b": noise(9000, 3)})
    assert contents(store) == {(1, b"a"): b"old\n", (2, b"a"): b"new\n", (2, b"b"): noise(9000, 3)}
    assert SECRET not in raw_bytes_anywhere(store)
    assert {one.code for one in fsck(store, data=True).problems} <= {"purged"}


def test_pieces_that_another_content_took_up_while_a_purge_waited_stay(race, tmp_path):
    """When the purge was planned nobody else had them."""
    with closing(DiskStore.open(str(tmp_path / "store"))) as store:
        commit_folder(store, {b"large": LARGE})
    longer = LARGE + b"one line more\n"
    store = race(b"large", {b"longer": longer})
    assert not store.has(hashing.blob_id(LARGE))
    assert contents(store) == {(2, b"longer"): longer}


def test_a_file_that_was_empty_once_does_not_take_every_empty_file_along(store):
    commit_folder(store, {b".env": b"", b"pkg": {b"__init__.py": b""}})
    commit_folder(store, {b".env": SECRET, b"pkg": {b"__init__.py": b""}})
    plan, _ = purged(store, b".env")
    assert plan.blobs == (hashing.blob_id(SECRET),)
    assert contents(store) == {
        (1, b".env"): b"",
        (1, b"pkg/__init__.py"): b"",
        (2, b"pkg/__init__.py"): b"",
    }
    assert plan_purge(store, live(store), {hashing.blob_id(b"")}).blobs == ()
