"""Open folders: the only way this floor reaches below a target, so that no link can lead out of it.

A path is walked name by name with ``O_NOFOLLOW``; neighbours share their open ancestors.
Owns descriptors and nothing else: what is written into a folder is ``workspace.writer``'s affair.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from types import TracebackType
from typing import Self

from casreplay.workspace.platform import set_mode

__all__ = ["FolderStack", "open_root"]

MAX_OPEN = 64
"""Descriptors kept open; ancestors further up are opened again when needed."""

_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


def open_root(path: bytes) -> int:
    """A descriptor of the folder at ``path``; here, and only here, links are followed.

    Raises:
        OSError: there is no folder, or it cannot be read.
    """
    return os.open(path, _FLAGS)


class FolderStack:
    """Descriptors of one folder below a root and of its ancestors; a context manager.

    Asking for folders in walk order opens each about once. The root's descriptor is
    borrowed, not closed.

    Args:
        root_fd: the open root.
        opens_up: whether a folder that denies its owner gets mode bits that let him in. For
            who writes into the folders; a reader changes nothing.
    """

    def __init__(self, root_fd: int, *, opens_up: bool = True) -> None:
        self._root_fd = root_fd
        self._opens_up = opens_up
        self._names: list[bytes] = []
        self._fds: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every descriptor but the root's."""
        self._pop_to(0)

    def open(self, path: bytes, *, create: bool = False, is_new: bool = False) -> int:
        """A descriptor of the folder at ``path``, valid until the next call.

        Args:
            path: below the root; ``b""`` is the root.
            create: make missing folders, with mode 0700; their final modes come later.
            is_new: the folder itself most likely is missing: make it without looking for it first.

        Raises:
            OSError: a part is missing, is no folder (``ENOTDIR``) or is a link (``ELOOP`` or ``ENOTDIR``).
        """
        names = path.split(b"/") if path else []
        shared = 0
        for ours, theirs in zip(self._names, names, strict=False):
            if ours != theirs:
                break
            shared += 1
        self._pop_to(shared)
        if shared and self._fds[-1] < 0:
            self._pop_to(0)
            shared = 0
        if is_new and shared < len(names):
            for name in names[shared:-1]:
                self._push(name, create=create)
            self._make(names[-1], self._fds[-1] if self._fds else self._root_fd)
            shared = len(names) - 1
        for name in names[shared:]:
            self._push(name, create=create)
        return self._fds[-1] if self._fds else self._root_fd

    def _push(self, name: bytes, *, create: bool) -> None:
        above = self._fds[-1] if self._fds else self._root_fd
        try:
            fd = os.open(name, _FLAGS | _NO_FOLLOW, dir_fd=above)
        except FileNotFoundError:
            if not create:
                raise
            self._make(name, above)
            fd = os.open(name, _FLAGS | _NO_FOLLOW, dir_fd=above)
        except PermissionError:
            if not self._opens_up:
                raise
            fd = self._opened_up(name, above)
        self._names.append(name)
        self._fds.append(fd)
        if len(self._fds) > MAX_OPEN:
            far = self._fds[-MAX_OPEN - 1]
            if far >= 0:
                os.close(far)
                self._fds[-MAX_OPEN - 1] = -1

    def _make(self, name: bytes, above: int) -> None:
        """Make a folder, also in an own one that denies it: that one's mode is set right in the end."""
        with contextlib.suppress(FileExistsError):  # another worker was faster; open tells what it made
            try:
                os.mkdir(name, 0o700, dir_fd=above)
            except PermissionError:
                if not self._opens_up:
                    raise
                mode = stat.S_IMODE(os.fstat(above).st_mode)
                os.fchmod(above, mode | 0o700)
                try:
                    os.mkdir(name, 0o700, dir_fd=above)
                finally:
                    if above == self._root_fd:  # nobody sets its mode
                        os.fchmod(above, mode)

    @staticmethod
    def _opened_up(name: bytes, above: int) -> int:
        """Open an own folder that denies it; its mode is set right when everything is written."""
        found = os.stat(name, dir_fd=above, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
        set_mode(name, stat.S_IMODE(found.st_mode) | 0o700, above)
        return os.open(name, _FLAGS | _NO_FOLLOW, dir_fd=above)

    def _pop_to(self, depth: int) -> None:
        while len(self._fds) > depth:
            self._names.pop()
            fd = self._fds.pop()
            if fd >= 0:
                os.close(fd)
