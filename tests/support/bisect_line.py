"""Histories for bisect tests: folders as dictionaries, snapshots over them, a scripted runner."""

from __future__ import annotations

from casreplay.history.bisect_model import Verdict
from casreplay.history.observations import Observation, Signature
from support.list_log import snapshot
from support.tree_builder import DictObjects, build


def line_of(*folders, objects=None):
    """Snapshots over the folders, oldest first, and the objects that hold them."""
    objects = objects or DictObjects()
    line = []
    for i, folder in enumerate(folders):
        root, content, _ = build(objects, folder, mtime_ns=i)
        line.append(snapshot(i, root=root, tree=content, label=f"step {i}"))
    return objects, line


class ScriptedRunner:
    """Answers by label; keeps what it was asked."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []
        self.stopped = False

    def __call__(self, target, stop):
        number = int(target.label.split()[1])
        self.asked.append(number)
        if stop.is_set():
            return Observation(None, cancelled=True)
        found = self.answer(number)
        if isinstance(found, Observation):
            return found
        return Observation(found, Signature(1, line="boom") if found is Verdict.BAD else None, 5)

    def cancel(self, stop):
        stop.set()

    def cancel_all(self):
        self.stopped = True
