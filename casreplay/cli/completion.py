"""What the shell offers while a snapshot's name is typed. Never fails, never prints."""

from __future__ import annotations

import os
from itertools import islice

import click

from casreplay.cli.session import Session
from casreplay.errors import CasreplayError
from casreplay.model.ids import short

__all__ = ["snapshot_names"]

NEWEST = 200


def snapshot_names(context: click.Context, incomplete: str) -> list[str]:
    """Tags, labels and ids of the newest snapshots that start with ``incomplete``.

    Nothing is offered where there is no store, or when it cannot be read: completion has no
    place for an error.
    """
    session = context.find_object(Session) or Session(os.environ)
    try:
        repository = session.repository()
        names = dict.fromkeys(["@"])
        for one in islice(repository.snapshots(), NEWEST):
            words = [*repository.notes.tags_of(one), repository.notes.label_of(one), short(one.id)]
            names.update(dict.fromkeys(words))
    except (CasreplayError, OSError):
        return []
    finally:
        session.close()
    return [name for name in names if name and name.startswith(incomplete)]
