"""The figures of bisect on a real history of 5,200 snapshots of 2,024 files, beside ``git bisect run``.

``python benchmarks/bisect_figures.py DIR [PART]...``; DIR keeps the history between runs (see
``bisect_history``), PARTs are functions of this file (see ``PARTS``), all of them when none is named. Every
answer is checked against what was planted; a wrong one ends the script with an error.
"""

from __future__ import annotations

import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import bisect_history as planted

from casreplay.codec.hashing import blob_id
from casreplay.history import predicates
from casreplay.history.bisect_command import bisect_command
from casreplay.history.bisect_model import SearchOptions, Verdict
from casreplay.history.bisect_session import BisectRequest, bisect_content
from casreplay.history.overlay import OverlayStore
from casreplay.history.probes import PREFIX, Command, CommandProbe, ProbeArea, Target
from casreplay.history.repository import Repository
from casreplay.history.treeedit import TreeEditor
from casreplay.model.objects import EntryKind, EntryState, TreeEntry

FLAKE = "[ $(od -An -N1 -tu1 /dev/urandom) -lt 51 ]"
STEP_COMMAND = "sleep 0.03"
STEPS = 10
ROUNDS = 40
CORE = "grep -q value=ok app/core.txt"


def left_over() -> list[str]:
    return [name for name in os.listdir(tempfile.gettempdir()) if name.startswith(f"{PREFIX}{os.getpid()}")]


class Bench:
    def __init__(self, folder: Path) -> None:
        self.git, store = planted.make(folder)
        self.repository = Repository.open(store, folder / "workspace")
        line = list(self.repository.snapshots())[::-1]
        self.request = BisectRequest(line[0], line[-1], use_cache=False)
        self.wrong = 0

    def command(self, title: str, line: str, wanted: int, **changes: object):
        command = Command(line, 20, {"PATH": os.environ["PATH"]})
        started = time.perf_counter()
        report = bisect_command(self.repository.store, replace(self.request, **changes), command)
        elapsed = time.perf_counter() - started
        found = report.first_bad.sequence - 1 if report.first_bad else None
        good = report.status.value == "found" and found == wanted and not left_over()
        self.say(
            title, good, f"{report.effort.runs} + {report.effort.shrink_runs} runs, {elapsed:.1f} s", report
        )
        return report

    def say(self, title: str, good: bool, figures: str, report=None) -> None:
        self.wrong += not good
        posterior = f", posterior {report.posterior:.3f}" if report is not None and report.posterior else ""
        print(f"{'ok   ' if good else 'WRONG'} {title}: {figures}{posterior}", flush=True)


