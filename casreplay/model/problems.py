"""A problem: one item failed and the rest went on. Returned, counted, shown; never swallowed or raised."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Problem"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that could not be done or does not hold.

    Attributes:
        code: a stable word, for instance ``unreadable`` or ``checksum``.
        message: one sentence for people, capital first, no full stop.
        path: the workspace path or store file concerned; empty when none is.
        object: hex id of the object concerned; empty when none is.
        snapshots: hex ids of snapshots that lose something by it.
    """

    code: str
    message: str
    path: str = ""
    object: str = ""
    snapshots: tuple[str, ...] = ()
