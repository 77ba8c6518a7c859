"""A configuration file as flat entries: a key path, a value, a line.

Bounds that every reader holds: 2 MB of text, 100 levels, 20,000 entries (which also caps what
YAML aliases can expand to).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_ENTRIES", "Collector", "ConfigEntry", "ParseFailure", "Parsed"]

MAX_BYTES = 2_000_000
MAX_DEPTH = 100
MAX_ENTRIES = 20_000


class ParseFailure(Exception):  # noqa: N818 - it is what parsing ends with, caught by the caller at once
    """The text is not of its format.

    Attributes:
        reason: a phrase for people, without a position.
        line: where, from 1; 0 when not known.
    """

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """One value.

    Attributes:
        key: names from the root, ``.`` between them, ``[i]`` or ``[name=x]`` for list items.
        type: ``string number boolean null list object date``.
        value: the value as text; a whole list of plain values is one entry.
        line: where the key stands, from 1.
    """

    key: str
    type: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """Entries in file order, and what was not read: empty when everything was."""

    entries: tuple[ConfigEntry, ...]
    reduced: str = ""


@dataclass(slots=True)
class Collector:
    """Gathers entries within the bounds."""

    entries: list[ConfigEntry] = field(default_factory=list)
    reduced: str = ""

    def add(self, key: str, kind: str, value: str, line: int) -> None:
        """Keep an entry, or note that there were too many."""
        if len(self.entries) >= MAX_ENTRIES:
            self.reduced = f"only the first {MAX_ENTRIES:,} keys were read"
        else:
            self.entries.append(ConfigEntry(key, kind, value, line))

    @property
    def is_full(self) -> bool:
        """Whether nothing more is kept."""
        return len(self.entries) >= MAX_ENTRIES

    def done(self) -> Parsed:
        """What was gathered."""
        return Parsed(tuple(self.entries), self.reduced)


Reader = Callable[[str], Parsed]


def plain(value: object) -> tuple[str, str]:
    """Type and text of a scalar as JSON and TOML have them."""
    if value is None:
        return "null", "null"
    if isinstance(value, bool):
        return "boolean", "true" if value else "false"
    if isinstance(value, int | float):
        return "number", repr(value)
    if isinstance(value, str):
        return "string", value
    return "date", str(value)


def item_key(key: str, index: int, name: str | None) -> str:
    """The key of a list item: by name where it has one, so that an insertion moves nothing."""
    return f"{key}[{index}]" if name is None else f"{key}[{name}]"


IDENTIFYING = ("name", "id", "key")
"""Fields that tell the items of a list apart, the first that is there."""
