"""``init``: make a store for a folder, and a configuration file to start from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from casreplay.cli.options import command, json_option
from casreplay.cli.session import Session
from casreplay.cli.text import safe_line
from casreplay.errors import StoreIOError, UsageError

if TYPE_CHECKING:
    from casreplay.cli.store_location import StoreLocation

__all__ = ["ensure_store", "init"]


@command(
    "init",
    examples=[
        "casreplay init",
        "casreplay --store /mnt/backup/project.store init",
        "casreplay -C ~/agents/night-shift init",
    ],
)
@click.option("--no-config", is_flag=True, help="Do not write casreplay.json.")
@click.option("--force", is_flag=True, help="Even for / or the home folder.")
@json_option
@click.pass_obj
def init(session: Session, *, no_config: bool, force: bool, as_json: bool) -> None:
    """Make a store for this folder.

    The store goes into the user's data folder, outside the workspace, so that whoever deletes
    the workspace does not delete its history; --store puts it elsewhere (inside the workspace
    is fine too: it is never captured). Also writes casreplay.json, a configuration in which
    every key stands with its default. Where there is a store already, nothing is changed.
    """
    location = session.location_for_writing()
    existed = location.exists
    _make(session, location, force=force)
    config = None if no_config else _write_config(location)
    if as_json:
        session.out.data(
            {
                "workspace": os.fsdecode(location.workspace),
                "store": os.fsdecode(location.store),
                "created": not existed,
                "config": os.fsdecode(config) if config else None,
            }
        )
        return
    verb = "There is already a store" if existed else "Made a store"
    session.out.confirm(f"{verb} for {_shown(location.workspace)}")
    session.out.confirm(f"  store:  {_shown(location.store)}")
    if config:
        session.out.confirm(f"  config: {_shown(config)} (a start; docs/config.md explains every key)")
    if existed and location.workspace != os.path.realpath(session.cwd):
        session.out.confirm("To record this folder on its own: casreplay init --store PATH")
    if not existed:
        session.out.confirm("Take the first snapshot with: casreplay commit -m baseline")


def ensure_store(session: Session, *, force: bool) -> None:
    """Make the store of the current folder if it never had one, and make sure that it is this folder's.

    One that was made and is gone is not made again: a new history would begin, perhaps below the
    mount point of a disk that is away for a while, and nobody would notice.

    Raises:
        UsageError: the store belongs to another folder, or this one is too wide without ``force``.
        NoRepositoryError: the store is gone.
        StoreIOError: it cannot be looked at.
    """
    from casreplay.cli.store_location import missing, record, was_made  # noqa: PLC0415 - start-up speed

    location = session.location_for_writing()
    if location.exists:
        if not location.is_known:
            _refuse_foreign_store(session, location)
            session.check_workspace(force=force)
            record(location, session.environ)
        return
    # Asked in this order: who makes a store at this moment makes it first and records it then.
    if was_made(location, session.environ) and not location.exists:
        raise missing(location, session.environ, is_option=session.store_option is not None)
    _make(session, location, force=force)
    session.out.note(f"Made a store for {_shown(location.workspace)} at {_shown(location.store)}")


def _refuse_foreign_store(session: Session, location: StoreLocation) -> None:
    """One store, one workspace: recording another folder would look as if everything had been replaced."""
    owner = session.location().workspace
    if owner != location.workspace:
        from shlex import quote  # noqa: PLC0415 - only for the hint

        store, here = quote(os.fsdecode(location.store)), _shown(location.workspace)
        raise UsageError(
            f"The store at {_shown(location.store)} records {_shown(owner)}, not {here}",
            hint=f"Run it there, or, to record this folder in the same store too, first: "
            f"casreplay --store {store} init",
            workspace=os.fsdecode(owner),
        )


def _make(session: Session, location: StoreLocation, *, force: bool) -> None:
    """Make the store unless it exists, or another process makes it now, and record whose it is."""
    from casreplay.cli.store_location import make_data_folder, record  # noqa: PLC0415 - start-up speed
    from casreplay.history.repository import Repository  # noqa: PLC0415 - start-up speed
    from casreplay.workspace.guards import check_workspace  # noqa: PLC0415 - start-up speed

    check_workspace(location.workspace, force=force or location.exists)
    make_data_folder(session.environ)
    if not location.exists:
        try:
            Repository.init(location.workspace, location.store, force=force, clock=session.clock).close()
        except UsageError:
            if not location.exists:
                raise
    record(location, session.environ)


def _write_config(location: StoreLocation) -> bytes | None:
    """Write the template unless there is a configuration; returns its path when written.

    A store inside the workspace is named in it, so that the two can be moved together.
    """
    from casreplay.cli.store_location import CONFIG_NAME  # noqa: PLC0415 - start-up speed
    from casreplay.codec.config import template  # noqa: PLC0415 - start-up speed

    text = template()
    if location.store.startswith(location.workspace.rstrip(b"/") + b"/"):
        import json  # noqa: PLC0415 - rarely needed

        inside = os.path.relpath(location.store, location.workspace)
        text = json.dumps({**json.loads(text), "STORE": os.fsdecode(inside)}, indent=2) + "\n"
    if location.config is not None:
        return None
    path = os.path.join(location.workspace, CONFIG_NAME)
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return None
    except OSError as error:
        raise StoreIOError(
            f"Cannot write {_shown(path)}: {error.strerror}", hint="casreplay init --no-config does without"
        ) from error
    return path


def _shown(path: bytes) -> str:
    return safe_line(os.fsdecode(path))
