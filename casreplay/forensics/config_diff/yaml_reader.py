"""YAML through PyYAML's composer where it is installed, through a plain line reader where not.

The composer builds nodes, never objects: no tag is executed. Aliases are followed only while
entries are left, so that a file of a few lines cannot expand to billions.
"""

from __future__ import annotations

import re
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


def read_yaml(text: str) -> Parsed:
    """Entries of all documents of a YAML file; later documents' keys begin with their number.

    Raises:
        ParseFailure: not YAML.
    """
    try:
        import yaml  # noqa: PLC0415 - an extra, loaded for the files that need it
    except ImportError:
        return read_yaml_lines(text)
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    collector = Collector()
    try:
        for number, node in enumerate(yaml.compose_all(text, Loader=loader)):
            if node is not None:
                _flatten(node, "" if number == 0 else f"[document {number + 1}]", collector, 0)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = f"is no YAML ({error.problem or 'broken'})"
        raise ParseFailure(reason, mark.line + 1 if mark else 0) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ParseFailure("is no YAML or nested too deep") from error
    return collector.done()


def _flatten(node: Any, key: str, collector: Collector, depth: int, line: int = 0) -> None:
    line = line or node.start_mark.line + 1
    if depth > MAX_DEPTH:
        raise ParseFailure(f"is nested deeper than {MAX_DEPTH} levels", line)
    if collector.is_full:
        collector.add(key, "", "", line)
        return
    if node.id == "scalar":
        collector.add(key, _TYPES.get(node.tag, "string"), node.value, line)
    elif node.id == "mapping":
        if not node.value:
            collector.add(key, "object", "{}", line)
        for name, child in node.value:
            text = str(name.value) if name.id == "scalar" else "?"
            _flatten(child, f"{key}.{text}" if key else text, collector, depth + 1, name.start_mark.line + 1)
    else:
        _flatten_list(node, key, collector, depth, line)


def _flatten_list(node: Any, key: str, collector: Collector, depth: int, line: int) -> None:
    if all(item.id == "scalar" for item in node.value):
        collector.add(key, "list", "[" + ", ".join(item.value for item in node.value) + "]", line)
        return
    for index, item in enumerate(node.value):
        _flatten(item, item_key(key, index, _name_of(item)), collector, depth + 1)


def _name_of(item: Any) -> str | None:
    if item.id == "mapping":
        fields = {k.value: v.value for k, v in item.value if k.id == v.id == "scalar"}
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
