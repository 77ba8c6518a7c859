"""What changes from snapshot to snapshot over a long history, in counts alone.

Owns: how many paths differ between two trees, how many of them are gone, and how many
empty files came or went, without a path or an entry ever becoming an object. Counts
exactly what ``history.diff.diff_trees`` lists, at a fraction of its cost; a property test
holds the two together. The ids that trees are stored under are checked, content ids are
believed: ``fsck`` compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple, Protocol, runtime_checkable

from casreplay.codec.tree_columns import NO_COLUMNS, Columns, columns_of, common_ends, differing_rows
from casreplay.errors import CorruptError
from casreplay.history.collector import no_collector
from casreplay.history.diff import EMPTY_CONTENT
from casreplay.history.walk import MAX_NODE_LEVELS
from casreplay.model.ids import ContentId, ObjectId, TreeId
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import EntryKind
from casreplay.model.paths import MAX_DEPTH
from casreplay.store.base import ObjectReader
from casreplay.workspace import workers

__all__ = ["Root", "Step", "StepCounter", "count_steps", "in_order"]

_FOLDER = int(EntryKind.FOLDER)
_FILES = frozenset((int(EntryKind.FILE), int(EntryKind.EXECUTABLE)))
_EMPTY = bytes(8)
"""The size of an empty file, as it stands in its column."""
_HELD_BYTES = 32 << 20
_STEPS_A_PROCESS = 2000
"""Steps that pay for a process of their own."""
_REPORT_EVERY = 256

Root = tuple[TreeId, ContentId]
"""Where a tree is stored, and its content id."""
_Pair = tuple[bytes | None, bytes | None, int]
"""Tree ids of a folder on both sides, and its depth."""
_Rows = dict[bytes, tuple[Columns, int]]
"""Name to the columns and the row in them."""


class Trees(Protocol):
    """Gives trees by id: the part of ``ObjectReader`` that is needed."""

    def get(self, object_id: ObjectId) -> bytes:
        """The tree's bytes, verified."""


@runtime_checkable
class Ordered(Protocol):
    """A store that reads trees faster in the order in which they were stored: that of history."""

    def trees_ahead(self) -> Trees:
        """A reader for that."""


def in_order(objects: ObjectReader) -> Trees:
    """What to read the trees of a history with, from its first snapshot to its last."""
    return objects.trees_ahead() if isinstance(objects, Ordered) else objects


class Step(NamedTuple):
    """From one tree to the next.

    Attributes:
        changed: paths that differ.
        deleted: those of them that are gone.
        empty: empty files more than before; negative when they are fewer.
    """

    changed: int
    deleted: int
    empty: int


