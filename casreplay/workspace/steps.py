"""The values a restore is planned in: what to write, what to remove, what will not be done.

How a plan is made is ``workspace.plan``'s affair, how it is carried out ``workspace.materialize``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast, overload

from casreplay.model.objects import EntryKind, EntryState, TreeEntry
from casreplay.model.problems import Problem
from casreplay.workspace.names import are_plain

__all__ = ["Entry", "FileWork", "FolderWork", "NewFiles", "Plan", "Removal", "path_of"]

Entry = tuple[bytes, TreeEntry]
"""A path below the root and what is there."""


_SET_ID = 0o6000
_WITH_CONTENT = frozenset(int(state) for state in EntryState if state.has_content)


class FileWork(NamedTuple):
    """A file or symlink to write into a folder.

    ``before`` is what stands there now; ``None``: nothing may stand there. ``retouch``: the
    content is right already, only mode or time differ.
    """

    name: bytes
    entry: TreeEntry
    before: TreeEntry | None
    retouch: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class NewFiles(Sequence[FileWork]):
    """The regular files of a folder that does not exist yet: columns, made into values when asked for.

    A hundred thousand files as values cost most of a second that nobody needs; every column
    has one item a file, in name order.

    Attributes:
        names: raw name bytes.
        modes: permission bits.
        sizes: content lengths.
        mtimes_ns: modification times.
        ids: blob ids of the contents.
        kinds: numbers of ``EntryKind``: files and executables.
        states: numbers of ``EntryState``.
    """

    names: Sequence[bytes]
    modes: Sequence[int]
    sizes: Sequence[int]
    mtimes_ns: Sequence[int]
    ids: Sequence[bytes]
    kinds: Sequence[int]
    states: Sequence[int]

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> FileWork: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[FileWork]: ...

    def __getitem__(self, index: int | slice) -> FileWork | Sequence[FileWork]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return FileWork(self.names[index], self.entry(index), None)

    def entry(self, i: int) -> TreeEntry:
        """The file number ``i`` as a value."""
        kind, state = EntryKind(self.kinds[i]), EntryState(self.states[i])
        return TreeEntry(
            self.names[i], kind, state, self.modes[i], self.sizes[i], self.mtimes_ns[i], self.ids[i]
        )

    @property
    def are_plain(self) -> bool:
        """Whether all can be written as they are: no odd name, nothing missing, no set-id bit."""
        if not _WITH_CONTENT.issuperset(self.states):
            return False
        return not any(mode & _SET_ID for mode in self.modes) and are_plain(self.names)


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
    files: Sequence[FileWork] = field(default_factory=list)
    links: list[FileWork] = field(default_factory=list)

    def add(self, work: FileWork) -> None:
        """One more file or link."""
        chosen = self.links if work.entry.kind is EntryKind.SYMLINK else self.files
        cast("list[FileWork]", chosen).append(work)

    @property
    def is_all_new(self) -> bool:
        """Whether the files are ``NewFiles``: none replaces anything."""
        return isinstance(self.files, NewFiles)

    @property
    def size_bytes(self) -> int:
        """Bytes of files to write."""
        if isinstance(self.files, NewFiles):
            return sum(self.files.sizes)
        return sum(work.entry.size_bytes for work in self.files if not work.retouch)


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
        """Files and links, but those of ``NewFiles``."""
        for folder in self.folders:
            if not folder.is_all_new:
                yield from folder.files
            yield from folder.links

    @property
    def created(self) -> int:
        """Files, links and folders that do not exist yet."""
        new = sum(f.is_new + len(f.files) * f.is_all_new for f in self.folders)
        return new + sum(work.before is None for work in self._works())

    @property
    def overwritten(self) -> list[bytes]:
        """Paths whose present content is replaced, in path order."""
        return [
            path_of(folder.path, work.name)
            for folder in self.folders
            for work in (*(() if folder.is_all_new else folder.files), *folder.links)
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
            for work in (*(() if folder.is_all_new else folder.files), *folder.links)
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
        links = (work for folder in self.folders for work in folder.links)
        return sum(folder.size_bytes for folder in self.folders) + sum(
            work.entry.size_bytes for work in links if not work.retouch
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.in_the_way or self.folders or self.removals)


def path_of(folder: bytes, name: bytes) -> bytes:
    """The path of ``name`` in ``folder``."""
    return folder + b"/" + name if folder else name
