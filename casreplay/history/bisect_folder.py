"""A probe's folder: switched from tree to tree, and put back after what a command did to it.

Owns the disk side of a probe, apart from any workspace. Only what differs between two
trees is written; modification times follow from the content, so that two versions of a
file never share one (a stale bytecode file is otherwise taken for fresh) and equal
content always does. Files are copies: nothing a command does can reach the store.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator

from casreplay.history.bisect_layout import Layout
from casreplay.history.diff import diff_trees
from casreplay.history.purged_contents import is_purged, read_left
from casreplay.history.walk import find
from casreplay.model.ids import BlobId, ObjectId, TreeId
from casreplay.model.objects import EntryKind, TreeEntry
from casreplay.model.paths import parent
from casreplay.store.base import ObjectReader

__all__ = ["WorkFolder"]

EPOCH_S = 946_684_800
"""Content-derived times start in the year 2000 and spread over twenty years."""
SPREAD_S = 20 * 365 * 86_400
STREAMED_BYTES = 1 << 20
HEAD_BYTES = 256
"""As much of a script as the kernel looks at for its interpreter."""

_Stamp = tuple[int, int, int, int, int]
"""Size, modification time, inode and mode of what was written."""


class WorkFolder:
    """A folder that holds one tree at a time. Not safe for two threads at once.

    Args:
        path: an empty folder that belongs to this object.
    """

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.root: TreeId | None = None
        self._files: dict[bytes, _Stamp] = {}
        self._folders: dict[bytes, int] = {}
        self._links: dict[bytes, bytes] = {}
        self._damaged: set[bytes] = set()
        self._is_spoilt = False
        self.purged: set[bytes] = set()
        """Contents that were to be written and had been purged: their files are absent."""

    def switch(self, objects: ObjectReader, root: TreeId) -> int:
        """Make the folder hold ``root``; returns how many paths were touched.

        Cost: the paths that differ. Special files are left out. On failure the folder is
        in between: ``clear`` it.
        """
        self._mend(objects)
        changes = list(diff_trees(objects, self.root, root, folders=True))
        self.root = None
        for change in reversed(changes):
            if change.before is not None and (
                change.after is None or _type(change.before) != _type(change.after)
            ):
                self._remove(change.path)
        for change in changes:
            if change.after is not None:
                self._write(objects, change.path, change.after)
        self.root = root
        return len(changes)

    def layout(self, own: bytes) -> Layout:
        """What a trace needs to know of the folder: valid until the next ``switch``.

        Args:
            own: the folder above, which holds what a run may write besides.
        """
        places = dict.fromkeys((self.path, os.path.realpath(self.path)))
        return Layout(tuple(places), own, self._files.keys(), self._folders.keys(), self._links, self._head)

    def _head(self, path: bytes) -> bytes:
        """The first bytes of a file as it is now; nothing where there is none."""
        try:
            with open(os.path.join(self.path, path), "rb") as file:
                return file.read(HEAD_BYTES)
        except OSError:
            return b""

    def restore(self, objects: ObjectReader) -> list[bytes]:
        """Undo everything done to the folder since ``switch``; returns the paths concerned."""
        found = self.survey()
        self._mend(objects)
        return found

    def survey(self) -> list[bytes]:
        """Find what was done to the folder since ``switch`` and remove what was left in it.

        What was changed or removed is written anew by the next ``switch``. Reads no object.
        Returns all paths concerned. Cost: one stat for each path.
        """
        if self.root is None:
            return []
        self._stand()
        seen: set[bytes] = set()
        left: list[bytes] = []
        changed: list[bytes] = []
        for path, look in self._sweep():
            known = self._folders.get(path) if isinstance(look, int) else self._files.get(path)
            if known is None:
                left.append(path)
                continue
            seen.add(path)
            if look != known:
                changed.append(path)
        for path in reversed(left):
            _delete(os.path.join(self.path, path))
        missing = [p for p in (*self._folders, *self._files) if p not in seen]
        self._damaged.update(changed, missing)
        self._is_spoilt = self._is_spoilt or bool(left or changed or missing)
        return sorted({*left, *changed, *missing})

    def _mend(self, objects: ObjectReader) -> None:
        """Write anew what ``survey`` found changed or missing."""
        for path in sorted(self._damaged):
            entry = find(objects, self.root, path) if self.root is not None else None
            if entry is not None:
                self._write(objects, path, entry)
        for path, mode in self._folders.items() if self._is_spoilt else ():
            _chmod(os.path.join(self.path, path), mode)
        self._damaged.clear()
        self._is_spoilt = False

    def clear(self) -> None:
        """Empty the folder."""
        self.root = None
        self._files.clear()
        self._folders.clear()
        self._links.clear()
        self._damaged.clear()
        self._stand()
        for name in os.listdir(self.path):
            _delete(os.path.join(self.path, name))

    def _stand(self) -> None:
        """Make the folder itself anew where a command took it away or put something else in its place."""
        if os.path.lexists(self.path) and not _is_folder(self.path):
            _delete(self.path)
        os.makedirs(self.path, mode=0o700, exist_ok=True)

    def _sweep(self) -> Iterator[tuple[bytes, _Stamp | int]]:
        """Every path below, folders before contents, with its stamp; of a folder the mode alone."""
        cut = len(self.path) + 1
        stack = [self.path]
        while stack:
            folder = stack.pop()
            try:
                listed = os.scandir(folder)
            except PermissionError:
                _chmod(folder, 0o700)
                listed = os.scandir(folder)
            with listed:
                for item in listed:
                    path = item.path[cut:]
                    s = item.stat(follow_symlinks=False)
                    if stat.S_ISDIR(s.st_mode):
                        yield path, stat.S_IMODE(s.st_mode)
                        if path in self._folders:
                            stack.append(item.path)
                    else:
                        yield path, _stamp(s)

    def _remove(self, path: bytes) -> None:
        self._files.pop(path, None)
        self._links.pop(path, None)
        if self._folders.pop(path, None) is not None:
            inside = path + b"/"
            for known in (self._files, self._folders, self._links):
                for one in [p for p in known if p.startswith(inside)]:
                    del known[one]
        _delete(os.path.join(self.path, path))

    def _write(self, objects: ObjectReader, path: bytes, entry: TreeEntry) -> None:
        full = os.path.join(self.path, path)
        if entry.kind is EntryKind.FOLDER:
            if os.path.lexists(full) and not _is_folder(full):
                _delete(full)
            os.makedirs(full, mode=0o700, exist_ok=True)
            self._folders[path] = _chmod(full, entry.mode | 0o700)
            return
        blob = entry.blob_id
        content = self._content(objects, entry) if blob is not None else None
        if blob is None or content is None:
            if path in self._files:
                self._remove(path)
            return
        self._links.pop(path, None)
        if os.path.lexists(full):
            _delete(full)
        else:
            self._make_parents(path)
        when = EPOCH_S + int.from_bytes(blob[:6], "big") % SPREAD_S
        if entry.kind is EntryKind.SYMLINK:
            self._links[path] = b"".join(content)
            os.symlink(self._links[path], full)
            os.utime(full, (when, when), follow_symlinks=False)
        else:
            with open(full, "xb") as file:
                file.writelines(content)
                os.fchmod(file.fileno(), entry.mode | 0o600)
            os.utime(full, (when, when))
        s = os.lstat(full)
        self._files[path] = _stamp(s)

    def _content(self, objects: ObjectReader, entry: TreeEntry) -> Iterable[bytes] | None:
        """The content in pieces; ``None`` where it was purged."""
        blob = BlobId(ObjectId(entry.id))
        if entry.size_bytes > STREAMED_BYTES and not is_purged(objects, blob):
            return objects.stream(blob)
        content = read_left(objects, blob)
        if content is None:
            self.purged.add(blob)
        return [content] if content is not None else None

    def _make_parents(self, path: bytes) -> None:
        """Folders on the way that are not there: those of a tree put together from parts have no change."""
        above = parent(path)
        missing = []
        while above and above not in self._folders:
            missing.append(above)
            above = parent(above)
        for folder in reversed(missing):
            full = os.path.join(self.path, folder)
            os.makedirs(full, exist_ok=True)
            self._folders[folder] = _chmod(full, 0o755)


def _stamp(s: os.stat_result) -> _Stamp:
    """What no command changes without a trace: who rewrites in place can set back all but the change time."""
    return s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino, s.st_mode


def _type(entry: TreeEntry) -> int:
    """What must be removed before the other can be written: folders, links and files."""
    if entry.blob_id is None and entry.kind is not EntryKind.FOLDER:
        return 0
    return int(EntryKind.FILE if entry.kind is EntryKind.EXECUTABLE else entry.kind)


def _is_folder(path: bytes) -> bool:
    return stat.S_ISDIR(os.lstat(path).st_mode)


def _chmod(path: bytes, mode: int) -> int:
    """Set a mode where it is another; returns what it is then: some file systems leave bits out."""
    if stat.S_IMODE(os.lstat(path).st_mode) != mode:
        os.chmod(path, mode)
    return stat.S_IMODE(os.lstat(path).st_mode)


def _delete(path: bytes) -> None:
    """Remove a file, link or whole folder, whatever modes a command gave it; gone already is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError:
        remove_folder(path)


def remove_folder(path: bytes) -> None:
    """Remove a folder with everything in it, read-only folders included."""

    def unlock(function: object, failed: bytes | str, _error: object) -> None:
        del function
        name = os.fsencode(failed)
        os.chmod(os.path.dirname(name), 0o700)
        if os.path.lexists(name):
            if _is_folder(name):
                os.chmod(name, 0o700)
                shutil.rmtree(name, ignore_errors=True)
            else:
                os.unlink(name)

    if os.path.lexists(path):
        shutil.rmtree(path, onerror=unlock)
