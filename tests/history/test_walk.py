from __future__ import annotations

import dataclasses

import pytest
from support.tree_builder import (
    ZERO,
    DictObjects,
    Executable,
    Symlink,
    build,
    put_node,
    put_tree,
    root_of,
    tree_of,
)
from support.tree_builder import entry as make_entry

from casreplay.errors import CorruptError, MissingObjectError, UnknownNameError
from casreplay.history import walk
from casreplay.model.ids import TreeId
from casreplay.model.objects import EntryKind, EntryState, TreeEntry, TreeNode

WORKSPACE = {
    b"a": {b"x": b"1", b"deep": {b"y": b"2"}, b"empty": {}},
    b"a.txt": b"3",
    b"run": Executable(b"#!"),
    b"to": Symlink(b"a"),
}


@pytest.fixture
def objects():
    return DictObjects()


def big(number, **changed):
    return {b"%06d" % i: changed.get("content", b"same") for i in range(number)}


def test_walk_gives_folders_before_contents_in_name_order(objects):
    root = root_of(objects, WORKSPACE)
    assert [path for path, _ in walk.walk(objects, root)] == [
        b"a",
        b"a/deep",
        b"a/deep/y",
        b"a/empty",
        b"a/x",
        b"a.txt",
        b"run",
        b"to",
    ]


def test_walk_below_a_folder_leaves_the_folder_out(objects):
    root = root_of(objects, WORKSPACE)
    assert [path for path, _ in walk.walk(objects, root, path=b"a/deep")] == [b"a/deep/y"]


def test_walk_of_a_file_yields_the_file(objects):
    root = root_of(objects, WORKSPACE)
    [(path, entry)] = walk.walk(objects, root, path=b"a/x")
    assert (path, entry.kind) == (b"a/x", EntryKind.FILE)


def test_walk_of_nothing_is_an_unknown_name(objects):
    root = root_of(objects, WORKSPACE)
    with pytest.raises(UnknownNameError, match="a/z"):
        list(walk.walk(objects, root, path=b"a/z"))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b"a", EntryKind.FOLDER),
        (b"a/deep/y", EntryKind.FILE),
        (b"run", EntryKind.EXECUTABLE),
        (b"to", EntryKind.SYMLINK),
    ],
)
def test_find_gives_the_entry_at_a_path(objects, path, kind):
    entry = walk.find(objects, root_of(objects, WORKSPACE), path)
    assert (entry.name, entry.kind) == (path.rpartition(b"/")[2], kind)


@pytest.mark.parametrize("path", [b"", b"b", b"a/x/y", b"a/", b"0"])
def test_find_gives_none_where_nothing_is(objects, path):
    assert walk.find(objects, root_of(objects, WORKSPACE), path) is None


def test_a_split_folder_is_joined_and_found_by_reading_one_leaf(objects):
    root = root_of(objects, big(9000))
    assert len(walk.load_folder(objects, root)) == 9000
    objects.read.clear()
    assert walk.find(objects, root, b"004321").name == b"004321"
    assert len(objects.read) == 2


def test_entry_at_agrees_with_entries(objects):
    tree = walk.load_folder(objects, root_of(objects, WORKSPACE))
    assert [walk.entry_at(tree, i) for i in range(len(tree))] == list(tree.entries())
    assert list(walk.entries(tree)) == list(tree.entries())


def test_a_missing_folder_names_its_path(objects):
    root = root_of(objects, WORKSPACE)
    del objects.kept[walk.find(objects, root, b"a/deep").tree_id]
    with pytest.raises(MissingObjectError) as caught:
        list(walk.walk(objects, root))
    assert caught.value.fields["path"] == "a/deep"


def test_a_folder_must_have_the_content_id_its_parent_states(objects):
    child = make_entry(b"d", {b"x": b"1"}, objects)
    other = make_entry(b"d", {b"x": b"2"}, objects)
    root, _ = put_tree(objects, tree_of([dataclasses.replace(child, tree_id=other.tree_id)]))
    with pytest.raises(CorruptError, match="content id"):
        list(walk.walk(objects, root))
    with pytest.raises(CorruptError, match="content id"):
        walk.find(objects, root, b"d/x")


def folder_entry(name, tree_id, content):
    return TreeEntry(name, EntryKind.FOLDER, EntryState.COMPLETE, 0o755, 0, 0, content, tree_id)


def chain_of_folders(objects, depth):
    tree_id, content = put_tree(objects, tree_of([]))
    for _ in range(depth):
        tree_id, content = put_tree(objects, tree_of([folder_entry(b"d", tree_id, content)]))
    return tree_id


