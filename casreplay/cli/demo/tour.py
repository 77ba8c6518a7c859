"""The guided tour: which commands the demo shows, in which order, and why.

``TOUR`` is the whole script. A step is a heading, a sentence or two, and command lines as the
reader would type them; the output is real, made by running them. Adding a step is adding
an entry.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from casreplay.cli.output import Output

__all__ = ["TOUR", "Step", "walk_through"]


@dataclass(frozen=True, slots=True)
class Step:
    """One stop of the tour.

    Attributes:
        title: a heading.
        text: what the reader should know before the output.
        lines: command lines; ``casreplay ...`` or ``python ...``, run in the workspace.
    """

    title: str
    text: str
    lines: tuple[str, ...]


TOUR: tuple[Step, ...] = (
    Step(
        "The night is over, and the check fails",
        "An agent worked on this project all night; a snapshot was taken every quarter of an hour.",
        ("python tools/check.py", "casreplay log --oneline -n 5"),
    ),
    Step(
        "What changed since it was last known to be right?",
        "Someone ran the check before the agent tidied up, and that snapshot was tagged 'checked'.",
        ("casreplay diff checked @ --summary", "casreplay diff checked @"),
    ),
    Step(
        "Too much to read: let bisect find the change",
        "It runs the check on snapshots in between, in folders of its own, then shrinks the change.",
        ('casreplay bisect checked @ --run "python tools/check.py"',),
    ),
    Step(
        "One line: the tax rate went from 0.19 to 19",
        "The same, read by hand: which snapshots changed the settings, and how.",
        ("casreplay log --oneline config/settings.json", "casreplay diff checked @ --patch -- config"),
    ),
    Step(
        "Why? The change, the logs and the agent's own decisions, weighed",
        "From the last snapshot known to be good to the end of the night; it becomes an incident.",
        ("casreplay analyze checked @",),
    ),
    Step(
        "Bring the settings back",
        "The last lines printed say how to take that back.",
        ("casreplay restore checked config/settings.json", "python tools/check.py"),
    ),
    Step(
        "The agent also deleted the archive",
        "What is gone from the folder is still in the store.",
        ("casreplay loss checked @", "casreplay restore checked data/archive"),
    ),
    Step(
        "Tell the others: one page, no outside links, every sentence with its evidence",
        "Open it in a browser; --format md, json and sarif write the same for other readers.",
        ("casreplay report INC-0001 --format html -o ../report.html", "casreplay incident list"),
    ),
    Step(
        "Is the store sound?",
        "Every object is read back and checked against its id.",
        ("casreplay fsck --data",),
    ),
)

Runner = Callable[[Sequence[str]], int]


def walk_through(
    steps: Sequence[Step], out: Output, run_casreplay: Runner, workspace: bytes, environ: Mapping[str, str]
) -> list[str]:
    """Show every step: heading, text, each command line and what it prints.

    Returns the command lines that failed: 1 means "found" here, anything above does not.
    """
    python, failed = _python(environ), []
    for number, step in enumerate(steps, 1):
        out.line()
        out.line(out.style(f"{number}. {step.title}", "bold"))
        out.line(f"   {step.text}")
        for written in step.lines:
            line = written.replace("python ", python)
            out.line()
            out.line(out.style(f"$ {line}", "bold", "cyan"))
            words = shlex.split(line)
            if words[0] != "casreplay":
                out.raw([_program_output(words, workspace, environ)])
            elif run_casreplay(words[1:]) > 1:
                failed.append(line)
    return failed


def _python(environ: Mapping[str, str]) -> str:
    """What to type for this very Python here: a short name where that leads to it, else its path."""
    from shutil import which  # noqa: PLC0415 - the demo alone starts a program

    here = os.path.realpath(sys.executable)
    for name in ("python", "python3"):
        found = which(name, path=environ.get("PATH", ""))
        if found is not None and os.path.realpath(found) == here:
            return name + " "
    return shlex.quote(sys.executable) + " "


def _program_output(words: Sequence[str], workspace: bytes, environ: Mapping[str, str]) -> bytes:
    """What ``python ...`` prints in the workspace; the interpreter is the one casreplay runs in."""
    import subprocess  # noqa: PLC0415 - the demo alone starts a program

    done = subprocess.run(  # noqa: S603 - the demo's own script, just written by the demo
        [sys.executable, *words[1:]],
        cwd=os.fsdecode(workspace),
        env={**environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=60,
    )
    return done.stdout
