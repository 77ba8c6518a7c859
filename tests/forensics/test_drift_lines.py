"""Lines counted by chunks are lines, and what was counted is not read again."""

from __future__ import annotations

import random
from contextlib import closing

import pytest
from support.list_log import snapshot
from support.tree_builder import DictObjects

from casreplay.codec.hashing import blob_id
from casreplay.errors import MissingObjectError
from casreplay.forensics.drift_lines import LineCounter
from casreplay.model.ids import BlobId
from casreplay.store.disk import DiskStore


def by_hand(raw):
    return raw.count(b"\n") + bool(raw and not raw.endswith(b"\n"))


@pytest.mark.parametrize("raw", [b"", b"\n", b"a", b"a\n", b"a\nb", b"\n\n", b"a\r\nb\r"])
def test_lines_of_small_contents(raw):
    objects = DictObjects()
    assert LineCounter(objects).lines(BlobId(objects.put(raw))) == by_hand(raw)


class Watched:
    """A store that notes what is read of it."""

    def __init__(self, store):
        self.read_bytes = 0
        self._store = store

    def get(self, object_id):
        raw = self._store.get(object_id)
        self.read_bytes += len(raw)
        return raw

    def chunk_list(self, blob):
        return self._store.chunk_list(blob)


def test_a_log_that_grows_is_read_once(tmp_path):
    rng = random.Random(2)
    log, states = b"", []
    for _ in range(60):
        log += b"".join(b"%d line of a log\n" % rng.randrange(10**9) for _ in range(900))
        log += b"unfinished" * rng.randrange(2)
        states.append(log)
    states += [log[: len(log) // 2], log[100_000:], b"other\n" + log, b""]
    with closing(DiskStore.create(str(tmp_path / "store"), durability="off")) as store:
        parent = base = None
        for number, state in enumerate(states, start=1):
            with store.writer() as writer:
                writer.put_blob(blob_id(state), state, base)
                base = blob_id(state)
                one = snapshot(number, parent=parent)
                store.log.append(one, writer.sync(), parent)
                parent = one.id
        watched = Watched(store)
        counter = LineCounter(watched)
        assert [counter.lines(blob_id(state)) for state in states] == [by_hand(state) for state in states]
        # A sixtieth of it comes new each time, in chunks of some 64 KB: far from the sum of all states.
        assert watched.read_bytes < 8 * len(log)
        assert sum(map(len, states)) > 25 * len(log)
        read = watched.read_bytes
        assert counter.lines(blob_id(states[30])) == by_hand(states[30])
        assert watched.read_bytes == read
        with pytest.raises(MissingObjectError):
            counter.lines(blob_id(b"not there"))
