"""Each disk operation of gc, purge, annotations and the journal fails once; the power goes after each."""

from __future__ import annotations

import errno
import shutil

import pytest
from support.disk_trees import commit_folder
from support.faulty_files import FaultyFiles, disk_after
from support.snapshots import noise

from casreplay.codec import hashing
from casreplay.errors import CasreplayError
from casreplay.history.annotations import Annotations
from casreplay.history.diff import diff_trees
from casreplay.history.gc import GcRules, collect
from casreplay.history.paths_index import PathsIndex
from casreplay.history.purge import plan_purge, purge
from casreplay.history.verify import fsck
from casreplay.history.walk import walk
from casreplay.store.disk import DiskStore

NOW = 10**19
EAGER = GcRules(max_dead_share=0.0, grace_ns=0)
SECRET = b"secret " + noise(300, 99)
BIG = noise(400_000, 1)
HISTORY = [
    {b"a": noise(4000, 2), b"same": b"same", b"secret": SECRET, b"big": BIG},
    {b"a": noise(4000, 3), b"same": b"same", b"d": {b"x": noise(500, 4)}},
    {
        b"a": noise(4000, 3) + b"more",
        b"same": b"same",
        b"secret": SECRET,
        b"big": BIG[:200_000] + b"!" + BIG[200_000:],
    },
    {b"a": noise(4000, 5), b"d": {b"x": noise(500, 4), b"y": b"1"}},
]


def lived_in(folder, files):
    store = DiskStore.create(folder, files=files, wait_s=0)
    for content in HISTORY:
        commit_folder(store, content)
    first, second = list(store.log.newest_first())[::-1][:2]
    store.log.remove([first.id, second.id], "prune")
    return store


def contents(store):
    return {
        (one.sequence, path): store.get(entry.blob_id)
        for one in store.log.newest_first()
        for path, entry in walk(store, one.root)
        if entry.blob_id and entry.blob_id not in store.log.tombstones()
    }


def run_gc(store):
    collect(store, [one.root for one in store.log.newest_first()], clock=lambda: NOW, rules=EAGER)


def run_purge(store):
    snapshots = list(store.log.newest_first())
    plan = plan_purge(store, snapshots, {hashing.blob_id(SECRET)})
    purge(store, plan, [one.root for one in snapshots], clock=lambda: NOW)


def without_secret(found):
    return {key: raw for key, raw in found.items() if raw != SECRET}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("faults") / "template")
    store = lived_in(folder, None)
    expected = contents(store)
    store.close()
    return folder, expected


def each_failure(template, tmp_path, work):
    """Run ``work`` with each of its operations failing once; yields the store opened again afterwards."""
    folder, _ = template
    count = None
    n = 0
    while count is None or n < count:
        n += 1
        copy = str(tmp_path / "copy")
        shutil.copytree(folder, copy)
        files = FaultyFiles()
        store = DiskStore.open(copy, files=files, wait_s=0)
        opened = files.count
        files.fail_at = opened + n
        files.error = (errno.EIO, errno.ENOSPC)[n % 2]
        failed = True
        try:
            work(store)
            failed = False
        except CasreplayError:
            pass
        store.close()
        if not files.failed:
            count = n
        again = DiskStore.open(copy, wait_s=0)
        yield n, files.failed, failed, again
        again.close()
        shutil.rmtree(copy)


@pytest.mark.parametrize("work", [run_gc, run_purge])
def test_each_operation_fails_once_and_nothing_needed_is_lost(template, tmp_path, work):
    expected = template[1]
    operations = 0
    for n, what, failed, store in each_failure(template, tmp_path, work):
        operations = n
        assert without_secret(contents(store)) == without_secret(expected), what
        report = fsck(store, data=True)
        assert {problem.code for problem in report.problems} <= {"log-torn"}, (what, report.problems)
        work_again = run_gc if work is run_gc else None
        if failed and work_again:
            work_again(store)
            assert contents(store) == expected, what
            assert fsck(store, data=True).is_clean, what
    assert operations > 20


def test_a_purge_that_failed_anywhere_can_be_finished(template, tmp_path):
    for _, what, failed, store in each_failure(template, tmp_path, run_purge):
        if failed and store.has(hashing.blob_id(SECRET)):
            run_purge(store)
        assert not store.has(hashing.blob_id(SECRET)), what
        assert contents(store) == without_secret(template[1]), what
        assert fsck(store, data=True).is_clean, what


@pytest.mark.parametrize(
    "seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("work", [run_gc, run_purge])
def test_the_power_goes_after_each_operation(tmp_path, work, seed):
    files = FaultyFiles(record=True)
    root = str(tmp_path / "store")
    store = lived_in(root, files)
    expected = without_secret(contents(store))
    begun = len(files.events)
    work(store)
    store.close()
    for k in range(begun, len(files.events) + 1):
        folder = tmp_path / f"disk-{k}"
        disk_after(files.events, k, seed=seed, old_root=root, new_root=str(folder))
        where = f"after change {k}: {files.events[k - 1][:2]}"
        again = DiskStore.open(str(folder), wait_s=0)
        assert without_secret(contents(again)) == expected, where
        run_gc(again)
        assert without_secret(contents(again)) == expected, where
        again.close()
        shutil.rmtree(folder)
    assert len(files.events) - begun > 15


def test_annotations_that_were_acknowledged_stay(template, tmp_path):
    def work(store):
        notes = Annotations(store, clock=lambda: NOW)
        head = store.log.head()
        for label in ("one", "two", "three"):
            notes.set_label(head.id, label)
            done.append(label)

    done = []
    for _, what, failed, store in each_failure(template, tmp_path, work):
        label = Annotations(store, clock=lambda: NOW).label_of(store.log.head())
        acknowledged, attempted = (done[-1] if done else ""), ["one", "two", "three"]
        assert label == acknowledged or label == attempted[len(done)], what
        assert failed == (len(done) < 3)
        again = Annotations(store, clock=lambda: NOW)
        again.set_label(store.log.head().id, "after")
        assert Annotations(store, clock=lambda: NOW).label_of(store.log.head()) == "after"
        done.clear()


def test_an_annotation_outlives_a_power_cut_once_it_returned(tmp_path):
    files = FaultyFiles(record=True)
    root = str(tmp_path / "store")
    store = lived_in(root, files)
    head = store.log.head()
    for label in ("first", "second"):
        Annotations(store, clock=lambda: NOW).set_label(head.id, label)
        for seed in range(8):
            disk = str(tmp_path / f"disk-{label}-{seed}")
            disk_after(files.events, len(files.events), seed=seed, old_root=root, new_root=disk)
            again = DiskStore.open(disk, wait_s=0)
            assert Annotations(again, clock=lambda: NOW).label_of(head) == label
            again.close()
    store.close()


def test_the_journal_never_makes_a_commit_fail_and_never_lies(template, tmp_path):
    class AppendError(Exception):
        """A failure that reached the committer."""

    def work(store):
        newest, before = list(store.log.newest_first())[:2]
        changes = list(diff_trees(store, before.root, newest.root, folders=True))
        try:
            PathsIndex(store).append(before, None, ())
            PathsIndex(store).append(newest, before, changes)
        except CasreplayError as error:
            raise AppendError from error

    for _, what, _, store in each_failure(template, tmp_path, work):
        assert [event.sequence for event in PathsIndex(store).history_of(b"a")] == [4, 3], what
        assert [event.sequence for event in PathsIndex(store).history_of(b"secret")] == [4, 3], what
        assert PathsIndex(store).history_of(b"secret")[0].sigil == "D", what
