"""Write the files of folders that did not exist, and look at them: where a full restore spends its time.

Does the same as ``workspace.writer`` does for a file that stands nowhere yet, and the same
as ``workspace.survey`` does to check one, with as few calls a file as there can be; whatever
is out of the ordinary is left to these two. A file is read back before it is closed and
compared with what the store gave, whose hash the store has checked; when its folder is done
it is looked for by its name once more, and must not have changed since.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable

from casreplay.errors import CorruptError
from casreplay.model.ids import BlobId, ObjectId
from casreplay.workspace.steps import NewFiles
from casreplay.workspace.survey import difference
from casreplay.workspace.writer import CREATE, FAILURES, STREAM_BYTES, Writer, is_fatal, write_rest

__all__ = ["differing", "write_new"]


Failed = list[tuple[bytes, BaseException]]
"""Names of files that could not be written, and why."""
_CREATE = CREATE & ~os.O_WRONLY | os.O_RDWR


def write_new(
    folder_fd: int, files: NewFiles, writer: Writer, *, reread: bool = True
) -> tuple[int, int, Failed, list[int]]:
    """Write files into an open folder in which nothing is expected, and look at each before it is closed.

    Args:
        folder_fd: the folder.
        files: what to write.
        writer: gives contents, which are checked, and writes what is out of the ordinary.
        reread: whether each file is read back and compared with what it was given; its kind,
            mode, size and time are looked at in any case.

    Returns:
        Files and bytes written; what could not be, and of such a file nothing remains; the
        numbers of files that were not seen to be right, for ``differing``.

    Raises:
        OSError, StoreIOError: the disk is full or fails; the rest would fail the same way.
    """
    count = size = 0
    failed: Failed = []
    unsure: list[int] = []
    seen: list[tuple[int, int]] = []
    folder = _Folder(folder_fd, exact=writer.modes_are_exact, reread=reread)
    for i, (name, mode, length, mtime_ns, blob) in enumerate(
        zip(files.names, files.modes, files.sizes, files.mtimes_ns, files.ids, strict=True)
    ):
        try:
            data = None if length > STREAM_BYTES else writer.content.read(BlobId(ObjectId(blob)))
            if data is not None and len(data) != length:
                raise CorruptError(f"A file of {length} bytes has {len(data)} bytes in the store")
            changed_ns = None if data is None else folder.write(name, data, mode & 0o777, mtime_ns)
            if changed_ns is None:
                writer.write_file(folder_fd, files[i])  # in pieces, or it knows what may be replaced
            if changed_ns:
                seen.append((i, changed_ns))
            else:
                unsure.append(i)
            count += 1
            size += length
        except FAILURES as error:
            if is_fatal(error):
                raise
            failed.append((name, error))
    return count, size, failed, sorted([*unsure, *folder.changed(files, seen)])


class _Folder:
    """An open folder that gets new files."""

    def __init__(self, fd: int, *, exact: bool, reread: bool) -> None:
        self._fd = fd
        self._exact = exact
        self._reread = reread

    def write(self, name: bytes, data: bytes, mode: int, mtime_ns: int) -> int | None:
        """Make one file.

        Returns:
            When it was last changed, if it is seen to be right; 0 when it is not, ``None`` when
            something stands there.
        """
        try:
            fd = os.open(name, _CREATE, mode, dir_fd=self._fd)
        except FileExistsError:
            return None
        try:
            if os.write(fd, data) != len(data):
                write_rest(fd, data)
            if not self._exact:
                os.fchmod(fd, mode)
            # Read before the times are set: reading sets one of them.
            is_right = not self._reread or _reread(fd, len(data) + 1) == data
            os.utime(fd, ns=(mtime_ns, mtime_ns))
            found = os.fstat(fd)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._fd)
            raise
        finally:
            os.close(fd)
        is_as_said = found.st_mode == stat.S_IFREG | mode and found.st_mtime_ns == mtime_ns
        return found.st_ctime_ns if is_right and is_as_said and found.st_size == len(data) else 0

    def changed(self, files: NewFiles, seen: Iterable[tuple[int, int]]) -> list[int]:
        """Numbers of the files that are not there any more as they were seen, of (number, change time)."""
        changed: list[int] = []
        for i, changed_ns in seen:
            try:
                found = os.stat(files.names[i], dir_fd=self._fd, follow_symlinks=False)
            except OSError:
                changed.append(i)
                continue
            if found.st_ctime_ns != changed_ns or found.st_size != files.sizes[i]:
                changed.append(i)
        return changed


def _reread(fd: int, count: int) -> bytes:
    """At most ``count`` bytes of an open file from its start; ``pread`` is not everywhere."""
    os.lseek(fd, 0, os.SEEK_SET)
    return os.read(fd, count)


def differing(
    folder_fd: int, files: NewFiles, numbers: Iterable[int], *, contents: bool
) -> list[tuple[bytes, str]]:
    """Which of the files ``numbers`` in an open folder are not as they should be: names and reasons.

    With ``contents`` each is opened by its name again, read and hashed.
    """
    found: list[tuple[bytes, str]] = []
    for i in numbers:
        name = files.names[i]
        try:
            reason = difference(folder_fd, name, files.entry(i), contents=contents)
        except OSError as error:
            reason = error.strerror or str(error)
        if reason:
            found.append((name, reason))
    return found
