"""``bisect GOOD BAD`` without a predicate, on a pseudo-terminal, answered as a person would."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUESTION = b"quit ends)"
WHERE = re.compile(rb'"step (\d+)" is in (\S+)')
ENDS = ("@~15", "@")
OWN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
"""Makes standard input the controlling terminal, so that Ctrl-C is a signal, and becomes the program."""
END_OF_FILE = b"\x04"
CTRL_C = b"\x03"
PATIENCE_S = 2.0


@pytest.fixture
def story(cli):
    """Sixteen snapshots, broken from 11 on."""
    for number in range(16):
        cli.write("app.txt", f"{number} {'broken' if number >= 11 else 'fine'}\n")
        cli(f"commit -m 'step {number}'" + (" --tag good" if number == 0 else ""))
    return cli


class Conversation:
    """A bisect on a terminal; ``answer`` is asked for each snapshot that is shown."""

    def __init__(self, cli, *arguments):
        self.folders = []
        self.shown = []
        self.said = b""
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWN_TERMINAL, "-m", "casreplay", "--no-color", "bisect", *arguments],
            cwd=cli.folder,
            env={**cli.environ, "PYTHONPATH": ROOT, "TERM": "xterm", "TMPDIR": str(cli.folder.parent)},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def hold(self, answer):
        """Answer every question; the exit code and everything that was said."""
        asked, reply = 0, b""
        while True:
            # A signal that comes between the question and the read that waits for the answer is only
            # noticed after that read: it is sent again, as a person would press Ctrl-C again.
            if not select.select([self._ours], [], [], PATIENCE_S)[0] and reply in (CTRL_C, signal.SIGTERM):
                self._send(reply)
                continue
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # Linux says that the other end is gone by an error
                break
            if not piece:
                break
            self.said += piece
            if self.said.count(QUESTION) > asked:
                asked = self.said.count(QUESTION)
                number, folder = WHERE.findall(self.said)[-1]
                self.shown.append(int(number))
                self.folders.append(Path(os.fsdecode(folder)))
                reply = answer(self.folders[-1])
                self._send(reply)
        os.close(self._ours)
        return self.process.wait(20)

    def _send(self, reply):
        if isinstance(reply, bytes):
            os.write(self._ours, reply)
        else:
            self.process.send_signal(reply)


def judge(folder):
    return b"bad\n" if b"broken" in (folder / "app.txt").read_bytes() else b"g\n"


def is_clean(cli):
    return not [name for name in os.listdir(cli.folder.parent) if name.startswith("casreplay-probe-")]


def test_answers_lead_to_the_snapshot(story):
    talk = Conversation(story, *ENDS)
    assert talk.hold(judge) == 0
    assert b'"step 11"' in talk.said
    assert b"is the first bad snapshot" in talk.said
    assert len(talk.shown) <= 4
    assert not talk.folders[0].exists()
    assert is_clean(story)
    assert story("bisect status --json").json["status"] == "over"


def test_what_a_person_leaves_in_the_folder_is_gone_in_the_next(story):
    def untidy(folder):
        assert os.listdir(folder) == ["app.txt"]
        reply = judge(folder)
        (folder / "app.pyc").write_text("stale")
        (folder / "app.txt").write_text("edited by hand, broken and fine")
        return reply

    talk = Conversation(story, *ENDS)
    assert talk.hold(untidy) == 0
    assert len(talk.shown) > 2
    assert b'"step 11"' in talk.said.rpartition(b"first bad snapshot")[0].splitlines()[-1]


def test_a_word_that_is_no_answer_is_asked_again_and_a_skip_moves_on(story):
    replies = iter([b"perhaps\n", b"s\n"])
    talk = Conversation(story, *ENDS)
    assert talk.hold(lambda folder: next(replies, None) or judge(folder)) == 0
    assert talk.shown[0] == talk.shown[1] != talk.shown[2]
    assert story("bisect status --json").json["verdicts"]["skip"] == 1


STOPS = {
    "quit": (b"quit\n", 20),
    "end of file": (END_OF_FILE, 130),
    "ctrl-c": (CTRL_C, 130),
    "sigterm": (signal.SIGTERM, 143),
}


@pytest.mark.parametrize("how", STOPS)
def test_stopped_before_the_end_it_goes_on_by_hand(story, how):
    reply, code = STOPS[how]
    talk = Conversation(story, *ENDS)
    assert talk.hold(lambda folder: judge(folder) if len(talk.shown) < 3 else reply) == code
    assert not talk.folders[0].exists()
    assert is_clean(story)
    assert story("bisect log").out.count('"verdict": ') == 2
    left = story("bisect status --json").json
    assert (left["status"], left["verdicts"]["good"] + left["verdicts"]["bad"]) == ("running", 2)
    assert story("bisect next --json").json["next"] == left["next"]
    again = Conversation(story, *ENDS)
    assert again.hold(judge) == 0
    assert again.shown[0] == talk.shown[-1]
    assert b"Going on after 2 verdicts" in again.said
    assert b"is the first bad snapshot" in again.said


def test_verdicts_of_another_search_are_not_thrown_away(story):
    story("bisect start @~9 @")
    story("bisect skip")
    talk = Conversation(story, *ENDS)
    assert talk.hold(judge) == 2
    assert b"Another search by hand is under way" in talk.said
    story("bisect reset")
    assert Conversation(story, *ENDS).hold(judge) == 0
