"""This system with less: ``python -m support.bare_system LACK ... -- ARGUMENTS`` runs casreplay on it.

Each ``LACK`` is the name of an attribute to take away (``os.fork``) or of a
module, or one of:

* ``fcntl``: the module is gone and the system says it is ``win32``; locks are those of
  ``msvcrt``, played by locks of open files, which behave alike: of a handle, on a range,
  given back by closing it.
* ``dir_fd``: calls relative to an open folder, and open folders, are refused as Windows does.

What stands for itself is loaded before anything is taken away: the standard library and click
have their own ways of living on other systems, and these are not under test.
"""

from __future__ import annotations

import errno
import importlib
import os
import struct
import sys
import types

_NEEDED_BEFORE = (
    "ast asyncio click concurrent.futures csv ctypes datetime difflib email hashlib html importlib.metadata "
    "importlib.resources json logging mmap multiprocessing platform pwd random select shutil signal socket "
    "sqlite3 subprocess tempfile threading tomllib traceback urllib.parse urllib.request uuid zipfile "
    "blake3 zstandard click.shell_completion"
)
_RELATIVE = ("access", "chmod", "link", "mkdir", "open", "readlink", "rename", "rmdir", "stat", "symlink")
_RELATIVE += ("unlink", "utime")


def without(lack: str) -> None:
    """Take one thing away."""
    if lack == "fcntl":
        _without_fcntl()
    elif lack == "dir_fd":
        _without_folder_calls()
    elif "." not in lack:
        sys.modules[lack] = None
    else:
        module, _, name = lack.rpartition(".")
        holder = importlib.import_module(module)
        if hasattr(holder, name):
            delattr(holder, name)


def _without_fcntl() -> None:
    import fcntl

    def locking(descriptor: int, mode: int, width: int) -> None:
        at = os.lseek(descriptor, 0, os.SEEK_CUR)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, at, width, 0))

    player = types.ModuleType("msvcrt")
    player.locking, player.LK_NBLCK = locking, 2
    sys.modules["msvcrt"] = player
    sys.modules["fcntl"] = None
    sys.platform = "win32"


def _without_folder_calls() -> None:
    os.supports_dir_fd = set()
    os.supports_fd = set()
    for name in _RELATIVE:
        setattr(os, name, _bound(getattr(os, name), name))
    for name in ("scandir", "listdir"):
        setattr(os, name, _named(getattr(os, name)))


def _bound(call, name):
    def limited(*args, **named):
        if any(named.get(one) is not None for one in ("dir_fd", "src_dir_fd", "dst_dir_fd")):
            raise NotImplementedError("dir_fd unavailable on this platform")
        if name == "open" and os.path.isdir(args[0]):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), args[0])
        return call(*args, **named)

    return limited


def _named(call):
    def limited(path="."):
        if isinstance(path, int):
            raise TypeError("scandir: path should be string, bytes, os.PathLike or None, not int")
        return call(path)

    return limited


def main() -> None:
    """Run the command line on what is left."""
    at = sys.argv.index("--")
    for name in _NEEDED_BEFORE.split():
        importlib.import_module(name)
    for lack in sys.argv[1:at]:
        without(lack)
    sys.argv = ["casreplay", *sys.argv[at + 1 :]]
    from casreplay.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
