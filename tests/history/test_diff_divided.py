"""A comparison divided between processes is the one that a single process makes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tree_builder import DictObjects, Executable, Symlink, root_of

from casreplay.errors import CorruptError
from casreplay.history import diff_divided
from casreplay.history.diff import diff_trees
from casreplay.history.diff_divided import changes_between
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
