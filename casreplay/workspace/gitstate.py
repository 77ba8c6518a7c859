"""Where a git workspace stands, read from its files without running git.

Owns: HEAD, the branch and one digest over all refs, for plain repositories, linked
worktrees and submodules (a ``.git`` file that names a folder), loose and packed refs; for
the reftable format a digest of the tables' bytes. Changes nothing, locks nothing, and takes no
word of the repository on trust: ref names that climb are not followed, values that
are no object ids are dropped, special files are not opened, sizes are bounded.

Source: gitrepository-layout(5), git-pack-refs(1), git-worktree(1).
"""

from __future__ import annotations

import os
import re
import stat

from casreplay.codec.hashing import blob_id
from casreplay.model.objects import GitState

__all__ = ["read_git_state"]

MAX_FILE_BYTES = 64 << 20
MAX_REF_BYTES = 4096
MAX_REFS = 200_000
MAX_SYMBOLIC = 5

_OBJECT_ID = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def read_git_state(root: bytes) -> GitState | None:
    """HEAD, branch and refs of the git repository whose working tree is ``root``.

    Returns:
        ``None`` when ``root`` holds no repository. ``head`` is empty on a branch without
        commits and for reftable repositories, ``branch`` is empty when HEAD is detached.

    Cost: a few file reads, one for each loose ref. Raises nothing: what cannot be read is empty.
    """
    folder = _git_folder(root)
    if folder is None:
        return None
    common = _common_folder(folder)
    if os.path.isdir(os.path.join(common, b"reftable")):
        return GitState(head="", branch="", refs_digest=_digest(_tables(common)))
    refs = _packed_refs(common)
    refs.update(_loose_refs(common))
    head, branch = _head(folder, refs)
    return GitState(head=head, branch=branch, refs_digest=_digest(refs))


def _git_folder(root: bytes) -> bytes | None:
    path = os.path.join(root, b".git")
    if os.path.isdir(path):
        found = path
    else:
        text = _read(path, MAX_REF_BYTES)
        if not text.startswith(b"gitdir:"):
            return None
        found = os.path.join(root, text[7:].strip())
    return found if os.path.lexists(os.path.join(found, b"HEAD")) else None


def _common_folder(folder: bytes) -> bytes:
    """The folder that holds the refs: a linked worktree names another one in ``commondir``."""
    text = _read(os.path.join(folder, b"commondir"), MAX_REF_BYTES).strip()
    return os.path.join(folder, text) if text else folder


def _head(folder: bytes, refs: dict[bytes, bytes]) -> tuple[str, str]:
    value = _read(os.path.join(folder, b"HEAD"), MAX_REF_BYTES).strip()
    branch = b""
    for _ in range(MAX_SYMBOLIC):
        if not value.startswith(b"ref:"):
            break
        name = value[4:].strip()
        branch = branch or name.removeprefix(b"refs/heads/")
        value = refs.get(name, b"")
    head = value.decode("ascii") if _OBJECT_ID.fullmatch(value) else ""
    return head, branch.decode("utf-8", "backslashreplace")


def _packed_refs(common: bytes) -> dict[bytes, bytes]:
    refs: dict[bytes, bytes] = {}
    for line in _read(os.path.join(common, b"packed-refs"), MAX_FILE_BYTES).splitlines():
        value, _, name = line.partition(b" ")
        if name and _OBJECT_ID.fullmatch(value):
            refs[name] = value
    return refs


def _loose_refs(common: bytes) -> dict[bytes, bytes]:
    """Names and values of the files below ``refs``, symbolic ones as they are written."""
    refs: dict[bytes, bytes] = {}
    top = os.path.join(common, b"refs")
    for folder, _, names in os.walk(top):
        prefix = b"refs" + folder[len(top) :].replace(os.fsencode(os.sep), b"/") + b"/"
        for name in names:
            value = _read(os.path.join(folder, name), MAX_REF_BYTES).strip()
            if _OBJECT_ID.fullmatch(value) or value.startswith(b"ref:"):
                refs[prefix + name] = value
        if len(refs) > MAX_REFS:
            break
    return refs


def _tables(common: bytes) -> dict[bytes, bytes]:
    folder = os.path.join(common, b"reftable")
    names = _read(os.path.join(folder, b"tables.list"), MAX_FILE_BYTES).split()
    plain = [name for name in names if b"/" not in name]
    return {name: _read(os.path.join(folder, name), MAX_FILE_BYTES) for name in plain}


def _digest(refs: dict[bytes, bytes]) -> str:
    lines = (name + b"\0" + blob_id(value) for name, value in sorted(refs.items()))
    return blob_id(b"".join(lines)).hex()


def _read(path: bytes, limit: int) -> bytes:
    """The first ``limit`` bytes of a regular file; empty when there is none or it cannot be read."""
    try:
        fd = os.open(path, _OPEN)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return b""
        pieces = []
        while limit > 0 and (piece := os.read(fd, min(limit, 1 << 20))):
            pieces.append(piece)
            limit -= len(piece)
        return b"".join(pieces)
    except OSError:
        return b""
    finally:
        os.close(fd)
