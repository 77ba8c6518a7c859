from __future__ import annotations

from datetime import UTC

import pytest
from support.list_log import ListLog, snapshot

from casreplay.errors import AmbiguousNameError, UnknownNameError, UsageError
from casreplay.history.names import NameResolver, nearest, split_range, split_steps

MINUTE = 60 * 10**9


def with_id(sequence, prefix, **fields):
    return snapshot(sequence, id=bytes.fromhex(prefix.ljust(64, "0")), **fields)


class LaterNotes:
    def __init__(self, labels=None, tags=None):
        self.labels, self.tags = labels or {}, tags or {}

    def called(self, name):
        return [one for one, label in self.labels.items() if label == name] + [
            one for one, tags in self.tags.items() if name in tags
        ]

    def label_of(self, snapshot):
        return self.labels.get(snapshot.id, snapshot.label)

    def tags_of(self, snapshot):
        return self.tags.get(snapshot.id, snapshot.tags)


HISTORY = [
    with_id(1, "aaaa1111", label="start"),
    with_id(2, "aaaa2222", label="before refactor", tags=("keep",)),
    with_id(3, "bbbb3333", label="deadbeef", tags=("good",)),
    with_id(4, "deadbeef44", label="v1~2"),
    with_id(5, "cccc5555", label="v1"),
]


def resolver(log=None, notes=None, now=5 * MINUTE):
    return NameResolver(ListLog(*HISTORY) if log is None else log, lambda: now, notes or LaterNotes(), UTC)


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("@", 5),
        ("@~", 4),
        ("@~3", 2),
        ("@~~", 3),
        ("@~0", 5),
        ("start", 1),
        ("before refactor", 2),
        ("keep", 2),
        ("good~2", 1),
        ("aaaa1", 1),
        ("AAAA2222", 2),
        ("bbbb", 3),
        ("bbbb~1", 2),
        ("@{1970-01-01 00:03}", 3),
        ("@{1970-01-01 00:03:59}", 3),
        ("@{1970-01-01}", 5),
        ("@{2m ago}", 3),
        ("@{90s ago}", 3),
        ("@{now}~2", 3),
        ("cccc5555" + "0" * 56, 5),
    ],
)
def test_each_form_of_name(name, sequence):
    assert resolver().resolve(name).sequence == sequence


@pytest.mark.parametrize("shown", ["1970-01-01 00:10:00", "1970-01-01T00:10:00.552973859Z", "00:10:00"])
def test_a_time_as_it_is_shown_names_its_snapshot(shown):
    log = ListLog(*HISTORY, snapshot(6, time_ns=10 * MINUTE + 552_973_859))
    assert resolver(log, now=20 * MINUTE).resolve(f"@{{{shown}}}").sequence == 6


def test_a_label_wins_over_an_id_prefix():
    assert resolver().resolve("deadbeef").sequence == 3
    assert resolver().resolve("deadbeef4").sequence == 4


def test_a_label_wins_over_steps_back():
    assert resolver().resolve("v1~2").sequence == 4
    assert resolver().resolve("v1~1").sequence == 4
    assert resolver().resolve("v1~3").sequence == 2


def test_a_whole_id_wins_over_a_label():
    whole = "cccc5555" + "0" * 56
    log = ListLog(*HISTORY, snapshot(6, label=whole))
    assert resolver(log).resolve(whole).sequence == 5


def test_labels_and_tags_set_later_count_and_older_ones_do_not():
    notes = LaterNotes({HISTORY[0].id: "renamed"}, {HISTORY[2].id: ("bad",)})
    assert resolver(notes=notes).resolve("renamed").sequence == 1
    assert resolver(notes=notes).resolve("bad").sequence == 3
    for old in ("start", "good"):
        with pytest.raises(UnknownNameError):
            resolver(notes=notes).resolve(old)


def test_a_word_that_is_no_label_any_more_or_a_session_names_nothing():
    log = ListLog(snapshot(1, session="work"), snapshot(2, label="old"))
    notes = LaterNotes({log.kept[1].id: "new", bytes(32): "removed"})
    assert resolver(log, notes).resolve("new").sequence == 2
    for name in ("work", "old", "removed"):
        with pytest.raises(UnknownNameError):
            resolver(log, notes).resolve(name)


