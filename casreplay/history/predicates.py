"""Built-in predicates: what makes a snapshot bad, as a function of its content.

A predicate of this module is pure: the same tree gives the same verdict, each distinct
blob is judged once, and ``sweep`` gives the verdict of every snapshot of a range, which
makes all flips exact. Secrets and triggers come as callables from the floors above.
Does not search and does not print.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from casreplay.errors import UsageError
from casreplay.history.bisect_fold import PathFold, TreeFold
from casreplay.history.bisect_model import Verdict
from casreplay.history.bisect_values import read_value, shown
from casreplay.history.path_globs import covering
from casreplay.history.purged_contents import read_left
from casreplay.model.changes import Change
from casreplay.model.objects import EntryKind, EntryState, Snapshot, Tree, TreeEntry
from casreplay.model.paths import is_inside, join, split
from casreplay.store.base import ObjectReader

__all__ = [
    "AnyFile",
    "AtPath",
    "ContentPredicate",
    "Sweep",
    "changed",
    "empty",
    "exists",
    "grep",
    "json_value",
    "larger",
    "missing",
    "parse_size",
    "sweep",
    "witnesses",
]

MAX_SCAN_BYTES = 64 << 20
"""Blobs above this are not searched; they are counted as not examined."""

_NO_CONTENT = frozenset((EntryState.UNREADABLE, EntryState.VANISHED, EntryState.TOO_LARGE))
_FILES = frozenset((EntryKind.FILE, EntryKind.EXECUTABLE))


@dataclass(frozen=True, slots=True)
class AnyFile:
    """Bad where any regular file passes ``test``.

    Attributes:
        name: the predicate in words, for logs and results.
        test: ``(path, content) -> found``; the path is ``b""`` unless ``by_path``.
        covers: which paths count; ``None`` for all.
        by_path: whether ``test`` looks at the path.
    """

    name: str
    test: Callable[[bytes, bytes], bool]
    covers: Callable[[bytes], bool] | None = None
    by_path: bool = False


@dataclass(frozen=True, slots=True)
class AtPath:
    """Bad where the entry at ``path`` passes ``test``.

    Attributes:
        name: the predicate in words.
        path: the path looked at.
        test: ``(entry or None, read its content) -> verdict``.
    """

    name: str
    path: bytes
    test: Callable[[TreeEntry | None, Callable[[], bytes]], Verdict]


ContentPredicate = AnyFile | AtPath


@dataclass(frozen=True, slots=True)
class Sweep:
    """Verdicts of a whole range.

    Attributes:
        verdicts: one for each snapshot, in the order given.
        pairs: (snapshot, path) pairs the verdicts cover.
        blobs: distinct blobs read.
        unexamined: distinct blobs left out because they are too large to search, or were purged.
        purged: how many of these were purged.
        files: distinct files whose path counts; 0 where the predicate's paths fit nothing.
    """

    verdicts: tuple[Verdict, ...]
    pairs: int
    blobs: int
    unexamined: int
    purged: int
    files: int


def sweep(
    objects: ObjectReader,
    snapshots: Iterable[Snapshot],
    predicate: ContentPredicate,
    *,
    invert: bool = False,
) -> Sweep:
    """The verdict of every snapshot.

    Cost: the folders and blobs that no earlier snapshot shared; all equal trees together
    cost one lookup each.

    Raises:
        MissingObjectError: a tree or blob is not in the store.
        CorruptError: a tree or blob is damaged.
    """
    judge: _AnyJudge | _PathJudge
    judge = (
        _AnyJudge(objects, predicate) if isinstance(predicate, AnyFile) else _PathJudge(objects, predicate)
    )
    verdicts = [judge.verdict(snapshot) for snapshot in snapshots]
    if invert:
        swap = {Verdict.GOOD: Verdict.BAD, Verdict.BAD: Verdict.GOOD, Verdict.SKIP: Verdict.SKIP}
        verdicts = [swap[v] for v in verdicts]
    return Sweep(tuple(verdicts), judge.pairs, judge.blobs, judge.unexamined, judge.purged, judge.files)


def witnesses(
    objects: ObjectReader, predicate: ContentPredicate, changes: Iterable[Change], *, invert: bool = False
) -> list[Change]:
    """The changes that turned the verdict: the predicate's path, or files that fit now and did not before.

    With ``invert`` files that fitted before and do not now.
    """
    if isinstance(predicate, AtPath):
        path = predicate.path
        return [c for c in changes if is_inside(c.path, path) or is_inside(path, c.path)]
    found = []
    for change in changes:
        before, after = (
            entry is not None and _fits(objects, predicate, change.path, entry)
            for entry in (change.before, change.after)
        )
        if (before, after) == ((True, False) if invert else (False, True)):
            found.append(change)
    return found


def _fits(objects: ObjectReader, predicate: AnyFile, path: bytes, entry: TreeEntry) -> bool:
    if entry.kind not in _FILES or entry.blob_id is None or entry.size_bytes > MAX_SCAN_BYTES:
        return False
    if predicate.covers is not None and not predicate.covers(path):
        return False
    content = read_left(objects, entry.blob_id)
    return content is not None and predicate.test(path, content)


class _AnyJudge:
    """Counts the files of a tree that pass the test: folder by folder, blob by blob, each once."""

    def __init__(self, objects: ObjectReader, predicate: AnyFile) -> None:
        self._objects = objects
        self._predicate = predicate
        self._found: dict[bytes, bool] = {}
        self.blobs = self.unexamined = self.purged = self.files = 0
        by_path = predicate.by_path or predicate.covers is not None
        self._fold = TreeFold(objects, self._hits, by_path=by_path)

    @property
    def pairs(self) -> int:
        return self._fold.pairs

    def verdict(self, snapshot: Snapshot) -> Verdict:
        return Verdict.BAD if self._fold.value(snapshot.root, snapshot.tree) else Verdict.GOOD

    def _hits(self, folder: bytes, tree: Tree) -> int:
        covers, hits, ids = self._predicate.covers, 0, tree.ids
        for i, kind in enumerate(tree.kinds):
            if kind not in _FILES or tree.states[i] in _NO_CONTENT:
                continue
            path = join(folder, tree.names[i])
            if covers is not None and not covers(path):
                continue
            blob = ids[32 * i : 32 * i + 32]
            key = blob + path if self._predicate.by_path else blob
            known = self._found.get(key)
            self.files += 1
            if known is None:
                known = self._found[key] = self._judge(path, blob, tree.sizes[i])
            hits += known
        return hits

    def _judge(self, path: bytes, blob: bytes, size_bytes: int) -> bool:
        if size_bytes > MAX_SCAN_BYTES:
            self.unexamined += 1
            return False
        content = read_left(self._objects, blob)
        if content is None:
            self.unexamined += 1
            self.purged += 1
            return False
        self.blobs += 1
        return self._predicate.test(path, content)


class _PathJudge:
    """Judges one path: equal entries have equal verdicts."""

    def __init__(self, objects: ObjectReader, predicate: AtPath) -> None:
        self._objects = objects
        self._predicate = predicate
        self._fold = PathFold(objects, predicate.path)
        self._known: dict[object, Verdict] = {}
        self.pairs = 0
        self.blobs = self.unexamined = self.purged = self.files = 0

    def verdict(self, snapshot: Snapshot) -> Verdict:
        entry = self._fold.entry(snapshot.root, snapshot.tree)
        self.pairs += 1
        self.files += entry is not None
        key = None if entry is None else (entry.kind, entry.state, entry.mode, entry.size_bytes, entry.id)
        if key not in self._known:
            self._known[key] = self._predicate.test(entry, lambda: self._read(entry))
        return self._known[key]

    def _read(self, entry: TreeEntry | None) -> bytes:
        blob = entry.blob_id if entry is not None else None
        if blob is None or entry is None:
            return b""
        if entry.size_bytes > MAX_SCAN_BYTES:
            self.unexamined += 1
            return b""
        content = read_left(self._objects, blob)
        if content is None:
            self.unexamined += 1
            self.purged += 1
            return b""
        self.blobs += 1
        return content


def _bad_if(condition: bool) -> Verdict:
    return Verdict.BAD if condition else Verdict.GOOD


def _is_there(entry: TreeEntry | None) -> bool:
    return entry is not None and entry.state is not EntryState.VANISHED


def exists(path: bytes) -> AtPath:
    """Bad where ``path`` exists, whatever it is."""
    return AtPath(f"exists {_text(path)}", path, lambda entry, _: _bad_if(_is_there(entry)))


def missing(path: bytes) -> AtPath:
    """Bad where ``path`` does not exist."""
    return AtPath(f"missing {_text(path)}", path, lambda entry, _: _bad_if(not _is_there(entry)))


def empty(path: bytes) -> AtPath:
    """Bad where ``path`` is an empty file, or a folder without content below it; skip where it is missing."""
    return AtPath(
        f"empty {_text(path)}",
        path,
        lambda entry, _: _bad_if(entry.size_bytes == 0) if entry is not None else Verdict.SKIP,
    )


def changed(path: bytes, good: TreeEntry | None) -> AtPath:
    """Bad where ``path`` is not what it is at the good end (``good``): content, kind or mode."""
    wanted = None if good is None else (good.kind, good.mode, good.id)
    return AtPath(
        f"changed {_text(path)}",
        path,
        lambda entry, _: _bad_if((None if entry is None else (entry.kind, entry.mode, entry.id)) != wanted),
    )


def larger(path: bytes, size_bytes: int) -> AtPath:
    """Bad where the file at ``path`` (or all content of the folder) exceeds ``size_bytes``."""
    return AtPath(
        f"larger {_text(path)}:{size_bytes}",
        path,
        lambda entry, _: _bad_if(entry is not None and entry.size_bytes > size_bytes),
    )


def json_value(path: bytes, key: str, wanted: str) -> AtPath:
    """Bad where the configuration file at ``path`` has ``wanted`` at ``key``; see ``bisect_values``.

    ``wanted`` is compared with the value as text and as JSON: ``3`` and ``"3"`` both fit 3.
    A file that does not parse has no value, so it is good.
    """

    def test(entry: TreeEntry | None, read: Callable[[], bytes]) -> Verdict:
        if entry is None or entry.blob_id is None:
            return Verdict.GOOD
        value = read_value(path, read(), key)
        return _bad_if(value is not None and wanted in (shown(value), str(value)))

    return AtPath(f"json-value {_text(path)}:{key}={wanted}", path, test)


def grep(matches: Callable[[bytes], bool], pattern: str, glob: str | None = None) -> AnyFile:
    """Bad where any file (whose path fits ``glob``) holds a match.

    Args:
        matches: the compiled pattern as a function of the content.
        pattern: its text, for people.
        glob: as ``glob_regex`` reads it; ``None`` for all files.
    """
    name = f"grep {pattern}" + (f" in {glob}" if glob else "")
    return AnyFile(name, lambda _, content: matches(content), covering(glob))


def parse_size(text: str) -> int:
    """Bytes in ``text``: digits and an optional K, M, G (powers of 1,024), ``iB`` or ``B``.

    Raises:
        UsageError: it is no size.
    """
    found = re.fullmatch(r"\s*(\d+)\s*(?:([kmgt])(?:i?b)?|b)?\s*", text, re.IGNORECASE)
    if not found:
        raise UsageError(f"{text!r} is no size", hint="Write digits and K, M or G, for instance 64K")
    power = "kmgt".index(found[2].lower()) + 1 if found[2] else 0
    return int(found[1]) << (10 * power)


def _text(path: bytes) -> str:
    return "/".join(name.decode("utf-8", "backslashreplace") for name in split(path))
