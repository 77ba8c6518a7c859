"""Drift over 100,000 snapshots in a store on disk: how long each set of metrics takes, as whole processes.

    python benchmarks/bisect_drift_scale.py --work DIR [--snapshots 100000] [--log-snapshots 20000]

Two histories from a fixed seed: 2,000 files in 156 folders of which one to three change before each
snapshot (one change in fifty is a deletion), and one log that grows by 200 bytes a snapshot. Trees and
contents are written as commits write them; only the scan of a folder is left out.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import program

from casreplay.codec.hashing import blob_id
from casreplay.codec.manifest import decode_snapshot, encode_snapshot
from casreplay.history.treeedit import TreeEditor
from casreplay.model.ids import ObjectId, SnapshotId, TreeId
from casreplay.model.objects import Coverage, EntryKind, EntryState, Snapshot, TreeEntry
from casreplay.store.disk import DiskStore

SEED = 20261120
FILES = 2000
FIRST_NS = 1_760_000_000 * 10**9
STEP_NS = 30 * 10**9
PATHS = [b"area%02d/part%02d/module_%02d.py" % (i % 12, i // 12 % 12, i // 144) for i in range(FILES)]
FOLDERS = 12 + 144


@dataclass
class Recorder:
    """Records states without a folder to scan."""

    store: DiskStore
    entries: dict = field(default_factory=dict)
    root: TreeId | None = None
    parent: SnapshotId | None = None
    number: int = 0
    writer: object = None

    def __post_init__(self):
        self.editor = TreeEditor(self.store, self._put_tree)

    def _put_tree(self, tree_id, raw, old):
        self.writer.put_tree(tree_id, raw, TreeId(ObjectId(old)) if any(old) else None)

    def _entry(self, path, content):
        blob = blob_id(content)
        old = self.entries.get(path)
        self.writer.put_blob(blob, content, old.id if old else None)
        name = path.rpartition(b"/")[2]
        time_ns = FIRST_NS + self.number * STEP_NS
        return TreeEntry(name, EntryKind.FILE, EntryState.COMPLETE, 0o644, len(content), time_ns, blob)

    def commit(self, contents):
        """Record new contents by path; ``None`` deletes."""
        self.number += 1
        time_ns = FIRST_NS + self.number * STEP_NS
        with self.store.writer() as self.writer:
            changes = {
                path: self._entry(path, new) if new is not None else None for path, new in contents.items()
            }
            for path, entry in changes.items():
                if entry is None:
                    self.entries.pop(path, None)
                else:
                    self.entries[path] = entry
            self.root, tree = self.editor.edit(self.root, changes, time_ns=time_ns)
            total = sum(entry.size_bytes for entry in self.entries.values())
            coverage = Coverage(files=len(self.entries), folders=FOLDERS, bytes=total)
            draft = Snapshot(
                SnapshotId(ObjectId(bytes(32))),
                self.number,
                time_ns,
                self.parent,
                self.root,
                tree,
                label=f"step {self.number}",
                coverage=coverage,
            )
            snapshot = decode_snapshot(encode_snapshot(draft))
            self.store.log.append(snapshot, self.writer.sync(), self.parent)
        self.parent = snapshot.id


def text(rng):
    """A small file; one in twelve is empty."""
    return b"".join(b"line %d of the module\n" % rng.randrange(10**6) for _ in range(rng.randrange(12)))


def many_files(folder, count):
    rng = random.Random(SEED)
    store = DiskStore.create(str(folder), durability="off")
    recorder = Recorder(store)
    recorder.commit({path: text(rng) for path in PATHS})
    for _ in range(count - 1):
        chosen = rng.sample(PATHS, rng.choice((1, 1, 2, 2, 3)))
        recorder.commit({path: None if rng.random() < 0.02 else text(rng) for path in chosen})
    store.close()


def growing_log(folder, count):
    rng = random.Random(SEED)
    store = DiskStore.create(str(folder), durability="off")
    recorder, log = Recorder(store), bytearray()
    for number in range(count):
        line = b"%d INFO step %d took %d ms" % (FIRST_NS // 10**9 + 30 * number, number, rng.randrange(10**6))
        log += line.ljust(199, b".") + b"\n"
        recorder.commit({b"logs/run.log": bytes(log)})
    store.close()


def asked(store, words):
    """Wall seconds, processor seconds, peak MB and the answer of one run of the command."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "casreplay", "--store", str(store), "drift", *words, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.stdout.close()
    if status:
        raise SystemExit(f"{words} failed")
    wall_s = time.perf_counter() - began
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, json.loads(out)


def told(title, store, words):
    wall_s, cpu_s, peak_mb, found = asked(store, words)
    kinds = ", ".join(f"{one['name']}: {one['kind']} {len(one['changes'])}" for one in found["metrics"])
    samples = f"{found['samples']:,} snapshots"
    print(
        f"{wall_s:6.1f} s  {cpu_s:6.1f} s of processor  {peak_mb:5.0f} MB  {title}, {samples}  ({kinds})",
        flush=True,
    )


def main():
    parser = program.parser(__doc__, work=True)
    parser.add_argument("--snapshots", type=int, default=100_000)
    parser.add_argument("--log-snapshots", type=int, default=20_000)
    options = parser.parse_args()
    with program.scratch("drift-", options.work) as work:
        began = time.perf_counter()
        many_files(work / "files", options.snapshots)
        growing_log(work / "log", options.log_snapshots)
        print(f"made in {time.perf_counter() - began:.0f} s, {os.cpu_count()} processors", flush=True)
        path = PATHS[3].decode()
        told("the default metrics, first run", work / "files", [])
        told("the default metrics, second run", work / "files", [])
        told("files and bytes", work / "files", ["--metric", "files", "--metric", "bytes"])
        told("size of a file", work / "files", ["--metric", f"size:{path}"])
        told("lines of a file", work / "files", ["--metric", f"lines:{path}"])
        told("count of a word", work / "files", ["--metric", "count:module", "--path", "area03/**"])
        told("size of a growing log", work / "log", ["--metric", "size:logs/run.log"])
        told("lines of a growing log", work / "log", ["--metric", "lines:logs/run.log"])


if __name__ == "__main__":
    main()
