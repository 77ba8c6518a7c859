"""Formats of one key a line: INI, .env, properties; and TOML, whose values ``tomllib`` reads."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from casreplay.forensics.config_diff.entries import (
    IDENTIFYING,
    MAX_DEPTH,
    Collector,
    Parsed,
    ParseFailure,
    item_key,
    plain,
)

__all__ = ["read_env", "read_ini", "read_properties", "read_toml"]

_SECTION = re.compile(r"\s*\[(?P<name>[^\]\r\n]*)\]\s*(?:[;#].*)?$")
_PAIR = re.compile(r"\s*(?P<key>[^=:\[\s][^=:]*?)\s*[=:]\s*(?P<value>.*)$")
_ENV = re.compile(r"\s*(?:export\s+|set\s+)?(?P<key>[A-Za-z_][\w.\-]*)\s*=\s*(?P<value>.*)$")
_PROPERTY = re.compile(r"\s*(?P<key>(?:\\.|[^\s=:\\])+)\s*[=:\s]\s*(?P<value>.*)$")
_COMMENT = re.compile(r"\s+[#;](?:\s.*)?$")
_TOML_TABLE = re.compile(r"\s*\[(?P<many>\[)?\s*(?P<name>[^\]]+?)\s*\]{1,2}")
_TOML_KEY = re.compile(
    r"""\s*(?P<key>(?:"[^"]*"|'[^']*'|[\w\-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w\-]+))*)\s*="""
)
_TOML_STRING = re.compile(r""""[^"\n]*"|'[^'\n]*'""")
_TOML_DEEP = re.compile(rf"(?<![\w.\-])(?:[\w\-]++[ \t]*+\.[ \t]*+){{{MAX_DEPTH}}}")
"""Keys of so many parts: ``tomllib`` needs memory in the square of their number."""
_TOML_LINE = re.compile(r"line (\d+)")


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return _COMMENT.sub("", value).strip()


def _kind(value: str) -> tuple[str, str]:
    if re.fullmatch(r"[+-]?\d+(?:\.\d+)?", value):
        return "number", value
    if value.lower() in ("true", "false", "yes", "no", "on", "off"):
        return "boolean", value
    return "string", value


def read_ini(text: str) -> Parsed:
    """Entries ``section.key`` of an INI file; indented lines continue a value.

    Raises:
        ParseFailure: a line is neither a section, a key, a comment nor a continuation.
    """
    collector, section = Collector(), ""
    pending: tuple[str, int, list[str]] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        if line[0] in " \t" and pending is not None:
            pending[2].append(line.strip())
            continue
        _finish(collector, pending)
        pending = None
        heading = _SECTION.match(line)
        if heading is not None:
            section = heading["name"].strip()
            continue
        pair = _PAIR.match(line)
        if pair is None and not re.fullmatch(r"\s*[\w.\-]+\s*", line):
            raise ParseFailure("has a line that is neither a section nor a key", number)
        name, value = (pair["key"], [_unquoted(pair["value"])]) if pair else (line.strip(), [])
        pending = (f"{section}.{name}" if section else name, number, value)
    _finish(collector, pending)
    return collector.done()


def _finish(collector: Collector, pending: tuple[str, int, list[str]] | None) -> None:
    """Keep a key of an INI file with all lines of its value; a key alone has none."""
    if pending is not None:
        key, line, parts = pending
        kind, value = _kind("\n".join(parts)) if parts else ("null", "")
        collector.add(key, kind, value, line)


def read_env(text: str) -> Parsed:
    """Entries of a ``.env`` file; a quoted value may go on over lines.

    Raises:
        ParseFailure: a line is neither an assignment nor a comment.
    """
    collector, lines = Collector(), text.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pair = _ENV.match(line)
        if pair is None:
            raise ParseFailure("has a line that is no assignment", number)
        parts, start, quote = [pair["value"]], number, pair["value"][:1]
        if quote in ('"', "'") and not _has_quote(parts[0][1:], quote):
            while number < len(lines):
                parts.append(lines[number])
                number += 1
                if _has_quote(parts[-1], quote):
                    break
        collector.add(pair["key"], *_kind(_unquoted("\n".join(parts))), start)
    return collector.done()


