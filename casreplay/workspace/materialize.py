"""Carry out a plan: make a folder hold a tree, fast and without ever leaving the folder.

Owns the order of the steps, the division of folders between processes, and the report of
what could not be done. One entry that fails is a ``Problem`` and the rest goes on; a full
disk stops everything. Contents come through callables: this floor knows no store.

Creating files is what costs (about 25 us each in the kernel); one Python process does not
saturate it and two do, so folders are divided between forked workers, in the order in which
the store can be read cheapest.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from casreplay.errors import StoreIOError
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import EntryState
from casreplay.model.paths import display
from casreplay.model.problems import Problem
from casreplay.workspace import workers
from casreplay.workspace.folders import FolderStack, open_root
from casreplay.workspace.new_files import differing, write_new
from casreplay.workspace.order import closed_at_once, in_reading_order, weight
from casreplay.workspace.platform import exact_modes, require_folder_calls, set_mode
from casreplay.workspace.steps import FolderWork, NewFiles, Plan, Removal, path_of
from casreplay.workspace.writer import (
    FAILURES,
    ChangedMeanwhileError,
    Content,
    Writer,
    is_fatal,
    remove_temporaries,
)

__all__ = ["Applied", "ApplyOptions", "Content", "apply"]

MIN_PARALLEL_FILES = 500
ADVANCE_EVERY = 256
SHARES_EACH = 16
"""Shares of the work for each process, so that all end at about the same time."""

Failure = tuple[str, bytes, str]
"""(code, path, reason): what a worker sends back for an entry that failed."""
Outcome = tuple[int, int, list[Failure]]
"""Files written, bytes written, what failed."""


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How to carry out a plan.

    Attributes:
        force: replace and remove what changed since the plan was made, or was not known to it.
        jobs: processes; 0: as many as are worth it.
        monitor: told about progress.
        check_new: whether ``NewFiles`` are looked at as soon as they are written; what is not as
            planned is a problem, code ``not-restored``.
        contents: whether that means to read them back and compare; else kind, mode, size and time alone.
    """

    force: bool = False
    jobs: int = 0
    monitor: Monitor = SILENT
    check_new: bool = False
    contents: bool = True


@dataclass(slots=True)
class Applied:
    """What was done.

    Attributes:
        files: files and links written (retouched ones too).
        removed: files, links and folders removed.
        written_bytes: content written.
        problems: what could not be done, the plan's own problems first.
    """

    files: int = 0
    removed: int = 0
    written_bytes: int = 0
    problems: list[Problem] = field(default_factory=list)


def apply(plan: Plan, folder: bytes, content: Content, options: ApplyOptions | None = None) -> Applied:
    """Carry out ``plan`` in the existing folder at ``folder``.

    Interrupted, it leaves each file either as it was or as it shall be; running
    the same restore again finishes the work.

    Raises:
        UsageError: the system lacks what safe writing needs.
        OSError: the folder itself cannot be opened.
        StoreIOError: the disk is full or fails; what was written so far stays.
    """
    require_folder_calls()
    options = options or ApplyOptions()
    applied = Applied(problems=list(plan.problems))
    root_fd = open_root(folder)
    try:
        with exact_modes() as exact:
            run = _Run(root_fd, Writer(content, modes_are_exact=exact, force=options.force), options)
            run.closed = closed_at_once(plan.folders)
            run.remove(plan.in_the_way, applied)
            run.write(plan.folders, applied, content)
            run.remove(plan.removals, applied)
            run.finish_folders([work for work in plan.folders if work.path not in run.closed], applied)
    except BaseException as error:
        _sweep_temporaries(root_fd, plan.folders)
        if not isinstance(error, OSError):
            raise
        raise StoreIOError(f"Restoring stopped: {error.strerror or error}", errno=error.errno) from error
    finally:
        os.close(root_fd)
    return applied


def _sweep_temporaries(root_fd: int, folders: Iterable[FolderWork]) -> None:
    """After an interruption, remove what workers wrote beside files they did not come to replace."""
    with FolderStack(root_fd) as stack:
        for work in folders:
            files = () if work.is_all_new else work.files
            if any(file.before is not None for file in (*files, *work.links)):
                with contextlib.suppress(OSError):
                    remove_temporaries(stack.open(work.path))


