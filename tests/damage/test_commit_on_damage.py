"""Commits into a store that has lost something: the new snapshot is whole, and what is lost is said."""

from __future__ import annotations

import contextlib
import os
import random
import shutil

import pytest

from casreplay import CommitOptions, Repository
from casreplay.errors import CorruptError
from casreplay.history import gc, ingest
from casreplay.history.verify import fsck, repair_index
from casreplay.history.walk import walk
from casreplay.store import segments, writer

DAY = 86_400 * 10**9
ALONE = 1 << 62
"""A time at which every unfinished segment is old."""


class Place:
    """A workspace and its store; ``again`` opens the store as another process would."""

    def __init__(self, top):
        self.root, self.store = top / "work", top / "store"
        self.root.mkdir()
        self.now = 1_800_000_000 * 10**9
        self.repository = Repository.init(self.root, self.store, clock=self.clock)

    def clock(self):
        self.now += 10**9
        return self.now

    def again(self):
        self.repository.close()
        self.repository = Repository.open(self.store, self.root, clock=self.clock)
        return self

    def write(self, path, content):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        os.utime(target, ns=(DAY, DAY))

    def commit(self, label="", **options):
        return self.repository.commit(CommitOptions(label=label, **options))

    def contents(self, snapshot):
        objects = self.repository.objects
        return {
            path: b"".join(objects.stream(entry.blob_id))
            for path, entry in walk(objects, snapshot.root)
            if entry.blob_id is not None
        }

    def on_disk(self):
        found = {}
        for base, _, names in os.walk(os.fsencode(self.root)):
            for name in names:
                path = os.path.join(base, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, os.fsencode(self.root))] = file.read()
        return found

    def segment(self, number=1):
        return self.store / "segments" / f"{number:08d}.seg"

    def is_whole(self, snapshot):
        try:
            self.contents(snapshot)
        except CorruptError:
            return False
        return True


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.repository.close()


def noise(count, seed):
    return random.Random(seed).randbytes(count)


def story(place):
    """Three snapshots: small files and a large one, one changed, one that came and went."""
    for i in range(6):
        place.write(f"d/{i}", noise(2000, i))
    place.write("d/e/big", noise(700_000, 99))
    lines = b"\n".join(b"%d" % i for i in range(3000))
    place.write("text", lines)
    first = place.commit("one").snapshot
    place.write("d/1", noise(2000, 50))
    place.write("gone", b"only in two " * 100)
    second = place.commit("two").snapshot
    (place.root / "gone").unlink()
    place.write("text", lines + b"\nmore")
    return first, second, place.commit("three").snapshot


def cut(path, share):
    os.truncate(path, int(path.stat().st_size * share))


def flip(path, at):
    with path.open("r+b") as handle:
        handle.seek(at)
        byte = handle.read(1)[0]
        handle.seek(at)
        handle.write(bytes([byte ^ 0x40]))


HURT = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: cut(path, 0),
    "half": lambda path: cut(path, 0.5),
    "its last byte": lambda path: os.truncate(path, path.stat().st_size - 1),
}
CHANGES = {
    "nothing": lambda _: None,
    "one file": lambda place: place.write("d/2", b"changed"),
    "the text": lambda place: place.write("text", (place.root / "text").read_bytes() + b"\nand more"),
}


@pytest.mark.parametrize("how", HURT)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("is_open", [False, True])
def test_a_commit_stores_again_what_is_lost_and_says_so(place, how, change, is_open):
    story(place)
    HURT[how](place.segment())
    CHANGES[change](place)
    if not is_open:
        place.again()
    result = place.commit()
    assert result.recorded
    assert result.problems[0].code == "segment-short"
    assert result.problems[0].path == "segments/00000001.seg"
    assert place.contents(result.snapshot) == place.on_disk()
    again = place.again().commit()
    assert not again.recorded
    assert [problem.code for problem in again.problems] == ["segment-short"]
    assert place.contents(again.snapshot) == place.on_disk()


