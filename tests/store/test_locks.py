from __future__ import annotations

import os
import re

import pytest

from casreplay.errors import LockedError
from casreplay.store.files import OsFiles
from casreplay.store.locks import LEASES, NOTICE_S, Leases


@pytest.fixture
def files():
    return OsFiles()


@pytest.fixture
def leases(files, tmp_path):
    (tmp_path / LEASES).mkdir()
    return Leases(files, str(tmp_path), wait_s=0)


def test_a_refusal_names_the_holder(leases):
    leases.announce("writer-1")
    share = leases.writing()
    with pytest.raises(LockedError) as caught, leases.deleting():
        pass
    assert str(os.getpid()) in caught.value.hint
    assert caught.value.fields["holders"] == leases.holders()
    share.release()
    leases.withdraw("writer-1")
    assert leases.holders() == []


def test_texts_of_dead_writers_are_cleared(leases, tmp_path):
    leases.announce("dead")
    with leases.deleting():
        assert os.listdir(tmp_path / LEASES) == ["deleting.who"]
    assert os.listdir(tmp_path / LEASES) == []


def test_waiting_ends_when_the_lock_is_free(files, tmp_path):
    (tmp_path / LEASES).mkdir()
    held = files.try_lock(str(tmp_path / "lock"), exclusive=True)

    class Patient(OsFiles):
        def pause(self, seconds):
            held.release()

    leases = Leases(Patient(), str(tmp_path), wait_s=60)
    leases.writing().release()


def test_the_dead_are_not_named(leases, tmp_path):
    """A writer that was killed leaves its text, but the kernel took its lock."""
    (tmp_path / LEASES / "writer-1.who").write_text("process 1 on this machine\n")
    leases.announce("writer-2")
    (holder,) = leases.holders()
    assert str(os.getpid()) in holder
    assert not (tmp_path / LEASES / "writer-1.who").exists()


def test_a_holder_tells_its_command_and_since_when(leases):
    leases.command = "casreplay gc"
    leases.announce("writer-1")
    (holder,) = leases.holders()
    assert re.fullmatch(
        rf"process {os.getpid()} on .+ \(casreplay gc\), since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC", holder
    )


def test_who_deletes_says_so(leases):
    with leases.deleting():
        assert len(leases.holders()) == 1
    assert leases.holders() == []


class Waiter(OsFiles):
    """Time passes by waiting alone; after ``free_s`` seconds of it the lock is given up."""

    def __init__(self, held, free_s):
        self.held = held
        self.free_s = free_s
        self.now_s = 0.0

    def pause(self, seconds):
        self.now_s += seconds
        if self.now_s >= self.free_s:
            self.held.release()

    def clock(self):
        return int(self.now_s * 1e9)


def waiter(leases, tmp_path, *, free_s):
    """Leases that wait for those of ``leases``, and the list of what was said meanwhile with its time."""
    leases.announce("writer-1")
    disk = Waiter(leases.writing(), free_s)
    mine = Leases(disk, str(tmp_path), wait_s=10, clock=disk.clock)
    told = []
    mine.waiting = lambda waiting: told.append((disk.now_s, waiting))
    return mine, told


def test_who_waits_is_told_for_whom_after_a_second_and_once(leases, tmp_path):
    mine, told = waiter(leases, tmp_path, free_s=5)
    with mine.deleting():
        pass
    ((when, waiting),) = told
    assert NOTICE_S <= when < NOTICE_S + 0.1
    assert waiting.why == "Another process is writing to this store"
    assert f"process {os.getpid()}" in waiting.holders[0]
    assert waiting.wait_s == 10


def test_a_short_wait_is_not_worth_a_word(leases, tmp_path):
    mine, told = waiter(leases, tmp_path, free_s=0.9)
    with mine.deleting():
        pass
    assert told == []


def test_waiting_ends_after_the_time_given(leases, tmp_path):
    mine, told = waiter(leases, tmp_path, free_s=60)
    with pytest.raises(LockedError), mine.deleting():
        pass
    assert len(told) == 1
