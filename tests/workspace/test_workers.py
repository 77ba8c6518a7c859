"""Forked workers: results in order, errors carried over, no child left behind."""

from __future__ import annotations

import marshal
import os
import signal
from types import SimpleNamespace

import pytest

from casreplay.codec import hashing
from casreplay.errors import CorruptError, StoreIOError
from casreplay.workspace import workers

needs_fork = pytest.mark.skipif(not workers.can_fork(), reason="forking is not possible in this process")


def _raise(error: Exception) -> None:
    raise error


def test_results_come_in_the_order_of_the_jobs():
    assert workers.run([lambda i=i: [i, bytes([i])] for i in range(5)]) == [[i, bytes([i])] for i in range(5)]


@needs_fork
def test_all_but_the_first_job_run_in_other_processes():
    pids = workers.run([os.getpid, os.getpid, os.getpid])
    assert pids[0] == os.getpid()
    assert len(set(pids)) == 3


def test_an_error_of_a_worker_is_raised_with_its_type_and_hint():
    with pytest.raises(CorruptError, match="Broken") as caught:
        workers.run([lambda: 1, lambda: _raise(CorruptError("Broken", hint="Run fsck"))])
    assert caught.value.hint == "Run fsck"


def test_an_operating_system_error_keeps_its_number():
    with pytest.raises(OSError, match="disk") as caught:
        workers.run([lambda: 1, lambda: _raise(OSError(28, "disk"))])
    assert caught.value.errno == 28


@needs_fork
def test_a_worker_that_dies_is_reported_and_reaped():
    with pytest.raises(Exception, match="died"):
        workers.run([lambda: 1, lambda: os._exit(7)])
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@needs_fork
@needs_fork
@pytest.mark.parametrize("length", [0, 1, 2, 100, 900_000])
def test_a_worker_that_dies_in_the_middle_of_its_answer_is_reported(monkeypatch, length):
    def killed_while_answering(value):
        return marshal.dumps(value)[:length]

    monkeypatch.setattr(
        workers, "marshal", SimpleNamespace(dumps=killed_while_answering, loads=marshal.loads)
    )
    with pytest.raises(StoreIOError, match="died"):
        workers.run([lambda: 1, lambda: [bytes([i % 256]) * 1000 for i in range(1000)]])


def test_a_failing_first_job_leaves_no_child(tmp_path):
    started = tmp_path / "started"

    def hang() -> None:
        started.write_bytes(b"")
        while True:
            pass

    def fail() -> None:
        while not started.exists():
            pass
        raise CorruptError("Broken")

    with pytest.raises(CorruptError):
        workers.run([fail, hang])
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize("parts", [1, 2, 3, 8])
@pytest.mark.parametrize("weights", [[], [5], [1, 1, 1, 1], [1000, 1, 1, 1], [0, 0, 0], [1, 1, 1000]])
def test_ranges_cover_everything_once_in_order(weights, parts):
    ranges = workers.split_by_weight(weights, parts)
    assert [i for part in ranges for i in part] == list(range(len(weights)))
    assert len(ranges) <= max(1, parts)


def test_ranges_of_equal_weights_are_about_equal():
    ranges = workers.split_by_weight([10] * 1000, 2)
    assert [len(part) for part in ranges] == [500, 500]


def test_dealing_loses_nothing():
    assert sorted(i for hand in workers.deal(list(range(7)), 3) for i in hand) == list(range(7))
    assert workers.deal([1], 4) == [[1]]


def test_children_hash_although_the_parent_hashed_on_many_threads():
    large = bytes(32 << 20)
    expected = hashing.blob_id(large)

    def job():
        hasher = hashing.BlobHasher()
        hasher.update(large)
        return bytes(hasher.id())

    assert workers.run([job, job, job]) == [expected] * 3


@needs_fork
def test_a_child_that_is_not_needed_any_more_cleans_up(tmp_path):
    """After Ctrl-C a worker takes back what it wrote, instead of being killed over it."""
    reading, writing = os.pipe()

    def fails_once_the_other_works():
        os.read(reading, 1)
        raise KeyboardInterrupt

    def works():
        try:
            os.write(writing, b"x")
            signal.pause()
        finally:
            (tmp_path / "cleaned").touch()

    with pytest.raises(KeyboardInterrupt):
        workers.run([fails_once_the_other_works, works])
    assert (tmp_path / "cleaned").exists()


@needs_fork
def test_a_child_that_will_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE_S", 0.1)
    reading, writing = os.pipe()

    def fails_once_the_other_works():
        os.read(reading, 1)
        raise KeyboardInterrupt

    def is_deaf():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(writing, b"x")
        while True:
            signal.pause()

    with pytest.raises(KeyboardInterrupt):
        workers.run([fails_once_the_other_works, is_deaf])
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_every_card_is_drawn_once_by_all_processes_together():
    with workers.Deck(workers.Deck.MAX_CARDS) as deck:
        drawn = workers.run([lambda: list(deck)] * 4)
    assert sorted(card for hand in drawn for card in hand) == list(range(workers.Deck.MAX_CARDS))
    assert all(hand == sorted(hand) for hand in drawn)


@needs_fork
def test_who_is_held_up_draws_less():
    drawn, has_drawn = os.pipe()
    free, frees = os.pipe()

    with workers.Deck(100) as deck:

        def is_held_up():
            first = next(iter(deck))
            os.write(has_drawn, b"x")
            os.read(free, 1)
            return [first, *deck]

        def is_quick():
            os.read(drawn, 1)
            hand = list(deck)
            os.write(frees, b"x")
            return hand

        slow, quick = workers.run([is_held_up, is_quick])
    for fd in (drawn, has_drawn, free, frees):
        os.close(fd)
    assert slow == [0]
    assert quick == list(range(1, 100))


@pytest.mark.parametrize("cards", [0, 1])
def test_few_cards_or_none(cards):
    with workers.Deck(cards) as deck:
        assert list(deck) == list(range(cards))
        assert list(deck) == []


def test_more_cards_than_a_pipe_holds_are_refused():
    with pytest.raises(ValueError, match="too many"):
        workers.Deck(workers.Deck.MAX_CARDS + 1)


def test_a_deck_leaves_no_descriptor_open():
    before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
    with workers.Deck(3):
        pass
    assert (set(os.listdir("/proc/self/fd")) if before else before) == before
