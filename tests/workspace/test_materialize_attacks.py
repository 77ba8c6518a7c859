"""Attacks on a restore: hostile trees, hostile folders, and folders that change under its hands.

Every test has an ``outside`` folder that must stay as it was. Sources: CVE-2021-21300,
CVE-2023-23946, CVE-2024-32002 (git), CVE-2025-4517 (tarfile) and their kin.
"""

from __future__ import annotations

import os
import stat

import pytest
from support.plain_folders import T0, content, entries, make, picture
from support.tree_builder import DictObjects, Symlink

from casreplay.model.objects import EntryKind, EntryState, TreeEntry
from casreplay.workspace.materialize import ApplyOptions, Content, apply
from casreplay.workspace.plan import PlanOptions, plan
from casreplay.workspace.survey import check, entries_of


@pytest.fixture
def places(tmp_path):
    """The folder that is written and, beside it, one that must not change."""
    folder, outside = os.fsencode(tmp_path / "target"), os.fsencode(tmp_path / "outside")
    os.mkdir(folder)
    os.mkdir(outside)
    make(outside, {b"x": b"precious", b"sub": {b"y": b"precious"}})
    before = picture(outside)
    yield folder, outside
    assert picture(outside) == before


def put(folder, target, current=(), objects=None, **options):
    objects = objects or DictObjects()
    wanted = entries(objects, target) if isinstance(target, dict) else list(target)
    force = ApplyOptions(force=options.pop("force", False))
    return apply(plan(current, wanted, PlanOptions(**options)), folder, content(objects), force)


def raw(objects, path, kind=EntryKind.FILE, data=b"evil"):
    return path, TreeEntry(
        path.rpartition(b"/")[2], kind, EntryState.COMPLETE, 0o644, len(data), T0, objects.put(data)
    )


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_a_link_in_place_of_a_folder_is_not_followed(places, known, force):
    folder, outside = places
    os.symlink(outside, folder + b"/d")
    current = list(entries_of(folder)) if known else []
    applied = put(
        folder, {b"d": {b"x": b"evil", b"new": b"evil", b"sub": {b"y": b"evil"}}}, current, force=force
    )
    if known:
        assert applied.problems == []
        assert not os.path.islink(folder + b"/d")
    else:
        assert "in-the-way" in [problem.code for problem in applied.problems]
        assert os.path.islink(folder + b"/d")


@pytest.mark.parametrize("force", [False, True])
def test_a_link_further_up_is_not_followed_either(places, force):
    folder, outside = places
    os.symlink(outside, folder + b"/d")
    applied = put(folder, {b"d": {b"sub": {b"y": b"evil"}}}, force=force)
    assert all(problem.code == "in-the-way" for problem in applied.problems)
    assert applied.problems


@pytest.mark.parametrize("force", [False, True])
def test_a_link_in_place_of_a_file_is_not_written_through(places, force):
    folder, outside = places
    os.symlink(outside + b"/x", folder + b"/a")
    os.symlink(outside + b"/created", folder + b"/b")
    applied = put(folder, {b"a": b"evil", b"b": b"evil"}, force=force)
    assert [problem.code for problem in applied.problems] == ([] if force else ["exists", "exists"])
    assert os.path.islink(folder + b"/a") is not force


def test_a_known_link_is_replaced_itself(places):
    folder, outside = places
    os.symlink(outside + b"/x", folder + b"/a")
    assert put(folder, {b"a": b"mine"}, list(entries_of(folder))).problems == []
    assert picture(folder)[b"a"][1] == b"mine"


def test_a_tree_with_a_link_and_a_folder_of_one_name(places):
    folder, _ = places
    objects = DictObjects()
    target = [
        raw(objects, b"d", EntryKind.SYMLINK, b"../outside"),
        (b"d", TreeEntry(b"d", EntryKind.FOLDER, EntryState.COMPLETE, 0o755, 0, T0, bytes(32))),
        raw(objects, b"d/x"),
    ]
    applied = put(folder, target, objects=objects)
    assert [problem.code for problem in applied.problems] == ["name-clash"]
    assert os.readlink(folder + b"/d") == b"../outside"


def test_a_link_planted_first_and_written_through_later(places):
    """Even where the plan was fooled into a file below a link, the descriptor walk refuses it."""
    folder, _ = places
    objects = DictObjects()
    os.symlink(b"../outside", folder + b"/D")
    folder_entry = TreeEntry(b"D", EntryKind.FOLDER, EntryState.COMPLETE, 0o755, 0, T0, bytes(32))
    steps = plan([(b"D", folder_entry)], [(b"D", folder_entry), raw(objects, b"D/x")])
    applied = apply(steps, folder, content(objects), ApplyOptions(force=True))
    assert "in-the-way" in [problem.code for problem in applied.problems]


def test_links_are_made_after_all_files(places):
    folder, outside = places
    objects = DictObjects()
    target = entries(objects, {b"a": Symlink(outside), b"b": {b"x": b"1"}, b"c": Symlink(b"b")})
    seen = []

    def read(blob):
        seen.append(objects.kept[blob])
        return objects.kept[blob]

    apply(plan([], target), folder, Content(read, objects.stream))
    assert seen == [b"1", outside, b"b"]


