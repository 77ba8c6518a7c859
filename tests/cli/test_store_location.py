from __future__ import annotations

import os
import sys

import pytest

from casreplay.cli.store_location import (
    data_folder,
    default_store,
    is_store,
    locate,
    locate_for_writing,
    record,
    recorded_workspaces,
)
from casreplay.errors import ConfigError, NoRepositoryError


@pytest.fixture
def environ(tmp_path):
    return {"HOME": str(tmp_path / "home"), "XDG_DATA_HOME": str(tmp_path / "data")}


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "work" / "project"
    (folder / "src" / "deep").mkdir(parents=True)
    return os.fsencode(os.path.realpath(folder))


def make_store(path: bytes) -> bytes:
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, b"format"), "wb") as file:
        file.write(b"casreplay store 1\n")
    return path


def test_a_folder_without_a_store_says_what_to_type(workspace, environ):
    with pytest.raises(NoRepositoryError) as caught:
        locate(workspace, option=None, environ=environ)
    assert caught.value.exit_code == 10
    assert os.fsdecode(workspace) in caught.value.message
    assert "casreplay init" in caught.value.hint
    assert "--store PATH" in caught.value.hint


def test_the_default_store_is_found_from_a_subfolder(workspace, environ):
    store = make_store(default_store(workspace, environ))
    found = locate(os.path.join(workspace, b"src", b"deep"), option=None, environ=environ)
    assert (found.workspace, found.store, found.source) == (workspace, store, "default")


def test_the_default_store_lies_outside_the_workspace(workspace, environ):
    assert default_store(workspace, environ).startswith(data_folder(environ) + b"/stores/project-")
    assert default_store(workspace, environ) != default_store(workspace + b"2", environ)


def test_a_recorded_store_is_found(tmp_path, workspace, environ):
    store = make_store(os.fsencode(tmp_path / "elsewhere"))
    wanted = locate_for_writing(workspace, option=os.fsdecode(store), environ=environ)
    record(wanted, environ)
    found = locate(os.path.join(workspace, b"src"), option=None, environ=environ)
    assert (found.workspace, found.store, found.source) == (workspace, store, "recorded")


def test_names_that_are_not_utf8_are_recorded_too(tmp_path, environ):
    folder = os.path.join(os.fsencode(os.path.realpath(tmp_path)), b"bad\xff\nname")
    os.makedirs(folder)
    record(locate_for_writing(folder, option=None, environ=environ), environ)
    assert [one.workspace for one in recorded_workspaces(environ)] == [folder]


def test_the_configuration_names_a_store_relative_to_itself(workspace, environ):
    store = make_store(os.path.join(workspace, b".history"))
    with open(os.path.join(workspace, b"casreplay.json"), "w", encoding="utf-8") as file:
        file.write('{"STORE": ".history"}')
    found = locate(os.path.join(workspace, b"src"), option=None, environ=environ)
    assert (found.workspace, found.store, found.source) == (workspace, store, "casreplay.json")


@pytest.mark.parametrize("text", ["{}", '{"STORE": ""}', '{"STORE": null}', '{"WORKSPACE_ROOT": "."}'])
def test_a_configuration_without_a_store_changes_nothing(workspace, environ, text):
    store = make_store(default_store(workspace, environ))
    with open(os.path.join(workspace, b"casreplay.json"), "w", encoding="utf-8") as file:
        file.write(text)
    assert locate(workspace, option=None, environ=environ).store == store


def test_a_broken_configuration_is_named(workspace, environ):
    with open(os.path.join(workspace, b"casreplay.json"), "w", encoding="utf-8") as file:
        file.write('{"STORE": ')
    with pytest.raises(ConfigError, match=r"casreplay\.json is not valid JSON"):
        locate(workspace, option=None, environ=environ)


def test_the_option_wins_over_the_environment_and_both_over_records(tmp_path, workspace, environ):
    record(locate_for_writing(workspace, option=None, environ=environ), environ)
    one = make_store(os.fsencode(os.path.realpath(tmp_path)) + b"/one")
    two = make_store(os.fsencode(os.path.realpath(tmp_path)) + b"/two")
    environ = {**environ, "CASREPLAY_STORE": os.fsdecode(two)}
    assert locate(workspace, option=os.fsdecode(one), environ=environ).store == one
    found = locate(workspace, option=None, environ=environ)
    assert (found.store, found.source) == (two, "CASREPLAY_STORE")


def test_an_option_keeps_the_workspace_that_was_recorded_with_the_store(tmp_path, workspace, environ):
    store = make_store(os.fsencode(os.path.realpath(tmp_path)) + b"/one")
    record(locate_for_writing(workspace, option=os.fsdecode(store), environ=environ), environ)
    found = locate(os.path.join(workspace, b"src"), option=os.fsdecode(store), environ=environ)
    assert found.workspace == workspace


def test_a_named_store_that_does_not_exist_is_an_error(workspace, environ):
    with pytest.raises(NoRepositoryError) as caught:
        locate(workspace, option="../nowhere", environ=environ)
    assert "--store" in caught.value.message
    assert caught.value.hint.endswith("init")


def test_an_option_is_relative_to_the_current_folder(workspace, environ):
    found = locate_for_writing(workspace, option="../store", environ=environ)
    assert found.store == os.path.join(os.path.dirname(workspace), b"store")


def test_a_moved_workspace_is_told_where_its_store_is(tmp_path, workspace, environ):
    make_store(default_store(workspace, environ))
    record(locate_for_writing(workspace, option=None, environ=environ), environ)
    os.makedirs(tmp_path / "new")
    moved = os.fsencode(os.path.realpath(tmp_path)) + b"/new/project"
    os.rename(workspace, moved)
    with pytest.raises(NoRepositoryError) as caught:
        locate(moved, option=None, environ=environ)
    assert "If this folder was moved here from" in caught.value.hint
    assert "project-" in caught.value.hint


def test_damaged_records_are_as_good_as_none(workspace, environ):
    location = locate_for_writing(workspace, option=None, environ=environ)
    record(location, environ)
    folder = os.path.join(data_folder(environ), b"workspaces")
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b'{"workspace": 3')
    assert recorded_workspaces(environ) == []
    with pytest.raises(NoRepositoryError):
        locate(workspace, option=None, environ=environ)


def test_a_store_is_a_folder_with_a_format_file(tmp_path):
    path = os.fsencode(tmp_path / "s")
    assert not is_store(path)
    assert is_store(make_store(path))


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"HOME": "/h"}, "/h/.local/share/casreplay"),
        ("linux", {"HOME": "/h", "XDG_DATA_HOME": "/x"}, "/x/casreplay"),
        ("linux", {"HOME": "/h", "XDG_DATA_HOME": "relative"}, "/h/.local/share/casreplay"),
        ("darwin", {"HOME": "/h"}, "/h/Library/Application Support/casreplay"),
        ("win32", {"HOME": "/h", "LOCALAPPDATA": "/l"}, "/l/casreplay"),
    ],
)
def test_the_data_folder_follows_the_system(monkeypatch, platform, environ, expected):
    monkeypatch.setattr(sys, "platform", platform)
    assert data_folder(environ) == expected.encode()
