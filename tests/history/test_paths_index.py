from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.folder_store import FolderStore

from casreplay.errors import StoreIOError, UsageError
from casreplay.history import paths_file
from casreplay.history.diff import diff_trees
from casreplay.history.paths_index import Interval, PathsIndex
from casreplay.history.paths_journal import encode_record, glob_body, search
from casreplay.history.walk import walk


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def commit(store, content, *, indexed=True):
    """Take a snapshot and index it as a commit does; returns whether the index took it."""
    parent = store.log.head()
    made = store.commit(content)
    if not indexed:
        return False
    changes = diff_trees(store, parent.root, made.root, folders=True) if parent else ()
    return PathsIndex(store).append(made, parent, changes)


HISTORY = [
    {b"a": b"1", b"d": {b"x.py": b"1"}},
    {b"a": b"2", b"d": {b"x.py": b"1"}},
    {b"d": {b"x.py": b"1", b"y.py": b"1"}, b"\n": b""},
    {b"a": b"3", b"d": {b"y.py": b"1"}, b"\n": b"1"},
    {b"a": b"3", b"d": b"a file now", b"\n": b"1"},
]


def played(store, *, indexed=True):
    for content in HISTORY:
        assert commit(store, content, indexed=indexed) == indexed
    return PathsIndex(store)


def shown(events):
    return [(e.sequence, e.sigil, list(e.paths)) for e in events]


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"a", [(4, "A", [b"a"]), (3, "D", [b"a"]), (2, "M", [b"a"]), (1, "A", [b"a"])]),
        (b"d/x.py", [(4, "D", [b"d/x.py"]), (1, "A", [b"d/x.py"])]),
        (b"\n", [(4, "M", [b"\n"]), (3, "A", [b"\n"])]),
        (b"nothing", []),
        (
            b"d",
            [
                (5, "T", [b"d", b"d/y.py"]),
                (4, "M", [b"d/x.py"]),
                (3, "M", [b"d/y.py"]),
                (1, "A", [b"d"]),
            ],
        ),
    ],
)
def test_history_of_a_path(store, path, expected, indexed):
    assert shown(played(store, indexed=indexed).history_of(path)) == expected


def test_history_of_the_root_is_every_snapshot_that_changed_anything(store):
    index = played(store)
    commit(store, HISTORY[-1])
    assert [e.sequence for e in index.history_of(b"")] == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (b"a", [(b"a", 1, 2), (b"a", 4, 5)]),
        (b"*.py", [(b"d/x.py", 1, 3), (b"d/y.py", 3, 4)]),
        (b"d/*.py", [(b"d/x.py", 1, 3), (b"d/y.py", 3, 4)]),
        (b"/x.py", []),
        (b"d", [(b"d", 1, 5)]),
        (b"[!a-z]", [(b"\n", 3, 5)]),
        (b"**/y.*", [(b"d/y.py", 3, 4)]),
        (b"none", []),
    ],
)
def test_find_gives_the_intervals_in_which_paths_were_there(store, pattern, expected):
    assert played(store).find(pattern) == [Interval(*one) for one in expected]


def test_an_empty_history_has_none(store):
    assert PathsIndex(store).history_of(b"a") == []
    assert PathsIndex(store).find(b"a") == []
    assert PathsIndex(store).catch_up() == 0


@pytest.mark.parametrize("pattern", [b"", b"/", b"//"])
def test_an_empty_pattern_is_refused(store, pattern):
    with pytest.raises(UsageError):
        PathsIndex(store).find(pattern)


def test_changes_of_removed_snapshots_count_for_the_next_that_exists(store):
    index = played(store)
    store.log.remove([store.log.kept[i].id for i in (1, 2)], "")
    assert shown(index.history_of(b"a")) == [(4, "M", [b"a"]), (1, "A", [b"a"])]
    assert shown(index.history_of(b"\n")) == [(4, "A", [b"\n"])]
    assert index.find(b"*.py") == [Interval(b"d/x.py", 1, 1), Interval(b"d/y.py", 4, 4)]


def test_a_change_and_its_undoing_in_removed_snapshots_are_no_change(store):
    for content in ({b"a": b"1"}, {b"a": b"2"}, {b"a": b"1", b"b": b""}):
        commit(store, content)
    store.log.remove([store.log.kept[1].id], "")
    assert shown(PathsIndex(store).history_of(b"a")) == [(1, "A", [b"a"])]


def test_the_oldest_snapshot_left_adds_what_it_holds(store):
    index = played(store)
    store.log.remove([one.id for one in store.log.kept[:3]], "")
    assert shown(index.history_of(b"a")) == [(4, "A", [b"a"])]
    assert index.find(b"*.py") == [Interval(b"d/y.py", 4, 4)]


def test_a_head_that_was_removed_does_not_count(store):
    for content in ({b"a": b"1"}, {b"a": b"2"}):
        commit(store, content)
    store.log.remove([store.log.head().id], "")
    assert not commit(store, {b"a": b"1", b"b": b""})
    index = PathsIndex(store)
    assert shown(index.history_of(b"a")) == [(1, "A", [b"a"])]
    assert shown(index.history_of(b"b")) == [(3, "A", [b"b"])]


def test_a_snapshot_not_indexed_is_caught_up_with(store):
    commit(store, HISTORY[0])
    commit(store, HISTORY[1], indexed=False)
    assert not commit(store, HISTORY[2])
    index = PathsIndex(store)
    assert index.catch_up() == 2
    assert index.catch_up() == 0
    assert commit(store, HISTORY[3])
    assert [e.sequence for e in index.history_of(b"a")] == [4, 3, 2, 1]


