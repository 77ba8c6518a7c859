"""What is refused, and that each refusal names its way out."""

from __future__ import annotations

import os

import pytest

from casreplay.errors import CasreplayError, StoreIOError, UsageError
from casreplay.workspace.guards import Limits, check_free_space, check_workspace


def test_the_file_systems_root_needs_force():
    with pytest.raises(UsageError, match="whole file system") as caught:
        check_workspace(b"/")
    assert "--force" in caught.value.hint
    check_workspace(b"/", force=True)


def test_the_home_folder_needs_force_under_any_name(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    monkeypatch.setenv("HOME", str(tmp_path / "link"))
    with pytest.raises(UsageError, match="home folder"):
        check_workspace(os.fsencode(home))
    check_workspace(os.fsencode(home), force=True)
    (home / "project").mkdir()
    check_workspace(os.fsencode(home / "project"))


def test_what_is_no_folder_is_refused_even_with_force(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "missing"):
        with pytest.raises(UsageError, match="not a folder"):
            check_workspace(os.fsencode(path), force=True)


def test_free_space_is_kept(tmp_path):
    check_free_space(os.fsencode(tmp_path), 0.0, needed_bytes=1 << 60)
    check_free_space(str(tmp_path), 0.000001)
    with pytest.raises(StoreIOError, match="kept free") as caught:
        check_free_space(os.fsencode(tmp_path), 3.0, needed_bytes=1 << 60)
    assert "MIN_FREE_PERCENT" in caught.value.hint


@pytest.mark.parametrize(
    ("limits", "counted", "key"),
    [
        (Limits(max_entries=10), {"entries": 11}, "MAX_SNAPSHOT_ENTRIES"),
        (Limits(max_bytes=10), {"size_bytes": 11}, "MAX_SNAPSHOT_SIZE"),
        (Limits(max_seconds=1.5), {"elapsed_s": 1.6}, "MAX_COMMIT_SECONDS"),
    ],
)
def test_each_cap_is_named_when_it_stops_a_commit(limits, counted, key):
    with pytest.raises(CasreplayError, match="over its limit") as caught:
        limits.check(**counted)
    assert key in caught.value.hint
    limits.check(**{name: value - 1 for name, value in counted.items()})
    Limits().check(**{name: value * 1000 for name, value in counted.items()})
