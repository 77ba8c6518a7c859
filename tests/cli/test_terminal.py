"""On a real terminal: colours, progress, escaped contents. The same into a pipe: none of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def on_terminal(cli, *arguments, **environ):
    """What a terminal gets to see, from standard output and error together."""
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
