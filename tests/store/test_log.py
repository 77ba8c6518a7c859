"""The log on disk: reading from its end, many records, other types of records, opening and versions."""

from __future__ import annotations

import os
from itertools import islice

import pytest
from support.snapshots import commit, snapshot_of, tree_of

from casreplay.errors import CorruptError, NoRepositoryError, UnknownFormatError, UnknownNameError, UsageError
from casreplay.store.disk import DiskStore
from casreplay.store.files import OsFiles


class CountingFiles(OsFiles):
    """Counts the bytes read from the log."""

    def __init__(self) -> None:
        self.read_bytes = 0

    def open(self, path):
        inner = super().open(path)
        if os.path.basename(path) != "log":
            return inner
        files = self

        class Counting:
            def pread(self, count, offset):
                data = inner.pread(count, offset)
                files.read_bytes += len(data)
                return data

            size = inner.size
            close = inner.close

        return Counting()


@pytest.fixture
def store(tmp_path):
    store = DiskStore.create(str(tmp_path / "store"), durability="off", wait_s=0)
    yield store
    store.close()


def many(store, count):
    """Snapshots without objects: only the log is of interest."""
    root, content, _ = tree_of({})
    head = None
    for _ in range(count):
        snapshot = snapshot_of(store.log.next_sequence(), head, root, content)
        store.log.append(snapshot, (), head)
        head = snapshot.id
    return snapshot


def test_the_head_costs_the_end_of_the_file_only(store):
    newest = many(store, 400)
    files = CountingFiles()
    again = DiskStore.open(store.folder, files=files, wait_s=0)
    assert again.log.head() == newest
    assert again.log.next_sequence() == 401
    assert files.read_bytes < 3 * 4096
    assert store.log.end() > 100_000
    assert [one.sequence for one in islice(again.log.newest_first(), 5)] == [400, 399, 398, 397, 396]
    assert files.read_bytes < 10 * 4096


def test_a_recent_snapshot_and_the_one_before_cost_the_end_of_the_file_only(store):
    newest = many(store, 2500)
    wanted = list(islice(store.log.newest_first(), 6))
    files = CountingFiles()
    fresh = DiskStore.open(store.folder, files=files, durability="off")
    files.read_bytes = 0
    assert fresh.log.get(wanted[4].id) == wanted[4]
    assert fresh.log.before(wanted[4]) == wanted[5]
    assert fresh.log.before(newest) == wanted[1]
    assert files.read_bytes < os.path.getsize(f"{store.folder}/log") / 2
    fresh.close()


def test_any_snapshot_is_found_and_the_one_before_it_whatever_was_removed(store):
    many(store, 60)
    every = list(store.log.newest_first())
    gone = {every[0].id, every[7].id, every[8].id, every[-1].id, every[30].id}
    store.log.remove([every[7].id, every[30].id], "test")
    many_more = snapshot_of(store.log.next_sequence(), every[0].id, every[0].root, every[0].tree)
    store.log.append(many_more, (), every[0].id)
    store.log.remove(gone - {every[7].id, every[30].id}, "test")
    fresh = DiskStore.open(store.folder, durability="off")
    left = list(fresh.log.newest_first())
    assert len(left) == 56
    for one in [many_more, *every]:
        earlier = [other for other in left if other.sequence < one.sequence]
        assert fresh.log.before(one) == (earlier[0] if earlier else None)
        if one.id in gone:
            with pytest.raises(UnknownNameError):
                fresh.log.get(one.id)
        else:
            assert fresh.log.get(one.id) == one
    fresh.close()


def test_ids_are_found_by_any_of_their_first_digits_and_values_wherever_they_stand(store):
    head = None
    for i in range(40):
        made = snapshot_of(store.log.next_sequence(), head, *tree_of({})[:2], label=f"step {i % 4}")
        store.log.append(made, (), head)
        head = made.id
    every = list(store.log.newest_first())
    assert len(every[0].label) == 6
    store.log.remove([every[5].id], "test")
    live = [one for one in every if one != every[5]]
    for one in every:
        for digits in (1, 4, 6, 7, 11, 64):
            prefix = one.id.hex()[:digits]
            wanted = [other for other in live if other.id.hex().startswith(prefix)]
            assert list(store.log.prefixed(prefix)) == wanted
    for label in ("step 0", "step 3"):
        assert list(store.log.mentioning(label)) == [one for one in live if one.label == label]
    assert list(store.log.mentioning("step")) == []
    with open(f"{store.folder}/log", "r+b") as handle:
        at = handle.read().index(every[1].id)
        handle.seek(at + 40)
        handle.write(bytes(8))
    fresh = DiskStore.open(store.folder, durability="off")
    left = [one for one in live if one != every[1]]
    assert list(fresh.log.mentioning(every[1].label)) == [one for one in left if one.label == every[1].label]
    fresh.close()


def test_the_log_is_taken_in_as_it_grows(store):
    many(store, 3)
    before = store.log.live_ids()
    head = store.log.head()
    more = snapshot_of(store.log.next_sequence(), head.id, head.root, head.tree)
    store.log.append(more, (), head.id)
    assert store.log.live_ids() == [*before, (more.sequence, more.id)]
    assert store.log.get(more.id) == more


def test_every_record_is_seen_both_ways(store):
    many(store, 300)
    backwards = [record.sequence for record in store.log.live_records()]
    forwards = [record.sequence for _, record in store.log.records_from(0)]
    assert backwards == forwards[::-1] == list(range(300, 0, -1))
    assert [(one.sequence, one.id) for one in store.log.newest_first()] == store.log.live_ids()[::-1]
    store.log.remove([store.log.live_ids()[7][1]], "test")
    assert [sequence for sequence, _ in store.log.live_ids()] == [n for n in range(1, 301) if n != 8]
    assert len(store.log) == 299


