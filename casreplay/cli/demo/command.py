"""The ``demo`` command: make the workspace, play the night, take the reader around."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count

import click

from casreplay.cli.options import command
from casreplay.cli.session import Session
from casreplay.cli.text import duration, safe_line
from casreplay.clock import monotonic_ns
from casreplay.errors import EXIT_FAILED, EXIT_OK, UsageError

__all__ = ["demo"]

SECOND_NS = 1_000_000_000


@command("demo", examples=["casreplay demo", "casreplay demo --dir /tmp/demo"])
@click.option(
    "--dir", "directory", metavar="D", help="Where to put it; a new folder for temporary files if not given."
)
@click.pass_obj
def demo(session: Session, *, directory: str | None) -> int:
    """Watch casreplay work on a made-up workspace.

    Writes a small project, plays a night of an agent's work into forty snapshots, one of which
    breaks the project, and runs the commands that find and undo the damage, with their real
    output. Nothing outside the folder is touched; the last lines say how to remove it.
    """
    from casreplay.cli.demo.player import play  # noqa: PLC0415 - start-up speed
    from casreplay.cli.demo.story import STEPS  # noqa: PLC0415 - start-up speed
    from casreplay.cli.demo.tour import TOUR, walk_through  # noqa: PLC0415 - start-up speed

    base = _folder(session, directory)
    workspace, store = os.path.join(base, b"workspace"), os.path.join(base, b"store")
    out, started = session.out, monotonic_ns()
    out.line(f"A night of an agent's work, in {_shown(workspace)}")
    with session.progress() as progress:
        progress.stage("playing the night", STEPS, "snapshots")
        play(workspace, store, lambda moment: progress.advance(moment.number))
    out.line(f"{STEPS} snapshots taken in {duration(monotonic_ns() - started)}. Follow along with:")
    out.line(f"  cd {_quoted(workspace)}")
    environ = {key: value for key, value in session.environ.items() if key != "CASREPLAY_STORE"}
    failed = walk_through(TOUR, out, _runner(session, workspace, environ), workspace, environ)
    out.line()
    out.line(out.style("That was the tour", "bold") + f", in {duration(monotonic_ns() - started)}.")
    out.line(f"  workspace: {_shown(workspace)}")
    out.line(f"  store:     {_shown(store)}")
    out.line(f"  report:    {_shown(os.path.join(base, b'report.html'))}")
    out.line(f"  remove it all with: rm -r {_quoted(base)}")
    if failed:
        out.warning(f"This did not work as it should: {'; '.join(failed)}")
        return EXIT_FAILED
    out.line("Next: change to a folder of yours and type casreplay commit -m baseline")
    return EXIT_OK


def _folder(session: Session, directory: str | None) -> bytes:
    """The folder the demo goes into, made here; one that holds something is refused."""
    if directory is None:
        from tempfile import mkdtemp  # noqa: PLC0415 - start-up speed

        return os.path.realpath(os.fsencode(mkdtemp(prefix="casreplay-demo-")))
    base = session.path(directory)
    try:
        os.makedirs(base, exist_ok=True)
        taken = bool(os.listdir(base))
    except OSError as error:
        raise UsageError(f"Cannot use {_shown(base)}: {error.strerror}") from error
    if taken:
        raise UsageError(
            f"{_shown(base)} is not empty",
            hint="Name a new folder, or remove what an earlier demo left there",
        )
    return os.path.realpath(base)


def _runner(session: Session, workspace: bytes, environ: Mapping[str, str]) -> Callable[[Sequence[str]], int]:
    """Runs a command line in the workspace, the morning after the night."""
    from casreplay.cli.main import run  # noqa: PLC0415 - the entry point imports this module

    ticks = _morning()

    def run_line(words: Sequence[str]) -> int:
        words = [*(["--no-color"] if not session.out.is_terminal else []), *words]
        return run(words, environ=environ, clock=lambda: next(ticks), cwd=workspace)

    return run_line


def _morning() -> Iterator[int]:
    from casreplay.cli.demo.story import MORNING_NS  # noqa: PLC0415 - start-up speed

    return (MORNING_NS + number * SECOND_NS for number in count())


def _shown(path: bytes) -> str:
    return safe_line(os.fsdecode(path))


def _quoted(path: bytes) -> str:
    from shlex import quote  # noqa: PLC0415 - start-up speed

    return safe_line(quote(os.fsdecode(path)))
