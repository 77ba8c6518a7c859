from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tree_builder import DictObjects, Symlink, root_of

from casreplay.errors import CorruptError, MissingObjectError
from casreplay.history import renames
from casreplay.history.diff import diff_trees
from casreplay.history.renames import detect_renames, similarity
from casreplay.workspace import workers

TEXT = b"".join(b"line number %d\n" % i for i in range(50))
EDITED = TEXT.replace(b"number 7\n", b"number seven\n")


def detected(before, after):
    objects = DictObjects()
    changes = list(diff_trees(objects, root_of(objects, before), root_of(objects, after)))
    objects.read.clear()
    return detect_renames(changes, objects.get), objects


def shown(before, after):
    result, _ = detected(before, after)
    return [(c.kind.sigil, c.old_path, c.path) for c in result.changes]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({b"a": TEXT}, {b"b": TEXT}, [("R", b"a", b"b")]),
        ({b"a": TEXT}, {b"b": EDITED}, [("R", b"a", b"b")]),
        ({b"a": TEXT}, {b"b": b"other\n"}, [("D", None, b"a"), ("A", None, b"b")]),
        ({b"a": TEXT}, {b"b": TEXT, b"c": TEXT}, [("R", b"a", b"b"), ("A", None, b"c")]),
        ({b"d": {b"n": TEXT}, b"e": TEXT}, {b"x": {b"n": TEXT}}, [("R", b"d/n", b"x/n"), ("D", None, b"e")]),
        ({b"a": b""}, {b"b": b""}, [("D", None, b"a"), ("A", None, b"b")]),
        ({b"d": {b"a": b""}}, {b"e": {b"a": b""}}, [("R", b"d/a", b"e/a")]),
        ({b"a": Symlink(b"t")}, {b"b": Symlink(b"t")}, [("R", b"a", b"b")]),
        ({b"a": Symlink(b"t")}, {b"b": b"t"}, [("D", None, b"a"), ("A", None, b"b")]),
        (
            {b"a": TEXT, b"k": b"1"},
            {b"a": b"new", b"b": TEXT, b"k": b"1"},
            [("M", None, b"a"), ("A", None, b"b")],
        ),
    ],
)
def test_renames(before, after, expected):
    assert sorted(shown(before, after)) == sorted(expected)


def test_a_moved_folder_is_a_rename_of_each_file():
    files = {b"%02d" % i: b"content of %d\n" % i for i in range(20)}
    found = shown({b"old": files}, {b"new": {b"sub": files}})
    assert found == [("R", b"old/" + name, b"new/sub/" + name) for name in sorted(files)]


def test_equal_content_is_not_read():
    _, objects = detected({b"a": TEXT}, {b"b": TEXT})
    assert objects.read == []


def test_the_most_similar_wins():
    half = TEXT[: len(TEXT) * 2 // 3]
    found = shown({b"a": half, b"b": TEXT}, {b"c": EDITED})
    assert found == [("D", None, b"a"), ("R", b"b", b"c")]


def test_similarity_stands_in_the_change():
    result, _ = detected({b"a": TEXT}, {b"b": EDITED})
    assert [c.similarity for c in result.changes] == [97]
    assert result.changes[0].before.size_bytes == len(TEXT)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (b"", b"", 100),
        (b"a\n", b"a\n", 100),
        (b"a\nb\n", b"b\na\n", 99),
        (b"a\nb\n", b"a\nc\n", 50),
        (b"", b"x", 0),
        (b"x" * 128, b"x" * 64, 50),
    ],
)
def test_similarity_of_two_texts(before, after, expected):
    assert similarity(before, after) == expected


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_similarity_is_the_same_both_ways(before, after):
    assert similarity(before, after) == similarity(after, before)
    assert 0 <= similarity(before, after) <= 100
    assert (similarity(before, after) == 100) == (before == after)


def test_files_of_no_like_size_are_not_read():
    _, objects = detected({b"a": TEXT}, {b"b": TEXT * 3, b"c": TEXT[:100], b"d": EDITED})
    assert len(objects.read) == 2


