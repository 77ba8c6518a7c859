from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.history.bisect import Bisector
from casreplay.history.bisect_bayes import SideModel, Tally, posterior
from casreplay.history.bisect_flips import FlipFinder
from casreplay.history.bisect_model import Outcome, Probe, SearchOptions, Status, Verdict

G, B, S = Verdict.GOOD, Verdict.BAD, Verdict.SKIP


def run(searcher, verdict_at, width=1, limit=2000):
    runs, rounds = 0, 0
    while True:
        step = searcher.next_step(width)
        if isinstance(step, Outcome):
            return step, runs, rounds
        assert isinstance(step, Probe)
        assert 1 <= len(step.positions) <= max(width, 1)
        assert len(set(step.positions)) == len(step.positions)
        rounds += 1
        for position in step.positions:
            searcher.mark(position, verdict_at(position))
            runs += 1
        assert runs < limit


def monotone(boundary):
    return lambda p: B if p >= boundary else G


@pytest.mark.parametrize("size", [2, 3, 4, 17, 100, 161, 4096])
@pytest.mark.parametrize("confirm", [0, 3])
def test_a_monotone_history_costs_log2_plus_two_plus_the_confirmations(size, confirm):
    for boundary in {1, 2, size // 3, size // 2, size - 1} - {0}:
        if boundary >= size:
            continue
        search = Bisector(size, SearchOptions(confirm=confirm))
        outcome, runs, _ = run(search, monotone(boundary))
        assert (outcome.status, outcome.first_bad) == (Status.FOUND, boundary)
        assert outcome.last_good == boundary - 1
        assert runs <= math.ceil(math.log2(size)) + 2 + 2 * confirm


@pytest.mark.parametrize(("workers", "rounds"), [(1, 12), (3, 6), (7, 4)])
def test_workers_cut_the_rounds_to_the_logarithm_of_their_number(workers, rounds):
    for boundary in (1, 77, 2048, 4095):
        search = Bisector(4096, SearchOptions(confirm=0))
        outcome, _, used = run(search, monotone(boundary), width=workers)
        assert outcome.first_bad == boundary
        assert used <= rounds + (2 if workers == 1 else 1)


@given(st.lists(st.sampled_from([G, B]), min_size=0, max_size=60), st.integers(1, 5))
def test_differing_ends_always_give_a_genuine_neighbouring_flip(middle, width):
    history = [G, *middle, B]
    outcome, runs, _ = run(Bisector(len(history), SearchOptions(confirm=1)), history.__getitem__, width)
    assert outcome.status is Status.FOUND
    assert outcome.first_bad == outcome.last_good + 1
    assert (history[outcome.last_good], history[outcome.first_bad]) == (G, B)
    if width == 1:
        assert runs <= math.ceil(math.log2(len(history))) + 4


@given(st.data())
def test_skips_leave_exactly_the_interval_that_no_test_can_narrow(data):
    size = data.draw(st.integers(2, 60))
    boundary = data.draw(st.integers(1, size - 1))
    dead = data.draw(st.sets(st.integers(1, max(1, size - 2)), max_size=size)) - {0, size - 1}
    history = [S if p in dead else monotone(boundary)(p) for p in range(size)]
    search = Bisector(size, SearchOptions(confirm=1, max_skips=size))
    outcome, _, _ = run(search, history.__getitem__, data.draw(st.integers(1, 3)))
    low = max(p for p in range(size) if history[p] is G)
    high = min(p for p in range(size) if history[p] is B)
    assert (outcome.last_good, outcome.first_bad) == (low, high)
    assert outcome.status is (Status.FOUND if high == low + 1 else Status.INTERVAL)
    assert outcome.candidates == (low + 1, high)
    assert outcome.untested == 0


def test_a_long_untestable_block_is_not_tried_to_the_last_snapshot():
    history = [S if 400 <= p < 800 else monotone(600)(p) for p in range(1000)]
    outcome, runs, _ = run(Bisector(1000, SearchOptions(confirm=0, max_skips=20)), history.__getitem__)
    assert outcome.status is Status.INTERVAL
    assert outcome.last_good < 600 <= outcome.first_bad
    assert outcome.first_bad - outcome.last_good <= 440
    assert outcome.untested > 300
    assert runs <= 40


@pytest.mark.parametrize("verdict", [G, B])
@pytest.mark.parametrize("confirm", [0, 3])
def test_agreeing_ends_name_no_culprit(verdict, confirm):
    outcome, runs, _ = run(Bisector(500, SearchOptions(confirm=confirm)), lambda _: verdict)
    assert outcome.status is Status.ENDPOINTS_AGREE
    assert outcome.first_bad is None
    assert verdict.value in outcome.reason
    assert runs == 2 + 2 * confirm


def test_swapped_ends_and_untestable_ends_are_said():
    swapped, _, _ = run(Bisector(9), lambda p: G if p else B)
    assert swapped.status is Status.ABORTED
    assert "good end is bad" in swapped.reason
    dead, _, _ = run(Bisector(9), lambda p: S if p else G)
    assert dead.status is Status.ABORTED
    assert "bad end cannot be tested" in dead.reason


def test_one_class_means_the_ends_have_the_same_content():
    assert Bisector(1).next_step().status is Status.ENDPOINTS_AGREE


def flaky(rng, boundary, good_rate, bad_rate):
    return lambda p: B if rng.random() < (bad_rate if p >= boundary else good_rate) else G


@pytest.mark.slow
def test_half_flaky_on_161_snapshots_is_right_19_of_20_within_60_runs():
    rng = random.Random(1)
    right = total = 0
    for _ in range(300):
        boundary = rng.randrange(1, 161)
        outcome, runs, _ = run(Bisector(161), flaky(rng, boundary, 0.0, 0.5))
        right += outcome.status is Status.FOUND and outcome.first_bad == boundary
        total += runs
    assert right >= 0.95 * 300
    assert total / 300 <= 60


def test_half_flaky_small_sample():
    rng = random.Random(4)
    right = total = 0
    for _ in range(15):
        boundary = rng.randrange(1, 161)
        outcome, runs, _ = run(Bisector(161), flaky(rng, boundary, 0.0, 0.5))
        right += outcome.status is Status.FOUND and outcome.first_bad == boundary
        total += runs
    assert right >= 14
    assert total / 15 <= 60


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_a_flaky_predicate_without_a_change_names_no_culprit(rate):
    rng = random.Random(9)
    wrong = 0
    for _ in range(8):
        outcome, _, _ = run(Bisector(161), lambda _: B if rng.random() < rate else G)
        wrong += outcome.status is Status.FOUND
    assert wrong == 0


def test_known_rates_halve_the_cost():
    rng = random.Random(3)
    cost = {}
    for rates in (None, (0.2, 0.8)):
        runs_of = []
        for _ in range(8):
            boundary = rng.randrange(1, 1024)
            _, runs, _ = run(Bisector(1024, SearchOptions(rates=rates)), flaky(rng, boundary, 0.2, 0.8))
            runs_of.append(runs)
        cost[rates] = sum(runs_of) / 8
    assert cost[0.2, 0.8] < 0.8 * cost[None]


def test_flaky_search_never_probes_a_position_known_to_be_untestable_twice():
    rng = random.Random(7)
    seen = []

    def verdict(p):
        seen.append(p)
        return S if 70 <= p <= 80 else flaky(rng, 75, 0.0, 0.6)(p)

    outcome, _, _ = run(Bisector(161), verdict)
    skipped = [p for p in seen if 70 <= p <= 80]
    assert len(skipped) == len(set(skipped))
    assert outcome.status in (Status.INTERVAL, Status.NO_CHANGE, Status.FOUND)
    assert outcome.candidates[0] <= 75 <= outcome.candidates[1]


def test_conclude_reports_what_is_known():
    search = Bisector(100)
    assert search.conclude("out of time").status is Status.ABORTED
    for p, v in ((0, G), (99, B), (50, G)):
        search.mark(p, v)
    outcome = search.conclude("out of time")
    assert (outcome.last_good, outcome.first_bad, outcome.status) == (50, 99, Status.INTERVAL)
    assert outcome.untested == 48
    assert outcome.reason == "out of time"


def test_a_probe_outside_the_bracket_is_moot():
    search = Bisector(100)
    assert not search.is_moot(20)
    for p, v in ((0, G), (99, B), (50, B)):
        search.mark(p, v)
    assert search.is_moot(75)
    assert not search.is_moot(25)


def test_a_search_is_a_function_of_its_verdicts():
    history = [G] * 30 + [B] * 31
    one = Bisector(61)
    marks = []
    while isinstance(step := one.next_step(2), Probe):
        again = Bisector(61)
        for mark in marks:
            again.mark(*mark)
        assert again.next_step(2) == step
        for p in step.positions:
            marks.append((p, history[p]))
            one.mark(*marks[-1])


@given(st.lists(st.sampled_from([G, B, S]), min_size=1, max_size=50), st.integers(1, 4))
def test_all_flips_are_exact_when_every_position_may_be_run(history, width):
    outcome, runs, _ = run(FlipFinder(len(history), SearchOptions(confirm=0)), history.__getitem__, width)
    seen = [(p, v) for p, v in enumerate(history) if v is not S]
    truth = [(u, v, p, q) for (p, u), (q, v) in itertools.pairwise(seen) if u is not v]
    assert [(f.before, f.after, f.last, f.first) for f in outcome.flips] == truth
    assert runs == len(history)
    assert outcome.largest_gap == 0


@given(st.lists(st.sampled_from([G, B]), min_size=3, max_size=80), st.integers(3, 30))
def test_flips_found_early_are_real_and_the_rest_fits_the_largest_gap(history, budget):
    finder = FlipFinder(len(history), SearchOptions(confirm=0))
    for _ in range(budget):
        step = finder.next_step()
        if isinstance(step, Outcome):
            break
        for p in step.positions:
            finder.mark(p, history[p])
    outcome = finder.conclude("budget")
    for flip in outcome.flips:
        assert (history[flip.last], history[flip.first]) == (flip.before, flip.after)
    start = 0
    for verdict, stretch in itertools.groupby(history):
        end = start + len(list(stretch))
        if end - start > outcome.largest_gap:
            assert any(p in range(start, end) and v is verdict for p, v in finder.board.decided())
        start = end


def unsteady(history, rates, seed):
    rng = random.Random(seed)
    return lambda p: B if rng.random() < rates[history[p] is B] else G


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_the_search_for_all_flips_blames_nobody_where_nothing_changes(rate):
    history = [G] * 50
    outcomes = [
        run(FlipFinder(50), unsteady(history, (rate, 1 - rate), seed), limit=900)[0] for seed in range(30)
    ]
    assert sum(one.status is Status.FOUND for one in outcomes) <= 1


def test_all_flips_are_found_where_runs_contradict_each_other():
    history = [G] * 20 + [B] * 10 + [G] * 15 + [B] * 15
    found = [run(FlipFinder(60), unsteady(history, (0.1, 0.9), seed), limit=900)[0] for seed in range(30)]
    right = [o for o in found if [(f.last, f.first) for f in o.flips] == [(19, 20), (29, 30), (44, 45)]]
    assert len(right) >= 27
    assert all(one.posterior is None for one in right if one.reason == "")


def test_flips_are_confirmed_before_more_of_them_are_looked_for():
    finder = FlipFinder(100, SearchOptions(confirm=2))
    seen = []
    while not isinstance(step := finder.next_step(), Outcome):
        seen.append(step.why)
        for p in step.positions:
            finder.mark(p, B if p >= 40 else G)
    first_gap = seen.index("gap")
    assert seen[first_gap - 4 : first_gap] == ["confirm"] * 4
    assert "confirm" not in seen[first_gap:]


@pytest.mark.parametrize("finder", [Bisector, FlipFinder])
@pytest.mark.parametrize("options", [SearchOptions(), SearchOptions(rates=(0.2, 0.8))])
def test_a_command_that_cannot_judge_any_more_ends_the_search(finder, options):
    for judged, seed in itertools.product(range(0, 40, 3), range(2)):
        history = [G] * 10 + [B] * 10
        verdict, left = unsteady(history, (0.1, 0.9), seed), itertools.count()
        run(
            finder(20, options),
            lambda p, judged=judged, left=left, verdict=verdict: verdict(p) if next(left) < judged else S,
            limit=600,
        )


def test_rates_that_are_told_are_no_reason_to_deny_a_change():
    history = [G] * 30 + [B] * 30
    options = SearchOptions(rates=(0.46, 0.54), max_runs=60)
    outcomes = [run(Bisector(60, options), unsteady(history, (0.46, 0.54), seed))[0] for seed in range(10)]
    assert not [one for one in outcomes if one.status is Status.NO_CHANGE]


def test_a_rise_is_not_improbable_because_few_runs_did_not_show_it():
    tallies = [Tally(0, 5, 7), Tally(30, 8, 8), Tally(59, 7, 5)]
    state = posterior(60, tallies, SideModel())
    assert 0.5 < state.no_change < state.indistinct(0.1) < 0.95
    many = posterior(60, [Tally(t.position, 300, 300) for t in tallies], SideModel())
    assert many.indistinct(0.1) > 0.98


def test_two_windows_are_both_found_exactly():
    history = [G] * 100 + [B] * 40 + [G] * 200 + [B] * 60
    outcome, _, _ = run(FlipFinder(400, SearchOptions(confirm=0)), history.__getitem__)
    assert [(f.last, f.first) for f in outcome.flips] == [(99, 100), (139, 140), (339, 340)]
    assert outcome.first_bad == 340


kinds = st.one_of(st.sampled_from([G, B, S]), st.floats(0.05, 0.95))


@given(st.lists(kinds, min_size=2, max_size=40), st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 3))
def test_whatever_the_history_the_search_ends_with_an_answer_its_runs_support(history, seed, width, confirm):
    """Numbers are snapshots whose runs fail with that probability."""
    rng = random.Random(seed)
    shown = {p: set() for p in range(len(history))}

    def verdict(p):
        kind = history[p]
        found = kind if isinstance(kind, Verdict) else (B if rng.random() < kind else G)
        shown[p].add(found)
        return found

    options = SearchOptions(confirm=confirm, max_runs=80)
    outcome, _, _ = run(Bisector(len(history), options), verdict, width, limit=400)
    if outcome.status in (Status.FOUND, Status.INTERVAL):
        low, high = outcome.last_good, outcome.first_bad
        assert 0 <= low < high < len(history)
        assert (high == low + 1) == (outcome.status is Status.FOUND) or outcome.reason
        assert outcome.candidates == (low + 1, high)
        assert 0 <= outcome.posterior <= 1 + 1e-9
        if not any({G, B} <= seen for seen in shown.values()):
            assert (shown[low], shown[high]) == ({G}, {B})
    else:
        assert outcome.first_bad is None
        assert outcome.reason


