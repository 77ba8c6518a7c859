"""Bring a folder back to a snapshot: plan, safety snapshot, exact set, check, and the way back.

Owns the order of these and what is refused without ``force``. What a plan is and how it is
carried out belong to ``workspace``; how a snapshot is taken is given as a callable.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from casreplay.errors import StoreIOError, UnknownNameError, UsageError
from casreplay.history import walk as walking
from casreplay.history.collector import no_collector
from casreplay.history.fresh import whole_tree
from casreplay.model.ids import TreeId
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import EntryKind, Snapshot, TreeEntry
from casreplay.model.paths import display, from_display, is_inside
from casreplay.model.problems import Problem
from casreplay.store.base import ObjectReader
from casreplay.workspace.folders import open_root
from casreplay.workspace.foresee import foreseen
from casreplay.workspace.guards import check_free_space
from casreplay.workspace.materialize import Applied, ApplyOptions, Content, apply
from casreplay.workspace.plan import PlanOptions, plan, plan_new
from casreplay.workspace.platform import ignores_case, require_folder_calls
from casreplay.workspace.steps import Entry, Plan
from casreplay.workspace.survey import check, entries_of, still_there

__all__ = ["NOTES", "RestoreOptions", "Restored", "restore_to", "restore_workspace"]

NOTES = ("not-portable-elsewhere", "setid")
"""Codes of problems that only inform: what they name was written."""
SHOWN = 5
UNDO_HEX = 12
MIN_FREE_PERCENT = 0.5


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """How to restore.

    Attributes:
        paths: only these and what is below; empty: everything.
        dry_run: plan only.
        force: replace and remove what no snapshot holds, or what changed since it was looked at.
        check_contents: read every file again afterwards; otherwise compare kind, mode, size and time.
        allow_git: write entries named ``.git`` (for workspaces that record them on purpose).
        protected: paths below the target that are never touched (a store inside the workspace).
        jobs: processes; 0: as many as are worth it.
        monitor: told of progress.
    """

    paths: tuple[bytes, ...] = ()
    dry_run: bool = False
    force: bool = False
    check_contents: bool = True
    allow_git: bool = False
    protected: tuple[bytes, ...] = ()
    jobs: int = 0
    monitor: Monitor = SILENT


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did, or with ``dry_run`` would do.

    Attributes:
        plan: the steps.
        applied: counts of what was done; zeros after a dry run.
        backup: the snapshot of the folder as it was before; ``None`` without one.
        undo: words of the command that takes everything back (``restore``, the snapshot's id,
            ``--``, paths); empty without a backup.
        problems: what was not restored or not as recorded, notes included.
    """

    plan: Plan
    applied: Applied
    backup: Snapshot | None = None
    undo: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def failures(self) -> tuple[Problem, ...]:
        """The problems that mean something was not restored."""
        return tuple(problem for problem in self.problems if problem.code not in NOTES)


@no_collector()
def restore_workspace(
    objects: ObjectReader,
    root: TreeId,
    folder: bytes,
    before: Iterable[Entry] | Callable[[], tuple[Snapshot, Iterable[Entry] | None]],
    options: RestoreOptions,
) -> Restored:
    """Make the recorded workspace at ``folder`` hold the tree ``root``.

    Args:
        objects: where trees and contents are read.
        root: what to bring back.
        folder: the workspace; it exists.
        before: takes the safety snapshot: records the folder as it is and returns that snapshot
            and, when its times may not be the folder's (the newest one, nothing changed), what is
            there now; or, for a dry run and without a safety snapshot,
            what is there now. What the ignore rules leave out is in neither and is never touched.
        options: how.

    Raises:
        UnknownNameError: a path is not in the tree.
        UsageError: without ``force``: content would be lost that no snapshot holds.
        CorruptError: the trees are damaged; nothing was written.
        StoreIOError: the disk is full or fails.
    """
    saved = None
    if callable(before):
        saved, present = before()
        before = walking.walk(objects, saved.root) if present is None else present
    current = before
    steps = _plan(objects, root, folder, options, current)
    if not (options.force or options.dry_run):
        if saved is not None:
            _refuse_loss(steps.unsaved, "no snapshot holds their present content")
        else:
            _refuse_loss([*steps.overwritten, *steps.removed], "there is no safety snapshot")
    restored = _carry_out(objects, steps, folder, options)
    if options.dry_run:
        return replace(restored, problems=(*steps.problems, *foreseen(steps, folder, force=options.force)))
    if saved is None:
        return restored
    paths = [display(_first_missing(objects, saved.root, path)) for path in options.paths]
    undo = ("restore", saved.id.hex()[:UNDO_HEX], *(["--", *paths] if paths else []))
    return replace(restored, backup=saved, undo=undo)


@no_collector()
def restore_to(objects: ObjectReader, root: TreeId, folder: bytes, options: RestoreOptions) -> Restored:
    """Write a tree into another folder, which is made when it does not exist.

    Raises:
        UsageError: the folder holds something else that would be replaced or removed, without ``force``;
            or it is no folder.
        UnknownNameError, CorruptError, StoreIOError: as ``restore_workspace``.
    """
    require_folder_calls()
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UsageError(
            f"{display(folder)} is no folder", hint="Name a folder, or one that does not exist yet"
        )
    exists = os.path.isdir(folder)
    if not exists and not options.dry_run:
        try:
            os.makedirs(folder)
        except OSError as error:
            raise StoreIOError(
                f"Cannot make the folder {display(folder)}: {error.strerror}",
                hint="Name a folder that can be made and written",
                errno=error.errno,
            ) from error
        exists = True
    current = entries_of(folder) if exists else iter(())
    steps = _plan(objects, root, folder if exists else b"", options, current)
    if not options.force and not options.dry_run:
        _refuse_loss([*steps.overwritten, *steps.removed], "the folder is not empty")
    return _carry_out(objects, steps, folder, options)


