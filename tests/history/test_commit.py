"""Commits: what is recorded, what is not, and that nothing that changed is ever missed."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from casreplay import CommitOptions, EntryKind, EntryState, Repository
from casreplay.codec.hashing import blob_id
from casreplay.errors import CasreplayError, LockedError
from casreplay.history import ingest, scan
from casreplay.history.walk import walk
from casreplay.model.monitor import SilentMonitor
from casreplay.store.segments import HEADER
from casreplay.workspace import scanner, stat_patch, workers

SECOND = 1_000_000_000


class Place:
    """A workspace with its repository and a clock that the test sets forward."""

    def __init__(self, root, store):
        self.root = root
        self.now = 1_800_000_000 * SECOND
        self.repository = Repository.init(root, store, clock=self.clock)

    def clock(self):
        self.now += SECOND
        return self.now

    def write(self, path, content=b"", *, age_s=100):
        """Write a file whose times lie well before the clock, as if it had rested a while."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    def commit(self, label="", **options):
        return self.repository.commit(CommitOptions(label=label, **options))

    def contents(self, snapshot=None):
        """Path to content of every file and link in a snapshot."""
        snapshot = snapshot or self.repository.head()
        return {
            path: self.repository.objects.get(entry.blob_id)
            for path, entry in walk(self.repository.objects, snapshot.root)
            if entry.blob_id is not None
        }

    def on_disk(self):
        found = {}
        for base, folders, names in os.walk(os.fsencode(self.root)):
            for name in names + [f for f in folders if os.path.islink(os.path.join(base, f))]:
                path = os.path.join(base, name)
                key = os.path.relpath(path, os.fsencode(self.root))
                if os.path.islink(path):
                    found[key] = os.readlink(path)
                elif os.path.isfile(path):
                    with open(path, "rb") as file:
                        found[key] = file.read()
        return found


@pytest.fixture
def place(tmp_path):
    (tmp_path / "work").mkdir()
    made = Place(tmp_path / "work", tmp_path / "store")
    yield made
    made.repository.close()


def test_a_first_commit_holds_every_file(place):
    place.write("a.txt", "one")
    place.write("src/deep/b.py", "two")
    result = place.commit("first")
    assert result.recorded
    assert result.changes.added == 2
    assert place.contents() == place.on_disk()
    assert result.snapshot.coverage.files == 2
    assert result.snapshot.coverage.folders == 2
    assert result.snapshot.coverage.bytes == 6


def test_an_empty_workspace_can_be_committed(place):
    assert place.commit().recorded
    assert place.contents() == {}


def test_nothing_changed_records_nothing(place):
    place.write("a", "x")
    first = place.commit().snapshot
    again = place.commit()
    assert not again.recorded
    assert again.snapshot == first
    assert len(place.repository.log) == 1


def test_a_label_records_even_when_nothing_changed(place):
    place.write("a", "x")
    first = place.commit().snapshot
    second = place.commit("milestone").snapshot
    assert second.tree == first.tree
    assert second.parent == first.id
    assert second.sequence == first.sequence + 1


def test_times_alone_are_no_change_but_are_kept(place):
    file = place.write("a", "x")
    first = place.commit().snapshot
    os.utime(file, ns=(5 * SECOND, 7 * SECOND))
    assert not place.commit().recorded
    labelled = place.commit("touched").snapshot
    assert labelled.tree == first.tree
    assert labelled.root != first.root
    assert place.repository.entry(labelled, b"a").mtime_ns == 7 * SECOND


