"""From the system calls of a run to what it read of its snapshot.

Owns what each call can tell a program about the files of the folder it runs in. Where a
call is not understood, or leads where nothing can be followed, the trace proves nothing
(``Reads.unclear``): reading too much into a trace costs runs, too little would cost the truth.
Pure: calls and the layout of the folder in, ``Reads`` out.

What counts: paths are resolved as the kernel does, links of the snapshot included; every
name on the way is looked at. What a run itself made, overwrote or removed is no input afterwards;
what it moved or linked to counts with everything below, so that reading it under another name
changes nothing. Several processes: the working folder of each is followed; where it is not certain
all that are possible count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from casreplay.history.bisect_layout import Layout, Place, UnknownPlaceError, resolve
from casreplay.history.bisect_reads import Reads
from casreplay.history.bisect_strace import Call, descriptor, text

__all__ = ["TRACED_CALLS", "reads_of"]

MAX_PLACES = 16
"""Working folders that one process may possibly be in before the trace is given up."""


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


_AT_PATH = _words(
    "access acct chdir chmod chown chown32 creat execve getxattr lchown lchown32 lgetxattr listxattr"
    " llistxattr lremovexattr lsetxattr lstat lstat64 mkdir mknod oldlstat oldstat open readlink"
    " removexattr rmdir setxattr stat stat64 statfs statfs64 truncate truncate64 unlink utime utimes"
)
"""Calls whose first argument is a path, below the working folder."""
_AT_FOLDER = _words(
    "execveat faccessat faccessat2 fchmodat fchmodat2 fchownat fstatat64 futimesat inotify_add_watch"
    " mkdirat mknodat newfstatat openat openat2 readlinkat statx unlinkat utimensat utimensat_time64"
)
"""Calls with a folder's descriptor and a path."""
_TWO_PATHS = {
    "rename": (None, 0, None, 1), "link": (None, 0, None, 1), "symlink": (None, 0, None, 1),
    "renameat": (0, 1, 2, 3), "renameat2": (0, 1, 2, 3), "linkat": (0, 1, 2, 3), "symlinkat": (None, 0, 1, 2),
}  # fmt: skip
"""Where the two paths and their folders' descriptors are."""
_FORKS = frozenset(("clone", "clone3", "fork", "vfork"))
_TALKS = frozenset(("connect", "sendto"))
_BEYOND = {
    **dict.fromkeys(("chroot", "pivot_root"), "it changed its root"),
    **dict.fromkeys(("mount", "move_mount", "open_tree", "umount", "umount2"), "it mounted something"),
    **dict.fromkeys(("name_to_handle_at", "open_by_handle_at"), "it opened files by handle"),
    "setns": "it changed its namespace",
    "io_uring_setup": "it used io_uring",
}
"""Calls after which paths can no longer be followed."""
_IGNORED = frozenset(("getcwd",))

TRACED_CALLS = ("%file", "chdir", "fchdir", "getdents", "getdents64", *sorted(_FORKS | _TALKS), "setns",
                "io_uring_setup", "open_by_handle_at", "inotify_add_watch")  # fmt: skip
"""What has to be traced."""


def reads_of(calls: Iterable[Call], layout: Layout) -> Reads:
    """What the run that made ``calls`` can know of the snapshot in ``layout``. Cost: each call once."""
    follower = _Follower(layout)
    for call in calls:
        follower.see(call)
        if follower.unclear:
            break
    return follower.reads()


@dataclass(slots=True, eq=False)
class _Cell:
    """The working folder of processes that share one: all that it may be."""

    paths: set[bytes]
    is_shared: bool = False


