"""Other processes in the gaps of a commit: prune, gc, purge, another commit. Nothing is lost or denied.

Each test makes the other process's move at one exact moment, by a hook in the commit under test.
"""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from casreplay import CommitOptions, Repository
from casreplay.errors import LockedError
from casreplay.history import ingest
from casreplay.history.gc import GcRules, collect
from casreplay.history.purge import blobs_at, plan_purge, purge
from casreplay.history.verify import fsck
from casreplay.history.walk import walk
from casreplay.model.monitor import SilentMonitor
from casreplay.store.disk import DiskStore
from casreplay.workspace import workers

EAGER = GcRules(max_dead_share=0.0, grace_ns=0)


class Place:
    """A workspace, its store, and other processes' hands on it."""

    def __init__(self, root):
        self.work, self.store = root / "work", root / "store"
        self.work.mkdir()
        Repository.init(self.work, self.store).close()

    def write(self, path, content):
        """A file that has rested for a while, so that the stat cache believes it."""
        target = self.work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)

    def open(self, work=None):
        return Repository.open(self.store, work or self.work)

    def commit(self, label=""):
        with self.open() as repository:
            return repository.commit(CommitOptions(label=label)).snapshot

    def purge(self, path):
        other = DiskStore.open(str(self.store), wait_s=0)
        snapshots = list(other.log.newest_first())
        purge(other, plan_purge(other, snapshots, blobs_at(other, snapshots, path)), [], clock=lambda: 0)
        other.close()

    def forget_all_but_newest(self):
        other = DiskStore.open(str(self.store), wait_s=0)
        other.log.remove([one.id for one in list(other.log.newest_first())[1:]], "prune")
        collect(other, [], clock=lambda: 0, rules=EAGER)
        other.close()

    def contents(self, snapshot):
        with self.open() as repository:
            found = walk(repository.objects, snapshot.root)
            return {path: repository.read(snapshot, path) for path, entry in found if entry.blob_id}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def later_clock():
    """Far behind the files' times: nothing is too young for the stat cache."""
    return 4_000_000_000 * 10**9


def test_a_purge_between_the_log_record_and_the_stat_cache(place):
    """A cache written behind the purge would name what it destroyed, and the next commit believe it."""
    place.write("secret", "a key")
    place.write("other", "text")
    with Repository.open(place.store, place.work, clock=later_clock) as repository:
        write_cache = repository.store.write_cache
        refused = []

        def purging_first(name, pieces):
            repository.store.write_cache = write_cache
            with suppress(LockedError):
                place.purge(b"secret")
                refused.append(False)
            write_cache(name, pieces)

        repository.store.write_cache = purging_first
        repository.commit(CommitOptions(label="one"))
    if not refused:
        place.purge(b"secret")
    place.write("other", "changed")
    assert place.contents(place.commit("two")) == {b"secret": b"a key", b"other": b"changed"}


def test_a_parent_pruned_right_after_the_record_does_not_make_the_commit_fail(place):
    place.write("a", "1")
    place.commit("one")
    place.write("a", "2")
    with place.open() as repository:
        append = repository.store.log.append

        def pruned_after(snapshot, segments, parent):
            append(snapshot, segments, parent)
            with suppress(LockedError):
                place.forget_all_but_newest()

        repository.store.log.append = pruned_after
        done = repository.commit(CommitOptions(label="two"))
        assert done.recorded
        assert done.changes.modified == 1
        assert [one.label for one in repository.snapshots()] == ["two"]
    assert place.contents(done.snapshot) == {b"a": b"2"}


def test_a_head_that_was_collected_before_the_lock_is_not_built_on(place, tmp_path):
    """Its stat cache, written late by the process that recorded it, must not be believed either."""
    for name in ("d/a", "e/b"):
        place.write(name, name)
    with Repository.open(place.store, place.work, clock=later_clock) as repository:
        repository.commit(CommitOptions(label="one"))
    cache = (place.store / "cache" / "stat").read_bytes()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "z").write_text("z")
    place.write("d/a", "changed")
    with Repository.open(place.store, place.work, clock=later_clock) as repository:
        writer = repository.store.writer

        def others_first(**options):
            repository.store.writer = writer
            with place.open(elsewhere) as other:
                other.commit(CommitOptions(label="other"))
            place.forget_all_but_newest()
            (place.store / "cache" / "stat").write_bytes(cache)
            return writer(**options)

        repository.store.writer = others_first
        done = repository.commit(CommitOptions(label="two"))
        assert fsck(repository.store, data=True).is_clean
    assert place.contents(done.snapshot) == {b"d/a": b"changed", b"e/b": b"e/b"}


def test_unchanged_is_said_of_the_head_of_now(place):
    """Another commit and a prune while the folder is listed: the snapshot that held it may be gone."""

    class Meanwhile(SilentMonitor):
        def stage(self, name, *_args):
            if name == "listing":
                place.write("a", "2")
                place.commit("two")
                place.write("a", "1")
                other = DiskStore.open(str(place.store), wait_s=0)
                other.log.remove([first.id], "prune")
                other.close()

    place.write("a", "1")
    first = place.commit("one")
    with place.open() as repository:
        done = repository.commit(CommitOptions(), monitor=Meanwhile())
        assert done.recorded
        assert repository.log.get(done.snapshot.id) == done.snapshot
    assert place.contents(done.snapshot) == {b"a": b"1"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked here")
def test_bytes_stored_are_those_of_this_commit(place, monkeypatch):
    monkeypatch.setattr(ingest, "PARALLEL_FILES", 4)
    monkeypatch.setattr(workers, "count", lambda: 2)
    with place.open() as repository:
        stored = []
        for step in range(2):
            for number in range(8):
                place.write(f"d{number}/file", f"{step} {number}" * (5_000 if step == 0 else 1))
            stored.append(repository.commit().stored_bytes)
        sizes = [one.stat().st_size for one in (place.store / "segments").iterdir()]
        assert stored[0] + stored[1] + 16 * len(sizes) == sum(sizes)
