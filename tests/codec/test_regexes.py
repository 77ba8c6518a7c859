"""User patterns: what can blow up is refused by both checks, ordinary patterns pass both."""

from __future__ import annotations

import pytest

from casreplay.codec.regexes import has_re2, refusal

ENGINES = [
    pytest.param(True, marks=pytest.mark.skipif(not has_re2(), reason="the extra is not installed")),
    False,
]
BLOW_UP = [r"(a+)+$", r"(a|aa)+b", r"(a*)*", r"(.*a){20}", r"(?:\s*x?)+y", r"(?:a|a)+b", r"(?:aab|a[ab]b)+c"]
NO_REGULAR_LANGUAGE = [r"(a)\1", r"(?<=a)b", r"a(?=b)", r"a(?!b)", r"(?<!a)b"]
ORDINARY = [
    r"(?i)(traceback|error|fatal)",
    r"^\d{4}-\d{2}-\d{2}T\d+",
    r"Decision:\s*(.+)",
    r"[A-Za-z0-9_]{32,}",
    r"(?:ab|cd)+",
    r"(?:\d{1}-)+x",
    r"error.*timeout",
    r"key\s*=\s*\S+",
    r"(foo|bar)?baz",
]


@pytest.mark.parametrize("pattern", BLOW_UP)
def test_the_reading_check_refuses_what_backtracks(pattern):
    assert "repeat" in refusal(pattern, use_re2=False)


@pytest.mark.parametrize("use_re2", ENGINES)
@pytest.mark.parametrize("pattern", NO_REGULAR_LANGUAGE)
def test_what_is_not_regular_is_refused(pattern, use_re2):
    assert "linear time" in refusal(pattern, use_re2=use_re2)


@pytest.mark.parametrize("use_re2", ENGINES)
@pytest.mark.parametrize("pattern", ORDINARY)
def test_ordinary_patterns_pass(pattern, use_re2):
    assert refusal(pattern, use_re2=use_re2) == ""


@pytest.mark.parametrize("use_re2", ENGINES)
@pytest.mark.parametrize("pattern", ["[", "(", "a{2,1}", "*a", "(?P<x>a)(?P<x>b)", "\\", "(" * 5000])
def test_what_is_no_pattern_is_refused_with_the_reason(pattern, use_re2):
    assert refusal(pattern, use_re2=use_re2)


def test_many_open_repeats_are_refused_without_re2():
    assert "open repeats" in refusal(r".*a.*b.*c.*d.*e", use_re2=False)
    assert refusal(r".*a.*b.*c.*d", use_re2=False) == ""


def test_without_a_choice_re2_decides_where_it_is_installed():
    assert refusal(r"(a+)+$") == refusal(r"(a+)+$", use_re2=has_re2())