class _Run:
    """One application of a plan; copied into each worker by ``fork``."""

    def __init__(self, root_fd: int, writer: Writer, options: ApplyOptions) -> None:
        self._root_fd = root_fd
        self._writer = writer
        self._options = options
        self._done = 0
        self._scale = 1
        self.closed: frozenset[bytes] = frozenset()

    def remove(self, removals: Iterable[Removal], applied: Applied) -> None:
        """Remove entries, contents before their folder."""
        failures: list[Failure] = []
        with FolderStack(self._root_fd) as stack:
            for path, entry in removals:
                folder, _, name = path.rpartition(b"/")
                try:
                    with _writable(stack.open(folder)) as folder_fd:
                        self._writer.remove(folder_fd, name, entry)
                    applied.removed += 1
                except FileNotFoundError:
                    continue
                except FAILURES as error:
                    failures.append(_failure(path, error))
        _report(applied, failures)

    def write(self, folders: Sequence[FolderWork], applied: Applied, content: Content) -> None:
        """Make folders and files, in several processes when it is worth it, then all symlinks."""
        files = sum(len(work.files) for work in folders)
        links = [work for work in folders if work.links]
        self._options.monitor.stage("restoring", files + sum(len(work.links) for work in links), "files")
        jobs = 1 if files < MIN_PARALLEL_FILES else self._options.jobs or workers.count()
        ordered = in_reading_order(folders, content)
        shares = jobs if jobs == 1 else SHARES_EACH * jobs
        parts = workers.split_by_weight([weight(work) for work in ordered], shares)
        self._scale = jobs
        if links:
            many = sum(len(work.links) for work in links) >= MIN_PARALLEL_FILES
            link_parts = workers.deal(links, jobs if many else 1)
        with workers.Deck(len(parts)) as deck:
            results = workers.run([partial(self._draw, ordered, parts, deck)] * jobs)
        self._options.monitor.advance(files)
        if links:
            results += workers.run([partial(self._write_links, part) for part in link_parts])
        for count, size, failures in results:
            applied.files += count
            applied.written_bytes += size
            _report(applied, failures)

    def _draw(self, folders: Sequence[FolderWork], parts: Sequence[range], deck: workers.Deck) -> Outcome:
        """Write shares until none is left: whoever is slow takes fewer."""
        count = size = 0
        failures: list[Failure] = []
        for number in deck:
            part = folders[parts[number].start : parts[number].stop]
            more, length, failed = self._write_files(part)
            count, size = count + more, size + length
            failures += failed
        return count, size, failures

    def _write_files(self, folders: Sequence[FolderWork]) -> Outcome:
        count = size = 0
        failures: list[Failure] = []
        with FolderStack(self._root_fd) as stack:
            for work in folders:
                if not (work.is_new or work.files):
                    continue
                try:
                    folder_fd = stack.open(work.path, create=True, is_new=work.is_new)
                    if stat.S_IMODE(os.fstat(folder_fd).st_mode) & 0o300 == 0o300:
                        more, length, failed = self._write_folder(folder_fd, work)
                    else:
                        with _writable(folder_fd):
                            more, length, failed = self._write_folder(folder_fd, work)
                    count, size = count + more, size + length
                    failures += failed
                    if work.path in self.closed and work.entry is not None:
                        os.fchmod(folder_fd, work.entry.mode & 0o1777)
                        os.utime(folder_fd, ns=(work.entry.mtime_ns, work.entry.mtime_ns))
                except FAILURES as error:
                    failures.append(_failure(work.path, error))
                self._advance(len(work.files))
        return count, size, failures

    def _write_folder(self, folder_fd: int, work: FolderWork) -> Outcome:
        """Write the files of one folder, and look at the new ones again."""
        failures: list[Failure] = []
        if isinstance(work.files, NewFiles):
            check, contents = self._options.check_new, self._options.contents
            count, size, failed, unsure = write_new(
                folder_fd, work.files, self._writer, reread=check and contents
            )
            failures += [_failure(path_of(work.path, name), error) for name, error in failed]
            looked = differing(folder_fd, work.files, unsure if check else (), contents=contents)
            failures += [("not-restored", path_of(work.path, name), reason) for name, reason in looked]
            return count, size, failures
        count = size = 0
        for file in work.files:
            try:
                size += self._writer.write_file(folder_fd, file)
                count += 1
            except FAILURES as error:
                failures.append(_failure(path_of(work.path, file.name), error))
        return count, size, failures

    def _write_links(self, folders: Sequence[FolderWork]) -> Outcome:
        count = size = 0
        failures: list[Failure] = []
        with FolderStack(self._root_fd) as stack:
            for work in folders:
                for link in work.links:
                    try:
                        with _writable(stack.open(work.path, create=True)) as folder_fd:
                            size += self._writer.write_link(folder_fd, link)
                        count += 1
                    except FAILURES as error:
                        failures.append(_failure(path_of(work.path, link.name), error))
        return count, size, failures

    def finish_folders(self, folders: Sequence[FolderWork], applied: Applied) -> None:
        """Set modes and times of folders, inner ones first: nothing is written after that.

        Those that shut even their owner out come last, in one process: no worker may
        find the way to its own folders closed by another.
        """
        folders = [work for work in folders if work.entry is not None]
        shut = [work for work in folders if work.entry is not None and work.entry.mode & 0o700 != 0o700]
        if shut:
            folders = [
                work for work in folders if work.entry is not None and work.entry.mode & 0o700 == 0o700
            ]
        jobs = 1 if len(folders) < MIN_PARALLEL_FILES else self._options.jobs or workers.count()
        parts = workers.split_by_weight([1] * len(folders), jobs) if folders else []
        tasks = [partial(self._set_folders, folders[part.start : part.stop]) for part in parts]
        for failures in [*workers.run(tasks), self._set_folders(shut)]:
            _report(applied, failures)

    def _set_folders(self, folders: Sequence[FolderWork]) -> list[Failure]:
        failures: list[Failure] = []
        with FolderStack(self._root_fd) as stack:
            for work in reversed(folders):
                entry = work.entry
                assert entry is not None
                above, _, name = work.path.rpartition(b"/")
                try:
                    folder_fd = stack.open(above)
                    if entry.state != EntryState.MOUNT:
                        set_mode(name, entry.mode & 0o1777, folder_fd)
                    os.utime(
                        name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder_fd, follow_symlinks=False
                    )
                except FAILURES as error:
                    failures.append(_failure(work.path, error))
        return failures

    def _advance(self, files: int) -> None:
        """Report progress from this process alone, scaled to all of them."""
        before = self._done
        self._done += files
        if before // ADVANCE_EVERY != self._done // ADVANCE_EVERY:
            self._options.monitor.advance(self._done * self._scale)


