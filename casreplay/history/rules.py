"""What a workspace leaves out: the ignore rules of its configuration, its ignore files and its store.

Owns putting the three together. The rules themselves are ``workspace.ignore``'s.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING

from casreplay.model.paths import is_inside
from casreplay.workspace.ignore import IgnoreFiles, IgnoreRules

if TYPE_CHECKING:
    from casreplay.model.config import Config

__all__ = ["rules_of", "store_inside"]

MAX_IGNORE_FILE_BYTES = 1 << 20


def rules_of(config: Config | None, root: bytes, store: bytes) -> IgnoreRules:
    """The ignore rules of the workspace ``root``; the store is never captured, wherever it lies.

    Args:
        config: the workspace's configuration; ``None`` for the defaults.
        root: the workspace, absolute, symlinks resolved.
        store: the store's folder.
    """
    protected = list(store_inside(root, store))
    read = _ignore_reader(root)
    if config is None:
        return IgnoreRules.build(files=IgnoreFiles(read=read), protected=protected)
    return IgnoreRules.build(
        config.include_patterns,
        config.exclude_patterns,
        defaults=config.default_excludes,
        files=IgnoreFiles(own=config.use_ignore_files, git=config.respect_gitignore, read=read),
        protected=protected,
    )


def store_inside(root: bytes, store: str | bytes | os.PathLike[str]) -> tuple[bytes, ...]:
    """Where the store lies below the workspace, as a path of it; nothing when it lies elsewhere."""
    top, place = root.rstrip(b"/"), os.path.realpath(os.fsencode(store))
    return (place[len(top) + 1 :],) if is_inside(place, top) and place != root else ()


_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
"""A FIFO must not keep us waiting; what a link leads to may change, or lie outside, unseen."""


def _open_itself(path: str | bytes, flags: int) -> int:
    return os.open(path, flags | _FLAGS)


def _ignore_reader(root: bytes) -> Callable[[bytes], bytes | None]:
    """Reads ignore files below ``root``; one that cannot be read, or is no file, has no rules.

    Nor has a symlink, as in git.
    """

    def read(path: bytes) -> bytes | None:
        try:
            with open(os.path.join(root, path), "rb", opener=_open_itself) as file:
                is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
                return file.read(MAX_IGNORE_FILE_BYTES) if is_file else None
        except OSError:
            return None

    return read
