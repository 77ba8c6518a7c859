"""What counts as a loss, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pairs import make_pair

from casreplay.forensics.loss import LossKind, find_losses

LINES = b"".join(b"row %d of the table, with words\n" % i for i in range(60))


def ledger(before, after, *, has=lambda _: True):
    pair = make_pair(before, after)
    return find_losses(pair.changes, pair.objects.get, has, lambda _: ("aa" * 32, "bb" * 32))


def kind_of(old: bytes, new: bytes | None) -> str | None:
    after = {} if new is None else {"f.txt": new}
    losses = ledger({"f.txt": old}, after).losses
    return losses[0].kind.value if losses else None


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (LINES, None, "deleted"),
        (b"", None, "deleted"),
        (LINES, b"", "emptied"),
        (LINES, LINES[:1000], "truncated"),
        (LINES, LINES[-1000:], "truncated"),
        (LINES, b"x", "truncated"),
        (LINES, b"quite different\n" * 80, "overwritten"),
        (LINES, LINES + b"more\n", None),
        (LINES, b"before\n" + LINES, None),
        (LINES, LINES.replace(b"row 7 ", b"row seven "), None),
        (LINES, LINES.rstrip(b"\n"), None),
        (b'{"retries": 3, "host": "localhost"}\n', b'{"retries": "many", "host": "localhost"}\n', None),
        (b"one two three four five six\n", b"\x00\x01\x02 all of it is gone now\n", "overwritten"),
        (b"", b"now something\n", None),
    ],
)  # fmt: skip
def test_kinds(old, new, kind):
    assert kind_of(old, new) == kind


def test_a_rename_is_no_loss():
    assert ledger({"a.txt": LINES}, {"b/c.txt": LINES}).losses == ()


def test_the_ledger_adds_up_and_tells_what_cannot_come_back():
    found = ledger({"a": LINES, "b": LINES + b"b", "c": b"c" * 50}, {"b": b""}, has=lambda _: False)
    assert [(one.path, one.kind) for one in found.losses] == [
        (b"a", LossKind.DELETED),
        (b"b", LossKind.EMPTIED),
        (b"c", LossKind.DELETED),
    ]
    assert found.lost_bytes == 2 * len(LINES) + 51
    assert len(found.unrecoverable) == 3
    row = found.to_dict()["entries"][0]
    assert (row["recoverable"], row["recover_from"]) == (False, None)


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_appending_never_loses_anything(old, more):
    assert ledger({"f": old}, {"f": old + more}).losses == ()


@given(st.dictionaries(st.sampled_from("abcde"), st.binary(min_size=1, max_size=60), max_size=5))
def test_every_deleted_file_that_was_not_moved_is_in_the_ledger(files):
    found = ledger(files, {})
    assert [one.path.decode() for one in found.losses] == sorted(files)
    assert found.lost_bytes == sum(map(len, files.values()))
