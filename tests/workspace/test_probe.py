"""A probe's folder: switched exactly, and put right whatever a command does to it."""

from __future__ import annotations

import os
import shutil
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.plain_folders import TREES, content, entries, make, picture
from support.tree_builder import DictObjects, Executable, Symlink

from casreplay.workspace.probe import ProbeFolder

SPEC = {b"a": b"one", b"d": {b"b": Executable(b"two"), b"e": {b"f": b"deep"}, b"l": Symlink(b"b")}, b"z": b""}


def changes(objects, before, after):
    a, b = dict(entries(objects, before)), dict(entries(objects, after))
    same = [path for path in a.keys() & b.keys() if (a[path].id, a[path].kind) == (b[path].id, b[path].kind)]
    return [(path, a.get(path), b.get(path)) for path in sorted(a.keys() | b.keys()) if path not in same]


@pytest.fixture
def objects():
    return DictObjects()


@pytest.fixture
def probe(tmp_path, objects):
    path = os.fsencode(tmp_path / "probe")
    os.mkdir(path)
    made = ProbeFolder(path, content(objects))
    assert made.fill(entries(objects, SPEC)) == []
    return made


def test_an_untouched_folder_needs_nothing(probe):
    assert probe.sweep() == []


def test_switching_writes_what_differs_and_nothing_else(probe, objects):
    untouched = os.stat(probe.path + b"/d/b").st_ctime_ns
    after = {**SPEC, b"a": b"uno", b"n": {b"x": b"1"}}
    del after[b"z"]
    assert probe.switch(changes(objects, SPEC, after)) == []
    assert {path: row[1] for path, row in picture(probe.path).items()}[b"a"] == b"uno"
    assert os.stat(probe.path + b"/d/b").st_ctime_ns == untouched
    assert probe.sweep() == []


def test_two_versions_never_share_a_time_and_equal_content_always_does(probe, objects):
    first = os.stat(probe.path + b"/a").st_mtime_ns
    other = {**SPEC, b"a": b"eno"}
    probe.switch(changes(objects, SPEC, other))
    second = os.stat(probe.path + b"/a").st_mtime_ns
    probe.switch(changes(objects, other, SPEC))
    assert second != first
    assert os.stat(probe.path + b"/a").st_mtime_ns == first


def rewrite_in_place(path):
    stamp = os.stat(path + b"/a")
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


DEEDS = {
    "rewrite in place with the old time": (rewrite_in_place, [b"a"]),
    "delete": (lambda path: os.unlink(path + b"/d/b"), [b"d/b"]),
    "delete all": (lambda path: shutil.rmtree(path + b"/d"), [b"d", b"d/b", b"d/e", b"d/e/f", b"d/l"]),
    "chmod": (lambda path: os.chmod(path + b"/a", 0o777), [b"a"]),
    "touch": (lambda path: os.utime(path + b"/a"), [b"a"]),
    "leave folders": (
        leave_folders,
        [b"__pycache__", b"__pycache__/a.pyc", b"tmp", b"tmp/l", b"tmp/x", b"tmp/x/y"],
    ),
    "file to folder": (file_to_folder, [b"a", b"a/inner"]),
    "folder to link": (replace_folder_by_link, [b"d", b"d/b", b"d/e", b"d/e/f", b"d/l"]),
    "fifo": (lambda path: os.mkfifo(path + b"/p"), [b"p"]),
    "shut folder": (shut_folder, [b"d", b"d/left"]),
    "rename": (lambda path: os.rename(path + b"/a", path + b"/q"), [b"a", b"q"]),
    "name like a replacement in progress": (
        lambda path: make(path, {b".casreplay-tmp-1-1": b""}),
        [b".casreplay-tmp-1-1"],
    ),
    "leave a repository": (lambda path: make(path, {b".git": {b"HEAD": b"x"}}), [b".git", b".git/HEAD"]),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_whatever_a_command_does_is_noticed_and_undone(probe, deed):
    outside = os.path.dirname(probe.path) + b"/outside"
    os.mkdir(outside)
    make(outside, {b"b": b"precious", b"e": {b"f": b"precious"}})
    before, beyond = picture(probe.path), picture(outside)
    act, concerned = DEEDS[deed]
    act(probe.path)
    assert probe.sweep() == concerned
    now = picture(probe.path)
    assert {path: row[:2] for path, row in now.items()} == {path: row[:2] for path, row in before.items()}
    assert now[b"a"] == before[b"a"]
    assert picture(outside) == beyond
    assert probe.sweep() == []


def test_after_a_sweep_the_folder_can_be_switched_on(probe, objects):
    leave_folders(probe.path)
    rewrite_in_place(probe.path)
    probe.sweep()
    assert probe.switch(changes(objects, SPEC, {b"only": b"1"})) == []
    assert set(picture(probe.path)) == {b"only"}


@given(trees=st.lists(TREES, min_size=2, max_size=4))
def test_any_row_of_trees(tmp_path_factory, trees):
    objects = DictObjects()
    top = os.fsencode(tmp_path_factory.mktemp("probe"))
    os.mkdir(top + b"/p")
    probe = ProbeFolder(top + b"/p", content(objects))
    probe.fill(entries(objects, trees[0]))
    for i, (before, after) in enumerate(pairwise(trees)):
        assert probe.switch(changes(objects, before, after)) == []
        fresh = ProbeFolder(top + b"/%d" % i, content(objects))
        os.mkdir(fresh.path)
        fresh.fill(entries(objects, after))
        shown = [{path: row[:2] for path, row in picture(one.path).items()} for one in (probe, fresh)]
        assert shown[0] == shown[1]
        assert probe.sweep() == []