@pytest.mark.parametrize(
    "deed",
    [
        lambda p: p.write("a", "changed"),
        lambda p: p.write("new", "new"),
        lambda p: (p.root / "a").unlink(),
        lambda p: os.rename(p.root / "a", p.root / "z"),
        lambda p: os.rename(p.root / "d", p.root / "moved"),
        lambda p: p.write("d/e/f/g/h", "deep"),
        lambda p: (p.root / "a").chmod(0o755),
        lambda p: os.symlink("a", p.root / "link"),
        lambda p: (p.root / "empty").mkdir(),
        lambda p: os.mkfifo(p.root / "pipe"),
        lambda p: ((p.root / "a").unlink(), (p.root / "a").mkdir(), p.write("a/b", "now a folder")),
        lambda p: (os.rename(p.root / "d", p.root / "x"), p.write("d", "now a file")),
        lambda p: ((p.root / "d/two").unlink(), os.symlink("../a", p.root / "d/two")),
        lambda p: p.write(".casreplayignore", "a\n"),
        lambda p: p.write("d/.casreplayignore", "two\n"),
    ],
)
def test_every_kind_of_change_is_seen(place, deed):
    place.write("a", "one")
    place.write("d/two", "two")
    place.write("d/e/three", "three")
    before = place.commit().snapshot
    deed(place)
    result = place.commit()
    assert result.recorded
    assert result.snapshot.tree != before.tree
    assert result.changes.total >= 1
    full = place.commit(full=True)
    assert not full.recorded, "a scan without the cache sees something else"


def test_ignored_files_are_left_out_and_counted(place):
    place.write("keep.py", "x")
    place.write("__pycache__/keep.cpython-311.pyc", "bytecode")
    place.write("node_modules/lib/index.js", "kept: drift lives there")
    place.write(".git/HEAD", "ref: refs/heads/main\n")
    place.write("secret.tmp", "x")
    place.write(".casreplayignore", "*.tmp\n")
    result = place.commit()
    assert set(place.contents()) == {b"keep.py", b"node_modules/lib/index.js", b".casreplayignore"}
    assert result.coverage.ignored == 3


def test_a_changed_ignore_file_reopens_every_decision(place):
    place.write("logs/a.log", "1")
    place.write("logs/b.txt", "2")
    place.commit()
    place.write(".casreplayignore", "*.log\n")
    place.commit()
    assert b"logs/a.log" not in place.contents()
    (place.root / ".casreplayignore").unlink()
    place.commit()
    assert b"logs/a.log" in place.contents()


def test_a_store_inside_the_workspace_is_never_captured(tmp_path):
    root = tmp_path / "work"
    root.mkdir()
    (root / "a").write_bytes(b"x")
    with Repository.init(root, root / ".store") as repository:
        repository.commit()
        assert [path for path, _ in repository.walk(repository.head())] == [b"a"]
        assert not repository.commit().recorded


def test_links_are_kept_as_links(place):
    os.symlink("nowhere/at all", place.root / "dangling")
    os.symlink(b"\xff\xfe", os.fsencode(place.root) + b"/\xfd")
    place.commit()
    assert place.contents() == {b"dangling": b"nowhere/at all", b"\xfd": b"\xff\xfe"}


def test_special_files_and_empty_folders_have_entries_without_content(place):
    os.mkfifo(place.root / "pipe")
    (place.root / "empty").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place.root / "sock"))
        place.commit()
    kinds = {path: entry.kind for path, entry in place.repository.walk(place.repository.head())}
    assert kinds == {b"pipe": EntryKind.FIFO, b"empty": EntryKind.FOLDER, b"sock": EntryKind.SOCKET}
    assert place.repository.head().coverage.special == 2


def test_modes_and_executables(place):
    place.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    place.write("plain", "x").chmod(0o640)
    head = place.commit().snapshot
    entry = place.repository.entry
    assert (entry(head, b"run.sh").kind, entry(head, b"run.sh").mode) == (EntryKind.EXECUTABLE, 0o755)
    assert (entry(head, b"plain").kind, entry(head, b"plain").mode) == (EntryKind.FILE, 0o640)


