"""The demo: what a stranger sees first. It must work anywhere, and say the same everywhere."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from itertools import pairwise

import pytest

from casreplay.cli.demo.story import BAD_STEP, STEPS, moments
from casreplay.cli.demo.tour import TOUR
from casreplay.cli.registry import COMMANDS


def run_check(files, folder):
    for path, text in files.items():
        full = folder / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text, encoding="utf-8")
    command = [sys.executable, "-B", "tools/check.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("number", "code"), [(1, 0), (BAD_STEP - 1, 0), (BAD_STEP, 1), (STEPS, 1)], ids=str)
def test_the_bad_step_breaks_the_check_and_no_other_does(number, code, tmp_path):
    story = list(moments())
    assert len(story) == STEPS
    assert run_check(story[number - 1].files, tmp_path).returncode == code


def test_every_moment_changes_something_and_comes_later():
    story = list(moments())
    for before, after in pairwise(story):
        assert before.files != after.files
        assert before.time_ns < after.time_ns


def test_the_tour_shows_commands_that_exist():
    for step in TOUR:
        for line in step.lines:
            program, word, *_ = shlex.split(line)
            assert program == "python" or word in COMMANDS


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo run once, as a stranger's machine would: no other program to be found, nothing set up."""
    home = tmp_path_factory.mktemp("stranger")
    environ = {"HOME": str(home), "TMPDIR": str(home), "PATH": str(home / "nothing")}
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    done = subprocess.run(
        [sys.executable, "-m", "casreplay", "demo"],
        cwd=root,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, home


def test_the_demo_finds_the_change_and_takes_it_back(demo):
    text, _ = demo
    failed = text.index("FAIL order 1000")
    assert failed < text.index('+  "tax_rate": 19,') < text.index("ok: 12 totals are right")
    assert "is the first bad snapshot" in text
    assert "Safety snapshot: " in text
    assert "The store is sound: " in text
    assert "error:" not in text
    assert text.count("\n$ ") == sum(len(step.lines) for step in TOUR)


def test_the_demo_says_what_it_left_and_how_to_remove_it(demo):
    text, home = demo
    (base,) = [home / name for name in os.listdir(home) if name.startswith("casreplay-demo-")]
    assert f"remove it all with: rm -r {os.path.realpath(base)}" in text
    assert sorted(os.listdir(base)) == ["report.html", "store", "workspace"]
    assert [name for name in os.listdir(home) if name != base.name] == []


def test_the_story_gives_the_same_ids_everywhere(tmp_path):
    from casreplay import Repository
    from casreplay.cli.demo.player import play

    ids = []
    for name, umask in (("one", 0o022), ("two", 0o077)):
        before = os.umask(umask)
        try:
            workspace, store = (os.fsencode(tmp_path / name / part) for part in ("workspace", "store"))
            play(workspace, store, lambda moment: None)
        finally:
            os.umask(before)
        with Repository.open(store, workspace) as repository:
            ids.append([one.id for one in repository.snapshots()])
    assert ids[0] == ids[1]
    assert len(ids[0]) == STEPS


def test_a_folder_with_something_in_it_is_refused(cli):
    cli.write("full/a.txt")
    assert "is not empty" in cli("demo --dir full", code=2).err
    assert os.listdir(cli.folder / "full") == ["a.txt"]
