"""Readers for plain values in ``casreplay.json``: problems found so far, where it is, and a value go in.

A reader returns the typed value, or ``None`` (for lists: what was good) after noting what is
wrong; so one pass finds everything.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from casreplay.codec.regexes import refusal
from casreplay.model import config as model
from casreplay.model.findings import Severity

__all__ = [
    "Problems",
    "choice",
    "choices",
    "count",
    "flag",
    "items",
    "name_of",
    "number",
    "percent",
    "regex",
    "regexes",
    "severity",
    "switches",
    "table_of",
    "text",
    "texts",
]

MAX_LIST = 10_000


class Problems:
    """What is wrong with a configuration, one line each, in the order found."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, at: str, problem: str) -> None:
        """Add a problem of the value at ``at``."""
        self.lines.append(f"{at}: {problem}" if at else problem)

    def unknown(self, at: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
        """Note every key of ``table`` that is not ``known``, with the nearest that is."""
        names = list(known)
        for key in table:
            if key not in names:
                near = difflib.get_close_matches(key.upper() if not at else key, names, n=1, cutoff=0.6)
                guess = f"; did you mean {near[0]}?" if near else ""
                self.note(at, f"Unknown key {key!r}{guess}")

    def table(self, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        """A JSON object from its pairs; a key given twice is a problem. For ``json.loads``."""
        table = dict(pairs)
        if len(table) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    self.note("", f"The key {key!r} is given twice")
                seen.add(key)
        return table


def text(found: Problems, at: str, value: Any) -> str | None:
    """A string without NUL."""
    if isinstance(value, str) and "\0" not in value:
        return value
    found.note(at, f"must be a text, not {_kind(value)}")
    return None


def flag(found: Problems, at: str, value: Any) -> bool | None:
    """``true`` or ``false``."""
    if isinstance(value, bool):
        return value
    found.note(at, f"must be true or false, not {_kind(value)}")
    return None


def count(found: Problems, at: str, value: Any) -> int | None:
    """A whole number from 0 up."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63:
        return value
    found.note(at, f"must be a whole number from 0 up, not {_shown(value)}")
    return None


def number(found: Problems, at: str, value: Any) -> float | None:
    """A number from 0 up."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return float(value)
    found.note(at, f"must be a number from 0 up, not {_shown(value)}")
    return None


def percent(found: Problems, at: str, value: Any) -> float | None:
    """A number from 0 to 100."""
    result = number(found, at, value)
    if result is not None and result > 100:
        found.note(at, f"must be at most 100, not {_shown(value)}")
        return None
    return result


def choice(found: Problems, at: str, value: Any, words: Sequence[str]) -> str | None:
    """One of ``words``."""
    if isinstance(value, str) and value in words:
        return value
    near = difflib.get_close_matches(value, words, n=1) if isinstance(value, str) else []
    guess = f"; did you mean {near[0]}?" if near else ""
    found.note(at, f"must be one of {', '.join(words)}, not {_shown(value)}{guess}")
    return None


def choices(found: Problems, at: str, value: Any, words: Sequence[str]) -> tuple[str, ...]:
    """A list of ``words``."""
    results = (choice(found, f"{at}[{i}]", item, words) for i, item in enumerate(items(found, at, value)))
    return tuple(word for word in results if word is not None)


def texts(found: Problems, at: str, value: Any) -> tuple[str, ...]:
    """A list of texts, or one text."""
    listed = [value] if isinstance(value, str) else items(found, at, value)
    results = (text(found, f"{at}[{i}]", item) for i, item in enumerate(listed))
    return tuple(word for word in results if word is not None)


def regexes(found: Problems, at: str, value: Any) -> tuple[str, ...]:
    """A list of regular expressions that match in linear time, or one."""
    listed = [value] if isinstance(value, str) else items(found, at, value)
    results = (regex(found, f"{at}[{i}]", item) for i, item in enumerate(listed))
    return tuple(word for word in results if word)


def regex(found: Problems, at: str, value: Any) -> str:
    """One regular expression that matches in linear time; empty after a problem."""
    pattern = text(found, at, value)
    if pattern is None:
        return ""
    reason = refusal(pattern) if pattern else "is empty"
    if reason:
        found.note(at, f"{pattern!r} {reason}")
        return ""
    return pattern


def switches(found: Problems, at: str, value: Any) -> Mapping[str, bool]:
    """Built-in groups switched on and off by name."""
    table = table_of(found, at, value)
    found.unknown(at, table, model.DEFAULT_GROUP_NAMES)
    states = {
        key: flag(found, f"{at}.{key}", table[key]) for key in model.DEFAULT_GROUP_NAMES if key in table
    }
    return MappingProxyType({key: state for key, state in states.items() if state is not None})


def severity(found: Problems, at: str, value: Any) -> Severity:
    """A severity by its word; medium after a problem."""
    try:
        return Severity.parse(value if isinstance(value, str) else repr(value))
    except ValueError as error:
        found.note(at, str(error))
        return Severity.MEDIUM


def name_of(found: Problems, at: str, table: Mapping[str, Any]) -> str | None:
    """The table's ``name``."""
    name = table.get("name")
    if isinstance(name, str) and name.strip() and name.isprintable() and len(name) <= 100:
        return name
    found.note(at, "needs a name of 1 to 100 printable characters")
    return None


def items(found: Problems, at: str, value: Any) -> Sequence[Any]:
    """The items of a list; none after a problem."""
    if not isinstance(value, list):
        found.note(at, f"must be a list, not {_kind(value)}")
        return ()
    if len(value) > MAX_LIST:
        found.note(at, f"has {len(value)} items, more than {MAX_LIST}")
        return ()
    return value


def table_of(found: Problems, at: str, value: Any) -> Mapping[str, Any]:
    """An object; an empty one after a problem."""
    if not isinstance(value, dict):
        found.note(at, f"must be an object, not {_kind(value)}")
        return {}
    return value


def _kind(value: Any) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "null")


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
