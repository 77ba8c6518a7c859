"""A damaged store at the command line: what commands say, how they exit, and what helps."""

from __future__ import annotations

import os

import pytest

from casreplay.codec import log_records


@pytest.fixture
def store(cli):
    """A store of three snapshots; the second alone holds ``b.txt``."""
    folder = cli.folder.parent / "the-store"
    cli.environ["CASREPLAY_STORE"] = str(folder)
    cli.write("a.txt", "one\n" * 200)
    cli("commit -m one")
    cli.write("b.txt", "two\n" * 200)
    cli("commit -m two")
    (cli.folder / "b.txt").unlink()
    cli.write("a.txt", "three\n" * 200)
    cli("commit -m three")
    return folder


def test_a_commit_warns_of_a_lost_segment_and_heals(cli, store):
    (store / "segments" / "00000001.seg").unlink()
    result = cli("commit --json")
    assert "warning: Segment 1 of the store is gone or empty; casreplay fsck" in result.err
    assert result.json["recorded"]
    (problem,) = result.json["problems"]
    assert (problem["code"], problem["path"]) == ("segment-short", "segments/00000001.seg")
    assert cli("cat @:a.txt").out == "three\n" * 200
    newest = result.json["id"]
    report = cli("fsck --json", code=13).json
    assert report["data"]
    lost = {one for found in report["problems"] for one in found["snapshots"]}
    # What the third held is there again, under the same ids.
    assert lost == {one["id"] for one in cli("log --json").json if one["label"] in ("one", "two")}
    assert newest not in lost
    assert "warning" in cli("commit --quiet").err
    cli("gc", code=13)
    cli("prune --keep-last 1")
    cli("gc --grace 0s")
    cli("fsck --data")
    assert cli("commit --json").json["problems"] == []


def test_repair_tells_what_it_could_not_do_and_keeps_it(cli, store):
    assert "two" in cli("log --oneline b.txt").out
    segment = store / "segments" / "00000001.seg"
    os.truncate(segment, segment.stat().st_size // 2)
    result = cli("repair --rebuild-index --json", code=3)
    assert [problem["code"] for problem in result.json["problems"]] == ["paths"]
    assert "warning: The record of changed paths was not written anew" in result.err
    cli("commit --full")
    assert cli("cat @:a.txt").out == "three\n" * 200


def test_find_does_not_break_on_a_damaged_record_of_the_log(cli, store):
    """The journal knows what the snapshot held; the log no longer says when that was."""
    cli("find b.txt")
    log = store / "log"
    data = bytearray(log.read_bytes())
    first = log_records.record_end(data, log_records.HEADER_BYTES)
    data[log_records.record_end(data, first) - log_records.TRAILER_BYTES - 20] ^= 0x10  # in its payload
    log.write_bytes(data)
    result = cli("find b.txt", code=13)
    assert "record of snapshot 2 is damaged" in result.err
    cli("fsck", code=13)


def test_a_store_without_its_format_file_is_neither_replaced_nor_lost(cli, store):
    right = (store / "format").read_bytes()
    (store / "format").unlink()
    cli("commit", code=10)
    result = cli("init", code=13)
    lines = result.err.split('"')[1::2]
    (store / "format").write_text("".join(f"{line}\n" for line in lines))
    assert (store / "format").read_bytes() == right
    cli("fsck --data")
    assert len(cli("log --json").json) == 3


def test_without_its_key_no_fingerprints_are_made(cli, store):
    os.truncate(store / "key", 0)
    for line in ("check @~1 @", "secrets"):
        result = cli(line, code=13)
        assert "hint: Put it back from a copy" in result.err
    assert "key" in cli("fsck", code=13).out
