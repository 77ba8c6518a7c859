"""A store that cannot be written: everything that only reads works, the rest says what is in the way."""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest
from support.read_only_files import ReadOnlyFiles

from casreplay import Repository
from casreplay.errors import StoreIOError
from casreplay.store.disk import DiskStore

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_WITHOUT_PRIVILEGE = """
import ctypes, os, sys
for right in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: without them modes bind root too
    if os.geteuid() == 0 and ctypes.CDLL(None).prctl(24, right, 0, 0, 0):
        sys.exit(99)
os.execv(sys.executable, [sys.executable, "-m", "casreplay", *sys.argv[1:]])
"""
_IS_BOUND = os.name == "posix" and (os.geteuid() != 0 or hasattr(ctypes.CDLL(None), "prctl"))

READING = [
    "status",
    "log",
    "log --oneline --stat",
    "log a.txt",
    "show @",
    "show @~1:a.txt",
    "cat @ a.txt",
    "ls -r @",
    "find *.txt",
    "diff @~2 @",
    "diff --patch @",
    "restore @~1 --dry-run",
    "fsck --data",
    "stats",
    "check @~1 @",
    "secrets @",
    "timeline @~1 @",
    "loss @~1 @",
    "decisions @~1..@",
    "drift",
    "bisect @~2 @ --grep two",
    "incident list",
    "patterns",
    "prune --keep-last 1 --dry-run",
    "gc --dry-run",
    "purge a.txt --dry-run",
    "config show",
    "analyze @~1 @ --no-incident",
]
WRITING = [
    "commit -m more",
    "gc",
    "prune --keep-last 1",
    "tag more",
    "label @ more",
    "note @ more",
    "purge a.txt --yes",
    "repair --rebuild-index",
]


@pytest.fixture
def sealed(history):
    """The history's store without a right to write; ``run`` starts a process of its own in it."""
    if not _IS_BOUND:
        pytest.skip("as root modes bind nobody, and this system cannot give up that privilege for a process")
    store = json.loads(history("status --json").out)["store"]
    _chmod(store, 0o500, 0o400)

    def run(line):
        done = subprocess.run(
            [sys.executable, "-c", _WITHOUT_PRIVILEGE, *shlex.split(line)],
            cwd=history.folder,
            env={**history.environ, "PYTHONPATH": ROOT},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    yield run
    _chmod(store, 0o700, 0o600)


def _chmod(folder, folder_mode, file_mode):
    for path, _, names in os.walk(folder):
        for name in names:
            os.chmod(os.path.join(path, name), file_mode)
        os.chmod(path, folder_mode)


def test_each_command_reads_or_says_what_is_in_the_way(sealed, history):
    before = history.folder.joinpath("a.txt").read_bytes()
    for line in READING:
        done = sealed(line)
        assert done.returncode == 0, (line, done.stderr)
    for line in WRITING:
        done = sealed(line)
        assert done.returncode == 1, (line, done.stdout)
        assert "cannot be written" in done.stderr, line
        assert "hint: The store belongs to another user, or its permissions were changed" in done.stderr
    assert history.folder.joinpath("a.txt").read_bytes() == before


def test_a_restore_says_how_to_do_without_a_safety_snapshot(sealed, history):
    done = sealed("restore @~1 a.txt")
    assert done.returncode == 1
    assert "restore --no-backup --force works without a safety snapshot" in done.stderr
    assert history.folder.joinpath("a.txt").read_text() == "one\ntwo\nthree\n"
    assert sealed("restore @~1 a.txt --no-backup --force").returncode == 0
    assert history.folder.joinpath("a.txt").read_text() == "one\ntwo\n"


def test_a_commit_of_nothing_needs_no_right_to_write(sealed, history):
    done = sealed("commit")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    history.write("a.txt", "one\ntwo\n")
    for line in ("commit", "commit --full"):
        done = sealed(line)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Nothing changed since" in done.stdout
    assert json.loads(sealed("commit --json").stdout)["recorded"] is False
    assert "1 given their mode or time" in sealed("restore @").stdout  # written again just now
    assert "Everything is as in" in sealed("restore @").stdout


def test_an_analysis_is_given_though_no_incident_can_be_recorded(sealed):
    done = sealed("analyze @~1 @")
    assert done.returncode == 3
    assert "Root cause:" in done.stdout
    assert "No incident was recorded" in done.stderr


def test_incidents_recorded_before_are_read(history):
    """SQLite's own files beside the database cannot be made; what is in it is shown all the same."""
    history("analyze @~1 @ --title Broken")
    store = json.loads(history("status --json").out)["store"]
    _chmod(store, 0o500, 0o400)
    try:
        assert "Broken" in history("incident list").out
        assert "Broken" in history("incident show 1").out
    finally:
        _chmod(store, 0o700, 0o600)


def test_a_store_on_a_read_only_file_system_is_read_whole(history):
    """Through the seam: even the removal of nothing is refused. Without index and caches too."""
    folder = json.loads(history("status --json").out)["store"]
    root = os.fsencode(history.folder)
    history.write("a.txt", "one\ntwo\n")
    for gone in ((), ("cache",), ("cache", "index", "leases")):
        for name in gone:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
        files = ReadOnlyFiles()
        with Repository(DiskStore.open(folder, files=files), root) as repository:
            newest, _, oldest = repository.snapshots()
            assert repository.status()[0] == []
            assert repository.commit().recorded is False
            assert repository.read(newest, b"a.txt") == b"one\ntwo\n"
            assert len(repository.diff(oldest, newest)) == 4
            assert [one.label for one in repository.snapshots_of([b"src/new.py"])] == ["two"]
            with pytest.raises(StoreIOError, match="cannot be written"):
                repository.notes.add_tags(newest.id, ["more"])
        assert files.refused
