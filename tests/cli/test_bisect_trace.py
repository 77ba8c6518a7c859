"""``bisect --trace`` as people use it, with the real strace."""

from __future__ import annotations

import os
import shlex

import pytest
from support.json_docs import disagreements

from casreplay.errors import CasreplayError
from casreplay.history.bisect_tracer import Tracer

CHECK = "! grep -q broken app/code.txt"


@pytest.fixture(autouse=True)
def traced(tmp_path):
    """Tracing, or the reason why there is none here."""
    try:
        Tracer(os.environ).check(str(tmp_path))
    except CasreplayError as error:
        pytest.skip(f"strace is needed to see what a command reads: {error}")


@pytest.fixture
def story(cli):
    """Forty snapshots that all differ; ``app/code.txt`` has three contents, the last two of them broken."""
    for number in range(40):
        cli.write("app/code.txt", "fine\n" if number < 23 else f"broken {number > 30}\n")
        cli.write("app/other.txt", f"{number}\n")
        cli.write("flag.txt", "on\n" if 5 <= number < 11 or number >= 32 else "off\n")
        if number >= 23:
            cli.write("note.txt", "new\n")
        cli(f"commit -m 'step {number}'" + (" --tag good" if number == 0 else ""))
    return cli


def traced_line(command):
    return shlex.join(["bisect", "good", "@", "--run", command, "--no-cache", "--trace"])


def test_states_that_differ_elsewhere_are_not_run(story):
    plain = story(f"bisect good @ --run '{CHECK}' --no-cache --no-minimize --json").json
    found = story(f"bisect good @ --run '{CHECK}' --no-cache --trace --json").json
    assert disagreements("casreplay bisect run", found) == []
    assert (found["status"], found["first_bad"]) == ("found", plain["first_bad"])
    assert plain["runs"] == 2 + 6 + 6
    # What halving asks for is known from the ends, or from one run more; the boundary is run anyway.
    assert found["runs"] <= 2 + 1 + 2 * 4
    assert found["cached"] == found["trace"]["reused"] > 0
    assert found["trace"]["unclear"] == []
    assert found["trace"]["files"] == 1
    assert [change["path"] for change in found["trace"]["read_changes"]] == ["app/code.txt"]
    assert [culprit["path"] for culprit in found["culprits"]] == ["app/code.txt"]
    # Three paths changed and one was read: nothing is left to try.
    assert found["shrink_runs"] == 0


def test_all_flips_cost_a_run_for_each_state_of_what_is_read(story):
    command = "bisect good @ --all --confirm 0 --run 'grep -q off flag.txt' --no-cache --json"
    plain, found = story(command).json, story(command + " --trace").json
    assert found["flips"] == plain["flips"]
    assert len(found["flips"]) == 3
    assert (plain["runs"], plain["cached"]) == (40, 0)
    # The ends, and both sides of each flip: nobody's word is taken for those.
    assert found["runs"] == 2 + 6
    assert found["cached"] == 38


def test_it_says_what_was_read(story):
    said = story(f"bisect good @ --run '{CHECK}' --trace --no-minimize").out
    assert "as read" in said
    assert "The command read 1 file of the first bad snapshot" in said
    assert "the step changes 1 of what it read" in said
    assert "had read the very same" in said


def test_a_command_that_lists_everything_gains_nothing_and_stays_right(story):
    found = story(traced_line('test -z "$(grep -r broken .)"') + " --json").json
    assert found["trace"]["reused"] == 0
    assert found["runs"] <= 2 + 6 + 6
    assert [culprit["path"] for culprit in found["culprits"]] == ["app/code.txt"]


def test_runs_that_prove_nothing_are_told(story):
    line = f'test -n "$CASREPLAY_SNAPSHOT"; {CHECK}'
    said = story(traced_line(line))
    assert "asks which snapshot it is on" in said.out
    found = story(traced_line(line) + " --json").json
    assert (found["trace"]["reused"], found["trace"]["files"]) == (0, None)
    assert found["trace"]["unclear"][0]["runs"] == found["runs"]


def test_a_flaky_command_is_searched_by_runs_alone(story, tmp_path):
    """Every fourth run fails, whatever the snapshot: a trace cannot weigh what is counted outside."""
    count = tmp_path / "count"
    counting = f"n=$(cat {count} 2>/dev/null || echo 0); echo $((n + 1)) > {count}"
    line = f"{counting}; [ $((n % 4)) = 3 ] && exit 1; {CHECK}"
    found = story(traced_line(line) + " --json").json
    assert found["first_bad"] == story(f"bisect good @ --run '{CHECK}' --no-cache --json").json["first_bad"]
    assert found["posterior"] >= 0.95


def test_only_a_command_can_be_traced(story):
    story("bisect good @ --exists note.txt --trace", code=2)


def test_without_strace_the_package_is_named(story, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    story.environ["PATH"] = str(empty)
    said = story(f"bisect good @ --run '{CHECK}' --trace", code=2)
    assert "package strace" in said.err
