"""Trees from bytes: what no workspace can hold is refused, whatever the other names are."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casreplay.codec.manifest import decode_tree, encode_tree
from casreplay.errors import CorruptError
from casreplay.model.objects import EntryKind, Tree
from casreplay.model.paths import is_unsafe_name

LIMIT = 4 * 255
PIECES = st.sampled_from([b"a", b"b", b".", b"..", b"/", b"\xff", b"name", b"x" * 255, b"y" * LIMIT])
NAMES = st.lists(st.lists(PIECES, max_size=3).map(b"".join), max_size=6)


def tree_of(names: list[bytes]) -> Tree:
    n = len(names)
    return Tree(
        names=names,
        kinds=bytes([EntryKind.FILE]) * n,
        states=bytes(n),
        modes=(0o644,) * n,
        sizes=tuple(range(n)),
        ids=bytes(32 * n),
        mtimes_ns=(-1,) * n,
        tree_ids=b"",
    )


@given(NAMES)
@example([])
@example([b""])
@example([b"", b"a"])
@example([b"a", b"."])
@example([b"..", b"a"])
@example([b"a", b"b/c"])
@example([b"x" * LIMIT])
@example([b"a", b"x" * (LIMIT + 1)])
@example([b"...", b".a", b"a."])
def test_names_are_taken_exactly_when_sorted_and_safe(names):
    is_good = not any(map(is_unsafe_name, names)) and all(a < b for a, b in pairwise(names))
    canonical, _ = encode_tree(tree_of(names))
    if is_good:
        assert decode_tree(canonical) == tree_of(names)
    else:
        with pytest.raises(CorruptError):
            decode_tree(canonical)


@pytest.mark.parametrize(
    "joined", [b"a\0", b"\0a", b"a\0\0b", b"a\0.\0b", b".\0a", b"a\0..", b"a/b\0c", b"b\0a", b"a\0a", b"a"]
)
def test_a_forged_name_table_is_refused(joined):
    canonical, _ = encode_tree(tree_of([b"a", b"b"]))
    at = canonical.index(b"a\0b")
    length = len(joined).to_bytes(4, "little")
    forged = canonical[: at - 4] + length + joined + canonical[at + 3 :]
    with pytest.raises(CorruptError):
        decode_tree(forged)
