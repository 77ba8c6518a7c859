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
    collector, section, pending = Collector(), "", ""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        heading = _SECTION.match(line)
        pair = _PAIR.match(line)
        if heading is not None:
            section, pending = heading["name"].strip(), ""
        elif line[0] in " \t" and pending:
            last = collector.entries.pop()
            collector.add(last.key, "string", f"{last.value}\n{line.strip()}", last.line)
        elif pair is not None:
            pending = f"{section}.{pair['key']}" if section else pair["key"]
            collector.add(pending, *_kind(_unquoted(pair["value"])), number)
        elif re.fullmatch(r"\s*[\w.\-]+\s*", line):
            pending = f"{section}.{line.strip()}" if section else line.strip()
            collector.add(pending, "null", "", number)
        else:
            raise ParseFailure("has a line that is neither a section nor a key", number)
    return collector.done()


def read_env(text: str) -> Parsed:
    """Entries of a ``.env`` file.

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
        value, start = pair["value"], number
        quote = value[:1]
        if quote in ('"', "'") and value and not _closed(value, quote):
            while number < len(lines) and not _closed(value, quote):
                value += "\n" + lines[number]
                number += 1
        collector.add(pair["key"], *_kind(_unquoted(value)), start)
    return collector.done()


def _closed(value: str, quote: str) -> bool:
    return len(value) > 1 and re.search(rf"(?<!\\){quote}", value[1:]) is not None


def read_properties(text: str) -> Parsed:
    """Entries of a Java properties file, continuation lines joined. Anything is a key there."""
    collector, held, start = Collector(), "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not held and (not line.strip() or line.lstrip()[0] in "#!"):
            continue
        start = start if held else number
        held += line.lstrip() if held else line
        if (len(held) - len(held.rstrip("\\"))) % 2:
            held = held[:-1]
            continue
        pair = _PROPERTY.match(held + " ")
        if pair is not None:
            collector.add(pair["key"], *_kind(pair["value"].strip()), start)
        held = ""
    return collector.done()


def read_toml(text: str) -> Parsed:
    """Entries of a TOML document. Lines are those of the keys; inside inline tables, of the outer key.

    Raises:
        ParseFailure: not TOML.
    """
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
