"""Reads docs/json.md: which fields each command's JSON has, and which of them may be missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent.parent / "docs" / "json.md"
_ROW = re.compile(r"^\| `([^`]+)` \| (.+?) \| (.+) \|$")
_SHAPE = re.compile(r"\[(\w+)\]\(#\w+\)")


def sections() -> dict[str, str]:
    """Heading (third level) to the text below it."""
    parts = re.split(r"^### (.+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return {heading.strip(): text.split("\n## ")[0] for heading, text in pairs}


def documented(heading: str) -> dict[str, bool]:
    """Field path to whether it must be there; shapes are expanded, ``[]`` means the items of an array."""
    found: dict[str, bool] = {}
    text = sections()[heading]
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
    for shape in _SHAPE.findall(prose.split("\n\n")[1] if "\n\n" in prose else prose)[:1]:
        found.update(documented(shape))
    for line in text.splitlines():
        row = _ROW.match(line)
        if row is None:
            continue
        path, kind, meaning = row.groups()
        found[path] = "*optional*" not in meaning
        shape = _SHAPE.search(kind)
        if shape is not None:
            below = path + ("[]" if kind.startswith("array") else "")
            nullable = "null" in kind
            found.update(
                {f"{below}.{key}": must and not nullable for key, must in documented(shape[1]).items()}
            )
    return found


def fields_of(value: Any, at: str = "") -> Iterator[str]:
    """Every field path in a JSON value."""
    if isinstance(value, dict):
        for key, item in value.items():
            path = f"{at}.{key}" if at else key
            yield path
            yield from fields_of(item, path)
    elif isinstance(value, list):
        for item in value:
            yield from fields_of(item, f"{at}[]")


def disagreements(heading: str, value: Any) -> list[str]:
    """What the page and a command's output do not agree on."""
    page, seen = documented(heading), set(fields_of(value))
    wrong = [f"{path} is not documented" for path in sorted(seen - set(page))]
    for path, must in page.items():
        holder = path.rpartition(".")[0]
        has_holder = not holder or (holder.removesuffix("[]") in seen and _has_items(holder, seen))
        if must and path not in seen and has_holder:
            wrong.append(f"{path} is missing")
    return wrong


def _has_items(holder: str, seen: set[str]) -> bool:
    """Whether an array had items to look at; objects always have."""
    return not holder.endswith("[]") or any(path.startswith(holder + ".") for path in seen)
