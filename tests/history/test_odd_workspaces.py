"""Odd workspaces, through a commit and a restore: what comes back, and what is said about the rest."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.processes import child, join_all

from casreplay import CommitOptions, EntryKind, EntryState, Repository
from casreplay.history import ingest
from casreplay.history.restore import RestoreOptions
from casreplay.history.verify import fsck
from casreplay.model.paths import MAX_DEPTH

NS = 10**9
NOBODY = 65534
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    yield folder
    # Some of these trees are deeper than pytest's own cleaning can go.
    subprocess.run(["rm", "-rf", "--one-file-system", str(tmp_path)], check=False)


@pytest.fixture
def repository(root, tmp_path):
    with Repository.init(root, tmp_path / "store") as opened:
        yield opened


def entries(repository, snapshot=None):
    return dict(repository.walk(snapshot or repository.head()))


def elsewhere(repository, tmp_path, snapshot=None):
    """A snapshot (the newest) restored into a new folder, without a complaint."""
    restored = repository.restore(snapshot or repository.head(), to=tmp_path / "out")
    assert not restored.problems
    return tmp_path / "out"


def git(folder, *arguments):
    subprocess.run(
        [
            "git",
            "-C",
            folder,
            *("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"),
            *arguments,
        ],
        check=True,
        capture_output=True,
        env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1"},
    )


def git_repository(folder, name="file"):
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / name).write_text(f"in {name}\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git makes the repositories here")


@needs_git
def test_a_nested_repository_gives_its_files_and_keeps_its_inside(repository, root, tmp_path):
    git_repository(root / "vendor/lib")
    head = (root / "vendor/lib/.git/HEAD").read_bytes()
    result = repository.commit()
    assert set(entries(repository)) == {b"vendor", b"vendor/lib", b"vendor/lib/file"}
    assert result.coverage.ignored == 1
    assert result.snapshot.git is None  # the workspace itself is no repository
    (root / "vendor/lib/file").write_text("changed")
    repository.restore(result.snapshot)
    assert (root / "vendor/lib/file").read_text() == "in file\n"
    assert (root / "vendor/lib/.git/HEAD").read_bytes() == head
    assert sorted(os.listdir(elsewhere(repository, tmp_path) / "vendor/lib")) == ["file"]


@needs_git
def test_a_submodule_gives_its_files_and_its_link_stays(repository, root, tmp_path):
    git_repository(tmp_path / "other", "theirs")
    git_repository(root)
    git(root, "submodule", "add", "-q", str(tmp_path / "other"), "sub")
    git(root, "commit", "-q", "-m", "with a submodule")
    link = (root / "sub/.git").read_bytes()
    assert link.startswith(b"gitdir: ")
    result = repository.commit()
    assert set(entries(repository)) == {b".gitmodules", b"file", b"sub", b"sub/theirs"}
    assert result.snapshot.git.branch == "main"
    shutil.rmtree(root / "sub")
    repository.restore(result.snapshot)
    assert (root / "sub/theirs").read_text() == "in theirs\n"
    assert not (root / "sub/.git").exists()  # it was not captured: `git submodule update` makes it again


@needs_git
def test_a_git_worktree_tells_its_own_branch(root, tmp_path):
    git_repository(root)
    git(root, "worktree", "add", "-q", "-b", "side", str(tmp_path / "tree"))
    with Repository.init(tmp_path / "tree", tmp_path / "store-of-tree") as repository:
        state = repository.commit().snapshot.git
        assert state.branch == "side"
        assert len(state.head) == 40
        assert set(entries(repository)) == {b"file"}
        with Repository.init(root, tmp_path / "store-of-root") as main:
            assert main.commit().snapshot.git.refs_digest == state.refs_digest


@contextmanager
def mounted(source, target, *options):
    """Something mounted at ``target`` while the block runs; the test is skipped where that is not allowed."""
    command = ["mount", *options, str(source), str(target)]
    if shutil.which("mount") is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(target)], check=True)


def test_another_file_system_is_an_entry_and_never_entered(repository, root, tmp_path):
    (root / "data").mkdir()
    (root / "file").write_text("mine")
    with mounted("none", root / "data", "-t", "tmpfs"):
        (root / "data/theirs").write_text("theirs")
        result = repository.commit()
        assert entries(repository)[b"data"].state is EntryState.MOUNT
        assert b"data/theirs" not in entries(repository)
        assert result.coverage.mounts == 1
        assert not result.coverage.is_complete
        (root / "file").write_text("changed")
        restored = repository.restore(result.snapshot)
        assert not restored.problems
        assert (root / "file").read_text() == "mine"
        assert (root / "data/theirs").read_text() == "theirs"
        repository.restore(result.snapshot, to=tmp_path / "out")
        assert not os.path.exists(tmp_path / "out/data/theirs")


def test_a_folder_bound_from_the_same_file_system_is_a_folder(repository, root, tmp_path):
    (tmp_path / "bound").mkdir()
    (tmp_path / "bound/inside").write_text("inside")
    (root / "data").mkdir()
    with mounted(tmp_path / "bound", root / "data", "--bind"):
        assert repository.commit().coverage.mounts == 0
        assert repository.read(repository.head(), b"data/inside") == b"inside"


def test_hard_links_are_files_of_their_own_and_stored_once(repository, root, tmp_path):
    content = os.urandom(100_000)
    (root / "one").write_bytes(content)
    os.link(root / "one", root / "two")
    result = repository.commit()
    assert result.coverage.files == 2
    assert result.stored_bytes < 150_000
    out = elsewhere(repository, tmp_path)
    assert (out / "two").read_bytes() == content
    assert os.stat(out / "one").st_nlink == 1


def test_restoring_one_name_leaves_the_other_names_of_its_inode(repository, root):
    (root / "one").write_text("first")
    repository.commit()
    os.link(root / "one", root / "two")
    (root / "two").write_text("second")  # through both names
    repository.restore(repository.head(), RestoreOptions(paths=(b"one",)))
    assert (root / "one").read_text() == "first"
    assert (root / "two").read_text() == "second"


def test_a_sparse_file_is_stored_small_and_comes_back_with_holes(repository, root, tmp_path):
    size = 64 << 20
    with open(root / "sparse", "wb") as file:
        file.write(b"start")
        file.truncate(size)
        file.seek(size - 3)
        file.write(b"end")
    result = repository.commit()
    assert result.stored_bytes < 1 << 20
    out = elsewhere(repository, tmp_path) / "sparse"
    assert out.stat().st_size == size
    assert out.stat().st_blocks * 512 < 8 << 20
    with open(out, "rb") as file:
        assert file.read(5) == b"start"
        file.seek(size - 3)
        assert file.read() == b"end"


@pytest.fixture
def open_place():
    """A folder that every user may enter; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="casreplay-test-") as name:
        if any(above.stat().st_mode & 0o001 == 0 for above in Path(name).parents):
            pytest.skip(f"other users cannot enter {name}")
        os.chmod(name, 0o755)
        os.mkdir(os.path.join(name, "work"))
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to become a user who may not read")
def test_what_may_not_be_read_is_said_and_never_lost(open_place, repository):
    repository.commit()  # so that the child has loaded what it needs
    root = open_place / "work"
    for name in ("closed", "open"):
        (root / name).write_text(name)
    (root / "locked").mkdir()
    (root / "locked/inside").write_text("inside")
    for path in (open_place, root, root / "closed", root / "open", root / "locked", root / "locked/inside"):
        os.chown(path, NOBODY, NOBODY)
    (root / "closed").chmod(0)
    (root / "locked").chmod(0)
    join_all([child(lambda: _commit_as_nobody(root, open_place / "store"))])
    with Repository.open(open_place / "store", root) as seen:
        found = entries(seen)
        assert found[b"closed"].state is EntryState.UNREADABLE
        assert found[b"locked"].state is EntryState.UNREADABLE
        assert seen.read(seen.head(), b"open") == b"open"
        first = seen.head()
        (root / "open").write_text("changed")
        seen.restore(first)
    assert (root / "open").read_text() == "open"
    assert (root / "closed").read_text() == "closed"
    assert (root / "locked/inside").read_text() == "inside"