@given(st.integers(2, 60), st.data())
def test_copied_verdicts_save_runs_and_never_carry_the_boundary_alone(size, data):
    boundary = data.draw(st.integers(1, size - 1))
    copied = data.draw(st.sets(st.integers(1, size - 2))) if size > 2 else set()
    search = Bisector(size, SearchOptions(confirm=3))
    for position in (0, size - 1):
        search.mark(position, monotone(boundary)(position))
    for position in copied:
        search.mark(position, monotone(boundary)(position), copied=True)
    outcome, runs, _ = run(search, monotone(boundary))
    assert (outcome.status, outcome.first_bad) == (Status.FOUND, boundary)
    # A side known from elsewhere has had no run of its own before the confirmation.
    assert runs <= math.ceil(math.log2(size)) + 2 * 3 + len({boundary, boundary - 1} & copied)
    assert min(search.board.count(p) for p in (boundary - 1, boundary)) >= 4
    assert search.board.runs == runs + 2


def test_a_run_that_contradicts_a_copied_verdict_starts_the_doubt():
    search = Bisector(40, SearchOptions(confirm=3))
    search.mark(0, G)
    search.mark(39, B)
    for position in range(1, 39):
        search.mark(position, G if position < 10 else B, copied=True)
    outcome, runs, _ = run(search, monotone(20))
    assert (outcome.status, outcome.first_bad) == (Status.FOUND, 20)
    assert runs < 40