def test_records_are_folded_into_compressed_frames(store, monkeypatch):
    monkeypatch.setattr(paths_file, "FOLD_BYTES", 2000)
    for i in range(300):
        assert commit(store, {b"file": b"%d" % i, b"other %d" % (i // 50): b""})
    size = store.files.stamp(store.folder + "/cache/paths")[1]
    assert size < 300 * 60
    index = PathsIndex(store)
    assert [e.sequence for e in index.history_of(b"file")] == list(range(300, 0, -1))
    assert index.find(b"other 3") == [Interval(b"other 3", 151, 200)]


@pytest.mark.parametrize("where", [0, 20, 70, 120, -1, -30, -70])
@pytest.mark.parametrize("action", ["flip", "cut"])
def test_damage_is_found_out_and_mended(store, where, action):
    index = played(store)
    expected = index.history_of(b"d"), index.find(b"*")
    path = store.folder + "/cache/paths"
    data = bytearray(store.files.read(path))
    if action == "flip":
        data[where] ^= 0xFF
    else:
        del data[where:]
    with open(path, "wb") as file:
        file.write(data)
    assert (index.history_of(b"d"), index.find(b"*")) == expected
    assert commit(store, {b"a": b"4"})
    assert index.history_of(b"a")[0].sequence == 6


def test_the_journal_of_another_history_is_not_believed(store, tmp_path_factory):
    other = FolderStore(tmp_path_factory.mktemp("other"))
    for _ in range(3):
        commit(other, {b"z": b"1"})
        commit(other, {b"z": b"2"})
    commit(store, {b"a": b"1"}, indexed=False)
    commit(store, {b"a": b"2"}, indexed=False)
    foreign = other.files.read(other.folder + "/cache/paths")
    (tmp_path_factory.getbasetemp() / store.folder / "cache" / "paths").write_bytes(foreign)
    store.commit({b"a": b"3"})
    for _ in range(3):
        store.commit({b"a": b"3"})
    assert [e.sequence for e in PathsIndex(store).history_of(b"a")] == [3, 2, 1]


def test_without_the_right_to_write_the_answer_is_the_same(store):
    expected = shown(played(store).history_of(b"d"))
    store.files.remove(store.folder + "/cache/paths")

    def refuse(*_, **__):
        raise StoreIOError("Read-only")

    store.files.try_lock = refuse
    assert shown(PathsIndex(store).history_of(b"d")) == expected
    assert store.files.stamp(store.folder + "/cache/paths") is None
    assert not commit(store, {b"a": b"9"})


def test_a_rebuilt_journal_says_the_same(store):
    index = played(store)
    before = index.history_of(b""), index.find(b"*")
    assert index.rebuild() == 5
    assert (index.history_of(b""), index.find(b"*")) == before


def test_many_changes_are_written_in_pieces(monkeypatch):
    from casreplay.history import paths_journal
    from casreplay.model.changes import Change, ChangeKind

    monkeypatch.setattr(paths_journal, "MAX_TEXT_BYTES", 100)
    changes = [Change(b"path/%02d" % i, ChangeKind.ADDED, None, None) for i in range(30)]
    changes.append(Change(b"new", ChangeKind.RENAMED, None, None, b"old"))
    texts = encode_record(7, 6, changes)
    assert len(texts) > 3
    hits = [hit for text in texts for hit in search(text, rb"[^\0]*")]
    assert [(h.sequence, h.sigil, h.path) for h in hits[-2:]] == [(7, "D", b"old"), (7, "A", b"new")]
    assert [h.path for h in hits[:-2]] == [c.path for c in changes[:-1]]


simple = st.text(alphabet="ab?*[]-!.", min_size=1, max_size=8)


@given(simple, st.text(alphabet="ab.-!]", min_size=1, max_size=6))
def test_globs_of_names_are_those_of_fnmatch(pattern, name):
    if "**" in pattern or re.search(r"\[!?\]|.-[^\]]", pattern) or pattern.count("[") > 1:
        return
    ours = re.fullmatch(glob_body(pattern.encode()), name.encode(), re.DOTALL) is not None
    assert ours == fnmatch.fnmatchcase(name, pattern)


@given(st.binary(min_size=1, max_size=12))
def test_any_bytes_make_a_glob(pattern):
    re.compile(glob_body(pattern), re.DOTALL)


names = st.sampled_from([b"a", b"b", b"c"])
contents = st.dictionaries(names, st.one_of(st.sampled_from([b"1", b"2"]), st.just({b"a": b"1"})), max_size=3)


@given(st.lists(contents, min_size=1, max_size=6), st.sets(st.integers(min_value=0, max_value=5)), st.data())
def test_intervals_agree_with_the_trees(tmp_path_factory, history, removed, data):
    store = FolderStore(tmp_path_factory.mktemp("store"))
    for content in history:
        commit(store, content, indexed=data.draw(st.booleans()))
    gone = [one.id for i, one in enumerate(store.log.kept[:-1]) if i in removed]
    store.log.remove(gone, "")
    index = PathsIndex(store)
    found = index.find(b"*")
    for one in store.log.kept:
        held = {path for path, _ in walk(store, one.root)}
        assert {i.path for i in found if i.first <= one.sequence <= i.last} == held
    for path in (b"a", b"b", b"b/a"):
        before, expected = object(), []
        for one in store.log.kept:
            entry = dict(walk(store, one.root)).get(path)
            now = (entry.kind, entry.id) if entry else None
            if now != before and not (now is None and not expected):
                expected.append(one.sequence)
            before = now
        assert [e.sequence for e in index.history_of(path)] == expected[::-1]
