from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.snapshots import commit, noise

from casreplay.codec import hashing
from casreplay.errors import LockedError, MissingObjectError
from casreplay.history import gc
from casreplay.history.gc import GcRules, SegmentUse, collect, measure, plan
from casreplay.history.walk import reachable, walk
from casreplay.store.disk import DiskStore

NOW = 10**19
EAGER = GcRules(max_dead_share=0.0, grace_ns=0)


@pytest.fixture
def store(tmp_path):
    made = DiskStore.create(str(tmp_path / "store"), wait_s=0.05)
    yield made
    made.close()


def gone(store, *snapshots):
    store.log.remove([one.id for one in snapshots], "prune")


def roots(store):
    return [one.root for one in store.log.newest_first()]


def collected(store, rules=EAGER):
    return collect(store, roots(store), clock=lambda: NOW, rules=rules)


def contents(store):
    """Everything every live snapshot holds, read back."""
    return {
        (one.sequence, path): store.get(entry.blob_id)
        for one in store.log.newest_first()
        for path, entry in walk(store, one.root)
    }


def folder_bytes(store):
    return sum(store.segments.size(number) for number in store.segments.numbers())


def test_what_is_all_needed_is_left_alone(store):
    commit(store, {b"a": noise(5000, 1)})
    commit(store, {b"a": noise(5000, 2)})
    before = contents(store)
    store.write_cache("stat", [b"still true"])
    result = collected(store, GcRules())
    assert result.plan.is_empty
    assert store.read_cache("stat") == b"still true"
    assert result.plan.live_bytes > 10_000
    assert (result.removed_bytes, contents(store)) == (0, before)


def test_what_only_removed_snapshots_needed_goes(store):
    first = commit(store, {b"a": noise(50_000, 1), b"same": b"s" * 500})
    commit(store, {b"a": noise(50_000, 2), b"same": b"s" * 500})
    gone(store, first)
    size = folder_bytes(store)
    expected = contents(store)
    result = collected(store)
    assert result.removed_bytes - result.copied_bytes > 49_000
    assert folder_bytes(store) < size - 49_000
    assert contents(store) == expected
    assert not store.has(hashing.blob_id(noise(50_000, 1)))
    again = DiskStore.open(store.folder)
    assert contents(again) == expected
    again.rebuild_index()
    assert contents(again) == expected
    again.close()


def test_a_second_gc_has_nothing_to_do(store):
    first = commit(store, {b"a": noise(50_000, 1)})
    commit(store, {b"a": noise(50_000, 2)})
    gone(store, first)
    collected(store)
    assert collected(store).plan.is_empty


def test_bases_of_deltas_are_needed_and_chunks_of_large_blobs(store):
    versions = []
    text = bytearray(noise(600_000, 3))
    for i in range(6):
        text[i * 100_000 : i * 100_000 + 10] = b"0123456789"
        raw = bytes(text)
        head = store.log.head()
        with store.writer() as writer:
            writer.put_blob(hashing.blob_id(raw), raw, hashing.blob_id(versions[-1]) if versions else None)
            versions.append(raw)
            store.log.append(*snapshot_with(store, writer, {b"db": raw}, head))
    live = list(store.log.newest_first())
    gone(store, *live[1:])
    expected = contents(store)
    collected(store)
    assert contents(store) == expected == {(6, b"db"): versions[-1]}
    assert len(list(reachable(store, roots(store)))) == 2


def snapshot_with(store, writer, files, head):
    """A snapshot whose blobs are already put."""
    from support.snapshots import snapshot_of, tree_of

    root, content, raw_tree = tree_of({name: hashing.blob_id(raw) for name, raw in files.items()})
    writer.put_tree(root, raw_tree, head.root if head else None)
    made = snapshot_of(store.log.next_sequence(), head.id if head else None, root, content)
    return made, writer.sync(), head.id if head else None


def test_months_of_history_shrink_to_what_is_kept(store):
    rng = random.Random(5)
    files = {b"f%02d" % i: rng.randbytes(3000) for i in range(20)}
    for _ in range(40):
        files[b"f%02d" % rng.randrange(20)] = rng.randbytes(3000)
        commit(store, files)
    live = list(store.log.newest_first())
    gone(store, *live[1:20], *live[21:])
    expected = contents(store)
    size = folder_bytes(store)
    collected(store)
    assert contents(store) == expected
    assert folder_bytes(store) < size * 0.8


def test_a_pinned_root_keeps_what_history_does_not(store):
    first = commit(store, {b"a": noise(9000, 1)})
    commit(store, {b"a": noise(9000, 2)})
    gone(store, first)
    collect(store, [*roots(store), first.root], clock=lambda: NOW, rules=EAGER)
    assert [path for path, _ in walk(store, first.root)] == [b"a"]


def test_while_somebody_writes_nothing_is_removed(store):
    first = commit(store, {b"a": noise(9000, 1)})
    commit(store, {b"a": noise(9000, 2)})
    gone(store, first)
    other = DiskStore.open(store.folder, wait_s=0.05)
    with other.writer() as frozen:
        frozen.put_blob(hashing.blob_id(b"new"), b"new")
        before = folder_bytes(store)
        with pytest.raises(LockedError):
            collected(store)
        assert folder_bytes(store) == before
        store.refresh()
        assert store.has(first.root)
        made = snapshot_with(other, frozen, {b"a": b"new"}, other.log.head())
        other.log.append(*made)
    store.refresh()
    assert contents(store)[3, b"a"] == b"new"
    collected(store)
    assert contents(store)[3, b"a"] == b"new"
    other.close()


