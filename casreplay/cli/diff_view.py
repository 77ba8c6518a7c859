"""Change sets as text: names, counts, bars, patches. ``diff``, ``show``, ``status`` and others use it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from casreplay.cli.output import Output
from casreplay.cli.shapes import entry_mode, shown_path, summary_fields
from casreplay.cli.text import count, safe, size
from casreplay.errors import MissingObjectError
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.ids import BlobId
from casreplay.model.objects import TreeEntry

__all__ = ["name_status_lines", "print_patch", "stat_lines", "summary_line"]

BAR = 40
_COLORS = {ChangeKind.ADDED: "green", ChangeKind.DELETED: "red", ChangeKind.RENAMED: "cyan"}
_WORDS = {ChangeKind.TYPE: "changed type", ChangeKind.MODE: "changed permissions"}
_PATCH_STYLES = ((b"@@", "cyan"), (b"+", "green"), (b"-", "red"))

Read = Callable[[BlobId], bytes]


def name_status_lines(out: Output, changes: Iterable[Change]) -> Iterator[str]:
    """``M<tab>path`` for each change; a rename shows both names and how alike they are."""
    for change in changes:
        letter = change.kind.sigil
        path = shown_path(change.path, change.after or change.before)
        if change.old_path is not None:
            letter += f"{change.similarity:03d}"
            path = f"{shown_path(change.old_path)}\t{path}"
        color = _COLORS.get(change.kind)
        line = f"{letter}\t{path}"
        yield out.style(line, color) if color else line


def summary_line(changes: Sequence[Change]) -> str:
    """``5 paths: 1 added, 3 modified, 1 deleted; 12 KB more``."""
    numbers = summary_fields(changes)
    if not changes:
        return "Nothing differs"
    parts = [
        f"{numbers[kind.value]:,} {_WORDS.get(kind, kind.value)}"
        for kind in ChangeKind
        if numbers[kind.value]
    ]
    growth = sum(_bytes(change.after) - _bytes(change.before) for change in changes)
    trend = f"{size(abs(growth))} {'more' if growth > 0 else 'less'}" if growth else "the same size"
    return f"{count(len(changes), 'path')}: {', '.join(parts)}; {trend}"


def _bytes(entry: TreeEntry | None) -> int:
    return entry.size_bytes if entry is not None and entry.kind.has_content else 0


def print_patch(out: Output, changes: Iterable[Change], read: Read, *, context: int = 3) -> None:
    """The changed lines: escaped and coloured on a terminal, byte for byte into a file or pipe."""
    from casreplay.history.patch import patch  # noqa: PLC0415 - start-up speed

    for change in changes:
        lines = patch(change, read, context=context)
        if out.is_terminal:
            out.lines(_styled(out, line) for line in lines)
        else:
            out.raw(lines)


def _styled(out: Output, line: bytes) -> str:
    text = safe(line.decode("utf-8", "surrogateescape").removesuffix("\n"))
    if line.startswith(b" "):
        return text
    if line.startswith((b"--- ", b"+++ ")):
        return out.style(text, "bold")
    return out.style(text, next((style for start, style in _PATCH_STYLES if line.startswith(start)), "bold"))


def stat_lines(out: Output, changes: Sequence[Change], read: Read) -> Iterator[str]:
    """A line for each file: lines added and removed, or sizes where lines say nothing; then the sum."""
    counts = [_line_counts(change, read) for change in changes]
    names = [_stat_name(change) for change in changes]
    width = max((len(name) for name in names), default=0)
    most = max((added + removed for added, removed in counts if added >= 0), default=0)
    scale = min(1.0, BAR / most) if most else 1.0
    for change, name, (added, removed) in zip(changes, names, counts, strict=True):
        if added < 0:
            yield f" {name.ljust(width)} | {_sizes(change)}"
            continue
        plus = out.style("+" * _bar(added, scale), "green")
        minus = out.style("-" * _bar(removed, scale), "red")
        yield f" {name.ljust(width)} | {added + removed:>5} {plus}{minus}".rstrip()
    more = sum(added for added, _ in counts if added > 0)
    less = sum(removed for _, removed in counts if removed > 0)
    yield f" {summary_line(changes)}; {count(more, 'line')} added, {count(less, 'line')} removed"


def _bar(number: int, scale: float) -> int:
    return max(1, round(number * scale)) if number else 0


def _stat_name(change: Change) -> str:
    path = shown_path(change.path, change.after or change.before)
    return f"{shown_path(change.old_path)} => {path}" if change.old_path is not None else path


def _line_counts(change: Change, read: Read) -> tuple[int, int]:
    """Lines added and removed; (-1, -1) where lines say nothing: binary or purged files, folders, modes."""
    from casreplay.history.patch import MAX_TEXT_BYTES, line_counts  # noqa: PLC0415 - start-up speed

    sides = (change.before, change.after)
    entries = [entry for entry in sides if entry is not None]
    if any(entry.blob_id is None or entry.size_bytes > MAX_TEXT_BYTES for entry in entries):
        return -1, -1
    if all(sides) and entries[0].id == entries[-1].id:
        return -1, -1
    try:
        before, after = (
            b"" if entry is None or entry.blob_id is None else read(entry.blob_id) for entry in sides
        )
    except MissingObjectError as error:
        if not error.is_purged:
            raise
        return -1, -1
    found = line_counts(before, after)
    return found.added, found.removed


def _sizes(change: Change) -> str:
    """What happened to a file without lines: ``1.2 KB -> 3.4 KB``, ``mode 100644 -> 100755``."""
    before, after = change.before, change.after
    if before is not None and after is not None and before.id == after.id:
        if change.kind is ChangeKind.MODE:
            return f"mode {entry_mode(before)} -> {entry_mode(after)}"
        return "same content"
    return " -> ".join("none" if entry is None else size(entry.size_bytes) for entry in (before, after))
