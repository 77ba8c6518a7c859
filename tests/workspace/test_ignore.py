"""Precedence, folders, defaults and includes; test_ignore_git compares the syntax with git's."""

from __future__ import annotations

import subprocess
import sys

import pytest

from casreplay.workspace.ignore import DEFAULT_GROUPS, IgnoreFiles, IgnoreRules

OFF = {group.name: False for group in DEFAULT_GROUPS}


def rules_of(*exclude, include=(), defaults=OFF, **more):
    return IgnoreRules.build(include, exclude, defaults=defaults, **more)


def ignored(rules, path, *, is_folder=False):
    return rules.ignores(path, is_folder=is_folder)


def test_without_rules_nothing_is_ignored_and_nothing_needs_asking():
    root = rules_of().root()
    assert root.is_trivial
    assert root.enter(b"any") is root
    assert not root.ignores(b".git", True)


@pytest.mark.parametrize(
    ("name", "is_folder", "expected"),
    [
        (b".git", True, True),
        (b".git", False, True),
        (b".gitignore", False, False),
        (b"__pycache__", True, True),
        (b"__pycache__", False, False),
        (b"a.pyc", False, True),
        (b".mypy_cache", True, True),
        (b"node_modules", True, False),
        (b".venv", True, False),
        (b"vendor", True, False),
        (b".tox", True, False),
        (b"build", True, False),
        (b".cache", True, False),
    ],
)
def test_defaults_leave_out_only_what_is_regenerated(name, is_folder, expected):
    rules = IgnoreRules.build()
    assert rules.root().ignores(name, is_folder) is expected
    assert rules.for_folder(b"deep/below").ignores(name, is_folder) is expected


def test_bundler_cache_below_node_modules_is_a_cache_and_elsewhere_is_not():
    rules = IgnoreRules.build()
    assert ignored(rules, b"a/b/node_modules/.cache", is_folder=True)
    assert not ignored(rules, b"a/b/.cache", is_folder=True)
    assert not ignored(rules, b"node_modules/x/.cache", is_folder=True)


@pytest.mark.parametrize("group", DEFAULT_GROUPS, ids=lambda group: group.name)
def test_each_default_can_be_switched_off_by_name(group):
    on, off = IgnoreRules.build(), IgnoreRules.build(defaults={group.name: False})
    probe = group.patterns[0]
    path, is_folder = probe.replace("**/", "").strip("/").encode(), True
    assert ignored(on, path, is_folder=is_folder)
    assert not ignored(off, path, is_folder=is_folder)
    assert group in on.describe()
    assert group not in off.describe()


def test_dropping_all_dependency_rules_shares_one_value_between_folders():
    root = IgnoreRules.build().root()
    assert root.enter(b"a") is root.enter(b"b").enter(b"c")


def test_anchored_patterns_hold_where_they_are_anchored():
    rules = rules_of("/build", "docs/*.log", "a/**/z", "deep/**")
    assert ignored(rules, b"build", is_folder=True)
    assert not ignored(rules, b"x/build")
    assert ignored(rules, b"docs/a.log")
    assert not ignored(rules, b"docs/x/a.log")
    assert ignored(rules, b"a/z")
    assert ignored(rules, b"a/b/c/z")
    assert not ignored(rules, b"deep", is_folder=True)
    assert ignored(rules, b"deep/x")


def test_last_match_wins_and_negation_brings_back():
    rules = rules_of("*.log", "!keep.log", "tmp/", "!tmp/keep")
    assert ignored(rules, b"x/a.log")
    assert not ignored(rules, b"x/keep.log")
    assert ignored(rules, b"tmp/keep")


def test_own_ignore_file_beats_the_configuration_and_the_nearest_beats_all():
    rules = rules_of("*.log")
    root = rules.root({b".casreplayignore": b"!a.log\nb.log\n*.tmp\n"})
    assert not root.ignores(b"a.log", False)
    assert root.ignores(b"b.log", False)
    below = root.enter(b"sub", {b".casreplayignore": b"!b.log\r\na.log\r\n"})
    assert below.ignores(b"a.log", False)
    assert not below.ignores(b"b.log", False)
    assert below.ignores(b"x.tmp", False)
    assert not root.ignores(b"b.logs", False)


def test_gitignore_counts_only_when_asked_and_below_the_configuration():
    text = {b".gitignore": b"secret.env\n!kept.log\n"}
    assert not rules_of().root(text).ignores(b"secret.env", False)
    asked = rules_of("*.log", files=IgnoreFiles(git=True)).root(text)
    assert asked.ignores(b"secret.env", False)
    assert asked.ignores(b"kept.log", False)


