"""Restoring snapshots: what is refused, what comes back, and the way back from that."""

from __future__ import annotations

import os

import pytest
from support.list_log import snapshot as a_snapshot
from support.plain_folders import T0, make, picture
from support.tree_builder import DictObjects, Executable, Symlink, build

from casreplay import CommitOptions, Repository
from casreplay.errors import CorruptError, StoreIOError, UnknownNameError, UsageError
from casreplay.history.restore import RestoreOptions, restore_to, restore_workspace
from casreplay.history.walk import walk
from casreplay.model.objects import EntryKind, EntryState, TreeEntry
from casreplay.workspace.survey import entries_of

OLD = {b"a": b"1", b"d": {b"e": {b"f": b"2"}, b"g": Executable(b"3")}, b"l": Symlink(b"a")}
NEW = {b"a": b"9", b"d": {b"g": Executable(b"3"), b"h": b"4"}, b"n": b"5"}


class Bench:
    """A folder that holds ``NEW``, a store that holds ``OLD``, and a recorder of safety snapshots."""

    def __init__(self, top: bytes) -> None:
        self.folder = top + b"/workspace"
        self.top = top
        self.objects = DictObjects()
        self.old = self.tree(OLD)
        self.backups: list = []
        os.mkdir(self.folder)
        restore_to(self.objects, self.tree(NEW), self.folder, RestoreOptions())

    def tree(self, spec):
        return build(self.objects, spec, mtime_ns=T0)[0]

    def backup(self):
        """Record the folder as it is, but what is called ``ignored``."""
        root = self.tree(self._spec(self.folder))
        self.backups.append(a_snapshot(len(self.backups) + 1, root=root))
        return self.backups[-1], None

    def _spec(self, folder):
        found = {}
        for name in os.listdir(folder):
            path = folder + b"/" + name
            if name == b"ignored":
                continue
            if os.path.islink(path):
                found[name] = Symlink(os.readlink(path))
            elif os.path.isdir(path):
                found[name] = self._spec(path)
            else:
                with open(path, "rb") as file:
                    kind = Executable if os.stat(path).st_mode & 0o111 else bytes
                    found[name] = kind(file.read())
        return found

    def restore(self, *, before=None, root=None, **options):
        return restore_workspace(
            self.objects, root or self.old, self.folder, before or self.backup, RestoreOptions(**options)
        )

    def wanted(self, spec):
        other = self.top + b"/wanted-%d" % len(os.listdir(self.top))
        restore_to(self.objects, self.tree(spec), other, RestoreOptions())
        return picture(other)


@pytest.fixture
def bench(tmp_path):
    return Bench(os.fsencode(tmp_path))


def test_the_workspace_becomes_exactly_the_snapshot_and_can_be_taken_back(bench):
    before = picture(bench.folder)
    restored = bench.restore()
    assert restored.problems == ()
    assert picture(bench.folder) == bench.wanted(OLD)
    assert restored.undo == ("restore", bench.backups[0].id.hex()[:12])
    assert bench.restore(root=restored.backup.root).failures == ()
    assert picture(bench.folder) == before


def test_a_dry_run_changes_nothing_and_shows_the_plan(bench):
    before = picture(bench.folder)
    restored = bench.restore(before=list(entries_of(bench.folder)), dry_run=True)
    assert picture(bench.folder) == before
    assert restored.plan.overwritten == [b"a"]
    assert restored.plan.removed == [b"d/h", b"n"]
    assert restored.applied.files == 0
    assert restored.undo == ()


def test_only_the_named_paths_are_restored(bench):
    restored = bench.restore(paths=(b"a", b"d/e"))
    assert restored.failures == ()
    shown = {path: row[1] for path, row in picture(bench.folder).items()}
    assert shown[b"a"] == b"1"
    assert shown[b"d/e/f"] == b"2"
    assert shown[b"d/h"] == b"4"
    assert shown[b"n"] == b"5"
    assert b"l" not in shown
    assert restored.undo == ("restore", bench.backups[0].id.hex()[:12], "--", "a", "d/e")


def test_a_named_folder_becomes_exact(bench):
    bench.restore(paths=(b"d",))
    assert set(picture(bench.folder)) == {b"a", b"d", b"d/e", b"d/e/f", b"d/g", b"n"}


def test_folders_on_the_way_are_made_as_recorded(bench):
    root = bench.tree({b"p": {b"q": {b"r": b"1"}, b"other": b"2"}})
    assert bench.restore(root=root, paths=(b"p/q/r",)).failures == ()
    assert {b"p", b"p/q", b"p/q/r"} <= set(picture(bench.folder))
    assert b"p/other" not in picture(bench.folder)


def test_a_path_the_snapshot_does_not_have_is_named(bench):
    with pytest.raises(UnknownNameError, match="missing"):
        bench.restore(paths=(b"a", b"missing"))


def test_without_a_safety_snapshot_nothing_is_lost_unless_forced(bench):
    now = list(entries_of(bench.folder))
    with pytest.raises(UsageError, match="3 paths would be replaced or removed") as caught:
        bench.restore(before=now)
    assert caught.value.fields["paths"] == ["a", "d/h", "n"]
    assert "--force" in caught.value.hint
    assert bench.restore(before=now, force=True).undo == ()
    assert picture(bench.folder) == bench.wanted(OLD)


