"""What has to happen to turn one tree in a folder into another: decided here, done by ``materialize``.

Pure: entries in, a plan out; nothing is read or written, so ``--dry-run`` is printing the
plan. Owns which names are refused, what is left alone, and the order of the steps:
what stands in the way goes first, then folders and files, then symlinks, then what is
no longer wanted, then the modes and times of folders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from casreplay.model.objects import EntryKind, EntryState, TreeEntry
from casreplay.model.paths import MAX_DEPTH, display
from casreplay.model.problems import Problem
from casreplay.workspace.names import attack, fold, not_portable
from casreplay.workspace.platform import IS_WINDOWS
from casreplay.workspace.steps import Entry, FileWork, FolderWork, NewFiles, Plan, Removal, path_of

__all__ = ["PlanOptions", "plan", "plan_new"]

MAX_NOTES = 20
"""Names that are only noted are named up to here, then counted."""
_REGULAR = (EntryKind.FILE, EntryKind.EXECUTABLE)
_FOLDER, _LINK = EntryKind.FOLDER, EntryKind.SYMLINK


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """The rules of the place that is written to.

    Attributes:
        windows: names Windows cannot hold are refused, not only reported.
        ignores_case: names equal but for case or normalisation are one file there.
        allow_git: write entries named ``.git``; for stores that recorded them on purpose.
        protected: paths below the root that are never written or removed (a store inside the workspace).
    """

    windows: bool = IS_WINDOWS
    ignores_case: bool = False
    allow_git: bool = False
    protected: tuple[bytes, ...] = ()


def plan(current: Iterable[Entry], target: Iterable[Entry], options: PlanOptions | None = None) -> Plan:
    """The steps that make a folder hold exactly ``target`` where it holds ``current``.

    Args:
        current: what is there, in any order; what is left out here is never touched
            (ignored files), only found in the way.
        target: what shall be there, folders before their contents.
        options: the rules of the place; the default is this system's.

    Cost: about 3 us an entry.
    """
    return _Planner(dict(current), options or PlanOptions()).run(target)


def plan_new(
    target: Iterable[Entry], files: Mapping[bytes, NewFiles], options: PlanOptions | None = None
) -> Plan:
    """The steps that fill an empty folder.

    Args:
        target: as for ``plan``, but for what is in ``files``.
        files: files by the path of their folder, all of them plain (``NewFiles.are_plain``).
        options: the rules of the place; neither one that ignores case nor with protected paths, for
            these look at every file.

    Cost: about 3 us an entry of ``target``, next to nothing for ``files``.
    """
    planner = _Planner({}, options or PlanOptions())
    planner.new_files = files
    return planner.run(target)


class _Planner:
    """The state of one planning run."""

    def __init__(self, current: dict[bytes, TreeEntry], options: PlanOptions) -> None:
        self._current = current
        self._options = options
        self._works: dict[bytes, FolderWork] = {}
        self._folders: dict[bytes, TreeEntry | None] = {b"": None}
        self._refused: set[bytes] = set()
        self._opaque: set[bytes] = set(options.protected)
        self._problems: list[Problem] = []
        self._removed: dict[bytes, TreeEntry] = {}
        self._blocked: set[bytes] = set()
        self._seen: set[bytes] = set()
        self._unchanged = 0
        self._unportable = 0
        self.new_files: Mapping[bytes, NewFiles] = {}

    def run(self, target: Iterable[Entry]) -> Plan:
        for path, entry in target:
            folder, _, name = path.rpartition(b"/")
            if folder in self._refused:
                if entry.kind == _FOLDER:
                    self._refused.add(path)
                continue
            reason = self._refusal(path, folder, name)
            if reason:
                self._refuse(path, entry, *reason)
            elif entry.kind == _FOLDER:
                self._plan_folder(path, folder, entry)
            elif entry.blob_id is None:
                self._plan_without_content(path, entry)
            else:
                self._plan_file(path, folder, name, entry)
        return self._finish()

    def _refusal(self, path: bytes, folder: bytes, name: bytes) -> tuple[str, str] | None:
        reason = attack(name)
        if reason and not (self._options.allow_git and reason.startswith("is .git")):
            return "unsafe-name", reason
        if path in self._options.protected:
            return "protected", "is the store's place"
        if path.count(b"/") >= MAX_DEPTH:
            return "too-deep", f"lies deeper than {MAX_DEPTH} folders"
        if folder not in self._folders:
            return "orphan", "is in a folder the tree does not have"
        key = path
        if self._options.ignores_case:
            key = path_of(folder, fold(name))
        if key in self._seen:
            return "name-clash", "has the name of another entry where it is written"
        self._seen.add(key)
        reason = not_portable(name)
        if reason and self._options.windows:
            return "not-portable", reason
        if reason:
            self._unportable += 1
            if self._unportable <= MAX_NOTES:
                self._note("not-portable-elsewhere", path, f"The name {display(path)} {reason}")
        return None

    def _refuse(self, path: bytes, entry: TreeEntry, code: str, reason: str) -> None:
        self._note(code, path, f"{display(path)} is not restored: it {reason}")
        if entry.kind == _FOLDER:
            self._refused.add(path)
        self._keep(path)

    def _keep(self, path: bytes) -> None:
        """Leave what stands at ``path`` alone, and everything below it."""
        if self._current.pop(path, None) is not None:
            self._opaque.add(path)

    def _note(self, code: str, path: bytes, message: str) -> None:
        self._problems.append(Problem(code, message, path=display(path)))

    def _plan_folder(self, path: bytes, folder: bytes, entry: TreeEntry) -> None:
        before = self._current.pop(path, None)
        self._folders[path] = entry
        if entry.state not in (EntryState.COMPLETE, EntryState.PREFIX):
            self._opaque.add(path)
            if entry.state != EntryState.MOUNT:
                self._note(
                    "no-content", path, f"What is in {display(path)} was not recorded and is left as it is"
                )
        if before is not None and before.kind != _FOLDER:
            self._removed[path] = before
            self._blocked.add(path)
        if before is None or before.kind != _FOLDER:
            self._works[path] = FolderWork(path, entry, is_new=True)
            self._touch_folder(folder)
        elif (before.mode, before.mtime_ns) != (entry.mode, entry.mtime_ns):
            self._works[path] = FolderWork(path, entry)
        else:
            self._unchanged += 1

    def _plan_without_content(self, path: bytes, entry: TreeEntry) -> None:
        kind = entry.kind
        if kind in _REGULAR or kind == _LINK:
            reason = f"its content was not recorded ({entry.state.name.lower().replace('_', ' ')})"
            self._note("no-content", path, f"{display(path)} is not restored: {reason}")
        elif path in self._current and self._current[path].kind == kind:
            self._unchanged += 1
        else:
            word = kind.name.lower().replace("_", " ")
            self._note("special", path, f"{display(path)} is not restored: it is a {word}")
        self._keep(path)

    def _plan_file(self, path: bytes, folder: bytes, name: bytes, entry: TreeEntry) -> None:
        before = self._current.pop(path, None)
        if before is None:
            work = FileWork(name, entry, None)
        elif before.kind == _FOLDER:
            self._removed[path] = before
            self._blocked.add(path)
            work = FileWork(name, entry, None)
        elif _same_content(before, entry):
            is_link = entry.kind == _LINK
            if before.mtime_ns == entry.mtime_ns and (before.mode == entry.mode or is_link):
                self._unchanged += 1
                return
            work = FileWork(name, entry, before, retouch=True)
        else:
            work = FileWork(name, entry, before)
        if not work.retouch:
            self._touch_folder(folder)
            if entry.mode & 0o6000 and entry.kind != _LINK:
                self._note(
                    "setid", path, f"{display(path)} is restored without its set-user-id or set-group-id bit"
                )
        target = self._works.get(folder) or self._work(folder)
        target.add(work)

    def _work(self, folder: bytes) -> FolderWork:
        found = self._works.get(folder)
        if found is None:
            found = self._works[folder] = FolderWork(folder, self._folders.get(folder))
        return found

    def _touch_folder(self, folder: bytes) -> None:
        """Writing into a folder changes its time, which then has to be set again."""
        if self._folders.get(folder) is not None:
            self._work(folder)

    def _finish(self) -> Plan:
        for path, files in self.new_files.items():
            if path in self._folders:  # it was not refused
                self._work(path).files = files
        if self._unportable > MAX_NOTES:
            more = self._unportable - MAX_NOTES
            self._note(
                "not-portable-elsewhere", b"", f"{more} more names are written that Windows cannot hold"
            )
        for path, entry in self._current.items():
            if entry.state == EntryState.MOUNT:
                self._note("mount", path, f"{display(path)} is a mount point and stays")
            elif not _is_below(path, self._opaque):
                self._removed[path] = entry
                self._touch_folder(path.rpartition(b"/")[0])
        order = sorted(self._removed, key=_depth_first, reverse=True)
        steps = [(Removal(path, self._removed[path]), _is_below(path, self._blocked)) for path in order]
        return Plan(
            in_the_way=tuple(step for step, blocks in steps if blocks),
            folders=tuple(self._works[path] for path in sorted(self._works, key=_depth_first)),
            removals=tuple(step for step, blocks in steps if not blocks),
            problems=tuple(self._problems),
            unchanged=self._unchanged,
        )


def _depth_first(path: bytes) -> bytes:
    """Sort key: a folder, then what is in it, then its next sibling. No name holds NUL."""
    return path.replace(b"/", b"\0")


def _is_below(path: bytes, tops: set[bytes]) -> bool:
    """Whether ``path`` or a folder above it is one of ``tops``."""
    while tops and path:
        if path in tops:
            return True
        path = path.rpartition(b"/")[0]
    return False


def _same_content(a: TreeEntry, b: TreeEntry) -> bool:
    """Whether both are files, or both links, of equal complete content."""
    return (
        (a.kind == _LINK) == (b.kind == _LINK)
        and a.kind != _FOLDER
        and a.kind.has_content
        and a.state.has_content
        and a.id == b.id
    )
