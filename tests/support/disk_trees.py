"""Whole snapshots of nested folders in a store on disk, and trees as hostile as a test wants them."""

from __future__ import annotations

from casreplay.model.ids import ContentId, TreeId
from casreplay.store.base import ObjectKind
from support.list_log import snapshot
from support.tree_builder import DictObjects, build


def put_all(writer, objects: DictObjects) -> None:
    """Store what was built in a dictionary, under the ids it was kept under there."""
    for object_id, raw in objects.kept.items():
        if objects.kinds[object_id] is ObjectKind.TREE:
            writer.put_tree(object_id, raw)
        else:
            writer.put_blob(object_id, raw)


def record(store, objects: DictObjects, root: TreeId, tree: ContentId, **fields):
    """Store everything in ``objects`` and record a snapshot of ``root``."""
    head = store.log.head()
    with store.writer() as writer:
        put_all(writer, objects)
        made = snapshot(
            store.log.next_sequence(), root=root, tree=tree, parent=head.id if head else None, **fields
        )
        store.log.append(made, writer.sync(), head.id if head else None)
    return made


def commit_folder(store, content: dict, **fields):
    """Record a folder given as a nested dictionary (see ``tree_builder.build``)."""
    objects = DictObjects()
    root, tree, _ = build(objects, content)
    return record(store, objects, root, tree, **fields)
