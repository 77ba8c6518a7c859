"""init, commit and status as people use them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

SNAPSHOT_KEYS = [
    "id",
    "sequence",
    "label",
    "tags",
    "time",
    "parent",
    "tree",
    "session",
    "mode",
    "coverage",
]


def test_a_first_commit_makes_the_store_and_says_what_is_left_out(cli, normal):
    cli.write("a.txt", "hello\n")
    cli.write("src/b.py", "x = 1\n")
    cli.write(".git/HEAD", "ref: refs/heads/main\n")
    result = cli("commit -m baseline")
    assert result.err.startswith(f"Made a store for {cli.folder} at ")
    first, second, third, *rest = normal(result.out).splitlines()
    assert first == "[<1>] baseline"
    assert second == "  2 added, 0 modified, 0 deleted, 0 renamed; ... stored in ..."
    assert third.startswith("  2 files, ")
    assert third.endswith("; left out by rules: 1; not examined: nothing")
    assert rest[0].startswith("Left out by these rules")
    assert any(line.split()[:2] == ["git", ".git"] for line in rest)


def test_nothing_changed_is_said_and_not_recorded(cli):
    cli.write("a.txt")
    cli("commit")
    result = cli("commit")
    assert result.out.startswith("Nothing changed since ")
    assert len(cli("log --json").json) == 1


@pytest.mark.parametrize("words", ["-m again", "--tag again"])
def test_a_label_or_a_tag_is_recorded_even_when_nothing_changed(cli, words):
    cli.write("a.txt")
    cli("commit")
    cli(f"commit {words}")
    rows = cli("log --json").json
    assert len(rows) == 2
    assert rows[0]["tree"] == rows[1]["tree"]


def test_commit_json(cli):
    cli.write("a.txt", "hello\n")
    first = cli("commit -m one --tag x --tag y --session run-1 --json").json
    assert list(first) == [*SNAPSHOT_KEYS, "changes", "stored_bytes", "elapsed_s", "recorded", "problems"]
    assert first["changes"] == {"added": 1, "modified": 0, "deleted": 0, "renamed": 0}
    assert (first["label"], first["tags"], first["session"]) == ("one", ["x", "y"], "run-1")
    assert first["recorded"] is True
    assert first["problems"] == []
    assert first["stored_bytes"] > 0
    assert first["parent"] is None
    again = cli("commit --json").json
    assert again["recorded"] is False
    assert again["id"] == first["id"]
    assert cli("show @ --json").json == {key: first[key] for key in SNAPSHOT_KEYS}


def test_quiet_commit_prints_the_id_alone(cli):
    cli.write("a.txt")
    result = cli("commit -q")
    assert result.err == ""
    assert cli("log --json").json[0]["id"].startswith(result.out.strip())
    assert cli("commit -q").out == ""


def test_renames_are_counted(cli):
    cli.write("old.txt", "some content\n" * 10)
    cli("commit")
    os.rename(cli.folder / "old.txt", cli.folder / "new.txt")
    assert cli("commit --json").json["changes"] == {"added": 0, "modified": 0, "deleted": 0, "renamed": 1}


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root can read everything")
def test_what_could_not_be_read_is_said(cli):
    cli.write("secret.txt", "x")
    os.chmod(cli.folder / "secret.txt", 0)
    result = cli("commit")
    assert "not examined: 1 unreadable" in result.out


def test_every_kind_of_entry_is_captured(cli):
    cli.write("run.sh", "#!/bin/sh\n")
    os.chmod(cli.folder / "run.sh", 0o755)
    os.symlink("run.sh", cli.folder / "link")
    os.mkdir(cli.folder / "empty")
    os.mkfifo(cli.folder / "pipe")
    cli("commit")
    kinds = {row["path"]: row["kind"] for row in cli("ls -r --json").json["entries"]}
    assert kinds == {"empty": "folder", "link": "symlink", "pipe": "fifo", "run.sh": "executable"}


def test_init_writes_a_configuration_that_is_right(cli):
    result = cli("init")
    assert "Made a store for" in result.out
    assert "casreplay commit" in result.out
    assert "is right" in cli("config check").out
    again = cli("init")
    assert "There is already a store" in again.out


def test_init_json(cli):
    made = cli("init --json").json
    assert made["created"] is True
    assert made["workspace"] == str(cli.folder)
    assert made["config"] == str(cli.folder / "casreplay.json")
    assert os.path.isfile(os.path.join(made["store"], "format"))
    again = cli("init --json").json
    assert (again["created"], again["config"]) == (False, None)


def test_init_without_a_configuration(cli):
    cli("init --no-config")
    assert os.listdir(cli.folder) == []


@pytest.mark.parametrize("line", ["--store ../elsewhere init", "init --store ../elsewhere"])
def test_init_elsewhere_is_remembered(cli, line):
    cli(line)
    cli.write("sub/a.txt")
    cli("commit", cwd=cli.folder / "sub")
    assert os.path.isfile(cli.folder.parent / "elsewhere" / "format")
    assert cli("status --json").json["store"] == str(cli.folder.parent / "elsewhere")


def test_a_store_inside_the_workspace_is_never_captured_and_moves_with_it(cli):
    cli("--store .history init")
    assert json.loads((cli.folder / "casreplay.json").read_text())["STORE"] == ".history"
    cli.write("a.txt")
    cli("commit")
    assert not [row for row in cli("ls -r --json").json["entries"] if row["path"].startswith(".history")]
    moved = cli.folder.parent / "moved"
    os.rename(cli.folder, moved)
    assert len(cli("log --json", cwd=moved).json) == 1


@pytest.mark.parametrize("line", ["init", "commit"])
def test_the_home_folder_is_refused(cli, line):
    home = cli.folder.parent / "home"
    home.mkdir()
    cli.environ["HOME"] = str(home)
    os.environ["HOME"] = str(home)
    result = cli(line, code=2, cwd=home)
    assert "--force" in result.err
    assert not (cli.folder.parent / "data").exists()


@pytest.mark.parametrize("line", ["init", "commit"])
def test_the_root_is_refused(cli, line, tmp_path):
    assert "--force" in cli(f"-C / {line}", code=2).err


@pytest.mark.parametrize(
    "line", ["status", "log", "show", "diff", "ls", "cat @ x", "tag x", "find x", "label @ x", "note @ x"]
)
def test_without_a_store_every_command_says_what_to_type(cli, line):
    result = cli(line, code=10)
    assert "casreplay init" in result.err
    assert "casreplay commit" in result.err


def test_status_says_what_changed(history, normal):
    lines = normal(history("status").out).splitlines()
    assert lines[0].startswith("Last snapshot: <1>, 2026-09-21 ")
    assert lines[1:3] == ["1 path: 1 modified; 6 B more", "  M\ta.txt"]
    history("commit")
    assert "Nothing changed since then" in history("status").out
    assert history("status --json").json["clean"] is True


def test_status_limits_what_it_lists(cli):
    cli("commit -m empty")
    for number in range(30):
        cli.write(f"f{number:02d}")
    assert "... and 10 more" in cli("status").out
    assert "more (--limit" not in cli("status --limit 0").out


def test_status_before_the_first_snapshot(cli):
    cli("init --no-config")
    cli.write("a.txt")
    assert "No snapshot yet" in cli("status").out
    assert cli("status --json").json["head"] is None


def test_a_commit_that_reads_everything_again_finds_the_same(history):
    history("commit")
    assert history("commit --full --json").json["recorded"] is False


def test_gitignore_counts_when_asked_to(cli):
    cli.write(".gitignore", "*.tmp\n")
    cli.write("x.tmp")
    cli("commit")
    assert "x.tmp" in cli("ls").out
    cli("commit --respect-gitignore")
    assert "x.tmp" not in cli("ls").out


def test_a_store_is_read_from_anywhere(history, tmp_path):
    (store,) = (history.folder.parent / "data" / "casreplay" / "stores").iterdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert len(history(f"--store {store} log --json", cwd=elsewhere).json) == 3
    assert history(f"--store {store} status --json", cwd=elsewhere).json["workspace"] == str(history.folder)
    assert history(f"--store {store} diff", cwd=elsewhere).out == "M\ta.txt\n"


def test_another_folder_is_not_recorded_by_mistake(history, tmp_path):
    (store,) = (history.folder.parent / "data" / "casreplay" / "stores").iterdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "records" in history(f"--store {store} commit", code=2, cwd=elsewhere).err
    history(f"--store {store} init --no-config", cwd=elsewhere)
    history(f"--store {store} commit -m moved", cwd=elsewhere)
    assert len(history("log --json").json) == 4


@pytest.mark.parametrize("line", ["status", "diff", "restore good", "commit"])
def test_the_root_is_not_scanned_because_we_are_in_it(history, line):
    (store,) = (history.folder.parent / "data" / "casreplay" / "stores").iterdir()
    data = history.folder.parent / "data"
    os.rename(data / "casreplay" / "workspaces", data / "forgotten")
    assert "whole file system" in history(f"-C / --store {store} {line}", code=2).err


def test_init_in_a_subfolder_says_whose_store_there_is(history):
    result = history("init --no-config", cwd=history.folder / "src")
    assert str(history.folder) in result.out
    assert "--store PATH" in result.out


def test_first_commits_at_once_make_one_store(cli):
    import subprocess

    cli.write("a.txt", "x")
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environ = {**cli.environ, "PYTHONPATH": root}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "casreplay", "commit", "-m", f"c{number}"],
            cwd=cli.folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    assert sorted(row["label"] for row in cli("log --json").json) == ["c0", "c1", "c2", "c3"]
    cli("fsck --data")


@pytest.mark.parametrize("absolute", [True, False])
def test_a_configuration_may_name_another_folder(cli, absolute):
    cli.write("conf/casreplay.json", "{}")
    cli.write("work/a.txt", "1")
    cli.write("work/b.log", "1")
    root = str(cli.folder / "work") if absolute else "../work"
    rules = {"WORKSPACE_ROOT": root, "EXCLUDE_PATTERNS": ["*.log"]}
    cli.write("conf/casreplay.json", json.dumps(rules))
    conf, work = cli.folder / "conf", cli.folder / "work"
    assert cli("commit --json", cwd=conf).json["coverage"]["files"] == 1
    assert cli("ls", cwd=conf).out == "a.txt\n"
    cli.write("work/c.log", "1")
    assert cli("status --json", cwd=work).json["clean"] is True
    assert cli("status --json", cwd=work).json["workspace"] == str(work)
    assert str(conf / "casreplay.json") in cli("config check", cwd=work).out
    assert cli("init", cwd=conf).out.startswith("There is already a store for ")
    assert sorted(os.listdir(work)) == ["a.txt", "b.log", "c.log"]


def test_a_configured_folder_that_is_missing_is_named(cli):
    cli.write("casreplay.json", '{"WORKSPACE_ROOT": "nowhere"}')
    assert "nowhere" in cli("commit", code=2).err


@pytest.mark.parametrize("option", ["", "--store ../elsewhere "])
def test_a_store_that_is_gone_is_not_made_again_by_a_commit(cli, option):
    cli.write("a", "1")
    cli(option + "commit -m 1")
    store = Path(cli("init --json").json["store"])
    store.rename(store.with_name("away"))
    for line in ("commit -m 2", "status"):
        err = cli(option + line, code=10).err
        assert "There was one: is its disk mounted, was it moved or removed?" in err
        assert f"casreplay {option and f'--store {store} '}init" in err
    assert "fail  store      There is no store at" in cli(option + "doctor", code=1).out
    assert not store.exists()
    store.with_name("away").rename(store)
    cli(option + "commit -m 2")
    assert [row["label"] for row in cli("log --json").json] == ["2", "1"]
    shutil.rmtree(store)
    assert cli(option + "init").out.startswith("Made a store for ")
    cli("commit -m 3")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_store_that_cannot_be_looked_at_is_not_said_to_be_missing(cli):
    cli("commit -m 1")
    store = cli("init --json").json["store"]
    os.chmod(store, 0)
    try:
        for line in ("log", "commit -m 2"):
            assert f"Cannot read the store at {store}: Permission denied" in cli(line, code=1).err
        assert f"fail  store      Cannot read the store at {store}" in cli("doctor", code=1).out
    finally:
        os.chmod(store, 0o700)


def test_a_time_beyond_what_is_kept_stops_nothing(cli):
    """Year 2400 is more than 64 bits of nanoseconds; a file system that holds less shows the same here."""
    for name in ("a", "sub/b", "big"):
        cli.write(name, "1" if name != "big" else b"\0" * (5 << 20))
        os.utime(cli.folder / name, ns=(0, 13_569_465_600 * 10**9))
    os.symlink("a", cli.folder / "link")
    os.utime(cli.folder / "link", ns=(0, 13_569_465_600 * 10**9), follow_symlinks=False)
    os.utime(cli.folder / "sub", ns=(0, 13_569_465_600 * 10**9))
    cli("commit -m far --tag far")
    assert cli("commit").out.startswith("Nothing changed since ")
    assert cli("restore far").out.startswith("Everything is as in ")
    cli.write("a", "2")
    assert cli("diff").out == "M\ta\n"
    assert cli("restore far --json").json["problems"] == []
    assert (cli.folder / "a").read_text() == "1"
    assert cli("commit --full").out.startswith("[")
    assert cli("diff far @").out == ""
    cli("restore far --to ../copy")
    assert (cli.folder / "../copy/sub/b").read_text() == "1"


def test_status_and_diff_leave_the_content_of_large_files_out_as_commits_do(cli):
    cli.write("casreplay.json", '{"MAX_FILE_SIZE": 100}')
    cli.write("big", "x" * 101)
    cli("commit")
    status = cli("status --json").json
    assert (status["changes"], status["coverage"]["too_large"]) == ([], 1)
    assert cli("diff @").out == ""
    cli.write("casreplay.json", '{"MAX_FILE_SIZE": 101}')
    assert "big" in cli("diff @").out
