"""Builds the golden store: every record type, encoding and log record of format 1, the same bytes each time.

Run ``python -m support.golden FOLDER`` from ``tests/`` to make one for a new format
version. Golden stores of released versions are never rebuilt: they prove that old
stores still open.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from casreplay.codec import hashing
from casreplay.codec.manifest import encode_node, encode_tree, is_boundary
from casreplay.model.objects import Coverage, EntryKind, EntryState, GitState, Tree, TreeNode
from casreplay.store.disk import DiskStore
from casreplay.store.files import OsFiles
from support.snapshots import START_NS, commit, noise, snapshot_of

BIG = noise(150_000, seed=11) + bytes(100_000) + b"a line\n" * 5_000
"""Three chunks or so, most of them small when stored."""


_OPEN = (EntryKind.EXECUTABLE, EntryKind.FOLDER)


class GoldenFiles(OsFiles):
    """Random bytes that are the same each time."""

    def random_bytes(self, count):
        return bytes(range(count))


def leaf(entries: list[tuple[bytes, EntryKind, EntryState, bytes, bytes]]) -> Tree:
    """A folder from (name, kind, state, id, tree id) in any order."""
    entries = sorted(entries)
    n = len(entries)
    return Tree(
        names=[name for name, *_ in entries],
        kinds=bytes(kind for _, kind, *_ in entries),
        states=bytes(state for _, _, state, *_ in entries),
        modes=[0o755 if kind in _OPEN else 0o644 for _, kind, *_ in entries],
        sizes=[1] * n,
        ids=b"".join(blob for _, _, _, blob, _ in entries),
        mtimes_ns=[START_NS - i for i in range(n)],
        tree_ids=b"".join(tree for _, kind, _, _, tree in entries if kind is EntryKind.FOLDER),
    )


def put(writer, canonical: bytes, content: int, base=None) -> tuple[bytes, bytes]:
    """Store a tree object; its content id and tree id."""
    tree = hashing.tree_id(canonical)
    writer.put_tree(tree, canonical, base)
    return hashing.content_id(canonical[:content]), tree


def put_split(writer, names: list[bytes], blob: bytes) -> tuple[bytes, bytes]:
    """A folder of many files, split as the format says."""
    ends = [i + 1 for i, name in enumerate(names) if is_boundary(name)]
    ends += [len(names)] if not ends or ends[-1] != len(names) else []
    parts = [names[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    done = EntryState.COMPLETE
    stored = [
        put(writer, *encode_tree(leaf([(name, EntryKind.FILE, done, blob, b"") for name in part])))
        for part in parts
    ]
    node = TreeNode(
        [part[0] for part in parts],
        [len(part) for part in parts],
        b"".join(content for content, _ in stored),
        b"".join(tree for _, tree in stored),
    )
    return put(writer, *encode_node(node))


def record(store: DiskStore, big: bytes, base=None, **fields):
    """A snapshot with every kind of entry, a split folder and a chunked file."""
    head = store.log.head()
    done = EntryState.COMPLETE
    with store.writer() as writer:
        text = b"the quick brown fox jumps over the lazy dog\n" * 20
        big_id = hashing.blob_id(big)
        writer.put_blob(big_id, big, base)
        ids = [hashing.blob_id(text + b"%d" % i) for i in range(3)]
        for i, blob in enumerate(ids):
            writer.put_blob(blob, text + b"%d" % i)
        writer.put_blob(hashing.blob_id(b""), b"")
        writer.put_blob(hashing.blob_id(b"run.sh"), b"run.sh")
        many = put_split(writer, [b"file-%04d" % i for i in range(2100)], hashing.blob_id(b""))
        inner = put(writer, *encode_tree(leaf([(b"c\xff.bin", EntryKind.FILE, done, ids[2], b"")])))
        nothing = bytes(32)
        tree, length = encode_tree(
            leaf(
                [
                    (b"a.txt", EntryKind.FILE, done, ids[0], b""),
                    (b"b.txt", EntryKind.FILE, EntryState.PREFIX, ids[1], b""),
                    (b"big", EntryKind.FILE, done, big_id, b""),
                    (b"run.sh", EntryKind.EXECUTABLE, done, hashing.blob_id(b"run.sh"), b""),
                    (b"link", EntryKind.SYMLINK, done, hashing.blob_id(b"run.sh"), b""),
                    (b"many", EntryKind.FOLDER, done, *many),
                    (b"inner", EntryKind.FOLDER, done, *inner),
                    (b"pipe", EntryKind.FIFO, done, nothing, b""),
                    (b"secret", EntryKind.FILE, EntryState.UNREADABLE, nothing, b""),
                ]
            )
        )
        content, root = put(writer, tree, length, head.root if head else None)
        parent = head.id if head else None
        snapshot = snapshot_of(store.log.next_sequence(), parent, root, content, **fields)
        store.log.append(snapshot, writer.sync(), parent)
    return big_id


def build(folder: str) -> None:
    """Make the golden store in ``folder``; ``expected.json`` beside it says what is in it."""
    store = DiskStore.create(folder, files=GoldenFiles(), wait_s=0)
    removed = commit(store, {b"gone": b"soon"}, label="removed later")
    with store.deleting():
        store.log.remove([removed.id], "example")
        store.delete_segments(store.segments.numbers(), reason="example")
    git = GitState("0" * 40, "main", "ab" * 8)
    base = record(store, BIG, label="first", tags=("one", "two"), git=git, coverage=Coverage(files=7))
    longer = BIG[:70_000] + b"an insertion" + BIG[70_000:] + b"an append"
    record(store, longer, base, session="s-1", agent="agent", author="Ä", host="h", extra={"k": "v"})
    store.log.purge([hashing.blob_id(b"a secret that was never here")], "example")
    store.close()


if __name__ == "__main__":
    from support.golden_check import survey

    target = Path(sys.argv[1])
    build(str(target / "store"))
    told = json.dumps(survey(target / "store"), indent=1, sort_keys=True)
    (target / "expected.json").write_text(told + "\n")
