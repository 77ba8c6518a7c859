"""The fault benchmark holds: real programs, real failures."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import pytest

from casreplay.forensics.classify import classify
from casreplay.forensics.signals import load_rules
from casreplay.model.causes import CATEGORIES

ROOT = Path(__file__).parents[2]
NEEDED = ("node", "sqlite3", "bash", "awk")


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))

    def load(name):
        return importlib.import_module(f"benchmarks.faults.{name}")

    yield load
    for name in [name for name in sys.modules if name.startswith("benchmarks")]:
        del sys.modules[name]


def test_every_category_has_at_least_twelve_faults_in_programs_of_two_halves(benchmark):
    halves = [benchmark("programs_open").PROGRAMS, benchmark("programs_held").PROGRAMS]
    labels = [fault.label for half in halves for program in half for fault in program.faults]
    assert {name: labels.count(name) >= 12 for name in CATEGORIES} == dict.fromkeys(CATEGORIES, True)
    assert not {program.name for program in halves[0]} & {program.name for program in halves[1]}


def test_one_program_fails_for_real_and_is_understood(benchmark):
    program = next(p for p in benchmark("programs_open").PROGRAMS if p.name == "orders")
    run = benchmark("harness").run_fault
    for name, label in (("trailing-comma", "config_error"), ("off-by-one", "logic_error")):
        fault = next(fault for fault in program.faults if fault.name == name)
        case, output = run(program, fault)
        assert output
        assert classify(case, load_rules()).category == label


@pytest.mark.slow
@pytest.mark.skipif(
    any(not shutil.which(name) for name in NEEDED), reason="needs node, sqlite3, bash and awk"
)
@pytest.mark.parametrize("half", ["open", "held"])
def test_the_figures_hold(benchmark, half):
    run = benchmark("run")
    rows = run.collect(benchmark(f"programs_{half}").PROGRAMS)
    figures = run.figures(run.judge(rows, load_rules(), with_changes=True))
    assert figures["macro_f1"] >= 0.90
    assert figures["abstention"] <= 0.08
    assert figures["top2"] >= 0.97
