"""How often a flaky search is right, and what it costs: simulated, fixed seed, no I/O.

Beside it: git's way (plain halving on trust) and plain repetition (any failure of eight
runs is bad). ``python benchmarks/bisect_flaky.py [trials]``
"""

from __future__ import annotations

import random
import sys
from collections import Counter

from casreplay.history.bisect import Bisector
from casreplay.history.bisect_model import Outcome, SearchOptions, Status, Verdict

SEED = 20261120
CASES = [
    (4096, 0.0, 1.0), (161, 0.0, 0.5), (4096, 0.0, 0.5), (1024, 0.1, 0.9), (4096, 0.1, 0.9), (161, 0.2, 0.8),
    (161, 0.3, 0.7), (161, 0.4, 0.6), (161, 0.02, 0.3), (161, 0.0, 0.2),
]  # fmt: skip
KNOWN = (161, 0.0, 0.2)
"""Also searched with both rates told."""
FLAT = [0.1, 0.3, 0.5]


def coin(rng, boundary, good_rate, bad_rate):
    def run(position):
        failing = rng.random() < (bad_rate if position >= boundary else good_rate)
        return Verdict.BAD if failing else Verdict.GOOD

    return run


def ours(size, run, options):
    search = Bisector(size, options)
    runs = 0
    while not isinstance(step := search.next_step(), Outcome):
        for position in step.positions:
            search.mark(position, run(position))
            runs += 1
    return step, runs


def halving(size, run, repeats):
    """git's way with ``repeats`` runs a snapshot, any failure counting: ends on trust."""
    low, high, runs = 0, size - 1, 0
    while high - low > 1:
        middle = (low + high) // 2
        verdict = Verdict.GOOD
        for _ in range(repeats):
            runs += 1
            if run(middle) is Verdict.BAD:
                verdict = Verdict.BAD
                break
        low, high = (low, middle) if verdict is Verdict.BAD else (middle, high)
    return high, runs


def told(size, good_rate, bad_rate, trials) -> None:
    rng = random.Random(SEED)
    total, kinds = 0, Counter()
    for _ in range(trials):
        boundary = rng.randrange(1, size)
        options = SearchOptions(rates=(good_rate, bad_rate))
        outcome, runs = ours(size, coin(rng, boundary, good_rate, bad_rate), options)
        total += runs
        hit = outcome.status is Status.FOUND and outcome.first_bad == boundary
        kinds["right" if hit else outcome.status.value] += 1
    shown = ", ".join(f"{k} {v}" for k, v in kinds.most_common())
    print(
        f"{size:>5} {good_rate:>5} {bad_rate:>5}, rates told: {shown}; {total / trials:.1f} runs", flush=True
    )


def main(trials: int) -> None:
    print(f"{trials} trials each; seed {SEED}")
    print(f"{'n':>5} {'good':>5} {'bad':>5} | {'right':>6} {'runs':>6} | outcomes | any-of-8 | plain halving")
    for size, good_rate, bad_rate in CASES:
        rng = random.Random(SEED)
        total, right, kinds = 0, 0, Counter()
        plain = [0, 0]
        eight = [0, 0]
        for _ in range(trials):
            boundary = rng.randrange(1, size)
            run = coin(rng, boundary, good_rate, bad_rate)
            outcome, runs = ours(size, run, SearchOptions())
            total += runs
            hit = outcome.status is Status.FOUND and outcome.first_bad == boundary
            right += hit
            kinds["right" if hit else outcome.status.value] += 1
            plain[0] += halving(size, run, 1)[0] == boundary
            found, cost = halving(size, run, 8)
            eight[0] += found == boundary
            eight[1] += cost
        shown = ", ".join(f"{k} {v}" for k, v in kinds.most_common())
        print(
            f"{size:>5} {good_rate:>5} {bad_rate:>5} | {right / trials:>6.3f} {total / trials:>6.1f}"
            f" | {shown}"
            f" | {eight[0] / trials:.2f} at {eight[1] / trials:.1f} | {plain[0] / trials:.2f}",
            flush=True,
        )
    told(*KNOWN, trials)
    for rate in FLAT:
        rng = random.Random(SEED)
        kinds = Counter()
        total = 0
        for _ in range(trials):
            outcome, runs = ours(161, coin(rng, 1, rate, rate), SearchOptions())
            kinds[outcome.status.value] += 1
            total += runs
        shown = ", ".join(f"{k} {v}" for k, v in kinds.most_common())
        print(
            f"no change at all, every run fails with {rate}: {shown}; {total / trials:.1f} runs", flush=True
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
