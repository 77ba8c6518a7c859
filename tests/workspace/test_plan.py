"""Plans as values: what is created, replaced, removed, refused and left alone, and in which order."""

from __future__ import annotations

import pytest
from support.plain_folders import T0, entries
from support.tree_builder import DictObjects, Executable, Symlink

from casreplay.model.objects import NO_ID, EntryKind, EntryState, TreeEntry
from casreplay.workspace.plan import PlanOptions, plan

FILE, FOLDER = EntryKind.FILE, EntryKind.FOLDER


def made(current, target, **options):
    objects = DictObjects()
    return plan(entries(objects, current), entries(objects, target), PlanOptions(windows=False, **options))


def raw(path, kind=FILE, state=EntryState.COMPLETE, mode=0o644):
    return path, TreeEntry(path.rpartition(b"/")[2], kind, state, mode, 1, T0, b"\1" * 32)


def codes(steps):
    return [problem.code for problem in steps.problems]


def written(steps):
    return sorted(
        f.path + b"/" + w.name if f.path else w.name for f in steps.folders for w in (*f.files, *f.links)
    )


def test_equal_trees_need_nothing():
    spec = {b"a": b"1", b"d": {b"b": Symlink(b"a"), b"e": {}}}
    steps = made(spec, spec)
    assert steps.is_empty
    assert steps.unchanged == 4


def test_everything_is_created_in_an_empty_folder():
    steps = made({}, {b"a": b"1", b"d": {b"b": Symlink(b"a"), b"e": {}}})
    assert steps.created == 4
    assert [folder.path for folder in steps.folders] == [b"", b"d", b"d/e"]
    assert steps.overwritten == steps.removed == []
    assert steps.size_bytes == 2


def test_changes_deletions_and_modes_are_told_apart():
    before = {b"a": b"1", b"b": b"2", b"c": b"3", b"d": {b"e": b"4"}}
    steps = made(before, {b"a": b"x", b"b": Executable(b"2"), b"c": b"3"})
    assert steps.overwritten == [b"a"]
    assert steps.retouched == 1
    assert steps.removed == [b"d", b"d/e"]
    assert [removal.path for removal in steps.removals] == [b"d/e", b"d"]
    assert steps.unchanged == 1


def test_what_stands_in_the_way_goes_first():
    steps = made({b"a": {b"x": {b"y": b"1"}}, b"b": b"2"}, {b"a": b"1", b"b": {b"c": b"3"}})
    assert [removal.path for removal in steps.in_the_way] == [b"b", b"a/x/y", b"a/x", b"a"]
    assert steps.removals == ()
    assert written(steps) == [b"a", b"b/c"]


def test_a_file_becomes_a_link_by_being_replaced():
    steps = made({b"a": b"1"}, {b"a": Symlink(b"1")})
    assert steps.overwritten == [b"a"]
    assert steps.in_the_way == ()


def test_folders_whose_contents_change_get_their_time_again():
    steps = made({b"d": {b"a": b"1", b"b": b"2"}}, {b"d": {b"a": b"1"}})
    assert [(folder.path, folder.is_new) for folder in steps.folders] == [(b"d", False)]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (b"..", "unsafe-name"),
        (b".", "unsafe-name"),
        (b"", "unsafe-name"),
        (b"a\0b", "unsafe-name"),
        (b".git", "unsafe-name"),
        (b"GIT~1", "unsafe-name"),
        (b"../x", "orphan"),
        (b"/etc/passwd", "orphan"),
        (b"a//b", "orphan"),
        (b"missing/x", "orphan"),
    ],
)
def test_hostile_paths_are_refused(path, code):
    steps = plan([], [raw(path)])
    assert codes(steps) == [code]
    assert steps.is_empty


def test_what_is_below_a_refused_folder_is_refused_with_it():
    target = [raw(b".GIT", FOLDER), raw(b".GIT/hooks", FOLDER), raw(b".GIT/hooks/post-checkout"), raw(b"ok")]
    steps = plan([], target)
    assert written(steps) == [b"ok"]
    assert codes(steps) == ["unsafe-name"]


def test_dot_git_is_written_only_when_it_was_recorded_on_purpose():
    assert plan([], [raw(b".git", FOLDER)], PlanOptions(allow_git=True)).created == 1
    assert codes(plan([], [raw(b"..", FOLDER)], PlanOptions(allow_git=True))) == ["unsafe-name"]