def _commit_as_nobody(root, store):
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    with Repository.init(root, store) as repository:
        result = repository.commit()
        listed = len(repository.diff(None, result.snapshot))
    assert result.coverage.unreadable == 2
    assert not result.coverage.is_complete
    assert result.changes.added == listed


def test_a_dry_run_foresees_what_the_rules_hide(repository, root):
    for path in ("x.tmp", "build/o", "keep", "way"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text("then")
    first = repository.commit().snapshot
    for path in ("keep", "way"):
        (root / path).unlink()
    (root / ".casreplayignore").write_text("*.tmp\nbuild/\n")
    (root / "keep").mkdir()
    for path in ("x.tmp", "build/o", "keep/z.tmp"):
        (root / path).write_text("now, in no snapshot")
    foreseen = repository.restore(first, RestoreOptions(dry_run=True)).failures
    forced = repository.restore(first, RestoreOptions(dry_run=True, force=True)).failures
    assert "x.tmp: something that is not recorded would be replaced" in {one.message for one in forced}
    met = repository.restore(first).failures
    assert {(one.code, one.path) for one in foreseen} == {
        ("exists", "x.tmp"),
        ("exists", "build/o"),
        ("not-empty", "keep"),
    }
    assert {one.path for one in met} == {one.path for one in foreseen}
    assert (root / "x.tmp").read_text() == "now, in no snapshot"
    assert (root / "way").read_text() == "then"


@pytest.mark.parametrize("name", [".casreplayignore", ".gitignore"])
def test_an_ignore_file_that_is_a_link_has_no_rules(root, tmp_path, name):
    (root / "rules").write_text("*.log\n")
    (root / "run.log").write_text("kept")
    (root / name).symlink_to("rules")
    Repository.init(root, tmp_path / "store").close()
    with Repository.open(tmp_path / "store", root, respect_gitignore=True) as repository:
        repository.commit()
        assert set(entries(repository)) == {name.encode(), b"rules", b"run.log"}
        (root / "rules").write_text("rules\n")
        repository.commit()
        assert set(entries(repository)) == {name.encode(), b"rules", b"run.log"}
        (root / name).unlink()
        (root / name).write_text("*.log\n")
        repository.commit()
        assert set(entries(repository)) == {name.encode(), b"rules"}


def test_a_hard_link_does_not_pass_modes_on(repository, root, tmp_path):
    for name, mode in (("a", 0o755), ("b", 0o644)):
        (root / name).write_text("same")
        (root / name).chmod(mode)
    first = repository.commit().snapshot
    os.utime(root / "a", (5, 5))
    (root / "b").unlink()
    os.link(root / "a", root / "b")
    os.link(root / "a", tmp_path / "outside")
    assert not repository.restore(first).problems
    assert repository.diff(first, None) == []
    assert not repository.restore(first, backup=False).plan.folders, "a second time there is nothing to do"
    assert ((tmp_path / "outside").stat().st_mode & 0o777, (tmp_path / "outside").stat().st_mtime) == (
        0o755,
        5,
    )


def test_folders_come_back_in_folders_that_may_not_be_written(open_place, repository, root, tmp_path):
    (root / "any/folder").mkdir(parents=True)
    elsewhere_first = repository.commit().snapshot
    shutil.rmtree(root / "any")
    repository.restore(elsewhere_first)  # so that a child that is another user has loaded what it needs
    if os.geteuid() == 0:
        os.chown(open_place, NOBODY, NOBODY)
        os.chown(open_place / "work", NOBODY, NOBODY)
    join_all([child(lambda: _restore_into_what_is_closed(open_place / "work", open_place / "store"))])


def _restore_into_what_is_closed(root, store):
    _become_nobody()
    (root / "a/b/c/d").mkdir(parents=True)
    (root / "a/b/c/file").write_text("inside")
    (root / "top").mkdir()
    with Repository.init(root, store) as repository:
        (root / "a").chmod(0o555)
        first = repository.commit().snapshot
        (root / "a").chmod(0o755)
        shutil.rmtree(root / "a/b")
        shutil.rmtree(root / "top")
        (root / "a").chmod(0o555)
        root.chmod(0o555)
        assert not repository.restore(first).problems
        assert repository.diff(first, None) == []
        assert (root / "a/b/c/file").read_text() == "inside"
        assert [stat.S_IMODE(path.stat().st_mode) for path in (root, root / "a")] == [0o555, 0o555]
        root.chmod(0o755)


def _become_nobody():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def test_what_lies_in_a_folder_that_gets_locked_is_not_counted_on(open_place, repository):
    # So that a child that is another user has loaded what it needs.
    assert _counted(repository) == (0, 0, 0)
    if os.geteuid() == 0:
        os.chown(open_place, NOBODY, NOBODY)
        os.chown(open_place / "work", NOBODY, NOBODY)
    join_all([child(lambda: _lock_and_unlock(open_place / "work", open_place / "store"))])


def _counted(repository):
    """Files, folders and what could not be read, as a commit counts them and as its snapshot holds them."""
    coverage = repository.commit(CommitOptions(label="counted")).coverage
    found = entries(repository).values()
    counted = coverage.files, coverage.folders, coverage.unreadable
    assert counted == (
        sum(entry.kind is EntryKind.FILE for entry in found),
        sum(entry.kind is EntryKind.FOLDER for entry in found),
        sum(entry.state is EntryState.UNREADABLE for entry in found),
    )
    assert coverage.vanished == 0
    return counted


def _lock_and_unlock(root, store):
    _become_nobody()
    (root / "a/b/c").mkdir(parents=True)
    for path in ("a/f", "a/b/g", "a/b/c/h", "beside"):
        (root / path).write_text(path)
    with Repository.init(root, store) as repository:
        assert _counted(repository) == (4, 3, 0)
        (root / "a").chmod(0)
        assert _counted(repository) == (1, 1, 1)
        (root / "beside").write_text("more")
        assert _counted(repository) == (1, 1, 1)
        (root / "a").chmod(0o755)
        assert _counted(repository) == (4, 3, 0)
        (root / "a/b").chmod(0)
        assert _counted(repository) == (2, 2, 1)
        (root / "a").chmod(0)
        assert _counted(repository) == (1, 1, 1)
        (root / "a").chmod(0o755)
        (root / "a/b").chmod(0o755)
        shutil.rmtree(root / "a")
        assert _counted(repository) == (1, 0, 0)


def test_files_and_folders_of_mode_000_come_back_with_it(repository, root, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root reads what has no permissions")
    (root / "none").write_text("secret")
    (root / "folder").mkdir()
    (root / "folder/inside").write_text("inside")
    (root / "none").chmod(0)
    (root / "folder").chmod(0)
    repository.commit()
    out = elsewhere(repository, tmp_path)
    assert stat.S_IMODE((out / "none").stat().st_mode) == 0
    assert stat.S_IMODE((out / "folder").stat().st_mode) == 0
    assert (out / "none").read_text() == "secret"
    assert (out / "folder/inside").read_text() == "inside"


@pytest.mark.parametrize("seconds", [-(2**31) + 1, -1, 0, 2**32 + 1, 4_300_000_000, 2**33])
def test_times_before_1970_and_after_2106_come_back(repository, root, tmp_path, seconds):
    when = seconds * NS + 123_456_789
    (root / "file").write_text("old or new")
    (root / "folder").mkdir()
    for name in ("file", "folder"):
        os.utime(root / name, ns=(when, when))
        if os.stat(root / name).st_mtime_ns != when:
            pytest.skip("this file system cannot hold the time")
    repository.commit()
    assert entries(repository)[b"file"].mtime_ns == when
    out = elsewhere(repository, tmp_path)
    assert os.stat(out / "file").st_mtime_ns == when
    assert os.stat(out / "folder").st_mtime_ns == when
    assert not repository.commit().recorded


def deep(root, levels, name=b"d" * 200):
    """Folders nested further than one path can name; returns the descriptor of the innermost."""
    fd = os.open(root, OPEN_FOLDER)
    for _ in range(levels):
        os.mkdir(name, dir_fd=fd)
        inner = os.open(name, OPEN_FOLDER, dir_fd=fd)
        os.close(fd)
        fd = inner
    return fd


def descend(root, levels, name=b"d" * 200):
    fd = os.open(root, OPEN_FOLDER)
    for _ in range(levels):
        inner = os.open(name, OPEN_FOLDER, dir_fd=fd)
        os.close(fd)
        fd = inner
    return fd


def write_at(fd, name, content):
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=fd)
    os.write(handle, content)
    os.close(handle)


def read_at(fd, name):
    handle = os.open(name, os.O_RDONLY, dir_fd=fd)
    try:
        return os.read(handle, 1000)
    finally:
        os.close(handle)


def test_paths_longer_than_the_system_can_name_are_recorded_and_restored(repository, root, tmp_path):
    levels = 40  # of 200 bytes each: twice PATH_MAX
    fd = deep(root, levels)
    write_at(fd, b"bottom", b"down here")
    result = repository.commit()
    assert result.coverage.is_complete
    assert (result.coverage.files, result.coverage.folders) == (1, levels)
    path = b"/".join([b"d" * 200] * levels + [b"bottom"])
    assert repository.read(result.snapshot, path) == b"down here"
    assert not repository.commit().recorded
    write_at(fd, b"bottom", b"changed")
    assert [change.path for change in repository.diff(result.snapshot, None)] == [path]
    repository.restore(result.snapshot)
    again = descend(root, levels)
    assert read_at(again, b"bottom") == b"down here"
    out = elsewhere(repository, tmp_path, result.snapshot)
    other = descend(out, levels)
    assert read_at(other, b"bottom") == b"down here"
    for one in (fd, again, other):
        os.close(one)
    for top in (root, out):
        subprocess.run(["rm", "-rf", top / ("d" * 200)], check=True)  # pytest's own clean-up cannot


@pytest.mark.parametrize("levels", [1022, 1023, 1100])
def test_folders_too_deep_for_a_snapshot_are_said_to_be_unread(repository, root, tmp_path, levels):
    fd = deep(root, levels, b"d")
    write_at(fd, b"bottom", b"1")
    result = repository.commit()
    fits = levels < MAX_DEPTH - 1
    assert result.coverage.unreadable == (0 if fits else 1)
    assert result.coverage.files == (1 if fits else 0)
    assert len(entries(repository)) == min(levels, MAX_DEPTH - 1) + (1 if fits else 0)
    assert fsck(repository.store, data=True).is_clean
    write_at(fd, b"later", b"2")
    assert (
        len(repository.diff(result.snapshot, None)) == repository.commit().changes.added == (1 if fits else 0)
    )
    restored = repository.restore(repository.head(), to=tmp_path / "out")
    assert [problem.code for problem in restored.problems] == ([] if fits else ["no-content"])
    os.close(fd)


def test_an_ignore_file_that_is_none_keeps_nobody_waiting(repository, root):
    os.mkfifo(root / ".casreplayignore")
    (root / "folder").mkdir()
    os.symlink("/dev/zero", root / "folder/.casreplayignore")
    (root / "folder/file").write_text("1")
    assert repository.commit().coverage.files == 1
    (root / "folder/file2").write_text("1")
    assert repository.commit().coverage.files == 2


@pytest.mark.parametrize("name", [b"n" * 255, "é".encode() * 127 + b"x", b"\xff" * 255])
def test_names_of_255_bytes_come_back(repository, root, tmp_path, name):
    inside = os.path.join(os.fsencode(root), name)
    os.mkdir(inside)
    with open(os.path.join(inside, name), "wb") as file:
        file.write(b"long")
    os.symlink(name, os.path.join(inside, b"l" * 255))
    repository.commit()
    out = os.path.join(os.fsencode(elsewhere(repository, tmp_path)), name)
    with open(os.path.join(out, name), "rb") as file:
        assert file.read() == b"long"
    assert os.readlink(os.path.join(out, b"l" * 255)) == name


def test_links_in_loops_are_links(repository, root, tmp_path):
    os.symlink("b", root / "a")
    os.symlink("a", root / "b")
    os.symlink("self", root / "self")
    (root / "folder").mkdir()
    os.symlink("..", root / "folder/up")
    os.symlink("/", root / "everything")
    result = repository.commit()
    assert result.coverage.symlinks == 5
    assert {entry.kind for entry in entries(repository).values()} == {EntryKind.SYMLINK, EntryKind.FOLDER}
    out = elsewhere(repository, tmp_path)
    assert os.readlink(out / "a") == "b"
    assert os.readlink(out / "self") == "self"
    assert os.readlink(out / "folder/up") == ".."
    os.unlink(root / "a")
    repository.restore(result.snapshot)
    assert os.readlink(root / "a") == "b"


def test_a_workspace_that_is_a_link_is_the_folder_it_points_at(root, tmp_path):
    (root / "file").write_text("one")
    link = tmp_path / "link"
    link.symlink_to("work")
    with Repository.init(link, tmp_path / "store") as repository:
        assert repository.root == os.fsencode(root)
        first = repository.commit().snapshot
        (root / "file").write_text("two")
        repository.restore(first)
    assert link.is_symlink()
    assert (root / "file").read_text() == "one"
    with Repository.open(tmp_path / "store", root) as repository:
        assert repository.commit().snapshot.tree == first.tree
        assert not repository.status()[0]


def _swap_before_reading(monkeypatch, root, swap):
    """Calls ``swap`` once: after the folder was listed, before the file ``victim`` is opened."""
    read = ingest.read_listed
    done = []

    def reading(folder_fd, name, row):
        if name == b"victim" and not done:
            done.append(name)
            os.unlink(root / "victim")
            swap(root / "victim")
        return read(folder_fd, name, row)

    monkeypatch.setattr(ingest, "read_listed", reading)
    return done


def _to_folder(path):
    path.mkdir()
    (path / "inside").write_text("inside")


@pytest.mark.parametrize(
    "swap",
    [_to_folder, os.mkfifo, lambda path: path.symlink_to("/etc/passwd"), lambda path: None],
    ids=["folder", "fifo", "link", "nothing"],
)
def test_a_file_replaced_between_listing_and_opening_has_vanished(repository, root, monkeypatch, swap):
    (root / "victim").write_text("as listed")
    (root / "other").write_text("other")
    done = _swap_before_reading(monkeypatch, root, swap)
    result = repository.commit()
    assert done
    assert entries(repository)[b"victim"].state is EntryState.VANISHED
    assert result.coverage.vanished == 1
    assert repository.read(result.snapshot, b"other") == b"other"
    second = repository.commit()
    assert second.recorded
    assert second.coverage.is_complete
    now = entries(repository).get(b"victim")
    assert (now is not None) == os.path.lexists(root / "victim")
    if now is not None and now.kind is EntryKind.FOLDER:
        assert repository.read(second.snapshot, b"victim/inside") == b"inside"


def test_the_first_commit_counts_what_a_diff_from_nothing_lists(repository, root):
    (root / "empty").mkdir()
    (root / "full").mkdir()
    (root / "full/file").write_text("1")
    (root / "only-left-out").mkdir()
    (root / "only-left-out/x.pyc").write_text("left out")
    os.mkfifo(root / "fifo")
    os.symlink("nowhere", root / "link")
    (root / "large").write_bytes(b"x" * 1000)
    result = repository.commit(CommitOptions(max_file_bytes=100))
    assert result.changes.added == len(repository.diff(None, result.snapshot)) == 6
    assert result.changes == repository.counts(result.snapshot)
