from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.list_log import snapshot
from support.tree_builder import DictObjects, Executable, Symlink, build

from casreplay.errors import UsageError
from casreplay.history import predicates
from casreplay.history.bisect_fold import PathFold, TreeFold
from casreplay.history.bisect_model import Verdict
from casreplay.history.bisect_values import read_value
from casreplay.history.path_globs import covering, glob_regex
from casreplay.history.predicates import sweep
from casreplay.history.walk import find, walk

G, B, S = Verdict.GOOD, Verdict.BAD, Verdict.SKIP


def history(*folders):
    objects = DictObjects()
    line = []
    for i, folder in enumerate(folders):
        root, content, _ = build(objects, folder, mtime_ns=i)
        line.append(snapshot(i, root=root, tree=content))
    return objects, line


FOLDERS = [
    {b"a": b"one", b"sub": {b"b.py": b"fine", b"note.txt": b"x"}},
    {b"a": b"one", b"sub": {b"b.py": b"has eval( inside", b"note.txt": b"x"}},
    {b"a": b"", b"sub": {b"b.py": b"fine", b"note.txt": b"eval("}},
    {b"sub": {b"b.py": Executable(b"fine")}},
    {b"a": b"one" * 500, b"sub": {b"b.py": b"fine", b"note.txt": b"x"}},
]


def verdicts(predicate, *, invert=False, folders=FOLDERS):
    objects, line = history(*folders)
    return list(sweep(objects, line, predicate, invert=invert).verdicts)


def has(word):
    return lambda content: word in content


def test_grep_with_and_without_a_glob():
    assert verdicts(predicates.grep(has(b"eval("), "eval")) == [G, B, B, G, G]
    assert verdicts(predicates.grep(has(b"eval("), "eval", "*.py")) == [G, B, G, G, G]
    assert verdicts(predicates.grep(has(b"eval("), "eval", "sub/*.txt")) == [G, G, B, G, G]


def test_paths_that_exist_are_missing_are_empty_are_large():
    assert verdicts(predicates.exists(b"a")) == [B, B, B, G, B]
    assert verdicts(predicates.missing(b"a")) == [G, G, G, B, G]
    assert verdicts(predicates.missing(b"a"), invert=True) == [B, B, B, G, B]
    assert verdicts(predicates.empty(b"a")) == [G, G, B, S, G]
    assert verdicts(predicates.empty(b"a"), invert=True) == [B, B, G, S, B]
    assert verdicts(predicates.larger(b"a", 100)) == [G, G, G, G, B]
    assert verdicts(predicates.larger(b"sub", 10)) == [G, B, G, G, G]


def test_changed_compares_content_kind_and_mode_with_the_good_end():
    objects, line = history(*FOLDERS)
    good = find(objects, line[0].root, b"sub/b.py")
    assert list(sweep(objects, line, predicates.changed(b"sub/b.py", good)).verdicts) == [G, B, G, B, G]
    assert list(sweep(objects, line, predicates.changed(b"new", None)).verdicts) == [G] * 5


def test_json_value_over_history():
    folders = [
        {b"c.json": b'{"model": {"temperature": 0.2, "name": "m"}}'},
        {b"c.json": b'{"model": {"temperature": 0.9, "name": "m"}}'},
        {b"c.json": b'{"model": {"temp'},
        {},
    ]
    predicate = predicates.json_value(b"c.json", "model.temperature", "0.9")
    assert verdicts(predicate, folders=folders) == [G, B, G, G]


@pytest.mark.parametrize(
    ("path", "content", "key", "value"),
    [
        (b"a.json", b'{"a": [1, {"b": true}]}', "a.1.b", True),
        (b"a.json", b'{"x.y": 3}', "x\\.y", 3),
        (b"a.toml", b"[tool]\nline = 110\n", "tool.line", 110),
        (b"a.ini", b"[db]\nhost = local%host\n", "db.host", "local%host"),
        (b"d/.env", b"export KEY='v'\n# KEY=w\n", "KEY", "v"),
        (b"a.yaml", b"a:\n  - b: 5\n", "a.0.b", 5),
        (b"a.yaml", b"a: &x [1]\nb: *x\n", "a.0", None),
        (b"a.json", b"[" * 100_000, "0", None),
        (b"a.json", b"{}", "a.b", None),
        (b"a.toml", b"= broken", "a", None),
        (b"a.yaml", b"a: [1", "a", None),
    ],
)
def test_values_of_configuration_files(path, content, key, value):
    assert read_value(path, content, key) == value


