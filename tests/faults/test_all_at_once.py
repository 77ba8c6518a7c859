"""Two recorders, a collector and readers at one store at once; recorders and collectors are killed at will.

Everything a recorder acknowledged must be in the log and hold what the folder held, whoever died in
between. One recorder opens the store for each snapshot, the other keeps it open.
"""

from __future__ import annotations

import os
import random
import select
import signal
from contextlib import suppress
from itertools import count

import pytest
from support.processes import child

from casreplay import CommitOptions, Repository
from casreplay.codec.hashing import blob_id
from casreplay.errors import CorruptError, LockedError
from casreplay.history.gc import GcRules, collect
from casreplay.history.verify import fsck, repair_index
from casreplay.store.disk import DiskStore

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="recorders are forked here")
EAGER = GcRules(max_dead_share=0.0, grace_ns=0)
TOLD_BYTES = 72
"""Of an acknowledgement: the snapshot's id, its sequence, and a digest of the folder it holds."""
KEPT = 8
"""The collector drops all snapshots but so many, the acknowledged ones among them."""


def digest(contents):
    """One hash over names and contents."""
    parts = (name + b"\0" + blob_id(content) for name, content in sorted(contents.items()))
    return blob_id(b"".join(parts))


def change(workspace, rng):
    """Write, append to, cut or remove one of a few files; some contents come back."""
    path = workspace / f"file-{rng.randrange(5)}"
    form = rng.randrange(6)
    if form == 0:
        path.unlink(missing_ok=True)
    elif form == 1 and path.exists():
        path.write_bytes(path.read_bytes() + rng.randbytes(2_000))
    elif form == 2 and path.exists():
        path.write_bytes(path.read_bytes()[:40_000])
    elif form == 3:
        path.write_bytes(b"known %d" % rng.randrange(4) * 3_000)
    else:
        path.write_bytes(rng.randbytes(rng.choice([10, 3_000, 300_000])))


def recorder(workspace, store, seed, *, stays_open):
    """Changes its workspace and records it for ever, telling of each snapshot it was promised."""
    reading, writing = os.pipe()

    def work():
        os.close(reading)
        rng = random.Random(seed)
        repository = Repository.open(store, workspace)
        for number in count():
            change(workspace, rng)
            if not stays_open:
                repository.close()
                repository = Repository.open(store, workspace)
            with suppress(LockedError):
                done = repository.commit(CommitOptions(label=f"{seed} {number}"))
                held = {os.fsencode(one.name): one.read_bytes() for one in workspace.iterdir()}
                sequence = done.snapshot.sequence.to_bytes(8, "big")
                os.write(writing, done.snapshot.id + sequence + digest(held))

    pid = child(work)
    os.close(writing)
    return pid, reading


def read_everything(store):
    """A reader's look: every content of every snapshot it sees, unless a prune took it meanwhile."""
    with Repository.open(store, store) as repository:
        for snapshot in repository.snapshots(limit=3):
            try:
                contents_of(repository, snapshot)
            except CorruptError:
                if snapshot.id in {one.id for one in repository.snapshots()}:
                    raise


def contents_of(repository, snapshot):
    found = repository.walk(snapshot)
    return {path: repository.read(snapshot, path) for path, entry in found if entry.blob_id is not None}


def collector(store):
    opened = DiskStore.open(str(store), wait_s=0.05)
    with suppress(LockedError):
        live = list(opened.log.newest_first())
        if len(live) > KEPT:
            opened.log.remove([one.id for one in live[KEPT:]], "retention")
        collect(opened, [one.root for one in opened.log.newest_first()], clock=lambda: 0, rules=EAGER)
        repair_index(opened)
    opened.close()


def kill(pid, rng):
    """Without warning, after a moment; returns how it ended."""
    select.select([], [], [], rng.random() * 0.05)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def one_round(workspaces, store, rng, acknowledged):
    """Returns how everybody ended who was not to be killed."""
    recorders = [
        recorder(folder, store, rng.random(), stays_open=bool(number))
        for number, folder in enumerate(workspaces)
    ]
    collecting, reading_all = child(lambda: collector(store)), child(lambda: read_everything(store))
    acknowledged.append(os.read(recorders[0][1], TOLD_BYTES))
    is_collector_killed = rng.random() < 0.4
    if is_collector_killed:
        kill(collecting, rng)
    ends = [kill(pid, rng) for pid, _ in recorders]
    for _, reading in recorders:
        while told := os.read(reading, TOLD_BYTES):
            acknowledged.append(told)
        os.close(reading)
    waited = [reading_all] if is_collector_killed else [reading_all, collecting]
    assert ends == [-signal.SIGKILL] * 2
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in waited]


def check(store, acknowledged, *, data):
    """What was told of is there and holds what it held; the collector takes the oldest alone."""
    with Repository.open(store, store) as repository:
        kept = {one.sequence: one for one in repository.snapshots()}
        report = fsck(repository.store, data=data)
        # Who is killed while appending to the log leaves a torn record, which the next one cuts off.
        assert [one for one in report.problems if one.code != "log-torn"] == []
        told = {int.from_bytes(one[32:40], "big"): one for one in acknowledged}
        assert max(told) in kept
        for sequence, one in told.items():
            if sequence >= min(kept):
                assert kept[sequence].id == one[:32]
                assert digest(contents_of(repository, kept[sequence])) == one[40:]


@pytest.mark.parametrize("rounds", [8, pytest.param(300, marks=pytest.mark.slow)])
def test_killed_recorders_a_collector_and_readers_lose_nothing(tmp_path, rounds):
    store = tmp_path / "store"
    workspaces = [tmp_path / "one", tmp_path / "two"]
    for folder in workspaces:
        folder.mkdir()
    Repository.init(workspaces[0], store).close()
    rng = random.Random(rounds)
    acknowledged: list[bytes] = []
    for number in range(rounds):
        assert not any(one_round(workspaces, store, rng, acknowledged)), f"round {number}"
        check(store, acknowledged, data=number % 10 == 0)
    assert len(acknowledged) > rounds
