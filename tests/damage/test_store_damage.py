"""Damage matrix: each action on each kind of file. The loss is named, everything else is still read."""

from __future__ import annotations

import os
import shutil

import pytest
from support.snapshots import commit, noise
from support.store_story import read_all

from casreplay.errors import CasreplayError, CorruptError
from casreplay.store.disk import DiskStore


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A store of several segments' worth of records and six snapshots."""
    folder = tmp_path_factory.mktemp("pristine") / "store"
    store = DiskStore.create(str(folder), wait_s=0)
    for i in range(6):
        commit(store, {b"own": noise(3000, seed=i), b"shared": noise(2000, seed=99), b"n": b"%d" % i})
    store.close()
    return folder


@pytest.fixture
def folder(pristine, tmp_path):
    target = tmp_path / "store"
    shutil.copytree(pristine, target)
    return target


def flip(path, at):
    with open(path, "r+b") as handle:
        handle.seek(at)
        byte = handle.read(1)[0]
        handle.seek(at)
        handle.write(bytes([byte ^ 0x40]))


def one(folder, pattern):
    return max(folder.glob(pattern), key=lambda path: path.stat().st_size)


def survey(folder):
    """(readable snapshots, damaged snapshots, problems of the log)."""
    store = DiskStore.open(str(folder), wait_s=0)
    good, bad = [], []
    for snapshot in store.log.newest_first():
        try:
            read_all(store, snapshot)
            good.append(snapshot.sequence)
        except CorruptError:
            bad.append(snapshot.sequence)
    problems = store.log.verify()
    store.close()
    return good, bad, problems


def test_the_pristine_store_has_no_problem(folder):
    assert survey(folder) == ([6, 5, 4, 3, 2, 1], [], [])


@pytest.mark.parametrize("share", [0.02, 0.2, 0.4, 0.6, 0.8, 0.98])
def test_a_flipped_bit_in_a_segment_costs_what_it_hit(folder, share):
    path = one(folder, "segments/*.seg")
    flip(path, int(path.stat().st_size * share))
    good, bad, problems = survey(folder)
    assert bad
    # The first record holds what all six snapshots share; every other belongs to one of them.
    assert bool(good) == (share > 0.3)
    assert not problems
    store = DiskStore.open(str(folder), wait_s=0)
    with pytest.raises(CorruptError) as caught:
        list(map(store.get, store.ids()))
    assert caught.value.fields["segment"] == 1
    store.close()


def test_every_flip_in_a_segment_is_noticed_or_harmless(folder):
    path = one(folder, "segments/*.seg")
    size = path.stat().st_size
    for at in range(16, size, 331):
        flip(path, at)
        good, bad, problems = survey(folder)
        assert sorted(good + bad) == [1, 2, 3, 4, 5, 6]
        assert bad, f"a flip at byte {at} went unnoticed"
        assert not problems
        flip(path, at)


