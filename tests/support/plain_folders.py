"""Real folders for tests: written from nested dictionaries, and compared as pictures."""

from __future__ import annotations

import os
import stat
from functools import partial

from hypothesis import strategies as st

from casreplay.history.walk import walk
from casreplay.workspace.materialize import Content
from support.tree_builder import DictObjects, Executable, Symlink, build

T0 = 1_700_000_000_123_456_789

NAMES = st.sampled_from([b"a", b"b", b"c", b"\xff"])
LEAVES = st.one_of(
    st.binary(max_size=3),
    st.binary(max_size=2).map(Executable),
    st.sampled_from([b"a", b"b/c", b"..", b"/etc"]).map(Symlink),
)
TREES = st.dictionaries(
    NAMES, st.recursive(LEAVES, partial(st.dictionaries, NAMES, max_size=3), max_leaves=6), max_size=4
)
"""Small trees with every kind of entry, for hypothesis."""


def make(folder: bytes, spec: dict[bytes, object]) -> None:
    """Write ``spec`` (bytes, ``Executable``, ``Symlink`` or a dictionary by name) into an existing folder."""
    for name, value in spec.items():
        path = folder + b"/" + name
        if isinstance(value, dict):
            os.mkdir(path)
            make(path, value)
        elif isinstance(value, Symlink):
            os.symlink(bytes(value), path)
        else:
            with open(path, "wb") as file:
                file.write(value)
            os.chmod(path, 0o755 if isinstance(value, Executable) else 0o644)
        if not isinstance(value, Symlink):
            os.utime(path, ns=(T0, T0))


def picture(folder: bytes) -> dict[bytes, tuple]:
    """Everything below ``folder``: mode, content or target, and time; no link is followed."""
    found: dict[bytes, tuple] = {}
    for top, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = top + b"/" + name
            s = os.lstat(path)
            content: object = None
            mode: object = oct(stat.S_IMODE(s.st_mode))
            if stat.S_ISLNK(s.st_mode):
                content, mode = os.readlink(path), "link"
            elif stat.S_ISREG(s.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            elif not stat.S_ISDIR(s.st_mode):
                mode = stat.S_IFMT(s.st_mode)
            found[path[len(folder) + 1 :]] = (mode, content, s.st_mtime_ns)
    return found


def entries(objects: DictObjects, spec: dict[bytes, object], *, mtime_ns: int = T0) -> list:
    """The walk of ``spec`` as a tree kept in ``objects``."""
    return list(walk(objects, build(objects, spec, mtime_ns=mtime_ns)[0]))


def content(objects: DictObjects) -> Content:
    """Contents out of ``objects``."""
    return Content(objects.get, objects.stream)
