"""From a boundary to its culprits: the change set between two snapshots, shrunk by running the command.

Builds half-changed trees in memory (``treeedit`` over an overlay that nothing is written
through), runs them like any other probe, and leaves the choosing to ``history.minimize``.
A trial is bad only if it fails with the signature of the bad end.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from casreplay.codec.hashing import blob_id
from casreplay.history.bisect_model import Verdict
from casreplay.history.bisect_run import Judge, Runner
from casreplay.history.diff import diff_trees
from casreplay.history.minimize import (
    MAX_HUNK_BYTES,
    Hunk,
    Part,
    apply_hunks,
    group_changes,
    hunks_of,
    minimal_set,
    split_hunks,
)
from casreplay.history.overlay import OverlayStore
from casreplay.history.patch import is_binary, patch
from casreplay.history.probes import Target
from casreplay.history.purged_contents import read_left
from casreplay.history.treeedit import TreeEditor
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.ids import ObjectId, TreeId
from casreplay.model.objects import EntryKind, TreeEntry
from casreplay.model.paths import split
from casreplay.store.base import ObjectReader

__all__ = ["Culprit", "PartialTrees", "Shrunk", "TreeJudge", "of_changes", "shrink"]

SURE = 99
"""How much likelier one answer must be than the other before a trial of a flaky command ends."""
MOST_RUNS = 32
"""Runs of one trial at most; then the likelier answer counts."""
_NEVER = 1e-6


@dataclass(frozen=True, slots=True)
class Culprit:
    """One path of the minimal set.

    Attributes:
        change: the whole change of the path.
        hunks: the hunks of it that matter; empty where there are none to speak of (added, deleted, binary).
        is_whole: whether that is the whole change of the path.
    """

    change: Change
    hunks: tuple[Hunk, ...] = ()
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The minimal set.

    Attributes:
        culprits: in order of path.
        trials: sets of parts that were judged.
        root: the good tree with the minimal set applied; bad.
        patch: from the good tree to that one, as ``git apply`` reads it.
        is_proven: whether nothing of it can be left out (``False``: files that decide, as a whole).
    """

    culprits: tuple[Culprit, ...]
    trials: int
    root: TreeId
    patch: bytes
    is_proven: bool


class PartialTrees:
    """Trees between two snapshots: the good one with any parts of the change set applied.

    Args:
        objects: the store under an overlay, which keeps the trials; the store is not written to.
        good: root to start from.
    """

    def __init__(self, objects: OverlayStore, good: TreeId) -> None:
        self.objects = objects
        self.good = good
        self._editor = TreeEditor(self.objects, self._put)

    def _put(self, tree_id: TreeId, raw: bytes, old: bytes) -> None:
        del old
        self.objects.put_tree(tree_id, raw)

    def build(self, parts: Sequence[Part]) -> TreeId:
        """The good tree with ``parts`` applied. Cost: the folders on the way to them."""
        edits: dict[bytes, TreeEntry | None] = {}
        cut: dict[bytes, list[Part]] = {}
        for part in parts:
            if part.hunk is not None:
                cut.setdefault(part.changes[0].path, []).append(part)
                continue
            for change in part.changes:
                if change.after is None or change.after.kind is not EntryKind.FOLDER:
                    edits[change.path] = change.after
                elif change.kind is ChangeKind.TYPE:
                    edits[change.path] = None
                else:
                    edits[change.path] = self._folder(change)
        for path, chosen in cut.items():
            edits[path] = self._patched(chosen)
        return self._editor.edit(self.good, edits)[0]

    def _folder(self, change: Change) -> TreeEntry | None:
        """An added empty folder as it is; a changed mode on the folder as the good side has it."""
        after, before = change.after, change.before
        if before is None or after is None or before.kind is not EntryKind.FOLDER:
            return after
        return replace(before, mode=after.mode)

    def _patched(self, parts: Sequence[Part]) -> TreeEntry:
        change = parts[0].changes[0]
        assert change.before is not None
        assert change.after is not None
        content = apply_hunks(
            self.objects.get(ObjectId(change.before.id)), [p.hunk for p in parts if p.hunk is not None]
        )
        blob = blob_id(content)
        self.objects.put_blob(blob, content)
        return replace(change.after, name=split(change.path)[-1], size_bytes=len(content), id=blob)


