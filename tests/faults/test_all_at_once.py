"""Two recorders, a collector and readers at one store at once; recorders are killed without warning.

Everything a recorder acknowledged must be in the log and readable, whoever died in between.
"""

from __future__ import annotations

import os
import random
import select
import signal
from contextlib import suppress

import pytest
from support.processes import child

from casreplay import CommitOptions, Repository
from casreplay.errors import LockedError
from casreplay.history.gc import GcRules, collect
from casreplay.history.verify import fsck
from casreplay.store.disk import DiskStore

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="recorders are forked here")
EAGER = GcRules(max_dead_share=0.0, grace_ns=0)
TOLD_BYTES = 40
KEPT = 8
"""The collector drops all snapshots but so many, the acknowledged ones among them."""


def recorder(workspace, store, seed):
    """Changes its workspace and records it for ever; each acknowledgement is an id and a sequence."""
    reading, writing = os.pipe()

    def work():
        os.close(reading)
        rng = random.Random(seed)
        number = 0
        while True:
            number += 1
            name = workspace / f"file-{rng.randrange(5)}"
            name.write_bytes(rng.randbytes(rng.choice([10, 3_000, 300_000])))
            with suppress(LockedError), Repository.open(store, workspace) as repository:
                done = repository.commit(CommitOptions(label=f"{seed} {number}"))
                os.write(writing, done.snapshot.id + done.snapshot.sequence.to_bytes(8, "big"))

    pid = child(work)
    os.close(writing)
    return pid, reading


def read_everything(store):
    """A reader's look: every content of every snapshot it sees, unless a prune took it meanwhile."""
    with Repository.open(store, store) as repository:
        for snapshot in repository.snapshots(limit=3):
            for path, entry in repository.walk(snapshot):
                if entry.blob_id is not None:
                    assert repository.read(snapshot, path) is not None


def collector(store):
    opened = DiskStore.open(str(store), wait_s=0.05)
    with suppress(LockedError):
        live = list(opened.log.newest_first())
        if len(live) > KEPT:
            opened.log.remove([one.id for one in live[KEPT:]], "retention")
        collect(opened, [one.root for one in opened.log.newest_first()], clock=lambda: 0, rules=EAGER)
    opened.close()


def one_round(workspaces, store, rng, acknowledged):
    recorders = [recorder(folder, store, rng.random()) for folder in workspaces]
    others = [child(lambda: collector(store)), child(lambda: read_everything(store))]
    acknowledged.append(os.read(recorders[0][1], TOLD_BYTES))
    for pid, _ in recorders:
        select.select([], [], [], rng.random() * 0.05)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for _, reading in recorders:
        while told := os.read(reading, TOLD_BYTES):
            acknowledged.append(told)
        os.close(reading)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in others]


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
        assert one_round(workspaces, store, rng, acknowledged) == [0, 0], f"round {number}"
        with Repository.open(store, workspaces[0]) as repository:
            kept = {one.sequence: one.id for one in repository.snapshots()}
            assert fsck(repository.store, data=number % 10 == 0).is_clean
        # The collector takes the oldest: whatever was told of later ones must be there.
        told = {int.from_bytes(one[32:], "big"): one[:32] for one in acknowledged}
        assert max(told) in kept
        assert {n: one for n, one in told.items() if n >= min(kept)}.items() <= kept.items()
    assert len(acknowledged) > rounds