class StepCounter:
    """Counts steps; keeps the folders it saw last, so ask one object for a whole history.

    Args:
        objects: where trees are read.
    """

    def __init__(self, objects: ObjectReader) -> None:
        self._objects = in_order(objects)
        self._young: dict[bytes, Columns] = {}
        self._old: dict[bytes, Columns] = {}
        self._held = 0
        self._changed = self._deleted = self._empty = 0
        self._stack: list[_Pair] = []

    def step(self, before: Root | None, after: Root) -> Step:
        """From ``before`` (``None``: nothing) to ``after``. Cost: the folders that differ.

        Raises:
            MissingObjectError: a tree is not in the store.
            CorruptError: a tree is damaged or deeper than 1,024 folders.
        """
        self._changed = self._deleted = self._empty = 0
        self._stack = []
        if before is None or before[1] != after[1]:
            self._stack.append((before[0] if before else None, after[0], 1))
        while self._stack:
            a, b, depth = self._stack.pop()
            if depth > MAX_DEPTH:
                raise CorruptError(f"A tree is deeper than {MAX_DEPTH} folders")
            self._compare(self._load(a, is_over=True), self._load(b), depth)
        return Step(self._changed, self._deleted, self._empty)

    def _load(self, tree_id: bytes | None, *, is_over: bool = False) -> Columns:
        """The columns of a tree; one that is over is forgotten: history has gone on without it."""
        if tree_id is None:
            return NO_COLUMNS
        found = self._young.pop(tree_id, None) or self._old.pop(tree_id, None)
        if found is None:
            raw = self._objects.get(ObjectId(tree_id))
            self._held += len(raw)
            found = columns_of(raw)
        if not is_over:
            self._young[tree_id] = found
            if self._held > _HELD_BYTES:
                self._old, self._young, self._held = self._young, {}, 0
        return found

    # One folder

    def _compare(self, a: Columns, b: Columns, depth: int) -> None:
        """A folder's own entries are counted; folders among them that differ go on the stack."""
        if a.is_node or b.is_node:
            self._compare_split(a, b, depth)
        elif a.names == b.names:
            for k in _differing(a, b):
                self._both(a, k, b, k, depth)
        else:
            head, tail = common_ends(a.names, b.names) if a.entries and b.entries else (0, 0)
            starts = ((0, 0, head), (a.entries - tail, b.entries - tail, tail))
            for i, j, count in starts:
                for k in _differing(_cut(a, i, count), _cut(b, j, count)):
                    self._both(a, i + k, b, j + k, depth)
            self._compare_rows(_rows(a, head, tail), _rows(b, head, tail), depth)

    def _compare_split(self, a: Columns, b: Columns, depth: int) -> None:
        """A folder that is split on a side: only leaves that are not on both sides are read."""
        common = set(_ids(a.ids)).intersection(_ids(b.ids)) if a.is_node and b.is_node else set()
        old = self._leaves(a, common, is_over=True)
        new = self._leaves(b, common)
        if len(old) == len(new) and _is_aligned(old, new):
            for one, other in zip(old, new, strict=True):
                self._compare(one, other, depth)
            return
        before: _Rows = {}
        after: _Rows = {}
        for rows, parts in ((before, old), (after, new)):
            for part in parts:
                rows.update(_rows(part, 0, 0))
        self._compare_rows(before, after, depth)

    def _leaves(self, part: Columns, common: set[bytes], *, is_over: bool = False) -> list[Columns]:
        """The leaves of a folder in name order, those below the content ids in ``common`` left out."""
        parts = [part]
        for _ in range(MAX_NODE_LEVELS + 1):
            if not any(one.is_node for one in parts):
                return [one for one in parts if one.entries]
            parts = list(chain.from_iterable(self._children(one, common, is_over=is_over) for one in parts))
        raise CorruptError("A folder has too many levels")

    def _children(self, part: Columns, common: set[bytes], *, is_over: bool) -> list[Columns]:
        if not part.is_node:
            return [part]
        pairs = zip(_ids(part.ids), _ids(part.tree_ids), strict=True)
        return [self._load(tree_id, is_over=is_over) for content, tree_id in pairs if content not in common]

    def _compare_rows(self, a: _Rows, b: _Rows, depth: int) -> None:
        """Entries of any names; what is on one side only was added or deleted."""
        for name, (columns, i) in a.items():
            other = b.pop(name, None)
            if other is None:
                self._deleted += self._one(columns, i, -1, depth)
            elif _row(columns, i) != _row(*other):
                self._both(columns, i, *other, depth)
        for columns, i in b.values():
            self._one(columns, i, 1, depth)

    # One entry

    def _one(self, a: Columns, i: int, sign: int, depth: int) -> int:
        """An entry that came (``sign`` 1) or went (-1); returns whether it counts itself.

        A folder is shown by what is in it, and counts only when nothing is.
        """
        kind = a.kinds[i]
        if kind == _FOLDER:
            if a.ids[32 * i : 32 * i + 32] != EMPTY_CONTENT:
                below = _tree_id(a, i)
                self._stack.append((below, None, depth + 1) if sign < 0 else (None, below, depth + 1))
                return 0
        elif kind in _FILES and a.sizes[8 * i : 8 * i + 8] == _EMPTY:
            self._empty += sign
        self._changed += 1
        return 1

    def _both(self, a: Columns, i: int, b: Columns, j: int, depth: int) -> None:
        """An entry that differs between the sides, or a folder with something in it that does."""
        kind, other = a.kinds[i], b.kinds[j]
        if _FOLDER in (kind, other):
            before = _tree_id(a, i) if kind == _FOLDER else None
            after = _tree_id(b, j) if other == _FOLDER else None
            marks = (kind, a.states[i], a.modes[2 * i : 2 * i + 2])
            if marks != (other, b.states[j], b.modes[2 * j : 2 * j + 2]):
                self._changed += 1
            if kind != other or a.ids[32 * i : 32 * i + 32] != b.ids[32 * j : 32 * j + 32]:
                self._stack.append((before, after, depth + 1))
        else:
            self._changed += 1
        if kind in _FILES and a.sizes[8 * i : 8 * i + 8] == _EMPTY:
            self._empty -= 1
        if other in _FILES and b.sizes[8 * j : 8 * j + 8] == _EMPTY:
            self._empty += 1


