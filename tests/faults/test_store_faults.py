"""Every operation of the store fails once, and the power goes after every one of them."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress

import pytest
from support import store_story
from support.faulty_files import FaultyFiles, disk_after

from casreplay.errors import CasreplayError
from casreplay.store import index
from casreplay.store.disk import DiskStore


@pytest.fixture(autouse=True)
def small_tail(monkeypatch):
    """The story must fold its tail, so that merging is attacked too."""
    monkeypatch.setattr(index, "TAIL_LIMIT", 12)


class Acknowledged:
    def __init__(self) -> None:
        self.snapshots = []
        self.removed = []

    def __call__(self, snapshot, removed=None) -> None:
        if removed is not None:
            self.removed.append(removed)
        else:
            self.snapshots.append(snapshot)


def operations(tmp_path) -> int:
    files = FaultyFiles()
    store_story.play(str(tmp_path / "counted"), files, Acknowledged())
    return files.count


def test_a_making_cut_short_anywhere_is_completed_by_the_next(tmp_path):
    counted = FaultyFiles()
    DiskStore.create(str(tmp_path / "counted"), files=counted, wait_s=0).close()
    failed = 0
    for n in range(1, counted.count + 1):
        folder = str(tmp_path / f"store-{n}")
        with suppress(CasreplayError):
            DiskStore.create(folder, files=FaultyFiles(fail_at=n), wait_s=0).close()
        if not os.path.exists(os.path.join(folder, "format")):
            failed += 1
            DiskStore.create(folder, wait_s=0).close()
        store = DiskStore.open(folder, wait_s=0)
        store_story.record(store, store_story.contents(0))
        assert not store.log.verify()
    assert failed > 10


@pytest.mark.parametrize("part", [0, 1, 2])
def test_each_operation_fails_once(tmp_path, part, capsys):
    total = operations(tmp_path)
    with capsys.disabled():
        sys.stdout.write(f"[{total} operations, part {part + 1} of 3] ")
    assert total > 100
    survived = 0
    numbers = range(1 + part, total + 1, 3)
    for n in numbers:
        error = (errno.EIO, errno.ENOSPC)[n % 2]
        folder = str(tmp_path / f"store-{n}")
        files = FaultyFiles(fail_at=n, error=error)
        seen = Acknowledged()
        try:
            store_story.play(folder, files, seen)
            survived += 1
        except CasreplayError:
            pass
        assert files.failed, f"operation {n} was never reached"
        if not (tmp_path / f"store-{n}" / "format").exists():
            assert not seen.snapshots
            continue
        try:
            # A removal that failed may have happened: the record was written, its sync was not confirmed.
            store_story.check(folder, seen.snapshots, seen.removed or seen.snapshots[:1])
        except (AssertionError, CasreplayError) as error_found:
            pytest.fail(f"after operation {n} ({files.failed}): {error_found!r}")
    # What is not needed for safety may fail unnoticed: the index, and cutting back.
    assert survived < len(numbers) // 2


def play_recorded(tmp_path):
    files = FaultyFiles(record=True)
    acknowledged = []

    def acknowledge(snapshot, removed=None) -> None:
        acknowledged.append((len(files.events), snapshot, removed))

    store_story.play(str(tmp_path / "store"), files, acknowledge)
    return files.events, acknowledged


@pytest.mark.parametrize(
    "seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
def test_the_power_goes_after_each_operation(tmp_path, seed):
    events, acknowledged = play_recorded(tmp_path)
    first = acknowledged[0][1]
    for k in range(len(events) + 1):
        folder = tmp_path / f"disk-{k}"
        disk_after(events, k, seed=seed, old_root=str(tmp_path / "store"), new_root=str(folder))
        if not (folder / "format").exists():
            assert k <= acknowledged[0][0]
            continue
        told = [snapshot for at, snapshot, _ in acknowledged if at <= k and snapshot is not None]
        try:
            store_story.check(str(folder), told, [first])
        except (AssertionError, CasreplayError) as error:
            pytest.fail(f"after change {k} of {len(events)}, {events[k - 1][:2]}: {error!r}")
