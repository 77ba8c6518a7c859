"""The values a restore is planned in: what to write, what to remove, what will not be done.

How a plan is made is ``workspace.plan``'s affair, how it is carried out ``workspace.materialize``'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from casreplay.model.objects import EntryKind, EntryState, TreeEntry
from casreplay.model.problems import Problem

__all__ = ["Entry", "FileWork", "FolderWork", "Plan", "Removal", "path_of"]

Entry = tuple[bytes, TreeEntry]
"""A path below the root and what is there."""


class FileWork(NamedTuple):
    """A file or symlink to write into a folder.

    ``before`` is what stands there now; ``None``: nothing may stand there. ``retouch``: the
    content is right already, only mode or time differ.
    """

    name: bytes
    entry: TreeEntry
    before: TreeEntry | None
    retouch: bool = False


@dataclass(slots=True)
class FolderWork:
    """One folder with something to do.

    Attributes:
        path: below the root; ``b""`` is the root, which has no entry.
        entry: its mode and time, set at the end; ``None``: left as they are.
        is_new: it has to be made.
        files: files to write.
        links: symlinks to write, after all files of all folders.
    """

    path: bytes
    entry: TreeEntry | None
    is_new: bool = False
    files: list[FileWork] = field(default_factory=list)
    links: list[FileWork] = field(default_factory=list)


class Removal(NamedTuple):
    """A file, link, special file or (emptied) folder to remove."""

    path: bytes
    entry: TreeEntry


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps, in the order they are taken.

    Attributes:
        in_the_way: removals that must precede writing (a folder becomes a file, or the reverse).
        folders: what to write, in path order, each folder after the one it is in.
        removals: what is no longer wanted; contents before their folder.
        problems: entries that will not be written, each with its reason.
        unchanged: entries that are right already.
    """

    in_the_way: tuple[Removal, ...]
    folders: tuple[FolderWork, ...]
    removals: tuple[Removal, ...]
    problems: tuple[Problem, ...]
    unchanged: int

    def _works(self) -> Iterable[FileWork]:
        for folder in self.folders:
            yield from folder.files
            yield from folder.links

    @property
    def created(self) -> int:
        """Files, links and folders that do not exist yet."""
        return sum(work.before is None for work in self._works()) + sum(f.is_new for f in self.folders)

    @property
    def overwritten(self) -> list[bytes]:
        """Paths whose present content is replaced, in path order."""
        return [
            path_of(folder.path, work.name)
            for folder in self.folders
            for work in (*folder.files, *folder.links)
            if work.before is not None and not work.retouch
        ]

    @property
    def removed(self) -> list[bytes]:
        """Paths that go away, in path order."""
        return sorted(removal.path for removal in (*self.in_the_way, *self.removals))

    @property
    def retouched(self) -> int:
        """Files and links of which only mode or time are set."""
        return sum(work.retouch for work in self._works())

    @property
    def unsaved(self) -> list[bytes]:
        """Paths to be replaced or removed whose present content no snapshot holds whole, in path order."""
        lost = [
            path_of(folder.path, work.name)
            for folder in self.folders
            for work in (*folder.files, *folder.links)
            if work.before is not None and not work.retouch and work.before.state != EntryState.COMPLETE
        ]
        gone = [
            removal.path
            for removal in (*self.in_the_way, *self.removals)
            if removal.entry.state != EntryState.COMPLETE and removal.entry.kind != EntryKind.FOLDER
        ]
        return sorted([*lost, *gone])

    @property
    def size_bytes(self) -> int:
        """Bytes of content to write."""
        return sum(work.entry.size_bytes for work in self._works() if not work.retouch)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.in_the_way or self.folders or self.removals)


def path_of(folder: bytes, name: bytes) -> bytes:
    """The path of ``name`` in ``folder``."""
    return folder + b"/" + name if folder else name