def _first_missing(objects: ObjectReader, root: TreeId, path: bytes) -> bytes:
    """``path``, or the folder nearest the root on the way to it that ``root`` does not have.

    Undoing a restore into a folder that had to be made takes that folder away too.
    """
    for above in _folders_above(path):
        if walking.find(objects, root, above) is None:
            return above
    return path


def _plan(
    objects: ObjectReader, root: TreeId, folder: bytes, options: RestoreOptions, current: Iterable[Entry]
) -> Plan:
    present = dict(current)
    rules = PlanOptions(
        ignores_case=_ignores_case(folder, dry_run=options.dry_run),
        allow_git=options.allow_git,
        protected=options.protected,
    )
    if not (options.paths or present or options.protected or rules.ignores_case):
        whole = whole_tree(objects, root)
        return plan_new(whole.entries, whole.files, rules)
    if not options.paths:
        return plan(present.items(), walking.walk(objects, root), rules)
    chosen = {path: entry for path, entry in present.items() if _is_chosen(path, options.paths)}
    target = list(_chosen_entries(objects, root, options.paths, present))
    for path, _ in target:
        if path in present:
            chosen[path] = present[path]
    return plan(chosen.items(), target, rules)


def _ignores_case(folder: bytes, *, dry_run: bool) -> bool:
    if dry_run or not folder:
        return False
    fd = open_root(folder)
    try:
        return ignores_case(fd)
    finally:
        os.close(fd)


def _is_chosen(path: bytes, paths: Sequence[bytes]) -> bool:
    return any(is_inside(path, chosen) for chosen in paths)


def _chosen_entries(
    objects: ObjectReader, root: TreeId, paths: Sequence[bytes], present: dict[bytes, TreeEntry]
) -> Iterator[Entry]:
    """The snapshot's entries at and below ``paths``, with the folders on the way to them.

    A folder on the way that exists stays as it is; a missing one is made as it was recorded. A
    path that only the present has gives nothing, which removes it.
    """
    given: set[bytes] = set()
    for path in sorted(set(paths), key=lambda path: path.replace(b"/", b"\0")):
        if path in given:
            continue
        own = walking.find(objects, root, path) if path else None
        if path and own is None:
            if any(is_inside(now, path) for now in present):
                continue  # it came later: restoring it is removing it
            raise UnknownNameError(
                f"{display(path)} does not exist in this snapshot",
                hint="casreplay ls -r lists what a snapshot holds",
                path=display(path),
            )
        for above in _folders_above(path):
            if above not in given:
                given.add(above)
                now = present.get(above)
                recorded = walking.find(objects, root, above)
                kept = now if now is not None and now.kind is EntryKind.FOLDER else recorded
                if kept is not None:
                    yield above, kept
        if own is not None and own.tree_id is not None and path not in given:
            given.add(path)
            yield path, own
        for below, entry in walking.walk(objects, root, path=path):
            if below not in given:
                given.add(below)
                yield below, entry


def _folders_above(path: bytes) -> list[bytes]:
    names = path.split(b"/")
    return [b"/".join(names[:depth]) for depth in range(1, len(names))]


def _refuse_loss(lost: Sequence[bytes], why: str) -> None:
    if not lost:
        return
    shown = ", ".join(display(path) for path in lost[:SHOWN]) + (", ..." if len(lost) > SHOWN else "")
    count = "1 path" if len(lost) == 1 else f"{len(lost):,} paths"
    raise UsageError(
        f"{count} would be replaced or removed and {why}: {shown}",
        hint="Say --force if they may go, or restore --to another folder",
        paths=[display(path) for path in lost],
    )


def _carry_out(objects: ObjectReader, steps: Plan, folder: bytes, options: RestoreOptions) -> Restored:
    if options.dry_run:
        return Restored(steps, Applied(), problems=steps.problems)
    check_free_space(folder, MIN_FREE_PERCENT, needed_bytes=steps.size_bytes)
    content = Content(objects.get, objects.stream, getattr(objects, "locate", None))
    jobs = options.jobs if getattr(objects, "can_fork", False) else 1
    how = ApplyOptions(options.force, jobs, options.monitor, check_new=True, contents=options.check_contents)
    applied = apply(steps, folder, content, how)
    options.monitor.stage("checking")
    problems = [*applied.problems, *_check(steps, folder, options, applied.problems)]
    return Restored(steps, applied, problems=tuple(problems))


def _check(
    steps: Plan, folder: bytes, options: RestoreOptions, known: Sequence[Problem]
) -> Iterator[Problem]:
    """Look at everything the plan wrote or removed, but what failed or was looked at then."""
    failed = {from_display(problem.path) for problem in known if problem.code not in NOTES}
    written: list[Entry] = []
    for work in steps.folders:
        if work.entry is not None and work.path not in failed:
            written.append((work.path, work.entry))
        prefix = work.path + b"/" if work.path else b""
        works = work.links if work.is_all_new else (*work.files, *work.links)
        files = ((prefix + file.name, file.entry) for file in works)
        written.extend(item for item in files if item[0] not in failed)
    yield from check(folder, written, contents=options.check_contents)
    replaced = {path for path, _ in written}
    gone = [path for path in steps.removed if path not in failed and path not in replaced]
    for path in still_there(folder, gone):
        yield Problem("not-removed", f"{display(path)} is still there", path=display(path))
