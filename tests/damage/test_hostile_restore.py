"""Trees made to hurt whoever restores them: each is refused, and nothing leaves the target.

The reader here does not verify ids, as a careless one would not: the format's rules and the
planner must hold on their own.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from support.plain_folders import T0, picture
from support.tree_builder import ZERO, DictObjects, Symlink, build, entry, put_tree, tree_of

from casreplay.codec.manifest import encode_tree
from casreplay.errors import CorruptError, StoreIOError
from casreplay.history.restore import RestoreOptions, restore_to
from casreplay.model.ids import TreeId
from casreplay.model.objects import EntryKind, EntryState, TreeEntry
from casreplay.store.base import ObjectKind


class Hostile:
    """Objects, a target and a folder beside it that must stay empty."""

    def __init__(self, top: str) -> None:
        self.objects = DictObjects(verify=False)
        self.target = os.fsencode(top) + b"/target"
        self.beside = os.fsencode(top) + b"/outside"
        os.mkdir(self.beside)

    def file(self, name: bytes, data: bytes = b"evil") -> TreeEntry:
        return entry(name, data, self.objects, mtime_ns=T0)

    def folder(self, name: bytes, inside: list[TreeEntry]) -> TreeEntry:
        tree_id, content = self.tree(inside)
        return TreeEntry(name, EntryKind.FOLDER, EntryState.COMPLETE, 0o755, 0, T0, content, tree_id)

    def link(self, name: bytes, target: bytes) -> TreeEntry:
        return entry(name, Symlink(target), self.objects, mtime_ns=T0)

    def tree(self, entries: list[TreeEntry]):
        return put_tree(self.objects, tree_of(entries))

    def restore(self, root: TreeId, **options):
        return restore_to(self.objects, root, self.target, RestoreOptions(**options))


@pytest.fixture
def hostile(tmp_path):
    made = Hostile(str(tmp_path))
    yield made
    assert os.listdir(made.beside) == []
    assert set(os.listdir(tmp_path)) <= {"target", "outside"}


def names(*values):
    return lambda h: h.tree([h.file(name) for name in values])[0]


def linked(h):
    return h.tree([h.link(b"d", b"../outside"), h.folder(b"d", [h.file(b"x")])])[0]


def cyclic(h):
    """A folder whose tree id is its own: only a reader that does not verify can be shown one."""
    own = TreeId(b"\7" * 32)
    inside = TreeEntry(b"d", EntryKind.FOLDER, EntryState.COMPLETE, 0o755, 0, T0, ZERO, own)
    tree = tree_of([inside])
    raw, _ = encode_tree(tree)
    h.objects.put(raw, ObjectKind.TREE, at=own)
    return own


def deep(h):
    inside = [h.file(b"x")]
    for _ in range(10_000):
        inside = [h.folder(b"d", inside)]
    return h.tree(inside)[0]


def changed(h, old, new):
    """A tree object with bytes replaced, kept under the id of what it has become."""
    raw, _ = encode_tree(tree_of([h.file(b"aaa"), h.file(b"bbb")]))
    assert old in raw
    return TreeId(h.objects.put(raw.replace(old, new), ObjectKind.TREE))


REFUSED_WHOLE = {
    "a parent folder's name": names(b".."),
    "its own name": names(b"."),
    "an empty name": names(b""),
    "a path as a name": names(b"../outside/x"),
    "an absolute name": names(b"/tmp/x"),
    "a name with NUL": lambda h: changed(h, b"aaa", b"a\0a"),
    "unsorted names": names(b"b", b"a"),
    "a name twice": names(b"a", b"a"),
    "a link and a folder of one name": linked,
    "a folder in itself": cyclic,
    "ten thousand levels": deep,
    "an unknown kind": lambda h: changed(h, b"ff\0\0", b"fz\0\0"),
    "an unknown state": lambda h: changed(h, b"ff\0\0", b"ff\0\x63"),
    "trailing bytes": lambda h: TreeId(
        h.objects.put(encode_tree(tree_of([h.file(b"a")]))[0] + b"x", ObjectKind.TREE)
    ),
    "a giant count": lambda h: changed(h, b"crT1\2\0\0\0", b"crT1\xff\xff\xff\xff"),
    "cut short": lambda h: TreeId(
        h.objects.put(encode_tree(tree_of([h.file(b"a")]))[0][:-9], ObjectKind.TREE)
    ),
    "no tree at all": lambda h: TreeId(h.objects.put(b"#!/bin/sh", ObjectKind.TREE)),
    "a missing tree": lambda h: TreeId(b"\5" * 32),
}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("case", REFUSED_WHOLE)
def test_a_tree_against_the_format_is_refused_before_anything_is_written(hostile, case, force):
    root = REFUSED_WHOLE[case](hostile)
    with pytest.raises(CorruptError):
        hostile.restore(root, force=force)
    assert picture(hostile.target) == {}


@pytest.mark.parametrize(
    "name", [b".git", b".GIT", b"git~1", b".git ", b".git...", b".git::$DATA", ".g\u200bit".encode()]
)
def test_a_repository_hidden_in_a_tree_is_not_planted(hostile, name):
    hooks = hostile.folder(b"hooks", [hostile.file(b"post-checkout", b"#!/bin/sh\ntouch ../outside/x\n")])
    root = hostile.tree(sorted([hostile.folder(name, [hooks]), hostile.file(b"ok")], key=lambda e: e.name))[0]
    restored = hostile.restore(root, force=True)
    if name == ".g\u200bit".encode():  # no file system ignores this one: an ordinary odd name
        assert restored.failures == ()
        return
    assert [problem.code for problem in restored.failures] == ["unsafe-name"]
    assert set(picture(hostile.target)) == {b"ok"}


def test_a_forged_folder_content_id_is_found(hostile):
    inner = hostile.folder(b"d", [hostile.file(b"x")])
    root = hostile.tree([replace(inner, id=b"\1" * 32)])[0]
    with pytest.raises(CorruptError):
        hostile.restore(root)


@pytest.mark.parametrize("size", [0, 3, 5, 1 << 20])
def test_a_forged_length_is_no_file(hostile, size):
    root = hostile.tree([replace(hostile.file(b"a"), size_bytes=size)])[0]
    assert [problem.code for problem in hostile.restore(root).failures] == ["corrupt"]
    assert picture(hostile.target) == {}


def test_a_length_no_disk_has_is_refused_at_once(hostile):
    root = hostile.tree([replace(hostile.file(b"a"), size_bytes=1 << 60)])[0]
    with pytest.raises(StoreIOError, match="free"):
        hostile.restore(root)
    assert picture(hostile.target) == {}


def test_a_link_that_leads_out_is_made_and_nothing_goes_through_it(hostile):
    root = hostile.tree([hostile.link(b"a", b"../outside"), hostile.folder(b"b", [hostile.file(b"x")])])[0]
    assert hostile.restore(root).failures == ()
    again = hostile.tree([hostile.folder(b"a", [hostile.file(b"x")])])[0]
    assert hostile.restore(again, force=True).failures == ()
    assert set(picture(hostile.target)) == {b"a", b"a/x"}


def test_a_folder_named_a_thousand_times_is_a_thousand_folders_and_no_more(hostile):
    inner = build(hostile.objects, {b"x": b"1"}, mtime_ns=T0)
    entries = [
        TreeEntry(b"%04d" % i, EntryKind.FOLDER, EntryState.COMPLETE, 0o755, 1, T0, inner[1], inner[0])
        for i in range(1000)
    ]
    restored = hostile.restore(hostile.tree(entries)[0])
    assert restored.failures == ()
    assert restored.applied.files == 1000
