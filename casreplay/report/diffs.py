"""Side-by-side rows of two contents, in hunks with three lines of context."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from casreplay.report.model import DiffBlock, DiffRow

__all__ = ["side_by_side"]

CONTEXT = 3
MAX_ROWS = 2000
MAX_BYTES = 200_000
MAX_LINES = 3_000
MAX_LINE = 300


def side_by_side(path: str, before: bytes, after: bytes, *, most: int = MAX_ROWS) -> DiffBlock:
    """The difference of two texts; a note instead of rows for binary, huge or equal ones.

    Args:
        path: shown above it.
        before: the old content.
        after: the new one.
        most: rows shown; 0 for all.
    """
    if b"\0" in before[:8000] or b"\0" in after[:8000]:
        return DiffBlock(path, (), "binary content is not shown")
    if max(len(before), len(after)) > MAX_BYTES:
        return DiffBlock(path, (), "too large to show side by side; `casreplay diff --patch` shows it")
    old, new = _lines(before), _lines(after)
    if max(len(old), len(new)) > MAX_LINES:
        return DiffBlock(path, (), "too many lines to show side by side; `casreplay diff --patch` shows them")
    rows = list(_rows(old, new))
    left = len(rows) - most if most and len(rows) > most else 0
    note = f"{left:,} more rows are not shown" if left else "" if rows else "the texts are equal"
    return DiffBlock(path, tuple(rows[:most] if left else rows), note)


def _lines(data: bytes) -> list[str]:
    return [line[:MAX_LINE] for line in data.decode("utf-8", "replace").splitlines()]


def _rows(old: list[str], new: list[str]) -> Iterator[DiffRow]:
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for number, group in enumerate(matcher.get_grouped_opcodes(CONTEXT)):
        if number:
            yield DiffRow(None, "", None, "", "gap")
        for tag, a, b, c, d in group:
            if tag == "equal":
                for i, j in zip(range(a, b), range(c, d), strict=True):
                    yield DiffRow(i + 1, old[i], j + 1, new[j], "same")
                continue
            for k in range(max(b - a, d - c)):
                i, j = a + k, c + k
                has_old, has_new = i < b, j < d
                kind = "changed" if has_old and has_new else "removed" if has_old else "added"
                yield DiffRow(
                    i + 1 if has_old else None,
                    old[i] if has_old else "",
                    j + 1 if has_new else None,
                    new[j] if has_new else "",
                    kind,
                )
