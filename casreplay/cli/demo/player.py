"""Plays the story: writes the workspace of each step to disk and takes a snapshot of it.

Times are the story's own, so that the same demo gives the same ids on every machine and day.
Writes only below the folder it is given.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from casreplay.cli.demo.story import Moment, moments
from casreplay.history.commit import CommitOptions
from casreplay.history.repository import Repository

__all__ = ["CONFIG", "play"]

CONFIG = '{\n  "STORE": "../store"\n}\n'
"""The demo's store lies beside its workspace, so that removing one folder removes everything."""


def play(workspace: bytes, store: bytes, shown: Callable[[Moment], None]) -> None:
    """Make the store, then write and commit every moment of the story.

    Args:
        workspace: an absolute path; made here.
        store: where the store goes.
        shown: called after each snapshot.
    """
    os.makedirs(workspace)
    now = [0]
    before: dict[str, str] = {}
    repository: Repository | None = None
    for moment in moments():
        now[0] = moment.time_ns
        files = {**moment.files, "casreplay.json": CONFIG}
        _write(workspace, before, files, moment.time_ns)
        if repository is None:
            repository = Repository.init(workspace, store, clock=lambda: now[0])
        repository.commit(_options(moment))
        shown(moment)
        before = files
    if repository is not None:
        repository.close()


def _options(moment: Moment) -> CommitOptions:
    return CommitOptions(
        label=moment.label,
        tags=(moment.tag,) if moment.tag else (),
        session="night-shift",
        agent="billing-agent",
        author="demo",
        host="demo",
        time_ns=moment.time_ns,
    )


def _write(workspace: bytes, before: dict[str, str], files: dict[str, str], time_ns: int) -> None:
    """Bring the folder from ``before`` to ``files``; what is written gets the story's time."""
    for path in before.keys() - files.keys():
        os.unlink(os.path.join(workspace, path.encode()))
        _remove_empty(workspace, os.path.dirname(path))
    for path, text in files.items():
        if before.get(path) == text:
            continue
        full = os.path.join(workspace, path.encode())
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.utime(full, ns=(time_ns, time_ns))


def _remove_empty(workspace: bytes, folder: str) -> None:
    full = os.path.join(workspace, folder.encode())
    if folder and not os.listdir(full):
        os.rmdir(full)