def test_anchored_lines_of_a_nested_file_start_in_its_folder():
    root = rules_of().root()
    sub = root.enter(b"sub", {b".casreplayignore": b"/only\nx/y\n"})
    assert sub.ignores(b"only", False)
    assert not sub.enter(b"only2").ignores(b"only", False)
    assert sub.enter(b"x").ignores(b"y", False)
    assert not root.enter(b"x").ignores(b"y", False)


def test_protected_paths_cannot_be_brought_back():
    rules = rules_of("!*", protected=(b"work/.store[1]",))
    folder = rules.for_folder(b"work", {b".casreplayignore": b"!.store*\n!*\n"})
    assert folder.ignores(b".store[1]", True)
    assert not folder.ignores(b".store1", True)


@pytest.mark.parametrize("include", [(), ("**/*",), ("*",), ("*.py", "**")])
def test_including_everything_limits_nothing(include):
    assert rules_of(include=include).root().is_trivial


def test_includes_limit_files_and_prune_folders_where_nothing_can_match():
    rules = rules_of(include=("src/**/*.py", "logs", "/README.md"))
    assert not ignored(rules, b"src/a/b.py")
    assert ignored(rules, b"src/a/b.txt")
    assert not ignored(rules, b"src/a", is_folder=True)
    assert not ignored(rules, b"logs/x/y.bin")
    assert not ignored(rules, b"deep/logs/y.bin")
    assert not ignored(rules, b"README.md")
    assert ignored(rules, b"sub/README.md")
    anchored = rules_of(include=("/src/*.py",))
    assert ignored(anchored, b"lib", is_folder=True)
    assert ignored(anchored, b"src/deep", is_folder=True)
    assert not ignored(anchored, b"src", is_folder=True)


def test_a_negated_include_takes_out_again():
    rules = rules_of(include=("src/", "!*.bin"))
    assert not ignored(rules, b"src/x/a.py")
    assert ignored(rules, b"src/x/a.bin")


def test_exclude_beats_include():
    assert ignored(rules_of("*.tmp", include=("*.tmp", "*.py")), b"a.tmp")


def test_a_reader_answers_for_folders_that_were_not_walked():
    texts = {b".casreplayignore": b"*.a", b"x/y/.casreplayignore": b"!k.a\n"}
    rules = rules_of(files=IgnoreFiles(read=texts.get))
    assert rules.for_folder(b"x/y/z").ignores(b"b.a", False)
    assert not rules.for_folder(b"x/y/z").ignores(b"k.a", False)
    assert rules.for_folder(b"x").ignores(b"k.a", False)


def test_fingerprints_change_with_every_kind_of_rule():
    variants = [
        rules_of(),
        rules_of("a"),
        rules_of("a/"),
        rules_of("!a"),
        rules_of(include=("a",)),
        rules_of(protected=(b"a",)),
        rules_of(files=IgnoreFiles(git=True)),
        rules_of(files=IgnoreFiles(own=False)),
        IgnoreRules.build(),
        IgnoreRules.build(defaults={"git": False}),
    ]
    assert len({rules.fingerprint() for rules in variants}) == len(variants)
    assert rules_of("a").fingerprint() == rules_of("a").fingerprint()
    root = rules_of().root()
    texts = [{}, {b".casreplayignore": b"a"}, {b".casreplayignore": b"b"}]
    assert len({root.enter(b"x", text).fingerprint() for text in texts}) == 3


def test_a_pattern_made_to_backtrack_answers_at_once():
    rules = rules_of("*a*a*a*a*a*a*a*a*a*a*a*a*b", "x*" * 60 + "y", "[ab]*" * 40 + "c")
    assert not ignored(rules, b"a" * 250)
    assert not ignored(rules, b"x" * 250)
    assert not ignored(rules, b"ba" * 125)


def test_names_with_newlines_and_bytes_that_are_no_text():
    rules = rules_of("*.log", "a?b")
    assert ignored(rules, b"\xff\n\xfe.log")
    assert not ignored(rules, b"x.log\n")
    assert ignored(rules, b"a\nb")


def test_plain_rules_load_neither_pathspec_nor_much_else():
    code = (
        "import sys; from casreplay.workspace.ignore import IgnoreRules;"
        "IgnoreRules.build((), ['*.log', 'a[0-9]*']).root().ignores(b'a1', False);"
        "sys.exit('pathspec' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
