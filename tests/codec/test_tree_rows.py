"""Rows that differ between two leaves are those that decoding both would show, and damage is never taken."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.codec.manifest import content_id_of, decode_tree, encode_node, encode_tree
from casreplay.codec.tree_rows import pair_of
from casreplay.errors import CorruptError
from casreplay.history.walk import entry_at
from casreplay.model.objects import EntryKind, EntryState, Tree, TreeNode

FOLDER = int(EntryKind.FOLDER)
KINDS = st.sampled_from([int(EntryKind.FILE), int(EntryKind.EXECUTABLE), FOLDER])
IDS = st.sampled_from([b"a" * 32, b"b" * 32])
ENTRY = st.tuples(
    KINDS,
    st.sampled_from(sorted(map(int, EntryState))),
    st.sampled_from([0o644, 0o755]),
    st.sampled_from([0, 1, 1 << 40]),
    IDS,
    st.integers(-5, 5),
    IDS,
)


def tree_of(entries) -> Tree:
    """A leaf of entries called 0000, 0001 and so on."""
    kinds, states, modes, sizes, ids, times, targets = zip(*entries, strict=True) if entries else [()] * 7
    return Tree(
        names=[b"%04d" % i for i in range(len(entries))],
        kinds=bytes(kinds),
        states=bytes(states),
        modes=modes,
        sizes=sizes,
        ids=b"".join(ids),
        mtimes_ns=times,
        tree_ids=b"".join(target for kind, target in zip(kinds, targets, strict=True) if kind == FOLDER),
    )


def side(tree: Tree) -> tuple[bytes, bytes]:
    canonical, _ = encode_tree(tree)
    return canonical, content_id_of(canonical)


def facts(tree: Tree, i: int) -> tuple:
    return tree.kinds[i], tree.states[i], tree.modes[i], tree.sizes[i], tree.ids[32 * i : 32 * i + 32]


@given(st.lists(st.tuples(ENTRY, ENTRY | st.none()), max_size=8), st.sampled_from([0, 60, 200]))
def test_the_rows_are_those_that_decoding_shows(pairs, equal_ones):
    """``equal_ones`` rows that are equal come first, so that there are blocks without a difference."""
    same = [
        (FOLDER if i % 9 else int(EntryKind.FILE), 0, 0o755, i, b"c" * 32, i, b"d" * 32)
        for i in range(equal_ones)
    ]
    old = tree_of([*same, *(before for before, _ in pairs)])
    new = tree_of([*same, *(after or before for before, after in pairs)])
    pair = pair_of(side(old), side(new))
    assert pair is not None
    assert pair.names == old.names
    assert pair.rows == [i for i in range(len(old)) if facts(old, i) != facts(new, i)]
    for row in pair.rows:
        before, after = entry_at(old, row), entry_at(new, row)
        assert (pair.entry(pair.before, row), pair.entry(pair.after, row)) == (before, after)
        is_folder = before.kind is after.kind is EntryKind.FOLDER
        assert pair.is_folder_still(row) == (
            is_folder and (before.state, before.mode) == (after.state, after.mode)
        )
        if is_folder:
            assert pair.target(pair.before, row) == (before.tree_id, before.id)
            assert pair.target(pair.after, row) == (after.tree_id, after.id)


SMALL = tree_of(
    [
        (FOLDER, 0, 0o755, 9, b"a" * 32, 1, b"t" * 32),
        (int(EntryKind.FILE), 0, 0o644, 7, b"b" * 32, 2, b"t" * 32),
    ]
)


@given(
    st.integers(0, len(encode_tree(SMALL)[0]) - 1),
    st.integers(0, 255),
    st.sampled_from(["put", "cut", "twice"]),
)
def test_what_decoding_refuses_is_no_pair(at, value, how):
    whole, _ = encode_tree(SMALL)
    forged = {
        "put": whole[:at] + bytes([value]) + whole[at + 1 :],
        "cut": whole[:at],
        "twice": whole[:at] + whole[at : at + 1] + whole[at:],
    }[how]
    for one, other in ((forged, whole), (whole, forged), (forged, forged)):
        pair = pair_of((one, None), (other, None))
        try:
            old, new = decode_tree(one), decode_tree(other)
        except CorruptError:
            assert pair is None
        else:
            assert (pair is not None) == (old.names == new.names)


def test_a_content_id_that_does_not_hold_is_no_pair():
    good, bad = side(SMALL), (side(SMALL)[0], bytes(32))
    assert pair_of(good, good) is not None
    assert pair_of(good, bad) is None
    assert pair_of(bad, good) is None


@pytest.mark.parametrize(
    "other",
    [
        encode_tree(dataclasses.replace(SMALL, names=[b"0000", b"0002"]))[0],
        encode_tree(tree_of([]))[0],
        encode_node(TreeNode([b"0000", b"0001"], (1, 1), b"a" * 64, b"b" * 64))[0],
    ],
    ids=["other names", "empty", "a node"],
)
def test_what_is_no_version_of_the_same_names_is_no_pair(other):
    whole, _ = encode_tree(SMALL)
    assert pair_of((whole, None), (other, None)) is None
    assert pair_of((other, None), (whole, None)) is None


def test_two_nodes_are_no_pair():
    node, _ = encode_node(TreeNode([b"a"], (1,), b"a" * 32, b"b" * 32))
    assert pair_of((node, None), (node, None)) is None