def test_a_link_and_a_folder_of_one_name_cannot_be_used_to_write_through_the_link():
    target = [raw(b"d", EntryKind.SYMLINK), raw(b"d", FOLDER), raw(b"d/x")]
    steps = plan([], target)
    assert written(steps) == [b"d"]
    assert codes(steps) == ["name-clash"]
    assert codes(plan([], [raw(b"d", EntryKind.SYMLINK), raw(b"d/x")])) == ["orphan"]


def test_names_equal_but_for_case_are_refused_where_they_would_be_one_file():
    target = [raw(b"A", EntryKind.SYMLINK), raw(b"a", FOLDER), raw(b"a/post-checkout")]
    assert codes(plan([], target, PlanOptions(ignores_case=True))) == ["name-clash"]
    assert plan([], target).created == 3


@pytest.mark.parametrize("name", [b"a:b", b"nul", b"trailing.", b"back\\slash"])
def test_windows_names_are_refused_there_and_reported_elsewhere(name):
    assert codes(plan([], [raw(name)], PlanOptions(windows=True))) == ["not-portable"]
    elsewhere = plan([], [raw(name)], PlanOptions(windows=False))
    assert codes(elsewhere) == ["not-portable-elsewhere"]
    assert written(elsewhere) == [name]


def test_many_names_for_one_system_only_are_counted_after_the_first():
    steps = plan([], [raw(b"a:%d" % i) for i in range(1000)], PlanOptions(windows=False))
    assert len(steps.problems) == 21
    assert steps.problems[-1].message == "980 more names are written that Windows cannot hold"
    assert steps.created == 1000


def test_depth_is_bounded():
    paths = [b"/".join([b"d"] * depth) for depth in range(1, 1100)]
    steps = plan([], [raw(path, FOLDER) for path in paths])
    assert codes(steps) == ["too-deep"]
    assert len(steps.folders) == 1024


def test_set_id_bits_are_reported():
    assert codes(plan([], [raw(b"su", mode=0o4755)])) == ["setid"]


@pytest.mark.parametrize("kind", [EntryKind.FIFO, EntryKind.SOCKET, EntryKind.BLOCK_DEVICE])
def test_special_files_are_reported_and_what_is_there_is_left(kind):
    special = (b"p", TreeEntry(b"p", kind, EntryState.COMPLETE, 0o644, 0, T0, NO_ID))
    assert codes(plan([], [special])) == ["special"]
    there = plan([special], [special])
    assert (codes(there), there.unchanged, there.is_empty) == ([], 1, True)
    other = plan([raw(b"p")], [special])
    assert (codes(other), other.is_empty) == (["special"], True)


@pytest.mark.parametrize("state", [EntryState.UNREADABLE, EntryState.TOO_LARGE, EntryState.VANISHED])
def test_what_was_not_recorded_never_costs_what_is_there(state):
    steps = plan(
        [raw(b"a"), raw(b"d", FOLDER), raw(b"d/x")], [raw(b"a", state=state), raw(b"d", FOLDER, state)]
    )
    assert codes(steps) == ["no-content", "no-content"]
    assert steps.removed == []


def test_mount_points_are_not_looked_into():
    steps = plan([raw(b"m", FOLDER), raw(b"m/x")], [raw(b"m", FOLDER, EntryState.MOUNT)])
    assert steps.is_empty


def test_mount_points_are_not_removed():
    steps = plan([raw(b"d", FOLDER), raw(b"d/m", FOLDER, EntryState.MOUNT)], [])
    assert codes(steps) == ["mount"]
    assert steps.removed == [b"d"]


def test_contents_no_snapshot_holds_are_named():
    current = [raw(b"a", state=EntryState.TOO_LARGE), raw(b"b", state=EntryState.UNREADABLE), raw(b"c")]
    assert plan(current, [raw(b"a")]).unsaved == [b"a", b"b"]


def test_protected_paths_are_neither_written_nor_removed():
    current = [raw(b"s", FOLDER), raw(b"s/log")]
    assert plan(current, [], PlanOptions(protected=(b"s",))).is_empty
    steps = plan(current, [raw(b"s", FOLDER), raw(b"s/log")], PlanOptions(protected=(b"s",)))
    assert codes(steps) == ["protected"]
    assert steps.is_empty


def test_control_characters_never_reach_a_message():
    steps = plan([], [raw(b"x\x1b[2J/..")])
    assert all("\x1b" not in problem.message + problem.path for problem in steps.problems)
    assert len(steps.problems) == 1
