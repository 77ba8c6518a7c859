"""Two states of a configuration file compared key by key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from casreplay.forensics.config_diff.entries import MAX_BYTES, ConfigEntry, Parsed, ParseFailure
from casreplay.forensics.config_diff.json_reader import read_json
from casreplay.forensics.config_diff.lines_reader import read_env, read_ini, read_properties, read_toml
from casreplay.forensics.config_diff.yaml_reader import read_yaml

__all__ = ["ConfigDiff", "KeyChange", "KeyChangeKind", "compare", "format_of", "parse"]

_FORMATS: Mapping[str, Callable[[str], Parsed]] = MappingProxyType(
    {
        "json": read_json,
        "yaml": read_yaml,
        "toml": read_toml,
        "ini": read_ini,
        "env": read_env,
        "properties": read_properties,
    }
)
_SUFFIXES = {
    b"json": "json",
    b"jsonc": "json",
    b"json5": "json",
    b"yaml": "yaml",
    b"yml": "yaml",
    b"toml": "toml",
    b"ini": "ini",
    b"cfg": "ini",
    b"cnf": "ini",
    b"env": "env",
    b"envrc": "env",
    b"properties": "properties",
    b"props": "properties",
}
_WITH_COMMENTS = re.compile(
    rb"\.(?:jsonc|json5|code-workspace)$|(?:^|/)(?:[tj]sconfig[\w.\-]*|devcontainer|\.eslintrc|deno|\.swcrc|turbo)\.json$"
    rb"|(?:^|/)\.vscode/"
)
"""JSON files whose readers accept comments and trailing commas."""
_INI_NAMES = (
    b".gitconfig",
    b".gitmodules",
    b".editorconfig",
    b".npmrc",
    b".pypirc",
    b".flake8",
    b".coveragerc",
)


class KeyChangeKind(StrEnum):
    """What happened to a key."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    TYPE_CHANGED = "type-changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key that differs.

    Attributes:
        kind: what happened.
        key: the key, on the later side where it is there.
        before: the earlier entry; ``None`` when added.
        after: the later entry; ``None`` when removed.
    """

    kind: KeyChangeKind
    key: str
    before: ConfigEntry | None
    after: ConfigEntry | None


@dataclass(frozen=True, slots=True)
class ConfigDiff:
    """What a comparison found.

    Attributes:
        changes: in the order of the later file's lines, removed keys last.
        format: ``json yaml toml ini env properties``.
        failure: why the later side cannot be read; ``None`` when it can.
        before_failure: the same of the earlier side.
        reduced: what was left out, a phrase; empty when nothing was.
    """

    changes: tuple[KeyChange, ...]
    format: str
    failure: ParseFailure | None = None
    before_failure: ParseFailure | None = None
    reduced: str = ""


def format_of(path: bytes) -> str:
    """The configuration format that a file's name says; empty when it says none."""
    name = path.rpartition(b"/")[2].lower()
    if name == b".env" or name.startswith(b".env."):
        return "env"
    if name in _INI_NAMES:
        return "ini"
    return _SUFFIXES.get(name.rpartition(b".")[2], "") if b"." in name else ""


def parse(data: bytes, format_name: str) -> Parsed:
    """The entries of a file.

    Raises:
        ParseFailure: too large, not text, or not of its format.
    """
    if len(data) > MAX_BYTES:
        raise ParseFailure(f"is larger than {MAX_BYTES // 1_000_000} MB and was not read")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if format_name in ("json", "toml", "yaml"):
            raise ParseFailure("is not valid UTF-8", data.count(b"\n", 0, error.start) + 1) from error
        text = data.decode("latin-1")
    if "\0" in text:
        raise ParseFailure("holds NUL bytes", text.count("\n", 0, text.index("\0")) + 1)
    return _FORMATS[format_name](text)


def compare(before: bytes | None, after: bytes | None, path: bytes) -> ConfigDiff | None:
    """Key-level changes of the file at ``path``; ``None`` when its name is of no known format.

    Args:
        before: the earlier content; ``None`` when the file was added.
        after: the later content; ``None`` when it was deleted.
        path: decides the format.
    """
    format_name = format_of(path)
    if not format_name:
        return None
    old, old_failure = _parsed(before, format_name)
    new, failure = _parsed(after, format_name)
    if format_name == "json" and failure is None and after is not None:
        failure = _not_strict(before, after, path)
    reduced = new.reduced or old.reduced
    if failure is not None or old_failure is not None:
        return ConfigDiff((), format_name, failure, old_failure, reduced)
    return ConfigDiff(_changes(old, new), format_name, reduced=reduced)


def _parsed(data: bytes | None, format_name: str) -> tuple[Parsed, ParseFailure | None]:
    if data is None:
        return Parsed(()), None
    try:
        return parse(data, format_name), None
    except ParseFailure as failure:
        return Parsed(()), failure


def _not_strict(before: bytes | None, after: bytes, path: bytes) -> ParseFailure | None:
    """Why JSON that can be read leniently is broken for its program, unless it always was like that."""
    if _WITH_COMMENTS.search(path):
        return None
    problem = _json_problem(after)
    if problem is None or (before is not None and _json_problem(before) is not None):
        return None
    return problem


def _json_problem(data: bytes) -> ParseFailure | None:
    try:
        json.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except json.JSONDecodeError as error:
        return ParseFailure(f"is no JSON ({error.msg[:1].lower() + error.msg[1:]})", error.lineno)
    except (ValueError, RecursionError):
        return ParseFailure("is no JSON")
    return None


def _changes(old: Parsed, new: Parsed) -> tuple[KeyChange, ...]:
    before = {entry.key: entry for entry in old.entries}
    after = {entry.key: entry for entry in new.entries}
    removed = [entry for key, entry in before.items() if key not in after]
    changes: list[KeyChange] = []
    for key, entry in after.items():
        known = before.get(key)
        if known is None:
            source = _moved_from(entry, removed)
            if source is not None:
                removed.remove(source)
                changes.append(KeyChange(KeyChangeKind.MOVED, key, source, entry))
            else:
                changes.append(KeyChange(KeyChangeKind.ADDED, key, None, entry))
        elif known.type != entry.type and "null" not in (known.type, entry.type):
            changes.append(KeyChange(KeyChangeKind.TYPE_CHANGED, key, known, entry))
        elif (known.type, known.value) != (entry.type, entry.value):
            changes.append(KeyChange(KeyChangeKind.CHANGED, key, known, entry))
    changes += [KeyChange(KeyChangeKind.REMOVED, entry.key, entry, None) for entry in removed]
    return tuple(changes)


def _moved_from(entry: ConfigEntry, removed: list[ConfigEntry]) -> ConfigEntry | None:
    """A removed entry of the same last name and value under another parent; trivial values prove nothing."""
    if len(removed) > 200 or (entry.type in ("boolean", "null") and len(removed) > 1):
        return None
    leaf = entry.key.rpartition(".")[2]
    for other in removed:
        if other.key.rpartition(".")[2] == leaf and (other.type, other.value) == (entry.type, entry.value):
            return other
    return None
