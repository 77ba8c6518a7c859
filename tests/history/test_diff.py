from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tree_builder import DictObjects, Executable, Symlink, put_tree, root_of, tree_of
from support.tree_builder import entry as make_entry

from casreplay.errors import CorruptError
from casreplay.history.diff import counts, diff_trees, summary, without_full_folders
from casreplay.history.walk import walk
from casreplay.model.changes import ChangeCounts, ChangeKind
from casreplay.model.objects import EntryKind, EntryState


def changes(before, after, **options):
    objects = DictObjects()
    a = root_of(objects, before) if before is not None else None
    b = root_of(objects, after) if after is not None else None
    return list(diff_trees(objects, a, b, **options))


def shown(found):
    return [(change.kind.sigil, change.path) for change in found]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({b"a": b"1"}, {b"a": b"1"}, []),
        ({}, {b"a": b"1"}, [("A", b"a")]),
        ({b"a": b"1"}, {}, [("D", b"a")]),
        ({b"a": b"1"}, {b"a": b"2"}, [("M", b"a")]),
        ({b"a": b"1"}, {b"a": Executable(b"1")}, [("m", b"a")]),
        ({b"a": b"1"}, {b"a": Executable(b"2")}, [("M", b"a")]),
        ({b"a": b"1"}, {b"a": Symlink(b"1")}, [("T", b"a")]),
        ({b"a": b"1"}, {b"a": {b"b": b"1"}}, [("T", b"a"), ("A", b"a/b")]),
        ({b"a": {b"b": b"1"}}, {b"a": b"1"}, [("T", b"a"), ("D", b"a/b")]),
        ({}, {b"d": {b"e": {}}}, [("A", b"d/e")]),
        ({b"d": {b"e": {}}}, {}, [("D", b"d/e")]),
        ({}, {b"d": {b"f": b""}}, [("A", b"d/f")]),
        ({b"d": {}}, {b"d": {b"f": b""}}, [("A", b"d/f")]),
        (None, {b"a": b"1"}, [("A", b"a")]),
        ({b"a": b"1"}, None, [("D", b"a")]),
        (None, None, []),
    ],
)
def test_changes_of_each_kind(before, after, expected):
    assert shown(changes(before, after)) == expected


def test_all_folders_are_given_when_asked_for():
    found = changes({}, {b"d": {b"e": {b"f": b""}}}, folders=True)
    assert shown(found) == [("A", b"d"), ("A", b"d/e"), ("A", b"d/e/f")]


def test_times_are_no_change():
    objects = DictObjects()
    a = root_of(objects, {b"d": {b"f": b"1"}}, mtime_ns=1)
    b = root_of(objects, {b"d": {b"f": b"1"}}, mtime_ns=2)
    assert a != b
    assert list(diff_trees(objects, a, b)) == []


def test_mode_of_a_folder_is_a_change_of_the_folder_alone():
    objects = DictObjects()
    folder = make_entry(b"d", {b"f": b"1"}, objects)
    a, _ = put_tree(objects, tree_of([folder]))
    b, _ = put_tree(objects, tree_of([dataclasses.replace(folder, mode=0o700)]))
    objects.read.clear()
    [change] = diff_trees(objects, a, b)
    assert objects.read == [a, b]
    assert (change.kind, change.path, change.after.mode) == (ChangeKind.MODE, b"d", 0o700)


def test_a_file_that_could_not_be_read_any_more_is_modified():
    objects = DictObjects()
    whole = make_entry(b"f", b"1", objects)
    lost = dataclasses.replace(whole, state=EntryState.UNREADABLE, id=bytes(32))
    a, _ = put_tree(objects, tree_of([whole]))
    b, _ = put_tree(objects, tree_of([lost]))
    assert [c.kind for c in diff_trees(objects, a, b)] == [ChangeKind.MODIFIED]


def test_special_files_change_type():
    objects = DictObjects()
    fifo = dataclasses.replace(make_entry(b"f", b"", objects), kind=EntryKind.FIFO, id=bytes(32))
    a, _ = put_tree(objects, tree_of([fifo]))
    b, _ = put_tree(objects, tree_of([dataclasses.replace(fifo, kind=EntryKind.SOCKET)]))
    assert [c.kind for c in diff_trees(objects, a, b)] == [ChangeKind.TYPE]


def test_paths_come_in_the_order_of_their_bytes():
    after = {b"a": {b"x": b""}, b"a.txt": b"", b"a-b": {b"y": b""}, b"b": b""}
    found = [change.path for change in changes({}, after, folders=True)]
    assert found == sorted(found)
    assert found == [b"a", b"a-b", b"a-b/y", b"a.txt", b"a/x", b"b"]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([b"d"], [b"d/e/f", b"d/g"]),
        ([b"d/e"], [b"d/e/f"]),
        ([b"d/e/f", b"h"], [b"d/e/f", b"h"]),
        ([b"d/nothing"], []),
        ([b"e"], []),
        ([b""], [b"d/e/f", b"d/g", b"h"]),
    ],
)
def test_only_the_paths_asked_for(paths, expected):
    after = {b"d": {b"e": {b"f": b""}, b"g": b""}, b"h": b""}
    assert [change.path for change in changes({}, after, paths=paths)] == expected


