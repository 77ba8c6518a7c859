"""Run casreplay beside git, restic and borg on one generated workspace.

    python benchmarks/run.py small --peers casreplay,git,git-tuned,restic,borg --repeats 3 --work DIR
    python benchmarks/run.py small --history 200 --work DIR --update-docs
    python benchmarks/run.py large --work DIR --update-docs

Writes benchmarks/results/NAME.json and, with --update-docs, the tables of docs/benchmarks.md. Tools that are
not installed are left out with a line that says so. Put --work on a quiet disk; the large profile needs about
10 GB for each repeat, since nothing is deleted before the end.
"""

import os
import platform
import sys
import time

import program
import tables
from peers import PEERS, Casreplay
from scenario import METRICS, Bench
from workspaces import PROFILES


def meta(args):
    spec = PROFILES[args.profile]
    repeats = f"1 history of {args.history} commits" if args.history else args.repeats
    return {
        "workspace": f"{args.profile}: {spec}",
        "machine": f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}, "
        f"{program.file_system(args.work)}, Python {platform.python_version()}",
        "versions": "; ".join(f"{name}: {PEERS[name].version()}" for name in args.peers),
        "repeats": f"{repeats}, cheap operations {args.inner} times in each; page cache warm; medians",
        "load average before": program.load(),
        "started": time.strftime("%Y-%m-%d %H:%M"),
    }


def present(names):
    """The tools that can take part; for each other one a line that says why not."""
    found = []
    for name in names:
        why = PEERS[name].missing()
        if why:
            print(f"left out: {name}: {why}", file=sys.stderr)
        else:
            found.append(name)
    return found


def options():
    parser = program.parser(__doc__, work=True)
    parser.add_argument("profile", choices=list(PROFILES))
    parser.add_argument("--peers", default=",".join(PEERS), help="comma-separated (default: all installed)")
    parser.add_argument("--repeats", type=int, default=3, help="whole runs, each with fresh stores")
    parser.add_argument("--inner", type=int, default=3, help="times a cheap operation is done in each run")
    parser.add_argument("--history", type=int, metavar="N", help="instead: N small commits in a row")
    parser.add_argument(
        "--delete-early", action="store_true", help="delete used folders at once: for small disks"
    )
    parser.add_argument(
        "--casreplay", metavar="PATH", help="an entry point, instead of `python -m casreplay`"
    )
    parser.add_argument("--name", help="name of the result (default: PROFILE or PROFILE-historyN)")
    parser.add_argument("--update-docs", action="store_true", help="write the tables into docs/benchmarks.md")
    args = parser.parse_args()
    if args.casreplay:
        Casreplay.entry = (os.path.abspath(args.casreplay),)
    args.peers = present(args.peers.split(","))
    args.name = args.name or args.profile + (f"-history{args.history}" if args.history else "")
    return args


def thinned(cells):
    """The same with at most about 40 values for each measurement, evenly from first to last."""
    return {
        operation: {
            peer: {
                metric: values[:: max(1, len(values) // 40)] if metric in METRICS else values
                for metric, values in found.items()
            }
            for peer, found in by_peer.items()
        }
        for operation, by_peer in cells.items()
    }


def keep(bench, args, facts, done):
    """Write down what was measured so far."""
    facts = {**facts, "whole runs finished": done, "load average after": program.load()}
    result = {"profile": args.profile, "meta": facts, "cells": thinned(bench.cells.data)}
    result |= {"growth": bench.cells.growth, "commands": bench.commands}
    tables.save(args.name, result)
    return result


def play(args):
    """Everything asked for, written down as far as it came."""
    bench = Bench(args)
    facts, done = meta(args), 0
    try:
        bench.generate()
        for _ in range(1 if args.history else args.repeats):
            if args.history:
                bench.long_history(args.history)
            else:
                bench.everything()
            done += 1
            keep(bench, args, facts, done)
    finally:
        result = keep(bench, args, facts, done)
        bench.close()
    return result


def main():
    args = options()
    with program.scratch("bench-", args.work) as args.work:
        result = play(args)
    print(tables.render(result))
    if args.update_docs:
        print("updated: " + ", ".join(tables.update()), file=sys.stderr)


if __name__ == "__main__":
    main()
