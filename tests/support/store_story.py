"""One run of everything a store does, for sweeps that interrupt it at every step.

``play`` commits small and chunked content, deltas, a worker's export, a removal, and
a gc that moves what lives and deletes segments. ``check`` opens what is left and asks
for everything that was acknowledged.
"""

from __future__ import annotations

from casreplay.codec import hashing
from casreplay.store.disk import DiskStore
from support.snapshots import noise, snapshot_of, tree_of

BIG = 400_000


def contents(step: int) -> dict[bytes, bytes]:
    """Files of the workspace at one step: some stay, some grow, one is chunked."""
    files = {b"stays": b"the same", b"grows": b"a line of text\n" * (10 + step), b"step": b"%d" % step}
    if step >= 2:
        big = noise(BIG, seed=7)
        files[b"big"] = big[:150_000] + b"%d" % step + big[150_000:]
    return files


def play(folder: str, files, acknowledge) -> None:
    """Run the story on a disk; ``acknowledge(snapshot)`` is called when a commit returned."""
    store = DiskStore.create(folder, files=files, wait_s=0)
    kept = []
    for step in range(4):
        kept.append(record(store, contents(step)))
        acknowledge(kept[-1])
        if step == 1:
            # Every commit of the command line opens the store anew.
            store.close()
            store = DiskStore.open(folder, files=files, wait_s=0)
    acknowledge(record(store, contents(5), worker=True))
    store.log.remove([kept[0].id], "retention")
    acknowledge(None, removed=kept[0])
    collect(store)
    acknowledge(record(store, contents(6)))
    store.close()


def record(store: DiskStore, files: dict[bytes, bytes], *, worker: bool = False):
    """One commit as the pipeline does it: blobs (in a worker's writer, or in ours), tree, log."""
    head = store.log.head()
    old = {} if head is None else dict(_entries(store, head))
    ids = {name: hashing.blob_id(raw) for name, raw in files.items()}
    segments: tuple = ()
    if worker:
        with store.writer() as helper:
            for name, raw in files.items():
                helper.put_blob(ids[name], raw, old.get(name))
            helper.sync()
            exported = helper.export_entries()
        segments = store.adopt(exported)
    with store.writer() as writer:
        for name, raw in files.items():
            if not worker:
                writer.put_blob(ids[name], raw, old.get(name))
        root, content, raw_tree = tree_of(ids)
        writer.put_tree(root, raw_tree, head.root if head else None)
        parent = head.id if head else None
        snapshot = snapshot_of(store.log.next_sequence(), parent, root, content)
        store.log.append(snapshot, (*segments, *writer.sync()), parent)
    return snapshot


def _entries(store, snapshot):
    from casreplay.codec.manifest import decode_tree

    tree = decode_tree(store.get(snapshot.root))
    return [(name, tree.ids[32 * i : 32 * i + 32]) for i, name in enumerate(tree.names)]


def read_all(store, snapshot) -> dict[bytes, bytes]:
    """Every file of a snapshot, each verified against its id on the way."""
    return {name: store.get(blob) for name, blob in _entries(store, snapshot)}


def collect(store: DiskStore) -> None:
    """A small gc: move what live snapshots need into new segments, then delete all old ones."""
    with store.deleting():
        old = store.segments.numbers()
        with store.writer(rewriting=True) as writer:
            for snapshot in store.log.newest_first():
                writer.put_tree(snapshot.root, store.get(snapshot.root))
                for _, blob in _entries(store, snapshot):
                    writer.put_blob(blob, store.get(blob))
            moved = writer.sync()
            store.delete_segments(old, moved=moved)


def check(folder: str, acknowledged, removed=()) -> None:
    """Everything acknowledged is there, whatever is in the log can be read, and work goes on."""
    store = DiskStore.open(folder, wait_s=0)
    present = {snapshot.id: snapshot for snapshot in store.log.newest_first()}
    gone = {snapshot.id for snapshot in removed}
    for snapshot in acknowledged:
        assert snapshot.id in present or snapshot.id in gone, "an acknowledged snapshot is missing"
    for snapshot in present.values():
        files = read_all(store, snapshot)
        assert files[b"stays"] == b"the same"
    problems = [problem for problem in store.log.verify() if problem.code != "log-torn"]
    assert not problems, problems
    again = record(store, contents(9))
    store.close()
    store = DiskStore.open(folder, wait_s=0)
    assert store.log.head() == again
    assert read_all(store, again) == contents(9)
    for snapshot in present.values():
        read_all(store, snapshot)
    assert not store.log.verify()
    store.close()
