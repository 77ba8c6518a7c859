"""A disk on a file system that is mounted read-only: every change is refused as Linux refuses it.

There even a removal of what does not exist answers ``EROFS``, and opening a lock that exists
fails because it asks for the right to write.
"""

from __future__ import annotations

import errno
import os

from casreplay.errors import StoreIOError
from casreplay.store.files import OsFiles


class ReadOnlyFiles(OsFiles):
    """``refused`` lists what was asked for."""

    def __init__(self):
        self.refused = []

    def _refuse(self, what, path):
        self.refused.append((what, os.path.basename(path)))
        raise StoreIOError(
            f"Cannot {what} {path!r}: {os.strerror(errno.EROFS)}", errno=errno.EROFS, file=path
        )

    def make_folder(self, path):
        if not os.path.isdir(path):
            self._refuse("create the folder", path)

    def append(self, path, *, create=False):
        self._refuse("open", path)

    def rename(self, old, new):
        self._refuse("rename", old)

    def truncate(self, path, size):
        self._refuse("cut", path)

    def remove(self, path):
        self._refuse("remove", path)

    def sync_folder(self, path):
        self._refuse("sync the folder", path)

    def try_lock(self, path, *, exclusive):
        self._refuse("open the lock", path)
