"""Folders of any size: split where names say, joined again on reading, cheap to change."""

from __future__ import annotations

import pytest

from casreplay.codec.manifest import SPLIT_ENTRIES, decode_tree, is_boundary
from casreplay.history import treebuild
from casreplay.history.treebuild import store_tree
from casreplay.history.walk import load_folder
from casreplay.model.objects import Tree, TreeNode

NO_ID = bytes(32)


class Trees:
    """Trees in a dictionary, with what each was said to be a later version of."""

    def __init__(self):
        self.kept, self.bases = {}, {}

    def put(self, tree_id, canonical, old):
        self.kept[tree_id], self.bases[tree_id] = canonical, old

    def get(self, tree_id):
        return self.kept[tree_id]


def _folder(names):
    names = sorted(names)
    n = len(names)
    return Tree(
        names=names,
        kinds=b"f" * n,
        states=bytes(n),
        modes=[0o644] * n,
        sizes=[len(name) for name in names],
        ids=b"".join(name.rjust(32, b".") for name in names),
        mtimes_ns=[5] * n,
        tree_ids=b"",
    )


def _names(n):
    return [b"file-%06d" % i for i in range(n)]


@pytest.mark.parametrize("n", [0, 1, SPLIT_ENTRIES, SPLIT_ENTRIES + 1, 20_000])
def test_a_folder_of_any_size_reads_back(n):
    trees = Trees()
    made = _folder(_names(n))
    tree_id, content_id = store_tree(made, trees, NO_ID)
    again = load_folder(trees, tree_id, content_id)
    assert list(again.names) == made.names
    assert again.ids == made.ids
    assert list(again.sizes) == made.sizes


def test_leaves_end_where_names_say():
    trees = Trees()
    tree_id, _ = store_tree(_folder(_names(20_000)), trees, NO_ID)
    node = decode_tree(trees.get(tree_id))
    assert isinstance(node, TreeNode)
    for i in range(len(node.counts) - 1):
        leaf = decode_tree(trees.get(node.tree_ids[32 * i : 32 * i + 32]))
        assert is_boundary(leaf.names[-1])
        assert not any(is_boundary(name) for name in leaf.names[:-1])


def test_one_more_name_rewrites_one_leaf_and_the_node():
    trees = Trees()
    old, _ = store_tree(_folder(_names(20_000)), trees, NO_ID)
    before = set(trees.kept)
    new, _ = store_tree(_folder([*_names(20_000), b"file-010000-more"]), trees, old)
    added = set(trees.kept) - before
    assert len(added) == 2
    assert all(any(trees.bases[one]) for one in added), "both are deltas of what they replace"
    assert trees.bases[new] == old


def test_very_many_leaves_get_nodes_above_nodes(monkeypatch):
    monkeypatch.setattr(treebuild, "SPLIT_ENTRIES", 8)
    monkeypatch.setattr(treebuild, "is_boundary", lambda name: name.endswith(b"0"))
    trees = Trees()
    made = _folder(_names(600))
    tree_id, content_id = store_tree(made, trees, NO_ID)
    assert list(load_folder(trees, tree_id, content_id).names) == made.names


def test_times_change_the_tree_and_not_the_content():
    trees = Trees()
    early, late = _folder(_names(10)), _folder(_names(10))
    late = Tree(late.names, late.kinds, late.states, late.modes, late.sizes, late.ids, [9] * 10, b"")
    first, second = store_tree(early, trees, NO_ID), store_tree(late, trees, NO_ID)
    assert first[0] != second[0]
    assert first[1] == second[1]
