"""A comparison divided between processes is the one that a single process makes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tree_builder import DictObjects, Executable, Symlink, entry, put_entries, root_of

from casreplay.errors import CorruptError
from casreplay.history import diff_batches, diff_divided
from casreplay.history.diff import diff_trees, pending_root
from casreplay.history.diff_batches import Comparison
from casreplay.history.diff_divided import changes_between
from casreplay.model.objects import EntryKind, EntryState, TreeEntry
from casreplay.model.paths import MAX_DEPTH
from casreplay.workspace import workers

NAMES = st.sampled_from([b"a", b"a.b", b"a-", b"b", b"\xff"])
FILES = st.sampled_from([b"1", b"2", Executable(b"1"), Symlink(b"1")])
FOLDERS = st.recursive(
    st.dictionaries(NAMES, FILES, max_size=3),
    lambda inner: st.dictionaries(NAMES, inner | FILES, max_size=4),
    max_leaves=20,
)


@pytest.fixture(autouse=True)
def divided(monkeypatch):
    """Divide at once, whatever there is to compare and however many processors."""
    monkeypatch.setattr(diff_divided, "MANY_FOLDERS", 2)
    monkeypatch.setattr(workers, "count", lambda: 3)


def wide(text: bytes) -> dict:
    return {b"%d" % i: {b"x": {b"y": text + b"%d" % i}, b"z": b"same"} for i in range(12)}


@settings(max_examples=60, deadline=None)
@given(FOLDERS, FOLDERS, st.sampled_from([(), (b"a",), (b"a/b", b"b")]))
def test_the_answer_and_its_order_are_the_same(before, after, paths):
    objects = DictObjects()
    a, b = root_of(objects, before), root_of(objects, after)
    assert changes_between(objects, a, b, paths=paths) == list(diff_trees(objects, a, b, paths=paths))
    assert changes_between(objects, None, b) == list(diff_trees(objects, None, b))
    assert changes_between(objects, a, b, folders=True) == list(diff_trees(objects, a, b, folders=True))


@settings(max_examples=40, deadline=None)
@given(FOLDERS, FOLDERS)
def test_a_batch_of_any_size_gives_the_same(before, after):
    objects = DictObjects()
    a, b = root_of(objects, before), root_of(objects, after)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diff_batches, "_BATCH", 2)
        patch.setattr(diff_divided, "_LEVELS", 0)
        patch.setattr(workers, "count", lambda: 1)
        assert changes_between(objects, a, b) == list(diff_trees(objects, a, b))


class Together(DictObjects):
    """A reader that is asked for many trees at once."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def trees_together(self):
        return self

    def get_all(self, ids):
        self.batches.append(len(ids))
        return {one: self.get(one) for one in ids}


def test_trees_of_one_level_are_asked_for_together(monkeypatch):
    monkeypatch.setattr(diff_divided, "MANY_FOLDERS", 1000)
    objects = Together()
    a, b = root_of(objects, wide(b"old")), root_of(objects, wide(b"new"))
    found = changes_between(objects, a, b)
    assert objects.batches == [2, 24, 24]
    assert found == list(diff_trees(objects, a, b))


def nested(objects, content, depth):
    """The root of ``depth`` folders in one another around a file."""
    inner = entry(b"f", content, objects)
    for _ in range(depth):
        tree_id, content_id = put_entries(objects, [inner])
        inner = TreeEntry(b"d", EntryKind.FOLDER, EntryState.COMPLETE, 0o755, 1, 0, content_id, tree_id)
    return inner.tree_id


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1])
def test_trees_that_are_too_deep_are_refused_from_the_same_depth_on(depth):
    objects = DictObjects()
    a, b = (nested(objects, content, depth) for content in (b"1", b"2"))
    root = pending_root(a, b)
    if depth <= MAX_DEPTH:
        alone = list(diff_trees(objects, a, b))
        assert Comparison(objects, (), folders=False).below([root]) == alone
        return
    for compared in (
        lambda: list(diff_trees(objects, a, b)),
        lambda: Comparison(objects, (), folders=False).below([root]),
    ):
        with pytest.raises(CorruptError, match="deeper than 1024"):
            compared()


def test_work_is_divided_when_many_folders_differ(monkeypatch):
    objects = DictObjects()
    a, b = root_of(objects, wide(b"old")), root_of(objects, wide(b"new"))
    asked = []
    run = workers.run
    monkeypatch.setattr(workers, "run", lambda jobs: asked.append(len(jobs)) or run(jobs))
    found = changes_between(objects, a, b)
    assert asked == [3]
    assert [change.path for change in found] == sorted(b"%d/x/y" % i for i in range(12))
    assert found == list(diff_trees(objects, a, b))


def test_damage_that_a_worker_meets_is_told_as_if_alone():
    objects = DictObjects()
    a, b = root_of(objects, wide(b"old")), root_of(objects, wide(b"new"))
    folder = root_of(objects, {b"y": b"new7"})
    objects.kept[folder] = objects.kept[folder][:-3]
    for compared in (changes_between, lambda *args: list(diff_trees(*args))):
        with pytest.raises(CorruptError) as caught:
            compared(objects, a, b)
        assert caught.value.fields["path"] == "7/x"
