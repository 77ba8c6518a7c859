"""How long the command takes to start: whole processes, nothing kept running in between.

    python benchmarks/startup.py --work DIR [--runs 20]

Writes benchmarks/results/startup.json. The commit with nothing changed is on the workspace of 2,000 files.
"""

import platform
import statistics
import subprocess
import sys
import time

import program
import tables
from measure import Cost, run, warm
from peers import PEERS, Casreplay
from scenario import PAUSE_S
from workspaces import generate


def repeated(peer, argv, runs):
    """Wall milliseconds of a command, median and fastest, and its peak memory in MB."""
    walls, memory = [], 0.0
    for _ in range(runs):
        cost = Cost()
        run(argv, peer.setting(), cost)
        walls.append(1000 * cost.wall_s)
        memory = max(memory, cost.tree_mb)
    return statistics.median(walls), min(walls), memory


def modules(peer, argv):
    """How many modules a command imports."""
    argv = [sys.executable, "-X", "importtime", *argv[1:]]
    done = subprocess.run(argv, cwd=peer.workspace, env=peer.env, capture_output=True, text=True, check=True)
    return sum(line.startswith("import time:") for line in done.stderr.splitlines()) - 1


def main():
    parser = program.parser(__doc__, work=True)
    parser.add_argument("--runs", type=int, default=20)
    args = parser.parse_args()
    with program.scratch("startup-", args.work) as work:
        workspace = work / "workspace"
        generate("small", workspace)
        peer = PEERS["casreplay"](workspace, work / "store")
        peer.init()
        peer.snapshot("first")
        time.sleep(PAUSE_S)
        warm(workspace)
        todo = {
            "`python -c pass`": ([sys.executable, "-c", "pass"], None),
            "python, import click": ([sys.executable, "-c", "import click"], None),
            "`casreplay --version`": ([*Casreplay.entry, "--version"], 0.1),
            "`casreplay --help`": ([*Casreplay.entry, "--help"], 0.1),
            "`casreplay commit`, nothing changed, 2,000 files": ([*Casreplay.entry, "commit"], 0.15),
            "`casreplay status`, nothing changed": ([*Casreplay.entry, "status"], None),
            "`casreplay log -n 1`": ([*Casreplay.entry, "log", "-n", "1"], None),
        }
        rows = []
        for name, (argv, limit) in todo.items():
            repeated(peer, argv, 2)
            median, least, memory = repeated(peer, argv, args.runs)
            verdict = "-" if limit is None else "reached" if median <= 1000 * limit else "missed"
            target = f"<= {1000 * limit:.0f}" if limit else "-"
            figures = [f"{median:.0f}", f"{least:.0f}", f"{memory:.0f}", modules(peer, argv)]
            rows.append([name, *figures, target, verdict])
        head = ["command", "median ms", "fastest ms", "peak MB", "modules", "to reach, ms", "verdict"]
        result = {
            "meta": {
                "what": f"{args.runs} runs each, `python -m casreplay`, bytecode compiled",
                "machine": f"{program.machine(work)}, {platform.python_version()}",
                "load average after": program.load(),
            },
            "tables": [{"title": "Whole processes", "head": head, "rows": rows}],
        }
    tables.save("startup", result)
    print(tables.render(result))


if __name__ == "__main__":
    main()
