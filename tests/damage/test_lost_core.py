"""The small files a store cannot do without: what is said, what helps, and that nothing is overwritten."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from support.snapshots import commit, noise

from casreplay.errors import CasreplayError, CorruptError, UnknownFormatError, UsageError
from casreplay.history.verify import fsck
from casreplay.store.disk import DiskStore


@pytest.fixture
def folder(tmp_path):
    store = DiskStore.create(str(tmp_path / "store"), wait_s=0)
    for i in range(3):
        commit(store, {b"own": noise(3000, seed=i)})
    store.close()
    return tmp_path / "store"


def test_a_store_without_its_format_file_is_not_made_anew(folder):
    (folder / "format").unlink()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(CorruptError, match="lost its file"):
        DiskStore.create(str(folder), wait_s=0)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_neither_is_one_that_has_only_segments_left(folder):
    for name in ("format", "log", "key"):
        (folder / name).unlink()
    with pytest.raises(CorruptError, match="lost its file"):
        DiskStore.create(str(folder), wait_s=0)


def test_one_that_was_only_half_made_is(folder, tmp_path):
    other = tmp_path / "half"
    DiskStore.create(str(other), wait_s=0).close()
    (other / "format").unlink()
    DiskStore.create(str(other), wait_s=0).close()


FORMATS = {
    "gone": None,
    "empty": b"",
    "noise": b"\0\1\2\3",
    "a flipped digit": b"casreplay store !\nid " + b"0" * 32 + b"\n",
    "no id": b"casreplay store 1\n",
    "another id": b"casreplay store 1\nid " + b"0" * 32 + b"\n",
}


@pytest.mark.parametrize("how", FORMATS)
def test_the_hint_about_the_format_file_helps(folder, how):
    path = folder / "format"
    right = path.read_bytes()
    if FORMATS[how] is None:
        path.unlink()
    else:
        path.write_bytes(FORMATS[how])
    with pytest.raises(CorruptError) as caught:
        (DiskStore.create if how == "gone" else DiskStore.open)(str(folder), wait_s=0)
    lines = re.findall(r'"([^"]+)"', caught.value.hint)
    path.write_text("".join(f"{line}\n" for line in lines))
    assert path.read_bytes() == right
    store = DiskStore.open(str(folder), wait_s=0)
    assert len(store.log) == 3
    store.close()


def test_a_newer_version_is_no_damage(folder):
    (folder / "format").write_bytes(b"casreplay store 27\nwhatever")
    with pytest.raises(UnknownFormatError):
        DiskStore.open(str(folder), wait_s=0)


@pytest.mark.parametrize("data", [b"", b"x" * 500, None])
def test_a_log_without_its_header_has_a_hint_that_is_no_circle(folder, data):
    """``fsck`` cannot open such a store either: it must not be what is advised."""
    if data is None:
        (folder / "log").unlink()
    else:
        (folder / "log").write_bytes(data)
    with pytest.raises(CorruptError) as caught:
        DiskStore.open(str(folder), wait_s=0)
    assert "copy" in caught.value.hint
    with pytest.raises((CorruptError, UsageError)):
        DiskStore.create(str(folder), wait_s=0)


@pytest.mark.skipif(os.name == "nt", reason="the hint is a line for a POSIX shell")
@pytest.mark.parametrize("at", [0, 15])
def test_the_hint_about_the_head_of_the_log_helps(folder, at):
    log = folder / "log"
    right = log.read_bytes()
    damaged = bytearray(right)
    damaged[at] ^= 0x10
    log.write_bytes(damaged)
    with pytest.raises(CorruptError) as caught:
        DiskStore.open(str(folder), wait_s=0)
    command = caught.value.hint.partition("anew: ")[2]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert log.read_bytes() == right
    assert len(DiskStore.open(str(folder), wait_s=0).log) == 3


@pytest.mark.parametrize("data", [b"", b"x" * 31, b"x" * 33, None])
def test_a_damaged_key_is_not_used_and_is_named(folder, data):
    """An empty key would make fingerprints that anybody can compare with guesses."""
    store = DiskStore.open(str(folder), wait_s=0)
    assert len(store.key()) == 32
    before = fsck(store)
    if data is None:
        (folder / "key").unlink()
    else:
        (folder / "key").write_bytes(data)
    with pytest.raises(CasreplayError) as caught:
        store.key()
    assert caught.value.exit_code == 13
    assert "random bytes" in caught.value.hint
    report = fsck(store)
    added = [problem.code for problem in report.problems if problem not in before.problems]
    assert added == ["key"]
    assert report.damaged == before.damaged
    store.close()
