from __future__ import annotations

import pytest

from casreplay.forensics.globs import PathMatcher
from casreplay.forensics.matching import MAX_LINE_CHARS, Hit, LinePatterns, PatternTimeoutError

ENGINES = pytest.mark.parametrize("use_re2", [True, False], ids=["re2", "process"])


@ENGINES
def test_both_engines_give_the_same_hits(use_re2: bool) -> None:
    patterns = LinePatterns([r"err(\d+)", "^x", "ü+"], use_re2=use_re2)
    assert patterns.engine == ("re2" if use_re2 else "process")
    lines = ["an err42 here", "x marks", "nothing", "größe üü", ""]
    assert patterns.search(lines) == [
        Hit(0, 0, 3, 8, 6, 8),
        Hit(1, 1, 0, 1, 0, 1),
        Hit(3, 2, 6, 8, 6, 8),
    ]


@ENGINES
def test_case(use_re2: bool) -> None:
    assert LinePatterns(["ERROR"], use_re2=use_re2).search(["error"]) == []
    assert len(LinePatterns(["ERROR"], ignore_case=True, use_re2=use_re2).search(["error"])) == 1


@ENGINES
def test_only_the_beginning_of_a_very_long_line_is_matched(use_re2: bool) -> None:
    patterns = LinePatterns(["needle"], use_re2=use_re2)
    assert patterns.search(["x" * MAX_LINE_CHARS + "needle"]) == []
    assert len(patterns.search(["needle" + "x" * MAX_LINE_CHARS])) == 1


def test_nothing_to_match_starts_nothing() -> None:
    assert LinePatterns([], use_re2=False).search(["a"]) == []
    assert LinePatterns(["a"], use_re2=False).search([]) == []


def test_a_pattern_that_would_hang_is_killed() -> None:
    patterns = LinePatterns(["(a+)+$"], use_re2=False, limit_s=0.5)
    with pytest.raises(PatternTimeoutError, match="longer than 0"):
        patterns.search(["a" * 40 + "!"])


def test_a_broken_pattern_is_a_failure_not_a_traceback() -> None:
    with pytest.raises(PatternTimeoutError, match="failed"):
        LinePatterns(["("], use_re2=False).search(["a"])


@pytest.mark.parametrize(
    ("patterns", "path", "matches"),
    [
        (["*.log"], b"a/b/run.log", True),
        (["logs/**"], b"logs/a/b.txt", True),
        (["logs/**"], b"other/logs/b.txt", False),
        (["src/"], b"src/a/b.py", True),
        (["src/", "!src/gen/"], b"src/gen/b.py", True),
        (["*.py", "!keep.py"], b"keep.py", False),
        ([], b"anything", False),
        (["data-\xff"], b"data-x", False),
    ],
)
def test_path_patterns(patterns, path, matches) -> None:
    assert PathMatcher(patterns).matches(path) is matches