def deterministic(bench: Bench) -> None:
    report = bench.command("deterministic", CORE, planted.BOUNDARY)
    limit = math.ceil(math.log2(report.classes)) + 2 + 6
    bench.say(
        "  runs within ceil(log2 classes) + 2 + 2K",
        report.effort.runs <= limit,
        f"{report.effort.runs} <= {limit}",
    )
    names = [c.change.path for c in report.shrunk.culprits]
    bench.say("  shrunk to the one file", names == [b"app/core.txt"], str(names))
    started = time.perf_counter()
    start = f"git bisect start main {bench.request.good.extra['git.commit']}"
    script = f"{start} && git bisect run sh -c '{CORE}'; git bisect reset"
    said = subprocess.run(["sh", "-c", script], cwd=bench.git, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - started
    commit = next((s.split()[0] for s in said.stdout.splitlines() if "is the first bad commit" in s), "")
    same = commit == report.first_bad.extra["git.commit"]
    bench.say("  git bisect run names the same commit", same, f"{elapsed:.1f} s")


def flaky(bench: Bench) -> None:
    line = f"if {FLAKE}; then ! {CORE}; else {CORE}; fi"
    bench.command("flaky: one verdict in five is wrong", line, planted.BOUNDARY)
    known = SearchOptions(rates=(0.2, 0.8))
    bench.command("the same, rates known", line, planted.BOUNDARY, options=known)


def block(bench: Bench) -> None:
    line = f"grep -q broken build.txt && exit 125; {CORE}"
    command = Command(line, 20, {"PATH": os.environ["PATH"]})
    report = bisect_command(bench.repository.store, bench.request, command)
    low, high = planted.BLOCK
    span = (report.last_good.sequence - 1, report.first_bad.sequence - 1)
    good = (
        report.status.value == "interval"
        and span[0] < planted.BOUNDARY <= span[1]
        and span[1] - span[0] <= high - low + 12
    )
    bench.say(
        "untestable block around the boundary",
        good,
        f"first bad in {span}, {report.effort.runs} runs",
        report,
    )


def windows(bench: Bench) -> None:
    started = time.perf_counter()
    report = bisect_content(
        bench.repository.store,
        bench.request,
        predicates.grep(lambda content: content == b"on\n", "on", "flag.txt"),
    )
    elapsed = time.perf_counter() - started
    found = [flip.first.sequence - 1 for flip in report.flips]
    rate = report.effort.pairs / elapsed
    bench.say(
        "two windows, built in",
        found == [1200, 1700, 4100],
        f"{rate / 1e6:.1f} million pairs a second",
        report,
    )
    bench.say(
        "  at least one million pairs a second", rate >= 1e6, f"{report.effort.pairs:,} in {elapsed:.2f} s"
    )
    report = bench.command(
        "two windows, a command, --all for 60 s",
        "grep -q off flag.txt",
        4100,
        find_all=True,
        budget_s=60.0,
        minimize=False,
        options=SearchOptions(confirm=0),
    )
    found = [f.first.sequence - 1 for f in report.flips]
    print(f"      flips at {found}; others would last <= {report.largest_gap}")


def pair(bench: Bench) -> None:
    line = "! { grep -q 'line 6 is new' pair/p04.txt && grep -q 'line 22 is new' pair/p13.txt; }"
    report = bench.command("a change that needs two files together", line, planted.PAIR)
    found = [(c.change.path, [h.old_start for h in c.hunks]) for c in report.shrunk.culprits]
    good = found == [(b"pair/p04.txt", [7]), (b"pair/p13.txt", [23])] and report.effort.shrink_runs <= 15
    bench.say(
        "  shrunk from forty hunks and more within 15 runs",
        good,
        f"{report.effort.shrink_runs} runs: {found}",
    )


def agree(bench: Bench) -> None:
    wrong = 0
    rng = random.Random(planted.SEED)
    line = list(bench.repository.snapshots())[::-1]
    for _ in range(5):
        low, high = sorted(rng.sample(range(planted.BOUNDARY), 2))
        request = replace(bench.request, good=line[low], bad=line[high])
        report = bisect_command(
            bench.repository.store, request, Command(CORE, 20, {"PATH": os.environ["PATH"]})
        )
        wrong += report.status.value != "endpoints_agree"
    bench.say("both ends good, five ranges: nobody is blamed", wrong == 0, f"{wrong} wrong culprits")


def step(bench: Bench) -> None:
    """What a probe costs beyond the command, on 5,000 files of which one differs from probe to probe.

    Rounds of probes in a row and rounds of the bare command in a row take turns, in changing order, so
    that whatever else the machine does meets both alike. Each pair of rounds gives one difference
    a step; the median of them is the figure. Within a round a used folder is put in order while the
    next probe runs, as in a search; between rounds nothing is left to do.
    """
    overlay = OverlayStore(bench.repository.store)
    editor = TreeEditor(overlay, lambda tree_id, raw, _: overlay.put_tree(tree_id, raw))

    def entry(name: bytes, content: bytes) -> TreeEntry:
        blob = blob_id(content)
        overlay.put_blob(blob, content)
        return TreeEntry(name, EntryKind.FILE, EntryState.COMPLETE, 0o644, len(content), 0, blob)

    names = [(b"d%03d/f%02d" % (d, f), b"f%02d" % f) for d in range(200) for f in range(25)]
    files = {path: entry(name, path) for path, name in names}
    first, _ = editor.edit(None, files)
    roots = [editor.edit(first, {b"d007/f09": entry(b"f09", b"version %d" % i)})[0] for i in range(7)]
    command = ["/bin/sh", "-c", STEP_COMMAND]
    with ProbeArea(overlay) as area:
        probe = CommandProbe(area, Command(STEP_COMMAND, None, {"PATH": os.environ["PATH"]}))

        def probes() -> None:
            for i in range(STEPS):
                seen = probe(Target(roots[i % len(roots)]), threading.Event())
                assert seen.verdict is Verdict.GOOD

        def bare() -> None:
            for _ in range(STEPS):
                with tempfile.TemporaryFile() as output:
                    subprocess.run(
                        command, check=True, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                    )

        rounds = {probes: [], bare: []}
        for i in range(ROUNDS + 1):
            for kind in (probes, bare) if i % 2 else (bare, probes):
                started = time.perf_counter()
                kind()
                rounds[kind].append((time.perf_counter() - started) * 1000 / STEPS)
                area.settle()
    extra = [p - b for p, b in zip(rounds[probes][1:], rounds[bare][1:], strict=True)]  # the first warms up
    low, middle, high = statistics.quantiles(extra, n=4)
    figures = f"{middle:.1f} ms (median of {ROUNDS} x {STEPS}; quartiles {low:.1f} and {high:.1f})"
    bench.say("overhead of a step on 5,000 files below 10 ms", middle < 10, figures)


PARTS = (deterministic, flaky, block, windows, pair, agree, step)


def main(folder: Path, wanted: list[str]) -> int:
    bench = Bench(folder)
    for part in PARTS:
        if not wanted or part.__name__ in wanted:
            part(bench)
    print("left over:", left_over() or "nothing")
    bench.repository.close()
    return bench.wrong


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
