from __future__ import annotations

import json
import os
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.list_log import snapshot

from casreplay.errors import UsageError
from casreplay.history.annotations import Annotations, Note, check_label
from casreplay.store.files import Files, OsFiles
from casreplay.store.locks import Leases

ONE = snapshot(1, label="first", tags=("a", "b"))
TWO = snapshot(2)


@dataclass
class Folder:
    folder: str
    files: Files

    @property
    def leases(self):
        return Leases(self.files, self.folder)


@pytest.fixture
def store(tmp_path):
    (tmp_path / "leases").mkdir()
    return Folder(str(tmp_path), OsFiles())


def opened(store, now=7):
    return Annotations(store, clock=lambda: now)


def test_without_a_file_the_snapshots_own_words_count(store):
    notes = opened(store)
    assert notes.label_of(ONE) == "first"
    assert notes.tags_of(ONE) == ("a", "b")
    assert notes.notes_of(ONE) == ()
    assert os.listdir(store.folder) == ["leases"]


def test_the_last_label_wins_and_can_be_taken_away(store):
    notes = opened(store)
    notes.set_label(ONE.id, "second")
    notes.set_label(ONE.id, "third")
    assert notes.label_of(ONE) == opened(store).label_of(ONE) == "third"
    notes.set_label(ONE.id, "")
    assert opened(store).label_of(ONE) == ""
    assert opened(store).label_of(TWO) == ""


def test_tags_are_added_and_removed(store):
    notes = opened(store)
    notes.add_tags(ONE.id, ["c", "d", "a"])
    notes.remove_tags(ONE.id, ["b", "c", "unknown"])
    assert notes.tags_of(ONE) == opened(store).tags_of(ONE) == ("a", "d")
    notes.add_tags(ONE.id, ["b"])
    assert opened(store).tags_of(ONE) == ("a", "b", "d")


def test_snapshots_are_found_by_what_they_are_called_now(store):
    notes = opened(store)
    notes.set_label(ONE.id, "x")
    notes.add_tags(TWO.id, ["x", "y"])
    notes.remove_tags(TWO.id, ["y"])
    assert notes.called("x") == opened(store).called("x") == [ONE.id, TWO.id]
    notes.set_label(ONE.id, "z")
    assert notes.called("x") == [TWO.id]
    assert notes.called("y") == []


def test_notes_gather_in_order(store):
    opened(store, 1).add_note(ONE.id, "broken here?", author="ana")
    opened(store, 2).add_note(ONE.id, "no:\nnext one")
    assert opened(store).notes_of(ONE) == (Note(1, "ana", "broken here?"), Note(2, "", "no:\nnext one"))


def test_lines_are_only_ever_appended(store):
    notes = opened(store)
    notes.set_label(ONE.id, "x")
    before = store.files.read(store.folder + "/annotations")
    notes.set_label(ONE.id, "y")
    after = store.files.read(store.folder + "/annotations")
    assert after.startswith(before)
    assert [json.loads(line)["label"] for line in after.splitlines()] == ["x", "y"]


def test_lines_of_another_process_are_seen_after_a_refresh(store):
    notes = opened(store)
    assert notes.label_of(TWO) == ""
    opened(store).set_label(TWO.id, "theirs")
    assert notes.label_of(TWO) == ""
    notes.refresh()
    assert notes.label_of(TWO) == "theirs"


def test_what_a_crash_tore_is_passed_over_and_cut_off_by_the_next_writer(store):
    opened(store).set_label(ONE.id, "kept")
    whole = store.files.read(store.folder + "/annotations")
    with open(store.folder + "/annotations", "ab") as file:
        file.write(b'{"label":"tor')
    torn = opened(store)
    assert torn.label_of(ONE) == "kept"
    assert not torn.problems()
    torn.set_label(TWO.id, "after")
    again = opened(store)
    assert (again.label_of(ONE), again.label_of(TWO)) == ("kept", "after")
    assert not again.problems()
    assert store.files.read(store.folder + "/annotations").startswith(whole + b"{")
    assert store.files.read(f"{store.folder}/lost/annotations-{len(whole)}-13") == b'{"label":"tor'


def test_a_last_line_that_lacks_only_its_end_counts_and_is_ended(store):
    opened(store).set_label(ONE.id, "kept")
    whole = store.files.read(store.folder + "/annotations")
    store.files.truncate(store.folder + "/annotations", len(whole) - 1)
    notes = opened(store)
    assert notes.label_of(ONE) == "kept"
    notes.set_label(TWO.id, "after")
    again = opened(store)
    assert (again.label_of(ONE), again.label_of(TWO)) == ("kept", "after")
    assert not again.problems()


def test_a_damaged_line_before_others_stays_and_is_reported(store):
    with open(store.folder + "/annotations", "ab") as file:
        file.write(b'{"label":"tor\n')
    notes = opened(store)
    notes.set_label(ONE.id, "after")
    again = opened(store)
    assert again.label_of(ONE) == "after"
    assert [p.message for p in again.problems()] == ["Line 1 of the annotations cannot be read"]


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "{}",
        "null",
        "[" * 100_000,
        '{"snapshot":"zz","time_ns":1}',
        '{"snapshot":"00","time_ns":1}',
        '{"snapshot":"%s","time_ns":"1"}' % ("00" * 32),
        '{"snapshot":"%s","time_ns":1,"label":5}' % ("00" * 32),
        '{"snapshot":"%s","time_ns":1,"tag":[1]}' % ("00" * 32),
        '{"snapshot":"%s","time_ns":1,"tag":7}' % ("00" * 32),
    ],
)
def test_any_line_that_is_none_is_reported(store, line):
    with open(store.folder + "/annotations", "w") as file:
        file.write(line + "\n")
    assert len(opened(store).problems()) == 1


@pytest.mark.parametrize("tag", ["", " ", "@x", "a\nb", "\x1b[1m", "x" * 201])
def test_what_is_no_tag(store, tag):
    with pytest.raises(UsageError):
        opened(store).add_tags(ONE.id, [tag])
    assert os.listdir(store.folder) == ["leases"]


@pytest.mark.parametrize("label", ["a\nb", "\x07", "x" * 1001])
def test_what_is_no_label(store, label):
    with pytest.raises(UsageError):
        opened(store).set_label(ONE.id, label)


@pytest.mark.parametrize("text", ["", "  ", "x" * 100_001])
def test_what_is_no_note(store, text):
    with pytest.raises(UsageError):
        opened(store).add_note(ONE.id, text)


@given(st.text(min_size=1, max_size=30).filter(str.strip))
def test_any_text_comes_back(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("store")
    (folder / "leases").mkdir()
    store = Folder(str(folder), OsFiles())
    opened(store).add_note(TWO.id, text)
    assert opened(store).notes_of(TWO)[0].text == text


@pytest.mark.parametrize(
    ("label", "named"),
    [
        ("a\nb", "control characters (U+000A)"),
        ("caf\udce9", "bytes that are not UTF-8 (\\xe9)"),
        ("zero\u200bwidth", "characters that do not show (U+200B)"),
    ],
)
def test_what_a_label_must_not_hold_is_named(label, named):
    with pytest.raises(UsageError) as caught:
        check_label(label)
    assert caught.value.message == f"A label must not hold {named}"


def test_spaces_that_people_type_are_letters_of_a_label():
    assert check_label("20\u00a0km\u3000\u00fc") == "20\u00a0km\u3000\u00fc"