def test_equal_folders_are_never_read():
    objects = DictObjects()
    same = {b"%03d" % i: {b"f": b"%d" % i} for i in range(200)}
    a = root_of(objects, {b"same": same, b"d": {b"f": b"1"}})
    b = root_of(objects, {b"same": same, b"d": {b"f": b"2"}})
    objects.read.clear()
    assert shown(diff_trees(objects, a, b)) == [("M", b"d/f")]
    assert len(objects.read) == 4


def test_of_a_split_folder_only_the_leaves_that_differ_are_read():
    objects = DictObjects()
    many = {b"%06d" % i: b"same" for i in range(40_000)}
    a = root_of(objects, many)
    b = root_of(objects, {**many, b"020000": b"other", b"0200001": b"new"})
    objects.read.clear()
    assert shown(diff_trees(objects, a, b)) == [("M", b"020000"), ("A", b"0200001")]
    assert len(objects.read) <= 6


def test_a_folder_that_outgrows_one_leaf_is_compared_entry_by_entry():
    objects = DictObjects()
    many = {b"%06d" % i: b"same" for i in range(5000)}
    few = {name: many[name] for name in list(many)[:1500]}
    found = list(diff_trees(objects, root_of(objects, few), root_of(objects, many)))
    assert counts(found) == ChangeCounts(added=3500)


def test_counts_sum_by_kind():
    found = changes(
        {b"a": b"1", b"b": b"1", b"c": b"1", b"d": b"1"},
        {b"a": b"2", b"b": Executable(b"1"), b"c": Symlink(b"1"), b"e": b"1"},
    )
    assert counts(found) == ChangeCounts(added=1, modified=3, deleted=1)
    assert counts(found).total == 5


def test_a_summary_adds_up_bytes():
    found = changes({b"a": b"123", b"b": b"1", b"d": {b"e": b"12"}}, {b"a": b"1", b"c": b"1234"})
    assert summary(found) == {
        "added": 1,
        "modified": 1,
        "deleted": 2,
        "renamed": 0,
        "type": 0,
        "mode": 0,
        "total": 4,
        "bytes_before": 6,
        "bytes_after": 5,
    }


def test_a_damaged_folder_names_its_path():
    objects = DictObjects()
    a = root_of(objects, {b"d": {b"f": b"1"}})
    b = root_of(objects, {b"d": {b"f": b"2"}})
    broken = next(e.tree_id for p, e in walk(objects, b) if p == b"d")
    objects.kept[broken] = objects.kept[broken][:-1] + b"!"
    with pytest.raises(CorruptError) as caught:
        list(diff_trees(objects, a, b))
    assert caught.value.fields["path"] == "d"


names = st.sampled_from([b"a", b"b", b"a.b", b"a-", b"c"])
files = st.sampled_from([b"1", b"2", Executable(b"1"), Symlink(b"1")])
folders = st.recursive(
    st.dictionaries(names, files, max_size=4),
    lambda inner: st.dictionaries(names, st.one_of(files, inner), max_size=4),
    max_leaves=12,
)


def flat(folder, prefix=b""):
    for name, value in folder.items():
        path = prefix + name
        if isinstance(value, dict):
            yield path, "folder"
            yield from flat(value, path + b"/")
        else:
            yield path, (type(value), bytes(value))


@given(folders, folders)
def test_applying_the_changes_to_one_side_gives_the_other(before, after):
    found = changes(before, after, folders=True)
    state, target = dict(flat(before)), dict(flat(after))
    assert [c.path for c in found] == sorted({c.path for c in found})
    for change in found:
        assert state.get(change.path) != target.get(change.path)
        state.pop(change.path, None)
        if change.after is not None:
            state[change.path] = target[change.path]
    assert state == target


@given(folders, folders)
def test_full_folders_can_be_left_out_afterwards(before, after):
    assert without_full_folders(changes(before, after, folders=True)) == changes(before, after)


@given(folders, folders)
def test_the_way_back_is_the_mirror_image(before, after):
    mirror = {ChangeKind.ADDED: ChangeKind.DELETED, ChangeKind.DELETED: ChangeKind.ADDED}
    forth = [(c.path, mirror.get(c.kind, c.kind)) for c in changes(before, after, folders=True)]
    assert forth == [(c.path, c.kind) for c in changes(after, before, folders=True)]
