"""What a commit wants to know of a store that has lost something, and says about it.

Loaded only then. What is lost for which snapshot is ``history.verify``'s affair.
"""

from __future__ import annotations

from casreplay.errors import CorruptError
from casreplay.history.fresh import whole_tree
from casreplay.model.ids import TreeId
from casreplay.model.problems import Problem
from casreplay.store.base import ObjectReader

__all__ = ["has_whole_trees", "segment_problem"]


def segment_problem(number: int, length: int) -> Problem:
    """What a commit says of a segment that has lost something; ``length`` is what is left of it."""
    what = f"is cut short at byte {length}" if length else "is gone or empty"
    text = f"Segment {number} of the store {what}; casreplay fsck names the snapshots that lose something"
    return Problem("segment-short", text, path=f"segments/{number:08d}.seg")


def has_whole_trees(objects: ObjectReader, root: TreeId) -> bool:
    """Whether every tree below ``root`` can be read. Cost: about 20 us a folder."""
    try:
        whole_tree(objects, root)
    except CorruptError:
        return False
    return True
