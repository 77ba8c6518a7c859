"""Numbers of a snapshot, for the long view: what ``drift`` draws and ``bisect --metric`` compares.

Metrics are read from snapshots, manifests and blobs, each distinct folder and blob
once; nothing is checked out. The names:

``files`` ``folders`` ``bytes``  what the snapshot captured
``churn`` ``deletions``          paths that changed, or went, since the sample before
``empty``                        empty files
``size:PATH`` ``lines:PATH``     bytes, or lines, of one file
``value:PATH:KEY``               a number in a configuration file (dotted key)
``count:REGEX``                  matches of a pattern in all files, or those that fit a glob
``secrets``                      secrets found by the configured rules (a callable from above)
``run:CMD``                      the last number that a command prints (a callable from above)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Protocol

from casreplay.errors import UsageError
from casreplay.forensics.drift_lines import LineCounter
from casreplay.forensics.drift_steps import KnownSteps
from casreplay.history.bisect_fold import PathFold, TreeFold
from casreplay.history.bisect_values import read_value
from casreplay.history.purged_contents import is_purged, read_left
from casreplay.model.ids import BlobId
from casreplay.model.monitor import Monitor
from casreplay.model.objects import EntryKind, Snapshot, Tree
from casreplay.model.paths import join
from casreplay.store.base import ObjectReader

__all__ = ["DEFAULT_METRICS", "Metric", "MetricTools", "is_cheap", "make_metric"]

DEFAULT_METRICS = ("files", "bytes", "churn", "deletions", "empty")
MAX_SCAN_BYTES = 64 << 20
_FILES = frozenset((EntryKind.FILE, EntryKind.EXECUTABLE))
_CHEAP = frozenset((*DEFAULT_METRICS, "folders", "size", "lines", "value"))
"""Metrics that look at one path or at folders that differ: all snapshots of a long history are looked at."""
_SIMPLE = {"files": "files", "folders": "folders", "bytes": "B"}


class Metric(Protocol):
    """Gives one number a snapshot; keeps what it has seen, so ask one object for a whole history.

    ``prepare`` may be called first: what a whole history needs is cheaper to find out at once.

    Attributes:
        name: as it was asked for.
        unit: of the number.
    """

    name: str
    unit: str

    def prepare(self, line: Sequence[Snapshot], monitor: Monitor) -> None:
        """Told which snapshots will be asked for, oldest first, each with the one before it."""

    def value(self, snapshot: Snapshot, previous: Snapshot | None) -> float | None:
        """The number, or ``None`` where there is none; ``previous`` is the sample before."""


@dataclass(frozen=True, slots=True)
class MetricTools:
    """What metrics need from above.

    Attributes:
        count: ``(pattern) -> content -> number of matches``, for ``count:``.
        covers: which paths ``count:`` and ``secrets`` look at; ``None`` for all.
        secrets: ``(path, content) -> number of secrets``; ``None`` where there is no scanner.
        run: ``(command line) -> snapshot -> number``; ``None`` where commands cannot run.
        steps: the pairs of trees that were compared, shared by the metrics that need them.
    """

    count: Callable[[str], Callable[[bytes], int]]
    covers: Callable[[bytes], bool] | None = None
    secrets: Callable[[bytes, bytes], int] | None = None
    run: Callable[[str], Callable[[Snapshot], float | None]] | None = None
    steps: KnownSteps = field(default_factory=KnownSteps)


def is_cheap(name: str) -> bool:
    """Whether the metric called ``name`` can be asked of every one of 100,000 snapshots in seconds."""
    return name.partition(":")[0] in _CHEAP


def make_metric(name: str, objects: ObjectReader, tools: MetricTools) -> Metric:
    """The metric called ``name``.

    Raises:
        UsageError: there is none of that name, or its argument is missing.
    """
    kind, _, argument = name.partition(":")
    if name in _SIMPLE:
        return _FromCoverage(name, _SIMPLE[name])
    if name in ("churn", "deletions"):
        return _FromDiff(name, objects, tools.steps)
    if name == "empty":
        return _Empty(name, objects, tools.steps, TreeFold(objects, _empty_files))
    if kind in ("size", "lines") and argument:
        return _OfPath(name, objects, _path(argument))
    if kind == "value" and argument:
        path, _, key = argument.partition(":")
        if path and key:
            return _OfPath(name, objects, _path(path), key)
    if kind == "count" and argument:
        count = tools.count(argument)
        return _counted(name, objects, tools, lambda _, content: count(content))
    if name == "secrets" and tools.secrets is not None:
        return _counted(name, objects, tools, tools.secrets)
    if kind == "run" and argument and tools.run is not None:
        return _Called(name, tools.run(argument))
    raise UsageError(
        f"There is no metric {name!r}",
        hint="files, folders, bytes, churn, deletions, empty, size:PATH, lines:PATH, value:PATH:KEY,"
        " count:REGEX, secrets, run:CMD",
    )


def _path(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape").strip(b"/")


def _empty_files(_folder: bytes, tree: Tree) -> int:
    if 0 not in tree.sizes:
        return 0
    return sum(kind in _FILES and not size for kind, size in zip(tree.kinds, tree.sizes, strict=True))


class _Unprepared:
    """What most metrics do when told of a history: nothing."""

    __slots__ = ()

    def prepare(self, line: Sequence[Snapshot], monitor: Monitor) -> None:
        """Nothing is gained by knowing."""


@dataclass(slots=True)
class _FromCoverage(_Unprepared):
    """Counts that every snapshot states about itself; no object is read."""

    name: str
    unit: str

    def value(self, snapshot: Snapshot, previous: Snapshot | None) -> float | None:
        """The count."""
        del previous
        return float(getattr(snapshot.coverage, self.name))


@dataclass(slots=True)
class _FromDiff(_Unprepared):
    """Changes since the sample before. Cost: the folders that differ, once for all metrics of the kind."""

    name: str
    objects: ObjectReader
    steps: KnownSteps
    unit: str = "paths"

    def prepare(self, line: Sequence[Snapshot], monitor: Monitor) -> None:
        """Count all steps at once."""
        self.steps.prepare(self.objects, line, monitor=monitor)

    def value(self, snapshot: Snapshot, previous: Snapshot | None) -> float | None:
        """How many paths changed, or were deleted; nothing for the first sample."""
        if previous is None:
            return None
        step = self.steps.get(self.objects, previous, snapshot)
        return float(step.changed if self.name == "churn" else step.deleted)


@dataclass(slots=True)
class _Empty(_Unprepared):
    """Empty files: by the steps from sample to sample where those are known, else a sum over the tree."""

    name: str
    objects: ObjectReader
    steps: KnownSteps
    fold: TreeFold
    unit: str = "files"
    last: tuple[bytes, int] | None = None

    def prepare(self, line: Sequence[Snapshot], monitor: Monitor) -> None:
        """Count all steps at once."""
        self.steps.prepare(self.objects, line, monitor=monitor)

    def value(self, snapshot: Snapshot, previous: Snapshot | None) -> float | None:
        """How many there are."""
        before = self.last if previous is not None and self.last is not None else None
        if before is not None and previous is not None and before[0] == previous.tree:
            step = self.steps.find(previous, snapshot)
        else:
            before, step = None, self.steps.find(None, snapshot)
        if step is None:
            number = self.fold.value(snapshot.root, snapshot.tree)
        else:
            number = step.empty + (before[1] if before is not None else 0)
        self.last = (snapshot.tree, number)
        return float(number)


@dataclass(slots=True)
class _Folded(_Unprepared):
    """A sum over the tree."""

    name: str
    unit: str
    fold: TreeFold

    def value(self, snapshot: Snapshot, previous: Snapshot | None) -> float | None:
        """The sum."""
        del previous
        return float(self.fold.value(snapshot.root, snapshot.tree))


@dataclass(slots=True)
class _Called(_Unprepared):
    """Whatever a callable from above says."""

    name: str
    call: Callable[[Snapshot], float | None]
    unit: str = ""
    known: dict[bytes, float | None] = field(default_factory=dict)

    def value(self, snapshot: Snapshot, previous: Snapshot | None) -> float | None:
        """Its number; equal content is asked once."""
        del previous
        if snapshot.tree not in self.known:
            self.known[snapshot.tree] = self.call(snapshot)
        return self.known[snapshot.tree]


class _OfPath(_Unprepared):
    """Size, lines or a configured value of one path; each distinct content is read once."""

    def __init__(self, name: str, objects: ObjectReader, path: bytes, key: str = "") -> None:
        self.name = name
        self.unit = "" if key else "B" if name.startswith("size:") else "lines"
        self._objects = objects
        self._path, self._key = path, key
        self._fold = PathFold(objects, path)
        self._lines = LineCounter(objects)
        self._known: dict[bytes, float | None] = {}

    def value(self, snapshot: Snapshot, previous: Snapshot | None) -> float | None:
        """The number; ``None`` where the path does not exist or holds none."""
        del previous
        entry = self._fold.entry(snapshot.root, snapshot.tree)
        if entry is None:
            return None
        if self.unit == "B":
            return float(entry.size_bytes)
        blob = entry.blob_id
        if blob is None or (self._key and entry.size_bytes > MAX_SCAN_BYTES):
            return None
        if blob not in self._known:
            self._known[blob] = self._measured(blob)
        return self._known[blob]

    def _measured(self, blob: BlobId) -> float | None:
        """What the content gives; ``None`` also where it was purged."""
        if self._key:
            content = read_left(self._objects, blob)
            return _number(read_value(self._path, content, self._key)) if content is not None else None
        return None if is_purged(self._objects, blob) else float(self._lines.lines(blob))


def _number(value: object) -> float | None:
    """``value`` as a finite number, the length of a list or mapping; ``None`` where it is neither."""
    if isinstance(value, list | Mapping):
        return float(len(value))
    if not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def _counted(
    name: str, objects: ObjectReader, tools: MetricTools, count: Callable[[bytes, bytes], int]
) -> Metric:
    """A sum over files, each distinct content (under one path) counted once."""
    known: dict[bytes, int] = {}
    covers = tools.covers
    by_path = covers is not None or name == "secrets"

    def measure(folder: bytes, tree: Tree) -> int:
        total = 0
        for i, kind in enumerate(tree.kinds):
            if (
                kind not in _FILES
                or tree.sizes[i] > MAX_SCAN_BYTES
                or not tree.sizes[i]
                or tree.states[i] > 2
            ):
                continue
            path = join(folder, tree.names[i])
            if covers is not None and not covers(path):
                continue
            blob = tree.ids[32 * i : 32 * i + 32]
            key = blob + path if name == "secrets" else blob
            if key not in known:
                # What was purged holds nothing any more.
                content = read_left(objects, blob)
                known[key] = count(path, content) if content is not None else 0
            total += known[key]
        return total

    return _Folded(name, "matches", TreeFold(objects, measure, by_path=by_path))
