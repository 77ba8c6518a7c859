"""A store of 100,000 snapshots: what log, names, find, diff and the next commit cost then.

    python benchmarks/log_scale.py --work DIR [--snapshots 100000]

The snapshots are made through the Python interface, one changed file each; the questions are asked of the
command, as whole processes. Writes benchmarks/results/log-scale.json.
"""

import json
import os
import statistics
import sys
import time

import program
import tables
from measure import CommandError, Cost, run
from peers import CHECKOUT, PEERS, Casreplay

FIRST_NS = 1_760_000_000 * 10**9
STEP_NS = 30 * 10**9
STATES = 40


def prepare(workspace):
    """Forty small files in three folders; one of them changes before each snapshot."""
    for folder in ("state", "src/core", "notes"):
        (workspace / folder).mkdir(parents=True)
    for number in range(STATES):
        (workspace / "state" / f"{number}.json").write_text('{"step": -1}\n')
        (workspace / "src" / "core" / f"module_{number}.py").write_text(f"VALUE = {number}\n")
    # Making the history is preparation: nothing of it needs to survive a power cut.
    (workspace / "casreplay.json").write_text(json.dumps({"DURABILITY": "off"}))


def fill_apart(peer, count):
    """Record the snapshots in a process of their own, so that this one stays small; what `fill` gives."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, json.dumps(fill(peer, count)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    if os.waitpid(pid, 0)[1] or not text:
        raise RuntimeError("The snapshots could not be made")
    return json.loads(text)


def fill(peer, count):
    """Record the snapshots; milliseconds a commit in the first and the last tenth."""
    sys.path.insert(0, str(CHECKOUT))
    from casreplay.history.commit import CommitOptions  # noqa: PLC0415 - the path is set just above
    from casreplay.history.repository import Repository  # noqa: PLC0415 - the path is set just above

    marks = {}
    with Repository.open(peer.env["CASREPLAY_STORE"], peer.workspace) as repository:
        for number in range(count):
            if number in {0, count // 10, count - count // 10}:
                marks[number] = time.perf_counter()
            (peer.workspace / "state" / f"{number % STATES}.json").write_text(f'{{"step": {number}}}\n')
            repository.commit(CommitOptions(label=f"step {number}", time_ns=FIRST_NS + number * STEP_NS))
            if number % 10_000 == 0:
                print(f"{number:,} snapshots", file=sys.stderr, flush=True)
    (first, begun), (tenth, early), (late, nearly) = sorted(marks.items())
    ended = time.perf_counter()
    return 1000 * (early - begun) / (tenth - first), 1000 * (ended - nearly) / (count - late)


def questions(count, middle_id):
    """What is asked: name, words, how many lines the answer has at least."""
    middle = count // 2
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime((FIRST_NS + middle * STEP_NS) / 1e9))
    return [
        ("the newest ten", ["log", "--oneline", "-n", "10"], 10),
        ("all of them, a line each", ["log", "--oneline"], count),
        ("all of them, JSON", ["log", "--json"], 1),
        ("the newest, by `@`", ["show", "@"], 1),
        ("half-way back, by `@~N`", ["show", f"@~{middle}"], 1),
        ("half-way back, by id", ["show", middle_id], 1),
        ("half-way back, by the first 12 digits", ["show", middle_id[:12]], 1),
        ("half-way back, by label", ["show", f"step {count - 1 - middle}"], 1),
        ("half-way back, by time", ["show", f"@{{{moment}}}"], 1),
        ("which snapshots hold a name", ["find", "7.json"], 1),
        ("the ten newest that changed a file", ["log", "state/7.json", "--oneline", "-n", "10"], 10),
        ("all that changed a file", ["log", "state/7.json", "--oneline"], count // STATES),
        ("first and last compared", ["diff", f"@~{count - 1}", "@"], STATES),
        ("a file of half-way back", ["cat", f"@~{middle}:state/7.json"], 1),
        ("status", ["status"], 1),
        ("commit, nothing changed", ["commit"], 1),
    ]


def ask(peer, words, lines, runs):
    """Median milliseconds, peak memory in MB, and whether the answer was long enough."""
    walls, memory, found = [], 0.0, 0
    for _ in range(runs):
        cost = Cost()
        out = run([*Casreplay.entry, *words], peer.setting(), cost)
        walls.append(1000 * cost.wall_s)
        memory = max(memory, cost.tree_mb)
        with open(out, "rb") as f:
            found = sum(1 for _ in f)
    return statistics.median(walls), memory, "as expected" if found >= lines else f"{found} lines"


def id_of(peer, name):
    """The full id behind a name."""
    return json.loads(peer.quiet(*Casreplay.entry, "show", name, "--json"))["id"]


def measure(peer, args):
    (peer.workspace / "casreplay.json").unlink()
    peer.quiet(*Casreplay.entry, "commit", "-m", "settings gone")
    rows = []
    for name, words, lines in questions(args.snapshots, id_of(peer, f"@~{args.snapshots // 2}")):
        shown = " ".join(words).replace(words[-1], words[-1][:20])
        try:
            median, memory, verdict = ask(peer, words, lines, args.runs)
            rows.append([name, f"`{shown}`", f"{median:.0f}", f"{memory:.0f}", verdict])
        except CommandError as problem:
            rows.append([name, f"`{shown}`", "-", "-", peer.public(str(problem)).replace("\n", " ")])
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main():
    parser = program.parser(__doc__, work=True)
    parser.add_argument("--snapshots", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    with program.scratch("log-", args.work) as work:
        prepare(work / "workspace")
        peer = PEERS["casreplay"](work / "workspace", work / "store")
        peer.init()
        first_ms, last_ms = fill_apart(peer, args.snapshots)
        stored = peer.stored_bytes()
        result = {
            "meta": {
                "what": f"{args.snapshots:,} snapshots of {2 * STATES} files, one changed before each",
                "machine": program.machine(work),
                "made in": f"{first_ms:.1f} ms each in the first tenth, {last_ms:.1f} in the last, unsynced",
                "store": f"{stored / 1e6:.1f} MB, {stored / args.snapshots:,.0f} bytes a snapshot",
            },
            "tables": [
                {
                    "title": "Questions, whole processes",
                    "head": ["question", "casreplay", "median ms", "peak MB", "answer"],
                    "rows": measure(peer, args),
                }
            ],
        }
    tables.save("log-scale", result)
    print(tables.render(result))


if __name__ == "__main__":
    main()