def test_the_same_answers_come_from_a_store_on_disk(tmp_path):
    from support.snapshots import commit

    from casreplay.history.annotations import Annotations
    from casreplay.store.disk import DiskStore

    store = DiskStore.create(str(tmp_path / "store"))
    made = [
        commit(store, {b"n": b"%d" % i}, label=f'"l"{i}\u00e9', tags=("t",) * (i == 3)) for i in range(150)
    ]
    store.log.remove([made[5].id], "prune")
    notes = Annotations(store, clock=lambda: 0)
    notes.set_label(made[7].id, "seven")
    notes.set_label(made[5].id, "removed")
    at = NameResolver(store.log, lambda: made[-1].time_ns, notes, UTC)
    expected = {'"l"9\u00e9': 9, "t": 3, "seven": 7, made[20].id.hex()[:12]: 20, "@": 149, "@~4": 145}
    expected |= {"@~120": 29, "t~3": 0, '"l"6\u00e9~1': 4, "@{10s ago}": 139, "@{10s ago}~1": 138}
    for name, number in expected.items():
        assert at.resolve(name) == made[number], name
    for name in ("removed", '"l"7\u00e9', '"l"5\u00e9', "t~4", made[5].id.hex()[:12], made[5].id.hex()):
        with pytest.raises(UnknownNameError):
            at.resolve(name)
    store.close()


def test_an_ambiguous_prefix_lists_the_candidates_newest_first():
    with pytest.raises(AmbiguousNameError, match="fits 2 snapshots") as caught:
        resolver().resolve("aaaa")
    assert [c["label"] for c in caught.value.fields["candidates"]] == ["before refactor", "start"]
    assert [c["time_ns"] for c in caught.value.fields["candidates"]] == [2 * MINUTE, MINUTE]
    assert caught.value.hint.splitlines() == [
        "aaaa22220000  1970-01-01 00:02:00  before refactor",
        "aaaa11110000  1970-01-01 00:01:00  start",
    ]


def test_one_label_on_several_snapshots_is_ambiguous():
    log = ListLog(*[snapshot(i, label="again") for i in range(1, 15)])
    with pytest.raises(AmbiguousNameError) as caught:
        resolver(log).resolve("again")
    assert len(caught.value.fields["candidates"]) == 14
    assert caught.value.hint.splitlines()[-1] == "and 4 more"
    with pytest.raises(AmbiguousNameError):
        resolver(log).resolve("again~1")


def test_a_label_and_a_tag_on_one_snapshot_are_not_ambiguous():
    log = ListLog(snapshot(1, label="x", tags=("x",)))
    assert resolver(log).resolve("x").sequence == 1


def test_an_unknown_name_suggests_near_ones():
    with pytest.raises(UnknownNameError) as caught:
        resolver().resolve("refactor")
    assert "before refactor" in caught.value.hint
    with pytest.raises(UnknownNameError) as caught:
        resolver().resolve("strat")
    assert "start" in caught.value.hint


@pytest.mark.parametrize("name", ["", "~", "~1", "aaa", "nothing", "@x", "ffff" * 16, "@{", "@}"])
def test_what_no_snapshot_is_called(name):
    with pytest.raises(UnknownNameError):
        resolver().resolve(name)


@pytest.mark.parametrize("name", ["@~5", "start~1", "@~99999999999999999999"])
def test_before_the_start_of_history_is_nothing(name):
    with pytest.raises(UnknownNameError, match="does not reach back"):
        resolver().resolve(name)


def test_a_time_before_the_first_snapshot_says_when_that_was():
    with pytest.raises(UnknownNameError) as caught:
        resolver().resolve("@{1969-12-31}")
    assert "1970-01-01 00:01:00" in caught.value.hint


def test_a_time_that_is_none_is_a_usage_error():
    with pytest.raises(UsageError):
        resolver().resolve("@{whenever}")


def test_an_empty_history_says_how_to_begin():
    with pytest.raises(UnknownNameError, match="No snapshot has been taken"):
        resolver(ListLog()).resolve("@")


def test_the_head_and_its_neighbours_are_found_without_reading_all():
    log = ListLog(*[snapshot(i) for i in range(1, 1001)])
    resolver(log).resolve("@")
    resolver(log).resolve("@~2")
    assert log.read <= 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a~2~", ("a", 3)), ("a", ("a", 0)), ("a~b", ("a~b", 0)), ("~2", ("~2", 0)), ("@~", ("@", 1))],
)
def test_steps_are_split_off(name, expected):
    assert split_steps(name) == expected


def test_nearest_puts_the_closest_first_and_leaves_out_the_rest():
    assert nearest("releese", ["release", "releases", "other", "release"]) == ["release", "releases"]
    assert nearest("x", []) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a..b", ("a", "b")),
        ("@{2h ago}..@{10:00:05}", ("@{2h ago}", "@{10:00:05}")),
        ("@{2h ago}~1..", ("@{2h ago}~1", "@")),
        ("..b", ("@", "b")),
        ("..", ("@", "@")),
        ("@{2h ago}", None),
        ("v1.2", None),
        ("", None),
    ],
)
def test_a_range_is_split_outside_its_times(name, expected):
    assert split_range(name) == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [("aaa", "needs 4 digits"), ("HEAD", "newest snapshot is called @"), ("zzz", "casreplay log")],
)
def test_what_is_called_otherwise_here_is_said(name, hint):
    with pytest.raises(UnknownNameError) as caught:
        resolver().resolve(name)
    assert hint in caught.value.hint
