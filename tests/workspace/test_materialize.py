"""Carrying out plans on real folders: the result is exact, and what cannot be done is said."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from hypothesis import given
from support.plain_folders import T0, TREES, content, entries, make, picture
from support.tree_builder import DictObjects, Executable, Symlink

from casreplay.errors import StoreIOError
from casreplay.model.objects import EntryKind, EntryState, TreeEntry
from casreplay.workspace.materialize import ApplyOptions, Content, apply
from casreplay.workspace.plan import PlanOptions, plan
from casreplay.workspace.survey import check, entries_of

RICH = {
    b"a.txt": b"hello",
    b"empty": b"",
    b"run.sh": Executable(b"#!/bin/sh\n"),
    b"link": Symlink(b"a.txt"),
    b"dangling": Symlink(b"../../nowhere"),
    b"d": {b"e": {}, b"f": {b"g": b"deep"}, b"up": Symlink(b"..")},
    b"\xff\n\x1b": b"odd name",
    b"x" * 255: b"long name",
}


@pytest.fixture
def folder(tmp_path):
    path = os.fsencode(tmp_path / "target")
    os.mkdir(path)
    return path


def put(folder, target, current=(), objects=None, **options):
    """Make ``folder``, which holds ``current``, hold ``target``."""
    objects = objects or DictObjects()
    known = entries(objects, current) if isinstance(current, dict) else list(current)
    wanted = entries(objects, target) if isinstance(target, dict) else list(target)
    return apply(
        plan(known, wanted, PlanOptions(windows=False)), folder, content(objects), ApplyOptions(**options)
    )


def wanted_picture(tmp_path, spec):
    path = os.fsencode(tmp_path / "wanted")
    os.mkdir(path)
    make(path, spec)
    found = picture(path)
    for name, (mode, value, _) in found.items():
        found[name] = (mode, value, T0)
    return found


def test_everything_is_written_as_recorded(folder, tmp_path):
    applied = put(folder, RICH)
    assert applied.problems[0].code == "not-portable-elsewhere"
    assert len(applied.problems) == 1
    assert picture(folder) == wanted_picture(tmp_path, RICH)


def test_the_umask_changes_nothing_and_is_given_back(folder):
    before = os.umask(0o077)
    try:
        put(folder, {b"a": b"1", b"x": Executable(b"2"), b"d": {}})
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE(os.lstat(os.path.join(folder, name)).st_mode) for name in os.listdir(folder)}
    assert modes == {b"a": 0o644, b"x": 0o755, b"d": 0o755}


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o222, 0o777, 0o640])
def test_any_mode_can_be_written_replaced_and_read_back(folder, mode):
    objects = DictObjects()
    entry = TreeEntry(b"a", EntryKind.FILE, EntryState.COMPLETE, mode, 3, T0, objects.put(b"one"))
    other = TreeEntry(b"a", EntryKind.FILE, EntryState.COMPLETE, mode, 3, T0 + 5, objects.put(b"two"))
    assert put(folder, [(b"a", entry)], objects=objects).problems == []
    assert put(folder, [(b"a", other)], [(b"a", entry)], objects=objects).problems == []
    assert check(folder, [(b"a", other)]) == []
    retouched = TreeEntry(b"a", EntryKind.FILE, EntryState.COMPLETE, 0o644, 3, T0 + 9, other.id)
    assert put(folder, [(b"a", retouched)], [(b"a", other)], objects=objects).problems == []
    assert picture(folder) == {b"a": ("0o644", b"two", T0 + 9)}


@pytest.mark.parametrize("when", [-1, -(10**18), 0, 4_300_000_000 * 10**9, 1])
def test_times_before_1970_and_after_2106_are_kept(folder, when):
    objects = DictObjects()
    entry = TreeEntry(b"a", EntryKind.FILE, EntryState.COMPLETE, 0o644, 1, when, objects.put(b"1"))
    put(folder, [(b"a", entry)], objects=objects)
    assert os.lstat(folder + b"/a").st_mtime_ns == when


def test_set_id_bits_are_never_written(folder):
    objects = DictObjects()
    blob = objects.put(b"1")
    modes = {b"u": 0o4755, b"g": 0o2755, b"s": 0o1644}
    target = [
        (n, TreeEntry(n, EntryKind.EXECUTABLE, EntryState.COMPLETE, m, 1, T0, blob)) for n, m in modes.items()
    ]
    target.append((b"d", TreeEntry(b"d", EntryKind.FOLDER, EntryState.COMPLETE, 0o6755, 0, T0, bytes(32))))
    put(folder, target, objects=objects)
    assert [
        stat.S_IMODE(os.lstat(folder + b"/" + name).st_mode) & 0o6000 for name in (b"u", b"g", b"s", b"d")
    ] == [0] * 4


def test_changing_types_every_way(folder, tmp_path):
    before = {
        b"a": b"1",
        b"b": {b"c": {b"x": b"2"}},
        b"d": Symlink(b"a"),
        b"e": b"",
        b"f": {},
        b"g": Symlink(b"b"),
    }
    after = {
        b"a": {b"k": b"3"},
        b"b": b"4",
        b"d": {b"x": Symlink(b"y")},
        b"e": Symlink(b"a"),
        b"f": Symlink(b"e"),
        b"g": b"5",
    }
    put(folder, before)
    assert put(folder, after, before).problems == []
    assert picture(folder) == wanted_picture(tmp_path, after)


def test_what_is_not_in_current_is_never_touched(folder):
    make(folder, {b"ignored": b"mine", b"d": {b"cache": b"mine too"}})
    applied = put(folder, {b"new": b"1"}, {b"d": {}})
    assert [problem.code for problem in applied.problems] == ["not-empty"]
    assert set(picture(folder)) == {b"ignored", b"d", b"d/cache", b"new"}


def test_an_unknown_file_in_the_way_is_kept_unless_forced(folder):
    make(folder, {b"a": b"mine", b"l": b"mine", b"big": b"mine"})
    target = {b"a": b"1", b"l": Symlink(b"a"), b"big": bytes(5 << 20)}
    applied = put(folder, target)
    assert [problem.code for problem in applied.problems] == ["exists"] * 3
    assert {name: row[1] for name, row in picture(folder).items()} == dict.fromkeys(target, b"mine")
    assert put(folder, target, force=True).problems == []
    assert picture(folder)[b"a"][1] == b"1"


def test_a_file_changed_after_planning_is_kept_unless_forced(folder):
    objects = DictObjects()
    put(folder, {b"a": b"1", b"b": b"2", b"c": b"3"}, objects=objects)
    known = list(entries_of(folder))
    with open(folder + b"/a", "wb") as file:
        file.write(b"changed meanwhile")
    os.utime(folder + b"/b", ns=(0, T0 + 1))
    applied = put(folder, {b"a": b"9", b"c": b"3"}, known, objects)
    assert [(problem.code, problem.path) for problem in applied.problems] == [
        ("changed-meanwhile", "a"),
        ("changed-meanwhile", "b"),
    ]
    assert picture(folder)[b"a"][1] == b"changed meanwhile"
    assert put(folder, {b"a": b"9", b"c": b"3"}, known, objects, force=True).problems == []
    assert set(picture(folder)) == {b"a", b"c"}


def test_replacing_never_writes_through_a_hard_link(folder, tmp_path):
    make(folder, {b"a": b"1"})
    outside = os.fsencode(tmp_path / "outside")
    os.link(folder + b"/a", outside)
    put(folder, {b"a": b"2"}, entries_of(folder))
    with open(outside, "rb") as file:
        assert file.read() == b"1"


def test_a_missing_or_damaged_content_costs_one_file(folder):
    objects = DictObjects()
    target = entries(objects, {b"a": b"1", b"b": b"2", b"c": b"3", b"l": Symlink(b"gone")})
    objects.kept[dict(target)[b"a"].id] = b"damaged"
    del objects.kept[dict(target)[b"l"].id]
    applied = put(folder, target, objects=objects)
    assert [(problem.code, problem.path) for problem in applied.problems] == [
        ("corrupt", "a"),
        ("corrupt", "l"),
    ]
    assert set(picture(folder)) == {b"b", b"c"}


def test_a_content_of_the_wrong_length_is_no_file(folder):
    objects = DictObjects()
    entry = TreeEntry(b"a", EntryKind.FILE, EntryState.COMPLETE, 0o644, 7, T0, objects.put(b"1"))
    assert [problem.code for problem in put(folder, [(b"a", entry)], objects=objects).problems] == ["corrupt"]
    assert picture(folder) == {}


def test_a_damaged_replacement_leaves_the_old_file(folder):
    objects = DictObjects()
    put(folder, {b"a": b"1"}, objects=objects)
    target = entries(objects, {b"a": b"22"})
    objects.kept[target[0][1].id] = b"xx"
    put(folder, target, {b"a": b"1"}, objects)
    assert picture(folder) == {b"a": ("0o644", b"1", T0)}


@pytest.mark.parametrize("big", [False, True])
def test_a_full_disk_stops_everything_and_leaves_no_part(folder, big):
    objects = DictObjects()
    target = entries(objects, {b"a": b"1", b"b": bytes(6 << 20) if big else b"2"})

    def read(blob):
        if not big and objects.get(blob) == b"2":
            raise OSError(errno.ENOSPC, "No space left on device")
        return objects.get(blob)

    def stream(blob):
        yield objects.get(blob)[: 1 << 20]
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreIOError, match="No space"):
        apply(plan([], target), folder, Content(read, stream))
    assert set(picture(folder)) == {b"a"}


def test_an_interrupt_leaves_each_file_old_or_new(folder):
    objects = DictObjects()
    put(folder, {b"a": b"1", b"b": b"2"}, objects=objects)
    target = entries(objects, {b"a": b"11", b"b": bytes(6 << 20)})

    def stream(blob):
        yield objects.get(blob)[: 1 << 20]
        raise KeyboardInterrupt

    steps = plan(entries(objects, {b"a": b"1", b"b": b"2"}), target)
    with pytest.raises(KeyboardInterrupt):
        apply(steps, folder, Content(objects.get, stream))
    assert {name: row[1] for name, row in picture(folder).items()} == {b"a": b"11", b"b": b"2"}


def test_temporary_files_of_killed_workers_are_swept_after_an_interrupt(folder):
    objects = DictObjects()
    make(folder, {b"a": b"1", b".casreplay-tmp-1-1": b"left by a worker that was killed"})
    target = entries(objects, {b"a": b"2"})

    def read(blob):
        raise KeyboardInterrupt

    known = [(b"a", next(entry for path, entry in entries_of(folder) if path == b"a"))]
    with pytest.raises(KeyboardInterrupt):
        apply(plan(known, target), folder, Content(read, objects.stream))
    assert set(picture(folder)) == {b"a"}


def test_long_runs_of_zeros_become_holes(folder):
    objects = DictObjects()
    data = b"head" + bytes((8 << 20) - 8) + b"tail"
    target = entries(objects, {b"a": data, b"z": bytes(8 << 20)})

    def stream(blob):
        raw = objects.get(blob)
        return (raw[i : i + (1 << 20)] for i in range(0, len(raw), 1 << 20))

    apply(plan([], target), folder, Content(objects.get, stream))
    assert check(folder, target) == []
    assert os.lstat(folder + b"/z").st_blocks == 0
    assert os.lstat(folder + b"/a").st_blocks * 512 < 3 << 20


def test_a_folder_a_thousand_levels_deep_needs_few_descriptors(folder):
    objects = DictObjects()
    spec: dict = {b"end": b"1"}
    for _ in range(1000):
        spec = {b"d": spec}
    target = []
    path, level = b"", spec
    while b"d" in level:
        path, level = (path + b"/d" if path else b"d"), level[b"d"]
        target.append((path, TreeEntry(b"d", EntryKind.FOLDER, EntryState.COMPLETE, 0o755, 0, T0, bytes(32))))
    blob = objects.put(b"1")
    target.append(
        (path + b"/end", TreeEntry(b"end", EntryKind.FILE, EntryState.COMPLETE, 0o644, 1, T0, blob))
    )
    assert put(folder, target, objects=objects).problems == []
    assert check(folder, target) == []
    assert put(folder, [], target, objects=objects).removed == 1001


def test_names_the_system_refuses_are_reported(folder):
    applied = put(folder, {b"x" * 256: b"1", b"ok": b"2"})
    assert [problem.code for problem in applied.problems] == ["unwritable"]
    assert set(picture(folder)) == {b"ok"}


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_workers_give_the_same_folder_as_one_process(folder, tmp_path, jobs):
    spec = {
        b"%03d" % i: {b"f%d" % j: b"%d %d" % (i, j) for j in range(20)} | {b"l": Symlink(b"f1")}
        for i in range(60)
    }
    progress = []

    class Recording:
        def stage(self, name, total=0, unit=""):
            progress.append((name, total, unit))

        def advance(self, done):
            progress.append(done)

    applied = put(folder, spec, jobs=jobs, monitor=Recording())
    assert (applied.files, applied.problems) == (60 * 21, [])
    assert picture(folder) == wanted_picture(tmp_path, spec)
    assert progress[0] == ("restoring", 60 * 21, "files")
    assert len(progress) > 1


def test_the_order_of_the_store_decides_the_order_of_reading(folder):
    objects = DictObjects()
    target = entries(objects, {b"a": {b"1": b"first"}, b"b": {b"1": b"second"}, b"c": {b"1": b"third"}})
    order = {b"third": 0, b"first": 1, b"second": 2}
    seen = []

    def read(blob):
        seen.append(objects.kept[blob])
        return objects.kept[blob]

    def locate(blobs):
        return [order[objects.kept[blob]] for blob in blobs]

    apply(plan([], target), folder, Content(read, objects.stream, locate))
    assert seen == [b"third", b"first", b"second"]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user"
)
def test_another_user_writes_into_folders_that_deny_it(tmp_path):
    folder = os.fsencode(tmp_path / "own")
    os.mkdir(folder)
    os.chown(folder, 65534, 65534)
    objects = DictObjects()
    shut = TreeEntry(b"d", EntryKind.FOLDER, EntryState.COMPLETE, 0o500, 0, T0, bytes(32))
    inner = TreeEntry(b"e", EntryKind.FOLDER, EntryState.COMPLETE, 0o000, 0, T0, bytes(32))

    def file(data):
        return TreeEntry(b"f", EntryKind.FILE, EntryState.COMPLETE, 0o400, len(data), T0, objects.put(data))

    one = [(b"d", shut), (b"d/e", inner), (b"d/e/f", file(b"1")), (b"d/f", file(b"2"))]
    two = [(b"d", shut), (b"d/e", inner), (b"d/e/f", file(b"33"))]
    descriptor = os.open(folder, os.O_RDONLY)
    os.seteuid(65534)
    try:
        here = b"/proc/self/fd/%d" % descriptor
        for current, target in (([], one), (one, two), (two, [])):
            assert put(here, target, current, objects).problems == []
            if target:
                os.seteuid(0)
                assert check(here, target) == []
                os.seteuid(65534)
    finally:
        os.seteuid(0)
        os.close(descriptor)
    assert picture(folder) == {}


@given(before=TREES, after=TREES)
def test_any_tree_becomes_any_other(tmp_path_factory, before, after):
    top = os.fsencode(tmp_path_factory.mktemp("switch"))
    folder, wanted = top + b"/folder", top + b"/wanted"
    os.mkdir(folder)
    os.mkdir(wanted)
    put(folder, before)
    assert put(folder, after, entries_of(folder)).problems == []
    put(wanted, after)
    assert picture(folder) == picture(wanted)
