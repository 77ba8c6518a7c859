"""A tree object's columns cut from its canonical bytes: for sweeps that compare a million trees.

Owns the cheap way into the layout that ``codec.manifest`` defines: lengths and kinds are
checked, the order and safety of names are not, and no entry becomes an object. Whoever
writes names to a disk, or follows them, uses ``manifest.decode_tree``.
"""

from __future__ import annotations

import struct
from typing import Literal, NamedTuple

from casreplay.codec.manifest import LEAF_MAGIC, MAX_ENTRIES, NODE_MAGIC
from casreplay.errors import CorruptError
from casreplay.model.objects import EntryKind

__all__ = ["NO_COLUMNS", "Columns", "columns_of", "common_ends", "differing_rows"]

_COUNT = struct.Struct("<I").unpack_from
_KINDS = bytes(sorted(EntryKind))
_FOLDER = b"d"


class Columns(NamedTuple):
    """The columns of a leaf, undecoded; of a node of a split folder only what leads on.

    Attributes:
        entries: how many, or children of a node.
        kinds: one byte an entry; empty for a node, whose children are no entries.
        states: one byte an entry.
        modes: two bytes an entry.
        sizes: eight bytes an entry.
        ids: 32 bytes an entry, or the content ids of a node's children.
        names: with one NUL between two.
        tree_ids: 32 bytes for each folder, or each child.
        is_node: whether this is a node.
    """

    entries: int
    kinds: bytes
    states: bytes
    modes: bytes
    sizes: bytes
    ids: bytes
    names: bytes
    tree_ids: bytes
    is_node: bool


NO_COLUMNS = Columns(0, b"", b"", b"", b"", b"", b"", b"", is_node=False)
"""Those of an empty folder, or of none."""


def columns_of(canonical: bytes) -> Columns:
    """The columns of a tree object. Cost: 1.5 us and copies of the columns.

    Raises:
        CorruptError: an unknown layout, or lengths or kinds that do not fit.
    """
    magic = canonical[:4]
    if magic not in (LEAF_MAGIC, NODE_MAGIC) or len(canonical) < 12:
        raise CorruptError("A tree object has an unknown layout", magic=magic.hex())
    (n,) = _COUNT(canonical, 4)
    is_node = magic == NODE_MAGIC
    at = 8 + n * (40 if is_node else 44)
    if n > MAX_ENTRIES or len(canonical) < at + 4:
        raise CorruptError("A tree object is cut short", entries=n)
    (names_bytes,) = _COUNT(canonical, at)
    end = at + 4 + names_bytes
    names = canonical[at + 4 : end]
    if is_node:
        ids, tree_ids = canonical[8 + 8 * n : at], canonical[end:]
        found = Columns(n, b"", b"", b"", b"", ids, names, tree_ids, is_node=True)
        folders = n
    else:
        kinds = canonical[8 : 8 + n]
        if kinds.translate(None, _KINDS):
            raise CorruptError("A tree object has an entry of unknown kind")
        states, modes = canonical[8 + n : 8 + 2 * n], canonical[8 + 2 * n : 8 + 4 * n]
        sizes, ids = canonical[8 + 4 * n : 8 + 12 * n], canonical[8 + 12 * n : at]
        tree_ids = canonical[end + 8 * n :]
        found = Columns(n, kinds, states, modes, sizes, ids, names, tree_ids, is_node=False)
        folders = kinds.count(_FOLDER)
    if len(tree_ids) != 32 * folders or (names.count(b"\0") + 1 != n and (n or names)):
        raise CorruptError("A tree object has the wrong length", entries=n)
    return found


def differing_rows(a: bytes, b: bytes, width: int) -> list[int]:
    """Which rows of ``width`` bytes differ between two columns of one length, ascending.

    Cost: one pass in C, and as many steps as rows differ.
    """
    if a == b:
        return []
    left = int.from_bytes(a, "little") ^ int.from_bytes(b, "little")
    bits = 8 * width
    rows = []
    at = 0
    while left:
        skip = ((left & -left).bit_length() - 1) // bits
        at += skip
        rows.append(at)
        at += 1
        left >>= bits * (skip + 1)
    return rows


def common_ends(a: bytes, b: bytes) -> tuple[int, int]:
    """How many names two name columns surely share at their starts, and how many at their ends.

    The name next to the first difference may be left out although it is shared. Cost: two
    passes in C.
    """
    m = min(len(a), len(b))
    head = a.count(b"\0", 0, _equal_bytes(a[:m], b[:m], "little"))
    same = _equal_bytes(a[len(a) - m :], b[len(b) - m :], "big")
    tail = a.count(b"\0", len(a) - same)
    fewer = min(a.count(b"\0"), b.count(b"\0")) + 1
    return head, min(tail, fewer - head)


def _equal_bytes(a: bytes, b: bytes, order: Literal["little", "big"]) -> int:
    """How many bytes are equal from the start (``little``) or from the end (``big``)."""
    left = int.from_bytes(a, order) ^ int.from_bytes(b, order)
    return ((left & -left).bit_length() - 1) // 8 if left else len(a)
