"""Names are found through a table in the cache exactly as a search of all of the log finds them."""

from __future__ import annotations

import random
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.snapshots import snapshot_of, tree_of

from casreplay.codec.log_names import NameTable, decode_names, encode_names, json_of
from casreplay.codec.log_records import identities
from casreplay.errors import StoreIOError, UnknownNameError
from casreplay.store import log_lookup
from casreplay.store.disk import DiskStore
from casreplay.store.files import OsFiles

LABELS = ["", "v1", 'a "label":"b" inside', "back\\slash", "Größe", "\U0001f600", "]", "v" * 300, "cafe12"]


@pytest.fixture(autouse=True)
def early(monkeypatch):
    """A table is worth being extended after very few snapshots."""
    monkeypatch.setattr(log_lookup, "NEAR_BYTES", 3000)


@pytest.fixture
def store(tmp_path):
    store = DiskStore.create(str(tmp_path / "store"), durability="off", wait_s=0)
    yield store
    store.close()


def grow(store, rng, count):
    """Snapshots with all kinds of names, some of which are removed again."""
    root, content, _ = tree_of({})
    head = store.log.head()
    parent = head.id if head else None
    for _ in range(count):
        made = snapshot_of(
            store.log.next_sequence(),
            parent,
            root,
            content,
            label=rng.choice(LABELS),
            tags=tuple(rng.sample(LABELS[1:], rng.choice([0, 0, 1, 2]))),
            session=rng.choice(["", "v1"]),
            extra=rng.choice([{}, {"label": "v1"}, {"tags": "v1"}]),
        )
        store.log.append(made, (), parent)
        parent = made.id
        if rng.random() < 0.1:
            live = list(store.log.newest_first())
            gone = [one.id for one in rng.sample(live[1:], min(2, len(live) - 1))]
            store.log.remove(gone, "test")
            check_gone(store.log, gone)


def check_gone(log, gone):
    for one in gone:
        with pytest.raises(UnknownNameError):
            log.get(one)


