"""restore as people use it: exact, undone by one command, nothing lost without being told."""

from __future__ import annotations

import os
import shlex
import shutil

import pytest


def contents(folder):
    found = {}
    for at, folders, files in os.walk(folder):
        below = os.path.relpath(at, folder)
        for name in folders:
            found[os.path.normpath(os.path.join(below, name))] = None
        for name in files:
            with open(os.path.join(at, name), "rb") as file:
                found[os.path.normpath(os.path.join(below, name))] = file.read()
    return found


def undo(cli, result, **options):
    """Type what the restore said would take it back."""
    line = next(line for line in result.out.splitlines() if line.startswith("  casreplay ")).strip()
    return cli(line.removeprefix("casreplay "), **options)


def test_a_restore_is_exact_and_undone_by_the_command_it_prints(history):
    before = contents(history.folder)
    result = history("restore good")
    assert contents(history.folder) == {
        "a.txt": b"one\n",
        "src": None,
        "src/main.py": b"print(1)\n" * 20,
        "data": None,
        "data/big.bin": b"\0\1\2" * 100,
    }
    assert "Safety snapshot: " in result.out
    undo(history, result)
    assert contents(history.folder) == before


def test_a_restore_of_paths_leaves_the_rest_alone(history):
    before = contents(history.folder)
    result = history("restore good a.txt data")
    after = contents(history.folder)
    assert after["a.txt"] == b"one\n"
    assert after["data/big.bin"] == b"\0\1\2" * 100
    assert after["src/app.py"] == before["src/app.py"]
    undo(history, result)
    assert contents(history.folder) == before


def test_a_restored_path_that_was_not_there_is_undone_too(history):
    history.write("archive/1.txt", "1")
    history("commit -m archived --tag archived")
    shutil.rmtree(history.folder / "archive")
    before = contents(history.folder)
    result = history("restore archived archive")
    assert contents(history.folder)["archive/1.txt"] == b"1"
    undo(history, result)
    assert contents(history.folder) == before


def test_undoing_a_restore_takes_folders_away_that_had_to_be_made(history):
    history.write("deep/er/1.txt", "1")
    history.write("deep/er/2.txt", "2")
    history("commit --tag deep")
    shutil.rmtree(history.folder / "deep")
    before = contents(history.folder)
    result = history("restore deep deep/er/1.txt")
    assert contents(history.folder)["deep/er/1.txt"] == b"1"
    undo(history, result)
    assert contents(history.folder) == before


def test_a_file_that_came_later_is_removed_when_it_is_named(history):
    history("restore good src/new.py")
    assert not (history.folder / "src/new.py").exists()
    assert (history.folder / "src/app.py").exists()


def test_a_restore_in_a_subfolder(history):
    folder = history.folder / "src"
    result = history("restore good main.py", cwd=folder)
    assert (folder / "main.py").read_bytes() == b"print(1)\n" * 20
    assert (history.folder / "a.txt").read_text() == "one\ntwo\nthree\n"
    assert f"-C {shlex.quote(str(history.folder))}" in result.out
    undo(history, result, cwd=folder)
    assert not (folder / "main.py").exists()


def test_a_dry_run_says_everything_and_does_nothing(history):
    before = contents(history.folder)
    rows = len(history("log --json").json)
    lines = history("restore good --dry-run").out.splitlines()
    assert "~ a.txt" in lines
    assert "+ src/main.py" in lines
    assert "- src/app.py" in lines
    assert lines[-1].endswith("Nothing was changed")
    assert contents(history.folder) == before
    assert len(history("log --json").json) == rows


def test_a_restore_to_another_folder(history):
    before = contents(history.folder)
    history("restore good --to ../copy")
    assert contents(history.folder.parent / "copy")["a.txt"] == b"one\n"
    assert contents(history.folder) == before
    history.write("../copy/mine.txt", "mine")
    assert "--force" in history("restore @ --to ../copy", code=2).err
    assert (history.folder.parent / "copy" / "mine.txt").exists()


def test_without_a_backup_nothing_is_lost_unasked(history):
    before = contents(history.folder)
    assert "--force" in history("restore good --no-backup", code=2).err
    assert contents(history.folder) == before
    rows = len(history("log --json").json)
    history("restore good --no-backup --force")
    assert len(history("log --json").json) == rows
    assert (history.folder / "a.txt").read_text() == "one\n"


def test_a_workspace_that_is_gone_comes_back(history):
    rows = history("log --json").json
    shutil.rmtree(history.folder)
    store = history(
        f"--store {store_of(history)} restore @ --to {shlex.quote(str(history.folder))}",
        cwd=history.folder.parent,
    )
    assert store.err == ""
    assert contents(history.folder)["a.txt"] == b"one\ntwo\n"
    assert history("log --json").json == rows


def store_of(cli):
    stores = cli.folder.parent / "data" / "casreplay" / "stores"
    (name,) = os.listdir(stores)
    return shlex.quote(str(stores / name))


