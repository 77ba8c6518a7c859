"""A snapshot log over a list, and snapshots for it."""

from __future__ import annotations

import dataclasses

from casreplay.codec.hashing import snapshot_id
from casreplay.codec.manifest import encode_snapshot
from casreplay.errors import LockedError, UnknownNameError
from casreplay.model.ids import ContentId, SnapshotId, TreeId
from casreplay.model.objects import Snapshot


def snapshot(sequence: int, **fields) -> Snapshot:
    """A snapshot with a true id; ``time_ns`` is a minute for each one unless given."""
    values = {
        "id": SnapshotId(bytes(32)),
        "sequence": sequence,
        "time_ns": sequence * 60_000_000_000,
        "parent": None,
        "root": TreeId(bytes(32)),
        "tree": ContentId(bytes(32)),
        **fields,
    }
    draft = Snapshot(**values)
    return draft if "id" in fields else dataclasses.replace(draft, id=snapshot_id(encode_snapshot(draft)))


class ListLog:
    """A ``SnapshotLog`` over a list, oldest first."""

    def __init__(self, *snapshots: Snapshot) -> None:
        self.kept = list(snapshots)
        self.read = 0

    def append(self, snapshot, segments, parent) -> None:
        head = self.head()
        if (head.id if head else None) != parent:
            raise LockedError("The head moved on")
        self.kept.append(snapshot)

    def remove(self, ids, reason) -> None:
        gone = set(ids)
        self.kept = [one for one in self.kept if one.id not in gone]

    def head(self):
        return self.kept[-1] if self.kept else None

    def get(self, snapshot_id):
        for one in self.kept:
            if one.id == snapshot_id:
                return one
        raise UnknownNameError("No such snapshot")

    def newest_first(self):
        for one in reversed(self.kept):
            self.read += 1
            yield one

    def live_records(self):
        return self.newest_first()

    def prefixed(self, prefix):
        return (one for one in self.newest_first() if one.id.hex().startswith(prefix))

    def mentioning(self, text):
        return (one for one in self.newest_first() if text in (one.label, one.session, *one.tags))

    def live_ids(self):
        return [(one.sequence, one.id) for one in self.kept]

    def __len__(self) -> int:
        return len(self.kept)
