"""``tag``, ``label`` and ``note``: names and remarks that may change, beside the hash chain."""

from __future__ import annotations

from typing import Any

import click

from casreplay.cli.options import command, json_option, snapshot_argument
from casreplay.cli.session import Session
from casreplay.cli.shapes import snapshot_fields
from casreplay.cli.text import clock_time, columns, iso_time, safe, safe_line
from casreplay.errors import AmbiguousNameError, UsageError
from casreplay.model.ids import short
from casreplay.model.objects import Snapshot

__all__ = ["label", "note", "tag"]


@command(
    "tag",
    examples=[
        "casreplay tag                  # list tags",
        "casreplay tag good             # tag the newest snapshot",
        "casreplay tag good @~3",
        "casreplay tag --delete good",
    ],
)
@click.argument("name", required=False)
@snapshot_argument("snapshot", required=False, default="@")
@click.option("-d", "--delete", is_flag=True, help="Remove the tag from every snapshot that has it.")
@json_option
@click.pass_obj
def tag(session: Session, *, name: str | None, snapshot: str, delete: bool, as_json: bool) -> None:
    """Name a snapshot with a tag, list tags, or remove one.

    Tags may be changed at any time: the hash chain does not cover them.
    """
    repository = session.repository()
    if name is None:
        _list_tags(session, as_json=as_json)
        return
    if delete:
        holders = [one for one in repository.snapshots() if name in repository.notes.tags_of(one)]
        if not holders:
            raise UsageError(f"No snapshot has the tag {name!r}", hint="casreplay tag lists them", tag=name)
        for one in holders:
            repository.notes.remove_tags(one.id, [name])
        said = f"Removed the tag {name} from {', '.join(short(one.id) for one in holders)}"
        _answer(session, {"removed": [one.id.hex() for one in holders], "tag": name}, said, as_json=as_json)
        return
    target = repository.snapshot(snapshot)
    repository.notes.add_tags(target.id, [name])
    _say_if_ambiguous(session, name)
    _answer(session, _fields(session, target), f"{short(target.id)} has the tag {name}", as_json=as_json)


def _say_if_ambiguous(session: Session, name: str) -> None:
    """A tag may stand on several snapshots, for ``prune --keep-tag``; as a name it is of no use then."""
    try:
        session.repository().snapshot(name)
    except AmbiguousNameError as error:
        session.out.note(
            f"{safe_line(error.message)}, so it names none of them now; to move a tag, first: "
            f"casreplay tag --delete {safe_line(name)}"
        )


def _list_tags(session: Session, *, as_json: bool) -> None:
    repository = session.repository()
    tagged = [(one, name) for one in repository.snapshots() for name in repository.notes.tags_of(one)]
    tagged.sort(key=lambda pair: (pair[1], -pair[0].sequence))
    if as_json:
        session.out.data([{"tag": name, **_fields(session, one)} for one, name in tagged])
        return
    rows = [
        (safe_line(name), short(one.id), clock_time(one.time_ns), safe_line(repository.notes.label_of(one)))
        for one, name in tagged
    ]
    session.out.lines(columns(rows))


@command("label", examples=['casreplay label @ "before the refactoring"', 'casreplay label 3f2a ""'])
@snapshot_argument("snapshot")
@click.argument("text")
@json_option
@click.pass_obj
def label(session: Session, *, snapshot: str, text: str, as_json: bool) -> None:
    """Change the label of SNAPSHOT to TEXT; an empty text takes it away.

    The label given at commit time stays in the protected record; this one is shown instead.
    """
    repository = session.repository()
    target = repository.snapshot(snapshot)
    repository.notes.set_label(target.id, text)
    said = (
        f"{short(target.id)} is now {safe_line(text)!r}" if text else f"{short(target.id)} has no label now"
    )
    _answer(session, _fields(session, target), said, as_json=as_json)


@command(
    "note",
    examples=[
        'casreplay note @~2 "the agent was restarted here"',
        "casreplay note @~2             # show its notes",
    ],
)
@snapshot_argument("snapshot")
@click.argument("text", required=False)
@json_option
@click.pass_obj
def note(session: Session, *, snapshot: str, text: str | None, as_json: bool) -> None:
    """Attach a note to SNAPSHOT, or show its notes when TEXT is left out."""
    repository = session.repository()
    target = repository.snapshot(snapshot)
    if text:
        repository.notes.add_note(target.id, text)
    notes = repository.notes.notes_of(target)
    if as_json:
        rows = [{"time": iso_time(one.time_ns), "author": one.author, "text": one.text} for one in notes]
        session.out.data({"id": target.id.hex(), "notes": rows})
    elif text:
        session.out.confirm(f"Noted on {short(target.id)}")
    else:
        session.out.lines(f"{clock_time(one.time_ns)}  {safe(one.text)}" for one in notes)


def _fields(session: Session, snapshot: Snapshot) -> dict[str, Any]:
    repository = session.repository()
    return snapshot_fields(snapshot, repository.notes.label_of(snapshot), repository.notes.tags_of(snapshot))


def _answer(session: Session, fields: dict[str, Any], said: str, *, as_json: bool) -> None:
    if as_json:
        session.out.data(fields)
    else:
        session.out.confirm(safe_line(said))
