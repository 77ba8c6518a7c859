"""Shares: every folder once, complete sub-trees together, and never too many or too heavy."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from casreplay.history.shares import SHARES, depth_first, divide

NAMES = st.sampled_from([b"a", b"b", b"a-b", b"a.c", b"z"])
PATHS = st.lists(NAMES, max_size=6).map(b"/".join)


def _is_below(path: bytes, folder: bytes) -> bool:
    return not folder or path == folder or path.startswith(folder + b"/")


@given(st.dictionaries(PATHS, st.integers(0, 1_000_000), max_size=60))
def test_every_folder_is_in_one_share_and_whole_shares_hold_whole_sub_trees(weight_of):
    paths = sorted(weight_of, key=depth_first)
    shares = divide(paths, [weight_of[path] for path in paths])
    assert sorted(i for share in shares for i in share.positions) == list(range(len(paths)))
    assert len(shares) <= 4 * SHARES + 4
    for share in shares:
        held = {paths[i] for i in share.positions}
        assert share.weight == sum(weight_of[path] for path in held)
        assert list(share.positions) == sorted(share.positions)
        if share.is_whole:
            assert held == {path for path in paths if any(_is_below(path, folder) for folder in held)}


def test_sub_trees_lie_together_in_the_order_of_depth_first():
    paths = [b"", b"a", b"a-b", b"a.c", b"a/x", b"a/x/y", b"b"]
    assert sorted(paths, key=depth_first) == [b"", b"a", b"a/x", b"a/x/y", b"a-b", b"a.c", b"b"]


def test_only_a_single_folder_is_heavier_than_the_limit_and_then_it_comes_first():
    paths = [b"", *[b"d%03d" % i for i in range(500)]]
    weights = [1] * 501
    weights[400] = 10_000
    shares = divide(paths, weights)
    assert shares[0].positions == (400,)
    assert all(share.weight <= sum(weights) // SHARES for share in shares[1:])


def test_a_chain_of_heavy_folders_makes_few_shares():
    paths = [b"/".join([b"d"] * depth) for depth in range(1000)]
    light = [path + b"/side" if path else b"side" for path in paths]
    both = sorted([*paths, *light], key=depth_first)
    shares = divide(both, [10] * len(both))
    assert len(shares) <= 4 * SHARES + 4


def test_nothing_makes_no_share():
    assert divide([], []) == []