def test_a_truncated_segment_costs_its_tail_only(folder):
    path = one(folder, "segments/*.seg")
    os.truncate(path, path.stat().st_size // 2)
    good, bad, _ = survey(folder)
    assert 1 in good
    assert 6 in bad


def test_a_deleted_segment_is_named(folder):
    path = one(folder, "segments/*.seg")
    path.unlink()
    good, bad, _ = survey(folder)
    assert (good, sorted(bad)) == ([], [1, 2, 3, 4, 5, 6])


def test_a_duplicated_segment_is_ignored(folder):
    path = one(folder, "segments/*.seg")
    shutil.copy(path, path.with_name("00000077.seg"))
    assert survey(folder) == ([6, 5, 4, 3, 2, 1], [], [])


@pytest.mark.parametrize("pattern", ["index/*.run", "index/*.tail", "index/manifest"])
@pytest.mark.parametrize("action", ["truncate", "delete", "duplicate", "garbage"])
def test_the_index_is_only_an_accelerator(folder, pattern, action):
    if pattern == "index/*.run":
        store = DiskStore.open(str(folder), wait_s=0)
        store.rebuild_index()
        store.close()
    path = one(folder, pattern)
    if action == "truncate":
        os.truncate(path, path.stat().st_size // 2)
    elif action == "delete":
        path.unlink()
    elif action == "duplicate":
        shutil.copy(path, path.with_name("00000099" + path.suffix))
    else:
        path.write_bytes(noise(max(path.stat().st_size, 100)))
    assert survey(folder) == ([6, 5, 4, 3, 2, 1], [], [])
    store = DiskStore.open(str(folder), wait_s=0)
    commit(store, {b"own": b"afterwards"})
    store.close()
    assert survey(folder) == ([7, 6, 5, 4, 3, 2, 1], [], [])


def test_the_whole_index_folder_may_be_lost(folder):
    shutil.rmtree(folder / "index")
    assert survey(folder) == ([6, 5, 4, 3, 2, 1], [], [])


def test_everything_that_can_be_rebuilt_may_be_lost(folder):
    """As in a copy that left empty folders out, or kept only what matters."""
    from support.store_story import collect

    for name in ("index", "cache", "leases"):
        shutil.rmtree(folder / name)
    (folder / "lock").unlink()
    store = DiskStore.open(str(folder), wait_s=0)
    assert commit(store, {b"own": b"next"}).sequence == 7
    store.write_cache("stat", [b"kept"])
    assert store.read_cache("stat") == b"kept"
    shutil.rmtree(folder / "cache")
    collect(store)
    store.close()
    assert survey(folder) == ([7, 6, 5, 4, 3, 2, 1], [], [])


def test_a_flip_in_a_run_is_healed_by_rebuilding(folder):
    store = DiskStore.open(str(folder), wait_s=0)
    store.rebuild_index()
    store.close()
    path = one(folder, "index/*.run")
    flip(path, path.stat().st_size - 40)
    store = DiskStore.open(str(folder), wait_s=0)
    store.rebuild_index()
    store.close()
    assert survey(folder) == ([6, 5, 4, 3, 2, 1], [], [])


def test_a_flip_in_the_log_names_the_snapshot(folder):
    path = folder / "log"
    size = path.stat().st_size
    for at in range(40, size, 97):
        flip(path, at)
        good, bad, problems = survey(folder)
        assert problems, f"a flip at byte {at} went unnoticed"
        assert not bad
        assert len(good) >= 5
        flip(path, at)


def test_damage_before_the_last_record_does_not_make_it_torn(folder):
    """The hash in front of the newest record is hit: the record itself is whole and must stay."""
    header, found = records_of((folder / "log").read_bytes())
    flip(folder / "log", len(header) + sum(map(len, found[:-1])) - 20)
    store = DiskStore.open(str(folder), wait_s=0)
    assert store.log.head().sequence == 6
    assert commit(store, {b"own": b"next"}).sequence == 7
    store.close()
    good, bad, problems = survey(folder)
    assert (good, bad) == ([7, 6, 5, 4, 3, 2, 1], [])
    assert {problem.code for problem in problems} == {"log-altered"}
    assert not (folder / "lost").exists()


def test_a_log_cut_short_keeps_what_is_whole(folder):
    path = folder / "log"
    os.truncate(path, path.stat().st_size - 20)
    good, bad, problems = survey(folder)
    assert (good, bad) == ([5, 4, 3, 2, 1], [])
    assert [problem.code for problem in problems] == ["log-torn"]


def test_the_next_writer_cuts_a_torn_tail_and_keeps_a_copy(folder):
    path = folder / "log"
    torn = path.stat().st_size - 20
    os.truncate(path, torn)
    store = DiskStore.open(str(folder), wait_s=0)
    assert commit(store, {b"own": b"next"}).sequence == 6
    store.close()
    assert survey(folder)[2] == []
    (kept,) = (folder / "lost").iterdir()
    assert kept.read_bytes()[:4] == b"crL1"


def records_of(log: bytes):
    from casreplay.codec import log_records

    at, found = log_records.HEADER_BYTES, []
    while at < len(log):
        end = log_records.record_end(log, at)
        found.append(log[at:end])
        at = end
    return log[: log_records.HEADER_BYTES], found


def test_a_record_taken_out_is_named(folder):
    header, found = records_of((folder / "log").read_bytes())
    (folder / "log").write_bytes(header + b"".join(found[:2] + found[3:]))
    _, _, problems = survey(folder)
    assert problems[0].code == "log-missing"
    assert "3 to 3" in problems[0].message


def test_records_in_another_order_are_named(folder):
    header, found = records_of((folder / "log").read_bytes())
    (folder / "log").write_bytes(header + b"".join([found[1], found[0], *found[2:]]))
    codes = {problem.code for problem in survey(folder)[2]}
    assert codes & {"log-order", "log-missing"}
    assert "log-parent" in codes


def test_a_record_copied_twice_is_named(folder):
    header, found = records_of((folder / "log").read_bytes())
    (folder / "log").write_bytes(header + b"".join([*found, found[-1]]))
    assert [problem.code for problem in survey(folder)[2]] == ["log-order"]


def test_a_forged_record_is_named(folder):
    from casreplay.codec import log_records
    from casreplay.codec.log_records import LogRecordType, NewRecord
    from casreplay.codec.manifest import encode_snapshot

    header, found = records_of((folder / "log").read_bytes())
    store = DiskStore.open(str(folder), wait_s=0)
    third = next(s for s in store.log.newest_first() if s.sequence == 3)
    store.close()
    payload = encode_snapshot(third).replace(b'"sequence":3', b'"sequence":3,"label":"forged"')
    forged = log_records.encode_record(
        NewRecord(LogRecordType.SNAPSHOT, payload, 3, 0, third.time_ns, third.id), found[1][-36:-4]
    )
    (folder / "log").write_bytes(header + b"".join([*found[:2], forged, *found[3:]]))
    assert {"log-altered"} == {problem.code for problem in survey(folder)[2]}


@pytest.mark.parametrize("name", ["log", "format"])
def test_a_store_without_its_core_says_so(folder, name):
    (folder / name).unlink()
    with pytest.raises(CasreplayError) as caught:
        DiskStore.open(str(folder), wait_s=0)
    assert caught.value.exit_code in (10, 13)


def test_garbage_in_the_core_says_so(folder):
    for name in ("log", "format"):
        kept = (folder / name).read_bytes()
        (folder / name).write_bytes(b"garbage")
        with pytest.raises(CorruptError):
            DiskStore.open(str(folder), wait_s=0)
        (folder / name).write_bytes(kept)


def test_the_log_of_another_store_is_refused(folder, tmp_path):
    other = DiskStore.create(str(tmp_path / "other"), wait_s=0)
    other.close()
    shutil.copy(tmp_path / "other" / "log", folder / "log")
    with pytest.raises(CorruptError, match="another store"):
        DiskStore.open(str(folder), wait_s=0)


def test_a_damaged_copy_is_made_up_for_by_another(folder):
    store = DiskStore.open(str(folder), wait_s=0)
    newest = store.log.head()
    blob = store.catalog.find(newest.root)
    with store.deleting(), store.writer(rewriting=True) as writer:
        writer.put_tree(newest.root, store.get(newest.root))
        moved = writer.sync()
        store.delete_segments([], moved=moved)
    found = store.catalog.find_all(newest.root)
    assert len(found) == 2
    raw = store.get(newest.root)
    entry = store.catalog.find(newest.root)
    store.close()
    flip(folder / "segments" / f"{entry.segment:08d}.seg", entry.offset + entry.length - 3)
    store = DiskStore.open(str(folder), wait_s=0)
    assert store.get(newest.root) == raw
    store.close()
    assert blob is not None
