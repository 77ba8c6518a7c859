"""A whole bisect with a command, as Python calls it."""

from __future__ import annotations

import os
from concurrent.futures import Executor, Future

import pytest

from casreplay.history.bisect_command import RUN_LOG, bisect_command
from casreplay.history.bisect_model import Status
from casreplay.history.bisect_session import BisectRequest
from casreplay.history.commit import CommitOptions
from casreplay.history.probes import Command
from casreplay.history.repository import Repository

BAD_FROM = 7
CHECK = Command("grep -q good state", environ={"PATH": os.environ["PATH"]})


@pytest.fixture
def repository(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    with Repository.init(work, tmp_path / "store") as made:
        for number in range(12):
            (work / "state").write_text("good\n" if number < BAD_FROM else "bad\n")
            (work / "number").write_text(f"{number}\n")
            made.commit(CommitOptions(label=f"step {number}"))
        yield made


class Inline(Executor):
    """Runs at once, in the caller's thread, and counts."""

    def __init__(self):
        self.submitted = 0

    def submit(self, fn, /, *args, **kwargs):
        self.submitted += 1
        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def ends(repository):
    line = list(repository.snapshots())[::-1]
    return line[0], line[-1]


def test_an_executor_that_is_passed_in_runs_the_search(repository):
    executor = Inline()
    report = bisect_command(repository.store, BisectRequest(*ends(repository)), CHECK, executor=executor)
    assert (report.status, report.first_bad.label) == (Status.FOUND, f"step {BAD_FROM}")
    assert executor.submitted == report.effort.runs
    assert [c.change.path for c in report.shrunk.culprits] == [b"state"]


def test_a_budget_spent_while_confirming_blames_no_lines(repository):
    minutes = iter(range(0, 10**15, 60 * 10**9)).__next__
    request = BisectRequest(*ends(repository), budget_s=16 * 60, clock=minutes)
    report = bisect_command(repository.store, request, CHECK)
    assert (report.status, report.first_bad.label) == (Status.FOUND, f"step {BAD_FROM}")
    assert report.reason == "the budget of 960 s is spent"
    assert report.effort.runs == 8
    assert report.shrunk is None


def test_a_command_that_cannot_judge_ends_the_search_and_can_be_taken_up_again(repository, tmp_path):
    there = tmp_path / "there"
    line = f"[ -e {there} ] || [ $(cat number) != 5 ] || exit 127; grep -q good state"
    command = Command(line, environ={"PATH": os.environ["PATH"]})
    given_up = bisect_command(repository.store, BisectRequest(*ends(repository)), command)
    assert given_up.status is Status.ABORTED
    assert given_up.reason == "the command cannot judge (exit 127)"
    assert given_up.effort.runs == 3
    there.touch()
    report = bisect_command(repository.store, BisectRequest(*ends(repository)), command)
    assert report.first_bad.label == f"step {BAD_FROM}"
    assert report.effort.runs == 2 + 4 + 2 * 3


def test_a_log_that_cannot_be_read_is_made_anew(repository):
    repository.store.write_cache(RUN_LOG, [b"{not a log\n"])
    report = bisect_command(repository.store, BisectRequest(*ends(repository)), CHECK)
    assert report.first_bad.label == f"step {BAD_FROM}"


def test_a_change_that_was_taken_for_steady_is_weighed_when_the_last_trial_passes(repository, tmp_path):
    """The command fails once without a cause, and only while the change is shrunk."""
    odd = tmp_path / "odd"
    # Only a half-changed folder has the old state and the new number: there it fails the first time.
    line = (
        f"if grep -q good state && [ $(cat number) = {BAD_FROM} ] && [ ! -e {odd} ]; "
        f"then touch {odd}; exit 1; fi; "
        "grep -q good state"
    )
    request = BisectRequest(*ends(repository), any_failure=True)
    report = bisect_command(repository.store, request, Command(line, environ={"PATH": os.environ["PATH"]}))
    assert odd.exists()
    assert [c.change.path for c in report.shrunk.culprits] == [b"state"]
    assert report.effort.shrink_runs > 3
