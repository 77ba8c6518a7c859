"""What the shell offers while an argument is typed. Never fails, never prints.

What an argument means follows from its name and its metavar, so that a command says it once:
``FILE``, ``PATH`` and ``DIR`` are left to the shell, which knows the disk better;
snapshots and incidents come from the store of the current folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice

import click
from click.shell_completion import CompletionItem

from casreplay.cli.session import Session
from casreplay.errors import CasreplayError
from casreplay.model.ids import short

__all__ = ["incident_names", "offers", "snapshot_names"]

NEWEST = 200
_PLAIN = re.compile(r"[\w@%+=./~-]+")
"""Names that no shell takes apart: what would have to be quoted is not offered."""


def offers(kind: str, context: click.Context, incomplete: str) -> list[CompletionItem]:
    """What fits ``incomplete``; ``kind`` is ``snapshot``, ``incident``, ``file`` or ``dir``."""
    find: Callable[[Session], Iterator[str]] | None = {
        "snapshot": snapshot_names,
        "incident": incident_names,
    }.get(kind)
    if find is None:
        return [CompletionItem(incomplete, type=kind)]
    start = ""
    if kind == "snapshot" and ".." in incomplete and not incomplete.startswith("@{"):
        first, _, incomplete = incomplete.partition("..")
        start = first + ".."
    session = context.find_object(Session) or Session(os.environ)
    found: list[str] = []
    try:
        # Completion has no place for an error: without a store, or with a broken one, nothing is offered.
        with suppress(CasreplayError, OSError):
            found.extend(dict.fromkeys(find(session)))
    finally:
        session.close()
    fitting = [name for name in found if name.startswith(incomplete) and _PLAIN.fullmatch(name)]
    return [CompletionItem(start + name) for name in fitting]


def snapshot_names(session: Session) -> Iterator[str]:
    """``@``, then tags, label and id of each of the newest snapshots."""
    repository = session.repository()
    yield "@"
    for one in islice(repository.snapshots(), NEWEST):
        yield from repository.notes.tags_of(one)
        yield repository.notes.label_of(one)
        yield short(one.id)


def incident_names(session: Session) -> Iterator[str]:
    """The ids of the incidents, newest first."""
    from casreplay.incidents.database import NAME, IncidentDatabase  # noqa: PLC0415 - loads SQLite

    path = os.path.join(os.fsdecode(session.location().store), NAME)
    if os.path.exists(path):
        with IncidentDatabase(path, clock=session.clock) as database:
            yield from [one.id for one in database.incidents()]
