"""Builders of blobs, trees and snapshots for tests of every floor."""

from __future__ import annotations

import dataclasses
import random

from casreplay.codec import hashing
from casreplay.codec.manifest import encode_snapshot, encode_tree
from casreplay.model.ids import BlobId, ContentId, SnapshotId, TreeId
from casreplay.model.objects import EntryKind, Snapshot, Tree

START_NS = 1_790_000_000_000_000_000


def noise(length: int, seed: int = 0) -> bytes:
    """Bytes that do not compress, the same for the same seed."""
    return random.Random(seed).randbytes(length)


def blob(raw: bytes) -> tuple[BlobId, bytes]:
    return hashing.blob_id(raw), raw


def tree_of(files: dict[bytes, BlobId]) -> tuple[TreeId, ContentId, bytes]:
    """Ids and canonical bytes of a folder that holds plain files."""
    names = sorted(files)
    raw, content = encode_tree(
        Tree(
            names=names,
            kinds=bytes([EntryKind.FILE]) * len(names),
            states=bytes(len(names)),
            modes=[0o644] * len(names),
            sizes=[0] * len(names),
            ids=b"".join(files[name] for name in names),
            mtimes_ns=[START_NS] * len(names),
            tree_ids=b"",
        )
    )
    return hashing.tree_id(raw), hashing.content_id(raw[:content]), raw


def snapshot_of(
    sequence: int, parent: SnapshotId | None, root: TreeId, content: ContentId, **fields
) -> Snapshot:
    unnamed = Snapshot(
        id=SnapshotId(b""),
        sequence=sequence,
        time_ns=START_NS + sequence * 1_000_000_000,
        parent=parent,
        root=root,
        tree=content,
        **fields,
    )
    return dataclasses.replace(unnamed, id=hashing.snapshot_id(encode_snapshot(unnamed)))


def commit(store, files: dict[bytes, bytes], **fields) -> Snapshot:
    """Store plain files and one folder that names them, and record a snapshot."""
    head = store.log.head()
    with store.writer() as writer:
        ids = {}
        for name, raw in files.items():
            ids[name] = hashing.blob_id(raw)
            writer.put_blob(ids[name], raw)
        root, content, raw_tree = tree_of(ids)
        writer.put_tree(root, raw_tree, head.root if head else None)
        snapshot = snapshot_of(store.log.next_sequence(), head.id if head else None, root, content, **fields)
        store.log.append(snapshot, writer.sync(), head.id if head else None)
    return snapshot
