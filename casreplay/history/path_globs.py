"""Globs over workspace paths, as ``--path`` takes them: turned into regular expressions, nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable

from casreplay.errors import UsageError

__all__ = ["covering", "glob_regex"]


def covering(glob: str | None) -> Callable[[bytes], bool] | None:
    """``glob`` as a test on paths, for ``AnyFile.covers``; ``None`` for all paths.

    Raises:
        UsageError: a set of characters in it means nothing (``[z-a]``).
    """
    if glob is None:
        return None
    try:
        compiled = re.compile(glob_regex(glob))
    except re.error as error:
        raise UsageError(f"{glob!r} is no glob ({error})", hint="Write [[] for a bracket") from error
    return lambda path: compiled.fullmatch(path) is not None


def glob_regex(glob: str) -> bytes:
    """A regular expression over whole paths for ``glob``.

    ``*`` and ``?`` stay inside a name, ``**`` crosses folders, ``[...]`` as in the shell; a
    glob without a slash fits the last name at any depth.
    """
    text = glob.encode("utf-8", "surrogateescape")
    out = [] if b"/" in text else [b"(?:.*/)?"]
    for part in re.findall(rb"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|.", text.lstrip(b"/"), re.DOTALL):
        if part == b"**/":
            out.append(b"(?:.*/)?")
        elif part == b"**":
            out.append(b".*")
        elif part == b"*":
            out.append(b"[^/]*")
        elif part == b"?":
            out.append(b"[^/]")
        elif len(part) > 1:
            negated = part[1:2] == b"!"
            # What else means something in a set: nested sets and set operations are on their way into re.
            inside = re.sub(rb"([\\\[&~|])", rb"\\\1", part[1 + negated : -1])
            out.append(b"[^" + inside + b"]" if negated else b"[" + inside + b"]")
        else:
            out.append(re.escape(part))
    return b"(?s:" + b"".join(out) + b")"
