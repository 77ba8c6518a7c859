"""``restore``: bring files back from a snapshot, and say how to take that back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from casreplay.cli.options import command, json_option, paths_argument, snapshot_argument
from casreplay.cli.session import Session
from casreplay.cli.shapes import shown_path
from casreplay.cli.text import count, duration, safe, safe_line, size
from casreplay.clock import monotonic_ns
from casreplay.errors import EXIT_OK, EXIT_PROBLEMS, StoreIOError, UsageError
from casreplay.model.ids import short
from casreplay.model.objects import Snapshot

if TYPE_CHECKING:
    from casreplay.history.restore import Restored, RestoreOptions

__all__ = ["restore", "restored_fields", "undo_line"]

SHOWN = 20
NAMED = 3
"""Names that matter on other systems only, of which one line is enough."""
ELSEWHERE = "not-portable-elsewhere"


@command(
    "restore",
    examples=[
        "casreplay restore good --dry-run",
        "casreplay restore @~3 config src/main.py",
        "casreplay restore @{yesterday} --to ../yesterday",
    ],
)
@snapshot_argument("snapshot")
@paths_argument
@click.option(
    "--to", metavar="DIR", help="Write into DIR instead of the workspace; made if it does not exist."
)
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@click.option("--force", is_flag=True, help="Replace and remove even what no snapshot holds.")
@click.option(
    "--no-backup", is_flag=True, help="Take no safety snapshot first (needs --force to lose anything)."
)
@click.option("--allow-git", is_flag=True, help="Write entries named .git too.")
@json_option
@click.pass_obj
def restore(session: Session, /, *, snapshot: str, paths: tuple[str, ...], **options: Any) -> int:
    """Make the workspace hold exactly what SNAPSHOT holds; with PATHs only these and what is below.

    Files that came later are removed, what is left out by rules is not touched. First the folder as
    it is is recorded, so that the last line printed, one command, takes everything back; @ means
    that record from then on. Every file written is read again and compared. Exits 3 when something
    could not be restored; each such path is named.
    """
    started = monotonic_ns()
    session.needs_config = not paths and options["to"] is None
    repository = session.repository()
    target = session.snapshot(snapshot, with_path="casreplay restore @")
    wanted = tuple(_path(session, target, text) for text in paths)
    to = session.path(options["to"]) if options["to"] is not None else None
    if to is None:
        session.check_workspace(force=options["force"])
    with session.progress() as progress, _way_out(repository.store.folder, options):
        done = repository.restore(
            target, _options(wanted, options, progress), to=to, backup=not options["no_backup"]
        )
    if options["as_json"]:
        session.out.data(restored_fields(session, target, done, dry_run=options["dry_run"]))
    elif options["dry_run"]:
        _print_plan(session, target, done, to)
    else:
        _print_done(session, target, done, monotonic_ns() - started)
    return EXIT_PROBLEMS if done.failures else EXIT_OK


@contextmanager
def _way_out(store: str, options: dict[str, Any]) -> Iterator[None]:
    """Where the safety snapshot cannot be stored: say how to restore without one."""
    from casreplay.store.files import is_refused  # noqa: PLC0415 - start-up speed

    try:
        yield
    except StoreIOError as error:
        is_store = str(error.fields.get("file", "")).startswith(store)
        if options["no_backup"] or not is_store or not is_refused(error):
            raise
        hint = "restore --no-backup --force works without a safety snapshot; --to DIR writes elsewhere"
        raise StoreIOError(error.message, hint=f"{error.hint}\n{hint}", **error.fields) from error


def _options(paths: tuple[bytes, ...], options: dict[str, Any], progress: Any) -> RestoreOptions:
    from casreplay.history.restore import RestoreOptions  # noqa: PLC0415 - start-up speed

    return RestoreOptions(
        paths=paths,
        dry_run=options["dry_run"],
        force=options["force"],
        allow_git=options["allow_git"],
        monitor=progress,
    )


def _path(session: Session, snapshot: Snapshot, text: str) -> bytes:
    """A path argument: relative to the current folder, or to the workspace when only that is known."""
    from casreplay.model.paths import from_display  # noqa: PLC0415 - start-up speed

    if not text:  # as a shell gives a variable that was never set: everything is not what was meant
        raise UsageError("An empty path names nothing", hint="Everything is: casreplay restore SNAPSHOT")
    path = session.workspace_path(text)
    if not path or session.repository().entry(snapshot, path) is not None:
        return path
    other = from_display(text).strip(b"/")
    return other if session.repository().entry(snapshot, other) is not None else path


def undo_line(session: Session, done: Restored) -> str:
    """The one command that takes the restore back, as it must be typed here."""
    from shlex import join  # noqa: PLC0415 - start-up speed

    where, prefix = session.location(), ["casreplay"]
    if session.cwd != where.workspace:
        prefix += ["-C", os.fsdecode(where.workspace)]
    if where.source == "--store":
        prefix += ["--store", os.fsdecode(where.store)]
    return safe_line(join([*prefix, *done.undo]))


def restored_fields(session: Session, target: Snapshot, done: Restored, *, dry_run: bool) -> dict[str, Any]:
    """The JSON of a restore."""
    plan = done.plan
    return {
        "snapshot": target.id.hex(),
        "dry_run": dry_run,
        "created": plan.created,
        "overwritten": [shown_path(path) for path in plan.overwritten],
        "removed": [shown_path(path) for path in plan.removed],
        "retouched": plan.retouched,
        "unchanged": plan.unchanged,
        "written_bytes": plan.size_bytes if dry_run else done.applied.written_bytes,
        "backup": done.backup.id.hex() if done.backup is not None else None,
        "undo": undo_line(session, done) if done.undo else None,
        "problems": [{"code": one.code, "path": one.path, "message": one.message} for one in done.problems],
    }


def _print_plan(session: Session, target: Snapshot, done: Restored, to: bytes | None) -> None:
    out, plan = session.out, done.plan
    where = safe_line(os.fsdecode(to)) if to is not None else "the workspace"
    created = [
        (folder.path + b"/" if folder.path else b"") + work.name
        for folder in plan.folders
        for work in (*folder.files, *folder.links)
        if work.before is None
    ]
    created += [folder.path + b"/" for folder in plan.folders if folder.is_new]
    for letter, color, paths in (
        ("+", "green", sorted(created)),
        ("~", "yellow", plan.overwritten),
        ("-", "red", plan.removed),
    ):
        out.lines(out.style(f"{letter} {shown_path(path)}", color) for path in paths)
    _print_problems(session, done)
    out.line(
        f"Would bring {where} to {short(target.id)}: {_numbers(done)}, "
        f"{size(plan.size_bytes)} written. Nothing was changed"
    )


def _numbers(done: Restored) -> str:
    plan = done.plan
    parts = [
        f"{plan.created:,} created",
        f"{len(plan.overwritten):,} replaced",
        f"{len(plan.removed):,} removed",
    ]
    if plan.retouched:
        parts.append(f"{plan.retouched:,} given their mode or time")
    return ", ".join(parts)


def _print_done(session: Session, target: Snapshot, done: Restored, elapsed_ns: int) -> None:
    out = session.out
    _print_problems(session, done)
    if done.plan.is_empty and not done.failures:
        out.confirm(f"Everything is as in {short(target.id)} already")
        return
    took = duration(elapsed_ns)
    if done.failures:
        did = f"{done.applied.files:,} written, {done.applied.removed:,} removed"
        but = count(len(done.failures), "path")
        out.line(f"Restored {short(target.id)} except for {but}: {did} in {took}")
    else:
        out.confirm(f"Restored {short(target.id)}: {_numbers(done)}; checked in {took}")
    if done.backup is not None:
        out.confirm(f"Safety snapshot: {short(done.backup.id)}. To take this back:")
        out.confirm(f"  {undo_line(session, done)}")


def _print_problems(session: Session, done: Restored) -> None:
    """What could not be restored, and what only should be known; at most ``SHOWN`` of each."""
    failures = {id(one) for one in done.failures}
    others = [one for one in done.problems if id(one) not in failures]
    names = [one.path for one in others if one.code == ELSEWHERE and one.path]
    if names and not done.plan.is_empty:
        shown = ", ".join(safe(name) for name in names[:NAMED])
        more = " and more (--json lists them)" if len(names) > NAMED else ""
        session.out.note(f"Windows could not hold these names: {shown}{more}")
    for group, styles in (
        ([one for one in done.problems if id(one) in failures], ("red",)),
        ([one for one in others if one.code != ELSEWHERE], ("dim",)),
    ):
        for one in group[:SHOWN]:
            session.out.line(session.out.style(f"! {safe(one.message)}", *styles))
        if len(group) > SHOWN:
            session.out.line(f"! ... and {len(group) - SHOWN:,} more (--json lists all)")
