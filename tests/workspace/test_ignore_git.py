"""The syntax of ignore rules against git itself, on generated trees; a second opinion from pathspec."""

from __future__ import annotations

import os
import random
import shutil
import subprocess

import pathspec
import pytest

from casreplay.workspace.ignore import DEFAULT_GROUPS, IgnoreFiles, IgnoreRules

OFF = {group.name: False for group in DEFAULT_GROUPS}
NAMES = [
    b"a",
    b"b",
    b"ab",
    b"abc",
    b"a.c",
    b"b.c",
    b".c",
    b"a b",
    b"#a",
    b"!a",
    b"a]",
    b"x-y",
    b"A",
    b"a1",
    b"[a]",
    b"\\a",
]
PIECE_WORDS = r"""
a b ab * ? *.c a* *b a?c ** [ab] [!a] [^b]* [a-c]b [[:alpha:]] [[:digit:]a] a[[:alnum:]] []a] [a [z-a] **b *a*
\#a \!a \[a] [\]a]* A *** a\ [[:bad:]] [a-] [!]-] x[--0]y [[]a] \\a *[[:punct:]]* a1 ?[0-9] [\a-c]
"""
PIECES = [*PIECE_WORDS.split(), "a\\ b", "a "]
# "a**/x" is not among them: git strips the literal prefix first and then takes "**" for a whole segment.

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git decides what is right here")


def make_tree(root: bytes, rng: random.Random, depth: int = 3) -> None:
    for name in rng.sample(NAMES, rng.randint(3, 7)):
        path = root + b"/" + name
        if depth and rng.random() < 0.5:
            os.mkdir(path)
            make_tree(path, rng, depth - 1)
        else:
            with open(path, "wb"):
                pass


def make_line(rng: random.Random) -> str:
    if rng.random() < 0.05:
        return rng.choice(["", "# a", "/", "//", "!", " ", "\\", "**/", "/**", "/*", "*/", "!*/", "!**/"])
    line = "/".join(rng.choice(PIECES) for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4])))
    line = "/" * (rng.random() < 0.2) + line + "/" * (rng.random() < 0.2)
    return "!" * (rng.random() < 0.25) + line + " " * (rng.random() < 0.1)


def write_rules(root: bytes, rng: random.Random) -> None:
    folders = [folder for folder, _, _ in os.walk(root) if b"/.git" not in folder]
    for folder in [root, *rng.sample(folders, min(2, len(folders)))]:
        text = "\n".join(make_line(rng) for _ in range(rng.randint(1, 5)))
        with open(folder + b"/.gitignore", "wb") as file:
            file.write(text.encode() + b"\n")


def kept_by_rules(root: bytes) -> set[bytes]:
    def read(path: bytes) -> bytes | None:
        try:
            with open(root + b"/" + path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    rules = IgnoreRules.build(
        defaults={**OFF, "git": True}, files=IgnoreFiles(git=True, own=False, read=read)
    )
    kept: set[bytes] = set()
    waiting = [(b"", rules.for_folder(b""))]
    while waiting:
        folder, here = waiting.pop()
        for entry in os.scandir(root + b"/" + folder):
            path = (folder + b"/" + entry.name) if folder else entry.name
            if here.ignores(entry.name, entry.is_dir()):
                continue
            if entry.is_dir():
                waiting.append((path, rules.for_folder(path)))
            else:
                kept.add(path)
    return kept


def kept_by_git(root: bytes) -> set[bytes]:
    command = ["git", "-c", "core.excludesFile=", "ls-files", "-z", "--others", "--exclude-standard"]
    run = subprocess.run(command, cwd=root, capture_output=True, check=True)
    return set(run.stdout.split(b"\0")) - {b""}


def disagreement(folder: bytes, seed: int) -> str:
    rng = random.Random(seed)
    os.mkdir(folder)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    make_tree(folder, rng)
    write_rules(folder, rng)
    ours, theirs = kept_by_rules(folder), kept_by_git(folder)
    if ours == theirs:
        return ""
    texts = {}
    for path, _, files in os.walk(folder):
        if b".gitignore" in files:
            with open(path + b"/.gitignore") as file:
                texts[path.removeprefix(folder)] = file.read()
    return (
        f"seed {seed}: only ours {sorted(ours - theirs)}, only git's {sorted(theirs - ours)}, rules {texts}"
    )


@needs_git
def test_generated_trees_keep_what_git_keeps(tmp_path):
    found = [disagreement(os.fsencode(tmp_path / str(seed)), seed) for seed in range(60)]
    assert [line for line in found if line] == []


@pytest.mark.slow
@needs_git
def test_many_generated_trees_keep_what_git_keeps(tmp_path):
    found = [disagreement(os.fsencode(tmp_path / str(seed)), seed) for seed in range(1000, 2500)]
    assert [line for line in found if line] == []


def test_common_patterns_agree_with_pathspec():
    lines = ["*.log", "!keep.log", "/build", "docs/**/gen", "tmp/", "a?c", "x/*.[ch]", "**/cache/**"]
    spec = pathspec.GitIgnoreSpec.from_lines(lines)
    rules = IgnoreRules.build((), lines, defaults=OFF)
    paths = [
        "a.log",
        "d/keep.log",
        "build/x",
        "d/build/x",
        "docs/gen/y",
        "docs/a/b/gen/y",
        "tmp/z",
        "d/tmp/z",
    ]
    paths += ["abc", "d/abc", "x/a.c", "x/a.o", "cache/z", "d/cache/e/z", "cache.txt"]
    for path in paths:
        assert rules.ignores(path.encode(), is_folder=False) == spec.match_file(path), path
