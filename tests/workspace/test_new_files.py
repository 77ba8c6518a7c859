"""Files into a folder that holds nothing: written as recorded, and every difference found afterwards."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from support.plain_folders import T0, picture
from support.tree_builder import DictObjects

from casreplay.model.objects import EntryKind, EntryState
from casreplay.workspace.new_files import differing, write_new
from casreplay.workspace.steps import NewFiles
from casreplay.workspace.writer import STREAM_BYTES, Content, Writer

CONTENTS = {b"a": b"1", b"b": b"", b"c": b"three", b"d": b"four"}
MODES = [0o644, 0o600, 0o755, 0o444]


def new_files(objects, contents=CONTENTS, modes=MODES):
    """Columns of files with the given contents, which are kept in ``objects``."""
    return NewFiles(
        list(contents),
        modes,
        [len(data) for data in contents.values()],
        [T0 + i for i in range(len(contents))],
        [objects.put(data) for data in contents.values()],
        bytes([EntryKind.FILE] * len(contents)),
        bytes([EntryState.COMPLETE] * len(contents)),
    )


def writer(objects, *, force=False, exact=False, read=None):
    return Writer(Content(read or objects.get, objects.stream), modes_are_exact=exact, force=force)


class Place:
    """An open folder, columns of files for it and where their contents are."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDONLY)
        self.objects = DictObjects()
        self.files = new_files(self.objects)

    def write(self, *, reread=True, **options):
        """Counts and failures; which files were not seen to be right is kept in ``unsure``."""
        *told, self.unsure = write_new(self.fd, self.files, writer(self.objects, **options), reread=reread)
        return tuple(told)

    def differing(self, *, contents=True):
        return differing(self.fd, self.files, range(len(self.files)), contents=contents)


@pytest.fixture
def place(tmp_path):
    found = Place(os.fsencode(tmp_path))
    yield found
    os.close(found.fd)


def test_files_are_written_as_recorded_and_found_right(place):
    assert place.write() == (4, 10, [])
    assert picture(place.path) == {
        name: (oct(mode), data, T0 + i)
        for i, ((name, data), mode) in enumerate(zip(CONTENTS.items(), MODES, strict=True))
    }
    assert place.unsure == []
    assert place.differing() == []
    assert place.differing(contents=False) == []


def test_what_the_disk_made_of_a_file_is_seen_before_it_is_closed(place, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data.replace(b"three", b"thrEE")))
    assert place.write() == (4, 10, [])
    assert place.unsure == [2]
    assert differing(place.fd, place.files, place.unsure, contents=True) == [(b"c", "its content differs")]


def test_what_becomes_of_a_file_while_its_neighbours_are_written_is_seen(place):
    def read(blob):
        if blob == place.files.ids[2]:
            replace(place.path + b"/a", b"longer")
            os.unlink(place.path + b"/b")
        return place.objects.get(blob)

    place.write(read=read)
    assert place.unsure == [0, 1]


def test_a_mode_that_did_not_take_is_seen(place, monkeypatch):
    monkeypatch.setattr(os, "fchmod", lambda _fd, _mode: None)
    mask = os.umask(0o077)
    try:
        place.write(reread=False)
    finally:
        os.umask(mask)
    assert place.unsure == [0, 2, 3]
    names = [name for name, _ in differing(place.fd, place.files, place.unsure, contents=False)]
    assert names == [b"a", b"c", b"d"]


def test_values_are_made_when_asked_for(place):
    files = place.files
    assert [work.name for work in files] == list(CONTENTS)
    assert [work.name for work in files[1:3]] == [b"b", b"c"]
    assert files[2].entry.mode == 0o755
    assert (files[2].before, files[2].entry.size_bytes, files[2].entry.mtime_ns) == (None, 5, T0 + 2)


def test_a_damaged_or_missing_content_costs_one_file(place):
    place.objects.kept[place.files.ids[0]] = b"other"
    place.objects.kept.pop(place.files.ids[2])
    count, size, failed = place.write()
    assert (count, size, [name for name, _ in failed]) == (2, 4, [b"a", b"c"])
    assert set(picture(place.path)) == {b"b", b"d"}


def test_a_content_of_the_wrong_length_is_no_file(place):
    count, _, failed = place.write(read=lambda _: b"four")
    assert (count, [name for name, _ in failed]) == (1, [b"a", b"b", b"c"])
    assert set(picture(place.path)) == {b"d"}


@pytest.mark.parametrize("force", [False, True])
def test_what_stands_there_is_kept_unless_forced(place, force):
    with open(place.path + b"/c", "wb") as file:
        file.write(b"mine")
    count, _, failed = place.write(force=force)
    assert (count, [name for name, _ in failed]) == ((4, []) if force else (3, [b"c"]))
    assert place.unsure == ([2] if force else [])
    assert picture(place.path)[b"c"][1] == (b"three" if force else b"mine")


def test_a_link_in_the_way_is_not_written_through(place, tmp_path_factory):
    outside = os.fsencode(tmp_path_factory.mktemp("outside")) + b"/x"
    os.symlink(outside, place.path + b"/a")
    _, _, failed = place.write()
    assert [name for name, _ in failed] == [b"a"]
    assert not os.path.lexists(outside)


def test_large_files_are_written_piece_by_piece(place):
    place.files = new_files(place.objects, {b"large": b"x" * (STREAM_BYTES + 1)}, [0o640])
    asked = []

    def read(blob):
        asked.append(blob)
        return place.objects.get(blob)

    assert place.write(read=read) == (1, STREAM_BYTES + 1, [])
    assert asked == []
    assert place.unsure == [0]
    assert place.differing() == []
    with open(place.path + b"/large", "r+b") as file:
        file.write(b"y")
    os.utime(place.path + b"/large", ns=(T0, T0))
    assert place.differing() == [(b"large", "its content differs")]


def test_a_full_disk_stops_at_once_and_leaves_no_part(place):
    def read(blob):
        if blob == place.files.ids[1]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return place.objects.get(blob)

    with pytest.raises(OSError, match="No space"):
        place.write(read=read)
    assert set(picture(place.path)) == {b"a"}


def test_an_interrupt_leaves_no_part(place):
    class _StopError(BaseException):
        pass

    def read(blob):
        if blob == place.files.ids[2]:
            raise _StopError
        return place.objects.get(blob)

    with pytest.raises(_StopError):
        place.write(read=read)
    assert set(picture(place.path)) == {b"a", b"b"}


def replace(path, data):
    with open(path, "wb") as file:
        file.write(data)


def swap_for_link(path):
    os.unlink(path)
    os.symlink(b"d", path)


def swap_for_fifo(path):
    os.unlink(path)
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: replace(path, b"THREE"), "its content differs"),
        (lambda path: replace(path, b"longer than before"), "it has 18 bytes, not 5"),
        (lambda path: os.chmod(path, 0o640), "its mode is 0640, not 0755"),
        (lambda path: os.utime(path, ns=(T0, T0 + 9)), "its time differs"),
        (os.unlink, "No such file or directory"),
        (swap_for_link, "it is a symlink, not a file"),
        (swap_for_fifo, "it is a fifo, not a file"),
    ],
)
def test_every_difference_is_named(place, change, reason):
    place.write()
    path = place.path + b"/c"
    change(path)
    if "time" not in reason and os.path.exists(path) and stat.S_ISREG(os.lstat(path).st_mode):
        os.utime(path, ns=(T0 + 2, T0 + 2))
    assert place.differing() == [(b"c", reason)]
    assert place.differing(contents=False) == ([] if "content" in reason else [(b"c", reason)])
