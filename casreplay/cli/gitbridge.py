"""``import-git`` and ``export-git``: a git history in, any history out."""

from __future__ import annotations

from typing import Any

import click

from casreplay.cli.options import command, json_option
from casreplay.cli.session import Session
from casreplay.cli.text import count, safe_line
from casreplay.errors import EXIT_OK, EXIT_PROBLEMS, UsageError

__all__ = ["export_git", "import_git"]

SHOWN_PROBLEMS = 5


@command(
    "import-git",
    examples=[
        "casreplay --store ./history init && casreplay --store ./history import-git ~/src/project",
        "casreplay import-git . --range v1.0..main --first-parent",
    ],
)
@click.argument("repository", metavar="REPO")
@click.option(
    "--range", "revisions", metavar="A..B", default="HEAD", help="Which commits (default: all of HEAD)."
)
@click.option("--first-parent", is_flag=True, help="Follow first parents only.")
@json_option
@click.pass_obj
def import_git(session: Session, /, *, repository: str, **options: Any) -> int:
    """Turn the commits of the git repository REPO into snapshots.

    Labels are short commit ids and subjects, times are kept. Nothing is checked out. A
    second import brings the commits that do not lead to one that is here.
    """
    import os  # noqa: PLC0415 - start-up speed

    from casreplay.history.gitimport import import_git as run  # noqa: PLC0415 - start-up speed

    store = session.repository().store
    with session.progress() as progress:
        done = run(
            store,
            os.fsdecode(session.path(repository)),
            revisions=options["revisions"],
            first_parent=options["first_parent"],
            monitor=progress,
        )
    if options["as_json"]:
        session.out.data(
            {
                "snapshots": done.snapshots,
                "skipped": done.skipped,
                "blobs": done.blobs,
                "problems": [{"code": p.code, "message": p.message, "path": p.path} for p in done.problems],
                "last": done.last.id.hex() if done.last is not None else None,
            }
        )
        return EXIT_PROBLEMS if done.problems else EXIT_OK
    known = f" ({done.skipped:,} were here already, or led to one that is)" if done.skipped else ""
    session.out.line(
        f"{count(done.snapshots, 'commit')} imported{known}, {count(done.blobs, 'distinct content')}"
    )
    for problem in done.problems[:SHOWN_PROBLEMS]:
        session.out.warning(safe_line(problem.message))
    if len(done.problems) > SHOWN_PROBLEMS:
        session.out.warning(f"{len(done.problems) - SHOWN_PROBLEMS} more paths were left out")
    return EXIT_PROBLEMS if done.problems else EXIT_OK


@command(
    "export-git",
    examples=[
        "git init seen && casreplay export-git | git -C seen fast-import",
        "casreplay export-git @~50..@ --branch agent > agent.fi",
    ],
)
@click.argument("span", metavar="[A..B]", required=False)
@click.option(
    "--branch", default="casreplay", metavar="NAME", help="The branch to write (default: casreplay)."
)
@click.pass_obj
def export_git(session: Session, *, span: str | None, branch: str) -> int:
    """Write snapshots as a git fast-import stream to standard output.

    All of them, or those from A to B, both included. Empty folders, special files and
    names that git refuses are left out.
    """
    from casreplay.history.gitexport import GitExport  # noqa: PLC0415 - start-up speed

    repository = session.repository()
    if session.out.is_terminal:
        raise UsageError(
            "The stream is not for a terminal", hint="casreplay export-git | git -C DIR fast-import"
        )
    snapshots = list(repository.snapshots())[::-1]
    if span:
        first, dots, last = span.partition("..")
        if not dots:
            raise UsageError(f"{span!r} is not A..B")
        low, high = sorted(repository.snapshot(name or "@").sequence for name in (first, last))
        snapshots = [one for one in snapshots if low <= one.sequence <= high]
    full = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
    export = GitExport(repository.objects, full, repository.notes.label_of)
    session.out.raw(export.stream(snapshots))
    if export.left_out:
        session.out.warning(f"{count(export.left_out, 'path')} left out: git cannot hold them")
        return EXIT_PROBLEMS
    return EXIT_OK
