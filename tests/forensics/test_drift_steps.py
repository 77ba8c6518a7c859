"""Steps are counted once, kept in a store's cache, and never believed when the cache is damaged."""

from __future__ import annotations

import itertools
import random

import pytest
from support.list_log import snapshot
from support.tree_builder import DictObjects, build

from casreplay.forensics import drift_steps
from casreplay.forensics.drift import measure
from casreplay.forensics.drift_metrics import DEFAULT_METRICS, MetricTools, make_metric
from casreplay.forensics.drift_steps import KnownSteps
from casreplay.history.diff import diff_trees
from casreplay.history.walk import walk


class Files:
    """Caches in memory."""

    def __init__(self):
        self.kept = {}

    def read_cache(self, name):
        return self.kept.get(name)

    def write_cache(self, name, pieces):
        self.kept[name] = b"".join(pieces)


@pytest.fixture(autouse=True)
def _keep_few(monkeypatch):
    monkeypatch.setattr(drift_steps, "WORTH_KEEPING", 5)


def history(count=40, seed=1):
    rng = random.Random(seed)
    objects, line = DictObjects(), []
    folder = {b"d%d" % d: {b"f%d" % f: b"" for f in range(3)} for d in range(4)}
    for i in range(count):
        inner = dict(folder[b"d%d" % rng.randrange(4)])
        inner[b"f%d" % rng.randrange(5)] = b"x" * rng.randrange(3)
        if rng.random() < 0.3:
            inner.pop(rng.choice(sorted(inner)))
        folder = {**folder, b"d%d" % rng.randrange(4): inner}
        root, content, _ = build(objects, folder)
        line.append(snapshot(i, root=root, tree=content))
    build(objects, {})
    return objects, line


def numbers(objects, line, tools):
    found = measure(line, [make_metric(name, objects, tools) for name in ("churn", "deletions", "empty")])
    return [one.values for one in found]


def by_hand(objects, line):
    """What the entries say."""
    churn, deletions = [], []
    for before, after in itertools.pairwise(line):
        kinds = [change.kind.name for change in diff_trees(objects, before.root, after.root)]
        churn.append(float(len(kinds)))
        deletions.append(float(kinds.count("DELETED")))
    empty = [
        float(sum(entry.tree_id is None and not entry.size_bytes for _, entry in walk(objects, one.root)))
        for one in line
    ]
    return [tuple(churn), tuple(deletions), tuple(empty)]


@pytest.mark.parametrize("seed", range(4))
def test_the_numbers_are_those_of_the_entries(seed):
    objects, line = history(seed=seed)
    assert numbers(objects, line, MetricTools(lambda _: len)) == by_hand(objects, line)
    some = line[3:30:4]
    assert numbers(objects, some, MetricTools(lambda _: len)) == by_hand(objects, some)


def test_a_second_run_reads_no_tree_and_a_longer_history_only_what_is_new():
    objects, line = history()
    files = Files()

    def run(part):
        objects.read.clear()
        found = numbers(objects, part, MetricTools(lambda _: len, steps=KnownSteps(files)))
        read = len(objects.read)
        assert found == by_hand(objects, part)
        return read

    first = run(line[:30])
    assert first > 30
    assert run(line[:30]) == 0
    assert 0 < run(line) < first
    assert run(line) == 0
    assert run(line[10:]) > 0  # the empty files of its first are counted by walking that tree


def test_without_being_prepared_the_numbers_are_the_same():
    objects, line = history()
    tools = MetricTools(lambda _: len)
    for name, expected in zip(("churn", "deletions", "empty"), by_hand(objects, line), strict=True):
        metric = make_metric(name, objects, tools)
        values = [metric.value(b, a) for a, b in zip([None, *line], line, strict=False)]
        assert tuple(v for v in values if v is not None) == expected
        metric.prepare(line, drift_steps.SILENT)
        backwards = [metric.value(one, None) for one in line[::-1]]
        assert backwards == ([None] * len(line) if name != "empty" else list(expected[::-1]))


@pytest.mark.parametrize("place", [0, 20, 60, -1])
def test_a_damaged_cache_is_counted_again(place):
    objects, line = history()
    files = Files()
    whole = numbers(objects, line, MetricTools(lambda _: len, steps=KnownSteps(files)))
    (name,) = files.kept
    broken = bytearray(files.kept[name])
    broken[place] ^= 1
    for data in (bytes(broken), files.kept[name][:-7], b"", b"something else"):
        files.kept[name] = data
        assert numbers(objects, line, MetricTools(lambda _: len, steps=KnownSteps(files))) == whole


def test_the_cache_stays_small(monkeypatch):
    monkeypatch.setattr(drift_steps, "MAX_ROWS", 50)
    files = Files()
    for seed in range(6):
        objects, line = history(seed=seed)
        numbers(objects, line, MetricTools(lambda _: len, steps=KnownSteps(files)))
        assert len(files.kept["drift"]) < 60 * 44
    objects.read.clear()
    numbers(objects, line, MetricTools(lambda _: len, steps=KnownSteps(files)))
    assert objects.read == []


def test_a_short_history_leaves_no_file():
    objects, line = history(3)
    files = Files()
    tools = MetricTools(lambda _: len, steps=KnownSteps(files))
    measure(line, [make_metric(name, objects, tools) for name in DEFAULT_METRICS])
    assert files.kept == {}
    assert measure([], [make_metric("churn", objects, tools)])[0].values == ()
