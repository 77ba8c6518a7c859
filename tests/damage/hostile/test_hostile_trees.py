"""Whole stores whose trees were made to hurt: ids and checksums hold, what they say must not.

Each is recorded in a real store, as somebody who can write to it would, and must fail in
fsck and in restore; nothing may be written beside the target, and no message may carry a
control character to a terminal.
"""

from __future__ import annotations

import os
import struct
from dataclasses import replace

import pytest
from support.disk_trees import record
from support.tree_builder import (
    ZERO,
    DictObjects,
    Executable,
    Symlink,
    build,
    entry,
    put_entries,
    put_node,
    put_tree,
    tree_of,
)

from casreplay.codec import hashing
from casreplay.codec.manifest import encode_tree
from casreplay.errors import CorruptError, StoreIOError
from casreplay.history.check_trees import NameRules
from casreplay.history.restore import RestoreOptions, restore_to
from casreplay.history.verify import fsck
from casreplay.history.walk import load_object, walk
from casreplay.model.ids import ContentId, TreeId
from casreplay.model.objects import EntryKind, EntryState, TreeEntry, TreeNode
from casreplay.store.base import ObjectKind
from casreplay.store.disk import DiskStore
from casreplay.workspace.plan import PlanOptions, plan


def folder_of(name, tree_id, content, size=0):
    return TreeEntry(name, EntryKind.FOLDER, EntryState.COMPLETE, 0o755, size, 0, content, tree_id)


def named(*values):
    return lambda o: put_tree(o, tree_of([replace(entry(b"x", b"evil", o), name=v) for v in values]))


def below(make):
    """The same one folder further down."""

    def made(o):
        tree_id, content = make(o)
        return put_tree(o, tree_of([folder_of(b"down", tree_id, content, 4)]))

    return made


def raw_tree(change):
    """Bytes of a sound folder, changed, kept under their true id."""

    def made(o):
        sound, _ = encode_tree(tree_of([entry(b"a", b"1", o), entry(b"b", b"2", o)]))
        data = bytearray(sound)
        data = change(data) or data
        return TreeId(o.put(bytes(data), ObjectKind.TREE)), ContentId(ZERO)

    return made


def put_at(where, layout, *values):
    def change(data):
        struct.pack_into(layout, data, where, *values)

    return raw_tree(change)


def symlink_and_folder_of_one_name(o):
    inner, content = put_tree(o, tree_of([entry(b"planted", b"evil", o)]))
    return put_tree(o, tree_of([entry(b"x", Symlink(b"/tmp"), o), folder_of(b"x", inner, content, 4)]))


def folder_without_tree(o):
    return put_tree(o, tree_of([folder_of(b"d", TreeId(b"\1" * 32), ZERO)]))


def missing_blob(o):
    return put_tree(o, tree_of([replace(entry(b"f", b"1", o), id=b"\2" * 32)]))


def forged_content_id(o):
    inner, _ = put_tree(o, tree_of([]))
    return put_tree(o, tree_of([folder_of(b"d", inner, b"\3" * 32)]))


def forged_length(o):
    return put_tree(o, tree_of([replace(entry(b"f", b"12345", o), size_bytes=3)]))


def giant_length(o):
    return put_tree(o, tree_of([replace(entry(b"f", b"12345", o), size_bytes=1 << 62)]))


def blob_as_folder(o):
    blob = o.put(b"crT1 no tree at all", ObjectKind.BLOB)
    return put_tree(o, tree_of([folder_of(b"d", TreeId(blob), ZERO)]))


def tree_as_file(o):
    inner, _ = put_tree(o, tree_of([entry(b"secret", b"1", o)]))
    return put_tree(o, tree_of([replace(entry(b"f", b"1", o), id=inner)]))


def deep(levels):
    def made(o):
        tree_id, content = put_tree(o, tree_of([]))
        for _ in range(levels):
            tree_id, content = put_tree(o, tree_of([folder_of(b"d", tree_id, content)]))
        return tree_id, content

    return made


def leaf(o, *values):
    return [entry(value, b"", o) for value in values]


def node(**changed):
    def made(o):
        node_id, _ = put_node(o, [leaf(o, b"a", b"b"), leaf(o, b"c", b"d")])
        return put_tree(o, replace(load_object(o, node_id), **changed))

    return made


def overlapping_parts(o):
    return put_node(o, [leaf(o, b"a", b"x"), leaf(o, b"c", b"y")])


def parts_of_parts(o):
    node_id, content = put_node(o, [leaf(o, b"a", b"b"), leaf(o, b"c")])
    for _ in range(12):
        node_id, content = put_tree(o, TreeNode([b"a"], (3,), content, node_id))
    return node_id, content