class TestNotExamined:
    def test_a_file_over_the_limit_has_an_entry_without_content(self, place):
        place.write("big", b"x" * 1000)
        place.write("small", b"x" * 10)
        head = place.commit(max_file_bytes=100).snapshot
        entry = place.repository.entry(head, b"big")
        assert (entry.state, entry.size_bytes, entry.blob_id) == (EntryState.TOO_LARGE, 1000, None)
        assert head.coverage.too_large == 1
        assert not head.coverage.is_complete

    @pytest.mark.parametrize("limit", [0, 1 << 60])
    def test_a_file_larger_than_the_format_holds_is_an_entry_without_content(self, place, limit):
        try:
            os.truncate(place.write("disk.img", ""), 2 << 40)  # a hole: no space is taken
        except OSError as error:
            pytest.skip(f"this file system holds no file of 2 TiB: {error}")
        head = place.commit(max_file_bytes=limit).snapshot
        entry = place.repository.entry(head, b"disk.img")
        assert (entry.state, entry.size_bytes, entry.blob_id) == (EntryState.TOO_LARGE, 2 << 40, None)
        assert head.coverage.too_large == 1

    def test_a_file_that_cannot_be_read_is_not_an_empty_file(self, place, monkeypatch):
        place.write("a", "fine")
        place.write("b", "broken")

        def failing(real):
            def read(fd, *args):
                if os.readlink(f"/proc/self/fd/{fd}").endswith("/b"):
                    raise OSError(5, "Input/output error")
                return real(fd, *args)

            return read

        monkeypatch.setattr("casreplay.workspace.capture.os.read", failing(os.read))
        monkeypatch.setattr("casreplay.workspace.capture._pread", failing(os.pread))
        head = place.commit().snapshot
        entry = place.repository.entry(head, b"b")
        assert (entry.state, entry.blob_id) == (EntryState.UNREADABLE, None)
        assert head.coverage.unreadable == 1
        monkeypatch.undo()
        assert place.commit().recorded, "an unreadable file is tried again"
        assert place.contents() == {b"a": b"fine", b"b": b"broken"}

    def test_a_file_that_vanishes_between_listing_and_reading(self, place, monkeypatch):
        place.write("a", "x")
        real = ingest.read_listed

        def read_listed(folder_fd, name, row):
            (place.root / "a").unlink(missing_ok=True)
            return real(folder_fd, name, row)

        monkeypatch.setattr(ingest, "read_listed", read_listed)
        head = place.commit().snapshot
        assert place.repository.entry(head, b"a").state is EntryState.VANISHED
        monkeypatch.undo()
        place.commit()
        assert place.repository.entry(place.repository.head(), b"a") is None

    @pytest.mark.parametrize(
        ("key", "value"),
        [("MAX_SNAPSHOT_ENTRIES", 2), ("MAX_SNAPSHOT_SIZE", 100), ("MAX_COMMIT_SECONDS", 0.5)],
    )
    def test_a_commit_over_a_limit_stops_and_records_nothing(self, tmp_path, key, value):
        (tmp_path / "work").mkdir()
        place = Place(tmp_path / "work", tmp_path / "store")
        place.write("a", "x")
        head = place.commit().snapshot
        for i in range(3):
            place.write(f"more/{i}", "x" * 50)
        place.write("casreplay.json", f'{{"{key}": {value}}}')
        place.repository.close()
        with Repository.open(tmp_path / "store", place.root, clock=place.clock) as repository:
            with pytest.raises(CasreplayError, match="over its limit") as caught:
                repository.commit()
            assert key in caught.value.hint
            assert repository.head() == head
            assert len(repository.log) == 1

    def test_a_workspace_that_is_gone_is_an_error_and_loses_nothing(self, place):
        place.write("a", "x")
        head = place.commit().snapshot
        os.rename(place.root, place.root.with_name("elsewhere"))
        with pytest.raises(CasreplayError, match="Cannot list the workspace"):
            place.commit()
        assert place.repository.head() == head


