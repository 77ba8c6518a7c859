"""``fsck`` and ``repair``: is the store sound, and writing anew what can be rebuilt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from casreplay.cli.options import command, json_option
from casreplay.cli.session import Session
from casreplay.cli.text import count, duration, safe, size
from casreplay.clock import monotonic_ns
from casreplay.errors import EXIT_CORRUPT, EXIT_OK, EXIT_PROBLEMS, UsageError
from casreplay.model.problems import Problem

if TYPE_CHECKING:
    from casreplay.history.verify import FsckReport

__all__ = ["fsck", "problem_fields", "repair"]

SHOWN = 50
NAMED = 3
"""Names that other systems cannot hold that ``fsck`` writes out."""


@command("fsck", examples=["casreplay fsck", "casreplay fsck --data", "casreplay fsck --data --json"])
@click.option("--data", is_flag=True, help="Read back every object and compare it with its id.")
@click.option("--portable", is_flag=True, help="Report names that other systems cannot hold, too.")
@click.option("--allow-git", is_flag=True, help="Entries named .git are there on purpose.")
@json_option
@click.pass_obj
def fsck(session: Session, *, data: bool, portable: bool, allow_git: bool, as_json: bool) -> int:
    """Check the store for damage; changes nothing.

    Without --data: the log's chain, the index, every tree, and that every content is there. With it,
    and where a segment has lost something, also every byte. Each finding names the snapshots and
    paths that lose something; those not named are whole. Names that only some systems can hold
    (Windows, say) are counted in one line with the first three; --json lists all. Exits 0 when all
    is sound, 13 when something is damaged.
    """
    from casreplay.history.check_trees import NameRules  # noqa: PLC0415 - start-up speed
    from casreplay.history.verify import fsck as check_store  # noqa: PLC0415 - start-up speed

    started, store = monotonic_ns(), session.repository().store
    with session.progress() as progress:
        rules = NameRules(portable=portable, allow_git=allow_git)
        report = check_store(store, data=data, names=rules, monitor=progress)
    elapsed_ns = monotonic_ns() - started
    if as_json:
        session.out.data(_report_fields(report, elapsed_ns=elapsed_ns))
    else:
        _print_report(session, report, elapsed_ns=elapsed_ns)
    return EXIT_OK if report.is_clean else EXIT_CORRUPT


def problem_fields(problem: Problem) -> dict[str, Any]:
    """A problem as JSON."""
    return {
        "code": problem.code,
        "message": problem.message,
        "path": problem.path,
        "object": problem.object,
        "snapshots": list(problem.snapshots),
    }


def _report_fields(report: FsckReport, *, elapsed_ns: int) -> dict[str, Any]:
    return {
        "clean": report.is_clean,
        "data": report.has_read,
        "problems": [problem_fields(one) for one in report.problems],
        "notes": [problem_fields(one) for one in report.notes],
        "snapshots": report.snapshots,
        "trees": report.trees,
        "blobs": report.blobs,
        "records": report.records,
        "data_bytes": report.data_bytes,
        "elapsed_s": round(elapsed_ns / 1e9, 6),
    }


def _print_report(session: Session, report: FsckReport, *, elapsed_ns: int) -> None:
    out = session.out
    out.lines(_lines(report.problems, out.style("damaged:", "red", "bold")))
    if not out.quiet:
        out.lines(_note_lines(report.notes))
    looked = ", ".join(
        (
            count(report.snapshots, "snapshot"),
            count(report.trees, "tree"),
            count(report.blobs, "blob"),
            count(report.records, "record"),
        )
    )
    looked += (
        f", {size(report.data_bytes)} read and hashed"
        if report.has_read
        else "; contents not read (--data does)"
    )
    if report.is_clean:
        out.confirm(f"The store is sound: {looked}, in {duration(elapsed_ns)}")
        return
    hurt = {snapshot for one in report.problems for snapshot in one.snapshots}
    out.line(
        f"{count(len(report.problems), 'finding')}; {len(hurt):,} of {count(report.snapshots, 'snapshot')} "
        f"lose something ({looked}, in {duration(elapsed_ns)})"
    )


def _note_lines(notes: Sequence[Problem]) -> list[str]:
    """Notes one by one, but names that are a matter of other systems in one line when they are many."""
    names = [one for one in notes if one.code == "not-portable"]
    if len(names) <= NAMED:
        return _lines(notes, "note:")
    shown = ", ".join(safe(one.path) for one in names[:NAMED])
    rest = f"and {len(names) - NAMED:,} more (--json lists all)"
    line = f"note: {len(names):,} names are not for every system, among them Windows: {shown} {rest}"
    return [*_lines([one for one in notes if one.code != "not-portable"], "note:"), line]


def _lines(problems: Sequence[Problem], label: str) -> list[str]:
    lines = [f"{label} {safe(one.message)}" for one in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"... and {len(problems) - SHOWN:,} more (--json lists all)")
    return lines


@command("repair", examples=["casreplay repair --rebuild-index"])
@click.option("--rebuild-index", is_flag=True, help="Write index and caches anew from what they index.")
@json_option
@click.pass_obj
def repair(session: Session, *, rebuild_index: bool, as_json: bool) -> int:
    """Write anew what can be rebuilt: the index and the caches. Never deletes data.

    Damaged objects stay as they are: they are evidence, and fsck says what they cost. What the
    folder still holds of them, casreplay commit --full stores again. Exits 3 when a damaged
    snapshot kept something from being rebuilt.
    """
    from casreplay.history.verify import repair_index  # noqa: PLC0415 - start-up speed

    if not rebuild_index:
        raise UsageError("Say what to repair", hint="casreplay repair --rebuild-index")
    with session.progress() as progress:
        done = repair_index(session.repository().store, monitor=progress)
    for problem in done.problems:
        session.out.warning(problem.message)
    if as_json:
        problems = [problem_fields(one) for one in done.problems]
        session.out.data({"objects": done.objects, "snapshots": done.snapshots, "problems": problems})
    else:
        paths = "" if done.problems else f", paths of {count(done.snapshots, 'snapshot')}"
        session.out.confirm(f"Wrote the index anew: {count(done.objects, 'object')}{paths}")
    return EXIT_PROBLEMS if done.problems else EXIT_OK