@pytest.mark.parametrize(
    ("glob", "hits", "misses"),
    [
        ("*.py", [b"a.py", b"x/y/a.py"], [b"a.pyc", b"a.py/b"]),
        ("src/*.py", [b"src/a.py"], [b"src/x/a.py", b"a.py"]),
        ("src/**/*.py", [b"src/a.py", b"src/x/y/a.py"], [b"lib/a.py"]),
        ("**/t?[0-9].md", [b"ta1.md", b"x/tb2.md"], [b"tab1.md", b"tax.md"]),
        ("[!a]*", [b"b", b"x/cc"], [b"a"]),
        ("a+b.txt", [b"a+b.txt"], [b"aab.txt"]),
    ],
)
def test_globs(glob, hits, misses):
    import re

    compiled = re.compile(glob_regex(glob))
    assert all(compiled.fullmatch(path) for path in hits)
    assert not any(compiled.fullmatch(path) for path in misses)


@pytest.mark.parametrize("glob", ["[z-a]", "[]", "a/[!]"])
def test_a_set_that_means_nothing_is_refused(glob):
    with pytest.raises(UsageError):
        covering(glob)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("glob", "hit"), [("[[]x", b"[x"), ("[a&&b]", b"&"), ("[a||b]", b"|"), ("[", b"[")])
def test_brackets_and_doubled_signs_stand_for_themselves(glob, hit):
    assert covering(glob)(hit)


def test_sizes_are_read_with_units_and_nonsense_is_refused():
    assert [predicates.parse_size(t) for t in ("7", "64K", "2 MiB", "1gb", "9B")] == [
        7, 65536, 2 << 20, 1 << 30, 9,
    ]  # fmt: skip
    with pytest.raises(UsageError):
        predicates.parse_size("lots")


def test_every_distinct_blob_is_read_once_and_equal_folders_never_again():
    objects, line = history(*(FOLDERS * 20))
    objects.read.clear()
    result = sweep(objects, line, predicates.grep(has(b"eval("), "eval"))
    assert len(objects.read) == len(set(objects.read))
    assert result.blobs == 7
    # per snapshot: a, sub and what is in it
    assert result.pairs == 20 * (4 + 4 + 4 + 2 + 4)


def test_a_blob_too_large_to_search_is_counted_not_read(monkeypatch):
    monkeypatch.setattr(predicates, "MAX_SCAN_BYTES", 10)
    objects, line = history({b"big": b"eval(" * 10})
    result = sweep(objects, line, predicates.grep(has(b"eval("), "eval"))
    assert (result.verdicts, result.unexamined) == ((G,), 1)


def test_symlinks_are_not_searched():
    assert verdicts(predicates.grep(has(b"eval("), "e"), folders=[{b"l": Symlink(b"eval(")}]) == [G]


names = st.sampled_from([b"a", b"b", b"c", b"d"])
trees = st.recursive(
    st.binary(max_size=3),
    lambda children: st.dictionaries(names, children, max_size=4),
    max_leaves=12,
).map(lambda value: value if isinstance(value, dict) else {b"a": value})


@given(st.lists(trees, min_size=1, max_size=6))
def test_the_sweep_agrees_with_judging_every_file_of_every_snapshot(folders):
    objects, line = history(*folders)
    for predicate, holds in (
        (predicates.grep(has(b"\1"), "x"), lambda path, data: b"\1" in data),
        (predicates.grep(has(b"\1"), "x", "a/*"), lambda path, data: b"\1" in data and path[:2] == b"a/"
         and path.count(b"/") == 1),
    ):  # fmt: skip
        truth = []
        for one in line:
            files = [(p, objects.get(e.blob_id)) for p, e in walk(objects, one.root) if e.blob_id]
            truth.append(B if any(holds(p, d) for p, d in files) else G)
        assert list(sweep(objects, line, predicate).verdicts) == truth
    fold = PathFold(objects, b"a/b")
    for one in line:
        found, true = fold.entry(one.root, one.tree), find(objects, one.root, b"a/b")
        assert (found is None) == (true is None)
        assert found is None or (found.id, found.kind) == (true.id, true.kind)


def test_a_split_folder_is_measured_leaf_by_leaf():
    big = {b"%05d" % i: b"x" for i in range(5000)}
    objects, line = history({b"big": big}, {b"big": {**big, b"02500": b"yy"}})
    fold = TreeFold(objects, lambda _, tree: len(tree))
    assert fold.value(line[0].root, line[0].tree) == 5001
    before = fold.folders
    assert fold.value(line[1].root, line[1].tree) == 5001
    assert fold.folders - before == 3  # the root, the node and one leaf