class TestRacyFiles:
    """Changes that leave size and times as they were."""

    def _pin(self, file):
        os.utime(file, ns=(1 * SECOND, 1 * SECOND))

    def test_a_rewrite_of_equal_size_in_the_same_tick(self, tmp_path):
        (tmp_path / "work").mkdir()
        file = tmp_path / "work/a"
        with Repository.init(tmp_path / "work", tmp_path / "store") as repository:
            for round_number in range(10):
                file.write_bytes(b"%d" % round_number)
                repository.commit()
                assert repository.read(repository.head(), b"a") == b"%d" % round_number

    def test_a_rewrite_with_the_old_time_put_back(self, place):
        file = place.write("a", "one")
        self._pin(file)
        place.commit()
        file.write_bytes(b"two")
        self._pin(file)
        assert place.commit().recorded
        assert place.contents()[b"a"] == b"two"

    def test_another_file_renamed_over_it_with_equal_size_and_time(self, place):
        file, other = place.write("a", "one"), place.write("b", "two")
        self._pin(file)
        self._pin(other)
        place.commit()
        os.rename(other, file)
        place.commit()
        assert place.contents() == {b"a": b"two"}

    def test_contents_that_change_behind_the_stats_are_found_by_the_spot_check(self, place, monkeypatch):
        """As a failing disk or a mapped write may do: every stat column equal, the bytes not."""
        file = place.write("a", "one")
        self._pin(file)
        place.commit()
        place.now += 10**6 * SECOND
        place.commit(full=True)
        rows = {}
        real = scan.changed_listings
        monkeypatch.setattr(scan, "changed_listings", lambda *_: rows)
        file.write_bytes(b"two")
        assert not place.commit().recorded
        monkeypatch.setattr(scan, "SPOT_CHECK_SHARE", 1)
        assert place.commit().recorded
        monkeypatch.setattr(scan, "changed_listings", real)


class TestTheCacheIsWritten:
    """When it would say something else than it does, and only then."""

    def _version(self, place):
        found = os.stat(os.path.join(place.repository.store.folder, "cache", "stat"))
        return found.st_ino, found.st_mtime_ns

    def test_not_by_a_commit_of_nothing_recorded_or_not(self, place):
        place.write("a/one", "1")
        place.write("b/two", "2")
        place.commit()
        before = self._version(place)
        assert not place.commit().recorded
        assert place.commit("milestone").recorded
        assert self._version(place) == before

    def test_not_when_the_spot_check_found_everything_as_it_was(self, place, monkeypatch):
        place.write("a/one", "1")
        place.commit()
        before = self._version(place)
        monkeypatch.setattr(scan, "SPOT_CHECK_SHARE", 1)
        assert place.commit("milestone").recorded
        assert self._version(place) == before

    def test_once_when_a_recent_file_has_come_to_rest(self, place, monkeypatch):
        file = place.write("a/one", "1")
        place.now = file.stat().st_ctime_ns
        place.commit()
        racy = self._version(place)
        place.now += 100 * SECOND
        reads = []
        real = ingest.ingest
        monkeypatch.setattr(
            "casreplay.history.commit.ingest",
            lambda *args: (reads.append([work.path for work in args[1] if work.captures]), real(*args))[1],
        )
        monkeypatch.setattr(scan, "SPOT_CHECK_SHARE", 1 << 62)
        assert not place.commit().recorded
        at_rest = self._version(place)
        assert not place.commit().recorded
        assert racy != at_rest == self._version(place)
        assert reads == [[b"a"], []]

    def test_once_when_a_recent_folder_has_come_to_rest(self, place, monkeypatch):
        place.write("a/one", "1")
        monkeypatch.setattr(scanner, "marks_folders", lambda _: True)
        place.commit()
        racy = self._version(place)
        monkeypatch.setattr(scan, "settled_stamp", lambda stamp, _: stamp)
        assert not place.commit().recorded
        at_rest = self._version(place)
        assert not place.commit().recorded
        assert racy != at_rest == self._version(place)

    def test_as_a_patch_where_few_of_many_folders_changed(self, place, monkeypatch):
        monkeypatch.setattr(stat_patch, "MIN_FOLDERS", 4)
        monkeypatch.setattr(stat_patch, "LARGEST_SHARE", 2)
        for name in "abcdefg":
            place.write(f"{name}/file", name)
        place.commit()
        whole, patch = (
            self._version(place),
            os.path.join(place.repository.store.folder, "cache", "stat-patch"),
        )
        sizes = []
        for name, content in [("a", "longer"), ("b", "longer"), ("a", "longest"), ("c", "longer")]:
            place.write(f"{name}/file", content)
            assert place.commit().recorded
            assert place.contents() == place.on_disk()
            assert not place.commit().recorded
            sizes.append(os.path.getsize(patch))
            assert self._version(place) == whole
        assert sizes[0] < sizes[1] < sizes[3]
        place.write("d/file", "longer")
        assert place.commit().recorded
        assert self._version(place) != whole
        assert os.path.getsize(patch) == 0
        assert not place.commit().recorded

    def test_whole_where_folders_came_or_went(self, place, monkeypatch):
        monkeypatch.setattr(stat_patch, "MIN_FOLDERS", 0)
        monkeypatch.setattr(stat_patch, "LARGEST_SHARE", 0)
        place.write("a/file", "1")
        place.commit()
        versions = {self._version(place)}
        place.write("b/file", "2")
        place.commit()
        versions.add(self._version(place))
        (place.root / "a/file").unlink()
        (place.root / "a").rmdir()
        place.commit()
        versions.add(self._version(place))
        assert len(versions) == 3
        assert place.contents() == place.on_disk()

    def test_a_damaged_patch_costs_a_listing_and_no_more(self, place, monkeypatch):
        monkeypatch.setattr(stat_patch, "MIN_FOLDERS", 0)
        monkeypatch.setattr(stat_patch, "LARGEST_SHARE", 0)
        file = place.write("a/file", "1")
        place.commit()
        file.write_text("longer")
        place.commit()
        place.repository.store.write_cache("stat-patch", [b"crQ1 but nothing else"])
        assert not place.commit().recorded
        file.write_text("longest")
        assert place.commit().recorded
        assert place.contents() == place.on_disk()

    def test_when_a_file_went(self, place):
        place.write("a/one", "1")
        place.write("a/two", "2")
        place.commit()
        before = self._version(place)
        (place.root / "a/two").unlink()
        place.commit()
        assert self._version(place) != before

    def test_when_a_folder_went(self, place):
        place.write("a/b/one", "1")
        place.commit()
        before = self._version(place)
        (place.root / "a/b/one").unlink()
        (place.root / "a/b").rmdir()
        place.commit()
        assert self._version(place) != before
        assert not place.commit().recorded


