"""A restore killed or interrupted at any moment: each file is old or new, and a second run finishes."""

from __future__ import annotations

import os
import random
import select
import signal

import pytest
from support.plain_folders import T0, picture
from support.processes import child
from support.tree_builder import DictObjects, Executable, Symlink, build

from casreplay.history.restore import RestoreOptions, restore_to

BEFORE = {b"d%02d" % i: {b"f%02d" % j: b"before %d %d" % (i, j) for j in range(30)} for i in range(40)}
AFTER = {
    b"d%02d" % i: {b"f%02d" % j: b"after %d %d " % (i, j) * (j + 1) for j in range(28)}
    | {b"l": Symlink(b"f01")}
    for i in range(1, 40)
} | {b"new": {b"x": Executable(b"n")}}


def prepared():
    objects = DictObjects()
    return objects, build(objects, BEFORE, mtime_ns=T0)[0], build(objects, AFTER, mtime_ns=T0 + 1)[0]


def in_child(folder: bytes, how: int, delay_s: float) -> None:
    """Restore ``AFTER`` in a forked process and signal it after a moment."""
    ready, started = os.pipe()

    def work():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        objects, _, after = prepared()
        os.write(started, b"x")
        restore_to(objects, after, folder, RestoreOptions(force=True, jobs=2))

    pid = child(work)
    os.close(started)
    os.read(ready, 1)
    select.select([], [], [], delay_s)
    os.kill(pid, how)
    os.waitpid(pid, 0)
    os.close(ready)


def legal(folder: bytes) -> list[bytes]:
    """Paths whose content is neither the old nor the new one."""
    known: dict[bytes, set[object]] = {}
    for spec in (BEFORE, AFTER):
        for top, inside in spec.items():
            for name, value in inside.items():
                known.setdefault(top + b"/" + name, set()).add(bytes(value))
    wrong = []
    for path, (_, value, _) in picture(folder).items():
        if value is not None and value not in known.get(path, set()):
            wrong.append(path)
    return wrong


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the child is forked")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_at_any_moment_every_file_is_old_or_new_and_a_second_run_finishes(tmp_path, how):
    rng = random.Random(7)
    objects, before, after = prepared()
    wanted = os.fsencode(tmp_path / "wanted")
    restore_to(objects, after, wanted, RestoreOptions())
    expected = picture(wanted)
    for round_ in range(40):
        folder = os.fsencode(tmp_path / str(round_))
        restore_to(objects, before, folder, RestoreOptions())
        in_child(folder, how, rng.random() * 0.25)
        strange = [path for path in legal(folder) if b".casreplay-tmp-" not in path]
        assert len(strange) <= 2 if how == signal.SIGKILL else strange == []
        restored = restore_to(objects, after, folder, RestoreOptions(force=True))
        assert restored.failures == ()
        assert picture(folder) == expected
