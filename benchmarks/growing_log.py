"""A log that grows a little before every commit: what each commit stores, and whether it gets slower.

    python benchmarks/growing_log.py --work DIR [--commits 2000] [--bytes 2048] [--peers casreplay,git]

Writes benchmarks/results/growing-log.json. Sizes count everything a tool keeps, indexes and caches included.
"""

import os
import random
import statistics
import sys

import program
import tables
from content import log_lines
from measure import Cost
from peers import PEERS
from run import present

WINDOW = 5  # commits on each side whose median stands for one commit's time


def apparent_bytes(folder):
    """Lengths of all files, blocks of the file system aside."""
    return sum(os.lstat(f"{base}/{name}").st_size for base, _, names in os.walk(folder) for name in names)


def prepare(workspace):
    """A small workspace whose log is the only thing that changes."""
    (workspace / "logs").mkdir(parents=True)
    (workspace / "logs" / "agent.log").write_bytes(b"")
    for number in range(20):
        (workspace / f"module_{number}.py").write_text(f"VALUE = {number}\n")


def play(peer, commits, step_bytes):
    """Append and commit again and again; wall seconds of each commit, sizes at some of them."""
    rng = random.Random("growing log")
    log = peer.workspace / "logs" / "agent.log"
    walls, sizes = [], {}
    for number in range(1, commits + 1):
        with open(log, "ab") as out:
            out.write(log_lines(rng, step_bytes, number * 40))
        peer.cost = Cost()
        peer.snapshot(f"s{number}")
        walls.append(peer.cost.wall_s)
        if number in {10, 100, commits // 2, commits}:
            sizes[number] = (apparent_bytes(peer.home), peer.stored_bytes())
            print(f"{peer.name} {number}: {walls[-1]:.3f} s, {sizes[number][0]:,} bytes", file=sys.stderr)
    return walls, sizes


def read_back(peer, commits, step_bytes, out):
    """The snapshots whose log is not what it was, of a few tried."""
    whole = (peer.workspace / "logs" / "agent.log").read_bytes()
    wrong = []
    for number in (1, commits // 3, commits - 1, commits):
        peer.cat(f"s{number}", "logs/agent.log", out)
        if out.read_bytes() != whole[: number * step_bytes]:
            wrong.append(number)
    return wrong


def around(walls, number):
    """Median wall seconds of the commits around one, in ms."""
    at = number - 1
    return 1000 * statistics.median(walls[max(0, at - WINDOW) : at + WINDOW + 1])


def measure(name, args):
    work = args.work / name
    workspace = work / "workspace"
    prepare(workspace)
    peer = PEERS[name](workspace, work / "store")
    peer.init()
    walls, sizes = play(peer, args.commits, args.bytes)
    wrong = read_back(peer, args.commits, args.bytes, work / "one")
    peer.close()
    steps = args.commits - 10
    lengths, blocks = ((sizes[args.commits][i] - sizes[10][i]) / steps for i in (0, 1))
    tenth, last = around(walls, 10), around(walls, args.commits)
    return [
        name,
        f"{lengths:,.0f}",
        f"{blocks:,.0f}",
        f"{tenth:.0f}",
        f"{last:.0f}",
        f"{last / tenth:.2f}x",
        "yes" if not wrong else f"no: {wrong}",
    ]


def main():
    parser = program.parser(__doc__, work=True)
    parser.add_argument("--commits", type=int, default=2000)
    parser.add_argument("--bytes", type=int, default=2048, help="appended before each commit")
    parser.add_argument("--peers", default="casreplay")
    args = parser.parse_args()
    with program.scratch("growing-", args.work) as args.work:
        rows = [measure(name, args) for name in present(args.peers.split(","))]
        result = {
            "meta": {
                "what": f"{args.commits} commits, {args.bytes} bytes appended before each, whole processes",
                "machine": program.machine(args.work),
                "to reach": "at most 3,072 bytes stored for each commit; the last as fast as the 10th",
                "load average after": program.load(),
            },
            "tables": [
                {
                    "title": "A growing log",
                    "head": [
                        "tool",
                        "bytes a commit",
                        "the same in blocks on disk",
                        "10th commit, ms",
                        "last commit, ms",
                        "ratio",
                        "read back right",
                    ],
                    "rows": rows,
                }
            ],
        }
    tables.save("growing-log", result)
    print(tables.render(result))


if __name__ == "__main__":
    main()
