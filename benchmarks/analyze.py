"""What `analyze` costs: a pair of snapshots with 1,000 changed files and 200 MB of logs, as whole processes.

    python benchmarks/analyze.py --work DIR [--megabytes 200] [--files 1000] [--kind appended|rewritten]

Two kinds of logs: `appended` ones grew by half since the good snapshot, `rewritten` ones are those of another
run, every line with other times and numbers. Made from a seed; the failure is a changed setting. Prints one
row for the first and one for the second analysis of the pair.
"""

import json
import os
import random
import sys
from pathlib import Path

import program
from measure import Cost, run
from peers import PEERS, Casreplay

SEED = 20261123
LOGS = 4
START_S = 1_790_000_000
WORDS = (
    "accepted",
    "queued",
    "written",
    "skipped",
    "resized",
    "indexed",
    "cached",
    "flushed",
    "compacted",
    "joined",
    "merged",
    "uploaded",
    "parsed",
    "validated",
    "grouped",
    "sorted",
    "mailed",
    "archived",
)
MODULES = ("billing.loader", "billing.pricing", "http.server", "jobs.worker", "cache.disk", "mail.queue")
LOUD = (
    "WARNING {module}: retrying in {n} ms, attempt {k} of 5",
    "ERROR {module}: could not write order {n}: the total is not what was expected",
    "ERROR {module}: invalid value for setting tax_rate: must be between 0 and 1",
)


def log_lines(rng, size, version):
    """A log of about `size` bytes: one line in a thousand is loud, in version 2 some name the fault."""
    first_s, texts = START_S + version * 90_000, LOUD[: version + 1]
    made, lines, number = 0, [], 0
    while made < size:
        number += 1
        at = first_s + number // 100
        clock = f"{at // 3600 % 24:02d}:{at // 60 % 60:02d}:{at % 60:02d}"
        module, word = MODULES[rng.randrange(6)], WORDS[rng.randrange(18)]
        stamp = f"2026-09-{1 + at // 86400 % 30:02d}T{clock}.{number % 100:02d}0Z"
        if rng.random() < 0.001:
            text = rng.choice(texts).format(module=module, n=rng.randrange(10**6), k=rng.randrange(1, 6))
        else:
            text = (
                f"INFO {module}: order {rng.randrange(10**7)} {word} in {rng.randrange(900)} ms"
                f" by worker-{rng.randrange(16)}, request {rng.getrandbits(64):016x}"
            )
        line = f"{stamp} {text}\n"
        lines.append(line)
        made += len(line)
    return "".join(lines).encode()


def source(rng, number, version):
    body = "\n".join(
        f"def step_{i}(order):\n    return order.total * {rng.randrange(1, 99)} + {number}\n"
        for i in range(12)
    )
    return f'"""Module {number}."""\n\nVERSION = {version}\n\n{body}'.encode()


def small_file(rng, number, version):
    """Name and content of file `number`: code, settings, data and reports, as workspaces have them."""
    kind = number % 10
    if kind < 5:
        return f"src/part_{number // 50}/module_{number}.py", source(rng, number, version)
    if kind < 7:
        rate = 0.19 if version == 1 else 19
        keys = {"tax_rate": rate, "retries": number, "hosts": [f"h{i}" for i in range(8)], "version": version}
        return f"config/service_{number}.json", json.dumps(keys, indent=2).encode()
    if kind < 9:
        rows = "\n".join(f"{i},{rng.randrange(10**6)},{version}" for i in range(150))
        return f"data/{number}.csv", f"id,value,version\n{rows}\n".encode()
    return f"out/report_{number}.md", f"# Report {number}\n\nVersion {version}\n".encode()


def write(workspace, version, options):
    """One state of the workspace."""
    for number in range(options.files - LOGS):
        name, content = small_file(random.Random(SEED + number), number, version)
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (workspace / "logs").mkdir(exist_ok=True)
    each = options.megabytes * 1_000_000 // LOGS
    for number in range(LOGS):
        path = workspace / "logs" / f"worker_{number}.log"
        if options.kind == "appended":
            part = log_lines(random.Random(f"{SEED} {number} {version}"), each // 2, version)
            with open(path, "ab") as file:
                file.write(part)
        else:
            seed = random.Random(f"{SEED} {number} {version}")
            path.write_bytes(log_lines(seed, each, version))


def measured(peer, words):
    cost = Cost()
    out = run([*Casreplay.entry, *words], peer.setting(), cost)
    return cost, json.loads(Path(out).read_bytes())


def main():
    parser = program.parser(__doc__, work=True)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--kind", choices=("appended", "rewritten"), default="appended")
    parser.add_argument("--keep", action="store_true", help="leave the scratch folder for a profile")
    options = parser.parse_args()
    with program.scratch("analyze-", options.work, keep=options.keep) as work:
        if options.keep:
            print(f"kept: {work}", file=sys.stderr)
        workspace = work / "workspace"
        workspace.mkdir()
        peer = PEERS["casreplay"](workspace, work / "store")
        peer.init()
        for version, tag in ((1, "good"), (2, "bad")):
            write(workspace, version, options)
            peer.quiet(*Casreplay.entry, "commit", "--tag", tag)
        print(f"{options.files:,} changed files, {options.megabytes} MB of {options.kind} logs,"
              f" {os.cpu_count()} processors")  # fmt: skip
        for turn in ("first", "second"):
            cost, found = measured(peer, ["analyze", "good", "bad", "--no-incident", "--json"])
            print(
                f"{turn:6} {cost.wall_s:6.2f} s ({cost.cpu_s:.2f} s of processor), {cost.tree_mb:5.0f} MB;"
                f" {len(found['changes']):,} changes, cause {found['root_cause']},"
                f" {len(found['timeline']):,} events"
            )


if __name__ == "__main__":
    main()
