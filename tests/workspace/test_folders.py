"""Open folders and the calls that differ between systems."""

from __future__ import annotations

import os
import stat
import threading

import pytest
from support.plain_folders import content, entries, make
from support.tree_builder import DictObjects, Executable

from casreplay.workspace.folders import MAX_OPEN, FolderStack, open_root
from casreplay.workspace.materialize import apply
from casreplay.workspace.plan import plan
from casreplay.workspace.platform import ignores_case, require_folder_calls, set_mode


@pytest.fixture
def root(tmp_path):
    fd = open_root(os.fsencode(tmp_path))
    yield fd
    os.close(fd)


def inode(fd):
    return os.fstat(fd).st_ino


def test_neighbours_share_their_ancestors(root, tmp_path):
    make(os.fsencode(tmp_path), {b"a": {b"b": {b"c": {}, b"d": {}}}, b"e": {}})
    with FolderStack(root) as stack:
        for path in (b"a/b/c", b"a/b/d", b"a", b"", b"e", b"a/b"):
            assert inode(stack.open(path)) == os.stat(os.path.join(os.fsencode(tmp_path), path)).st_ino


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def test_far_down_and_back_up_with_few_descriptors(root, tmp_path):
    path = b"/".join([b"d"] * (MAX_OPEN * 3))
    before = _open_descriptors()
    with FolderStack(root) as stack:
        stack.open(path, create=True)
        assert _open_descriptors() - before <= MAX_OPEN
        shallow = b"/".join([b"d"] * 5)
        assert inode(stack.open(shallow)) == os.stat(os.path.join(os.fsencode(tmp_path), shallow)).st_ino
        assert inode(stack.open(path)) == os.stat(os.path.join(os.fsencode(tmp_path), path)).st_ino


@pytest.mark.parametrize("create", [False, True])
def test_links_and_files_are_no_folders(root, tmp_path, create):
    os.symlink("/", tmp_path / "link")
    (tmp_path / "file").write_text("")
    with FolderStack(root) as stack:
        for path in (b"link", b"link/etc", b"file/x", b"file"):
            with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
                stack.open(path, create=create)
        assert inode(stack.open(b"")) == inode(root)


def test_a_missing_folder_is_made_only_when_asked(root, tmp_path):
    with FolderStack(root) as stack:
        with pytest.raises(FileNotFoundError):
            stack.open(b"a/b")
        stack.open(b"a/b", create=True)
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_a_new_folder_is_made_without_looking_and_one_that_stands_is_opened(root, tmp_path):
    (tmp_path / "a" / "old").mkdir(parents=True, mode=0o750)
    (tmp_path / "away").mkdir()
    os.symlink("away", tmp_path / "a" / "link")
    with FolderStack(root) as stack:
        for path in (b"a/new", b"a/old", b"a/new/below/it", b"a/new/below"):
            assert (
                inode(stack.open(path, create=True, is_new=True))
                == os.stat(tmp_path / os.fsdecode(path)).st_ino
            )
        with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
            stack.open(b"a/link", create=True, is_new=True)
        with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
            stack.open(b"a/link/x", create=True, is_new=True)
    assert stat.S_IMODE((tmp_path / "a" / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / "old").stat().st_mode) == 0o750
    assert list((tmp_path / "away").iterdir()) == []


def test_setting_a_mode_refuses_links(root, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0o644)
    os.symlink("file", tmp_path / "link")
    if os.chmod not in os.supports_follow_symlinks:
        with pytest.raises(OSError, match="Too many levels"):
            set_mode(b"link", 0o600, root)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644
    set_mode(b"file", 0o600, root)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_the_case_probe_leaves_nothing_and_needs_no_right_to_write(root, tmp_path):
    (tmp_path / "A").write_text("")
    expected = (tmp_path / "a").exists()
    assert ignores_case(root) is expected
    assert os.listdir(tmp_path) == ["A"]
    gone = tmp_path / "gone"
    gone.mkdir()
    fd = open_root(os.fsencode(gone))
    gone.rmdir()
    assert ignores_case(fd) is False
    os.close(fd)


def test_this_system_has_the_calls_that_writing_needs():
    require_folder_calls()


def test_with_other_threads_the_umask_is_left_alone_and_modes_are_exact(tmp_path):
    folder = os.fsencode(tmp_path)
    objects = DictObjects()
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    before = os.umask(0o077)
    try:
        steps = plan([], entries(objects, {b"a": b"1", b"x": Executable(b"2")}))
        assert apply(steps, folder, content(objects)).problems == []
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
        done.set()
        other.join()
    assert stat.S_IMODE(os.stat(folder + b"/a").st_mode) == 0o644
    assert stat.S_IMODE(os.stat(folder + b"/x").st_mode) == 0o755


def test_who_only_reads_changes_no_mode(root, tmp_path, monkeypatch):
    (tmp_path / "shut").mkdir(mode=0o500)
    real = os.open

    def denied(name, *args, **options):
        if name == b"shut":
            raise PermissionError(13, "Permission denied")
        return real(name, *args, **options)

    monkeypatch.setattr(os, "open", denied)
    with FolderStack(root, opens_up=False) as stack, pytest.raises(PermissionError):
        stack.open(b"shut")
    assert stat.S_IMODE((tmp_path / "shut").stat().st_mode) == 0o500
