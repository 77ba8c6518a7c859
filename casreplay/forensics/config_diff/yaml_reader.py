"""YAML through PyYAML's parser where it is installed, through a plain line reader where not.

Only the parser's events are used: no tag is executed, and nesting is counted here, because
PyYAML's own composer recurses in C and crashes the process on a few hundred thousand
brackets. Aliases are followed only while entries are left, so that a file of a few lines cannot
expand to billions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from casreplay.forensics.config_diff.entries import (
    IDENTIFYING,
    MAX_DEPTH,
    Collector,
    Parsed,
    ParseFailure,
    item_key,
)

__all__ = ["REDUCED", "read_yaml", "read_yaml_lines"]

REDUCED = "PyYAML is not installed: only block mappings of plain values were compared"
_TYPES = {
    "tag:yaml.org,2002:int": "number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:null": "null",
    "tag:yaml.org,2002:timestamp": "date",
}
_LINE = re.compile(
    r"(?P<indent> *)(?P<dash>- +)?(?P<key>[^\s#:\-'\"][^:#]*?|'[^']*'|\"[^\"]*\")\s*:(?:\s+(?P<value>.*))?$"
)
_COMMENT = re.compile(r"\s+#.*$")


@dataclass(slots=True)
class _Node:
    """A scalar (``value`` its text), a list (of nodes) or a mapping (of node pairs)."""

    kind: str
    line: int
    type: str = ""
    value: Any = None


def read_yaml(text: str) -> Parsed:
    """Entries of all documents of a YAML file; later documents' keys begin with their number.

    Raises:
        ParseFailure: not YAML, or nested too deep.
    """
    try:
        import yaml  # noqa: PLC0415 - an extra, loaded for the files that need it
    except ImportError:
        return read_yaml_lines(text)
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    collector = Collector()
    try:
        resolver: Any = yaml.SafeLoader("")
        builder = _Builder(lambda value, implicit: resolver.resolve(yaml.ScalarNode, value, implicit))
        for number, node in enumerate(builder.documents(yaml.parse(text, Loader=loader))):
            _flatten(node, "" if number == 0 else f"[document {number + 1}]", collector, 0)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = f"is no YAML ({error.problem or 'broken'})"
        raise ParseFailure(reason, mark.line + 1 if mark else 0) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ParseFailure("is no YAML") from error
    return collector.done()


class _Builder:
    """Builds nodes from events with a stack of its own: the composer's recursion can crash."""

    def __init__(self, resolve: Callable[[str, tuple[bool, bool]], str]) -> None:
        self._resolve = resolve
        self._stack: list[_Node] = []
        self._anchors: dict[str, _Node] = {}

    def documents(self, events: Iterable[Any]) -> Iterator[_Node]:
        """The root of each document."""
        for event in events:
            name = type(event).__name__
            if name == "DocumentStartEvent":
                self._anchors = {}
            elif name in ("SequenceStartEvent", "MappingStartEvent"):
                self._open(event, "list" if name[0] == "S" else "mapping")
            elif name in ("SequenceEndEvent", "MappingEndEvent", "ScalarEvent", "AliasEvent"):
                done = self._stack.pop() if name.endswith("EndEvent") else self._leaf(event, name)
                if not self._stack:
                    yield done
                else:
                    _into(self._stack[-1], done)

    def _open(self, event: Any, kind: str) -> None:
        line = event.start_mark.line + 1
        if len(self._stack) >= MAX_DEPTH:
            raise ParseFailure(f"is nested deeper than {MAX_DEPTH} levels", line)
        self._stack.append(self._anchored(_Node(kind, line, value=[]), event))

    def _leaf(self, event: Any, name: str) -> _Node:
        line = event.start_mark.line + 1
        if name == "AliasEvent":
            if event.anchor not in self._anchors:
                raise ParseFailure(f"names the unknown anchor {event.anchor}", line)
            return self._anchors[event.anchor]
        tag = event.tag or self._resolve(event.value, event.implicit)
        return self._anchored(_Node("scalar", line, _TYPES.get(tag, "string"), event.value), event)

    def _anchored(self, node: _Node, event: Any) -> _Node:
        if event.anchor:
            self._anchors[event.anchor] = node
        return node


def _into(parent: _Node, child: _Node) -> None:
    """Append a child; in a mapping keys and values take turns."""
    if parent.kind == "list":
        parent.value.append(child)
    elif parent.value and len(parent.value[-1]) == 1:
        parent.value[-1] = (parent.value[-1][0], child)
    else:
        parent.value.append((child,))


def _flatten(node: _Node, key: str, collector: Collector, depth: int, line: int = 0) -> None:
    line = line or node.line
    if depth > MAX_DEPTH:
        raise ParseFailure(f"is nested deeper than {MAX_DEPTH} levels", line)
    if collector.is_full:
        collector.add(key, "", "", line)
        return
    if node.kind == "scalar":
        collector.add(key, node.type, node.value, line)
    elif node.kind == "mapping":
        if not node.value:
            collector.add(key, "object", "{}", line)
        for name, child in node.value:
            text = str(name.value) if name.kind == "scalar" else "?"
            _flatten(child, f"{key}.{text}" if key else text, collector, depth + 1, name.line)
    elif all(item.kind == "scalar" for item in node.value):
        collector.add(key, "list", "[" + ", ".join(item.value for item in node.value) + "]", line)
    else:
        for index, item in enumerate(node.value):
            _flatten(item, item_key(key, index, _name_of(item)), collector, depth + 1)


def _name_of(item: _Node) -> str | None:
    if item.kind == "mapping":
        fields = {k.value: v.value for k, v in item.value if k.kind == v.kind == "scalar"}
        for field in IDENTIFYING:
            if field in fields:
                return f"{field}={fields[field]}"
    return None


def read_yaml_lines(text: str) -> Parsed:
    """Entries of block mappings of plain values, read line by line; says that it is not all."""
    collector = Collector(reduced=REDUCED)
    stack: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        found = _LINE.match(line)
        if found is None or line.lstrip().startswith("#"):
            continue
        indent = len(found["indent"]) + len(found["dash"] or "")
        while stack and stack[-1][0] >= indent:
            stack.pop()
        name = found["key"].strip("\"'")
        key = f"{stack[-1][1]}.{name}" if stack else name
        stack.append((indent, key))
        value = _COMMENT.sub("", found["value"] or "").strip()
        if value and not value.startswith(("&", "*", "|", ">", "!", "{", "[")):
            collector.add(key, "string", value.strip("\"'"), number)
    return collector.done()