def test_what_rules_leave_out_is_not_touched(cli):
    cli.write("a.txt", "1")
    cli.write("__pycache__/a.pyc", "cache")
    cli.write(".git/HEAD", "ref: refs/heads/main\n")
    cli("commit --tag one")
    cli.write("a.txt", "2")
    cli.write(".git/index", "index")
    cli("restore one")
    assert (cli.folder / "a.txt").read_text() == "1"
    assert (cli.folder / "__pycache__/a.pyc").read_text() == "cache"
    assert (cli.folder / ".git/index").read_text() == "index"


def test_a_store_inside_the_workspace_survives_a_restore(cli):
    cli("--store .history init --no-config")
    cli.write("a.txt", "1")
    cli("--store .history commit --tag one")
    cli.write("a.txt", "2")
    cli("--store .history restore one")
    assert (cli.folder / "a.txt").read_text() == "1"
    cli("--store .history fsck --data")


def test_nothing_to_do_is_said(history):
    history("commit --tag here")
    assert history("restore here").out.startswith("Everything is as in ")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("restore nonesuch", 1),
        ("restore good no/such/path", 1),
        ("restore good ../outside", 2),
        ("restore", 2),
        ("restore good ''", 2),
        ("restore good --to ''", 2),
        ("--store '' restore good", 2),
    ],
)
def test_what_cannot_be_restored_is_refused(history, line, code):
    before = contents(history.folder)
    history(line, code=code)
    assert contents(history.folder) == before


def test_modes_and_symlinks_come_back(cli):
    cli.write("run.sh", "#!/bin/sh\n")
    os.chmod(cli.folder / "run.sh", 0o755)
    os.symlink("run.sh", cli.folder / "link")
    os.mkdir(cli.folder / "empty")
    cli("commit --tag one")
    os.chmod(cli.folder / "run.sh", 0o644)
    cli.remove("link")
    os.rmdir(cli.folder / "empty")
    cli("restore one")
    assert os.stat(cli.folder / "run.sh").st_mode & 0o777 == 0o755
    assert os.readlink(cli.folder / "link") == "run.sh"
    assert (cli.folder / "empty").is_dir()


def test_what_needs_nothing_says_so_whatever_else_there_is_to_say(cli):
    """A name other systems cannot hold is worth a remark, not a restore that did nothing and its undoing."""
    cli.write("aux.txt", "a name Windows keeps for itself")
    cli("commit -m one")
    for line in ("restore @", "restore @ --no-backup"):
        result = cli(line)
        assert result.out.splitlines()[-1].startswith("Everything is as in ")
        assert "take this back" not in result.out


def test_a_path_that_is_not_in_the_snapshot_is_an_error_that_says_where_to_look(history):
    result = history("restore good nope", code=1)
    assert "nope does not exist in this snapshot" in result.err
    assert "casreplay ls -r" in result.err


def test_what_could_not_be_restored_is_counted_in_the_last_line(cli):
    os.mkfifo(cli.folder / "pipe")
    cli.write("a.txt", "a")
    cli("commit -m one")
    assert " except for 1 path: 1 written, 0 removed in " in cli("restore @ --to ../copy", code=3).out


@pytest.mark.parametrize("wrong", ['{"EXCLUDE_PATERNS": 5}', '{"WORKSPACE_ROOT": ".", bad', "\0\1"])
def test_whoever_breaks_the_configuration_does_not_lock_the_history(history, wrong):
    """An agent may; reading goes on, and the command that the hint names brings the last good one back."""
    history("init --force")
    history("commit -m configured")
    good = (history.folder / "casreplay.json").read_bytes()
    history.write("casreplay.json", wrong)
    for line in (
        "log --oneline",
        "show @",
        "cat @ a.txt",
        "ls @",
        "find a.txt",
        "diff @~1 @",
        "fsck",
        "stats",
        "tag t",
    ):
        result = history(line)
        assert result.err.count("it is left aside here") == 1, line
    for line in ("commit", "status", "diff", "restore @", "restore @ --dry-run"):
        result = history(line, code=2)
        assert (
            "casreplay restore @ casreplay.json brings back the last" in result.err
            or "config check" in result.err
        )
    before = contents(history.folder)
    assert "Restored" in history("restore @ casreplay.json").out
    assert contents(history.folder) == {**before, "casreplay.json": good}
    assert history("status").err == ""


def test_names_for_some_systems_only_are_one_line_and_none_when_nothing_is_written(cli):
    for hour in range(5):
        cli.write(f"log {hour}:00", "1")
    cli("commit --tag one")
    again = cli("restore one")
    assert (again.err, again.out) == ("", again.out.splitlines()[0] + "\n")
    for hour in range(5):
        cli.write(f"log {hour}:00", "2")
    back = cli("restore one")
    assert "Windows could not hold these names: log 0:00, log 1:00, log 2:00 and more" in back.err
    assert "Windows" not in back.out
    assert cli("restore one --to ../copy --quiet").err == ""
    problems = cli("restore one --to ../other --json").json["problems"]
    assert [one["path"] for one in problems] == [f"log {hour}:00" for hour in range(5)]
    assert problems[0]["message"] == "The name log 0:00 holds a character Windows has another use for"
