"""JSON with line numbers; comments and trailing commas are tolerated where the strict form fails."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
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

__all__ = ["read_json"]

_SPACE = re.compile(r"(?:[\s\ufeff]+|//[^\n]*|/\*.*?\*/|#[^\n]*)*", re.DOTALL)
_SCALAR = re.compile(r'"(?:[^"\\\n]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null')


@dataclass(frozen=True, slots=True)
class _Node:
    """A value with the line it begins on; ``value`` is a scalar, a list or pairs of nodes."""

    line: int
    value: Any


def read_json(text: str) -> Parsed:
    """Entries of a JSON document.

    Raises:
        ParseFailure: neither JSON nor JSON with comments.
    """
    reader = _Reader(text)
    node = reader.document()
    collector = Collector()
    _flatten(node, "", collector)
    return collector.done()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0

    def document(self) -> _Node:
        if not self._text.strip():
            raise ParseFailure("is empty")
        node = self._value(0)
        self._skip()
        if self._at < len(self._text):
            raise self._failure("has text after its end")
        return node

    def _failure(self, reason: str) -> ParseFailure:
        return ParseFailure(reason, self._here())

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _skip(self) -> str:
        match = _SPACE.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
        return self._text[self._at : self._at + 1]

    def _value(self, depth: int) -> _Node:
        if depth > MAX_DEPTH:
            raise self._failure(f"is nested deeper than {MAX_DEPTH} levels")
        first = self._skip()
        line = self._here()
        if first == "{":
            return _Node(line, dict(self._members(depth)))
        if first == "[":
            return _Node(line, self._items(depth))
        return _Node(line, self._scalar())

    def _scalar(self) -> object:
        match = _SCALAR.match(self._text, self._at)
        if match is None:
            rest = self._text[self._at : self._at + 1]
            raise self._failure(f"has an unexpected {rest!r}" if rest else "ends in the middle of a value")
        self._at = match.end()
        try:
            return json.loads(match.group(), strict=False)
        except ValueError as error:
            raise self._failure("has a broken string or number") from error

    def _members(self, depth: int) -> list[tuple[str, tuple[int, _Node]]]:
        self._at += 1
        members: list[tuple[str, tuple[int, _Node]]] = []
        while self._skip() != "}":
            line = self._here()
            if self._skip() != '"':
                raise self._failure("has a key without quotes" if self._skip() else "ends inside an object")
            key = str(self._scalar())
            if self._skip() != ":":
                raise self._failure("has a key without a value")
            self._at += 1
            members.append((key, (line, self._value(depth + 1))))
            self._separator("}")
        self._at += 1
        return members

    def _items(self, depth: int) -> list[_Node]:
        self._at += 1
        items: list[_Node] = []
        while self._skip() != "]":
            items.append(self._value(depth + 1))
            self._separator("]")
        self._at += 1
        return items

    def _separator(self, end: str) -> None:
        found = self._skip()
        if found == ",":
            self._at += 1
        elif found != end:
            raise self._failure("misses a comma or a bracket" if found else "ends before its last bracket")


def _flatten(node: _Node, key: str, collector: Collector, line: int = 0) -> None:
    line = line or node.line
    if collector.is_full:
        collector.add(key, "", "", line)
        return
    if isinstance(node.value, dict):
        if not node.value:
            collector.add(key, "object", "{}", line)
        for name, (at, child) in node.value.items():
            _flatten(child, f"{key}.{name}" if key else name, collector, at)
    elif isinstance(node.value, list):
        _flatten_list(node, key, collector, line)
    else:
        collector.add(key, *plain(node.value), line)


def _flatten_list(node: _Node, key: str, collector: Collector, line: int) -> None:
    if not any(isinstance(item.value, dict | list) for item in node.value):
        text = json.dumps([item.value for item in node.value], ensure_ascii=False)
        collector.add(key, "list", text, line)
        return
    for index, item in enumerate(node.value):
        _flatten(item, item_key(key, index, _name_of(item)), collector)


def _name_of(item: _Node) -> str | None:
    if isinstance(item.value, dict):
        for field in IDENTIFYING:
            found = item.value.get(field)
            if found is not None and isinstance(found[1].value, str):
                return f"{field}={found[1].value}"
    return None