@pytest.mark.parametrize("moment", ["first", "second"])
def test_a_folder_swapped_for_a_link_while_its_files_are_written(places, moment):
    """The open descriptor keeps pointing at the real folder; what comes later meets the link."""
    folder, outside = places
    objects = DictObjects()
    target = entries(objects, {b"d": {b"a": b"first", b"sub": {b"y": b"second"}, b"x": b"third"}})

    def read(blob):
        if objects.kept[blob] == moment.encode():
            os.rename(folder + b"/d", folder + b"/moved")
            os.symlink(outside, folder + b"/d")
        return objects.kept[blob]

    apply(plan([], target), folder, Content(read, objects.stream))
    assert os.path.islink(folder + b"/d")


def test_a_folder_swapped_for_a_link_before_its_time_is_set(places):
    folder, outside = places
    objects = DictObjects()
    target = entries(objects, {b"d": {b"a": b"1"}, b"z": Symlink(b"last")})

    def read(blob):
        if objects.kept[blob] == b"last":
            os.rename(folder + b"/d", folder + b"/moved")
            os.symlink(outside, folder + b"/d")
        return objects.kept[blob]

    apply(plan([], target), folder, Content(read, objects.stream))
    assert stat.S_IMODE(os.stat(outside).st_mode) == 0o755


def test_removing_does_not_follow_links(places):
    folder, outside = places
    make(folder, {b"d": {b"x": b"1", b"sub": {b"y": b"2"}}})
    current = list(entries_of(folder))
    os.rename(folder + b"/d", folder + b"/moved")
    os.symlink(outside, folder + b"/d")
    applied = put(folder, [], current, force=True)
    assert applied.problems
    assert os.path.exists(outside + b"/sub/y")


def test_a_prepared_temporary_name_is_not_written_through(places):
    folder, outside = places
    make(folder, {b"a": b"1"})
    current = list(entries_of(folder))
    for i in range(1, 4):
        os.symlink(outside + b"/x", folder + b"/.casreplay-tmp-%d-%d" % (os.getpid(), i))
    applied = put(folder, {b"a": b"2"}, current)
    assert [problem.code for problem in applied.problems] == ["exists"]
    assert picture(folder)[b"a"][1] == b"1"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no FIFOs")
@pytest.mark.parametrize("force", [False, True])
def test_a_fifo_in_place_of_a_file_or_folder_does_not_block(places, force):
    folder, _ = places
    os.mkfifo(folder + b"/a")
    os.mkfifo(folder + b"/d")
    applied = put(folder, {b"a": b"1", b"d": {b"x": b"2"}}, force=force)
    assert "in-the-way" in [problem.code for problem in applied.problems]
    assert stat.S_ISREG(os.lstat(folder + b"/a").st_mode) is force


def test_hostile_names_write_nothing_anywhere(places):
    folder, _ = places
    objects = DictObjects()
    names = [
        b"..",
        b".",
        b"../outside/x",
        b"/tmp/casreplay-evil",
        b"a\0b",
        b".git",
        b".GIT.",
        b"git~1",
        b"",
        b"d//x",
    ]
    applied = put(folder, [raw(objects, name) for name in names], objects=objects, force=True)
    assert len(applied.problems) == len(names)
    assert picture(folder) == {}
    assert not os.path.exists("/tmp/casreplay-evil")


def test_a_dot_git_already_there_is_never_entered(places):
    folder, _ = places
    make(folder, {b".git": {b"hooks": {}, b"config": b"mine"}})
    objects = DictObjects()
    target = [
        (b".Git", TreeEntry(b".Git", EntryKind.FOLDER, EntryState.COMPLETE, 0o755, 0, T0, bytes(32))),
        (b".Git/hooks", TreeEntry(b"hooks", EntryKind.FOLDER, EntryState.COMPLETE, 0o755, 0, T0, bytes(32))),
        raw(objects, b".Git/hooks/post-checkout"),
    ]
    put(folder, target, objects=objects, ignores_case=True)
    assert set(picture(folder)) == {b".git", b".git/hooks", b".git/config"}


@pytest.mark.parametrize("target", [b"", b"a\0b", b"x" * 5000])
def test_link_targets_the_system_refuses_are_reported(places, target):
    folder, _ = places
    applied = put(folder, {b"l": Symlink(target), b"ok": b"1"})
    assert len(applied.problems) == 1
    assert set(picture(folder)) == {b"ok"}


@pytest.mark.parametrize("when", [2**63 - 1, -(2**63), 2**80])
def test_a_time_the_system_cannot_hold_is_reported_here_or_by_the_check(places, when):
    folder, _ = places
    objects = DictObjects()
    blob = objects.put(b"1")
    entry = TreeEntry(b"a", EntryKind.FILE, EntryState.COMPLETE, 0o644, 1, when, blob)
    applied = put(folder, [(b"a", entry), raw(objects, b"b")], objects=objects)
    kept = os.path.lexists(folder + b"/a") and os.lstat(folder + b"/a").st_mtime_ns == when
    assert kept or applied.problems or check(folder, [(b"a", entry)])
    assert os.path.lexists(folder + b"/b")
