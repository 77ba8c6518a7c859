"""The Python interface with arguments as people give them, and beside other processes."""

from __future__ import annotations

import pytest

from casreplay import CommitOptions, Repository
from casreplay.errors import UnknownNameError, UsageError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work/a").write_text("1")
    return tmp_path


@pytest.fixture
def repository(folder):
    with Repository.init(folder / "work", folder / "store") as made:
        yield made


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": 3},
        {"label": b"bytes"},
        {"session": 5},
        {"tags": (3,)},
        {"tags": "abc"},
        {"extra": {"retries": 3}},
        {"extra": {3: "retries"}},
        {"time_ns": 1.5},
        {"time_ns": True},
        {"time_ns": 1 << 63},
        {"time_ns": -(1 << 63) - 1},
    ],
    ids=str,
)
def test_what_could_not_be_read_again_is_not_recorded(repository, folder, wrong):
    first = repository.commit(CommitOptions(label="first")).snapshot
    (folder / "work/a").write_text("2")
    with pytest.raises(UsageError):
        repository.commit(CommitOptions(**{"label": "second", **wrong}))
    assert repository.head() == first
    third = repository.commit(CommitOptions(label="third")).snapshot
    assert list(repository.snapshots()) == [third, first]
    assert repository.log.verify() == []


@pytest.mark.parametrize("offset", [16, 24, 31], ids=["sequence", "time", "time's last byte"])
def test_a_damaged_newest_record_does_not_stop_recording(folder, offset):
    with Repository.init(folder / "work", folder / "store") as repository:
        for label in ("first", "second"):
            repository.commit(CommitOptions(label=label))
    log = bytearray((folder / "store/log").read_bytes())
    log[log.rindex(b"crL1") + offset] ^= 0x10
    (folder / "store/log").write_bytes(log)
    with Repository.open(folder / "store", folder / "work") as repository:
        assert repository.commit(CommitOptions(label="third")).recorded
        assert [one.label for one in repository.snapshots()] == ["third", "first"]
        assert repository.log.verify()


@pytest.mark.parametrize("time_ns", [-(1 << 63), -1, 0, (1 << 63) - 1])
def test_any_time_that_fits_comes_back(repository, time_ns):
    recorded = repository.commit(CommitOptions(label="then", time_ns=time_ns)).snapshot
    assert repository.head() == recorded
    assert recorded.time_ns == time_ns


def test_names_given_by_another_process_are_found(repository, folder):
    first = repository.commit(CommitOptions(label="first")).snapshot
    assert repository.notes.tags_of(first) == ()
    with Repository.open(folder / "store", folder / "work") as other:
        other.notes.add_tags(first.id, ["good"])
        assert repository.snapshot("good") == first
        assert repository.notes.tags_of(first) == ("good",)
        other.notes.remove_tags(first.id, ["good"])
        with pytest.raises(UnknownNameError):
            repository.snapshot("good")


def test_an_empty_path_is_not_the_current_folder(repository, folder, monkeypatch):
    first = repository.commit().snapshot
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    for call in (
        lambda: repository.restore(first, to=""),
        lambda: Repository.open(folder / "store", ""),
        lambda: Repository.init(b"", folder / "another"),
    ):
        with pytest.raises(UsageError, match="empty path"):
            call()
    assert not list((folder / "elsewhere").iterdir())


@pytest.mark.parametrize("change", ["add_tags", "remove_tags"])
def test_one_text_is_not_many_tags(repository, change):
    first = repository.commit(CommitOptions(label="first", tags=("g",))).snapshot
    with pytest.raises(UsageError):
        getattr(repository.notes, change)(first.id, "good")
    assert repository.notes.tags_of(first) == ("g",)
