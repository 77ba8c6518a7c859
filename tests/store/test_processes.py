"""Several processes at one store: races, a killed writer, a frozen writer, a gc under a reader."""

from __future__ import annotations

import os
import random
import select
import signal
from functools import partial
from itertools import chain

import pytest
from support.processes import child, join_all
from support.snapshots import blob, commit, noise, snapshot_of, tree_of
from support.store_story import collect, contents, read_all, record

from casreplay.codec import hashing
from casreplay.errors import LockedError, MissingObjectError, UsageError
from casreplay.store.disk import DiskStore

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked only where fork exists")


@pytest.fixture
def folder(tmp_path):
    DiskStore.create(str(tmp_path / "store"), wait_s=0).close()
    return str(tmp_path / "store")


def commit_until_it_works(store, files) -> None:
    while True:
        try:
            record(store, files)
        except LockedError:
            continue
        return


def test_writers_at_once_lose_nothing(folder):
    def work(who):
        store = DiskStore.open(folder, wait_s=20)
        for i in range(6):
            commit_until_it_works(
                store, {b"who": b"%d" % who, b"i": b"%d" % i, b"own": noise(500, who * 100 + i)}
            )

    join_all([child(lambda who=who: work(who)) for who in range(3)])
    store = DiskStore.open(folder, wait_s=0)
    snapshots = list(store.log.newest_first())
    assert [one.sequence for one in snapshots] == list(range(18, 0, -1))
    seen = {(files[b"who"], files[b"i"]) for files in (read_all(store, one) for one in snapshots)}
    assert len(seen) == 18
    assert store.log.verify() == []
    assert store.catalog.index.log_end == store.log.end()
    store.close()


def test_of_creators_at_once_one_makes_the_store(tmp_path):
    """The others are told that there is one, and it is the same one for everybody."""

    def work(place):
        try:
            DiskStore.create(place, wait_s=20).close()
        except UsageError as error:
            assert "a store already" in str(error)  # noqa: PT017 - the others pass without an error
            os._exit(2)

    for number in range(8):
        place = str(tmp_path / f"new-{number}" / "store")
        pids = [child(partial(work, place)) for _ in range(4)]
        statuses = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids)
        assert statuses == [0, 2, 2, 2]
        record(DiskStore.open(place, wait_s=0), contents(1))


def test_workers_share_one_commit(folder):
    """The first commit's way: forked writers, each on its own segment, adopted by the parent."""
    store = DiskStore.open(folder, wait_s=0)
    shares = [[blob(noise(3000, seed=100 * w + i)) for i in range(40)] for w in range(3)]
    with store.writer() as writer:
        pipes = []
        for share in shares:
            reading, writing = os.pipe()

            def work(share=share, writing=writing):
                with store.writer() as own:
                    for one in share:
                        own.put_blob(*one)
                    own.sync()
                    data = own.export_entries()
                os.write(writing, data)
                os.close(writing)

            pipes.append((child(work), reading))
            os.close(writing)
        segments = []
        for pid, reading in pipes:
            with os.fdopen(reading, "rb") as pipe:
                segments += store.adopt(pipe.read())
            join_all([pid])
        ids = {b"%d" % i: one[0] for i, one in enumerate(chain(*shares))}
        assert all(store.has(one) for one in ids.values())
        root, content, raw = tree_of(ids)
        writer.put_tree(root, raw)
        store.log.append(snapshot_of(1, None, root, content), (*segments, *writer.sync()), None)
    assert len({number for number, _ in segments}) == 3
    again = DiskStore.open(folder, wait_s=0)
    assert len(read_all(again, again.log.head())) == 120
    assert again.catalog.index.log_end == again.log.end()


def test_a_claim_keeps_workers_from_storing_twice(folder):
    store = DiskStore.open(folder, wait_s=0)
    taken: set[bytes] = set()

    def claim(object_id):
        return not (object_id in taken or taken.add(object_id))

    one = blob(noise(1000))
    with store.writer(claim=claim) as first, store.writer(claim=claim) as second:
        assert first.put_blob(*one)
        assert not second.put_blob(*one)


