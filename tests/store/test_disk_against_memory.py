"""A state machine: whatever is done to the store on disk, the one in memory says the same."""

from __future__ import annotations

import shutil
import tempfile

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.snapshots import noise, snapshot_of, tree_of

from casreplay.codec import hashing
from casreplay.store import index
from casreplay.store.disk import DiskStore
from casreplay.store.memory import MemoryStore

CONTENT = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda n, seed: noise(n, seed % 3), st.integers(0, 2000), st.integers(0, 100)),
    st.builds(
        lambda n, at: noise(300_000, 1)[:at] + b"edit" * n + noise(300_000, 1)[at:],
        st.integers(0, 5),
        st.integers(0, 300_000),
    ),
)


class Stores(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.folder = tempfile.mkdtemp()
        self.kept_limit, index.TAIL_LIMIT = index.TAIL_LIMIT, 8
        self.disk = DiskStore.create(self.folder + "/store", durability="off", wait_s=0)
        self.memory = MemoryStore()
        self.ids = []

    def teardown(self):
        if hasattr(self, "folder"):
            index.TAIL_LIMIT = self.kept_limit
            self.disk.close()
            shutil.rmtree(self.folder)

    @rule(files=st.lists(CONTENT, max_size=4), streamed=st.booleans(), data=st.data())
    def commit(self, files, streamed, data):
        for store in (self.disk, self.memory):
            head = store.log.head()
            ids = {}
            with store.writer() as writer:
                for i, raw in enumerate(files):
                    base = self.ids[(i * 7) % len(self.ids)] if self.ids else None
                    name = hashing.blob_id(raw)
                    if streamed:
                        assert writer.put_stream([raw[:1000], raw[1000:]], base) == (name, len(raw))
                    else:
                        writer.put_blob(name, raw, base)
                    ids[b"%d" % i] = name
                root, content, raw_tree = tree_of(ids)
                writer.put_tree(root, raw_tree, head.root if head else None)
                parent = head.id if head else None
                snapshot = snapshot_of(store.log.next_sequence(), parent, root, content)
                store.log.append(snapshot, writer.sync(), parent)
        self.ids += [one for one in ids.values() if one not in self.ids]

    @precondition(lambda self: len(self.memory.log))
    @rule(data=st.data())
    def remove(self, data):
        every = list(self.memory.log.newest_first())
        gone = data.draw(st.lists(st.sampled_from([one.id for one in every]), max_size=2))
        for store in (self.disk, self.memory):
            store.log.remove(gone, "test")

    @rule()
    def reopen(self):
        self.disk.close()
        self.disk = DiskStore.open(self.folder + "/store", durability="off", wait_s=0)

    @rule()
    def rebuild(self):
        self.disk.rebuild_index()

    @rule()
    def lose_the_index(self):
        shutil.rmtree(self.folder + "/store/index")
        self.reopen()

    @rule()
    def collect(self):
        """Move everything: what the memory store holds is what lives."""
        with self.disk.deleting(), self.disk.writer(rewriting=True) as writer:
            old = self.disk.segments.numbers()
            for name, (kind, raw) in self.memory.objects.items():
                (writer.put_tree if kind == 2 else writer.put_blob)(name, raw)
            self.disk.delete_segments(old, moved=writer.sync())

    @invariant()
    def they_agree(self):
        if not hasattr(self, "disk"):
            return
        assert list(self.disk.log.newest_first()) == list(self.memory.log.newest_first())
        assert self.disk.log.next_sequence() == self.memory.log.next_sequence()
        for name, (_, raw) in self.memory.objects.items():
            assert self.disk.get(name) == raw
        # Chunks are objects of their own on disk, and only there.
        assert set(self.memory.ids()) <= set(self.disk.ids())


@pytest.mark.parametrize("steps", [25, pytest.param(60, marks=pytest.mark.slow)])
def test_the_store_on_disk_is_the_store_in_memory(steps):
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Stores, settings=settings(max_examples=steps, stateful_step_count=steps, deadline=None)
    )
