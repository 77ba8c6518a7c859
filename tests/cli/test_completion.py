"""Completion as shells ask for it: their own functions are driven, not only the program's answers."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_BASH = """
eval "$(_CASREPLAY_COMPLETE=bash_source casreplay)"
function=$(complete -p casreplay | sed 's/.*-F \\([^ ]*\\).*/\\1/')
compopt() { echo "shell: $2"; }  # the shell itself offers files or folders
while IFS= read -r line; do
    eval "COMP_WORDS=(casreplay $line)"
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    $function casreplay
    printf '%s\\n' "${COMPREPLY[@]}" --
done
"""


@pytest.fixture
def environ(history, tmp_path):
    """The history's environment with a command ``casreplay`` on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "casreplay"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m casreplay "$@"\n')
    command.chmod(0o755)
    return {**history.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": ROOT}


def ask(shell, text, environ, folder):
    done = subprocess.run(
        shell, input=text, env=environ, cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="this machine has no bash")
def test_bash(history, environ):
    history("label @ 'two words'")
    history("analyze @~1 @")
    asked = {
        "com": ["commit"],
        "commit --fu": ["--full"],
        "--st": ["--store"],
        "incident re": ["reopen"],
        "show o": ["one"],
        "show tw": ["two"],
        "diff good tw": ["two"],
        "diff good..tw": ["good..two"],
        "bisect g": ["good"],
        "analyze g": ["good"],
        "loss good on": ["one"],
        "restore good a": ["shell: default"],
        "log s": ["shell: default"],
        "-C ''": ["shell: dirnames"],
        "--store ''": ["shell: dirnames"],
        "incident show ''": ["INC-0001"],
        "report INC": ["INC-0001"],
        "-C .. show o": [""],
        "-C nowhere show o": ["one"],
        "nonsense --ver": ["--version"],
    }
    answers = ask(["bash", "-c", _BASH], "\n".join(asked) + "\n", environ, history.folder)
    got = [part.strip("\n").split("\n") for part in answers.split("--\n")[:-1]]
    assert dict(zip(asked, got, strict=True)) == asked


@pytest.mark.skipif(shutil.which("bash") is None, reason="this machine has no bash")
def test_the_names_of_a_history_are_offered_newest_first_and_without_what_must_be_quoted(history, environ):
    history("label @ 'two words'")
    answer = ask(["bash", "-c", _BASH], "show ''\n", environ, history.folder).split()
    assert (answer[0], answer[2], answer[4:6]) == ("@", "two", ["good", "one"])
    assert len(answer) == len(["@", "id", "two", "id", "good", "one", "id", "--"])


@pytest.mark.skipif(shutil.which("fish") is None, reason="this machine has no fish")
def test_fish(history, environ):
    script = """
    _CASREPLAY_COMPLETE=fish_source casreplay | source
    complete -C 'casreplay com'
    complete -C 'casreplay show o'
    complete -C 'casreplay commit --fu'
    """
    lines = ask(["fish", "--no-config", "-c", script], "", environ, history.folder).splitlines()
    assert [line.split("\t")[0] for line in lines] == ["commit", "one", "--full"]


def test_completing_in_a_folder_without_a_store_offers_nothing_and_says_nothing(cli, environ):
    environ["XDG_DATA_HOME"] = str(cli.folder / "nothing")
    environ.update(_CASREPLAY_COMPLETE="bash_complete", COMP_WORDS="casreplay show ", COMP_CWORD="2")
    assert ask([sys.executable, "-m", "casreplay"], "", environ, cli.folder.parent).strip() == ""
