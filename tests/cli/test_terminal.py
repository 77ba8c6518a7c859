"""On a real terminal: colours, progress, escaped contents. The same into a pipe: none of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from casreplay.cli.session import Session
from casreplay.store.files import OsFiles
from casreplay.store.locks import Leases, Waiting

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def on_terminal(cli, *arguments, seeing=lambda seen: None, **environ):
    """What a terminal gets to see, from standard output and error together; ``seeing`` looks on."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "casreplay", *arguments],
        cwd=cli.folder,
        env={**cli.environ, "PYTHONPATH": ROOT, "TERM": "xterm", **environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux says that the other end is gone by an error
            break
        if not piece:
            break
        seen += piece
        seeing(seen)
    os.close(ours)
    assert process.wait() == 0
    return seen


def test_colours_are_for_terminals(history):
    assert b"\x1b[33m" in on_terminal(history, "log", "--oneline")
    assert b"\x1b[32m+three" in on_terminal(history, "diff", "--patch")
    assert "\x1b" not in history("log --oneline").out


@pytest.mark.parametrize("how", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_forbidden(history, how):
    assert b"\x1b" not in on_terminal(history, "log", "--oneline", **how)


def test_the_option_forbids_colours(history):
    assert b"\x1b" not in on_terminal(history, "--no-color", "log", "--oneline")


def test_file_contents_are_escaped_on_a_terminal_and_nowhere_else(cli):
    cli.write("evil.txt", b"\x1b]0;title\x07\x1b[2Jgone\n")
    cli("commit -m evil")
    cli.write("evil.txt", b"\x1b[2Jworse\n")
    for line in (["cat", "@", "evil.txt"], ["diff", "--patch"], ["show", "@:evil.txt"]):
        seen = on_terminal(cli, "--no-color", *line)
        assert b"\x1b" not in seen
        assert b"\x07" not in seen
        assert b"\\x1b[2J" in seen
    assert cli("cat @ evil.txt").raw == b"\x1b]0;title\x07\x1b[2Jgone\n"
    assert b"\x1b[2Jworse" in cli("diff --patch").raw


def test_short_work_shows_no_progress(history):
    assert b"\r" not in on_terminal(history, "commit").replace(b"\r\n", b"")


def test_who_waits_for_a_lock_sees_for_whom(history):
    """Another process writes; it ends as soon as the one that waits has said that it does."""
    store = json.loads(history("status --json").out)["store"]
    leases = Leases(OsFiles(), store)
    leases.command = "casreplay commit"
    share = leases.writing()
    leases.announce("writer-1")

    def release_when_told(seen):
        if b"Waiting up to" in seen:
            share.release()

    seen = on_terminal(history, "gc", seeing=release_when_told)
    said = b"Another process is writing to this store: process %d on " % os.getpid()
    assert said in seen
    assert b"(casreplay commit), since " in seen
    assert b"Waiting up to 10 s" in seen
    assert b"Freed" in seen
    leases.withdraw("writer-1")


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_who_wants_facts_only_waits_in_silence(history, option, monkeypatch):
    waiting = Waiting("Another process is writing to this store", ("process 1 on host",), 10)
    for attended, given, expected in ((True, "", True), (False, "", False), (True, option, False)):
        session = Session(history.environ)
        session.out.quiet, session.out.json = given == "--quiet", given == "--json"
        errors = io.StringIO()
        errors.isatty = lambda attended=attended: attended
        monkeypatch.setattr(sys, "stderr", errors)
        session.say_waiting(waiting)
        assert bool(errors.getvalue()) is expected


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_service_may_start_us_without_standard_streams(history, closed):
    """Nothing of the store may become standard output, and a lost answer is no failure."""
    for number, line in enumerate(["status", "commit -m night", "ls -r @", "log nope", "fsck --data"]):
        history.write("a.txt", f"{closed} {number}")
        done = subprocess.run(
            ["/bin/sh", "-c", f"{sys.executable} -m casreplay {line} {closed}"],
            cwd=history.folder,
            env={**history.environ, "PYTHONPATH": ROOT},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (line, done.stderr)
    assert "sound" in history("fsck --data").out
