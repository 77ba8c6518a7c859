"""Stores of every released format still open, and two readers agree on what is in them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.golden_check import survey

from casreplay.codec.manifest import decode_tree
from casreplay.model.objects import EntryKind, TreeNode
from casreplay.store.disk import DiskStore

GOLDEN = sorted(path.parent for path in Path(__file__).parent.glob("*/expected.json"))


@pytest.fixture(params=GOLDEN, ids=[path.name for path in GOLDEN])
def golden(request):
    return request.param


def test_there_is_one_for_format_1():
    assert "format-1" in [path.name for path in GOLDEN]


def test_the_oracle_reads_it(golden):
    assert survey(golden / "store") == json.loads((golden / "expected.json").read_text())


def test_the_oracle_is_short():
    lines = (Path(__file__).parent.parent / "oracle" / "reader.py").read_text().splitlines()
    assert len(lines) <= 80


def walk(store, tree_id, path=b""):
    tree = decode_tree(store.get(tree_id))
    if isinstance(tree, TreeNode):
        for i in range(len(tree.counts)):
            yield from walk(store, tree.tree_ids[32 * i : 32 * i + 32], path)
        return
    for entry in tree.entries():
        yield path + entry.name, chr(entry.kind), store.get(entry.blob_id) if entry.blob_id else None
        if entry.kind is EntryKind.FOLDER:
            yield from walk(store, entry.tree_id, path + entry.name + b"/")


def test_the_store_reads_what_the_oracle_reads(golden, tmp_path):
    from oracle.reader import Reader

    shutil.copytree(golden / "store", tmp_path / "store")
    store = DiskStore.open(str(tmp_path / "store"), wait_s=0)
    reader = Reader(golden / "store")
    snapshots = list(store.log.newest_first())
    assert [one.id.hex() for one in snapshots] == list(reader.snapshots)[::-1]
    for snapshot in snapshots:
        assert list(walk(store, snapshot.root)) == list(reader.files(snapshot.root))
    assert store.log.verify() == []
    store.close()


def test_opening_changes_nothing(golden, tmp_path):
    shutil.copytree(golden / "store", tmp_path / "store")
    before = {p: p.read_bytes() for p in (tmp_path / "store").rglob("*") if p.is_file()}
    store = DiskStore.open(str(tmp_path / "store"), wait_s=0)
    list(map(store.get, store.ids()))
    store.close()
    after = {p: p.read_bytes() for p in (tmp_path / "store").rglob("*") if p.is_file()}
    assert after == before


def test_the_builder_still_makes_the_same_store(tmp_path):
    """Not the same bytes for ever (zstd may improve), but the same content."""
    from support.golden import build

    build(str(tmp_path / "store"))
    expected = json.loads((Path(__file__).parent / "format-1" / "expected.json").read_text())
    assert survey(tmp_path / "store") == expected
