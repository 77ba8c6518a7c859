"""The demo: what a stranger sees first. It must work anywhere, and say the same everywhere."""

from __future__ import annotations

import os
import re
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
            program, word, *_ = line.split()
            assert program == "python" or word in COMMANDS


@pytest.fixture
def toured(cli):
    """The demo, run once; its output."""
    return cli("demo --dir demo").out


def test_the_demo_finds_the_change_and_takes_it_back(toured):
    assert toured.count("$ ") >= 8
    failed = toured.index("FAIL order 1000")
    assert failed < toured.index('+  "tax_rate": 19,') < toured.index("ok: 12 totals are right")
    assert "Safety snapshot: " in toured
    assert "The store is sound: " in toured


def test_the_demo_says_what_it_left_and_how_to_remove_it(cli, toured):
    base = cli.folder / "demo"
    assert f"remove both with: rm -r {base}" in toured
    assert sorted(os.listdir(base)) == ["store", "workspace"]
    assert len(cli("log --json", cwd=base / "workspace").json) >= STEPS
    assert not (cli.folder.parent / "data").exists()


def test_the_demo_is_the_same_everywhere(cli, toured):
    again = cli("demo --dir other").out
    changing = re.compile(r"\b[\d.]+ (ms|s)\b|/demo\b|/other\b")
    assert changing.sub("", toured) == changing.sub("", again)


def test_a_folder_with_something_in_it_is_refused(cli):
    cli.write("full/a.txt")
    assert "is not empty" in cli("demo --dir full", code=2).err
    assert os.listdir(cli.folder / "full") == ["a.txt"]


def test_the_demo_needs_no_other_program(tmp_path):
    environ = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PATH": str(tmp_path / "nothing")}
    if os.environ.get("PYTHONPATH"):
        environ["PYTHONPATH"] = os.environ["PYTHONPATH"]
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    done = subprocess.run(
        [sys.executable, "-m", "casreplay", "demo"],
        cwd=root,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "That was the tour" in done.stdout
    assert [name for name in os.listdir(tmp_path) if name.startswith("casreplay-demo-")]