def test_damage_in_the_middle_hides_one_record_only(store):
    many(store, 50)
    offset, record = list(store.log.records_from(0))[20]
    with open(os.path.join(store.folder, "log"), "r+b") as handle:
        handle.seek(offset + 8)
        handle.write(b"\xff\xff\xff\xff")
    again = DiskStore.open(store.folder, wait_s=0)
    sequences = [one.sequence for one in again.log.newest_first()]
    assert sequences == [n for n in range(50, 0, -1) if n != record.sequence]
    codes = [problem.code for problem in again.log.verify()]
    assert "log-damaged" in codes
    assert again.log.head().sequence == 50
    assert many_more(again) == 51


def many_more(store):
    head = store.log.head()
    root, content, _ = tree_of({})
    snapshot = snapshot_of(store.log.next_sequence(), head.id, root, content)
    store.log.append(snapshot, (), head.id)
    return snapshot.sequence


def test_removing_the_head_uncovers_the_one_before(store):
    many(store, 5)
    ids = [one.id for one in store.log.newest_first()]
    store.log.remove(ids[:2], "test")
    assert store.log.head().id == ids[2]
    assert store.log.removed_ids() == frozenset(ids[:2])
    assert len(store.log) == 3
    assert store.log.verify() == []


def test_removing_nothing_writes_nothing(store):
    many(store, 1)
    end = store.log.end()
    store.log.remove([], "test")
    store.log.purge([], "test")
    assert store.log.end() == end


def test_tombstones_are_kept(store):
    store.log.purge([bytes(32), b"\1" * 32], "leaked")
    assert DiskStore.open(store.folder, wait_s=0).log.tombstones() == {bytes(32), b"\1" * 32}


def test_two_stores_follow_each_other(store):
    other = DiskStore.open(store.folder, durability="off", wait_s=0)
    for i in range(4):
        writer, reader = (store, other) if i % 2 else (other, store)
        snapshot = commit(writer, {b"i": b"%d" % i})
        assert reader.log.head() == snapshot
        assert reader.log.get(snapshot.id) == snapshot


def test_another_version_is_left_alone(store):
    path = os.path.join(store.folder, "format")
    with open(path, "r+b") as handle:
        handle.write(b"casreplay store 2")
    before = {
        name: os.stat(os.path.join(store.folder, name)).st_mtime_ns for name in os.listdir(store.folder)
    }
    with pytest.raises(UnknownFormatError, match="store 2") as caught:
        DiskStore.open(store.folder, wait_s=0)
    assert caught.value.exit_code == 12
    after = {name: os.stat(os.path.join(store.folder, name)).st_mtime_ns for name in os.listdir(store.folder)}
    assert after == before


@pytest.mark.parametrize("text", [b"", b"id", b"casreplay store 1\n", b"casreplay store 1\nid zz\n"])
def test_a_damaged_format_file_is_refused(store, text):
    with open(os.path.join(store.folder, "format"), "wb") as handle:
        handle.write(text)
    with pytest.raises(CorruptError):
        DiskStore.open(store.folder, wait_s=0)


def test_no_store_is_no_store(tmp_path):
    with pytest.raises(NoRepositoryError) as caught:
        DiskStore.open(str(tmp_path / "nothing"))
    assert caught.value.hint


def test_a_folder_with_other_things_is_not_taken(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="other files"):
        DiskStore.create(str(tmp_path))
    assert os.listdir(tmp_path) == ["mine"]


def test_a_store_is_not_made_twice(store):
    with pytest.raises(UsageError, match="a store already"):
        DiskStore.create(store.folder)


def test_a_read_only_store_is_read(store):
    """Without an index and without permission to write one, entries are held in memory."""
    import shutil

    snapshot = commit(store, {b"a": b"1"})
    shutil.rmtree(os.path.join(store.folder, "index"))

    class ReadOnly(OsFiles):
        def append(self, path, *, create=False):
            from casreplay.errors import StoreIOError

            raise StoreIOError("read-only", errno=30)

        def make_folder(self, path):
            self.append(path)

    reader = DiskStore.open(store.folder, files=ReadOnly(), wait_s=0)
    assert reader.get(snapshot.root)
    assert not os.path.exists(os.path.join(store.folder, "index", "manifest"))


def test_each_store_has_its_own_secrets(tmp_path):
    one = DiskStore.create(str(tmp_path / "one"))
    two = DiskStore.create(str(tmp_path / "two"))
    assert len(one.key()) == 32
    assert one.key() != two.key()
    assert one.id != two.id
    assert os.stat(tmp_path / "one" / "key").st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / "one").st_mode & 0o777 == 0o700


@pytest.mark.parametrize("durability", ["full", "batch", "off"])
def test_durability_says_what_is_synced(tmp_path, durability):
    from support.faulty_files import FaultyFiles

    store = DiskStore.create(str(tmp_path / "store"), files=FaultyFiles(), durability=durability, wait_s=0)
    store.files.events = []
    commit(store, {b"a": b"1"})
    synced = {os.path.basename(event[1]) for event in store.files.events if event[0] == "sync"}
    assert ("log" in synced) == (durability == "full")
    assert ("00000001.seg" in synced) == (durability != "off")
    kinds = [
        event[0] for event in store.files.events if os.path.basename(event[1]) in ("00000001.seg", "log")
    ]
    if durability == "full":
        assert kinds == ["create", "write", "write", "sync", "write", "sync"]


def test_an_append_only_store_of_many_snapshots_lists_quickly(store):
    from casreplay.clock import monotonic_ns

    many(store, 2000)
    again = DiskStore.open(store.folder, wait_s=0)
    started = monotonic_ns()
    assert len(again.log) == 2000
    assert monotonic_ns() - started < 500_000_000
