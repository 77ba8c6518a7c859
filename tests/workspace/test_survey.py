"""Looking at what was written: every kind of difference is named, and nothing is followed."""

from __future__ import annotations

import os

import pytest
from support.plain_folders import content, entries, make, picture
from support.tree_builder import DictObjects, Executable, Symlink

from casreplay.model.objects import EntryKind, EntryState
from casreplay.workspace.folders import open_root
from casreplay.workspace.materialize import apply
from casreplay.workspace.plan import plan
from casreplay.workspace.survey import check, entries_of, still_there, survey

SPEC = {b"a": b"one", b"d": {b"b": Executable(b"two"), b"l": Symlink(b"b")}, b"z": b"0" * 10}


@pytest.fixture
def written(tmp_path):
    folder = os.fsencode(tmp_path / "folder")
    os.mkdir(folder)
    objects = DictObjects()
    target = entries(objects, SPEC)
    apply(plan([], target), folder, content(objects))
    return folder, target


def damage_content(folder):
    stamp = os.stat(folder + b"/a").st_mtime_ns
    with open(folder + b"/a", "r+b") as file:
        file.write(b"ONE")
    os.utime(folder + b"/a", ns=(stamp, stamp))


def replace_by(folder, name, spec):
    stamp = os.lstat(folder).st_mtime_ns
    os.unlink(folder + b"/" + name)
    make(folder, {name: spec})
    os.utime(folder, ns=(stamp, stamp))


DAMAGES = {
    "its content differs": damage_content,
    "its mode is 0600": lambda folder: os.chmod(folder + b"/a", 0o600),
    "its time differs": lambda folder: os.utime(folder + b"/a", ns=(0, 5)),
    "it is a symlink, not a file": lambda folder: replace_by(folder, b"a", Symlink(b"z")),
    "it is a folder, not a file": lambda folder: replace_by(folder, b"a", {}),
    "No such file": lambda folder: os.unlink(folder + b"/a"),
}


def test_what_was_written_is_as_recorded(written):
    folder, target = written
    assert check(folder, target) == []


@pytest.mark.parametrize("reason", DAMAGES)
def test_every_difference_is_named(written, reason):
    folder, target = written
    DAMAGES[reason](folder)
    found = [problem for problem in check(folder, target) if problem.path == "a"]
    assert len(found) == 1
    assert reason in found[0].message
    assert found[0].code == "not-restored"


def test_a_changed_length_or_target_is_named(written):
    folder, target = written
    stamps = {name: os.lstat(folder + name).st_mtime_ns for name in (b"/z", b"/d/l", b"/d")}
    with open(folder + b"/z", "ab") as file:
        file.write(b"more")
    os.unlink(folder + b"/d/l")
    os.symlink(b"a", folder + b"/d/l")
    for name, stamp in stamps.items():
        os.utime(folder + name, ns=(stamp, stamp), follow_symlinks=False)
    messages = [problem.message for problem in check(folder, target)]
    assert messages == [
        "d/l is not as recorded: its content differs",
        "z is not as recorded: it has 14 bytes, not 10",
    ]


def test_without_contents_only_the_stat_is_compared(written):
    folder, target = written
    damage_content(folder)
    assert check(folder, target, contents=False) == []


def test_entries_of_a_folder_are_what_a_snapshot_would_hold(written):
    folder, target = written
    shown = [(path, e.kind, e.state, e.mode, e.size_bytes, e.mtime_ns) for path, e in entries_of(folder)]
    wanted = [(path, e.kind, e.state, e.mode, e.size_bytes, e.mtime_ns) for path, e in target]
    folders = [path for path, e in target if e.kind is EntryKind.FOLDER]
    assert [row for row in shown if row[0] not in folders] == [row for row in wanted if row[0] not in folders]
    ids = {path: e.id for path, e in entries_of(folder) if e.kind is not EntryKind.FOLDER}
    assert ids == {path: e.id for path, e in target if e.kind is not EntryKind.FOLDER}


def test_special_files_are_entries_without_content(tmp_path):
    folder = os.fsencode(tmp_path)
    os.mkfifo(folder + b"/p")
    ((path, entry),) = entries_of(folder)
    assert (path, entry.kind, entry.blob_id) == (b"p", EntryKind.FIFO, None)
    assert entry.state is EntryState.COMPLETE


def test_a_survey_sees_everything_and_enters_no_link(written, tmp_path):
    folder, _ = written
    os.symlink(os.fsencode(tmp_path), folder + b"/loop")
    fd = open_root(folder)
    try:
        assert set(survey(fd)) == set(picture(folder))
    finally:
        os.close(fd)


def test_what_is_still_there_is_named(written):
    folder, _ = written
    os.symlink(b"nowhere", folder + b"/dangling")
    assert still_there(folder, [b"a", b"gone", b"d/b", b"gone/x", b"dangling"]) == [b"a", b"d/b", b"dangling"]
