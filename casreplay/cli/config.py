"""``config check`` and ``config show``: is casreplay.json right, and what does it amount to?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import click

from casreplay.cli.options import group, json_option
from casreplay.cli.session import Session
from casreplay.cli.store_location import CONFIG_NAME
from casreplay.cli.text import safe, safe_line
from casreplay.errors import ConfigError

if TYPE_CHECKING:
    from casreplay.model.config import KeySpec

__all__ = ["config", "config_path"]


@group("config", examples=["casreplay config check", "casreplay config show --json"])
def config() -> None:
    """Check or show the configuration, casreplay.json."""


@config.command("check", examples=["casreplay config check", "casreplay config check other.json --json"])
@click.argument("file", required=False, metavar="[FILE]")
@json_option
@click.pass_obj
def check(session: Session, *, file: str | None, as_json: bool) -> int:
    """Say everything that is wrong with the configuration, all at once.

    Looks at FILE, or at casreplay.json of the workspace. Exits 0 when it is right, 2 when not.
    """
    path = session.path(file) if file is not None else config_path(session)
    shown = safe_line(os.fsdecode(path))
    if file is None and not os.path.lexists(path):
        problems: list[str] = []
        said = f"There is no {shown}; the defaults hold"
    else:
        problems = _problems(os.fsdecode(path))
        said = f"{shown} is right" if not problems else f"{shown} is wrong:"
    if as_json:
        session.out.data({"file": shown, "valid": not problems, "problems": problems})
    else:
        session.out.line(said)
        session.out.lines(f"  {safe(line)}" for line in problems)
    return ConfigError.exit_code if problems else 0


@config.command("show", examples=["casreplay config show", "casreplay config show --json"])
@click.option("--changed", is_flag=True, help="Only keys that differ from their defaults.")
@json_option
@click.pass_obj
def show(session: Session, *, changed: bool, as_json: bool) -> None:
    """Show every key and its value: what the file says, and the defaults for the rest."""
    from casreplay.codec.config import load  # noqa: PLC0415 - start-up speed
    from casreplay.model.config import KEYS, Config  # noqa: PLC0415 - start-up speed

    path = config_path(session)
    default = Config()
    current = load(os.fsdecode(path)) if os.path.lexists(path) else default
    import json  # noqa: PLC0415 - only this command

    rows = []
    for spec in KEYS:
        if not spec.attribute:
            continue
        value, usual = getattr(current, spec.attribute), getattr(default, spec.attribute)
        if value != usual or not changed:
            rows.append((spec, _as_written(spec, value), value != usual))
    if as_json:
        session.out.data({spec.name: value for spec, value, _ in rows})
        return
    for spec, value, is_changed in rows:
        mark = "*" if is_changed else " "
        text = f"{mark} {spec.name} = {safe_line(json.dumps(value, ensure_ascii=False))}"
        session.out.line(session.out.style(text, "bold") if is_changed else text)
    session.out.note("* differs from the default; docs/config.md explains every key")


def config_path(session: Session) -> bytes:
    """The configuration of the workspace, whether or not it has a store yet."""
    from casreplay.cli.store_location import upwards  # noqa: PLC0415 - start-up speed

    try:
        where = session.location_for_writing()
        return where.config or os.path.join(where.workspace, CONFIG_NAME)
    except ConfigError:  # the file itself is what is wrong
        here = os.path.realpath(session.cwd)
        folder = next(one for one in upwards(here) if os.path.lexists(os.path.join(one, CONFIG_NAME)))
        return os.path.join(folder, CONFIG_NAME)


def _problems(path: str) -> list[str]:
    from casreplay.codec.config import load  # noqa: PLC0415 - start-up speed

    try:
        load(path)
    except ConfigError as error:
        listed = error.fields.get("problems")
        return [str(line) for line in listed] if isinstance(listed, list | tuple) else [error.message]
    return []


def _as_written(spec: KeySpec, value: Any) -> Any:
    """The value of a key as the file would state it, so that what is shown can be put into one."""
    if spec.kind != "categories":
        return _plain(value)
    tables = [_plain(one) for one in value]
    return {table.pop("name"): table for table in tables}


def _plain(value: Any) -> Any:
    """A configuration value as JSON; what is called kind here is ``type`` in the file."""
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        names = [one.name for one in fields(value)]
        return {"type" if name == "kind" else name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
