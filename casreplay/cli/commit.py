"""``commit`` and ``status``: take a snapshot, or say what one would record."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from casreplay.cli.options import command, json_option
from casreplay.cli.session import Session
from casreplay.cli.shapes import (
    change_fields,
    changes_line,
    counts_fields,
    coverage_fields,
    coverage_line,
    snapshot_fields,
    summary_fields,
)
from casreplay.cli.text import ago, clock_time, columns, duration, safe_line, size
from casreplay.model.changes import Change
from casreplay.model.ids import short
from casreplay.model.objects import Coverage, Snapshot

if TYPE_CHECKING:
    from casreplay.history.commit import CommitResult
    from casreplay.model.problems import Problem

__all__ = ["commit", "status"]


@command(
    "commit",
    examples=[
        "casreplay commit",
        'casreplay commit -m "before the refactoring" --tag good',
        "casreplay commit --session run-42 --json",
    ],
)
@click.option(
    "-m",
    "--message",
    "--label",
    "label",
    metavar="LABEL",
    default="",
    help="A label for people; further lines become a note.",
)
@click.option("--tag", "tags", metavar="T", multiple=True, help="A tag; may be repeated.")
@click.option("--session", "run_id", metavar="ID", default="", help="The agent's run this belongs to.")
@click.option("--agent", metavar="NAME", default="", help="The agent that changed the folder.")
@click.option(
    "--full",
    is_flag=True,
    help="List every folder, read every file again and read back what is stored, trusting no cache.",
)
@click.option("--respect-gitignore", is_flag=True, help="Leave out what .gitignore files leave out.")
@click.option("--force", is_flag=True, help="Make a first store even for / or the home folder.")
@json_option
@click.pass_obj
def commit(session: Session, /, **options: Any) -> None:
    """Take a snapshot of the folder.

    Prints the snapshot's id, what changed since the last one, what was stored and what could
    not be examined. When nothing changed and neither a label nor a tag is given, nothing is
    recorded. In a folder without a store, the store is made first.
    """
    from casreplay.cli.init import ensure_store  # noqa: PLC0415 - start-up speed
    from casreplay.history.commit import CommitOptions  # noqa: PLC0415 - start-up speed

    label, _, body = options["label"].partition("\n")
    texts = [text.strip() for text in (label, options["run_id"], options["agent"])]
    tags = tuple(dict.fromkeys(options["tags"]))
    _check_texts(texts, tags)
    ensure_store(session, force=options["force"])
    repository = session.repository(respect_gitignore=options["respect_gitignore"])
    wanted = CommitOptions(label=texts[0], tags=tags, session=texts[1], agent=texts[2], full=options["full"])
    with session.progress() as progress:
        result = repository.commit(wanted, monitor=progress)
    if result.recorded and body.strip():
        repository.notes.add_note(result.snapshot.id, body.strip())
    for problem in result.problems:
        session.out.warning(problem.message)
    if options["as_json"]:
        session.out.data(_commit_fields(session, result))
        return
    _print_result(session, result)
    if result.recorded and result.snapshot.parent is None and not session.out.quiet:
        _say_what_is_left_out(session)


def _check_texts(texts: Sequence[str], tags: Sequence[str]) -> None:
    """Refuse texts that cannot be names; a commit without any does not pay for the rules."""
    if any(texts) or tags:
        from casreplay.history.annotations import check_label, check_tag  # noqa: PLC0415 - start-up speed

        for text in texts:
            check_label(text)
        for tag in tags:
            check_tag(tag)


def _commit_fields(session: Session, result: CommitResult) -> dict[str, Any]:
    notes = session.repository().notes
    snapshot = result.snapshot
    fields = snapshot_fields(snapshot, notes.label_of(snapshot), notes.tags_of(snapshot))
    return {
        **fields,
        "changes": counts_fields(result.changes),
        "stored_bytes": result.stored_bytes,
        "elapsed_s": round(result.elapsed_ns / 1e9, 6),
        "recorded": result.recorded,
        "problems": _problems(result.problems),
    }


def _problems(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    if not problems:
        return []
    from casreplay.cli.health import problem_fields  # noqa: PLC0415 - a sound store needs none of it

    return list(map(problem_fields, problems))


def _print_result(session: Session, result: CommitResult) -> None:
    out, snapshot = session.out, result.snapshot
    if not result.recorded:
        if not out.quiet:
            out.line(f"Nothing changed since {short(snapshot.id)}; nothing was recorded")
            out.line(f"  {coverage_line(result.coverage)}")
        return
    name = out.style(short(snapshot.id), "yellow")
    if out.quiet:
        out.line(short(snapshot.id))
        return
    out.line(f"[{name}] {safe_line(snapshot.label) or '(no label)'}")
    stored = f"{size(result.stored_bytes)} stored in {duration(result.elapsed_ns)}"
    out.line(f"  {changes_line(result.changes)}; {stored}")
    out.line(f"  {coverage_line(result.coverage)}")


def _say_what_is_left_out(session: Session) -> None:
    """After a first commit: the rules that leave something out, and how each is turned off."""
    groups = session.repository().rules.describe()
    if not groups:
        return
    session.out.line("Left out by these rules (docs/config.md says how to turn each off):")
    rows = [
        (f"  {safe_line(group.name)}", safe_line(_patterns(group.patterns)), group.reason) for group in groups
    ]
    session.out.lines(columns(rows))


def _patterns(patterns: Sequence[str], limit: int = 4) -> str:
    shown = " ".join(patterns[:limit])
    return f"{shown} and {len(patterns) - limit} more" if len(patterns) > limit else shown


@command("status", examples=["casreplay status", "casreplay status --json"])
@click.option(
    "--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Paths to list; 0: all."
)
@json_option
@click.pass_obj
def status(session: Session, *, limit: int, as_json: bool) -> None:
    """What changed in the folder since the last snapshot.

    Exits 0 whether or not something changed; --json says which.
    """
    repository = session.repository()
    session.check_workspace()
    head = repository.head()
    with session.progress() as progress:
        changes, coverage = repository.status(monitor=progress)
    if as_json:
        session.out.data(_status_fields(session, head, changes, coverage))
        return
    _print_status(session, head, changes, limit)
    session.out.line(coverage_line(coverage))


def _status_fields(
    session: Session, head: Snapshot | None, changes: Sequence[Change], coverage: Coverage
) -> dict[str, Any]:
    notes, where = session.repository().notes, session.location()
    fields = snapshot_fields(head, notes.label_of(head), notes.tags_of(head)) if head is not None else None
    return {
        "workspace": safe_line(os.fsdecode(where.workspace)),
        "store": safe_line(os.fsdecode(where.store)),
        "head": fields,
        "clean": not changes,
        "changes": [change_fields(change) for change in changes],
        "summary": summary_fields(changes),
        "coverage": coverage_fields(coverage),
    }


def _print_status(session: Session, head: Snapshot | None, changes: Sequence[Change], limit: int) -> None:
    from casreplay.cli.diff_view import name_status_lines, summary_line  # noqa: PLC0415 - start-up speed

    out = session.out
    if head is None:
        out.line("No snapshot yet; take the first with: casreplay commit -m baseline")
        return
    label = safe_line(session.repository().notes.label_of(head))
    age = ago(head.time_ns, session.clock())
    out.line(f"Last snapshot: {short(head.id)} {label}".rstrip() + f", {clock_time(head.time_ns)} ({age})")
    if not changes:
        out.line("Nothing changed since then")
        return
    out.line(summary_line(changes))
    shown = changes[:limit] if limit else changes
    out.lines(f"  {line}" for line in name_status_lines(out, shown))
    if len(shown) < len(changes):
        out.line(f"  ... and {len(changes) - len(shown):,} more (--limit 0 shows all)")