class TestFoldersThatRested:
    """Folders whose listing is trusted because nothing touched them for a while."""

    @pytest.fixture(autouse=True, params=["whole", "patched"])
    def rested(self, request, place, monkeypatch):
        """Every folder counts as rested; the file system's clock is seen to move on instead of waited for."""
        if request.param == "patched":
            monkeypatch.setattr(stat_patch, "MIN_FOLDERS", 0)
            monkeypatch.setattr(stat_patch, "LARGEST_SHARE", 0)
        monkeypatch.setattr(scan, "settled_stamp", lambda stamp, _: stamp)
        monkeypatch.setattr(scanner, "marks_folders", lambda _: True)
        self.clock = place.root.parent / "probe"
        self.clock.touch()

    def _settle(self, place):
        """Commit, and come back when what changes next gets a later time."""
        result = place.commit()
        before = self.clock.stat().st_ctime_ns
        while self.clock.stat().st_ctime_ns == before:
            self.clock.chmod(0o600)
        return result

    def test_their_names_are_not_listed_again(self, place, monkeypatch):
        place.write("a/b/one", "1")
        self._settle(place)
        listed = []
        real = scanner.list_folder
        monkeypatch.setattr(scanner, "list_folder", lambda *args: (listed.append(args[1]), real(*args))[1])
        monkeypatch.setattr(scan, "SPOT_CHECK_SHARE", 1 << 62)
        assert not place.commit().recorded
        assert listed == []

    def test_whatever_happens_in_them_is_recorded(self, place):
        for name in ("a/one", "a/b/two", "c/three", "c/d/four", "top"):
            place.write(name, name)
        self._settle(place)
        steps = [
            lambda: place.write("a/b/new", "added"),
            lambda: place.write("c/three", "changed in place"),
            lambda: os.rename(place.root / "c/three", place.root / "c/d/three"),
            (place.root / "a/one").unlink,
            lambda: os.rename(place.root / "c/d", place.root / "a/d"),
            lambda: place.write("x/y/z", "deep"),
            lambda: os.rename(place.root / "a/b", place.root / "a/b2"),
            lambda: os.symlink("top", place.root / "a/d/link"),
            lambda: os.replace(place.root / "a/b2/new", place.root / "a/b2/two"),
        ]
        for step in steps:
            step()
            result = self._settle(place)
            assert result.recorded
            assert place.contents() == place.on_disk()
            assert result.coverage == place.commit(full=True).coverage
        assert not self._settle(place).recorded

    def test_a_name_behind_a_folder_that_does_not_tell_is_found_by_the_spot_check(self, place, monkeypatch):
        """As on a file system that does not mark its folders although it is known to."""
        place.write("a/one", "1")
        monkeypatch.setattr(scanner, "_stamp", lambda _: b"s" * scanner.STAMP.size)
        place.commit()
        place.now += 10**6 * SECOND
        place.write("a/two", "2")
        monkeypatch.setattr(scan, "SPOT_CHECK_SHARE", 1 << 62)
        assert not place.commit().recorded
        monkeypatch.setattr(scan, "SPOT_CHECK_SHARE", 1)
        assert place.commit().recorded
        assert place.contents() == place.on_disk()


