"""After a gc nothing that is still there lacks what it needs: contents may come back."""

from __future__ import annotations

import random

import pytest

from casreplay import CommitOptions, Repository
from casreplay.history.gc import GcRules, collect
from casreplay.history.verify import fsck


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr("casreplay.store.segments.SEAL_BYTES", 2_000_000)
    work = tmp_path / "work"
    work.mkdir()
    Repository.init(work, tmp_path / "store").close()

    def open_repository():
        return Repository.open(tmp_path / "store", work)

    return work, open_repository


@pytest.mark.parametrize("log_bytes", [200_000, 1_000_000])
def test_a_version_left_behind_by_a_gc_is_not_taken_for_stored(place, log_bytes):
    """A log grows, goes, its first version is collected with its segment; then it comes back."""
    work, open_repository = place
    rng = random.Random(7)
    log = rng.randbytes(log_bytes)

    def commit(label):
        with open_repository() as repository:
            return repository.commit(CommitOptions(label=label)).snapshot

    (work / "log").write_bytes(log)
    for i in range(8):
        (work / f"early{i}").write_bytes(rng.randbytes(400_000))
    commit("one")
    (work / "log").write_bytes(log + b"more" * 100)
    for i in range(4):
        (work / f"kept{i}").write_bytes(rng.randbytes(400_000))
    commit("two")
    (work / "log").unlink()
    for i in range(8):
        (work / f"early{i}").unlink()
    last = commit("three")
    with open_repository() as repository:
        store = repository.store
        old = [one.id for one in repository.snapshots() if one.id != last.id]
        store.log.remove(old, "test")
        freed = collect(store, [last.root], clock=repository.clock, rules=GcRules())
        assert freed is not None
        report = fsck(store, data=True)
        assert not report.problems, report.problems
    (work / "log").write_bytes(log + b"more" * 100)
    back = commit("four")
    with open_repository() as repository:
        assert repository.read(back, b"log") == log + b"more" * 100
        assert not fsck(repository.store, data=True).problems


def test_an_empty_file_keeps_the_group_it_shares(place, monkeypatch):
    """An empty content takes no bytes of its group, and is needed all the same."""
    monkeypatch.setattr("casreplay.store.segments.SEAL_BYTES", 1 << 20)  # a segment for each commit
    work, open_repository = place
    (work / "empty").touch()
    (work / "note").write_text("goes with the first snapshot")
    with open_repository() as repository:
        first = repository.commit(CommitOptions(label="one")).snapshot
    (work / "note").unlink()
    with open_repository() as repository:
        last = repository.commit(CommitOptions(label="two")).snapshot
    with open_repository() as repository:
        store = repository.store
        store.log.remove([first.id], "test")
        collect(store, [last.root], clock=repository.clock, rules=GcRules(max_dead_share=0.0, grace_ns=0))
        assert fsck(store, data=True).is_clean
        assert repository.read(last, b"empty") == b""


def test_a_collector_that_opened_behind_a_slow_index_sees_what_came_after(place):
    """It held what the index lacked when it opened; the index has overtaken that by the time it collects."""
    work, open_repository = place

    def commit(name, *, is_indexed=True):
        (work / name).write_bytes(name.encode() * 100)
        with open_repository() as repository:
            if not is_indexed:  # as when it was killed between the log record and the index
                repository.store.log.published = lambda _record, _start, _end: None
            return repository.commit(CommitOptions(label=name)).snapshot

    commit("one")
    commit("two", is_indexed=False)
    with open_repository() as early:
        assert early.store.catalog.index.log_end < early.store.log.end()
        with open_repository() as other:
            other.store.log.remove([other.snapshot("one").id], "test")
        commit("three")
        rules = GcRules(max_dead_share=0.0, grace_ns=0)
        assert collect(early.store, [], clock=lambda: 0, rules=rules).removed_bytes
    with open_repository() as repository:
        assert [one.label for one in repository.snapshots()] == ["three", "two"]
        report = fsck(repository.store, data=True)
        assert not report.problems, report.problems