def _has_quote(text: str, quote: str) -> bool:
    return re.search(rf"(?<!\\){quote}", text) is not None


def read_properties(text: str) -> Parsed:
    """Entries of a Java properties file, continuation lines joined. Anything is a key there."""
    collector, start = Collector(), 0
    held: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not held and (not line.strip() or line.lstrip()[0] in "#!"):
            continue
        start = start if held else number
        goes_on = (len(line) - len(line.rstrip("\\"))) % 2 == 1
        held.append((line.lstrip() if held else line)[: -1 if goes_on else None])
        if goes_on:
            continue
        pair = _PROPERTY.match("".join(held) + " ")
        if pair is not None:
            collector.add(pair["key"], *_kind(pair["value"].strip()), start)
        held = []
    return collector.done()


def read_toml(text: str) -> Parsed:
    """Entries of a TOML document. Lines are those of the keys; inside inline tables, of the outer key.

    Raises:
        ParseFailure: not TOML.
    """
    if _TOML_DEEP.search(_TOML_STRING.sub("q", text)):
        raise ParseFailure(f"is nested deeper than {MAX_DEPTH} levels")
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _TOML_LINE.search(str(error))
        reason = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise ParseFailure(
            f"is no TOML ({reason[:1].lower() + reason[1:]})", int(found[1]) if found else _last_line(text)
        ) from error
    except RecursionError as error:
        raise ParseFailure(f"is nested deeper than {MAX_DEPTH} levels") from error
    flattener = _Flattener(text)
    flattener.walk(value, "", 0)
    return flattener.collector.done()


def _last_line(text: str) -> int:
    return text.count("\n") + 1


class _Lines:
    """Where the keys of a TOML text stand."""

    def __init__(self, text: str) -> None:
        self._known: dict[str, int] = {}
        table, counts = "", dict[str, int]()
        for number, line in enumerate(text.splitlines(), 1):
            heading = _TOML_TABLE.match(line)
            key = _TOML_KEY.match(line)
            if heading is not None and not key:
                table = _dotted(heading["name"])
                if heading["many"]:
                    counts[table] = counts.get(table, -1) + 1
                    table = f"{table}[{counts[table]}]"
                self._known.setdefault(table, number)
            elif key is not None:
                name = _dotted(key["key"])
                self._known.setdefault(f"{table}.{name}" if table else name, number)

    def of(self, path: str) -> int:
        """The line of ``path``, or of the nearest key above it."""
        while path:
            if path in self._known:
                return self._known[path]
            path = re.sub(r"(?:\.[^.\[\]]*|\[[^\]]*\])$|^[^.\[\]]+$", "", path)
        return 1


def _dotted(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))


class _Flattener:
    """Turns nested tables into entries."""

    def __init__(self, text: str) -> None:
        self._lines = _Lines(text)
        self.collector = Collector()

    def walk(self, value: Any, path: str, depth: int) -> None:
        """Add everything at and below ``value``."""
        if depth > MAX_DEPTH:
            raise ParseFailure(f"is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, Mapping):
            if not value and path:
                self.collector.add(path, "object", "{}", self._lines.of(path))
            for name, child in value.items():
                self.walk(child, f"{path}.{name}" if path else name, depth + 1)
        elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
            for index, item in enumerate(value):
                self._item(item, path, index, depth)
        elif isinstance(value, list):
            text = json.dumps(value, default=str, ensure_ascii=False)
            self.collector.add(path, "list", text, self._lines.of(path))
        else:
            self.collector.add(path, *plain(value), self._lines.of(path))

    def _item(self, item: Any, path: str, index: int, depth: int) -> None:
        """Lines are known by index; the key then says the item's name where it has one."""
        entries = self.collector.entries
        first = len(entries)
        self.walk(item, f"{path}[{index}]", depth + 1)
        name = _name_of(item)
        if name is not None:
            old, new = f"{path}[{index}]", item_key(path, index, name)
            for at in range(first, len(entries)):
                entries[at] = replace(entries[at], key=entries[at].key.replace(old, new, 1))


def _name_of(item: Any) -> str | None:
    if isinstance(item, Mapping):
        for field in IDENTIFYING:
            if isinstance(item.get(field), str):
                return f"{field}={item[field]}"
    return None