def test_copied_verdicts_are_verdicts_to_the_search_for_all_flips():
    history = [G] * 5 + [B] * 4 + [G] * 6 + [B] * 5
    finder = FlipFinder(len(history), SearchOptions(confirm=0))
    for position in range(1, len(history) - 1):
        if position not in (4, 8):
            finder.mark(position, history[position], copied=True)
    outcome, runs, _ = run(finder, lambda p: history[p])
    assert [f.first for f in outcome.flips] == [5, 9, 15]
    # The ends, what was open, and the other side of each flip.
    assert runs == 2 + 2 + 4


@pytest.mark.parametrize(
    ("rates", "wanted"), [(None, 7), ((0.0, 0.2), 14), ((0.1, 0.9), 7), ((0.0, 0.01), 60)]
)
def test_an_end_is_run_as_often_as_its_known_rate_asks_for(rates, wanted):
    outcome, runs, _ = run(Bisector(50, SearchOptions(rates=rates)), lambda _: G)
    assert outcome.status is Status.ENDPOINTS_AGREE
    assert runs == 1 + wanted
    assert f"the bad one in each of {wanted} runs" in outcome.reason


def test_before_nothing_changes_is_said_both_ends_were_looked_at_hard():
    seen = 0
    for seed in range(12):
        rng = random.Random(seed)
        search = Bisector(161, SearchOptions())
        outcome, _, _ = run(search, lambda _, rng=rng: B if rng.random() < 0.3 else G)
        if outcome.status is Status.NO_CHANGE:
            seen += 1
            assert min(search.board.count(p) for p in (0, 160)) >= 12
    assert seen > 6