def empty_part(o):
    node_id, content = put_tree(o, tree_of([]))
    return put_tree(o, TreeNode([b"a"], (0,), content, node_id))


def part_with_an_unsafe_name(o):
    return put_node(o, [leaf(o, b"a", b"b"), leaf(o, b"c", b"..")])


HOSTILE = {
    "dot dot": named(b".."),
    "dot": named(b"."),
    "empty name": named(b""),
    "absolute": named(b"/etc/passwd"),
    "two names in one": named(b"a/b"),
    "up and out": named(b"../../outside/planted"),
    "nul in a name": named(b"a\0b"),
    "endless name": named(b"n" * 5000),
    "dot dot further down": below(named(b"..")),
    "unsorted": named(b"b", b"a"),
    "the same name twice": named(b"a", b"a"),
    "symlink and folder of one name": symlink_and_folder_of_one_name,
    "git": named(b".git"),
    "git in capitals": named(b".GIT"),
    "git with a dot": named(b".git."),
    "git with a space": named(b".git "),
    "git's short name": named(b"GIT~1"),
    "git with an ignored code point": named(".g\u200cit".encode()),
    "git as a stream": named(b".git::$INDEX_ALLOCATION"),
    "git further down": below(named(b".Git")),
    "too deep": deep(1100),
    "ten thousand deep": deep(10_000),
    "folder that is not there": folder_without_tree,
    "blob that is not there": missing_blob,
    "forged content id": forged_content_id,
    "forged length": forged_length,
    "length no disk has": giant_length,
    "blob as a folder": blob_as_folder,
    "tree as a file": tree_as_file,
    "giant count": put_at(4, "<I", 0xFFFFFFFF),
    "count beyond the limit": put_at(4, "<I", 1 << 23),
    "count too small": put_at(4, "<I", 1),
    "unknown magic": put_at(0, "<4s", b"crT9"),
    "unknown kind": put_at(8, "<B", ord("z")),
    "unknown state": put_at(10, "<B", 99),
    "names longer than the object": put_at(96, "<I", 0x7FFFFFFF),
    "cut short": raw_tree(lambda data: data[:-7]),
    "bytes behind the end": raw_tree(lambda data: data + b"more"),
    "nothing at all": raw_tree(lambda _: bytearray(1)),
    "part with a wrong count": node(counts=(2, 3)),
    "part with a wrong first name": node(first_names=[b"a", b"d"]),
    "part without names": empty_part,
    "parts that overlap": overlapping_parts,
    "parts of parts of parts": parts_of_parts,
    "part with an unsafe name": part_with_an_unsafe_name,
    "control characters": named(b"\x1b[2J/../x"),
}


@pytest.fixture
def store(tmp_path):
    made = DiskStore.create(str(tmp_path / "store"))
    yield made
    made.close()


def recorded(store, make):
    objects = DictObjects()
    root, content = make(objects)
    return record(store, objects, root, content)


def test_the_corpus_is_as_large_as_promised():
    assert len(HOSTILE) >= 25


@pytest.mark.parametrize("case", HOSTILE)
def test_fsck_names_it(store, case):
    sound = record(store, *sound_tree())
    hostile = recorded(store, HOSTILE[case])
    report = fsck(store, data=True)
    assert not report.is_clean
    assert report.damaged == (hostile.id.hex(),)
    assert any(hostile.id.hex() in problem.snapshots for problem in report.problems)
    assert not any(sound.id.hex() in problem.snapshots for problem in report.problems)
    for problem in report.problems:
        assert problem.message.isprintable()
        assert problem.path.isprintable()


def refusals(store, root, target):
    """What restore says against a tree: the error it stops with, or what it did not restore."""
    try:
        return [problem.message for problem in restore_to(store, root, target, RestoreOptions()).failures]
    except (CorruptError, StoreIOError) as error:
        return [error.message]


@pytest.mark.parametrize("case", HOSTILE)
def test_restore_refuses_it(store, tmp_path, case):
    hostile = recorded(store, HOSTILE[case])
    target = os.fsencode(tmp_path / "target" / "inner")
    os.makedirs(tmp_path / "target")
    before = set(os.listdir(tmp_path))
    messages = refusals(store, hostile.root, target)
    assert messages
    assert all(message.isprintable() for message in messages)
    assert set(os.listdir(tmp_path)) == before
    assert os.listdir(tmp_path / "target") in ([], ["inner"])
    found = [name for _, folders, files in os.walk(target) for name in (*folders, *files)]
    assert set(found) <= {b"down", b"d", b"a", b"b", b"c"}


