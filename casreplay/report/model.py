"""A report as a value: sections of blocks, every claim with its citation. One value, many formats.

Owns the vocabulary that exporters must render. Text in blocks is plain: exporters escape it,
because log text is hostile (markup, terminal escapes, bidirectional controls).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Bars",
    "Block",
    "Chain",
    "Citation",
    "DiffBlock",
    "DiffRow",
    "Item",
    "Items",
    "Paragraph",
    "Report",
    "Section",
    "Table",
    "TimelineBlock",
]


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a sentence is proved: a path, lines, a snapshot and a blob (hex, possibly empty)."""

    path: str
    line: int | None = None
    end_line: int | None = None
    snapshot: str = ""
    blob: str = ""

    @property
    def text(self) -> str:
        """``path:line@snapshot``, as one would type it to look."""
        lines = "" if self.line is None else f":{self.line}"
        if self.end_line is not None and self.end_line != self.line:
            lines += f"-{self.end_line}"
        return f"{self.path}{lines}" + (f" @{self.snapshot[:12]}" if self.snapshot else "")

    @property
    def command(self) -> str:
        """The command that shows the bytes."""
        return f"casreplay show {self.snapshot[:12]}:{self.path}" if self.snapshot else ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a list: text, an optional remark behind it, citations."""

    text: str
    remark: str = ""
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Items:
    """A list; numbered when the order matters."""

    items: tuple[Item, ...]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table: column heads and rows of text."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class TimelineBlock:
    """Events in order: (time text, quality, kind, text, citation or nothing, level)."""

    rows: tuple[tuple[str, str, str, str, Citation | None, str], ...]


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One row of a side-by-side diff; a side that has no line there is ``None``."""

    old_line: int | None
    old_text: str
    new_line: int | None
    new_text: str
    kind: str
    """``same``, ``changed``, ``removed``, ``added`` or ``gap``."""


@dataclass(frozen=True, slots=True)
class DiffBlock:
    """What changed in one file, side by side; ``note`` says why there are no rows."""

    path: str
    rows: tuple[DiffRow, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """A decision chain: (decision, why, what followed, time text, citation), in order."""

    links: tuple[tuple[str, str, tuple[str, ...], str, Citation], ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """A small bar chart: a name and a number each."""

    title: str
    values: tuple[tuple[str, float], ...]


Block = Paragraph | Items | Table | TimelineBlock | DiffBlock | Chain | Bars


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it; ``anchor`` is its stable id in a page."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report.

    Attributes:
        title: one line.
        facts: a few names and values that stand on top.
        sections: in order.
        data: the values behind it, for the JSON format.
        findings: findings as JSON rows, for SARIF.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    data: Mapping[str, Any]
    findings: Sequence[Mapping[str, Any]] = ()
