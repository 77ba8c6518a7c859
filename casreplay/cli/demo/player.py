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
    """Bring the folder from ``before`` to ``files``; what changes gets the story's time and usual modes."""
    changed = [path for path, text in files.items() if before.get(path) != text]
    gone = [path for path in before if path not in files]
    for path in gone:
        os.unlink(os.path.join(workspace, path.encode()))
    for path in changed:
        full = os.path.join(workspace, path.encode())
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8", newline="") as file:
            file.write(files[path])
        os.chmod(full, 0o644)
        os.utime(full, ns=(time_ns, time_ns))
    for folder in _folders_above([*changed, *gone]):
        full = os.path.join(workspace, folder.encode())
        if not os.listdir(full):
            os.rmdir(full)
            continue
        os.chmod(full, 0o755)  # noqa: S103 - the same modes, and so the same ids, whatever the umask
        os.utime(full, ns=(time_ns, time_ns))


def _folders_above(paths: list[str]) -> list[str]:
    """Every folder on the way to ``paths``, inner ones first; the workspace itself is not among them."""
    found: set[str] = set()
    for path in paths:
        parts = path.split("/")[:-1]
        found.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return sorted(found, key=lambda folder: folder.count("/"), reverse=True)
