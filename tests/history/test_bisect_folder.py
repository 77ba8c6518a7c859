"""A probe's folder: put right whatever a command does to it, and nothing outside is touched."""

from __future__ import annotations

import os
import shutil

import pytest
from support.plain_folders import make, picture
from support.tree_builder import DictObjects, Executable, Symlink, root_of

from casreplay.errors import MissingObjectError
from casreplay.history.bisect_folder import WorkFolder
from casreplay.model.objects import NO_ID, EntryKind, EntryState, TreeEntry

SPEC = {b"a": b"one", b"d": {b"b": Executable(b"two"), b"e": {b"f": b"deep"}, b"l": Symlink(b"b")}, b"z": b""}


@pytest.fixture
def objects():
    return DictObjects()


@pytest.fixture
def folder(tmp_path, objects):
    path = os.fsencode(tmp_path / "probe")
    os.mkdir(path)
    made = WorkFolder(path)
    made.switch(objects, root_of(objects, SPEC))
    return made


def rewrite_in_place(path):
    stamp = os.stat(path + b"/a")
    # Until the clock of the file system has gone on: it may be as coarse as some milliseconds.
    while os.stat(path + b"/a").st_ctime_ns == stamp.st_ctime_ns:
        with open(path + b"/a", "r+b") as file:
            file.write(b"ONE")
        os.utime(path + b"/a", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def replace_folder_by_link(path):
    shutil.rmtree(path + b"/d")
    os.symlink(os.path.dirname(path) + b"/outside", path + b"/d")


def shut_folder(path):
    make(path + b"/d", {b"left": b"x"})
    os.chmod(path + b"/d", 0)


def leave_folders(path):
    make(path, {b"tmp": {b"x": {b"y": b"z"}, b"l": Symlink(b"/")}, b"__pycache__": {b"a.pyc": b"."}})


def file_to_folder(path):
    os.unlink(path + b"/a")
    make(path, {b"a": {b"inner": b"x"}})


def link_instead(path):
    shutil.rmtree(path)
    os.symlink(os.path.dirname(path) + b"/outside", path)


EVERYTHING = [b"a", b"d", b"d/b", b"d/e", b"d/e/f", b"d/l", b"z"]
DEEDS = {
    "delete the folder itself": (shutil.rmtree, EVERYTHING),
    "a link instead of the folder itself": (link_instead, EVERYTHING),
    "rewrite in place with the old time": (rewrite_in_place, [b"a"]),
    "delete": (lambda path: os.unlink(path + b"/d/b"), [b"d/b"]),
    "delete all": (lambda path: shutil.rmtree(path + b"/d"), [b"d", b"d/b", b"d/e", b"d/e/f", b"d/l"]),
    "chmod": (lambda path: os.chmod(path + b"/a", 0o777), [b"a"]),
    "touch": (lambda path: os.utime(path + b"/a"), [b"a"]),
    "leave folders": (leave_folders, [b"__pycache__", b"tmp"]),
    "file to folder": (file_to_folder, [b"a"]),
    "folder to link": (replace_folder_by_link, [b"d", b"d/b", b"d/e", b"d/e/f", b"d/l"]),
    "fifo": (lambda path: os.mkfifo(path + b"/p"), [b"p"]),
    "shut folder": (shut_folder, [b"d", b"d/left"]),
    "make a folder read-only": (lambda path: os.chmod(path + b"/d/e", 0o555), [b"d/e"]),
    "rename": (lambda path: os.rename(path + b"/a", path + b"/q"), [b"a", b"q"]),
    "name like a replacement in progress": (
        lambda path: make(path, {b".casreplay-tmp-1-1": b""}),
        [b".casreplay-tmp-1-1"],
    ),
    "leave a repository": (lambda path: make(path, {b".git": {b"HEAD": b"x"}}), [b".git"]),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_whatever_a_command_does_is_noticed_and_undone(folder, objects, deed):
    outside = os.path.dirname(folder.path) + b"/outside"
    os.mkdir(outside)
    make(outside, {b"b": b"precious", b"e": {b"f": b"precious"}})
    before, beyond = picture(folder.path), picture(outside)
    act, concerned = DEEDS[deed]
    act(folder.path)
    assert folder.restore(objects) == concerned
    now = picture(folder.path)
    assert {path: row[:2] for path, row in now.items()} == {path: row[:2] for path, row in before.items()}
    assert now[b"a"] == before[b"a"]
    assert picture(outside) == beyond
    assert folder.restore(objects) == []


def test_after_all_that_the_folder_can_be_switched_on(folder, objects):
    leave_folders(folder.path)
    rewrite_in_place(folder.path)
    folder.survey()
    folder.switch(objects, root_of(objects, {b"only": b"1"}))
    assert set(picture(folder.path)) == {b"only"}


@pytest.mark.parametrize("kind", [EntryKind.FILE, EntryKind.EXECUTABLE])
@pytest.mark.parametrize("state", [EntryState.COMPLETE, EntryState.UNREADABLE])
def test_a_file_without_content_is_absent_even_where_it_was_there_before(folder, objects, kind, state):
    """Whether its content was purged or was never captured."""

    class Purged(DictObjects):
        def get(self, object_id):
            if object_id == gone:
                raise MissingObjectError("Purged", purged=True)
            return objects.get(object_id)

    gone = objects.put(b"gone")
    del objects.kept[gone]
    bare = TreeEntry(b"a", kind, state, 0o644, 4, 0, gone if state is EntryState.COMPLETE else NO_ID)
    folder.switch(Purged(), root_of(objects, {b"a": bare, b"z": b""}))
    assert picture(folder.path).keys() == {b"z"}
    assert folder.purged == ({gone} if state is EntryState.COMPLETE else set())
    assert folder.survey() == []
    folder.switch(objects, root_of(objects, {b"a": b"back"}))
    assert picture(folder.path).keys() == {b"a"}


def test_a_file_that_is_damaged_is_not_taken_for_purged(folder, objects):
    gone = objects.put(b"gone")
    root = root_of(objects, {b"a": b"gone"})
    del objects.kept[gone]
    with pytest.raises(MissingObjectError):
        folder.switch(objects, root)