def test_a_folder_touched_lately_is_listed_whatever_its_times_say(place, monkeypatch):
    stamp = scanner.STAMP.pack(1, 1, scan.system_clock())
    monkeypatch.setattr(scanner, "marks_folders", lambda _: True)
    monkeypatch.setattr(scanner, "_stamp", lambda _: stamp)
    monkeypatch.setattr(scan, "SPOT_CHECK_SHARE", 1 << 62)
    place.write("a/one", "1")
    place.commit()
    place.write("a/two", "2")
    assert place.commit().recorded
    assert place.contents() == place.on_disk()


def test_many_files_are_read_by_several_processes_and_none_is_lost(place):
    for i in range(900):
        place.write(f"d{i % 30}/f{i}", b"content %d" % (i % 700))
    result = place.commit()
    assert result.coverage.files == 900
    assert place.contents() == place.on_disk()
    if workers.count() > 1:
        assert len(place.repository.store.segments.numbers()) > 1
    assert not place.commit(full=True).recorded


def test_what_workers_wrote_goes_when_the_commit_fails_after_they_ended(place, monkeypatch):
    """An interrupt or a limit between reading and recording."""
    monkeypatch.setattr(ingest, "PARALLEL_FILES", 1)
    for i in range(30):
        place.write(f"d{i % 3}/f{i}", os.urandom(2000))

    class Interrupting(SilentMonitor):
        def stage(self, name, total=0, unit=""):
            if name == "trees":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.repository.commit(monitor=Interrupting())
    store = place.repository.store
    assert all(store.segments.size(number) == len(HEADER) for number in store.segments.numbers())
    assert place.commit().recorded
    assert place.contents() == place.on_disk()


def test_equal_contents_are_stored_once(place):
    noise = os.urandom(50_000)
    place.write("a", noise)
    place.commit()
    place.write("b", noise)
    assert place.commit().stored_bytes < 1_000


def test_big_files_are_streamed(place, monkeypatch):
    monkeypatch.setattr(ingest, "STREAM_BYTES", 100_000)
    data = os.urandom(1_500_000)
    place.write("big", data)
    head = place.commit().snapshot
    assert place.repository.read(head, b"big") == data
    assert place.repository.entry(head, b"big").id == blob_id(data)


def test_a_folder_of_many_names_is_split_and_one_change_is_cheap(place):
    for i in range(5000):
        place.write(f"many/{i:05}", b"")
    before = place.commit().snapshot
    place.write("many/02500", b"x")
    result = place.commit()
    assert result.changes.modified == 1
    assert result.stored_bytes < 4_000
    assert len(list(place.repository.list_folder(before, b"many"))) == 5000
    assert place.repository.read(result.snapshot, b"many/02500") == b"x"