def check(log, live):
    """What look-ups give, against what history holds."""
    for label in (*LABELS[1:], "not there", "label"):
        named = [one for one in live if label == one.label or label in one.tags]
        found = [one for one in log.mentioning(label) if one in named]
        assert found == named
    for one in live[:: max(1, len(live) // 7)]:
        for digits in (4, 5, 6, 7, 8, 9, 12, 63, 64):
            prefix = one.id.hex()[:digits]
            assert list(log.prefixed(prefix)) == [
                other for other in live if other.id.hex().startswith(prefix)
            ]
    assert list(log.prefixed("0" * 20)) == []
    for one, older in zip(live, [*live[1:], None], strict=True):
        assert log.get(one.id) == one
        assert log.before(one) == older


@pytest.mark.parametrize("seed", range(3))
def test_every_name_and_prefix_is_found_while_the_log_grows(store, tmp_path, seed):
    rng = random.Random(seed)
    for _ in range(6):
        grow(store, rng, rng.randrange(1, 30))
        live = list(store.log.newest_first())
        every = [one for _, kind, _, one in identities(store.log.lookup._file.content()) if kind == 1]
        check(store.log, live)
        gone = set(every) - {one.id for one in live}
        with closing(DiskStore.open(store.folder, durability="off")) as fresh:
            check(fresh.log, live)
            check_gone(fresh.log, gone)
    assert len(gone) > 1
    assert decode_names((tmp_path / "store" / "cache" / "names").read_bytes()) is not None


def test_most_of_the_log_is_not_read_again(store, monkeypatch):
    grow(store, random.Random(1), 60)
    check(store.log, list(store.log.newest_first()))
    with closing(DiskStore.open(store.folder, durability="off")) as fresh:
        monkeypatch.setattr(log_lookup, "with_names_of", lambda *_: pytest.fail("the table is there"))
        check(fresh.log, list(fresh.log.newest_first()))
        table, rest = fresh.log.lookup._known()
        assert table.end > 3000 > len(rest)


def test_a_table_of_another_history_is_not_believed(store, tmp_path):
    grow(store, random.Random(1), 50)
    check(store.log, list(store.log.newest_first()))
    other = DiskStore.create(str(tmp_path / "other"), durability="off", wait_s=0)
    with closing(other):
        grow(other, random.Random(2), 50)
        table = (tmp_path / "store" / "cache" / "names").read_bytes()
        other.write_cache("names", [table])
        check(other.log, list(other.log.newest_first()))


def test_a_log_that_was_cut_back_and_went_another_way_is_read_anew(store):
    grow(store, random.Random(1), 30)
    at = store.log.end()
    grow(store, random.Random(2), 30)
    check(store.log, list(store.log.newest_first()))
    with open(f"{store.folder}/log", "r+b") as handle:
        handle.truncate(at)
    with closing(DiskStore.open(store.folder, durability="off")) as fresh:
        check(fresh.log, list(fresh.log.newest_first()))
        grow(fresh, random.Random(3), 40)
        check(fresh.log, list(fresh.log.newest_first()))
        check(store.log, list(fresh.log.newest_first()))


@pytest.mark.parametrize("how", ["cut", "flip", "empty"])
def test_a_damaged_table_is_made_anew(store, tmp_path, how):
    grow(store, random.Random(1), 50)
    live = list(store.log.newest_first())
    check(store.log, live)
    path = tmp_path / "store" / "cache" / "names"
    whole = path.read_bytes()
    at = len(whole) // 2
    damaged = {"cut": whole[:at], "flip": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], "empty": b""}
    path.write_bytes(damaged[how])
    with closing(DiskStore.open(store.folder, durability="off")) as fresh:
        check(fresh.log, live)
    assert path.read_bytes() == whole


def test_of_a_damaged_log_no_table_is_kept(store, tmp_path):
    grow(store, random.Random(1), 50)
    every = list(store.log.newest_first())
    with open(f"{store.folder}/log", "r+b") as handle:
        at = handle.read().index(every[9].id)
        handle.seek(at + 45)
        handle.write(bytes(8))
    with closing(DiskStore.open(store.folder, durability="off")) as fresh:
        left = list(fresh.log.newest_first())
        assert len(left) == len(every) - 1
        for label in LABELS[1:]:
            named = [one for one in left if label == one.label or label in one.tags]
            assert [one for one in fresh.log.mentioning(label) if one in named] == named
    assert not (tmp_path / "store" / "cache" / "names").exists()


def test_a_store_that_keeps_no_cache_is_searched(store):
    grow(store, random.Random(1), 50)
    store.log.lookup.caches = None
    check(store.log, list(store.log.newest_first()))


class ReadOnlyFiles(OsFiles):
    """A file system that is mounted read-only."""

    def refuse(self, path, *_args, **_options):
        raise StoreIOError("Read-only file system", file=path)

    make_folder = append = remove = rename = refuse


def test_a_store_that_cannot_be_written_is_searched(store):
    grow(store, random.Random(1), 50)
    with closing(DiskStore.open(store.folder, files=ReadOnlyFiles(), durability="off")) as sealed:
        check(sealed.log, list(store.log.newest_first()))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3))
def test_a_table_is_what_was_written(names, ids, removals):
    table = NameTable(
        7, b"c" * 32, b"n" * 4 * names, b"p" * 8 * names, b"i" * 4 * ids, b"q" * 8 * ids, b"r" * 8 * removals
    )
    raw = encode_names(table)
    assert decode_names(raw) == table
    assert decode_names(raw[:-1]) is None
    assert decode_names(b"x" + raw[1:]) is None


def test_a_key_that_is_found_between_two_is_none():
    key = json_of("v1")
    sums = NameTable(7, b"", b"\0\0\0\0" * 4, bytes(32))
    assert sums.naming(key) == []
    split = NameTable(7, b"", b"", b"", b"\1\2\3\4\5\6\7\x08\3\4\5\6", bytes(24))
    assert split.starting(b"\3\4\5\6") == [0]
    assert split.starting(b"\2\3") == []
