"""``purge``: erase contents from the whole history, for instance a leaked secret."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from casreplay.cli.options import command, json_option
from casreplay.cli.session import Session
from casreplay.cli.shapes import shown_path
from casreplay.cli.text import count, size
from casreplay.errors import UnknownNameError, UsageError
from casreplay.model.ids import BlobId
from casreplay.model.objects import Snapshot
from casreplay.model.paths import to_json

if TYPE_CHECKING:
    from casreplay.history.purge import PurgePlan, PurgeResult

__all__ = ["purge"]

SHOWN = 20


@command(
    "purge",
    examples=[
        "casreplay purge config/secrets.env --dry-run",
        'casreplay purge config/secrets.env --reason "key of the test account leaked"',
        "casreplay purge --blob 3f2a9c81d0e4",
    ],
)
@click.argument("path", required=False)
@click.option("--blob", "blobs", metavar="ID", multiple=True, help="Erase this content; may be repeated.")
@click.option(
    "--reason", metavar="TEXT", default="", help="Kept in the log for ever; must not hold the secret."
)
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be erased; change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask (on a terminal purge asks first).")
@json_option
@click.pass_obj
def purge(session: Session, /, *, path: str | None, blobs: tuple[str, ...], **options: Any) -> None:
    """Erase from all history every content that was ever at PATH, or the contents named by --blob.

    This cannot be undone. Snapshots stay and verify; the log says what was erased, when and why, and
    reading it says so. The same bytes under another name go too; other versions of a secret in other
    files do not, and a file still in the workspace is recorded again by the next commit.
    """
    from casreplay.history import purge as purging  # noqa: PLC0415 - start-up speed

    if (path is None) == (not blobs):
        raise UsageError("Say a path or --blob ID", hint="casreplay purge PATH, or casreplay purge --blob ID")
    repository = session.repository()
    snapshots = list(repository.snapshots())
    if path is not None:
        wanted = _at_path(session, snapshots, path)
    else:
        wanted = {purging.blob_called(repository.store, name) for name in blobs}
    plan = purging.plan_purge(repository.store, snapshots, wanted)
    if not options["as_json"]:
        _print_plan(session, plan)
    result = None
    if not options["dry_run"]:
        _ask(session, plan, options)
        roots = [one.root for one in snapshots]
        result = purging.purge(repository.store, plan, roots, clock=session.clock, reason=options["reason"])
    if options["as_json"]:
        session.out.data(_fields(plan, result))
    elif result is None:
        session.out.line("Nothing was changed")
    else:
        session.out.confirm(f"Erased {count(result.objects, 'object')}")
        session.out.confirm("Copies of the store elsewhere still hold them")


def _at_path(session: Session, snapshots: list[Snapshot], text: str) -> set[BlobId]:
    """Contents ever at a path below the current folder, or below the workspace when only that is known."""
    from casreplay.history.purge import blobs_at  # noqa: PLC0415 - start-up speed
    from casreplay.model.paths import from_display  # noqa: PLC0415 - start-up speed

    store = session.repository().store
    path, other = session.workspace_path(text), from_display(text).strip(b"/")
    try:
        found = blobs_at(store, snapshots, path)
    except UnknownNameError:
        if other == path:
            raise
        found = blobs_at(store, snapshots, other)
    return {blob for blob in found if store.has(blob)}


def _print_plan(session: Session, plan: PurgePlan) -> None:
    out = session.out
    if not plan.blobs:
        return
    contents = count(len(plan.blobs), "content")
    where = count(len(plan.snapshots), "snapshot")
    out.line(f"{contents}, {size(plan.raw_bytes)}, in {where}, at:")
    out.lines(f"  {shown_path(path)}" for path in plan.paths[:SHOWN])
    if len(plan.paths) > SHOWN:
        out.line(f"  ... and {len(plan.paths) - SHOWN:,} more (--json lists all)")
    if plan.shared_chunks:
        shared = count(plan.shared_chunks, "piece")
        out.warning(f"{shared} of these contents stay, because other contents hold the same bytes")


def _ask(session: Session, plan: PurgePlan, options: dict[str, Any]) -> None:
    if not plan.blobs:
        raise UnknownNameError(
            "There is nothing left to erase there",
            hint="It may have been purged before; what is empty is never erased",
        )
    if options["yes"] or not sys.stdin.isatty() or not session.out.is_terminal:
        return
    click.confirm("Erase this for ever?", abort=True)


def _fields(plan: PurgePlan, result: PurgeResult | None) -> dict[str, Any]:
    return {
        "dry_run": result is None,
        "blobs": [blob.hex() for blob in plan.blobs],
        "paths": [to_json(path) for path in plan.paths],
        "snapshots": [one.id.hex() for one in plan.snapshots],
        "raw_bytes": plan.raw_bytes,
        "shared_chunks": plan.shared_chunks,
        "objects": result.objects if result is not None else 0,
        "removed_bytes": result.removed_bytes if result is not None else 0,
        "copied_bytes": result.copied_bytes if result is not None else 0,
    }
