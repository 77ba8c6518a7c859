from __future__ import annotations

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.bisect_line import ScriptedRunner, line_of
from support.list_log import ListLog, snapshot

from casreplay.errors import BisectAbortedError, UsageError
from casreplay.history.bisect import Bisector
from casreplay.history.bisect_model import SearchOptions, Status, Verdict
from casreplay.history.bisect_range import between, classes, first_parents
from casreplay.history.bisect_run import (
    Judge,
    SearchJob,
    VerdictCache,
    run_search,
)
from casreplay.history.bisect_shrink import PartialTrees, TreeJudge, shrink
from casreplay.history.diff import diff_trees
from casreplay.history.observations import Observation, Signature
from casreplay.history.overlay import OverlayStore
from casreplay.history.probes import Command, CommandProbe, ProbeArea, Target
from casreplay.history.walk import find

G, B, S = Verdict.GOOD, Verdict.BAD, Verdict.SKIP
OTHER = Observation(B, Signature(2, "SyntaxError", "a.py:f"))


def distinct(count):
    return [{b"f": b"%d" % i} for i in range(count)]


def search(answer, folders=None, *, width=1, watch=(), **settings):
    any_failure, cache = settings.get("any_failure", False), settings.get("cache")
    objects, line = line_of(*(folders or distinct(64)))
    span = classes(objects, line, watch)
    runner = ScriptedRunner(answer)
    records = []
    searcher = Bisector(span.size, SearchOptions(confirm=1))
    job = SearchJob(
        span, runner, Judge(span.size, any_failure=any_failure), cache or VerdictCache(enabled=False),
        records.append,
    )  # fmt: skip
    with ThreadPoolExecutor(width) as executor:
        outcome = run_search(searcher, job, executor, width=width)
    return outcome, runner, records, span


@pytest.mark.parametrize("width", [1, 3])
def test_finds_the_boundary_and_records_every_run(width):
    outcome, runner, records, span = search(lambda n: B if n >= 23 else G, width=width)
    assert (outcome.status, outcome.first_bad) == (Status.FOUND, 23)
    assert sorted(runner.asked) == sorted(span.starts[r.position] for r in records)
    assert [r.why for r in records][:2] == ["ends", "ends"]
    assert len(runner.asked) <= (10 if width == 1 else 3 * 3 + 4)


def test_another_failure_is_a_skip_not_a_culprit():
    def answer(n):
        return OTHER if 20 <= n < 36 else B if n >= 40 else G

    outcome, _, records, _ = search(answer)
    assert (outcome.status, outcome.first_bad) == (Status.FOUND, 40)
    assert any(r.verdict is S and "fails differently" in r.note for r in records)
    loose, _, _, _ = search(answer, any_failure=True)
    assert loose.first_bad == 20