def shrink(
    trees: PartialTrees,
    changes: Sequence[Change],
    is_bad: Callable[[TreeId], bool],
    *,
    on_trial: Callable[[int, int, bool], None] = lambda *_: None,
    concerns: Callable[[Change], bool] = lambda _: True,
) -> Shrunk | None:
    """The 1-minimal part of ``changes`` (without renames) that makes the good tree bad.

    What was found, unless it is everything, is judged once more at the end; ``None`` where it is not
    bad then: the answers contradict each other.

    Args:
        trees: builds the trials.
        changes: the whole change set; applied as a whole it is known to be bad.
        is_bad: runs the command on a tree.
        on_trial: told of every trial: parts applied, parts in all, the answer.
        concerns: which changes the command can notice at all; the others are left out untried.

    Cost: about s * (log2 parts + 1) trials when s parts matter, and the last one.
    """
    trials = 0

    def judge(chosen: frozenset[Part]) -> bool:
        nonlocal trials
        trials += 1
        answer = is_bad(trees.build(list(chosen)))
        on_trial(len(chosen), len(parts), answer)
        return answer

    groups = group_changes(changes)
    groups = [part for part in groups if any(concerns(change) for change in part.changes)] or groups
    parts = [piece for part in groups for piece in _cut(trees.objects, part)]
    found = minimal_set(parts, judge)
    if len(found) < len(parts) and not judge(frozenset(found)):
        return None
    root = trees.build(found)
    return Shrunk(_culprits(trees.objects, found, parts), trials, root, _patch(trees, root), is_proven=True)


def _cut(objects: ObjectReader, part: Part) -> list[Part]:
    change = part.changes[0]
    before, after = change.before, change.after
    if change.kind is not ChangeKind.MODIFIED or before is None or after is None:
        return [part]
    if before.blob_id is None or after.blob_id is None or before.kind is EntryKind.SYMLINK:
        return [part]
    if max(before.size_bytes, after.size_bytes) > MAX_HUNK_BYTES:
        return [part]
    old, new = read_left(objects, before.blob_id), read_left(objects, after.blob_id)
    return [part] if old is None or new is None else split_hunks(part, old, new)


def _culprits(objects: ObjectReader, found: Sequence[Part], parts: Sequence[Part]) -> tuple[Culprit, ...]:
    changes = {change.path: change for part in found for change in part.changes}
    chosen: dict[bytes, list[Hunk]] = {}
    for part in found:
        if part.hunk is not None:
            chosen.setdefault(part.changes[0].path, []).append(part.hunk)
    culprits = []
    for path in sorted(changes):
        every = [p for p in parts if p.hunk is not None and p.changes[0].path == path]
        hunks = chosen.get(path) or _all_hunks(objects, changes[path])
        culprits.append(Culprit(changes[path], tuple(hunks), len(hunks) == len(every) or path not in chosen))
    return tuple(culprits)


def _all_hunks(objects: ObjectReader, change: Change) -> list[Hunk]:
    """Every hunk of an edited text file that is kept whole; none for anything else."""
    before, after = change.before, change.after
    if before is None or after is None or before.blob_id is None or after.blob_id is None:
        return []
    if max(before.size_bytes, after.size_bytes) > MAX_HUNK_BYTES:
        return []
    old, new = read_left(objects, before.blob_id), read_left(objects, after.blob_id)
    return [] if old is None or new is None or is_binary(old) or is_binary(new) else hunks_of(old, new)


def of_changes(objects: ObjectReader, changes: Sequence[Change], root: TreeId) -> Shrunk:
    """Changes that are known to be the ones that matter, in the form of a minimal set; nothing is run.

    Args:
        objects: where contents are read.
        changes: what matters.
        root: the tree that has them.
    """
    parts = [Part((change,)) for change in changes]
    lines = b"".join(line for change in changes for line in patch(change, objects.get))
    return Shrunk(_culprits(objects, parts, parts), 0, root, lines, is_proven=False)


def _patch(trees: PartialTrees, root: TreeId) -> bytes:
    changes = diff_trees(trees.objects, trees.good, root)
    return b"".join(line for change in changes for line in patch(change, trees.objects.get))


class TreeJudge:
    """A predicate on trees for ``shrink``: whether a tree fails like the bad end.

    A tree is run until its runs are ``SURE`` times as likely on one side of the boundary as on the
    other (Wald's sequential test): once where neither side varies. Failing in another way, and not
    being fit to be judged, is not failing: such a tree lies between the snapshots, and nobody ever
    had it.

    Source: A. Wald, "Sequential Tests of Statistical Hypotheses".

    Args:
        runner: runs the command.
        judge: knows the failure that is looked for.
        rates: how often a good and a bad tree fail.
    """

    def __init__(self, runner: Runner, judge: Judge, *, rates: tuple[float, float] = (0.0, 1.0)) -> None:
        self._runner = runner
        self._judge = judge
        good, bad = rates
        self._failed = math.log(max(bad, _NEVER) / max(good, _NEVER))
        self._passed = math.log(max(1 - bad, _NEVER) / max(1 - good, _NEVER))
        self.runs = 0
        """Runs of the command so far."""

    def __call__(self, root: TreeId) -> bool:
        """Whether the tree ``root`` is bad."""
        weight = 0.0
        for _ in range(MOST_RUNS):
            self.runs += 1
            seen = self._runner(Target(root), threading.Event())
            if seen.verdict is None:
                return False
            is_same = seen.signature is None or self._judge.is_same(seen.signature)
            weight += self._failed if seen.verdict is Verdict.BAD and is_same else self._passed
            if abs(weight) >= math.log(SURE):
                break
        return weight > 0