def test_names_that_are_not_utf8(place):
    with open(os.fsencode(place.root) + b"/\xff new\nline", "wb") as file:
        file.write(b"odd")
    place.commit()
    assert place.contents() == {b"\xff new\nline": b"odd"}


def test_a_git_workspace_tells_where_it_stood(place):
    place.write(".git/HEAD", "ref: refs/heads/topic\n")
    place.write(".git/refs/heads/topic", "1" * 40 + "\n")
    place.write(".git/objects/x", "")
    git = place.commit().snapshot.git
    assert (git.head, git.branch) == ("1" * 40, "topic")


def test_facts_given_to_a_commit_are_under_the_chain(place):
    result = place.commit(
        "l", tags=("t1", "t2"), session="s", agent="a", author="w", host="h", extra={"k": "v"}
    )
    again = place.repository.log.get(result.snapshot.id)
    assert again == result.snapshot
    assert (again.tags, again.session, again.agent, again.author) == (("t1", "t2"), "s", "a", "w")
    assert dict(again.extra) == {"k": "v"}


def test_two_writers_at_once_both_end_up_in_the_chain(place, tmp_path):
    place.write("a", "x")
    place.commit()
    with Repository.open(tmp_path / "store", place.root) as other:
        real_append = other.log.append

        def append(snapshot, segments, parent):
            other.log.append = real_append
            place.commit("won the race")
            real_append(snapshot, segments, parent)

        other.log.append = append
        other.commit(CommitOptions(label="came second"))
    labels = [snapshot.label for snapshot in place.repository.snapshots()]
    assert labels == ["came second", "won the race", ""]
    newest, second, first = place.repository.snapshots()
    assert (newest.parent, second.parent) == (second.id, first.id)


def test_a_lost_race_without_end_gives_up_with_a_hint(place):
    place.write("a", "x")

    def refuse(*_):
        raise LockedError("Another process recorded a snapshot in between")

    place.repository.log.append = refuse
    with pytest.raises(LockedError, match="kept committing"):
        place.commit()


def test_status_and_diff_against_the_folder_write_nothing(place, tmp_path):
    place.write("a", "one")
    place.write("b", "two")
    head = place.commit().snapshot
    before = {p: p.read_bytes() for p in sorted((tmp_path / "store").rglob("*")) if p.is_file()}
    place.write("a", "changed")
    os.rename(place.root / "b", place.root / "c")
    changes = place.repository.diff(head, None)
    assert [(c.kind, c.path) for c in changes] == [("modified", b"a"), ("renamed", b"c")]
    status, coverage = place.repository.status()
    assert status == changes
    assert coverage.files == 2
    assert before == {p: p.read_bytes() for p in sorted((tmp_path / "store").rglob("*")) if p.is_file()}


def test_another_users_file_modes_do_not_leak_special_bits(place):
    file = place.write("a", "x")
    file.chmod(0o4755)
    head = place.commit().snapshot
    assert place.repository.entry(head, b"a").mode == 0o4755
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o4755


@pytest.mark.parametrize("workers_at", [1, 10_000])
def test_what_a_purge_took_is_recorded_again_when_it_is_still_there(place, monkeypatch, workers_at):
    """Otherwise later snapshots would name a content that no store holds."""
    from casreplay.history.purge import plan_purge, purge

    monkeypatch.setattr(ingest, "PARALLEL_FILES", workers_at)
    for name in ("a", "b", "c", "d"):
        place.write(f"{name}/key", f"secret of {name}")
    place.write("empty")
    first = place.commit().snapshot
    blob = place.repository.entry(first, b"a/key").blob_id
    store = place.repository.store
    purge(store, plan_purge(store, [first], {blob}), [first.root], clock=place.clock)
    assert not place.repository.objects.has(blob)
    again = place.commit()
    assert again.recorded
    assert again.changes.total == 0
    assert place.repository.read(again.snapshot, b"a/key") == b"secret of a"
    assert not place.commit().recorded
    os.unlink(place.root / "a/key")
    assert place.commit().changes.deleted == 1
