"""Drift over 100,000 snapshots: how long the metrics take, from values in memory, fixed seed.

Trees are kept in a dictionary, so that what is timed is drift's own work: folders that
differ, sums, change points. Reading the log of a store comes on top (``log_scale.py``).
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import replace

from casreplay.codec.hashing import blob_id
from casreplay.forensics.drift import measure, sample
from casreplay.forensics.drift_metrics import DEFAULT_METRICS, MetricTools, make_metric
from casreplay.history.treeedit import TreeEditor
from casreplay.model.ids import ContentId, SnapshotId, TreeId
from casreplay.model.objects import Coverage, EntryKind, EntryState, Snapshot, TreeEntry

SEED = 20261120


class Kept:
    def __init__(self):
        self.raw = {}

    def get(self, object_id):
        return self.raw[object_id]


def history(count):
    rng = random.Random(SEED)
    kept = Kept()
    editor = TreeEditor(kept, lambda tree_id, raw, _: kept.raw.__setitem__(tree_id, raw))

    def entry(name, content):
        blob = blob_id(content)
        kept.raw[blob] = content
        return TreeEntry(name, EntryKind.FILE, EntryState.COMPLETE, 0o644, len(content), 0, blob)

    files = {b"d%02d/f%02d" % (d, f): entry(b"f%02d" % f, b"") for d in range(20) for f in range(20)}
    root, content = editor.edit(None, files)
    line = []
    blank = Snapshot(SnapshotId(b""), 0, 0, None, TreeId(b""), ContentId(b""))
    for number in range(count):
        d, f = rng.randrange(20), rng.randrange(20)
        size = rng.randrange(40) + (60 if number > 0.7 * count else 0)
        path, name = b"d%02d/f%02d" % (d, f), b"f%02d" % f
        root, content = editor.edit(root, {path: entry(name, b"x" * size)})
        coverage = Coverage(files=400, folders=20, bytes=4000 + number // 20 + rng.randrange(200))
        line.append(
            replace(
                blank,
                id=SnapshotId(number.to_bytes(32, "big")),
                sequence=number,
                time_ns=number * 10**9,
                root=root,
                tree=content,
                coverage=coverage,
            )
        )
    return kept, line


def main(count):
    started = time.perf_counter()
    kept, line = history(count)
    print(f"{count:,} snapshots of 400 files made in {time.perf_counter() - started:.1f} s", flush=True)
    tools = MetricTools(lambda _: lambda _: 0)
    for names, every in (
        (("files", "bytes"), "1"),
        (DEFAULT_METRICS, ""),
        (("size:d03/f03", "lines:d03/f03"), "1"),
    ):
        started = time.process_time()
        taken = sample(line, every)
        found = measure(taken, [make_metric(name, kept, tools) for name in names])
        elapsed = time.process_time() - started
        kinds = ", ".join(f"{one.name}: {one.shape.kind} {len(one.turns)}" for one in found)
        print(f"{elapsed:6.1f} s of CPU  {len(taken):,} samples of {', '.join(names)}  ({kinds})", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
