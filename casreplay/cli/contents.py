"""``cat`` and ``ls``: files and folders as they were in a snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from casreplay.cli.options import command, json_option, snapshot_argument
from casreplay.cli.session import Session
from casreplay.cli.shapes import entry_mode, shown_path
from casreplay.cli.text import clock_time, columns, iso_time
from casreplay.errors import UnknownNameError, UsageError
from casreplay.model.ids import short
from casreplay.model.objects import EntryKind, EntryState, Snapshot, TreeEntry
from casreplay.model.paths import display, from_display, join, to_json

__all__ = ["cat", "entry_fields", "find_entry", "ls", "print_path", "split_place"]


@command(
    "cat",
    examples=[
        "casreplay cat @~2 config/settings.json",
        "casreplay cat good:config/settings.json > settings.json",
    ],
)
@snapshot_argument("snapshot")
@click.argument("path", required=False)
@click.pass_obj
def cat(session: Session, *, snapshot: str, path: str | None) -> None:
    """Print the file at PATH as it was in SNAPSHOT; SNAPSHOT:PATH means the same.

    The bytes come out unchanged into a file or pipe; on a terminal, what a terminal would obey
    is escaped.
    """
    if path is None:
        snapshot, path = split_place(snapshot)
        if not path:
            raise UsageError("Say which file", hint="casreplay cat SNAPSHOT PATH")
    print_path(session, snapshot, path, as_json=False, file_only=True)


@command("ls", examples=["casreplay ls @", "casreplay ls -r good src", "casreplay ls -l @~3 logs --json"])
@snapshot_argument("snapshot", required=False, default="@")
@click.argument("path", required=False, default="")
@click.option("-r", "--recursive", is_flag=True, help="Everything below, not only the folder itself.")
@click.option("-l", "--long", "is_long", is_flag=True, help="Permissions, size and time of each entry too.")
@json_option
@click.pass_obj
def ls(session: Session, /, *, snapshot: str, path: str, **options: Any) -> None:
    """List the folder at PATH (the whole workspace when left out) as it was in SNAPSHOT."""
    if not path:
        snapshot, place = split_place(snapshot)
        path = place or ""
    target = session.snapshot(snapshot, with_path="casreplay ls @")
    at, entry = find_entry(session, target, path)
    rows = _listed(session, target, at, entry, recursive=options["recursive"])
    if options["as_json"]:
        entries = [entry_fields(one, found) for one, found in rows]
        session.out.data({"snapshot": target.id.hex(), **to_json(at), "entries": entries})
    elif options["is_long"]:
        session.out.lines(columns([_long_row(one, found) for one, found in rows], right=frozenset({1})))
    else:
        session.out.lines(_with_state(shown_path(one, found), found) for one, found in rows)


def split_place(name: str) -> tuple[str, str | None]:
    """``SNAP:PATH`` at the first colon outside ``@{...}``, since times hold colons; no path: ``None``."""
    depth = 0
    for i, char in enumerate(name):
        depth += (char == "{") - (char == "}")
        if char == ":" and depth == 0:
            return name[:i] or "@", name[i + 1 :]
    return name, None


def find_entry(session: Session, snapshot: Snapshot, text: str) -> tuple[bytes, TreeEntry | None]:
    """The path that ``text`` means in ``snapshot`` and its entry; the root has none.

    Tried in turn: relative to the current folder, relative to the workspace, and the escaped form
    in which names that are not UTF-8 are shown.

    Raises:
        UnknownNameError: nothing is there.
    """
    repository = session.repository()
    tries = [session.workspace_path(text)]
    root_relative = from_display(text).strip(b"/").removeprefix(b"./")
    if root_relative not in tries:
        tries.append(b"" if root_relative == b"." else root_relative)
    for path in tries:
        if not path:
            return b"", None
        entry = repository.entry(snapshot, path)
        if entry is not None:
            return path, entry
    raise UnknownNameError(
        f"{short(snapshot.id)} holds nothing at {display(tries[0])}",
        hint=f"casreplay ls -r {short(snapshot.id)} lists what it holds",
        path=display(tries[0]),
        snapshot=snapshot.id.hex(),
    )


def _listed(
    session: Session, snapshot: Snapshot, path: bytes, entry: TreeEntry | None, *, recursive: bool
) -> Iterable[tuple[bytes, TreeEntry]]:
    """What ``ls`` shows: the entry itself when it is no folder, else what is in it, in path order."""
    if entry is not None and entry.kind is not EntryKind.FOLDER:
        return [(path, entry)]
    repository = session.repository()
    if recursive:
        return ((one, found) for one, found in repository.walk(snapshot, path) if one != path)
    return ((join(path, name), found) for name, found in repository.list_folder(snapshot, path))


def entry_fields(path: bytes, entry: TreeEntry) -> dict[str, Any]:
    """One row of ``ls --json``."""
    blob = entry.blob_id
    return {
        **to_json(path),
        "kind": entry.kind.name.lower(),
        "state": entry.state.name.lower(),
        "mode": entry_mode(entry),
        "size": entry.size_bytes,
        "time": iso_time(entry.mtime_ns),
        "blob": blob.hex() if blob else None,
    }


def _with_state(text: str, entry: TreeEntry) -> str:
    if entry.state is EntryState.COMPLETE:
        return text
    return f"{text}  ({entry.state.name.lower().replace('_', ' ')})"


def _long_row(path: bytes, entry: TreeEntry) -> tuple[str, ...]:
    shown = _with_state(shown_path(path, entry), entry)
    return entry_mode(entry), f"{entry.size_bytes:,}", clock_time(entry.mtime_ns), shown


def print_path(
    session: Session, snapshot_name: str, text: str, *, as_json: bool, file_only: bool = False
) -> None:
    """Print the file at ``text``, or list it when it is a folder (refused with ``file_only``)."""
    repository = session.repository()
    snapshot = repository.snapshot(snapshot_name)
    path, entry = find_entry(session, snapshot, text)
    if entry is None or entry.kind is EntryKind.FOLDER:
        if file_only:
            raise UsageError(
                f"{shown_path(path)} is a folder",
                hint=f"casreplay ls {short(snapshot.id)} {shown_path(path)}",
            )
        rows = [(join(path, name), found) for name, found in repository.list_folder(snapshot, path)]
        if as_json:
            entries = [entry_fields(one, found) for one, found in rows]
            session.out.data({"snapshot": snapshot.id.hex(), **to_json(path), "entries": entries})
        else:
            session.out.lines(_with_state(shown_path(one, found), found) for one, found in rows)
        return
    if as_json:
        session.out.data({"snapshot": snapshot.id.hex(), **entry_fields(path, entry)})
        return
    blob = entry.blob_id
    if blob is None:
        state = entry.state.name.lower().replace("_", " ")
        kind = entry.kind.name.lower().replace("_", " ")
        why = f"it was {state}" if entry.kind.has_content else f"it is a {kind}"
        raise UnknownNameError(f"{short(snapshot.id)} holds no content of {display(path)}: {why}")
    if entry.state is not EntryState.COMPLETE:
        session.out.warning(
            f"{display(path)} was {entry.state.name.lower()} when it was read; this is what was kept"
        )
    session.out.raw(repository.objects.stream(blob))
