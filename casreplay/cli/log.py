"""``log`` and ``show``: the snapshots, and one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from casreplay.cli.options import command, json_option, snapshot_argument
from casreplay.cli.session import Session
from casreplay.cli.shapes import changes_line, coverage_line, snapshot_fields
from casreplay.cli.text import ago, clock_time, safe, safe_line
from casreplay.model.ids import short
from casreplay.model.objects import GitState, Snapshot

__all__ = ["log", "show"]


@command(
    "log",
    examples=[
        "casreplay log --oneline -n 20",
        "casreplay log --stat --since 2h",
        "casreplay log config/settings.json     # only snapshots that changed it",
        "casreplay log --json",
    ],
)
@click.argument("path", required=False, metavar="[PATH]")
@click.option(
    "-n", "--max-count", "limit", type=click.IntRange(min=0), metavar="N", help="At most N snapshots."
)
@click.option("--since", metavar="T", help="Only snapshots from then on: 2h, yesterday, 2026-11-20 10:00.")
@click.option("--oneline", is_flag=True, help="One line for each snapshot.")
@click.option("--stat", is_flag=True, help="Say how much each snapshot changed.")
@json_option
@click.pass_obj
def log(
    session: Session, /, *, path: str | None, limit: int | None, since: str | None, **options: Any
) -> None:
    """List snapshots, newest first.

    With PATH only those that changed it, or something in it when it is a folder.
    """
    snapshots = _select(session, path, limit, since)
    if options["as_json"]:
        repository = session.repository()
        session.out.data_rows(
            snapshot_fields(one, repository.notes.label_of(one), repository.notes.tags_of(one))
            for one in snapshots
        )
        return
    empty = True
    for one in snapshots:
        if options["oneline"]:
            session.out.line(_oneline(session, one))
        else:
            session.out.lines(([] if empty else [""]) + _paragraph(session, one))
        if options["stat"]:
            session.out.line(_stat(session, one))
        empty = False
    if empty and path is None and since is None and limit != 0:
        session.out.note("No snapshots yet; take one with: casreplay commit")
    elif empty and path is not None and limit != 0:
        session.out.note(f"No snapshot{' since then' if since else ''} changed {safe_line(path)}")


def _select(session: Session, path: str | None, limit: int | None, since: str | None) -> Iterator[Snapshot]:
    repository = session.repository()
    since_ns = session.since(since or None)
    if path is None:
        return repository.snapshots(limit=limit, since_ns=since_ns)
    wanted = session.workspace_path(path)
    return repository.snapshots_of([wanted], limit=limit, since_ns=since_ns)


def _names(session: Session, snapshot: Snapshot) -> str:
    tags = session.repository().notes.tags_of(snapshot)
    return session.out.style(f"({', '.join(safe_line(name) for name in tags)})", "cyan") if tags else ""


def _oneline(session: Session, snapshot: Snapshot) -> str:
    parts = [
        session.out.style(short(snapshot.id), "yellow"),
        clock_time(snapshot.time_ns),
        _names(session, snapshot),
        safe_line(session.repository().notes.label_of(snapshot)),
    ]
    return " ".join(part for part in parts if part)


def _paragraph(session: Session, snapshot: Snapshot) -> list[str]:
    head = f"snapshot {snapshot.id.hex()}"
    lines = [f"{session.out.style(head, 'yellow')} {_names(session, snapshot)}".rstrip()]
    lines.append(f"Time:    {clock_time(snapshot.time_ns)} ({ago(snapshot.time_ns, session.clock())})")
    if snapshot.session:
        lines.append(f"Session: {safe_line(snapshot.session)}")
    if snapshot.agent:
        lines.append(f"Agent:   {safe_line(snapshot.agent)}")
    if not snapshot.coverage.is_complete:
        lines.append(f"Held:    {coverage_line(snapshot.coverage)}")
    label = session.repository().notes.label_of(snapshot)
    if label:
        lines += ["", *(f"    {line}" for line in safe(label).split("\n"))]
    return lines


def _stat(session: Session, snapshot: Snapshot) -> str:
    return f"    {changes_line(session.repository().counts(snapshot))}"


@command(
    "show",
    examples=["casreplay show", "casreplay show good --json", "casreplay show @~2:config/settings.json"],
)
@snapshot_argument("name", required=False, default="@")
@json_option
@click.pass_obj
def show(session: Session, *, name: str, as_json: bool) -> None:
    """Show a snapshot and what it changed; with SNAP:PATH print that file, or list that folder."""
    from casreplay.cli.contents import print_path, split_place  # noqa: PLC0415 - start-up speed

    snapshot_name, path = split_place(name)
    repository = session.repository()
    if path is not None:
        print_path(session, snapshot_name, path, as_json=as_json)
        return
    snapshot = repository.snapshot(snapshot_name)
    if as_json:
        label, tags = repository.notes.label_of(snapshot), repository.notes.tags_of(snapshot)
        session.out.data(snapshot_fields(snapshot, label, tags))
        return
    session.out.lines(_paragraph(session, snapshot))
    session.out.lines(_facts(session, snapshot))
    from casreplay.cli.diff_view import name_status_lines  # noqa: PLC0415 - start-up speed

    parent = repository.parent(snapshot)
    session.out.line()
    if parent is None:
        session.out.line(f"The first snapshot; casreplay ls -r {short(snapshot.id)} lists what it holds")
        return
    session.out.lines(name_status_lines(session.out, repository.diff(parent, snapshot)))


def _facts(session: Session, snapshot: Snapshot) -> list[str]:
    lines = [
        "",
        f"Number:  {snapshot.sequence}",
        f"Parent:  {short(snapshot.parent) if snapshot.parent else 'none (the first)'}",
        f"Tree:    {snapshot.tree.hex()}",
        f"Holds:   {coverage_line(snapshot.coverage)}",
    ]
    if snapshot.git is not None:
        lines.append(f"Git:     {_git_line(snapshot.git)}")
    notes = session.repository().notes.notes_of(snapshot)
    return lines + [f"Note:    {clock_time(one.time_ns)}  {safe_line(one.text)}" for one in notes]


def _git_line(git: GitState) -> str:
    """Commit and branch; a branch without a commit, and a HEAD that cannot be read, have none to show."""
    if not git.head:
        return f"no commit yet ({safe_line(git.branch)})" if git.branch else "HEAD could not be read"
    return f"{safe_line(git.head)} ({safe_line(git.branch) or 'detached'})"
