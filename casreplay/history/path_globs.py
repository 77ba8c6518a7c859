"""Globs over workspace paths, as ``--path`` takes them: turned into regular expressions, nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["covering", "glob_regex"]


def covering(glob: str | None) -> Callable[[bytes], bool] | None:
    """``glob`` as a test on paths, for ``AnyFile.covers``; ``None`` for all paths."""
    if glob is None:
        return None
    compiled = re.compile(glob_regex(glob))
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
            out.append(
                b"[" + part[1:-1].replace(b"\\", b"\\\\").replace(b"!", b"^", part[1:2] == b"!") + b"]"
            )
        else:
            out.append(re.escape(part))
    return b"(?s:" + b"".join(out) + b")"
