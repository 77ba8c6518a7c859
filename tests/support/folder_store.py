"""A store in memory with a folder of its own: objects in a dictionary, a log in a list, real files."""

from __future__ import annotations

from casreplay.store.files import OsFiles
from casreplay.store.locks import Leases
from support.list_log import ListLog, snapshot
from support.tree_builder import DictObjects, build


class FolderStore(DictObjects):
    """What ``Annotations`` and ``PathsIndex`` need of a store; ``commit`` adds a snapshot."""

    def __init__(self, folder) -> None:
        super().__init__()
        self.id = b"\7" * 16
        self.folder = str(folder)
        self.files = OsFiles()
        self.leases = Leases(self.files, self.folder)
        self.log = ListLog()
        self._sequence = 0
        for name in ("cache", "leases"):
            (folder / name).mkdir(exist_ok=True)

    def commit(self, content: dict, **fields):
        """Record ``content`` (see ``tree_builder.build``) as the next snapshot."""
        root, tree, _ = build(self, content)
        self._sequence += 1
        head = self.log.head()
        parent = head.id if head else None
        made = snapshot(self._sequence, root=root, tree=tree, parent=parent, **fields)
        self.log.append(made, (), parent)
        return made
