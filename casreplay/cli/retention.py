"""``prune`` and ``gc``: which snapshots stay, by rules, and freeing the space of the others."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import click

from casreplay.cli.options import command, json_option
from casreplay.cli.session import Session
from casreplay.cli.text import clock_time, columns, count, duration, iso_time, safe_line, size
from casreplay.clock import monotonic_ns
from casreplay.model.ids import SnapshotId, short

if TYPE_CHECKING:
    from casreplay.history.gc import GcPlan, GcResult
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

    A snapshot that any rule keeps stays; so do the newest one, those an open incident needs (pinned)
    and those that an open bisect start names (bisect): its ends and every one judged.
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


def _pinned(session: Session) -> dict[SnapshotId, str]:
    """Snapshots that open incidents and an open search by hand need, with the reason in a word."""
    names = dict.fromkeys(_searched(session), "bisect") | dict.fromkeys(_of_incidents(session), "pinned")
    return {SnapshotId(bytes.fromhex(one)): reason for one, reason in names.items()}


def _searched(session: Session) -> frozenset[str]:
    """Snapshots that the search by hand under way names; a log that cannot be read is an error."""
    from casreplay.history.bisect_state import HAND_LOG, decode_state  # noqa: PLC0415 - start-up speed

    data = session.repository().store.read_cache(HAND_LOG)
    if not data:
        return frozenset()
    state = decode_state(data)
    return frozenset() if state.over else state.named()


def _of_incidents(session: Session) -> Collection[str]:
    path = os.path.join(session.location().store, b"incidents.db")
    if not os.path.exists(path):
        return frozenset()
    from casreplay.incidents.database import IncidentDatabase  # noqa: PLC0415 - loads SQLite

    with IncidentDatabase(os.fsdecode(path), clock=session.clock) as incidents:
        return incidents.pinned()


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


@command(
    "gc",
    examples=["casreplay gc --dry-run", "casreplay gc", "casreplay gc --grace 0 --max-dead 0"],
)
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be freed; change nothing.")
@click.option(
    "--grace",
    metavar="D",
    default="10m",
    show_default=True,
    help="Keep what unfinished commits wrote in the last D.",
)
@click.option(
    "--max-dead",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    default=20,
    show_default=True,
    help="Write a segment anew when more than PERCENT of it is not needed.",
)
@json_option
@click.pass_obj
def gc(session: Session, /, *, dry_run: bool, grace: str, max_dead: int, as_json: bool) -> None:
    """Free the space of objects that no snapshot needs.

    Refused while another process writes to the store. Segments that hold little of use are
    written anew, the rest stays as it is. What a commit wrote that was killed is kept for ten
    minutes, in case the file system's locks lie and the commit still runs; --grace 0 does not
    wait. The answer says what is not needed and stays, and until when.
    """
    from casreplay.history.gc import GcResult, GcRules, collect, preview  # noqa: PLC0415 - start-up speed
    from casreplay.history.times import parse_duration  # noqa: PLC0415 - start-up speed

    rules = GcRules(max_dead_share=max_dead / 100, grace_ns=0 if grace == "0" else parse_duration(grace))
    repository, started = session.repository(), monotonic_ns()
    with session.progress() as progress:
        progress.stage("looking for what is needed")
        roots = [one.root for one in repository.snapshots()]
        if dry_run:
            result = GcResult(preview(repository.store, roots, clock=session.clock, rules=rules), 0, 0)
        else:
            result = collect(repository.store, roots, clock=session.clock, rules=rules)
    if as_json:
        session.out.data(_gc_fields(result, dry_run=dry_run, elapsed_ns=monotonic_ns() - started))
        return
    done = result.plan
    needed = f"{size(done.live_bytes)} are needed, {size(done.dead_bytes)} are not"
    if dry_run:
        session.out.line(f"Would free {size(done.freed_bytes)} ({needed}). Nothing was changed")
    else:
        freed = result.removed_bytes - result.copied_bytes
        session.out.confirm(f"Freed {size(freed)} in {duration(monotonic_ns() - started)} ({needed})")
    for line in _what_stays(done):
        session.out.confirm(f"  {line}")


def _what_stays(done: GcPlan) -> Iterator[str]:
    """Why bytes that nothing needs are still there, until when, and how they go now."""
    if done.unfinished_bytes:
        yield (
            f"{size(done.unfinished_bytes)} are what a commit wrote that did not finish; they stay until"
            f" {clock_time(done.ripe_ns)}, should it still run. To free them now: casreplay gc --grace 0"
        )
    if done.spared_bytes > 0:
        yield (
            f"{size(done.spared_bytes)} lie among much that is needed and stay."
            " To write that anew without them: casreplay gc --max-dead 0"
        )


def _gc_fields(result: GcResult, *, dry_run: bool, elapsed_ns: int) -> dict[str, Any]:
    done = result.plan
    return {
        "dry_run": dry_run,
        "live_bytes": done.live_bytes,
        "dead_bytes": done.dead_bytes,
        "freed_bytes": done.freed_bytes,
        "unfinished_bytes": done.unfinished_bytes,
        "unfinished_until": iso_time(done.ripe_ns) if done.unfinished_bytes else None,
        "spared_bytes": done.spared_bytes,
        "removed_bytes": result.removed_bytes,
        "copied_bytes": result.copied_bytes,
        "segments": {
            "dropped": len(done.drop),
            "rewritten": len(done.rewrite),
            "kept": len(done.keep),
        },
        "elapsed_s": round(elapsed_ns / 1e9, 6),
    }
