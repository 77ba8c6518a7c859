"""A writer in another process, frozen across a gc: its work is intact afterwards, or refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from support.disk_trees import commit_folder
from support.snapshots import noise

from casreplay.codec import hashing
from casreplay.errors import LockedError
from casreplay.history.gc import GcRules, collect
from casreplay.history.verify import fsck
from casreplay.history.walk import walk
from casreplay.store.disk import DiskStore

EAGER = GcRules(max_dead_share=0.0, grace_ns=0)
WRITER = """
import os, signal, sys
sys.path[:0] = [{here!r}, {tests!r}]
from support.disk_trees import put_all
from support.list_log import snapshot
from support.snapshots import noise
from support.tree_builder import DictObjects, build
from casreplay.store.disk import DiskStore

store = DiskStore.open({folder!r}, wait_s=0.05)
objects = DictObjects()
root, tree, _ = build(objects, {{b"old": noise(9000, 1), b"new": noise(9000, 3)}})
head = store.log.head()
with store.writer() as writer:
    put_all(writer, objects)
    segments = writer.sync()
    print("frozen", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    made = snapshot(store.log.next_sequence(), root=root, tree=tree, parent=head.id)
    store.log.append(made, segments, head.id)
print("recorded", flush=True)
"""

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be frozen here")


def test_gc_is_refused_while_a_writer_is_frozen_and_its_work_is_intact(tmp_path):
    store = DiskStore.create(str(tmp_path / "store"), wait_s=0.05)
    first = commit_folder(store, {b"old": noise(9000, 1)})
    commit_folder(store, {b"old": noise(9000, 2)})
    store.log.remove([first.id], "prune")
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    script = WRITER.format(here=here, tests=os.path.join(here, "tests"), folder=store.folder)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout.readline() == "frozen\n"
            os.waitid(os.P_PID, writer.pid, os.WSTOPPED | os.WNOWAIT)
            for _ in range(2):
                roots = [one.root for one in store.log.newest_first()]
                with pytest.raises(LockedError):
                    collect(store, roots, clock=lambda: 10**19, rules=EAGER)
            assert store.has(hashing.blob_id(noise(9000, 1)))
        finally:
            os.kill(writer.pid, signal.SIGCONT)
        assert writer.stdout.readline() == "recorded\n"
    store.refresh()
    roots = [one.root for one in store.log.newest_first()]
    assert len(roots) == 2
    collect(store, roots, clock=lambda: 10**19, rules=EAGER)
    assert {p: store.get(e.blob_id) for p, e in walk(store, roots[0])} == {
        b"old": noise(9000, 1),
        b"new": noise(9000, 3),
    }
    assert fsck(store, data=True).is_clean
    store.close()


def test_a_writer_that_was_killed_holds_nothing_up(tmp_path):
    store = DiskStore.create(str(tmp_path / "store"), wait_s=0.05)
    kept = commit_folder(store, {b"old": noise(9000, 2)})
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    script = WRITER.format(here=here, tests=os.path.join(here, "tests"), folder=store.folder)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "frozen\n"
        writer.kill()
    collect(store, [kept.root], clock=lambda: 10**19, rules=EAGER)
    assert store.unused_segments() == []
    assert fsck(store, data=True).is_clean
    assert [e.name for _, e in walk(store, kept.root)] == [b"old"]
    store.close()
