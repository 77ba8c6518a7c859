"""casreplay: a flight recorder and forensics bench for workspaces that agents change.

The names below are the programming interface; they are stable (docs/api.md). Importing the package costs
nothing: each name is loaded when it is first used.

    from casreplay import CommitOptions, Repository

    with Repository.open(store, workspace) as repository:
        result = repository.commit(CommitOptions(label="before the migration"))
        for change in repository.diff(repository.snapshot("@~1"), result.snapshot):
            print(change.kind, change.path)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from casreplay.bench import Repository
    from casreplay.errors import CasreplayError
    from casreplay.history.commit import CommitOptions, CommitResult
    from casreplay.history.restore import Restored, RestoreOptions
    from casreplay.model.changes import Change, ChangeCounts, ChangeKind
    from casreplay.model.config import Config
    from casreplay.model.objects import Coverage, EntryKind, EntryState, Snapshot, TreeEntry

__version__ = "0.1.0"

_HOMES = {
    "CasreplayError": "casreplay.errors",
    "Change": "casreplay.model.changes",
    "ChangeCounts": "casreplay.model.changes",
    "ChangeKind": "casreplay.model.changes",
    "CommitOptions": "casreplay.history.commit",
    "CommitResult": "casreplay.history.commit",
    "Config": "casreplay.model.config",
    "Coverage": "casreplay.model.objects",
    "EntryKind": "casreplay.model.objects",
    "EntryState": "casreplay.model.objects",
    "Repository": "casreplay.bench",
    "RestoreOptions": "casreplay.history.restore",
    "Restored": "casreplay.history.restore",
    "Snapshot": "casreplay.model.objects",
    "TreeEntry": "casreplay.model.objects",
}

__all__ = [
    "CasreplayError",
    "Change",
    "ChangeCounts",
    "ChangeKind",
    "CommitOptions",
    "CommitResult",
    "Config",
    "Coverage",
    "EntryKind",
    "EntryState",
    "Repository",
    "RestoreOptions",
    "Restored",
    "Snapshot",
    "TreeEntry",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'casreplay' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only when a name is asked for

    return getattr(import_module(home), name)