def test_equal_content_is_one_position_and_watched_paths_make_fewer():
    folders = [{b"f": b"%d" % (i // 8), b"noise": b"%d" % i} for i in range(64)]
    outcome, runner, _, span = search(lambda n: B if n >= 40 else G, folders, watch=[b"f"])
    assert span.size == 8
    assert span.first(outcome.first_bad).sequence == 40
    assert span.last(outcome.last_good).sequence == 39
    assert len(set(runner.asked)) <= 5
    assert [one.sequence for one in span.inside(5, 5)] == list(range(40, 48))


def test_remembered_verdicts_are_not_run_again_but_reruns_are():
    cache = VerdictCache()
    folders = distinct(64)
    first, runner, _, _ = search(lambda n: B if n >= 23 else G, folders, cache=cache)
    second, again, records, _ = search(lambda n: B if n >= 23 else G, folders, cache=cache)
    assert second == first or second.first_bad == first.first_bad
    assert len(again.asked) < len(runner.asked)
    assert sum(r.cached for r in records) + len(again.asked) == len(records)
    assert sum(r.cached for r in records) >= 4


def test_a_flaky_memory_is_never_trusted():
    cache = VerdictCache()
    key = b"\x01" * 32
    cache.add(key, Observation(G))
    assert cache.get(key).cached
    cache.add(key, Observation(B, Signature(1)))
    assert cache.get(key) is None


def test_an_abort_stops_everything():
    with pytest.raises(BisectAbortedError, match="cannot judge"):
        search(
            lambda n: Observation(None, detail="the command cannot judge") if n == 31 else B if n > 40 else G
        )


def test_the_budget_ends_the_search_with_what_is_known():
    clock = iter(range(0, 10**12, 10**9)).__next__
    over = threading.Event()

    class Slow(ScriptedRunner):
        def __call__(self, target, stop):
            if len(self.asked) >= 4:
                over.wait(10)
            return super().__call__(target, stop)

        def cancel_all(self):
            super().cancel_all()
            over.set()

    objects, line = line_of(*distinct(64))
    span = classes(objects, line)
    runner = Slow(lambda n: B if n >= 23 else G)
    job = SearchJob(
        span, runner, Judge(64), VerdictCache(enabled=False), lambda _: None, budget_s=7, clock=clock
    )
    with ThreadPoolExecutor(1) as executor:
        outcome = run_search(Bisector(64), job, executor)
        runner.cancel_all()
        executor.shutdown(wait=False, cancel_futures=True)
    assert outcome.status is Status.INTERVAL
    assert "budget" in outcome.reason
    assert outcome.last_good < 23 <= outcome.first_bad
    assert runner.stopped


def test_ranges_go_both_ways_and_refuse_one_snapshot():
    _, line = line_of(*distinct(9))
    log = ListLog(*line)
    assert [s.sequence for s in between(log, line[2], line[5])] == [2, 3, 4, 5]
    assert [s.sequence for s in between(log, line[5], line[2])] == [5, 4, 3, 2]
    with pytest.raises(UsageError):
        between(log, line[2], line[2])


def test_first_parents_leave_out_what_came_in_by_a_merge():
    def commit(i, name, *parents):
        return snapshot(i, extra={"git.commit": name, "git.parents": " ".join(parents)})

    line = [commit(0, "a"), commit(1, "b", "a"), commit(2, "side", "a"), commit(3, "m", "b", "side")]
    assert [s.sequence for s in first_parents(line)] == [0, 1, 3]
    assert [s.sequence for s in first_parents(line[::-1])] == [3, 1, 0]
    plain = [snapshot(i) for i in range(4)]
    assert first_parents(plain) == plain


# -- shrinking ------------------------------------------------------------------------------

LINES = b"".join(b"line %d\n" % i for i in range(60))


def shrunk(before, after, is_bad):
    objects, (good, bad) = line_of(before, after)
    trees = PartialTrees(OverlayStore(objects), good.root)
    trials = []

    def judge(root):
        def read(path):
            entry = find(trees.objects, root, path)
            return trees.objects.get(entry.blob_id) if entry is not None and entry.blob_id else None

        trials.append(root)
        return is_bad(read)

    changes = list(diff_trees(objects, good.root, bad.root))
    return shrink(trees, changes, judge), trials, trees


def test_two_hunks_in_two_files_out_of_many_are_found_within_fifteen_runs():
    before = {b"f%d.py" % i: LINES for i in range(10)}
    after = {}
    for i in range(10):
        text = LINES
        for at in (5, 20, 35, 50):
            text = text.replace(b"line %d\n" % at, b"changed %d in %d\n" % (at, i))
        after[b"f%d.py" % i] = text
    result, trials, _ = shrunk(
        before,
        after,
        lambda read: b"changed 20 in 3" in read(b"f3.py") and b"changed 50 in 7" in read(b"f7.py"),
    )
    assert [(c.change.path, [h.old_start for h in c.hunks]) for c in result.culprits] == [
        (b"f3.py", [21]), (b"f7.py", [51]),
    ]  # fmt: skip
    assert result.trials == len(trials) <= 15
    assert result.patch.count(b"\n@@") == 2
    assert b"+changed 20 in 3\n" in result.patch


def test_a_single_part_needs_no_run():
    result, trials, _ = shrunk({b"a": b"1\n"}, {b"a": b"2\n"}, lambda _: True)
    assert (len(trials), result.trials) == (0, 0)
    assert [(h.old_start, h.new) for h in result.culprits[0].hunks] == [(1, (b"2\n",))]


def test_added_deleted_and_retyped_paths_are_parts():
    before = {b"keep": b"1", b"gone": b"x", b"kind": b"file", b"z": b"1"}
    after = {b"keep": b"2", b"new": {b"deep": b"n"}, b"kind": {b"in": b"side"}, b"z": b"1"}
    result, _, _ = shrunk(before, after, lambda read: read(b"gone") is None and read(b"kind/in") is not None)
    assert [c.change.path for c in result.culprits] == [b"gone", b"kind", b"kind/in"]


def test_a_real_command_shrinks_to_its_line(tmp_path):
    before = {b"a.py": b"import b\nx = 1\n" + LINES.replace(b"line", b"# line"), b"b.py": b"y = 1\n"}
    after = {
        b"a.py": before[b"a.py"].replace(b"x = 1", b"x = 2").replace(b"# line 40\n", b"assert b.y == x, 7\n"),
        b"b.py": b"y = 1  # same\n",
        b"c.txt": b"new\n",
    }
    objects, (good, bad) = line_of(before, after)
    overlay = OverlayStore(objects)
    with ProbeArea(overlay, base=str(tmp_path)) as area:
        runner = CommandProbe(area, Command("python3 a.py", 20, {"PATH": os.environ["PATH"]}))
        judge = Judge(2)
        judge.settle(1, runner(Target(bad.root), threading.Event()))
        trees = PartialTrees(overlay, good.root)
        result = shrink(trees, list(diff_trees(objects, good.root, bad.root)), TreeJudge(runner, judge))
    assert [(c.change.path, [h.new for h in c.hunks]) for c in result.culprits] == [
        (b"a.py", [(b"x = 2\n",), (b"assert b.y == x, 7\n",)])
    ]


class NoisyRunner:
    """Fails where ``state`` is bad, but every verdict is wrong with its side's rate."""

    def __init__(self, objects, rates, seed):
        self.objects = objects
        self.rates = rates
        self.random = random.Random(seed)
        self.runs = 0

    def __call__(self, target, stop):
        del stop
        self.runs += 1
        entry = find(self.objects, target.root, b"state")
        fails = self.random.random() < self.rates[self.objects.get(entry.blob_id) == b"bad"]
        return Observation(B, Signature(1)) if fails else Observation(G)

    def cancel(self, stop):
        stop.set()

    def cancel_all(self):
        pass


def noisily_shrunk(rates, seed, taken_for=None):
    """The paths that are blamed where one of four changed files matters, and what was run."""
    before = {b"state": b"good"} | {b"f%d" % i: b"1" for i in range(3)}
    objects, (good, bad) = line_of(before, {b"state": b"bad"} | {b"f%d" % i: b"2" for i in range(3)})
    overlay = OverlayStore(objects)
    judge = Judge(2)
    judge.reference.append(Signature(1))
    runner = NoisyRunner(overlay, rates, seed)
    is_bad = TreeJudge(runner, judge, rates=taken_for or rates)
    found = shrink(PartialTrees(overlay, good.root), list(diff_trees(objects, good.root, bad.root)), is_bad)
    assert is_bad.runs == runner.runs >= (found.trials if found is not None else 2)
    return [c.change.path for c in found.culprits] if found is not None else None, is_bad.runs


@pytest.mark.parametrize(("rates", "right"), [((0.2, 0.8), 96), ((0.0, 0.5), 96), ((0.0, 1.0), 100)])
def test_a_flaky_command_shrinks_to_what_matters(rates, right):
    found = [noisily_shrunk(rates, seed) for seed in range(100)]
    assert sum(paths == [b"state"] for paths, _ in found) >= right
    if rates == (0.0, 1.0):
        assert max(runs for _, runs in found) <= 4


def test_a_command_that_looked_steady_blames_nothing_innocent():
    """One verdict in ten is wrong, and nobody noticed: the last trial does."""
    found = [noisily_shrunk((0.1, 0.9), seed, (0.0, 1.0))[0] for seed in range(100)]
    assert sum(paths is not None and b"state" not in paths for paths in found) <= 4
    assert sum(paths is None for paths in found) <= 40


def test_a_trial_that_cannot_be_judged_is_only_not_it():
    def half_changed(read):
        return read(b"a") == b"2" and read(b"b") == b"2"

    before, after = {b"a": b"1", b"b": b"1", b"c": b"1"}, {b"a": b"2", b"b": b"2", b"c": b"2"}
    objects, (good, bad) = line_of(before, after)
    overlay = OverlayStore(objects)

    class Runner(NoisyRunner):
        def __call__(self, target, stop):
            def read(path):
                return overlay.get(find(overlay, target.root, path).blob_id)

            if half_changed(read):
                return Observation(B, Signature(1))
            return Observation(
                G if read(b"a") == b"1" else None, detail="the command cannot judge (exit 127)"
            )

    judge = Judge(2)
    judge.reference.append(Signature(1))
    is_bad = TreeJudge(Runner(overlay, (0, 1), 0), judge)
    found = shrink(PartialTrees(overlay, good.root), list(diff_trees(objects, good.root, bad.root)), is_bad)
    assert [c.change.path for c in found.culprits] == [b"a", b"b"]