@pytest.mark.parametrize("how", HURT)
@pytest.mark.parametrize("data", [False, True])
def test_fsck_names_the_snapshots_that_lose_something_before_and_after(place, how, data):
    story(place)
    HURT[how](place.segment())
    place.again()
    for _ in range(2):
        report = fsck(place.repository.store, data=data)
        hurt = [one.id.hex() for one in place.repository.snapshots() if not place.is_whole(one)]
        assert list(report.damaged) == hurt
        assert {one for problem in report.problems for one in problem.snapshots} == set(hurt)
        assert "segment-short" in {problem.code for problem in report.problems}
        newest = place.commit().snapshot
        assert place.is_whole(newest)
    assert newest.id.hex() not in fsck(place.repository.store, data=True).damaged


def test_what_goes_without_the_damaged_snapshots_is_sound(place):
    story(place)
    cut(place.segment(), 0.5)
    newest = place.again().commit().snapshot
    old = [one.id for one in place.repository.snapshots() if one.id != newest.id]
    place.repository.log.remove(old, "test")
    rules = gc.GcRules(grace_ns=0, max_dead_share=0.0)
    gc.collect(place.repository.store, [], clock=lambda: ALONE, rules=rules)
    assert fsck(place.repository.store, data=True).is_clean
    place.again()
    assert fsck(place.repository.store, data=True).is_clean
    assert place.commit().problems == ()
    assert place.contents(newest) == place.on_disk()


@pytest.mark.parametrize("lost", [1, None])
def test_a_gc_ends_the_damage_when_nothing_needed_is_lost(place, lost):
    """All that is left of the segment is needed: nothing is freed, and it moves all the same."""
    story(place)
    path = place.segment()
    if lost is None:
        found = list(place.repository.store.segments.scan(1))
        os.truncate(path, found[-1].offset)
    else:
        os.truncate(path, path.stat().st_size - lost)
    newest = place.again().commit().snapshot
    gc.collect(place.repository.store, [], clock=lambda: ALONE, rules=gc.GcRules(grace_ns=0))
    assert fsck(place.repository.store, data=True).is_clean
    assert all(map(place.is_whole, place.again().repository.snapshots()))
    assert place.commit().problems == ()
    assert place.contents(newest) == place.on_disk()


@pytest.fixture
def a_segment_each(monkeypatch):
    """Every commit writes a segment of its own."""
    monkeypatch.setattr(segments, "SEAL_BYTES", 1 << 20)
    monkeypatch.setattr(writer, "SEAL_BYTES", 8 << 20)


@pytest.mark.usefixtures("a_segment_each")
@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_is_left_without_its_base_or_its_chunks_is_stored_again(place, number):
    """The delta and the list of chunks lie in a whole segment; what they are made of is gone."""
    lines, big = b"\n".join(b"%d" % (i * i) for i in range(3000)), noise(900_000, 1)
    place.write("text", lines)
    place.write("big", big)
    place.commit("one")
    place.write("text", lines + b"\nmore")
    place.write("big", big[:500_000] + b"insertion" + big[500_000:])
    place.commit("two")
    versions = {name: (place.root / name).read_bytes() for name in ("text", "big")}
    place.write("text", b"something else")
    place.write("big", b"small")
    place.commit("three")
    assert place.segment(3).exists()
    place.segment(number).unlink()
    assert place.again().commit().problems
    for name, content in versions.items():  # the second version again: its records are there
        place.write(name, content)
    result = place.commit()
    assert place.again().contents(result.snapshot) == place.on_disk()
    place.write("big", versions["big"] + b"more")
    result = place.commit()
    assert place.again().contents(result.snapshot) == place.on_disk()
    assert fsck(place.repository.store, data=True).damaged[:1] != (result.snapshot.id.hex(),)


def test_workers_store_again_what_is_lost(place, monkeypatch):
    monkeypatch.setattr(ingest, "PARALLEL_FILES", 10)
    for i in range(60):
        place.write(f"{i % 7}/{i}", noise(500, i))
    place.commit()
    place.segment().unlink()
    result = place.again().commit()
    assert result.recorded
    assert place.again().contents(result.snapshot) == place.on_disk()


