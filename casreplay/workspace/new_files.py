"""Write the files of folders that did not exist, and read them back: where a full restore spends its time.

Does the same as ``workspace.writer`` does for a file that stands nowhere yet, and the same
as ``workspace.survey`` does to check one, with as few calls a file as there can be; whatever
is out of the ordinary is left to these two.
"""

from __future__ import annotations

import contextlib
import os
import stat

from casreplay.codec.hashing import blob_id
from casreplay.errors import CorruptError
from casreplay.model.ids import BlobId, ObjectId
from casreplay.workspace.capture import read_start
from casreplay.workspace.steps import NewFiles
from casreplay.workspace.survey import difference
from casreplay.workspace.writer import CREATE, FAILURES, STREAM_BYTES, Writer, is_fatal, write_rest

__all__ = ["differing", "write_new"]


Failed = list[tuple[bytes, BaseException]]
"""Names of files that could not be written, and why."""


def write_new(folder_fd: int, files: NewFiles, writer: Writer) -> tuple[int, int, Failed]:
    """Write files into an open folder in which nothing is expected.

    Returns:
        Files and bytes written, and what could not be; of such a file nothing remains.

    Raises:
        OSError, StoreIOError: the disk is full or fails; the rest would fail the same way.
    """
    count = size = 0
    failed: Failed = []
    for i, (name, mode, length, mtime_ns, blob) in enumerate(
        zip(files.names, files.modes, files.sizes, files.mtimes_ns, files.ids, strict=True)
    ):
        try:
            if length > STREAM_BYTES:
                writer.write_file(folder_fd, files[i])
            else:
                data = writer.content.read(BlobId(ObjectId(blob)))
                if len(data) != length:
                    raise CorruptError(f"A file of {length} bytes has {len(data)} bytes in the store")
                try:
                    fd = os.open(name, CREATE, mode & 0o777, dir_fd=folder_fd)
                except FileExistsError:
                    size += writer.write_file(folder_fd, files[i])  # it knows what may be replaced
                    count += 1
                    continue
                try:
                    if os.write(fd, data) != length:
                        write_rest(fd, data)
                    if not writer.modes_are_exact:
                        os.fchmod(fd, mode & 0o777)
                    os.utime(fd, ns=(mtime_ns, mtime_ns))
                except BaseException:
                    with contextlib.suppress(OSError):
                        os.unlink(name, dir_fd=folder_fd)
                    raise
                finally:
                    os.close(fd)
            count += 1
            size += length
        except FAILURES as error:
            if is_fatal(error):
                raise
            failed.append((name, error))
    return count, size, failed


def differing(folder_fd: int, files: NewFiles, *, contents: bool) -> list[tuple[bytes, str]]:
    """Names of the files in an open folder that are not as they should be, each with the reason.

    With ``contents`` every file is opened by its name again, read and hashed.
    """
    found: list[tuple[bytes, str]] = []
    for i, (name, mode, length, mtime_ns, blob) in enumerate(
        zip(files.names, files.modes, files.sizes, files.mtimes_ns, files.ids, strict=True)
    ):
        start = read_start(folder_fd, name, length + 1) if contents and length <= STREAM_BYTES else None
        if start is not None:
            data, (found_mode, found_length, found_mtime_ns, _, _) = start
            if (
                found_mode == stat.S_IFREG | mode & 0o777
                and found_mtime_ns == mtime_ns
                and found_length == len(data) == length
                and blob_id(data) == blob
            ):
                continue
        try:
            reason = difference(folder_fd, name, files.entry(i), contents=contents)
        except OSError as error:
            reason = error.strerror or str(error)
        if reason:
            found.append((name, reason))
    return found