def _ids(joined: bytes) -> list[bytes]:
    return [joined[i : i + 32] for i in range(0, len(joined), 32)]


def _tree_id(a: Columns, i: int) -> bytes:
    at = 32 * a.kinds.count(_FOLDER, 0, i)
    return a.tree_ids[at : at + 32]


def _row(a: Columns, i: int) -> tuple[int, int, bytes, bytes, bytes]:
    """Everything about an entry but its name and where its folder is stored."""
    sizes, ids = a.sizes[8 * i : 8 * i + 8], a.ids[32 * i : 32 * i + 32]
    return a.kinds[i], a.states[i], a.modes[2 * i : 2 * i + 2], sizes, ids


def _rows(a: Columns, head: int, tail: int) -> _Rows:
    """The rows by name, ``head`` at the start and ``tail`` at the end left out."""
    names = a.names.split(b"\0") if a.entries else []
    return {names[i]: (a, i) for i in range(head, a.entries - tail)}


def _cut(a: Columns, i: int, count: int) -> Columns:
    """Rows ``i`` to ``i + count`` of the columns that are compared."""
    end = i + count
    kinds, states, modes = a.kinds[i:end], a.states[i:end], a.modes[2 * i : 2 * end]
    sizes, ids = a.sizes[8 * i : 8 * end], a.ids[32 * i : 32 * end]
    return Columns(count, kinds, states, modes, sizes, ids, b"", b"", is_node=False)


def _differing(a: Columns, b: Columns) -> list[int]:
    """Rows that differ between columns of the same names, ascending."""
    rows = differing_rows(a.ids, b.ids, 32)
    for x, y, width in (
        (a.sizes, b.sizes, 8),
        (a.kinds, b.kinds, 1),
        (a.modes, b.modes, 2),
        (a.states, b.states, 1),
    ):
        if x != y:
            more = differing_rows(x, y, width)
            rows = rows if rows == more else sorted({*rows, *more})
    return rows


def _is_aligned(a: Sequence[Columns], b: Sequence[Columns]) -> bool:
    """Whether each leaf on one side holds all names that its counterpart could share with any leaf."""
    for (one, other), (next_one, next_other) in pairwise(zip(a, b, strict=True)):
        last = max(one.names.rpartition(b"\0")[2], other.names.rpartition(b"\0")[2])
        first = min(next_one.names.partition(b"\0")[0], next_other.names.partition(b"\0")[0])
        if first <= last:
            return False
    return True


def count_steps(
    objects: ObjectReader, pairs: Sequence[tuple[Root | None, Root]], *, monitor: Monitor = SILENT
) -> list[Step]:
    """The steps of all ``pairs``, in their order, divided between processes where that pays.

    Fastest when each pair begins where the one before it ended.

    Raises:
        MissingObjectError: a tree is not in the store.
        CorruptError: a tree is damaged.
    """
    parts = max(1, min(workers.count(), len(pairs) // _STEPS_A_PROCESS))
    size = -(-len(pairs) // parts) if pairs else 0
    monitor.stage("comparing", len(pairs), "snapshots")

    def part(number: int, told: Monitor) -> list[int]:
        counter = StepCounter(objects)
        flat: list[int] = []
        with no_collector():
            for i, (before, after) in enumerate(pairs[number * size : (number + 1) * size]):
                flat.extend(counter.step(before, after))
                if not i % _REPORT_EVERY:
                    told.advance(i * parts)
        return flat

    jobs = [lambda n=n: part(n, SILENT if n else monitor) for n in range(parts)]
    flat = list(chain.from_iterable(workers.run(jobs)))
    return [Step._make(flat[i : i + 3]) for i in range(0, len(flat), 3)]
