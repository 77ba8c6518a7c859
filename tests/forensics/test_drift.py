from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from support.list_log import snapshot
from support.tree_builder import DictObjects, build

from casreplay.errors import UsageError
from casreplay.forensics import drift
from casreplay.forensics.drift import MAX_SAMPLES, measure, sample
from casreplay.forensics.drift_metrics import DEFAULT_METRICS, MetricTools, is_cheap, make_metric
from casreplay.forensics.drift_plot import blocks, number, svg
from casreplay.model.objects import Coverage

TOOLS = MetricTools(
    count=lambda pattern: lambda content: len(re.findall(pattern.encode(), content)),
    covers=None,
    secrets=lambda path, content: content.count(b"SECRET") if path.endswith(b".env") else 0,
    run=lambda line: lambda one: float(one.sequence) if line == "seq" else None,
)
FOLDERS = [
    {b"m.md": b"a\nb\n", b"c.json": b'{"t": 0.2}', b"d": {b"x": b"TODO", b"e": b""}},
    {b"m.md": b"a\nb\nc", b"c.json": b'{"t": "0.5"}', b"d": {b"x": b"TODO TODO", b"e": b"1"}},
    {b"c.json": b"broken", b"d": {b"x": b"TODO", b".env": b"SECRET SECRET"}},
]


def history(folders=FOLDERS):
    objects = DictObjects()
    line = []
    for i, folder in enumerate(folders):
        root, content, size = build(objects, folder)
        line.append(snapshot(i, root=root, tree=content, coverage=Coverage(files=len(folder), bytes=size)))
    return objects, line


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("files", [3.0, 3.0, 2.0]),
        ("bytes", [18.0, 27.0, 23.0]),
        ("churn", [None, 4.0, 5.0]),
        ("deletions", [None, 0.0, 2.0]),
        ("empty", [1.0, 0.0, 0.0]),
        ("size:m.md", [4.0, 5.0, None]),
        ("lines:m.md", [2.0, 3.0, None]),
        ("value:c.json:t", [0.2, 0.5, None]),
        ("count:TODO", [1.0, 2.0, 1.0]),
        ("secrets", [0.0, 0.0, 2.0]),
        ("run:seq", [0.0, 1.0, 2.0]),
        ("run:nothing", [None, None, None]),
    ],
)
def test_metrics(name, values):
    objects, line = history()
    metric = make_metric(name, objects, TOOLS)
    previous = [None, *line]
    assert [metric.value(one, before) for one, before in zip(line, previous, strict=False)] == values


@pytest.mark.parametrize(
    "name", ["", "file", "size:", "lines:", "value:c.json", "count:", "run:", "value::x"]
)
def test_unknown_metrics_are_refused(name):
    with pytest.raises(UsageError):
        make_metric(name, DictObjects(), TOOLS)


def test_a_glob_limits_what_is_counted():
    objects, line = history()
    tools = MetricTools(TOOLS.count, covers=lambda path: path == b"d/x")
    metric = make_metric("count:[A-Z]", objects, tools)
    assert [metric.value(one, None) for one in line] == [4.0, 8.0, 4.0]


def test_each_blob_is_read_once_however_many_snapshots_hold_it():
    objects, line = history(FOLDERS * 10)
    objects.read.clear()
    found = measure(
        line, [make_metric("count:TODO", objects, TOOLS), make_metric("size:m.md", objects, TOOLS)]
    )
    assert len(objects.read) <= 2 * len(set(objects.read))
    assert found[1].missing == 10


def test_turns_name_the_snapshots_on_both_sides():
    folders = [{b"m": b"x" * (10 if i < 40 else 70 if i < 90 else 20)} for i in range(120)]
    objects, line = history(folders)
    (found,) = measure(line, [make_metric("size:m", objects, TOOLS)])
    assert found.shape.kind == "steps"
    assert [(t.last.sequence, t.first.sequence, t.change.shift) for t in found.turns] == [
        (39, 40, 60.0), (89, 90, -50.0),
    ]  # fmt: skip


def test_sampling_by_count_by_time_and_by_default():
    line = [snapshot(i, time_ns=i * 10 * 60 * 10**9) for i in range(20)]
    assert [s.sequence for s in sample(line, "6")] == [1, 7, 13, 19]
    assert [s.sequence for s in sample(line, "1h")] == [5, 11, 17, 19]
    assert sample(line) == line
    assert sample([]) == []
    long = line * (MAX_SAMPLES // 10)
    assert len(sample(long)) == MAX_SAMPLES
    assert sample(long, limit=None) == long
    for wrong in ("x", "0", "5y", "h", "-3"):
        with pytest.raises(UsageError):
            sample(line, wrong)


def test_only_metrics_that_read_contents_or_run_commands_are_thinned():
    assert all(map(is_cheap, (*DEFAULT_METRICS, "folders", "size:a", "lines:a", "value:a:b")))
    assert not any(map(is_cheap, ("count:size", "secrets", "run:files", "nonsense")))


def test_long_series_are_analysed_in_processes_as_in_one(monkeypatch):
    folders = [{b"m": b"x" * (10 if i < 40 else 70), b"n": b"y" * (i % 7)} for i in range(120)]
    objects, line = history(folders)

    def found():
        names = ("size:m", "size:n", "size:gone", "bytes")
        return measure(line, [make_metric(name, objects, TOOLS) for name in names])

    alone = found()
    monkeypatch.setattr(drift, "_WORTH_A_PROCESS", 10)
    monkeypatch.setattr(drift.workers, "count", lambda: 3)
    assert found() == alone
    assert [len(one.values) for one in alone] == [120, 120, 0, 120]


def test_block_pictures_have_the_asked_size_and_mark_turns():
    rows = blocks([0.0] * 50 + [8.0] * 50, [50], width=40, height=4)
    assert len(rows) == 5
    assert rows[0].endswith("|" + " " * 20 + "█" * 20)
    assert rows[-1].index("▲") == rows[0].index("█")
    assert blocks([3.0], [], height=2)
    assert len(blocks([1.0, 2.0], [0], height=3)) == 4


def test_the_svg_is_well_formed_whatever_the_title_and_short_whatever_the_length():
    text = svg([float(i % 7) for i in range(50_000)], [10_000], 'size:a<b>&"c"')
    root = ET.fromstring(text)
    assert root.get("aria-label") == 'size:a<b>&"c"'
    assert len(text) < 40_000
    assert text.count('class="turn"') == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.25, "0.25"), (12.0, "12"), (46_800.0, "46.8k"), (1_234_000.0, "1.23M"), (-3.0, "-3")],
)
def test_numbers_are_short(value, shown):
    assert number(value) == shown