@contextlib.contextmanager
def _writable(folder_fd: int) -> Iterator[int]:
    """Within, the owner may write into the folder, whatever its mode says before and after."""
    mode = stat.S_IMODE(os.fstat(folder_fd).st_mode)
    if mode & 0o300 == 0o300:
        yield folder_fd
        return
    os.fchmod(folder_fd, mode | 0o700)
    try:
        yield folder_fd
    finally:
        os.fchmod(folder_fd, mode)


def _failure(path: bytes, error: BaseException) -> Failure:
    """What a failed entry is reported as; a fatal error is raised again instead."""
    if is_fatal(error):
        raise error
    if isinstance(error, ChangedMeanwhileError):
        return "changed-meanwhile", path, "it was changed meanwhile"
    if isinstance(error, FileExistsError):
        return "exists", path, "something that is not recorded stands there"
    if isinstance(error, OSError):
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return "in-the-way", path, "a link or file stands in place of a folder"
        if error.errno == errno.ENOTEMPTY:
            return "not-empty", path, "the folder holds files that are not recorded"
        return "unwritable", path, error.strerror or str(error)
    return "corrupt", path, str(error)


def _report(applied: Applied, failures: Iterable[Failure]) -> None:
    for code, path, reason in failures:
        what = "is not as recorded" if code == "not-restored" else "could not be restored"
        message = f"{display(path)} {what}: {reason}"
        applied.problems.append(Problem(code, message, path=display(path)))
