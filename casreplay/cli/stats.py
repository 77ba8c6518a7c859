"""``stats``: what the store holds and what it takes."""

from __future__ import annotations

import os
from typing import Any

import click

from casreplay.cli.options import command, json_option
from casreplay.cli.session import Session
from casreplay.cli.text import columns, count, iso_time, size

__all__ = ["stats"]

_PARTS = ("segments", "index", "cache")


@command("stats", examples=["casreplay stats", "casreplay stats --json"])
@click.option("--objects", is_flag=True, help="Count blobs and trees too (reads the whole index).")
@json_option
@click.pass_obj
def stats(session: Session, *, objects: bool, as_json: bool) -> None:
    """Sizes and counts of the store: snapshots, space by part, and what plain copies would take."""
    fields = _gather(session, objects=objects)
    if as_json:
        session.out.data(fields)
        return
    rows = [("snapshots", f"{fields['snapshots']:,}")]
    if fields["first"] is not None:
        rows += [("first", fields["first"][:19] + "Z"), ("last", fields["last"][:19] + "Z")]
    rows.append(("workspace", f"{size(fields['newest_bytes'])} in {count(fields['newest_files'], 'file')}"))
    rows.append(("store", size(fields["store_bytes"])))
    rows += [(f"  {name}", size(number)) for name, number in fields["parts"].items()]
    if fields["objects"] is not None:
        rows += [(name, f"{number:,}") for name, number in fields["objects"].items()]
    session.out.lines(columns(rows))
    ratio = fields["copies_bytes"] / max(1, fields["store_bytes"])
    if ratio >= 1:
        copies = size(fields["copies_bytes"])
        session.out.line(f"Plain copies of every snapshot would take {copies}: {ratio:,.1f} times as much")


def _gather(session: Session, *, objects: bool) -> dict[str, Any]:
    repository = session.repository()
    number = copies = 0
    newest = oldest = None
    for one in repository.snapshots():
        newest = newest or one
        oldest = one
        number += 1
        copies += one.coverage.bytes
    store = session.location().store
    parts = {name: _size_of(os.path.join(store, name.encode())) for name in _PARTS}
    total = _size_of(store)
    parts["other"] = total - sum(parts.values())
    return {
        "snapshots": number,
        "first": iso_time(oldest.time_ns) if oldest else None,
        "last": iso_time(newest.time_ns) if newest else None,
        "newest_files": newest.coverage.files if newest else 0,
        "newest_bytes": newest.coverage.bytes if newest else 0,
        "copies_bytes": copies,
        "store_bytes": total,
        "parts": parts,
        "objects": _count_objects(session) if objects else None,
    }


def _count_objects(session: Session) -> dict[str, int]:
    from casreplay.store.base import ObjectKind  # noqa: PLC0415 - start-up speed

    reader = session.repository().objects
    return {
        "blobs": sum(1 for _ in reader.ids(ObjectKind.BLOB)),
        "trees": sum(1 for _ in reader.ids(ObjectKind.TREE)),
    }


def _size_of(path: bytes) -> int:
    """Bytes of the file, or of all files below the folder; what vanishes meanwhile counts as nothing."""
    try:
        if not os.path.isdir(path):
            return os.stat(path).st_size
        with os.scandir(path) as entries:
            return sum(_size_of(entry.path) for entry in entries)
    except OSError:
        return 0
