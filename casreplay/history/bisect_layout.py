"""The folder of a run as its snapshot has it, and where a path leads in it.

Pure: paths are walked as the kernel walks them, over what the snapshot says is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

__all__ = ["Layout", "Place", "UnknownPlaceError", "resolve"]

MAX_LINKS = 40


class UnknownPlaceError(Exception):
    """A path goes through a link of the kernel's, which may lead anywhere."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of a run as the snapshot has it.

    Attributes:
        places: the folder's path, in every spelling it may be seen under.
        own: the folder that holds it and the run's own ``HOME`` and ``TMPDIR``.
        files: paths of files and links.
        folders: paths of folders.
        links: targets of links.
        head: the first bytes of a file as it is now, for the interpreter of a script.
    """

    places: tuple[bytes, ...]
    own: bytes
    files: Collection[bytes]
    folders: Collection[bytes]
    links: Mapping[bytes, bytes]
    head: Callable[[bytes], bytes] = lambda _path: b""

    def inside(self, path: bytes) -> bytes | None:
        """An absolute path below the folder (``b""``: the folder itself); ``None`` for one outside."""
        for place in self.places:
            if path.startswith(place + b"/"):
                return path[len(place) + 1 :]
            if path == place:
                return b""
        return None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: absolute, and below the snapshot's folder (``None``: outside)."""

    path: bytes
    inside: bytes | None


def resolve(
    layout: Layout, base: bytes, path: bytes, visit: Callable[[bytes], bool], *, follow: bool = True
) -> Place:
    """Walk ``path`` from the folder ``base``.

    Args:
        layout: the folder.
        base: absolute, itself walked before.
        path: absolute or below ``base``; may hold links, ``.`` and ``..``.
        visit: told of every path of the folder on the way but the last; says whether what is there
            is still the snapshot's (a link is followed only then).
        follow: follow a link in the last place too.

    Raises:
        UnknownPlaceError: it leads through the folders or descriptors of a process in ``/proc``.
    """
    if _is_elsewhere(layout, path):
        return Place(path, None)
    at = [] if path.startswith(b"/") else [name for name in base.split(b"/") if name]
    todo = [name for name in reversed(path.split(b"/")) if name not in (b"", b".")]
    is_folder = path.endswith((b"/", b"/."))
    links = 0
    while todo and links <= MAX_LINKS:
        _refuse_proc(at)
        name = todo.pop()
        if name == b"..":
            at = at[:-1]
            continue
        at.append(name)
        inside = layout.inside(b"/" + b"/".join(at))
        if not inside:
            continue
        target = layout.links.get(inside)
        goes_on = bool(todo) or follow or is_folder
        if (todo or target is not None) and visit(inside) and target is not None and goes_on:
            links += 1
            at = [] if target.startswith(b"/") else at[:-1]
            todo += [one for one in reversed(target.split(b"/")) if one not in (b"", b".")]
    full = b"/" + b"/".join(at)
    return Place(full, layout.inside(full))


def _is_elsewhere(layout: Layout, path: bytes) -> bool:
    """Whether an absolute path is plain enough to say at once that it leads outside."""
    return (
        path.startswith(b"/")
        and not path.startswith((*layout.places, b"/proc/", b"/dev/fd/"))
        and not any(odd in path for odd in (b"//", b"/./", b"/.."))
    )


def _refuse_proc(at: list[bytes]) -> None:
    is_descriptor = len(at) > 1 and at[-2] == b"fd" and at[0] in (b"proc", b"dev")
    if is_descriptor or (at[:1] == [b"proc"] and at[-1] in (b"cwd", b"root")):
        raise UnknownPlaceError(b"/".join(at))
