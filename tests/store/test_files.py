"""The disk's seam: what it promises, and how errors of the system come out."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from casreplay.errors import StoreIOError
from casreplay.store.files import OsFiles, is_missing, make_folders, replace


@pytest.fixture
def files():
    return OsFiles()


def test_appending_and_reading(files, tmp_path):
    path = str(tmp_path / "file")
    handle = files.append(path, create=True)
    handle.write(b"one")
    handle.write(memoryview(b" two"))
    assert handle.size == 7
    handle.sync()
    handle.close()
    handle.close()
    assert files.read(path) == b"one two"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    again = files.append(path)
    assert again.size == 7
    again.write(b"!")
    again.close()
    reader = files.open(path)
    assert (reader.pread(3, 4), reader.pread(100, 6), reader.pread(5, 99), reader.size()) == (
        b"two",
        b"o!",
        b"",
        8,
    )
    reader.close()
    assert bytes(files.map(path)) == b"one two!"


def test_creating_does_not_overwrite(files, tmp_path):
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(StoreIOError) as caught:
        files.append(str(tmp_path / "file"), create=True)
    assert caught.value.fields["errno"] == errno.EEXIST
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_what_is_missing_says_so(files, tmp_path):
    nowhere = str(tmp_path / "nowhere")
    for action in (files.read, files.open, files.map, files.append):
        with pytest.raises(StoreIOError) as caught:
            action(nowhere)
        assert is_missing(caught.value)
    assert files.stamp(nowhere) is None
    assert files.names(nowhere) == []
    files.remove(nowhere)


def test_a_full_disk_has_a_hint(files):
    if not os.path.exists("/dev/full"):
        pytest.skip("the device that is always full exists on Linux only")
    handle = files.append("/dev/full")
    with pytest.raises(StoreIOError, match="No space") as caught:
        handle.write(b"x")
    assert "space" in caught.value.hint
    with pytest.raises(StoreIOError, match="earlier write failed"):
        handle.sync()
    handle.close()


def test_replacing_leaves_the_old_or_the_new(files, tmp_path):
    path = str(tmp_path / "file")
    replace(files, path, b"old")
    (tmp_path / "file.tmp").write_bytes(b"left by a crash")
    replace(files, path, b"new")
    assert (files.read(path), files.names(str(tmp_path))) == (b"new", ["file"])


def test_folders_are_private(files, tmp_path):
    make_folders(files, str(tmp_path / "a" / "b"))
    assert stat.S_IMODE(os.stat(tmp_path / "a" / "b").st_mode) == 0o700
    make_folders(files, str(tmp_path / "a" / "b"))


def test_truncate_and_stamp(files, tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    files.truncate(str(tmp_path / "file"), 4)
    assert (tmp_path / "file").read_bytes() == b"0123"
    assert files.stamp(str(tmp_path / "file"))[1] == 4
    assert files.stamp(str(tmp_path)) is None


def test_an_empty_file_maps_to_nothing(files, tmp_path):
    (tmp_path / "file").touch()
    assert files.map(str(tmp_path / "file")) == b""


def test_locks_exclude_and_share(files, tmp_path):
    path = str(tmp_path / "lock")
    first = files.try_lock(path, exclusive=False)
    second = files.try_lock(path, exclusive=False)
    assert first
    assert second
    assert files.try_lock(path, exclusive=True) is None
    first.release()
    first.release()
    assert files.try_lock(path, exclusive=True) is None
    second.release()
    alone = files.try_lock(path, exclusive=True)
    assert alone
    assert files.try_lock(path, exclusive=False) is None
    alone.release()


def test_what_the_system_refuses_is_said_with_the_path_as_text(tmp_path):
    with pytest.raises(StoreIOError) as caught:
        OsFiles().open(str(tmp_path / "nothing"))
    assert caught.value.message == f"Cannot open '{tmp_path}/nothing': No such file or directory"
