"""One value out of a configuration file: JSON, YAML, TOML, INI or ``.env``, by its key.

Bounded and forgiving: what cannot be read is ``None``, because an agent's half-written
configuration is a state to be judged, not an error of the judge. Keys are dotted;
list positions are numbers: ``servers.0.port``. Does not know snapshots.
"""

from __future__ import annotations

import configparser
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from casreplay.errors import MissingExtraError

__all__ = ["read_value", "shown", "split_key"]

MAX_CONFIG_BYTES = 2 << 20
MISSING = object()


def split_key(key: str) -> list[str]:
    r"""The names of a dotted key; ``\.`` is a dot inside a name."""
    parts = key.replace("\\.", "\0").split(".")
    return [part.replace("\0", ".") for part in parts]


def read_value(path: bytes, content: bytes, key: str) -> object | None:
    """The value at ``key`` of the configuration file ``content``; ``None`` when there is none.

    The format follows from the name: ``.json``, ``.yaml``/``.yml``, ``.toml``, ``.ini``/``.cfg``/
    ``.conf``, ``.env`` (also ``.env.local`` and the like), else JSON. Files over 2 MiB are not read.

    Raises:
        MissingExtraError: a YAML file, and PyYAML is not installed.
    """
    if len(content) > MAX_CONFIG_BYTES:
        return None
    text = content.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        value: object = _reader(path)(text)
    except (ValueError, RecursionError, configparser.Error):
        return None
    for name in split_key(key):
        value = _step(value, name)
        if value is MISSING:
            return None
    return value


def shown(value: object | None) -> str:
    """``value`` as it is compared with what a user typed: text as it is, the rest as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, default=str)


def _step(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, MISSING)
    if isinstance(value, Sequence) and not isinstance(value, str) and name.isdecimal():
        return value[int(name)] if int(name) < len(value) else MISSING
    return MISSING


def _reader(path: bytes) -> Callable[[str], Any]:
    name = path.rpartition(b"/")[2].lower()
    if name.startswith(b".env") or name.endswith(b".env"):
        return _env
    ending = name.rpartition(b".")[2]
    if ending in (b"yaml", b"yml"):
        return _yaml
    if ending == b"toml":
        return tomllib.loads
    return _ini if ending in (b"ini", b"cfg", b"conf") else json.loads


def _env(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            found[name.strip()] = value.strip().strip("\"'")
    return found


def _ini(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser}


def _yaml(text: str) -> Any:
    try:
        import yaml  # noqa: PLC0415 - an optional extra, needed for YAML files only
    except ImportError as error:
        raise MissingExtraError(
            "Reading a key of a YAML file needs PyYAML", hint='pip install "casreplay[yaml]"'
        ) from error
    # Aliases are refused as a whole: their expansion is how a small file takes all memory.
    if any(isinstance(event, yaml.AliasEvent) for event in _events(yaml, text)):
        return None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _events(yaml: Any, text: str) -> list[Any]:
    try:
        return list(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
