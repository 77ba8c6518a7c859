"""The loss ledger of two states of a repository: opens them and asks ``forensics.loss``."""

from __future__ import annotations

from casreplay.forensics.analysis_history import histories
from casreplay.forensics.analysis_scene import open_scene
from casreplay.forensics.loss import LossLedger, find_losses
from casreplay.history.repository import Repository
from casreplay.model.ids import BlobId, ObjectId
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import Snapshot

__all__ = ["losses_between"]


def losses_between(
    repository: Repository, before: Snapshot, after: Snapshot | None, monitor: Monitor = SILENT
) -> LossLedger:
    """Everything lost from ``before`` to ``after`` (``None``: the folder as it is now)."""

    def has(blob: BlobId) -> bool:
        return repository.objects.has(ObjectId(blob))

    with open_scene(repository, before, after, monitor) as scene:
        history = histories(repository, before, after)
        return find_losses(scene.pair.changes, scene.objects.get, has, history.place)
