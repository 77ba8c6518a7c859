"""What a plan would meet in the folder that it does not know of: said by a dry run, met by a restore.

A plan compares records; what ignore rules leave out is in none. Looks, changes nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from casreplay.model.objects import EntryKind
from casreplay.model.paths import display
from casreplay.model.problems import Problem
from casreplay.workspace.steps import FolderWork, NewFiles, Plan, path_of

__all__ = ["foreseen"]


def foreseen(plan: Plan, folder: bytes, *, force: bool) -> Iterator[Problem]:
    """Problems that carrying out ``plan`` in the folder at ``folder`` would run into, by path within a kind.

    Codes: ``unsaved`` (refused as a whole), ``exists``, ``in-the-way``, ``not-empty``; with ``force``
    what is not recorded would be replaced and is named for that. Cost: a look at each file to
    make in a folder that exists, and a listing of each folder to remove.
    """
    going = set(plan.removed)
    for path in () if force else plan.unsaved:
        what = "no snapshot holds its present content: the restore is refused unless forced"
        yield _problem("unsaved", path, what)
    for work in plan.folders:
        if work.is_new and work.path not in going:
            found = _kind(path_of(folder, work.path))
            if found and found != stat.S_IFDIR:
                yield _problem("in-the-way", work.path, "a link or file stands in place of a folder")
        if not work.is_new or _kind(path_of(folder, work.path)) == stat.S_IFDIR:
            for path in _made(work):
                if path not in going and _kind(path_of(folder, path)):
                    what = "would be replaced" if force else "stands there"
                    yield _problem("exists", path, f"something that is not recorded {what}")
    for removal in (*plan.in_the_way, *plan.removals):
        if removal.entry.kind is EntryKind.FOLDER and _holds_more(folder, removal.path, going):
            yield _problem("not-empty", removal.path, "the folder holds files that are not recorded")


def _problem(code: str, path: bytes, what: str) -> Problem:
    return Problem(code, f"{display(path)}: {what}", path=display(path))


def _made(work: FolderWork) -> Iterator[bytes]:
    """Paths of the files and links that are to be made where nothing is."""
    if isinstance(work.files, NewFiles):
        yield from (path_of(work.path, name) for name in work.files.names)
    else:
        yield from (path_of(work.path, one.name) for one in work.files if one.before is None)
    yield from (path_of(work.path, one.name) for one in work.links if one.before is None)


def _kind(path: bytes) -> int:
    """The kind bits of what is at ``path``, no link followed; 0 when nothing is or it cannot be told."""
    try:
        return stat.S_IFMT(os.lstat(path).st_mode)
    except OSError:
        return 0


def _holds_more(folder: bytes, path: bytes, going: set[bytes]) -> bool:
    try:
        names = os.listdir(path_of(folder, path))
    except OSError:
        return False
    return any(path_of(path, name) not in going for name in names)