def test_a_writer_whose_lock_was_a_lie_is_refused(store, monkeypatch):
    first = commit(store, {b"a": noise(9000, 1)})
    commit(store, {b"a": noise(9000, 2)})
    gone(store, first)
    other = DiskStore.open(store.folder, wait_s=0.05)

    class NoLock:
        def release(self):
            pass

    monkeypatch.setattr(other.leases, "writing", NoLock)
    with other.writer() as frozen:
        # Believes that the first version is there and stores nothing but the tree.
        frozen.put_blob(hashing.blob_id(noise(9000, 1)), noise(9000, 1))
        made = snapshot_with(other, frozen, {b"b": noise(9000, 1)}, other.log.head())
        collected(store)
        with pytest.raises(LockedError, match="removed"):
            other.log.append(*made)
    store.refresh()
    assert [one.sequence for one in store.log.newest_first()] == [2]
    other.close()


def test_what_a_dead_writer_left_goes_once_it_is_old(store):
    commit(store, {b"a": b"1"})
    path = store.segments.path(77)
    handle = store.files.append(path, create=True)
    handle.write(b"casreplay seg 1\n" + b"half a record")
    handle.close()
    young = store.files.stamp(path)[2] + 5
    result = collect(store, roots(store), clock=lambda: young, rules=GcRules())
    assert result.plan.is_empty
    result = collect(store, roots(store), clock=lambda: young + 3600 * 10**9, rules=GcRules())
    assert result.plan.drop == (77,)
    assert store.files.stamp(path) is None


def test_a_store_that_lacks_something_needed_is_not_touched(store):
    first = commit(store, {b"a": noise(9000, 1)})
    second = commit(store, {b"a": noise(9000, 2)})
    gone(store, first)
    size = folder_bytes(store)
    real = store.entry_of
    store.entry_of = lambda one: None if one == hashing.blob_id(noise(9000, 2)) else real(one)
    with pytest.raises(MissingObjectError, match="nothing was removed"):
        collected(store)
    assert folder_bytes(store) == size
    assert store.log.sweeps() == 0
    del store.entry_of
    assert store.get(second.root)


class Recorder:
    """Files that write down what changes the disk."""

    def __init__(self, files):
        self.files = files
        self.steps = []

    def __getattr__(self, name):
        real = getattr(self.files, name)
        if name not in ("append", "rename", "truncate", "remove", "sync_folder"):
            return real

        def noted(path, *rest, **options):
            self.steps.append((name, path))
            return real(path, *rest, **options)

        return noted


def test_caches_go_first_then_log_then_index_then_data(tmp_path):
    files = Recorder(gc.DiskStore.create(str(tmp_path / "plain")).files)
    store = DiskStore.create(str(tmp_path / "store"), files=files)
    first = commit(store, {b"a": noise(9000, 1)})
    commit(store, {b"a": noise(9000, 2)})
    gone(store, first)
    store.write_cache("stat", [b"believed"])
    files.steps.clear()
    collected(store)
    assert store.read_cache("stat") is None

    def first_of(name, part):
        return next(i for i, (what, path) in enumerate(files.steps) if what == name and part in path)

    order = [
        first_of("remove", "/cache/stat"),
        first_of("sync_folder", "/cache"),
        first_of("append", "/log"),
        first_of("rename", "/index/"),
        first_of("remove", "/segments/"),
    ]
    assert order == sorted(order)
    store.close()


def uses(*rows):
    return [SegmentUse(*row) for row in rows]


def test_the_plan_drops_rewrites_and_keeps():
    decided = plan(
        uses(
            (1, 100, 0),
            (2, 100, 79),
            (3, 100, 80),
            (4, 100, 100),
            (5, 50, 0, False, 1),
            (6, 50, 0, False, 900),
        ),
        GcRules(max_dead_share=0.2, grace_ns=500),
        now_ns=1000,
    )
    assert (decided.drop, decided.rewrite, decided.keep) == ((1, 5), (2,), (3, 4, 6))
    assert (decided.live_bytes, decided.dead_bytes, decided.freed_bytes) == (259, 241, 171)
    assert (decided.unfinished_bytes, decided.ripe_ns, decided.spared_bytes) == (50, 1400, 20)


@given(
    st.lists(
        st.tuples(st.integers(1, 1000), st.integers(0, 1000), st.booleans(), st.integers(0, 2000)), max_size=8
    ),
    st.floats(0, 1),
)
def test_nothing_needed_is_ever_dropped(rows, share):
    given_uses = [SegmentUse(i, size, min(size, live), *rest) for i, (size, live, *rest) in enumerate(rows)]
    decided = plan(given_uses, GcRules(max_dead_share=share), now_ns=1500)
    assert all(given_uses[number].live_bytes == 0 for number in decided.drop)
    assert sorted((*decided.drop, *decided.rewrite, *decided.keep)) == list(range(len(rows)))


def test_measuring_changes_nothing(store):
    commit(store, {b"a": noise(100, 1)})
    before = store.files.read(store.folder + "/log")
    found, live = measure(store, roots(store))
    assert [use.number for use in found] == store.segments.numbers()
    assert found[0].live_bytes == found[0].total_bytes
    assert len(live[found[0].number]) == 2
    assert store.files.read(store.folder + "/log") == before


def test_what_was_recorded_while_a_collector_waited_stays(store):
    """The collector's list of snapshots is as old as its wish for the lock."""
    commit(store, {b"a": noise(9000, 1)})
    seen = roots(store)
    commit(store, {b"b": noise(9000, 2)})
    before = contents(store)
    collect(store, seen, clock=lambda: NOW, rules=EAGER)
    assert len(roots(store)) == 2
    assert contents(store) == before
