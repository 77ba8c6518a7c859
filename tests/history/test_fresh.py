"""A restore into an empty folder: the same plan and folder as the ordinary way, and checked as well."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.plain_folders import T0, TREES, picture
from support.tree_builder import DictObjects, Executable, Symlink, build, put_entries

from casreplay.errors import CorruptError, MissingObjectError, UsageError
from casreplay.history import fresh
from casreplay.history.fresh import whole_tree
from casreplay.history.restore import RestoreOptions, restore_to
from casreplay.history.walk import walk
from casreplay.model.ids import ObjectId, TreeId
from casreplay.model.objects import EntryKind, EntryState, TreeEntry
from casreplay.workspace.plan import PlanOptions, plan, plan_new

SPEC = {
    b"a": b"1",
    b"d": {b"e": {b"f": b"2", b"g": Executable(b"3")}, b"h": b"", b"l": Symlink(b"h")},
    b"empty": {},
    b"odd": {b"a:b": b"4", b"plain": b"5", b"sub": {b".gitignore": b"6"}},
    b"z": Symlink(b"nowhere"),
}


def parts(steps):
    """A plan in a form that compares by value."""
    works = [(work.path, work.entry, work.is_new, list(work.files), work.links) for work in steps.folders]
    counts = (
        steps.created,
        steps.size_bytes,
        steps.retouched,
        steps.overwritten,
        steps.removed,
        steps.unsaved,
    )
    return works, steps.problems, steps.in_the_way, steps.removals, steps.unchanged, counts


def both(objects, root, **options):
    """The plan by folders and the plan by entries."""
    rules = PlanOptions(**options)
    whole = whole_tree(objects, root)
    return parts(plan_new(whole.entries, whole.files, rules)), parts(plan([], walk(objects, root), rules))


@pytest.fixture
def objects():
    return DictObjects()


def a_file(objects, name, *, mode=0o644, state=EntryState.COMPLETE):
    kind = EntryKind.EXECUTABLE if mode & 0o111 else EntryKind.FILE
    blob = objects.put(b"x") if state.has_content else bytes(32)
    return TreeEntry(name, kind, state, mode, 1, T0, blob)


@pytest.mark.parametrize("allow_git", [False, True])
def test_the_plan_is_the_same(objects, allow_git):
    spec = SPEC | {b".git": {b"config": b"evil", b"hooks": {b"x": Executable(b"evil")}}}
    quick, slow = both(objects, build(objects, spec, mtime_ns=T0)[0], allow_git=allow_git)
    assert quick == slow
    assert quick[1] != ()


@given(TREES)
def test_the_plan_of_any_tree_is_the_same(spec):
    objects = DictObjects()
    quick, slow = both(objects, build(objects, spec, mtime_ns=T0)[0])
    assert quick == slow


@given(
    st.lists(
        st.sampled_from([b"a", b"con", b"git~1", b"x.", b"a:b", b"caf\xc3\xa9", b"n ", b"q"]), unique=True
    )
)
def test_the_plan_of_odd_names_is_the_same(names):
    objects = DictObjects()
    spec = {b"d": dict.fromkeys(names, b"1"), b"e": {b"a": b"2"}}
    quick, slow = both(objects, build(objects, spec, mtime_ns=T0)[0])
    assert quick == slow


@pytest.mark.parametrize("state", [state for state in EntryState if state is not EntryState.MOUNT])
@pytest.mark.parametrize("mode", [0o644, 0o4755, 0o2644])
def test_files_that_need_a_second_look_get_it(objects, state, mode):
    listed = [a_file(objects, b"a"), a_file(objects, b"b", mode=mode, state=state), a_file(objects, b"c")]
    quick, slow = both(objects, put_entries(objects, listed)[0])
    assert quick == slow


def test_a_split_folder_is_one_folder(objects):
    root = build(objects, {b"d": {b"%05d" % i: b"%d" % (i % 7) for i in range(5000)}}, mtime_ns=T0)[0]
    whole = whole_tree(objects, root)
    assert [path for path, _ in whole.entries] == [b"d"]
    assert {path: len(files) for path, files in whole.files.items()} == {b"d": 5000}
    quick, slow = both(objects, root)
    assert quick == slow


def test_files_of_plain_folders_are_no_values(objects):
    whole = whole_tree(objects, build(objects, SPEC, mtime_ns=T0)[0])
    assert set(whole.files) == {b"", b"d", b"d/e", b"odd/sub"}
    assert [path for path, _ in whole.entries] == [
        b"d",
        b"d/e",
        b"d/l",
        b"empty",
        b"odd",
        b"odd/a:b",
        b"odd/plain",
        b"odd/sub",
        b"z",
    ]


def test_damage_anywhere_is_found_before_anything_is_written(objects, tmp_path):
    root = build(objects, SPEC, mtime_ns=T0)[0]
    inner = next(entry.tree_id for path, entry in walk(objects, root) if path == b"d/e")
    target = os.fsencode(tmp_path / "new")
    kept = objects.kept[inner]
    objects.kept[inner] = b"crT1 damaged"
    with pytest.raises(CorruptError) as caught:
        restore_to(objects, root, target, RestoreOptions())
    assert caught.value.fields["path"] == "d/e"
    del objects.kept[inner]
    with pytest.raises(MissingObjectError):
        restore_to(objects, root, target, RestoreOptions())
    assert picture(target) == {}
    objects.kept[inner] = kept
    assert restore_to(objects, root, target, RestoreOptions()).failures == ()


def nested(objects, levels, width=1):
    """Folders in folders, each ``width`` times in the one above."""
    tree_id, content = put_entries(objects, [a_file(objects, b"f")])
    for _ in range(levels):
        listed = [
            TreeEntry(b"%02d" % i, EntryKind.FOLDER, EntryState.COMPLETE, 0o755, 0, T0, content, tree_id)
            for i in range(width)
        ]
        tree_id, content = put_entries(objects, listed)
    return TreeId(ObjectId(tree_id))


def test_depth_is_bounded(objects):
    assert len(whole_tree(objects, nested(objects, 1023)).entries) == 1023
    with pytest.raises(CorruptError, match="deeper than"):
        whole_tree(objects, nested(objects, 1024))


def test_folders_that_multiply_are_refused(objects, monkeypatch):
    monkeypatch.setattr(fresh, "MAX_REPEATED", 1000)
    assert len(whole_tree(objects, nested(objects, 5, width=2)).entries) == 62
    with pytest.raises(CorruptError, match="more paths"):
        whole_tree(objects, nested(objects, 60, width=2))


def test_too_many_paths_are_refused(objects, monkeypatch):
    root = build(objects, {b"d": {b"%d" % i: b"" for i in range(9)}}, mtime_ns=T0)[0]
    monkeypatch.setattr(fresh, "MAX_PATHS", 10)
    assert len(whole_tree(objects, root).files[b"d"]) == 9
    monkeypatch.setattr(fresh, "MAX_PATHS", 9)
    with pytest.raises(CorruptError, match="more paths"):
        whole_tree(objects, root)


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_folder_is_as_recorded(objects, tmp_path, jobs):
    spec = SPEC | {b"%03d" % i: {b"f%d" % j: b"%d %d" % (i, j) for j in range(20)} for i in range(60)}
    root = build(objects, spec, mtime_ns=T0)[0]
    target = os.fsencode(tmp_path / "new")
    objects.can_fork = True
    restored = restore_to(objects, root, target, RestoreOptions(jobs=jobs))
    assert restored.failures == ()
    assert restored.applied.files == 60 * 20 + 9
    again = restore_to(objects, root, target, RestoreOptions())
    assert again.plan.is_empty
    assert {path: when for path, (_, _, when) in picture(target).items()} == dict.fromkeys(
        (path for path, _ in walk(objects, root)), T0
    )


def test_a_damaged_file_is_named_once_and_the_rest_comes_back(objects, tmp_path):
    root = build(objects, SPEC, mtime_ns=T0)[0]
    target = os.fsencode(tmp_path / "new")
    objects.kept[dict(walk(objects, root))[b"d/e/f"].id] = b"x"
    restored = restore_to(objects, root, target, RestoreOptions())
    assert [(problem.code, problem.path) for problem in restored.failures] == [("corrupt", "d/e/f")]
    assert b"d/e/g" in picture(target)
    assert b"d/e/f" not in picture(target)


class Meddling(DictObjects):
    """Lets a stranger at work when a certain content is read."""

    def __init__(self, when, what) -> None:
        super().__init__()
        self.when, self.what = when, what

    def get(self, object_id):
        raw = super().get(object_id)
        if raw == self.when:
            self.what()
        return raw


def test_a_file_changed_behind_our_back_is_found(tmp_path):
    target = os.fsencode(tmp_path / "new")

    def change():
        with open(target + b"/d/b", "ab") as file:
            file.write(b"9")
        os.utime(target + b"/d/b", ns=(T0, T0))

    meddling = Meddling(b"late", change)
    root = build(meddling, {b"d": {b"b": b"2", b"c": b"late"}}, mtime_ns=T0)[0]
    restored = restore_to(meddling, root, target, RestoreOptions())
    assert [(problem.code, problem.message) for problem in restored.failures] == [
        ("not-restored", "d/b is not as recorded: it has 2 bytes, not 1")
    ]


def test_a_folder_swapped_for_a_link_is_named_and_nothing_is_written_behind_it(tmp_path):
    target, outside = os.fsencode(tmp_path / "new"), tmp_path / "outside"
    outside.mkdir()

    def swap():
        os.rename(target + b"/d", target + b"/moved")
        os.symlink(os.fsencode(outside), target + b"/d")

    meddling = Meddling(b"late", swap)
    root = build(meddling, {b"d": {b"b": b"2", b"c": b"late"}}, mtime_ns=T0)[0]
    restored = restore_to(meddling, root, target, RestoreOptions())
    assert [problem.path for problem in restored.failures] == ["d"]
    assert list(outside.iterdir()) == []


def test_a_dry_run_says_the_same_and_writes_nothing(objects, tmp_path):
    root = build(objects, SPEC, mtime_ns=T0)[0]
    target = os.fsencode(tmp_path / "new")
    planned = restore_to(objects, root, target, RestoreOptions(dry_run=True))
    assert not os.path.exists(target)
    done = restore_to(objects, root, target, RestoreOptions())
    assert (planned.plan.created, planned.plan.size_bytes) == (done.plan.created, done.applied.written_bytes)
    assert planned.plan.created == len(picture(target))


def test_files_that_stand_there_are_not_replaced(objects, tmp_path):
    root = build(objects, SPEC, mtime_ns=T0)[0]
    (tmp_path / "a").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        restore_to(objects, root, os.fsencode(tmp_path), RestoreOptions())
    assert (tmp_path / "a").read_text() == "mine"