def sound_tree():
    objects = DictObjects()
    content = {b"a": b"1", b"run": Executable(b"#!"), b"to": Symlink(b"a"), b"d": {b"b": b"2", b"e": {}}}
    root, tree, _ = build(objects, content)
    return objects, root, tree


def test_a_sound_tree_passes_both(store, tmp_path):
    snapshot = record(store, *sound_tree())
    assert fsck(store, data=True).is_clean
    restored = restore_to(store, snapshot.root, os.fsencode(tmp_path / "target"), RestoreOptions())
    assert restored.failures == ()


ONLY_SOME_SYSTEMS = {
    "device": named(b"nul"),
    "device with an ending": named(b"con.txt"),
    "stream": named(b"a:b"),
    "dot at the end": named(b"trailing."),
    "space at the end": named(b"trailing "),
    "backslash": named(b"..\\..\\outside"),
    "equal but for case": named(b"README", b"readme"),
    "equal but for normalisation": named("e\u0301".encode(), "\u00e9".encode()),
    "control character": named(b"\x07bell"),
}


@pytest.mark.parametrize("case", ONLY_SOME_SYSTEMS)
def test_names_some_systems_cannot_hold_are_refused_there_and_noted_here(store, case):
    snapshot = recorded(store, ONLY_SOME_SYSTEMS[case])
    here = fsck(store, data=True)
    assert here.is_clean
    assert [note.code for note in here.notes] == ["not-portable"]
    assert here.notes[0].message.isprintable()
    there = fsck(store, names=NameRules(portable=True))
    assert {problem.code for problem in there.problems} <= {"not-portable", "name-clash"}
    assert there.damaged == (snapshot.id.hex(),)
    planned = plan((), walk(store, snapshot.root), PlanOptions(windows=True, ignores_case=True))
    assert {problem.code for problem in planned.problems} & {"not-portable", "name-clash"}


def test_a_repository_recorded_on_purpose_can_be_allowed(store):
    recorded(store, named(b".git"))
    assert not fsck(store).is_clean
    assert fsck(store, names=NameRules(allow_git=True)).is_clean
    assert fsck(store, names=NameRules(allow_git=True)).damaged == ()


def test_folders_that_multiply_are_found_without_walking_them(store, tmp_path, monkeypatch):
    def made(o):
        tree_id, content = put_tree(o, tree_of([entry(b"f", b"", o)]))
        for _ in range(60):
            pair = [folder_of(b"a", tree_id, content), folder_of(b"b", tree_id, content)]
            tree_id, content = put_tree(o, tree_of(pair))
        return tree_id, content

    snapshot = recorded(store, made)
    assert "too-many" in {problem.code for problem in fsck(store).problems}
    monkeypatch.setattr("casreplay.history.walk.MAX_REPEATED", 10_000)
    assert "more paths" in refusals(store, snapshot.root, os.fsencode(tmp_path / "target"))[0]


def test_a_folder_that_states_a_size_it_has_not_is_found(store):
    def made(o):
        inner, content = put_tree(o, tree_of([entry(b"f", b"123", o)]))
        return put_tree(o, tree_of([folder_of(b"d", inner, content, 4)]))

    recorded(store, made)
    assert [problem.code for problem in fsck(store).problems] == ["size"]


def test_a_snapshot_that_states_another_content_id_is_found(store):
    objects = DictObjects()
    root, _, _ = build(objects, {b"a": b"1"})
    snapshot = record(store, objects, root, ContentId(b"\4" * 32))
    report = fsck(store)
    assert [problem.code for problem in report.problems] == ["content-id"]
    assert report.damaged == (snapshot.id.hex(),)


def test_a_root_that_is_not_there_is_found(store):
    record(store, DictObjects(), TreeId(b"\5" * 32), ContentId(ZERO))
    report = fsck(store)
    assert [(problem.code, problem.path) for problem in report.problems] == [("missing", "")]
    assert "the whole folder" in report.problems[0].message


def test_a_cycle_that_a_careless_reader_would_follow_is_found():
    from casreplay.history.check_trees import TreeCheck

    objects = DictObjects(verify=False)
    here = TreeId(b"\1" * 32)
    kept, _ = put_tree(objects, tree_of([folder_of(b"d", here, ZERO)]))
    objects.kept[here] = objects.kept[kept]
    check = TreeCheck(objects)
    check.check(here)
    assert check.flaws[here].code == "cycle"


def test_a_split_folder_of_any_size_is_sound(store):
    objects = DictObjects()
    root, content = put_entries(objects, [entry(b"%06d" % i, b"", objects) for i in range(9000)])
    record(store, objects, root, content)
    report = fsck(store)
    assert report.is_clean
    assert report.blobs == 1
    assert hashing.blob_id(b"") in set(store.ids())