def test_a_segment_that_is_brought_back_counts_again(place):
    first, second, third = story(place)
    kept = place.segment().read_bytes()
    place.segment().unlink()
    place.again().commit()
    assert not place.is_whole(second)
    place.segment().write_bytes(kept)
    result = place.again().commit()
    assert (result.recorded, result.problems) == (False, ())
    assert all(map(place.is_whole, (first, second, third)))
    assert fsck(place.repository.store, data=True).is_clean


@pytest.mark.parametrize("is_open", [False, True])
def test_what_another_process_collected_is_no_damage(place, is_open):
    first, second, third = story(place)
    other = Repository.open(place.store, place.root, clock=place.clock)
    other.log.remove([first.id, second.id], "test")
    rules = gc.GcRules(grace_ns=0, max_dead_share=0.0)
    gc.collect(other.store, [], clock=lambda: ALONE, rules=rules)
    other.close()
    assert not place.segment().exists()
    if not is_open:
        place.again()
    result = place.commit()
    assert (result.recorded, result.problems, result.snapshot) == (False, (), third)


def test_an_index_made_of_what_is_left_does_not_make_the_cache_true(place):
    """The index was lost with the segment and is made again from the rest: the cache still names it all."""
    story(place)
    place.segment().unlink()
    shutil.rmtree(place.store / "index")
    result = place.again().commit()
    assert result.recorded
    assert place.contents(result.snapshot) == place.on_disk()


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95, 0.9993])
def test_a_full_commit_stores_again_what_a_flipped_bit_took(place, share):
    story(place)
    flip(place.segment(), int(place.segment().stat().st_size * share))
    place.again()
    hurt = fsck(place.repository.store, data=True).damaged
    newest = place.repository.head()
    result = place.commit(full=True)
    assert result.recorded == (newest.id.hex() in hurt)
    assert place.again().contents(result.snapshot) == place.on_disk()
    assert result.snapshot.id.hex() not in fsck(place.repository.store, data=True).damaged
    assert not place.commit(full=True).recorded


def test_a_full_commit_of_a_sound_store_records_nothing_new(place):
    _, _, third = story(place)
    os.utime(place.root / "text", ns=(DAY, 3 * DAY))
    assert place.commit(full=True).snapshot == third


def test_a_commit_after_a_damaged_snapshot_is_recorded_all_the_same(place):
    """Its changes cannot be counted; that it is recorded must not be called an error."""
    _, _, third = story(place)
    entry = place.repository.store.entry_of(third.root)
    flip(place.segment(entry.segment), entry.offset + entry.length - 3)
    place.again().write("d/2", b"changed")
    result = place.commit()
    assert result.recorded
    assert [problem.code for problem in result.problems] == ["uncounted"]
    assert place.contents(result.snapshot) == place.on_disk()


def test_the_way_out_that_is_documented(place):
    """``fsck``, ``repair --rebuild-index``, ``commit --full``: for a store that anything may have hit."""
    story(place)
    flip(place.segment(), place.segment().stat().st_size // 2)
    cut(place.segment(), 0.8)
    store = place.again().repository.store
    assert not fsck(store).is_clean
    repair_index(store)
    result = place.commit(full=True)
    assert place.again().contents(result.snapshot) == place.on_disk()
    assert result.snapshot.id.hex() not in fsck(place.repository.store, data=True).damaged


@pytest.mark.usefixtures("a_segment_each")
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("dead", [0.0, 0.9])
def test_a_gc_keeps_the_copy_that_can_be_read(place, share, dead):
    """The damaged copy is the older one and comes first; taken for the needed one, it would stay alone."""
    story(place)
    flip(place.segment(), int(place.segment().stat().st_size * share))
    newest = place.again().commit(full=True).snapshot
    assert place.is_whole(newest)
    old = [one.id for one in place.repository.snapshots() if one.id != newest.id]
    for hurt in ((), old):
        place.repository.log.remove(hurt, "test")
        rules = gc.GcRules(grace_ns=0, max_dead_share=dead)
        with contextlib.suppress(CorruptError):  # refused while an old one needs what is lost
            gc.collect(place.repository.store, [], clock=lambda: ALONE, rules=rules)
        assert place.again().contents(newest) == place.on_disk()
    if not dead:
        assert fsck(place.repository.store, data=True).is_clean