def test_a_failed_commit_gives_back_what_its_workers_wrote(folder):
    store = DiskStore.open(folder, wait_s=0)
    commit(store, {b"a": b"1"})
    before = {n: store.segments.size(n) for n in store.segments.numbers()}
    with store.writer() as worker:
        worker.put_blob(*blob(noise(5000)))
        worker.sync()
        exported = worker.export_entries()
    store.adopt(exported)
    store.discard(exported)
    assert {n: store.segments.size(n) for n in store.segments.numbers()} == before
    assert not store.has(blob(noise(5000))[0])


def test_a_writer_that_fails_is_cut_back(folder):
    store = DiskStore.open(folder, wait_s=0)
    commit(store, {b"a": b"1"})
    size = store.segments.size(1)

    def fail():
        with store.writer() as writer:
            writer.put_blob(*blob(noise(5000)))
            writer.sync()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert store.segments.size(1) == size
    assert commit(store, {b"a": b"2"}).sequence == 2
    assert store.segments.numbers() == [1]


def test_nothing_decoded_outlives_a_cut(folder):
    """The place of a record that was cut off is taken by another: what was decoded there must go too."""
    store = DiskStore.open(folder, wait_s=0)
    commit(store, {b"a": b"1"})

    def put_pair(writer, seed):
        first = blob(noise(4000, seed))
        second = blob(first[1] + b"more")
        writer.put_blob(*first)
        writer.sync()
        writer.put_blob(*second, first[0])
        return first, second

    def fail():
        with store.writer() as writer:
            put_pair(writer, 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with store.writer() as writer:
        pair = put_pair(writer, 2)
        head = store.log.head()
        root, content, raw = tree_of({b"x": pair[1][0]})
        writer.put_tree(root, raw)
        store.log.append(snapshot_of(2, head.id, root, content), writer.sync(), head.id)
    for again in (store, DiskStore.open(folder, wait_s=0)):
        for name, raw in pair:
            assert again.get(name) == raw


def test_what_a_dead_worker_wrote_is_never_taken_for_durable(folder):
    """Its parent may still be on the way to the log: the segment is left alone until a gc."""

    def work():
        store = DiskStore.open(folder, wait_s=0)
        writer = store.writer()
        writer.put_blob(*blob(noise(5000)))
        writer.sync()
        os._exit(0)

    join_all([child(work)])
    store = DiskStore.open(folder, wait_s=0)
    assert not store.has(blob(noise(5000))[0])
    commit(store, {b"a": b"1"})
    assert store.segments.numbers() == [1, 2]
    assert store.unused_segments() == [1]
    with store.deleting():
        assert store.delete_segments(store.unused_segments()) > 5000
    assert read_all(store, store.log.head()) == {b"a": b"1"}


def test_a_frozen_writer_keeps_its_data_from_being_deleted(folder):
    """rustic lost data in exactly this test: SIGSTOP a backup, prune, SIGCONT."""
    store = DiskStore.open(folder, wait_s=0)
    shared = noise(5000, seed=5)
    old = commit(store, {b"shared": shared})
    newer = commit(store, {b"other": b"x"})
    ready_out, ready_in = os.pipe()

    def work():
        own = DiskStore.open(folder, wait_s=0)
        with own.writer() as writer:
            assert not writer.put_blob(*blob(shared))
            os.write(ready_in, b"!")
            os.kill(os.getpid(), signal.SIGSTOP)
            root, content, raw = tree_of({b"again": hashing.blob_id(shared)})
            writer.put_tree(root, raw)
            own.log.append(snapshot_of(3, newer.id, root, content), writer.sync(), newer.id)

    pid = child(work)
    assert os.read(ready_out, 1) == b"!"
    os.waitpid(pid, os.WUNTRACED)
    store.log.remove([old.id], "retention")
    with pytest.raises(LockedError, match="writing") as caught, store.deleting():
        pass
    assert str(pid) in caught.value.hint
    os.kill(pid, signal.SIGCONT)
    join_all([pid])
    assert read_all(store, store.log.head()) == {b"again": shared}
    collect(store)
    assert read_all(DiskStore.open(folder, wait_s=0), store.log.head()) == {b"again": shared}


def test_a_sweep_under_a_writer_refuses_its_commit(folder):
    """Were the lock ever broken, the count of sweeps in the log still tells."""
    store = DiskStore.open(folder, wait_s=0)
    first = commit(store, {b"a": b"1"})
    with store.writer() as writer:
        root, content, raw = tree_of({})
        writer.put_tree(root, raw)
        other = DiskStore.open(folder, wait_s=0)
        other.log.sweep([], (), "somebody who took no lock")
        with pytest.raises(LockedError, match="removed"):
            store.log.append(snapshot_of(2, first.id, root, content), writer.sync(), first.id)
    assert commit(store, {b"a": b"2"}).sequence == 2


def test_a_writer_is_refused_while_data_is_deleted(folder):
    store = DiskStore.open(folder, wait_s=0)
    with store.deleting(), pytest.raises(LockedError, match="removed"):
        DiskStore.open(folder, wait_s=0).writer()


def test_the_log_lock_is_not_waited_for_for_ever(folder):
    store = DiskStore.open(folder, wait_s=0)
    with store.leases.appending(), pytest.raises(LockedError, match="recording"):
        commit(DiskStore.open(folder, wait_s=0), {b"a": b"1"})


def test_a_reader_survives_a_gc(folder):
    store = DiskStore.open(folder, wait_s=0)
    snapshots = [record(store, contents(step)) for step in range(4)]
    reader = DiskStore.open(folder, wait_s=0)
    fresh = DiskStore.open(folder, wait_s=0)
    assert read_all(reader, snapshots[0]) == contents(0)
    collect(store)
    for step, snapshot in enumerate(snapshots):
        # One has some segments open, the other none: both must find where things went.
        assert read_all(reader, snapshot) == contents(step)
        assert read_all(fresh, snapshot) == contents(step)


def test_a_reader_sees_what_others_commit(folder):
    reader = DiskStore.open(folder, wait_s=0)
    store = DiskStore.open(folder, wait_s=0)
    for i in range(3):
        snapshot = commit(store, {b"i": b"%d" % i})
        assert reader.log.head() == snapshot
        assert read_all(reader, snapshot) == {b"i": b"%d" % i}


def test_a_purged_object_says_so(folder):
    store = DiskStore.open(folder, wait_s=0)
    secret, _ = blob(b"a secret")
    store.log.purge([secret], "leaked")
    with pytest.raises(MissingObjectError, match="purged"):
        store.get(secret)


def killed_writer_round(folder, rng, acknowledged) -> None:
    """Fork a process that commits and tells; kill it after a random number of tellings and bytes."""
    reading, writing = os.pipe()

    def work():
        os.close(reading)
        own = DiskStore.open(folder, wait_s=20)
        for i in range(1000):
            snapshot = record(own, {b"stays": b"the same", b"noise": noise(rng.randint(0, 9000), i)})
            os.write(writing, snapshot.id)

    pid = child(work)
    os.close(writing)
    for _ in range(rng.randint(0, 4)):
        acknowledged.append(os.read(reading, 32))
    for _ in range(rng.randint(0, 2000)):
        select.select([], [], [], 0)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while told := os.read(reading, 32):
        acknowledged.append(told)
    os.close(reading)


@pytest.mark.parametrize("rounds", [25, pytest.param(400, marks=pytest.mark.slow)])
def test_a_killed_writer_loses_nothing_it_acknowledged(folder, rounds):
    rng = random.Random(rounds)
    acknowledged: list[bytes] = []
    for number in range(rounds):
        killed_writer_round(folder, rng, acknowledged)
        store = DiskStore.open(folder, wait_s=0)
        present = {one.id: one for one in store.log.newest_first()}
        assert set(acknowledged) <= set(present)
        assert [p for p in store.log.verify() if p.code != "log-torn"] == []
        if number % 20 == 7:
            commit(store, {b"between": b"%d" % number, b"stays": b"the same"})
        for name in list(present)[:10]:
            assert read_all(store, present[name])[b"stays"] == b"the same"
        store.close()
    store = DiskStore.open(folder, wait_s=0)
    for snapshot in store.log.newest_first():
        assert read_all(store, snapshot)[b"stays"] == b"the same"
    with store.deleting():
        store.delete_segments(store.unused_segments())
    store.close()
