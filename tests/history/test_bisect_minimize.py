from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tree_builder import DictObjects, entry, root_of

from casreplay.history.diff import diff_trees
from casreplay.history.minimize import (
    Part,
    apply_hunks,
    group_changes,
    hunks_of,
    minimal_set,
    split_hunks,
)
from casreplay.history.treeedit import TreeEditor
from casreplay.history.walk import walk
from casreplay.model.changes import Change, ChangeKind
from casreplay.store.base import ObjectKind


def parts_named(count):
    return [Part((Change(b"%03d" % i, ChangeKind.ADDED, None, None),)) for i in range(count)]


class Judge:
    def __init__(self, rule):
        self.rule = rule
        self.runs = 0
        self.seen = set()

    def __call__(self, chosen):
        assert chosen not in self.seen
        self.seen.add(chosen)
        self.runs += 1
        return self.rule({int(p.changes[0].path) for p in chosen})


@pytest.mark.parametrize("size", [1, 2, 5, 40])
def test_one_culprit_costs_the_logarithm(size):
    for culprit in range(size):
        judge = Judge(lambda s, c=culprit: c in s)
        found = minimal_set(parts_named(size), judge)
        assert [int(p.changes[0].path) for p in found] == [culprit]
        assert judge.runs <= size.bit_length() + 1


def test_two_parts_needed_together_among_forty_cost_at_most_fifteen_runs():
    for a in range(40):
        for b in range(a + 1, 40):
            judge = Judge(lambda s, a=a, b=b: {a, b} <= s)
            found = minimal_set(parts_named(40), judge)
            assert [int(p.changes[0].path) for p in found] == [a, b]
            assert judge.runs <= 15


@given(st.integers(1, 14), st.integers(0, 2**32))
def test_the_answer_is_bad_and_no_single_part_can_go(size, seed):
    rng = random.Random(seed)
    table = {}

    def rule(chosen):
        key = frozenset(chosen)
        if key not in table:
            table[key] = rng.random() < 0.3
        return table[key]

    table[frozenset(range(size))], table[frozenset()] = True, False
    found = {int(p.changes[0].path) for p in minimal_set(parts_named(size), Judge(rule))}
    assert rule(found)
    if len(found) > 1:
        assert not any(rule(found - {one}) for one in found)


texts = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"\n"]), max_size=12).map(b"".join)


@given(texts, texts, st.sampled_from([b"", b"end"]), st.data())
def test_all_hunks_give_the_new_text_none_the_old_and_any_subset_applies(before, after, end, data):
    after += end
    found = hunks_of(before, after)
    assert apply_hunks(before, found) == after
    assert apply_hunks(before, []) == before
    chosen = [h for h in found if data.draw(st.booleans())]
    assert isinstance(apply_hunks(before, chosen), bytes)
    for hunk in found:
        assert len(hunk.new) == hunk.new_lines


def test_a_change_is_cut_only_where_any_subset_makes_sense():
    before, after = b"1\n2\n3\n4\n5\n", b"one\n2\n3\n4\nfive\n"
    objects = DictObjects()
    change = Change(b"f", ChangeKind.MODIFIED, entry(b"f", before, objects), entry(b"f", after, objects))
    cut = split_hunks(Part((change,)), before, after)
    assert [(p.hunk.old_start, p.hunk.new) for p in cut] == [(1, (b"one\n",)), (5, (b"five\n",))]
    assert split_hunks(Part((change,)), b"\0" + before, after) == [Part((change,))]
    assert split_hunks(Part((change,)), before, before + b"6\n") == [Part((change,))]


def test_a_file_that_became_a_folder_is_one_part_with_what_is_in_it():
    objects = DictObjects()
    old = root_of(objects, {b"a": b"file", b"z": b"1"})
    new = root_of(objects, {b"a": {b"x": b"1", b"y": b"2"}, b"z": b"2"})
    parts = group_changes(list(diff_trees(objects, old, new)))
    assert [[c.path for c in p.changes] for p in parts] == [[b"a", b"a/x", b"a/y"], [b"z"]]


def editor_of(objects):
    return TreeEditor(objects, lambda tree_id, raw, _: objects.put(raw, ObjectKind.TREE, tree_id))


names = st.sampled_from([b"a", b"b", b"c"])
folders = st.recursive(
    st.binary(min_size=1, max_size=2),
    lambda c: st.dictionaries(names, c, min_size=1, max_size=3),
    max_leaves=10,
).filter(lambda value: isinstance(value, dict))


@given(folders, folders)
def test_editing_a_tree_gives_the_tree_that_building_it_anew_gives(old, new):
    objects = DictObjects()
    before, after = root_of(objects, old), root_of(objects, new)
    edits = {}
    for change in diff_trees(objects, before, after):
        if change.after is None or change.after.tree_id is None:
            edits[change.path] = change.after
        elif change.kind is ChangeKind.TYPE:
            edits[change.path] = None
    root, _ = editor_of(objects).edit(before, edits)
    assert [p for p, _ in walk(objects, root)] == [p for p, _ in walk(objects, after)]
    assert not list(diff_trees(objects, root, after))


def test_an_edit_writes_only_the_folders_on_the_way():
    objects = DictObjects()
    old = root_of(objects, {b"a": {b"x": b"1"}, b"b": {b"y": {b"z": b"2"}}})
    written = []
    editor = TreeEditor(objects, lambda tree_id, raw, base: written.append(objects.put(raw, ObjectKind.TREE)))
    editor.edit(old, {b"b/y/z": entry(b"z", b"3", objects)})
    assert len(written) == 3
    empty, _ = editor.edit(old, {b"a/x": None, b"b/y/z": None})
    assert list(walk(objects, empty)) == []
