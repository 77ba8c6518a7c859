"""Which store belongs to which folder.

The order, first match wins: ``--store``; ``CASREPLAY_STORE``; then, for the current folder and
each folder above it, the ``STORE`` and ``WORKSPACE_ROOT`` keys of its ``casreplay.json`` and the
store recorded for it in the user's data folder. So a command works from any subfolder of a
workspace, as git does, and from beside a configuration that names a workspace elsewhere.

The data folder holds ``stores/NAME-KEY`` (default stores, outside every workspace: an agent
that deletes its workspace must not delete the recorder) and ``workspaces/KEY.json`` (which
store a workspace uses). It does not open stores; ``history.repository`` does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from casreplay.errors import CasreplayError, ConfigError, NoRepositoryError, StoreIOError

__all__ = [
    "CONFIG_NAME",
    "StoreLocation",
    "data_folder",
    "default_store",
    "is_store",
    "locate",
    "locate_for_writing",
    "make_data_folder",
    "missing",
    "record",
    "recorded_workspaces",
    "upwards",
    "was_made",
]

CONFIG_NAME = b"casreplay.json"
MAX_CONFIG_BYTES = 1 << 20


class StoreLocation(NamedTuple):
    """A workspace and its store.

    Attributes:
        workspace: absolute path of the folder that is captured, symlinks resolved.
        store: absolute path of the store folder; it may not exist yet.
        source: why this one: ``--store``, ``CASREPLAY_STORE``, ``casreplay.json``, ``recorded``
            or ``default``.
        is_known: whether the workspace is known to use this store; otherwise it is merely the
            current folder.
        config: the configuration that holds, where that is not the workspace's own.
    """

    workspace: bytes
    store: bytes
    source: str
    is_known: bool = True
    config: bytes | None = None

    @property
    def exists(self) -> bool:
        """Whether a store is there."""
        return is_store(self.store)


def is_store(path: bytes) -> bool:
    """Whether ``path`` looks like a store: a folder with a ``format`` file."""
    return os.path.isfile(os.path.join(path, b"format"))


def data_folder(environ: Mapping[str, str]) -> bytes:
    r"""Where this user's stores live by default, by the convention of the system.

    ``$XDG_DATA_HOME/casreplay`` when that is set to an absolute path, on any system; else
    ``~/.local/share/casreplay``, on macOS ``~/Library/Application Support/casreplay``, on Windows
    ``%LOCALAPPDATA%\casreplay``. Source: XDG Base Directory Specification 0.8.
    """
    xdg = environ.get("XDG_DATA_HOME", "")
    home = environ.get("HOME") or os.path.expanduser("~")
    if os.path.isabs(xdg):
        base = xdg
    elif sys.platform == "win32":
        base = environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = os.path.join(home, ".local", "share")
    return os.fsencode(os.path.join(base, "casreplay"))


def default_store(workspace: bytes, environ: Mapping[str, str]) -> bytes:
    """Where the store of ``workspace`` goes when nobody says otherwise: ``DATA/stores/NAME-KEY``."""
    name = bytes(c if chr(c).isalnum() and c < 128 else ord("-") for c in os.path.basename(workspace))
    folder = b"-".join(part for part in (name[:40].strip(b"-"), _key(workspace)) if part)
    return os.path.join(data_folder(environ), b"stores", folder)


def locate(cwd: bytes, *, option: str | None, environ: Mapping[str, str]) -> StoreLocation:
    """The existing store for ``cwd``.

    Args:
        cwd: the folder the command runs in, absolute.
        option: what ``--store`` says, if it was given; relative to ``cwd``.
        environ: the process environment.

    Raises:
        NoRepositoryError: there is none; the hint says what to type.
        ConfigError: a ``casreplay.json`` on the way cannot be read, and no record says what it said.
    """
    try:
        found = _named(cwd, option, environ) or _recorded(cwd, environ)
    except ConfigError:  # whoever broke the file must not lock us out of what it was like before
        is_named = bool(option or environ.get("CASREPLAY_STORE"))
        found = None if is_named else _last_known(cwd, environ)
        if found is None:
            raise
    if found is not None and not found.is_known:
        found = _only_user(found, environ) or found
    if found is None:
        raise _nothing_found(cwd, environ)
    if not found.exists:
        raise missing(found, environ, is_option=option is not None)
    return found


def missing(location: StoreLocation, environ: Mapping[str, str], *, is_option: bool) -> CasreplayError:
    """The error for a store that is not where it is said to be, or cannot be looked at."""
    where, source = os.fsdecode(location.store), location.source
    try:
        os.stat(os.path.join(location.store, b"format"))
    except PermissionError as error:
        return StoreIOError(
            f"Cannot read the store at {where}: {error.strerror}",
            hint="The store belongs to another user, or its permissions were changed",
            file=where,
        )
    except OSError:
        pass
    create = f"casreplay --store {_quoted(where)} init" if is_option else "casreplay init"
    said = "recorded for this folder" if source == "recorded" else f"named by {source}"
    hint = f"Make one there with: {create}"
    if was_made(location, environ):
        hint = f"There was one: is its disk mounted, was it moved or removed? To begin anew: {create}"
    return NoRepositoryError(f"There is no store at {where} ({said})", hint=hint, store=where, source=source)


def was_made(location: StoreLocation, environ: Mapping[str, str]) -> bool:
    """Whether the store was made for this workspace before: where it is not there now, history is missing."""
    known = _read_record(_record_path(location.workspace, environ))
    return known is not None and known.store == location.store


def locate_for_writing(cwd: bytes, *, option: str | None, environ: Mapping[str, str]) -> StoreLocation:
    """Like ``locate``, but a store that does not exist yet is fine: ``init`` or the first commit makes it."""
    found = _named(cwd, option, environ) or _recorded(cwd, environ)
    if found is not None:
        return found
    workspace = os.path.realpath(cwd)
    return StoreLocation(workspace, default_store(workspace, environ), "default", is_known=False)


def make_data_folder(environ: Mapping[str, str]) -> None:
    """Make the data folder, readable by its owner only.

    Raises:
        StoreIOError: it cannot be written.
    """
    folder = data_folder(environ)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(path: bytes, error: OSError) -> StoreIOError:
    return StoreIOError(
        f"Cannot write {os.fsdecode(path)}: {error.strerror}",
        hint="Set XDG_DATA_HOME to a folder that can be written",
    )


def record(location: StoreLocation, environ: Mapping[str, str]) -> None:
    """Remember in the data folder which store the workspace uses; later commands find it by that.

    Raises:
        StoreIOError: the data folder cannot be written.
    """
    import json  # noqa: PLC0415 - only when a store is made

    path = _record_path(location.workspace, environ)
    fields = {"workspace": os.fsdecode(location.workspace), "store": os.fsdecode(location.store)}
    if location.config is not None and os.path.dirname(location.config) != location.workspace:
        fields["config"] = os.fsdecode(location.config)
    text = json.dumps(fields)
    temporary = path + b".%d.tmp" % os.getpid()
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(temporary, "w", encoding="ascii") as file:
            file.write(text + "\n")
        os.replace(temporary, path)
    except OSError as error:
        raise _unwritable(path, error) from error


def recorded_workspaces(environ: Mapping[str, str]) -> list[StoreLocation]:
    """Every workspace this user has recorded, by path. Unreadable records are left out."""
    folder = os.path.join(data_folder(environ), b"workspaces")
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(b".json"))
    except OSError:
        return []
    found = [_read_record(os.path.join(folder, name)) for name in names]
    return sorted((location for location in found if location), key=lambda location: location.workspace)


def _named(cwd: bytes, option: str | None, environ: Mapping[str, str]) -> StoreLocation | None:
    """The store that ``--store`` or the environment names, with the workspace it belongs to."""
    text, source = (option, "--store") if option else (environ.get("CASREPLAY_STORE"), "CASREPLAY_STORE")
    if not text:
        return None
    store = os.path.realpath(os.path.join(cwd, os.path.expanduser(os.fsencode(text))))
    for folder in upwards(os.path.realpath(cwd)):
        configured = _configured(folder)
        if configured is not None and configured.store in (store, None):
            known = _read_record(_record_path(configured.workspace, environ))
            is_known = configured.store == store or (known is not None and known.store == store)
            return StoreLocation(configured.workspace, store, source, is_known, configured.path)
        known = _read_record(_record_path(folder, environ))
        if known is not None and known.store == store:
            return StoreLocation(folder, store, source, config=known.config)
    return StoreLocation(os.path.realpath(cwd), store, source, is_known=False)


def _last_known(cwd: bytes, environ: Mapping[str, str]) -> StoreLocation | None:
    """The store recorded for the nearest folder, whatever its configuration says; ``None`` if it is gone."""
    for folder in upwards(os.path.realpath(cwd)):
        known = _read_record(_record_path(folder, environ))
        if known is not None:
            return known if known.exists else None
    return None


def _only_user(found: StoreLocation, environ: Mapping[str, str]) -> StoreLocation | None:
    """The one workspace that is recorded with the store and still there, when there is just one."""
    users = [
        one
        for one in recorded_workspaces(environ)
        if one.store == found.store and os.path.isdir(one.workspace)
    ]
    return users[0]._replace(source=found.source) if len(users) == 1 else None


def _recorded(cwd: bytes, environ: Mapping[str, str]) -> StoreLocation | None:
    for folder in upwards(os.path.realpath(cwd)):
        configured = _configured(folder)
        workspace = folder if configured is None else configured.workspace
        known = _read_record(_record_path(workspace, environ))
        if configured is not None:
            recorded = known.store if known is not None else default_store(workspace, environ)
            store = configured.store or recorded
            return StoreLocation(workspace, store, "casreplay.json", config=configured.path)
        if known is not None:
            return StoreLocation(folder, known.store, "recorded", config=known.config)
        default = default_store(folder, environ)
        if is_store(default):
            return StoreLocation(folder, default, "default")
    return None


def upwards(folder: bytes) -> Iterator[bytes]:
    """``folder`` and every folder above it."""
    while True:
        yield folder
        above = os.path.dirname(folder)
        if above == folder:
            return
        folder = above


class _Configured(NamedTuple):
    """What the configuration in a folder says about places; ``store`` is ``None`` where it says nothing."""

    workspace: bytes
    store: bytes | None
    path: bytes


def _configured(folder: bytes) -> _Configured | None:
    """``WORKSPACE_ROOT`` and ``STORE`` of the configuration in ``folder``, both relative to it.

    ``None`` without a configuration, or when it names neither a store nor another folder. What
    else is wrong with it is for those who use the rest of it to say.
    """
    path = os.path.join(folder, CONFIG_NAME)
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"Cannot read {os.fsdecode(path)}: {error.strerror}") from error
    if b'"STORE"' not in raw and b'"WORKSPACE_ROOT"' not in raw:
        return None
    import json  # noqa: PLC0415 - only for a configuration that names places

    try:
        value = json.loads(raw)
    except ValueError as error:
        raise ConfigError(
            f"{os.fsdecode(path)} is not valid JSON: {error}",
            hint="casreplay config check lists everything that is wrong with it",
        ) from error
    named = {key: value.get(key) for key in ("WORKSPACE_ROOT", "STORE")} if isinstance(value, dict) else {}
    places = {
        key: os.path.realpath(os.path.join(folder, os.path.expanduser(os.fsencode(text))))
        for key, text in named.items()
        if isinstance(text, str) and text and "\0" not in text
    }
    found = _Configured(places.get("WORKSPACE_ROOT", folder), places.get("STORE"), path)
    return found if found.store is not None or found.workspace != folder else None


def _key(workspace: bytes) -> bytes:
    from casreplay.codec.hashing import blob_id  # noqa: PLC0415 - `--help` needs no hash

    return blob_id(workspace).hex()[:16].encode("ascii")


def _record_path(workspace: bytes, environ: Mapping[str, str]) -> bytes:
    return os.path.join(data_folder(environ), b"workspaces", _key(workspace) + b".json")


def _read_record(path: bytes) -> StoreLocation | None:
    try:
        with open(path, "rb") as file:
            raw = file.read(1 << 16)
    except OSError:
        return None
    import json  # noqa: PLC0415 - only when a record exists

    try:
        value = json.loads(raw)
        config = os.fsencode(value["config"]) if "config" in value else None
        return StoreLocation(
            os.fsencode(value["workspace"]), os.fsencode(value["store"]), "recorded", config=config
        )
    except (ValueError, KeyError, TypeError):
        return None


def _nothing_found(cwd: bytes, environ: Mapping[str, str]) -> NoRepositoryError:
    """The error for a folder without a store, with the commands that would help."""
    shown = os.fsdecode(os.path.realpath(cwd))
    hints = ["Type: casreplay init     (or casreplay commit, which makes the store and the first snapshot)"]
    name = os.path.basename(os.path.realpath(cwd))
    for other in recorded_workspaces(environ):
        moved = not os.path.isdir(other.workspace) and os.path.basename(other.workspace) == name
        if moved and is_store(other.store):
            hints.append(
                f"If this folder was moved here from {os.fsdecode(other.workspace)}: "
                f"casreplay --store {_quoted(os.fsdecode(other.store))} init"
            )
    hints.append("If the store is elsewhere: casreplay --store PATH ...")
    return NoRepositoryError(
        f"No store belongs to {shown} or a folder above it", hint="\n".join(hints), folder=shown
    )


def _quoted(text: str) -> str:
    from shlex import quote  # noqa: PLC0415 - only in hints

    return quote(text)
