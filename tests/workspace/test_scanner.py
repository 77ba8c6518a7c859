"""Listing folders: what is seen, what is skipped, and that equal folders are told apart from changed ones."""

from __future__ import annotations

import errno
import os

import pytest

from casreplay.workspace import scanner
from casreplay.workspace.scanner import COLUMNS


def _everything(_path, listing):
    return [name for _, name in listing.folders()]


def _tree(root):
    listings, failed = scanner.list_tree(os.fsencode(root), b"", _everything)
    return listings, failed


@pytest.fixture
def workspace(tmp_path):
    for path in ("a/b/c", "d", "e/f"):
        (tmp_path / path).mkdir(parents=True)
    for path in ("top", "a/one", "a/b/two", "a/b/c/three", "d/four"):
        (tmp_path / path).write_bytes(path.encode())
    return tmp_path


def test_every_folder_is_listed_once(workspace):
    listings, failed = _tree(workspace)
    assert sorted(listings) == [b"", b"a", b"a/b", b"a/b/c", b"d", b"e", b"e/f"]
    assert not failed
    assert sorted(listings[b"a"].split_names()) == [b"b", b"one"]


def test_rows_are_the_stats_of_the_entries(workspace):
    listing = _tree(workspace)[0][b"d"]
    s = os.stat(workspace / "d/four")
    assert listing.rows().tolist() == [s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino]


def test_many_folders_are_divided_and_none_is_lost(tmp_path):
    for i in range(150):
        (tmp_path / f"{i % 7}" / f"{i % 13}" / f"{i}").mkdir(parents=True)
        (tmp_path / f"{i % 7}" / f"{i % 13}" / f"{i}" / "file").write_bytes(b"")
    expected = {os.fsencode(os.path.relpath(base, tmp_path)) for base, _, _ in os.walk(tmp_path)}
    assert {path or b"." for path in _tree(tmp_path)[0]} == expected