@dataclass(slots=True)
class _Follower:
    layout: Layout
    unclear: str = ""
    touched: set[bytes] = field(default_factory=set)
    named: set[bytes] = field(default_factory=set)
    listed: set[bytes] = field(default_factory=set)
    whole: set[bytes] = field(default_factory=set)
    made: set[bytes] = field(default_factory=set)
    outside: set[bytes] = field(default_factory=set)
    cells: dict[int, _Cell] = field(default_factory=dict)
    forking: dict[int, _Cell] = field(default_factory=dict)

    def reads(self) -> Reads:
        files, folders = self.layout.files, self.layout.folders
        touched = frozenset(self.touched)
        return Reads(
            touched,
            frozenset(self.named),
            frozenset(self.listed),
            frozenset(self.whole),
            sum(path in files for path in touched),
            sum(path not in files and path not in folders for path in touched),
            len(self.outside),
            self.unclear,
        )

    # -- calls ----------------------------------------------------------------------------

    def see(self, call: Call) -> None:
        """Take in one call. What it looked at counts from its beginning, what it did from its end."""
        name, cell = call.name, self._cell(call.process)
        if name in _BEYOND:
            self._give_up(_BEYOND[name] if not (call.failed or call.is_begun) else "")
        elif name in _FORKS:
            self._fork(call, cell)
        elif name in _TALKS:
            self._talk(call)
        elif name in ("getdents", "getdents64"):
            self._list(call)
        elif name == "fchdir":
            self._enter(call, cell, [descriptor(call.args[0])])
        elif name in _TWO_PATHS:
            self._two_paths(call, cell)
        elif name in _AT_PATH or name in _AT_FOLDER:
            self._one_path(call, cell)
        elif name not in _IGNORED:
            shown = call.args[0][:80].decode("ascii", "replace") if name == "?" else name
            self._give_up(f"not understood: {shown}")

    def _give_up(self, why: str) -> None:
        self.unclear = self.unclear or why

    def _one_path(self, call: Call, cell: _Cell) -> None:
        at = 1 if call.name in _AT_FOLDER else 0
        folder = call.args[0] if at else None
        if len(call.args) <= at:
            self._give_up(f"not understood: {call.name}")
            return
        flags = b"|".join(call.args[at + 1 :])
        is_trunc = call.name == "creat" or (call.name.startswith("open") and b"O_TRUNC" in flags)
        makes = call.name in ("mkdir", "mkdirat", "mknod", "mknodat") or (
            call.name.startswith("open") and b"O_EXCL" in flags and b"O_CREAT" in flags
        )
        removes = call.name in ("unlink", "unlinkat", "rmdir")
        follow = not (makes or removes)
        places = self._places(call, cell, folder, call.args[at], follow=follow)
        is_done = not (call.failed or call.is_begun or call.result is None) and len(places) == 1
        for place in places:
            inside = place.inside
            if inside is None:
                continue
            if b"AT_REMOVEDIR" in flags or call.name == "rmdir":
                self._look_through(inside)
            if is_done and (is_trunc or makes or removes):
                self._name(inside)
                self.made.add(inside)
            elif not (call.is_begun and (is_trunc or makes or removes)):
                self._touch(inside)
        self._ended(call, cell, places)

    def _ended(self, call: Call, cell: _Cell, places: list[Place]) -> None:
        """What follows from the success of a call with one path."""
        if call.name == "chdir":
            self._enter(call, cell, [place.path for place in places])
        elif call.failed or call.is_begun:
            return
        elif call.name.startswith("open"):
            self._opened(descriptor(b"0" + call.rest))
        elif call.name in ("execve", "execveat"):
            for place in places:
                self._interpreter(place, cell)
        elif call.name == "inotify_add_watch":
            self._give_up("it watches for changes")

    def _two_paths(self, call: Call, cell: _Cell) -> None:
        old_at, old, new_at, new = _TWO_PATHS[call.name]
        args = call.args
        if call.is_begun:
            return
        if len(args) <= new:
            self._give_up(f"not understood: {call.name}")
            return
        news = self._places(call, cell, None if new_at is None else args[new_at], args[new], follow=False)
        if call.name.startswith("symlink"):
            target = text(args[old])
            bases = [place.path.rpartition(b"/")[0] or b"/" for place in news]
            olds = [] if target is None or call.failed else [self._walk(base, target) for base in bases]
            if target is None:
                self._give_up(f"not understood: {call.name}")
        else:
            folder = None if old_at is None else args[old_at]
            olds = self._places(call, cell, folder, args[old], follow=False)
            olds += self._places(call, cell, folder, args[old], follow=True)
        for place in news:
            if place.inside in self.layout.folders:
                self._look_through(place.inside)
        if call.failed:
            for place in (*olds, *news):
                self._touch(place.inside)
            return
        self._moved(call, olds, news)

    def _moved(self, call: Call, olds: list[Place], news: list[Place]) -> None:
        """What has two names now, or another one than before."""
        is_exchange = b"RENAME_EXCHANGE" in call.args[-1]
        for place in (*olds, *(news if is_exchange else ())):
            self._take_whole(place.inside)
        for place in news:
            if place.inside is not None:
                self._name(place.inside)
        gone = olds[:1] if call.name.startswith("rename") else []
        if len(news) == 1:
            self.made.update(place.inside for place in (*gone, *news) if place.inside is not None)

    def _fork(self, call: Call, cell: _Cell) -> None:
        self.forking[call.process] = cell
        if call.is_begun:
            return
        self.forking.pop(call.process, None)
        child = call.result
        if child is None or child <= 0:
            return
        is_shared = any(b"CLONE_FS" in arg for arg in call.args)
        known = self.cells.get(child)
        if is_shared:
            cell.paths |= known.paths if known is not None else set()
            cell.is_shared = True
            self.cells[child] = cell
        elif known is None:
            self.cells[child] = _Cell(set(cell.paths))

    def _talk(self, call: Call) -> None:
        """Contact with another process: its answer may depend on anything."""
        reached = call.result is None or call.result >= 0 or b"EINPROGRESS" in call.rest
        if call.name == "sendto":
            reached = reached and any(b"sa_family=AF_INET" in arg for arg in call.args)
        if reached and not call.is_begun:
            self._give_up("it connected to another process or machine")

    def _list(self, call: Call) -> None:
        if call.is_begun or call.failed:
            return
        path = descriptor(call.args[0])
        if path is None:
            self._give_up(f"not understood: {call.name}")
            return
        self._look_through(self.layout.inside(path))

    def _enter(self, call: Call, cell: _Cell, paths: list[bytes | None] | list[bytes]) -> None:
        """The working folder changes, or may be about to."""
        if call.failed or (call.is_begun and not cell.is_shared):
            return
        known = {path for path in paths if path is not None}
        if len(known) < len(set(paths)):
            self._give_up(f"not understood: {call.name}")
        cell.paths = cell.paths | known if cell.is_shared else known
        if len(cell.paths) > MAX_PLACES:
            self._give_up("its working folder cannot be followed")

    def _interpreter(self, place: Place, cell: _Cell) -> None:
        """The kernel opens a script's interpreter itself: it counts when it is part of the snapshot."""
        if place.inside is None:
            return
        head = self.layout.head(place.inside)
        words = head[2:].split(b"\n", 1)[0].split() if head.startswith(b"#!") else []
        for base in cell.paths if words else ():
            self._touch(self._walk(base, words[0]).inside)

    # -- paths ----------------------------------------------------------------------------

    def _cell(self, process: int) -> _Cell:
        """The working folder of a process; of one not seen before, that of those that may be its parent."""
        known = self.cells.get(process)
        if known is None:
            parents = list(self.forking.values()) or list(self.cells.values())
            paths = {path for cell in parents for path in cell.paths} or {self.layout.places[0]}
            known = self.cells[process] = _Cell(paths)
        return known

    def _places(
        self, call: Call, cell: _Cell, folder: bytes | None, arg: bytes, *, follow: bool
    ) -> list[Place]:
        """Where a path argument may lead."""
        path = text(arg)
        if path is None:
            # No path: the descriptor itself, which was looked at when it was opened.
            if not call.failed and arg != b"NULL":
                self._give_up(f"not understood: {call.name}")
            return []
        if not path:
            return []
        base = descriptor(folder) if folder is not None else None
        if path.startswith(b"/"):
            bases = [b"/"]
        elif base is not None:
            bases = [base]
        elif folder is None or folder.startswith(b"AT_FDCWD"):
            bases = list(cell.paths)
        elif call.failed:
            return []
        else:
            self._give_up(f"not understood: {call.name}")
            return []
        return [self._walk(one, path, follow=follow) for one in bases]

    def _walk(self, base: bytes, path: bytes, *, follow: bool = True) -> Place:
        """Where ``path`` leads from ``base``; every name on the way but the last is looked at."""
        try:
            return resolve(self.layout, base, path, self._pass, follow=follow)
        except UnknownPlaceError:
            self._give_up("it went through /proc")
            return Place(b"/proc", None)

    def _pass(self, path: bytes) -> bool:
        """Look at a name on the way; whether what is there is the snapshot's."""
        self._touch(path)
        return not self._is_made(path)

    def _is_made(self, path: bytes) -> bool:
        """Whether the run itself decided what is there."""
        while path:
            if path in self.made:
                return True
            path = path.rpartition(b"/")[0]
        return False

    def _touch(self, path: bytes | None) -> None:
        if path and not self._is_made(path):
            self.touched.add(path)

    def _name(self, path: bytes) -> None:
        if path and not self._is_made(path):
            self.named.add(path)

    def _look_through(self, path: bytes | None) -> None:
        """The names in a folder."""
        if path is not None and not self._is_made(path):
            self._touch(path)
            self.listed.add(path)

    def _take_whole(self, path: bytes | None) -> None:
        if path is not None and not self._is_made(path):
            self.whole.add(path)

    def _opened(self, path: bytes | None) -> None:
        """The file a descriptor was given for, under the name the kernel has for it."""
        inside = self.layout.inside(path) if path is not None else None
        if inside is not None:
            self._touch(inside)
        elif path is not None and not path.startswith((self.layout.own + b"/", b"/dev/", b"/proc/")):
            self.outside.add(path)