def test_large_files_are_paired_by_content_only():
    large = b"x\n" * (renames.MAX_FILE_BYTES // 2 + 1)
    found, objects = detected({b"a": large}, {b"b": large + b"y"})
    assert [c.kind.sigil for c in found.changes] == ["D", "A"]
    assert objects.read == []


def test_many_candidates_are_bounded_and_that_is_said():
    number = 120
    before = {b"%03d.py" % i: TEXT + b"file %d\n" % i * 5 for i in range(number)}
    after = {b"new%03d.py" % i: EDITED + b"file %d\n" % i * 5 for i in range(number)}
    result, _ = detected(before, after)
    assert not result.is_complete
    assert [c.kind.sigil for c in result.changes] == ["R"] * number
    few, _ = detected(dict(list(before.items())[:3]), dict(list(after.items())[:3]))
    assert few.is_complete
    assert [(c.old_path, c.path) for c in few.changes] == [
        (b"%03d.py" % i, b"new%03d.py" % i) for i in range(3)
    ]


def test_files_beyond_the_limits_are_left_out_and_that_is_said(monkeypatch):
    monkeypatch.setattr(renames, "MAX_TOTAL_BYTES", len(TEXT) + 10)
    before = {b"a": TEXT + b"a\n", b"b": TEXT + b"b\n"}
    result, _ = detected(before, {b"c": EDITED})
    assert not result.is_complete
    assert [(c.kind.sigil, c.path) for c in result.changes] == [("D", b"b"), ("R", b"c")]


names = st.sampled_from([b"a", b"b", b"c", b"d"])
contents = st.sampled_from([TEXT, EDITED, TEXT[:400], b"other\n", b""])
folders = st.dictionaries(names, contents, max_size=4)


@given(folders, folders)
def test_no_path_is_lost_or_told_twice(before, after):
    result, _ = detected(before, after)
    gone = [c.old_path or c.path for c in result.changes if c.kind.sigil in "DR"]
    new = [c.path for c in result.changes if c.kind.sigil in "AR"]
    assert sorted(gone) == sorted(set(before) - set(after))
    assert sorted(new) == sorted(set(after) - set(before))
    assert [c.path for c in result.changes] == sorted(c.path for c in result.changes)


def test_many_candidates_are_read_by_two_processes_with_the_same_result(monkeypatch):
    monkeypatch.setattr(workers, "count", lambda: 2)
    before = {b"old%d" % i: TEXT.replace(b"number", b"%d" % (i * 7919)) for i in range(12)}
    after = {b"new%d" % i: EDITED.replace(b"number", b"%d" % (i * 7919)) for i in range(14)}
    alone, alone_objects = detected(before, after)
    monkeypatch.setattr(renames, "MANY_FILES", 2)
    divided, objects = detected(before, after)
    assert divided == alone
    assert sum(change.kind.sigil == "R" for change in divided.changes) == 12
    assert 0 < len(objects.read) < len(alone_objects.read)


def test_damage_that_the_second_process_meets_is_told_as_if_alone(monkeypatch):
    monkeypatch.setattr(workers, "count", lambda: 2)
    monkeypatch.setattr(renames, "MANY_FILES", 2)
    objects = DictObjects()
    changes = list(diff_trees(objects, root_of(objects, {b"a": TEXT}), root_of(objects, {b"b": EDITED})))
    blob = next(change.before.blob_id for change in changes if change.before)
    objects.kept[blob] = b"damaged"
    with pytest.raises(CorruptError) as caught:
        detect_renames(changes, objects.get)
    assert caught.value.fields["object"] == blob.hex()


def test_what_was_purged_is_like_nothing_and_what_is_missing_is_still_said():
    objects = DictObjects()
    roots = [root_of(objects, {b"a": TEXT, b"c": EDITED}), root_of(objects, {b"b": EDITED + b"more\n"})]
    changes = list(diff_trees(objects, *roots))
    gone = next(change.before.blob_id for change in changes if change.path == b"a")

    def reading(**fields):
        def read(blob):
            if blob == gone:
                raise MissingObjectError("gone", **fields)
            return objects.get(blob)

        return [(c.kind.sigil, c.path) for c in detect_renames(changes, read).changes]

    assert reading(purged=True) == [("D", b"a"), ("R", b"b")]
    with pytest.raises(MissingObjectError):
        reading()