def test_links_to_folders_are_not_entered(workspace, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x").write_bytes(b"")
    os.symlink(outside, workspace / "link")
    os.symlink("..", workspace / "a/loop")
    listings, failed = _tree(workspace)
    assert b"link" not in listings
    assert b"a/loop" not in listings
    assert not failed


def test_the_rule_decides_what_is_entered(workspace):
    listings, _ = scanner.list_tree(os.fsencode(workspace), b"", lambda path, _: [b"a"] if not path else [])
    assert sorted(listings) == [b"", b"a"]


def test_a_folder_that_cannot_be_listed_is_reported(workspace):
    listings, failed = scanner.list_tree(
        os.fsencode(workspace), b"", lambda path, listing: [*_everything(path, listing), b"not there"]
    )
    assert b"not there" in failed
    assert b"not there" not in listings


def test_names_that_are_not_utf8_survive(tmp_path):
    os.mkdir(os.fsencode(tmp_path) + b"/\xff\xfe")
    with open(os.fsencode(tmp_path) + b"/\xff\xfe/line\nbreak", "wb"):
        pass
    assert _tree(tmp_path)[0][b"\xff\xfe"].split_names() == [b"line\nbreak"]


def test_opening_a_folder_refuses_links_on_the_way(workspace):
    os.symlink("a", workspace / "alias")
    root_fd = os.open(workspace, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
            scanner.open_folder(root_fd, b"alias/b")
        os.close(scanner.open_folder(root_fd, b"a/b"))
    finally:
        os.close(root_fd)


def _next_tick(folder):
    """Come back once the file system's clock has moved on, so that later changes get later times."""
    probe = folder / "probe"
    probe.touch()
    first = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == first:
        probe.chmod(0o600)


class TestChangedListings:
    """Each test thrice: every folder listed, stamps of earlier listings trusted, work divided."""

    @pytest.fixture(params=["listed", "stamped", "divided"])
    def known(self, request, workspace, tmp_path_factory, monkeypatch):
        monkeypatch.setattr(scanner, "marks_folders", lambda _: request.param != "listed")
        if request.param == "divided":
            monkeypatch.setattr(scanner, "MIN_PARALLEL_ENTRIES", 0)
        listings, _ = _tree(workspace)
        _next_tick(tmp_path_factory.mktemp("clock"))
        paths = list(listings)

        def before(i):
            one = listings[paths[i]]
            return one.names, one.stats, one.stamp

        def changed():
            found = scanner.changed_listings(
                os.fsencode(workspace),
                paths,
                [len(listings[p].rows()) // COLUMNS for p in paths],
                before,
            )
            return {paths[i]: listing for i, listing in found.items()}

        return workspace, changed

    def test_nothing_changed_is_nothing(self, known):
        assert known[1]() == {}

    def test_a_rewritten_file_shows_in_its_folder_only(self, known):
        workspace, changed = known
        (workspace / "a/b/two").write_bytes(b"longer than before")
        assert list(changed()) == [b"a/b"]

    def test_a_new_file_changes_its_folder_and_the_row_above(self, known):
        workspace, changed = known
        (workspace / "d/new").write_bytes(b"")
        assert sorted(changed()) == [b"", b"d"]

    def test_same_size_and_restored_mtime_still_shows_by_ctime(self, known):
        workspace, changed = known
        s = os.stat(workspace / "d/four")
        (workspace / "d/four").write_bytes(b"FOUR" + b"!" * (s.st_size - 4))
        os.utime(workspace / "d/four", ns=(s.st_atime_ns, s.st_mtime_ns))
        assert list(changed()) == [b"d"]

    def test_a_removed_folder_can_no_longer_be_listed(self, known):
        workspace, changed = known
        os.rename(workspace / "e", workspace / "moved")
        found = changed()
        assert found[b"e"] == errno.ENOENT
        assert found[b"e/f"] == errno.ENOENT

    def test_a_folder_replaced_by_a_link_is_not_followed(self, known, tmp_path_factory):
        workspace, changed = known
        outside = tmp_path_factory.mktemp("outside")
        os.rename(workspace / "d", workspace / "old")
        os.symlink(outside, workspace / "d")
        assert changed()[b"d"] in (errno.ELOOP, errno.ENOTDIR)


class TestStamps:
    """What is asked of folders whose stamp is known."""

    @pytest.fixture
    def compared(self, workspace, tmp_path_factory, monkeypatch):
        monkeypatch.setattr(scanner, "marks_folders", lambda _: True)
        listings, _ = _tree(workspace)
        _next_tick(tmp_path_factory.mktemp("clock"))
        paths, listed = list(listings), []
        real = scanner.list_folder
        monkeypatch.setattr(scanner, "list_folder", lambda fd, p, d: (listed.append(p), real(fd, p, d))[1])

        def compared(stamp=lambda one: one.stamp):
            listed.clear()
            known = [(one.names, one.stats, stamp(one)) for one in listings.values()]
            found = scanner.changed_listings(
                os.fsencode(workspace), paths, [1] * len(paths), known.__getitem__
            )
            return {paths[i]: one for i, one in found.items()}, sorted(listed)

        return workspace, listings, compared

    def test_unchanged_folders_are_not_listed(self, compared):
        assert compared[2]() == ({}, [])

    def test_folders_without_a_stamp_are_listed_and_tell_it(self, compared):
        _, listings, compare = compared
        found, listed = compare(lambda _: scanner.NO_STAMP)
        assert found == {path: one.stamp for path, one in listings.items()}
        assert listed == sorted(listings)

    def test_another_stamp_alone_has_a_folder_listed(self, compared):
        workspace, listings, compare = compared
        (workspace / "d/new").write_bytes(b"")
        (workspace / "d/new").unlink()
        found, _ = compare()
        assert found.keys() >= {b"d"}
        assert isinstance(found[b"d"], bytes)
        assert found[b"d"] != listings[b"d"].stamp

    def test_every_file_of_an_unlisted_folder_is_still_looked_at(self, compared):
        workspace, _, compare = compared
        (workspace / "d/four").write_bytes(b"in place, at length")
        found, listed = compare()
        assert list(found) == listed == [b"d"]

    def test_names_swapped_by_renames_show(self, compared):
        workspace, listings, compare = compared
        names = [workspace / "a/b" / os.fsdecode(name) for name in listings[b"a/b"].split_names()][:1]
        os.rename(names[0], workspace / "aside")
        os.rename(workspace / "aside", names[0])
        found, _ = compare()
        assert b"a/b" in found

    def test_where_folders_are_not_marked_all_are_listed(self, compared, monkeypatch):
        _, listings, compare = compared
        monkeypatch.setattr(scanner, "marks_folders", lambda _: False)
        assert compare() == ({}, sorted(listings))
