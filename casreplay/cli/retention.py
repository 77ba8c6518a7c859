"""``prune`` and ``gc``: which snapshots stay, by rules, and freeing the space of the others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from casreplay.cli.options import command, json_option
from casreplay.cli.session import Session
from casreplay.cli.text import clock_time, columns, count, duration, iso_time, safe_line, size
from casreplay.clock import monotonic_ns
from casreplay.model.ids import SnapshotId, short

if TYPE_CHECKING:
    from casreplay.history.retention import KeepRules, RetentionPlan

__all__ = ["gc", "prune"]

_KEEP = {
    "last": "the newest N snapshots",
    "hourly": "the newest of each of the last N hours that have one",
    "daily": "the newest of each of the last N days that have one",
    "weekly": "the newest of each of the last N weeks that have one",
    "monthly": "the newest of each of the last N months that have one",
    "yearly": "the newest of each of the last N years that have one",
}


def _keep_options(function: Any) -> Any:
    for name, meaning in reversed(_KEEP.items()):
        function = click.option(
            f"--keep-{name}",
            type=click.IntRange(min=-1),
            default=0,
            metavar="N",
            help=f"Keep {meaning}; -1: all of them.",
        )(function)
    return function


@command(
    "prune",
    examples=[
        "casreplay prune --keep-last 100 --keep-hourly 48 --keep-daily 30 --dry-run",
        "casreplay prune --keep-within 14d --keep-monthly 12 --keep-tag good",
    ],
)
@_keep_options
@click.option("--keep-tag", metavar="T", multiple=True, help="Keep snapshots with this tag; may be repeated.")
@click.option(
    "--keep-within", metavar="D", help="Keep what is at most D older than the newest: 36h, 14d, 6 months."
)
@click.option(
    "-n", "--dry-run", is_flag=True, help="Say what would go, and why the rest stays; change nothing."
)
@json_option
@click.pass_obj
def prune(session: Session, /, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Drop snapshots that no rule keeps.

    A snapshot that any rule keeps stays; so do the newest one and those an open incident needs.
    Their space is freed by casreplay gc. Without a rule, MAX_SNAPSHOTS of the configuration counts;
    without that, nothing is done and the call is refused.
    """
    repository = session.repository()
    from casreplay.history.retention import plan as plan_prune  # noqa: PLC0415 - start-up speed

    plan = plan_prune(
        repository.snapshots(),
        _rules(session, options),
        zone=None,
        tags_of=repository.notes.tags_of,
        pinned=_pinned(session),
    )
    if plan.removed and not dry_run:
        repository.log.remove([one.id for one in plan.removed], "prune")
    if as_json:
        session.out.data(_fields(session, plan, dry_run=dry_run))
        return
    _print(session, plan, dry_run=dry_run)


def _pinned(session: Session) -> frozenset[SnapshotId]:
    """Snapshots that open incidents need."""
    path = os.path.join(session.location().store, b"incidents.db")
    if not os.path.exists(path):
        return frozenset()
    from casreplay.incidents.database import IncidentDatabase  # noqa: PLC0415 - loads SQLite

    with IncidentDatabase(os.fsdecode(path), clock=session.clock) as incidents:
        return frozenset(SnapshotId(bytes.fromhex(one)) for one in incidents.pinned())


def _rules(session: Session, options: dict[str, Any]) -> KeepRules:
    from casreplay.history.retention import KeepRules  # noqa: PLC0415 - start-up speed
    from casreplay.history.times import parse_duration  # noqa: PLC0415 - start-up speed

    within = options["keep_within"]
    rules = KeepRules(
        **{name: options[f"keep_{name}"] for name in _KEEP},
        tags=tuple(options["keep_tag"]),
        within_ns=parse_duration(within) if within else None,
    )
    most = session.repository().config.max_snapshots
    return KeepRules(last=most) if rules.is_empty and most else rules


def _fields(session: Session, plan: RetentionPlan, *, dry_run: bool) -> dict[str, Any]:
    def row(snapshot: Any) -> dict[str, Any]:
        label = session.repository().notes.label_of(snapshot)
        return {"id": snapshot.id.hex(), "time": iso_time(snapshot.time_ns), "label": label}

    return {
        "dry_run": dry_run,
        "kept": [{**row(one.snapshot), "reasons": list(one.reasons)} for one in plan.kept],
        "removed": [row(one) for one in plan.removed],
    }


def _print(session: Session, plan: RetentionPlan, *, dry_run: bool) -> None:
    out, notes = session.out, session.repository().notes
    if dry_run:
        rows = [
            (f"keep    {short(one.snapshot.id)}", clock_time(one.snapshot.time_ns), ", ".join(one.reasons))
            for one in plan.kept
        ]
        rows += [
            (f"remove  {short(one.id)}", clock_time(one.time_ns), safe_line(notes.label_of(one)))
            for one in plan.removed
        ]
        out.lines(columns(rows))
    went = count(len(plan.removed), "snapshot")
    stay = f"{len(plan.kept):,} stay"
    if dry_run:
        out.line(f"Would remove {went}; {stay}. Nothing was changed")
    elif plan.removed:
        out.confirm(f"Removed {went} from history; {stay}. Free their space with: casreplay gc")
    else:
        out.confirm(f"Every snapshot is kept by a rule; {stay}")


@command("gc", examples=["casreplay gc --dry-run", "casreplay gc"])
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be freed; change nothing.")
@json_option
@click.pass_obj
def gc(session: Session, *, dry_run: bool, as_json: bool) -> None:
    """Free the space of objects that no snapshot needs.

    Refused while another process writes to the store. Segments that hold little of use are
    written anew, the rest stays as it is.
    """
    from casreplay.history.gc import GcResult, GcRules, collect, measure, plan  # noqa: PLC0415 - start-up speed

    repository, started = session.repository(), monotonic_ns()
    with session.progress() as progress:
        progress.stage("looking for what is needed")
        roots = [one.root for one in repository.snapshots()]
        if dry_run:
            uses, _ = measure(repository.store, roots)
            result = GcResult(plan(uses, GcRules(), now_ns=session.clock()), 0, 0)
        else:
            result = collect(repository.store, roots, clock=session.clock)
    plan_made = result.plan
    if as_json:
        fields = {
            "dry_run": dry_run,
            "live_bytes": plan_made.live_bytes,
            "dead_bytes": plan_made.dead_bytes,
            "freed_bytes": plan_made.freed_bytes,
            "removed_bytes": result.removed_bytes,
            "copied_bytes": result.copied_bytes,
            "segments": {
                "dropped": len(plan_made.drop),
                "rewritten": len(plan_made.rewrite),
                "kept": len(plan_made.keep),
            },
            "elapsed_s": round((monotonic_ns() - started) / 1e9, 6),
        }
        session.out.data(fields)
        return
    needed = f"{size(plan_made.live_bytes)} are needed, {size(plan_made.dead_bytes)} are not"
    if dry_run:
        session.out.line(f"Would free {size(plan_made.freed_bytes)} ({needed}). Nothing was changed")
        return
    freed = result.removed_bytes - result.copied_bytes
    session.out.confirm(f"Freed {size(freed)} in {duration(monotonic_ns() - started)} ({needed})")
