"""The JSON Schema of reports, made from the tables of docs/json.md and docs/reports.md.

Run it to write ``casreplay/data/report.schema.json``; a test holds the file to it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "casreplay" / "data" / "report.schema.json"
_ROW = re.compile(r"^\| `([^`]+)` \| (.+?) \| (.+) \|$")
_SHAPE = re.compile(r"\[(\w+)\]\((?:json\.md)?#\w+\)")
_TYPES = {
    "text": {"type": "string"},
    "path": {"type": "string"},
    "time": {"type": "string"},
    "number": {"type": "number"},
    "true or false": {"type": "boolean"},
    "object": {"type": "object"},
    "objects": {"type": "object"},
    "paths": {"type": "string"},
}


def type_of(kind: str) -> dict[str, Any]:
    """The schema of one cell of a type column."""
    if kind.endswith(" or null"):
        return {"anyOf": [type_of(kind.removesuffix(" or null")), {"type": "null"}]}
    if kind.startswith("array of "):
        return {"type": "array", "items": type_of(kind.removeprefix("array of "))}
    shape = _SHAPE.fullmatch(kind)
    return {"$ref": f"#/$defs/{shape[1]}"} if shape else dict(_TYPES[kind])


def properties_at(schema: dict[str, Any]) -> dict[str, Any]:
    """The object inside a schema that fields are added to: through arrays and what may be null."""
    if "anyOf" in schema:
        return properties_at(schema["anyOf"][0])
    return properties_at(schema["items"]) if schema.get("type") == "array" else schema


def table(text: str) -> dict[str, Any]:
    """The schema of an object from the rows of a table; further fields are allowed, for they may be added."""
    top: dict[str, Any] = {"type": "object"}
    for line in text.splitlines():
        row = _ROW.match(line)
        if row is None:
            continue
        path, kind, meaning = row.groups()
        holder, parts = top, path.replace("[]", "").split(".")
        for part in parts[:-1]:
            holder = properties_at(holder["properties"][part])
            if "$ref" in holder:
                break  # a field beside those of a shape
        if "$ref" in holder:
            continue
        holder.setdefault("properties", {})[parts[-1]] = {**type_of(kind), "description": meaning}
        if "*optional*" not in meaning:
            holder.setdefault("required", []).append(parts[-1])
    return top


def sections(page: str) -> dict[str, str]:
    """Third-level headings and the text below them."""
    parts = re.split(r"^### (.+)$", (ROOT / "docs" / page).read_text("utf-8"), flags=re.MULTILINE)
    return {name.strip(): text.split("\n## ")[0] for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def schema() -> dict[str, Any]:
    """The whole schema: either kind of report."""
    shapes = sections("json.md")
    defs: dict[str, Any] = {}
    todo = ["IncidentWhole", "IncidentRow", "Pattern"]
    while todo:
        name = todo.pop()
        if name in defs:
            continue
        text = shapes[name]
        made = table(text)
        prose = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
        base = _SHAPE.match(prose.strip())
        if base:
            made = {"allOf": [{"$ref": f"#/$defs/{base[1]}"}, made]}
        defs[name] = made
        todo += [found for found in _SHAPE.findall(text) if found in shapes and found != "Change"]
    defs["Summary"] = table(sections("reports.md")["JSON of a report"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A report of casreplay",
        "anyOf": [{"$ref": "#/$defs/IncidentWhole"}, {"$ref": "#/$defs/Summary"}],
        "$defs": dict(sorted(defs.items())),
    }


def rendered() -> str:
    """The bytes of the file."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(rendered(), "utf-8")
    sys.stdout.write(f"wrote {FILE.name}\n")
