"""Names that attack some system are refused on all; the rest only where it cannot be held."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.workspace.names import are_plain, attack, fold, not_portable

GIT = [
    b".git",
    b".GIT",
    b".Git",
    b"git~1",
    b"GIT~1",
    b"GIT~12",
    b".git.",
    b".git ",
    b".git. .",
    b".git::$INDEX_ALLOCATION",
    b".git:x",
    b".git\\hooks",
    ".g\u200cit".encode(),
    "\ufeff.git".encode(),
    ".gi\u200dt\u202e".encode(),
    ".Gi\u206ft".encode(),
    "\uff0egit".encode(),
]
FINE = [
    b".gitignore",
    b".gitmodules",
    b"git",
    b"a.git",
    b".github",
    b"GIT~x",
    b"digit~1",
    b"...",
    b"..a",
    b"a..",
    b" ",
    b"\xff\xfe",
    "é".encode(),
    "\u200c".encode(),
    b"-rf",
]


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"a\0b", b"/", b"x" * 5000])
def test_what_is_no_single_name_is_an_attack(name):
    assert attack(name)


@pytest.mark.parametrize("name", GIT)
def test_every_form_of_dot_git_is_an_attack(name):
    assert ".git" in attack(name)


@pytest.mark.parametrize("name", FINE)
def test_names_that_only_look_odd_are_no_attack(name):
    assert attack(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        b"a:b",
        b"nul",
        b"NUL.txt",
        b"con",
        b"com1.log",
        b"LPT9",
        b"aux .x",
        b"a.",
        b"a ",
        b"a\\b",
        b"a?b",
        b"a\nb",
        b'"',
    ],
)
def test_windows_names_are_reported(name):
    assert not_portable(name)


@pytest.mark.parametrize(
    "name", [b"a", b"null", b"console", b"com", b"com10", b".a", b"a b", b"\xff", b"a.b.c"]
)
def test_names_windows_can_hold_are_not(name):
    assert not_portable(name) == ""


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"README", b"readme"),
        ("É".encode(), "é".encode()),
        ("e\u0301".encode(), "\u00e9".encode()),
        ("straße".encode(), b"STRASSE"),
    ],
)
def test_names_that_clash_without_case_or_normalisation_fold_alike(a, b):
    assert fold(a) == fold(b)


def test_different_names_and_bytes_that_are_no_text_stay_apart():
    assert len({fold(name) for name in (b"a", b"b", b"\xff", b"\xfe", "é".encode())}) == 5


NAME = st.one_of(
    st.sampled_from(
        [*GIT, *FINE, b"con", b"CON", b"con.txt", b"com1 .x", b"config", b"a:b", b"x.", b"x ", b"\x01"]
    ),
    st.binary(min_size=1, max_size=4),
)


@given(st.lists(NAME, max_size=4))
def test_names_are_plain_together_when_each_is(names):
    assert are_plain(names) == (not any(attack(name) or not_portable(name) for name in names))


@pytest.mark.parametrize("names", [[b""], [b"a", b""], [b"a/b"], [b"a", b".."], [b"a\0b"]])
def test_no_list_with_an_attack_is_plain(names):
    assert not are_plain(names)
