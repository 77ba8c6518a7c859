"""What other systems lack: the ways round it are taken, not only written.

Processes of their own, from which attributes and modules are taken away before casreplay is loaded.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FLAGS = [
    f"os.{name}" for name in ("O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "O_NONBLOCK", "O_PATH", "O_TMPFILE")
]
PROCESSES = [
    *(f"os.{name}" for name in ("fork", "forkpty", "killpg", "setsid", "getpgid", "waitid", "WNOHANG")),
    *(f"os.{name}" for name in ("register_at_fork", "sched_getaffinity")),
    *(f"signal.{name}" for name in ("pthread_sigmask", "SIGKILL", "SIGHUP", "SIGPIPE", "SIGALRM")),
]
USERS = [
    "pwd",
    *(
        f"os.{name}"
        for name in ("getuid", "geteuid", "getgid", "getegid", "chown", "fchown", "lchown", "uname")
    ),
]
FILES = [
    *(
        f"os.{name}"
        for name in ("pread", "pwrite", "fdatasync", "posix_fadvise", "posix_fallocate", "mkfifo")
    ),
    *(f"os.{name}" for name in ("mknod", "sendfile", "copy_file_range", "fchdir", "major", "minor")),
    *(f"os.{name}" for name in ("sysconf", "SEEK_HOLE", "SEEK_DATA")),
]
MISSING_IN_WINDOWS = [*FLAGS, *PROCESSES, *USERS, *FILES]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the other systems are played on Linux")


@pytest.fixture
def bare(cli):
    def run(lacking, line, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "support.bare_system", *lacking, "--", *shlex.split(line)],
            cwd=cli.folder,
            env={**cli.environ, "PYTHONPATH": f"{TESTS}:{os.path.dirname(TESTS)}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{line}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.mark.parametrize(
    "lacking",
    [
        *(
            pytest.param(lacking, id=name, marks=pytest.mark.slow)
            for name, lacking in {
                "flags": FLAGS,
                "processes": PROCESSES,
                "users": USERS,
                "files": FILES,
                "locks": ["fcntl"],
            }.items()
        ),
        pytest.param([*MISSING_IN_WINDOWS, "fcntl"], id="all"),
    ],
)
def test_a_round_of_work_on_a_system_with_less(bare, cli, lacking):
    cli.write("a.txt", "one\n")
    cli.write("sub/b.bin", os.urandom(400_000))
    os.symlink("a.txt", cli.folder / "link")
    bare(lacking, "init")
    bare(lacking, "commit -m one --tag good")
    cli.write("a.txt", "two\n")
    cli.remove("link")
    assert "M\ta.txt" in bare(lacking, "diff").stdout
    bare(lacking, "commit -m two")
    assert "1 modified" in bare(lacking, "log --stat").stdout
    assert bare(lacking, "diff good @").stdout == "M\ta.txt\nD\tlink\n"
    bare(lacking, "bisect good @ --grep ^two --path '*.txt'")
    bare(lacking, "analyze good @")
    bare(lacking, "incident list")
    assert "Restored" in bare(lacking, "restore good").stdout
    assert (cli.folder / "a.txt").read_text() == "one\n"
    assert os.readlink(cli.folder / "link") == "a.txt"
    bare(lacking, "restore @ --to ../elsewhere")
    bare(lacking, "commit --full")
    bare(lacking, "prune --keep-last 1")
    bare(lacking, "gc --grace 0 --max-dead 0")
    assert "sound" in bare(lacking, "fsck --data").stdout
    bare(lacking, "purge a.txt --yes")
    for line in (
        "status",
        "stats",
        "find *.txt",
        "show @",
        "ls @",
        "doctor",
        "config show",
        "repair --rebuild-index",
    ):
        bare(lacking, line)


WITHOUT_FOLDER_CALLS = [*MISSING_IN_WINDOWS, "fcntl", "dir_fd"]


def test_where_nothing_can_be_opened_relative_to_a_folder_stores_are_read_and_nothing_is_scanned(
    bare, history
):
    """Windows: a link could lead out of the workspace between two looks, so it is refused in one sentence."""
    for line in (
        "log --stat",
        "log a.txt",
        "show @",
        "cat @ a.txt",
        "ls -r @",
        "find *.txt",
        "diff @~2 @",
        "stats",
    ):
        bare(WITHOUT_FOLDER_CALLS, line)
    assert "sound" in bare(WITHOUT_FOLDER_CALLS, "fsck --data").stdout
    for line in (
        "commit",
        "status",
        "diff @",
        "restore @~1",
        "restore @~1 --dry-run",
        "restore @ --to ../elsewhere",
        "bisect view",
    ):
        done = bare(WITHOUT_FOLDER_CALLS, line, code=2)
        assert "has no calls relative to an open folder" in done.stderr, line
        assert "Windows Subsystem for Linux" in done.stderr
    for line in ("bisect start @~2 @", "bisect status", "bisect bad", "bisect reset"):
        bare(WITHOUT_FOLDER_CALLS, line)
    done = bare(WITHOUT_FOLDER_CALLS, "bisect @~2 @ --run true", code=2)
    assert "has no process groups" in done.stderr
    assert not (history.folder.parent / "elsewhere").exists()
