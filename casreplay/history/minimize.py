"""From the boundary's change set to the part of it that matters: whole files first, then hunks.

Pure: parts in, a callable that judges a set of parts, a 1-minimal set out. How a set
of parts becomes a folder and a verdict is the caller's affair (``history.bisect_shrink``).

Method: the shortest sufficient prefix is found by halving; its last part is needed
(without it the prefix is not bad), so it is kept and the search goes on before it.
With s parts that matter among n this takes about s * (log2 n + 1) runs, where ddmin's worst case is
quadratic. What comes back is bad, and a last pass makes it 1-minimal: no single
part can be left out. Other minimal sets may exist.
Source: A. Zeller and R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input"
(1-minimality); U. Junker, "QuickXplain" (halving for the next needed part).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from casreplay.history.lines import match, split_lines
from casreplay.history.patch import is_binary
from casreplay.model.changes import Change, ChangeKind

__all__ = [
    "MAX_HUNK_BYTES",
    "Hunk",
    "Part",
    "apply_hunks",
    "group_changes",
    "hunks_of",
    "minimal_set",
    "split_hunks",
]

MAX_HUNK_BYTES = 1 << 20
"""Files above this are kept or left whole."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """One edit without context: ``old_lines`` lines from ``old_start`` become ``new``.

    Starts count from 1; where a side has no lines the start is the line before, as in a
    unified diff.
    """

    old_start: int
    old_lines: int
    new_start: int
    new_lines: int
    new: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is applied or left out as a whole.

    Attributes:
        changes: the file changes it belongs to; several when they cannot exist apart
            (a file that became a folder, and what is in the folder).
        hunk: one edit of the single change; ``None`` for all of it.
    """

    changes: tuple[Change, ...]
    hunk: Hunk | None = None


def minimal_set(
    parts: Sequence[Part],
    is_bad: Callable[[frozenset[Part]], bool],
    *,
    kept: frozenset[Part] = frozenset(),
) -> list[Part]:
    """A 1-minimal set of ``parts`` that is bad together with ``kept``, in the given order.

    Args:
        parts: all of them together (with ``kept``) are bad, none of them is not.
        is_bad: judges a set; called once for each distinct set. A set that cannot be judged, or fails
            in another way, is not bad.
        kept: parts that are applied in every trial.
    """
    known: dict[frozenset[Part], bool] = {kept: False, kept.union(parts): True}

    def bad(chosen: Sequence[Part]) -> bool:
        trial = kept.union(chosen)
        if trial not in known:
            known[trial] = is_bad(trial)
        return known[trial]

    needed: list[Part] = []
    rest = list(parts)
    while rest and not bad(needed):
        low, high = 0, len(rest)
        while high - low > 1:
            middle = _cut_point(rest, low, high)
            low, high = (low, middle) if bad([*needed, *rest[:middle]]) else (middle, high)
        needed.append(rest[high - 1])
        del rest[high - 1 :]
    return _one_minimal([p for p in parts if p in needed], bad)


def _cut_point(parts: Sequence[Part], low: int, high: int) -> int:
    """Where to cut ``low..high``: between two files if one lies near the middle, else in the middle.

    A state in which a file is changed by half fails in another way more often than one
    in which some files are changed and others are not.
    """
    middle, reach = (low + high) // 2, (high - low) // 4
    for distance in range(reach + 1):
        for cut in (middle - distance, middle + distance):
            if low < cut < high and parts[cut - 1].changes != parts[cut].changes:
                return cut
    return middle


def _one_minimal(found: list[Part], bad: Callable[[Sequence[Part]], bool]) -> list[Part]:
    i = 0
    while i < len(found) and len(found) > 1:
        smaller = found[:i] + found[i + 1 :]
        if bad(smaller):
            found, i = smaller, 0
        else:
            i += 1
    return found


def group_changes(changes: Sequence[Change]) -> list[Part]:
    """Changes as parts: one each, but a type change together with everything at or below its path."""
    parts: list[Part] = []
    group: list[Change] = []
    for change in changes:
        if group and change.path.startswith(group[0].path + b"/"):
            group.append(change)
            continue
        if group:
            parts.append(Part(tuple(group)))
            group = []
        if change.kind is ChangeKind.TYPE:
            group = [change]
        else:
            parts.append(Part((change,)))
    if group:
        parts.append(Part(tuple(group)))
    return parts


def split_hunks(part: Part, before: bytes, after: bytes) -> list[Part]:
    """``part`` cut into its hunks, or unchanged where that makes no sense.

    Cut are text files whose content alone changed, up to 1 MiB, in two hunks or more.
    Any subset of the hunks applies to ``before``.
    """
    change = part.changes[0]
    is_whole = len(part.changes) > 1 or change.before is None or change.after is None
    if is_whole or max(len(before), len(after)) > MAX_HUNK_BYTES or is_binary(before) or is_binary(after):
        return [part]
    if change.before is None or change.after is None or change.before.mode != change.after.mode:
        return [part]
    found = hunks_of(before, after)
    return [Part(part.changes, hunk) for hunk in found] if len(found) > 1 else [part]


def hunks_of(before: bytes, after: bytes) -> list[Hunk]:
    """The edits from ``before`` to ``after`` in order, without context."""
    old, new = split_lines(before), split_lines(after)
    found: list[Hunk] = []
    a = b = 0
    runs = [(m.before, m.after, m.count) for m in match(old, new)]
    for x, y, count in [*runs, (len(old), len(new), 0)]:
        if x > a or y > b:
            found.append(Hunk(a + (x > a), x - a, b + (y > b), y - b, tuple(new[b:y])))
        a, b = x + count, y + count
    return found


def apply_hunks(before: bytes, hunks: Sequence[Hunk]) -> bytes:
    """``before`` with ``hunks`` (any of those ``hunks_of`` gave for it) applied."""
    lines = split_lines(before)
    for hunk in sorted(hunks, key=lambda h: (h.old_start, h.old_lines), reverse=True):
        start = hunk.old_start - 1 if hunk.old_lines else hunk.old_start
        lines[start : start + hunk.old_lines] = hunk.new
    return b"".join(lines)
