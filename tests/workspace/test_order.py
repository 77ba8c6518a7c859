"""Which folders are done with as soon as their files are written, and in which order they are written."""

from __future__ import annotations

import os

import pytest
from support.plain_folders import T0, entries
from support.tree_builder import DictObjects, Symlink

from casreplay.model.objects import EntryKind, EntryState, TreeEntry
from casreplay.workspace.order import closed_at_once, in_reading_order, weight
from casreplay.workspace.plan import plan
from casreplay.workspace.steps import FolderWork
from casreplay.workspace.writer import Content

SPEC = {
    b"a": {b"f": b"12", b"in": {b"g": b"3"}},
    b"l": {b"x": b"", b"y": Symlink(b"x")},
    b"e": {},
    b"z": b"1",
}


@pytest.fixture
def folders():
    return plan([], entries(DictObjects(), SPEC)).folders


def test_new_folders_without_links_and_folders_in_them_are_closed_at_once(folders):
    assert closed_at_once(folders) == {b"a/in", b"e"}


def test_folders_that_stand_already_are_not(folders):
    standing = [FolderWork(work.path, work.entry, is_new=False) for work in folders]
    assert closed_at_once(standing) == frozenset()


@pytest.mark.parametrize(
    ("mode", "state"), [(0o500, EntryState.COMPLETE), (0o077, EntryState.COMPLETE), (0o755, EntryState.MOUNT)]
)
def test_folders_that_shut_their_owner_out_and_mount_points_are_not(mode, state):
    entry = TreeEntry(b"d", EntryKind.FOLDER, state, mode, 0, T0, bytes(32))
    assert closed_at_once([FolderWork(b"d", entry, is_new=True)]) == frozenset()


def test_folders_follow_the_place_of_their_first_content(folders):
    def read(blob):
        raise AssertionError(blob)

    def locate(blobs):
        return [(-i,) for i in range(len(blobs))]

    ordered = in_reading_order(folders, Content(read, read, locate))
    with_files = [os.fsdecode(work.path) for work in ordered if work.files]
    assert with_files == ["l", "a/in", "a", ""]
    assert list(in_reading_order(folders, Content(read, read))) == list(folders)


def test_what_holds_more_weighs_more(folders):
    by_path = {work.path: weight(work) for work in folders}
    assert by_path[b"a"] == by_path[b"a/in"] + 1
    assert by_path[b"e"] < by_path[b"l"] < by_path[b"a/in"]
