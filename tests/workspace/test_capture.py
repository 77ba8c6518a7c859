"""The safe read: what is kept is what was there, and what would not hold still is said."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from casreplay.model.objects import EntryState
from casreplay.workspace import capture
from casreplay.workspace.stat_row import stat_row


@pytest.fixture
def folder(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    yield tmp_path, fd
    os.close(fd)


class MeddlingReads:
    """Stands in for ``os.read``: runs a deed after each read, the way a busy program would."""

    def __init__(self, monkeypatch, deed, times=1):
        self._real, self._deed, self._left = os.read, deed, times
        monkeypatch.setattr(capture.os, "read", self)

    def __call__(self, fd, n):
        data = self._real(fd, n)
        if self._left:
            self._left -= 1
            self._deed()
        return data


def _later(path, data, mode="wb"):
    """Write so that the modification time differs for certain."""
    before = path.stat().st_mtime_ns
    with path.open(mode) as f:
        f.write(data)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_a_quiet_file_is_complete(folder):
    path, fd = folder
    (path / "a").write_bytes(b"content")
    got = capture.read_file(fd, b"a")
    assert (got.state, got.data) == (EntryState.COMPLETE, b"content")
    assert got.stat == stat_row(os.stat(path / "a"))


def test_an_empty_file_is_complete_and_empty(folder):
    path, fd = folder
    (path / "a").write_bytes(b"")
    assert capture.read_file(fd, b"a").data == b""


def test_a_file_that_only_grew_keeps_its_prefix(folder, monkeypatch):
    path, fd = folder
    (path / "log").write_bytes(b"one\n")
    MeddlingReads(monkeypatch, lambda: _later(path / "log", b"two\n", "ab"))
    got = capture.read_file(fd, b"log")
    assert (got.state, got.data) == (EntryState.PREFIX, b"one\n")
    assert got.stat[1] == 4


def test_one_rewrite_while_reading_is_read_again(folder, monkeypatch):
    path, fd = folder
    (path / "a").write_bytes(b"old content")
    MeddlingReads(monkeypatch, lambda: _later(path / "a", b"new content"))
    got = capture.read_file(fd, b"a", sleep=lambda _: None)
    assert (got.state, got.data) == (EntryState.COMPLETE, b"new content")


def test_a_file_that_never_rests_is_torn_and_keeps_the_last_attempt(folder, monkeypatch):
    path, fd = folder
    (path / "a").write_bytes(b"0")
    count = iter(range(1, 100))
    MeddlingReads(monkeypatch, lambda: _later(path / "a", b"%d" % next(count)), times=99)
    waits = []
    got = capture.read_file(fd, b"a", sleep=waits.append)
    assert got.state is EntryState.TORN
    assert got.data == b"2"
    assert len(waits) == capture.ATTEMPTS - 1


def test_a_truncated_file_is_not_called_complete(folder, monkeypatch):
    path, fd = folder
    (path / "a").write_bytes(b"x" * 100)
    MeddlingReads(monkeypatch, lambda: _later(path / "a", b"x" * 10), times=99)
    assert capture.read_file(fd, b"a", sleep=lambda _: None).state is EntryState.TORN


def test_a_file_replaced_while_read_keeps_the_bytes_of_the_one_opened(folder, monkeypatch):
    path, fd = folder
    (path / "a").write_bytes(b"first")
    (path / "b").write_bytes(b"second")
    MeddlingReads(monkeypatch, lambda: os.replace(path / "b", path / "a"))
    got = capture.read_file(fd, b"a")
    assert (got.state, got.data) == (EntryState.COMPLETE, b"first")


def test_a_missing_file_has_vanished_and_no_content(folder):
    got = capture.read_file(folder[1], b"nothing")
    assert (got.state, got.data) == (EntryState.VANISHED, None)


def test_a_fifo_does_not_block_and_has_no_content(folder):
    path, fd = folder
    os.mkfifo(path / "pipe")
    assert capture.read_file(fd, b"pipe").data is None


def test_a_symlink_is_not_followed(folder):
    path, fd = folder
    (path / "secret").write_bytes(b"secret")
    os.symlink("secret", path / "link")
    assert capture.read_file(fd, b"link").data is None
    assert capture.read_link(fd, b"link").data == b"secret"


def test_a_link_that_became_a_file_has_vanished(folder):
    path, fd = folder
    (path / "a").write_bytes(b"")
    assert capture.read_link(fd, b"a").state is EntryState.VANISHED


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_denied_file_is_unreadable(folder):
    path, fd = folder
    (path / "a").write_bytes(b"x")
    os.chmod(path / "a", 0)
    assert capture.read_file(fd, b"a").state is EntryState.UNREADABLE


def test_an_io_error_is_unreadable_not_empty(folder, monkeypatch):
    path, fd = folder
    (path / "a").write_bytes(b"x")

    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(capture.os, "read", fail)
    got = capture.read_file(fd, b"a")
    assert (got.state, got.data) == (EntryState.UNREADABLE, None)


def test_a_short_read_is_continued(folder, monkeypatch):
    path, fd = folder
    (path / "a").write_bytes(bytes(range(256)))
    real = os.read
    monkeypatch.setattr(capture.os, "read", lambda f, n: real(f, min(n, 100)))
    assert capture.read_file(fd, b"a").data == bytes(range(256))


def test_streaming_gives_the_same_bytes_and_verdict(folder):
    path, fd = folder
    data = os.urandom(3 * capture.PIECE_BYTES + 17)
    (path / "big").write_bytes(data)
    with capture.FileStream(fd, b"big") as stream:
        assert b"".join(stream.pieces()) == data
        assert stream.result().state is EntryState.COMPLETE


def test_streaming_a_growing_file_keeps_the_size_at_opening(folder):
    path, fd = folder
    (path / "big").write_bytes(b"x" * 5000)
    with capture.FileStream(fd, b"big") as stream:
        _later(path / "big", b"y" * 100, "ab")
        assert b"".join(stream.pieces()) == b"x" * 5000
        got = stream.result()
    assert (got.state, got.stat[1]) == (EntryState.PREFIX, 5000)


def test_streaming_a_shrunken_file_is_torn(folder):
    path, fd = folder
    (path / "big").write_bytes(b"x" * 5000)
    with capture.FileStream(fd, b"big") as stream:
        os.truncate(path / "big", 100)
        assert len(b"".join(stream.pieces())) == 100
        assert stream.result().state is EntryState.TORN


def test_streaming_refuses_what_is_no_regular_file(folder, tmp_path):
    path, fd = folder
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path / "s"))
        os.mkdir(path / "d")
        for name in (b"d", b"s"):
            with pytest.raises(OSError, match=r"No regular file|No such device"):
                capture.FileStream(fd, name)


def test_reading_from_many_threads_at_once_is_safe(folder):
    path, fd = folder
    for i in range(20):
        (path / str(i)).write_bytes(b"%d" % i * 1000)
    wrong = []

    def read_all() -> None:
        wrong.extend(i for i in range(20) if capture.read_file(fd, b"%d" % i).data != b"%d" % i * 1000)

    threads = [threading.Thread(target=read_all) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


class TestListed:
    """The quick read of a file that still is what its listing said."""

    @staticmethod
    def _row(path):
        return stat_row(os.lstat(path))

    @pytest.mark.parametrize("data", [b"", b"content", bytes(200_000)])
    def test_a_file_that_did_not_change_is_read_with_one_look(self, folder, monkeypatch, data):
        path, fd = folder
        (path / "a").write_bytes(data)
        looks = []
        real = os.fstat
        monkeypatch.setattr(capture.os, "fstat", lambda f: looks.append(f) or real(f))
        assert capture.read_listed(fd, b"a", self._row(path / "a")) == data
        assert len(looks) == 1

    @pytest.mark.parametrize("column", range(5))
    def test_any_difference_from_the_listing_is_left_to_the_careful_read(self, folder, column):
        path, fd = folder
        (path / "a").write_bytes(b"content")
        row = list(self._row(path / "a"))
        row[column] += 1
        assert capture.read_listed(fd, b"a", tuple(row)) is None

    @pytest.mark.parametrize(
        "deed",
        [
            lambda file: _later(file, b"grown", "ab"),
            lambda file: _later(file, b"CONTENT"),
            lambda file: _later(file, b"less"),
            lambda file: os.utime(file, ns=(5, 5)),
            lambda file: file.chmod(0o600),
        ],
        ids=["grown", "rewritten", "cut", "touched", "mode"],
    )
    def test_a_change_while_it_is_read_is_left_to_the_careful_read(self, folder, monkeypatch, deed):
        path, fd = folder
        (path / "a").write_bytes(b"content")
        row = self._row(path / "a")
        real = os.pread

        def reading(file, n, offset):
            data = real(file, n, offset)
            deed(path / "a")
            return data

        monkeypatch.setattr(capture, "_pread", reading)
        assert capture.read_listed(fd, b"a", row) is None

    def test_a_gone_file_is_left_to_the_careful_read(self, folder):
        path, fd = folder
        (path / "a").write_bytes(b"x")
        row = self._row(path / "a")
        (path / "a").unlink()
        assert capture.read_listed(fd, b"a", row) is None

    def test_a_link_to_the_very_file_is_not_followed(self, folder):
        path, fd = folder
        (path / "a").write_bytes(b"x")
        row = self._row(path / "a")
        (path / "a").rename(path / "b")
        os.symlink("b", path / "a")
        assert capture.read_listed(fd, b"a", row) is None

    def test_nothing_is_taken_out_of_a_fifo_that_took_the_name(self, folder):
        path, fd = folder
        (path / "a").write_bytes(b"12345")
        row = self._row(path / "a")
        (path / "a").unlink()
        os.mkfifo(path / "a")
        both_ends = os.open(path / "a", os.O_RDWR | os.O_NONBLOCK)
        try:
            os.write(both_ends, b"12345")
            assert capture.read_listed(fd, b"a", row) is None
            assert os.read(both_ends, 10) == b"12345", "what somebody else waits for is still there"
        finally:
            os.close(both_ends)

    def test_a_socket_or_folder_that_took_the_name_is_left_to_the_careful_read(self, folder, monkeypatch):
        path, fd = folder
        (path / "a").write_bytes(b"x")
        row = self._row(path / "a")
        (path / "a").unlink()
        (path / "a").mkdir()
        assert capture.read_listed(fd, b"a", row) is None
        (path / "a").rmdir()
        monkeypatch.chdir(path)  # a socket's name must be short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("a")
            assert capture.read_listed(fd, b"a", row) is None

    def test_where_there_is_no_pread_the_careful_read_does_it_all(self, folder, monkeypatch):
        path, fd = folder
        (path / "a").write_bytes(b"x")
        monkeypatch.setattr(capture, "_pread", None)
        assert capture.read_listed(fd, b"a", self._row(path / "a")) is None