def test_folders_1024_deep_are_walked(objects):
    assert sum(1 for _ in walk.walk(objects, chain_of_folders(objects, 1023))) == 1023


def test_folders_10000_deep_are_refused(objects):
    with pytest.raises(CorruptError, match="deeper than 1024"):
        list(walk.walk(objects, chain_of_folders(objects, 10_000)))


def test_a_tree_that_contains_itself_is_refused():
    objects = DictObjects(verify=False)
    here = TreeId(b"\1" * 32)
    raw_id, content = put_tree(objects, tree_of([folder_entry(b"d", here, ZERO)]))
    objects.kept[here] = objects.kept[raw_id]
    with pytest.raises(CorruptError):
        list(walk.walk(objects, here))
    assert content


def test_folders_that_multiply_are_stopped_at_the_limit(objects, monkeypatch):
    tree_id, content = put_tree(objects, tree_of([]))
    for _ in range(60):
        pair = [folder_entry(b"a", tree_id, content), folder_entry(b"b", tree_id, content)]
        tree_id, content = put_tree(objects, tree_of(pair))
    with pytest.raises(CorruptError, match="more paths"):
        list(walk.walk(objects, tree_id, limit=5000))
    monkeypatch.setattr(walk, "MAX_REPEATED", 1000)
    seen = []
    with pytest.raises(CorruptError, match="more paths"):
        seen.extend(walk.walk(objects, tree_id))
    assert 1000 < len(seen) < 3000


def test_copies_of_a_folder_do_not_count_as_multiplying(objects, monkeypatch):
    monkeypatch.setattr(walk, "MAX_REPEATED", 10)
    copied = {b"%02d" % i: b"1" for i in range(50)}
    root = root_of(objects, {b"copy %d" % i: copied for i in range(9)})
    assert sum(1 for _ in walk.walk(objects, root)) == 9 * 51


def leaf(objects, *names):
    return [make_entry(name, b"", objects) for name in names]


@pytest.mark.parametrize(
    "changed",
    [
        {"counts": (2, 3)},
        {"first_names": [b"a", b"d"]},
        {"first_names": [b"0", b"c"]},
    ],
)
def test_a_node_that_misstates_its_children_is_refused(objects, changed):
    node_id, _ = put_node(objects, [leaf(objects, b"a", b"b"), leaf(objects, b"c", b"d")])
    node = dataclasses.replace(walk.load_object(objects, node_id), **changed)
    forged, _ = put_tree(objects, node)
    with pytest.raises(CorruptError, match="not what its node says"):
        walk.load_folder(objects, forged)


def test_leaves_that_overlap_are_refused(objects):
    node_id, _ = put_node(objects, [leaf(objects, b"a", b"x"), leaf(objects, b"c", b"y")])
    with pytest.raises(CorruptError, match="overlap"):
        walk.load_folder(objects, node_id)


def test_nodes_above_nodes_are_read_and_bounded(objects):
    node_id, content = put_node(objects, [leaf(objects, b"a", b"b"), leaf(objects, b"c")])
    for level in range(12):
        above = TreeNode([b"a"], (3,), content, node_id)
        node_id, content = put_tree(objects, above)
        if level == 0:
            assert walk.load_folder(objects, node_id).names == [b"a", b"b", b"c"]
            assert walk.find(objects, node_id, b"c").name == b"c"
    with pytest.raises(CorruptError, match="levels"):
        walk.load_folder(objects, node_id)
    with pytest.raises(CorruptError, match="levels"):
        walk.find(objects, node_id, b"a")


def test_reachable_gives_each_object_once_trees_before_blobs(objects):
    roots = [root_of(objects, WORKSPACE), root_of(objects, {**WORKSPACE, b"more": b"3"})]
    found = list(walk.reachable(objects, [*roots, roots[0]]))
    assert len(found) == len(set(found))
    assert set(found) == set(objects.kept)
    kinds = [objects.kinds[i] for i in found]
    assert kinds == sorted(kinds, reverse=True)


def test_reachable_leaves_out_what_has_no_content(objects):
    lost = dataclasses.replace(
        make_entry(b"f", b"gone", objects), state=EntryState.UNREADABLE, id=ZERO, size_bytes=0
    )
    root, _ = put_tree(objects, tree_of([lost]))
    assert list(walk.reachable(objects, [root])) == [root]


def test_reachable_stops_at_a_missing_tree(objects):
    root, _, _ = build(objects, WORKSPACE)
    del objects.kept[walk.find(objects, root, b"a").tree_id]
    with pytest.raises(MissingObjectError):
        list(walk.reachable(objects, [root]))