def test_content_no_snapshot_could_hold_is_not_lost_unless_forced(bench):
    entries = dict(walk(bench.objects, bench.tree(NEW)))
    big = entries[b"n"]
    root = build(
        bench.objects,
        {b"n": TreeEntry(b"n", EntryKind.FILE, EntryState.TOO_LARGE, 0o644, 1, big.mtime_ns, bytes(32))},
    )[0]
    with pytest.raises(UsageError, match="no snapshot holds"):
        bench.restore(before=lambda: (a_snapshot(1, root=root), None), root=bench.tree({b"n": b"x"}))
    assert picture(bench.folder)[b"n"][1] == b"5"


def test_a_dry_run_foresees_a_refusal(bench):
    entry = dict(walk(bench.objects, bench.tree(NEW)))[b"n"]
    large = TreeEntry(b"n", EntryKind.FILE, EntryState.TOO_LARGE, 0o644, 1, entry.mtime_ns, bytes(32))
    wanted = {"before": [(b"n", large)], "root": bench.tree({b"n": b"x"}), "dry_run": True}
    assert ("unsaved", "n") in {(one.code, one.path) for one in bench.restore(**wanted).failures}
    assert "unsaved" not in {one.code for one in bench.restore(**wanted, force=True).failures}


def test_ignored_files_survive_and_keep_their_folder(bench):
    make(bench.folder, {b"ignored": b"mine"})
    make(bench.folder + b"/d", {b"ignored": b"mine"})
    restored = bench.restore(root=bench.tree({b"a": b"1"}))
    assert [problem.code for problem in restored.failures] == ["not-empty"]
    assert set(picture(bench.folder)) == {b"a", b"ignored", b"d", b"d/ignored"}


def test_a_store_inside_the_workspace_is_never_touched(bench):
    make(bench.folder, {b"store": {b"log": b"the log"}})
    root = bench.tree({b"store": {b"log": b"evil"}})
    restored = bench.restore(root=root, protected=(b"store",))
    assert [problem.code for problem in restored.failures] == ["protected"]
    assert picture(bench.folder)[b"store/log"][1] == b"the log"


def test_to_a_new_folder_needs_no_force_and_makes_parents(bench):
    target = bench.top + b"/x/y"
    assert restore_to(bench.objects, bench.old, target, RestoreOptions()).failures == ()
    assert picture(target) == bench.wanted(OLD)
    again = restore_to(bench.objects, bench.old, target, RestoreOptions())
    assert again.plan.is_empty


def test_to_a_new_folder_as_a_dry_run_makes_none(bench):
    restored = restore_to(bench.objects, bench.old, bench.top + b"/x", RestoreOptions(dry_run=True))
    assert restored.plan.created == 6
    assert not os.path.exists(bench.top + b"/x")


def test_to_a_folder_with_other_content_needs_force(bench):
    target = bench.top + b"/x"
    os.mkdir(target)
    make(target, {b"mine": b"1", b"a": b"1"})
    with pytest.raises(UsageError, match="not empty"):
        restore_to(bench.objects, bench.old, target, RestoreOptions())
    assert set(picture(target)) == {b"mine", b"a"}
    assert restore_to(bench.objects, bench.old, target, RestoreOptions(force=True)).failures == ()
    assert picture(target) == bench.wanted(OLD)


def test_to_a_folder_that_cannot_be_made_is_refused(bench):
    with pytest.raises(StoreIOError, match="Cannot make the folder"):
        restore_to(bench.objects, bench.old, bench.folder + b"/a/below", RestoreOptions())


def test_to_a_file_is_refused(bench):
    with pytest.raises(UsageError, match="no folder"):
        restore_to(bench.objects, bench.old, bench.folder + b"/a", RestoreOptions())


def test_a_damaged_tree_stops_the_restore_before_anything_is_written(bench):
    before = picture(bench.folder)
    inner = next(entry.tree_id for path, entry in walk(bench.objects, bench.old) if path == b"d/e")
    bench.objects.kept[inner] = b"crT1 damaged"
    with pytest.raises(CorruptError):
        bench.restore()
    assert picture(bench.folder) == before


def test_a_damaged_file_is_named_and_the_rest_comes_back(bench):
    entry = dict(walk(bench.objects, bench.old))[b"d/e/f"]
    bench.objects.kept[entry.id] = b"x"
    restored = bench.restore()
    assert [(problem.code, problem.path) for problem in restored.failures] == [("corrupt", "d/e/f")]
    assert picture(bench.folder)[b"a"][1] == b"1"


def test_what_went_wrong_on_the_way_is_found_by_the_check(bench):
    class Meddling(DictObjects):
        def get(self, object_id):
            raw = super().get(object_id)
            if raw == b"3-late":
                with open(bench.folder + b"/b", "wb") as file:
                    file.write(b"changed behind our back")
            return raw

    meddling = Meddling()
    meddling.kept, meddling.kinds = bench.objects.kept, bench.objects.kinds
    root = bench.tree({b"b": b"2", b"c": b"3-late"})
    restored = restore_workspace(meddling, root, bench.folder, bench.backup, RestoreOptions())
    assert [(problem.code, problem.path) for problem in restored.failures] == [("not-restored", "b")]


def test_times_come_back_although_nothing_else_changed(tmp_path):
    """The safety snapshot is then the newest one, whose times are not the folder's."""
    work = tmp_path / "work"
    (work / "folder").mkdir(parents=True)
    (work / "file").write_text("same")
    for path in (work / "file", work / "folder"):
        os.utime(path, ns=(10**18, 10**18))
    with Repository.init(work, tmp_path / "store") as repository:
        first = repository.commit(CommitOptions()).snapshot
        for path in (work / "file", work / "folder"):
            os.utime(path)
        restored = repository.restore(first)
        assert restored.backup == first
    assert [os.stat(path).st_mtime_ns for path in (work / "file", work / "folder")] == [10**18, 10**18]
