"""``find``: in which snapshots there were files of a name."""

from __future__ import annotations

from typing import Any

import click

from casreplay.cli.options import command, json_option
from casreplay.cli.session import Session
from casreplay.cli.text import clock_time, columns, iso_time
from casreplay.errors import CorruptError
from casreplay.model.ids import short
from casreplay.model.objects import Snapshot
from casreplay.model.paths import display, from_display, to_json

__all__ = ["find"]


@command(
    "find",
    examples=[
        "casreplay find settings.json",
        'casreplay find "data/archive/*.csv"',
        'casreplay find "**/*.py" --json',
    ],
)
@click.argument("pattern")
@json_option
@click.pass_obj
def find(session: Session, *, pattern: str, as_json: bool) -> int:
    """Which snapshots hold paths that fit PATTERN.

    A pattern without a slash fits names in any folder; with one it fits whole paths; * stops at
    a slash, ** does not. Each line says from which snapshot to which a path was there. Exits 1 when
    nothing fits.
    """
    repository = session.repository()
    intervals = repository.paths_index.find(from_display(pattern))
    wanted = {number for one in intervals for number in (one.first, one.last)}
    by_number = (
        {one.sequence: one for one in repository.snapshots() if one.sequence in wanted} if wanted else {}
    )
    for number in sorted(wanted - by_number.keys()):
        raise CorruptError(f"The log's record of snapshot {number} is damaged", sequence=number)
    newest = repository.head()
    last = newest.sequence if newest is not None else 0
    if as_json:
        matches = [
            {**to_json(one.path), "first": _end(by_number[one.first]), "last": _end(by_number[one.last])}
            | {"still_there": one.last == last}
            for one in intervals
        ]
        session.out.data({"pattern": pattern, "matches": matches})
        return 0 if matches else 1
    rows = []
    for one in intervals:
        first, end = by_number[one.first], by_number[one.last]
        until = (
            "still there" if one.last == last else f"gone after {short(end.id)}  {clock_time(end.time_ns)}"
        )
        rows.append((display(one.path), f"from {short(first.id)}  {clock_time(first.time_ns)}", until))
    session.out.lines(columns(rows))
    if not rows:
        session.out.note(f"No snapshot holds anything that fits {display(from_display(pattern))}")
    return 0 if rows else 1


def _end(snapshot: Snapshot) -> dict[str, Any]:
    return {"id": snapshot.id.hex(), "sequence": snapshot.sequence, "time": iso_time(snapshot.time_ns)}
