"""Reading in shares: however many processes read, the snapshot is the same, and none fails quietly."""

from __future__ import annotations

import os
import random

import pytest

from casreplay.errors import StoreIOError
from casreplay.history import ingest
from casreplay.history.commit import CommitOptions
from casreplay.history.repository import Repository
from casreplay.history.walk import walk
from casreplay.workspace import workers

SECOND = 10**9
needs_fork = pytest.mark.skipif(not workers.can_fork(), reason="forking is not possible in this process")


@pytest.fixture
def root(tmp_path):
    """Folders in folders, files alike and apart, links, an empty folder, one of many names, one big file."""
    made = tmp_path / "work"
    chooser = random.Random(5)
    for i in range(600):
        folder = made / "/".join(chooser.choice(["a", "a-b", "c", "d.e"]) for _ in range(i % 5 + 1))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{i}").write_bytes(b"line %d\n" % (i % 400) * (i % 50 + 1))
    (made / "empty/inner").mkdir(parents=True)
    (made / "many").mkdir()
    for i in range(2500):
        (made / "many" / f"{i:05}").write_bytes(b"")
    (made / "big").write_bytes(chooser.randbytes(700_000))
    (made / "link").symlink_to("a/f0")
    os.mkfifo(made / "a/pipe")
    for base, folders, names in os.walk(made):
        for name in [*folders, *names]:
            os.utime(os.path.join(base, name), ns=(SECOND, SECOND), follow_symlinks=False)
    return made


def _committed(root, store, hands, monkeypatch):
    """A first commit by so many processes; what it recorded, and its repository."""
    monkeypatch.setattr(workers, "count", lambda: hands)
    repository = Repository.init(root, store, clock=lambda: 1_800_000_000 * SECOND)
    result = repository.commit(CommitOptions(time_ns=5 * SECOND))
    return repository, result


def test_any_number_of_processes_records_the_same_snapshot(root, tmp_path, monkeypatch):
    ids, listings = set(), []
    for hands in (1, 2, 3):
        repository, result = _committed(root, tmp_path / f"store{hands}", hands, monkeypatch)
        with repository:
            objects, snapshot = repository.objects, result.snapshot
            ids.add((snapshot.id, snapshot.root, snapshot.tree, result.changes, result.coverage))
            listings.append(
                {
                    path: objects.get(entry.blob_id) if entry.blob_id else entry.kind
                    for path, entry in walk(objects, snapshot.root)
                }
            )
            monkeypatch.undo()
            assert not repository.commit().recorded, "the cache describes what was recorded"
    assert len(ids) == 1
    assert listings[0] == listings[1] == listings[2]


@needs_fork
def test_contents_and_trees_found_by_two_processes_are_stored_once(tmp_path, monkeypatch):
    root = tmp_path / "work"
    for i in range(300):
        (root / f"d{i}").mkdir(parents=True)
        for name in "abc":
            (root / f"d{i}" / name).write_bytes(b"the same everywhere" + name.encode())
            os.utime(root / f"d{i}" / name, ns=(SECOND, SECOND))
    repository, result = _committed(root, tmp_path / "store", 3, monkeypatch)
    with repository:
        assert result.coverage.files == 900
        entries = sum(1 for leading in range(256) for _ in repository.store.catalog.part(leading))
        assert entries <= 5 + 4, "three contents, a folder, the root; a race may store an id twice"


@needs_fork
def test_a_worker_that_dies_fails_the_commit_and_leaves_nothing(root, tmp_path, monkeypatch):
    parent, real = os.getpid(), ingest.read_listed

    def dying(folder_fd, name, row):
        if os.getpid() != parent:
            os._exit(9)
        return real(folder_fd, name, row)

    monkeypatch.setattr(ingest, "read_listed", dying)
    monkeypatch.setattr(workers, "count", lambda: 2)
    repository = Repository.init(root, tmp_path / "store")
    # The parent waits for the worker to draw, or it might be left nothing.
    real_draw = ingest._draw

    def slow_draw(job, writer, worker, claim):
        if worker == 0:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        return real_draw(job, writer, worker, claim)

    monkeypatch.setattr(ingest, "_draw", slow_draw)
    with repository, pytest.raises(StoreIOError, match="died"):
        repository.commit()
    monkeypatch.undo()
    with Repository.open(tmp_path / "store", root) as again:
        assert again.head() is None
        assert again.commit().recorded
        assert not again.status()[0]


@needs_fork
def test_progress_never_goes_back_and_ends_at_the_whole(root, tmp_path, monkeypatch):
    class Seen:
        def __init__(self):
            self.totals, self.done = {}, []
            self.name = ""

        def stage(self, name, total=0, unit=""):
            self.name = name
            self.totals[name] = total

        def advance(self, done):
            if self.name == "reading":
                self.done.append(done)

    monkeypatch.setattr(workers, "count", lambda: 2)
    monkeypatch.setattr(ingest, "REPORT_EVERY_BYTES", 1)
    seen = Seen()
    with Repository.init(root, tmp_path / "store") as repository:
        repository.commit(monitor=seen)
    assert seen.done
    assert seen.done == sorted(seen.done)
    assert seen.done[-1] == seen.totals["reading"]
