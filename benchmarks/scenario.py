"""What is done with the tools, in which order, and what is written down about it.

Owns: turns, warm caches, checks of what came back. Does not own: commands (`peers.py`), tables (`tables.py`).

The tools take turns at every operation, in an order that rotates, so that the noise of the machine meets all
of them alike. Nothing is deleted before the end unless asked: on ext4 without a journal, creating files is
many times slower for some minutes after many were deleted, whoever deleted them.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from measure import CommandError, Cost, warm
from peers import PEERS

HERE = Path(__file__).resolve().parent
SHARES = {"small change": 0.001, "medium change": 0.01}
CONTENT_READERS = ("first commit", *SHARES)
LABELS = {"small change": "small", "medium change": "medium"}
# Entries changed within this time of a scan are read again by careful tools; all tools are given the pause.
PAUSE_S = 2.2
METRICS = ("wall_s", "cpu_s", "largest_mb", "tree_mb", "stored_mb")


def middle_file(root):
    """A file of a few KiB from the middle of the folders, without listing everything."""
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir())
    for folder in folders[len(folders) // 2 :] + folders:
        for base, dirs, names in os.walk(folder):
            dirs.sort()
            for name in sorted(names):
                path = Path(base) / name
                if not path.is_symlink() and path.stat().st_size > 4096:
                    return path
    raise ValueError("No file to read back")


class Cells:
    """Measurements by operation and tool: lists of values, failures, wrong results."""

    def __init__(self):
        self.data = {}
        self.growth = {}

    def add(self, operation, peer, values, error=None):
        cell = self.data.setdefault(operation, {}).setdefault(peer, {metric: [] for metric in METRICS})
        if error:
            cell.setdefault("errors", []).append(error)
            return
        for metric in METRICS:
            cell[metric].append(round(values[metric], 4))

    def wrong(self, operation, peer, what):
        self.data[operation][peer].setdefault("errors", []).append(f"wrong result: {what}")


class Bench:
    """One workspace, several tools, and what was measured."""

    def __init__(self, options):
        self.options = options
        self.work = options.work
        self.workspace = self.work / "workspace"
        self.cells = Cells()
        self.peers = {}
        self.commands = {}
        self.step = 0
        self.turn = 0
        self.round = 0

    # --- the workspace ---

    def script(self, name, *argv):
        """Run a script beside this one in a process of its own, so that this one stays small."""
        argv = [sys.executable, HERE / name, *map(str, argv)]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def generate(self):
        done = self.script("workspaces.py", "generate", self.options.profile, self.workspace)
        done.check_returncode()

    def evolve(self, share):
        self.step += 1
        words = ("--step", self.step, "--fraction", share)
        self.script(
            "workspaces.py", "evolve", self.options.profile, self.workspace, *words
        ).check_returncode()

    def discard(self, folder):
        """Get a folder out of the way: now if asked, else when the run ends."""
        if self.options.delete_early:
            shutil.rmtree(folder)
        else:
            self.round += 1
            folder.rename(self.work / f"discarded-{self.round}")

    # --- turns ---

    def start(self):
        for name in self.options.peers:
            self.peers[name] = PEERS[name](self.workspace, self.work / "stores" / name)
        self.each("init", lambda peer: peer.init)

    def finish(self):
        for peer in self.peers.values():
            for operation, said in peer.commands.items():
                self.commands.setdefault(peer.name, {}).setdefault(operation, said)
            peer.close()
        self.peers.clear()
        self.discard(self.work / "stores")

    def order(self):
        names = list(self.peers)
        self.turn += 1
        at = self.turn % max(1, len(names))
        return [self.peers[name] for name in names[at:] + names[:at]]

    def each(self, operation, choose, times=1):
        """One operation for every tool that has it, one after the other, `times` times over.

        Args:
            operation: Its name in the tables.
            choose: peer -> what to call, or None.
            times: How often; cheap operations are repeated.
        """
        for _ in range(times):
            warm(self.workspace)
            for peer in self.order():
                act = choose(peer)
                if act is not None:
                    self.measure(operation, peer, act)

    def measure(self, operation, peer, act):
        """Measure one operation of one tool; a tool that fails is written down and goes on."""
        subprocess.run(["sync", "-f", self.work], check=True)
        warm(peer.home)
        # borg tells the system to forget each file it read: without this, who follows it reads from the disk.
        warm(self.workspace, content=operation in CONTENT_READERS)
        peer.cost, peer.operation, peer.recording = Cost(), operation, operation not in peer.commands
        error = None
        try:
            act()
        except (CommandError, OSError, KeyError, subprocess.CalledProcessError) as problem:
            error = peer.public(f"{type(problem).__name__}: {problem}")
        stored_mb = peer.stored_bytes() / 1e6
        self.cells.add(operation, peer.name, {**vars(peer.cost), "stored_mb": stored_mb}, error)
        said = f"{operation:24} {peer.name:14} {peer.cost.wall_s:9.3f} s  {peer.cost.tree_mb:6.0f} MB"
        print(f"{said}  {stored_mb:8.1f} MB stored  {error or ''}", file=sys.stderr, flush=True)

    # --- scenarios ---

    def everything(self):
        """Each operation once, the cheap ones several times, with fresh stores."""
        inner = self.options.inner
        self.start()
        self.each("first commit", lambda peer: lambda: peer.snapshot("first"))
        time.sleep(PAUSE_S)
        for i in range(inner):
            self.each("nothing changed", lambda peer, i=i: lambda: peer.snapshot(f"same{i}"))
        for operation, share in SHARES.items():
            self.evolve(share)
            time.sleep(PAUSE_S)
            self.each(operation, lambda peer, operation=operation: lambda: peer.snapshot(LABELS[operation]))
        self.each("status", lambda peer: peer.status, inner)
        self.each("diff, 0.1 %", lambda peer: peer.diff and (lambda: peer.diff("first", "small")), inner)
        self.each("diff, 1 %", lambda peer: peer.diff and (lambda: peer.diff("small", "medium")), inner)
        self.each("log", lambda peer: peer.history, inner)
        for peer in self.order():
            self.restore("restore all", peer, "medium", self.workspace)
        self.one_file(inner)
        self.each("verify", lambda peer: peer.verify)
        self.finish()

    def restore(self, operation, peer, label, expected):
        """Restore into an empty folder and compare everything with what it should be."""
        target = self.work / "restored"
        target.mkdir()
        self.measure(operation, peer, lambda: peer.restore(label, target))
        done = self.script("compare.py", expected, target)
        if done.returncode:
            self.cells.wrong(operation, peer.name, done.stdout.strip().replace("\n", "; ")[:300])
            print(f"{operation}: {peer.name} restored something else: {done.stdout}", file=sys.stderr)
        self.discard(target)

    def one_file(self, times):
        """Read one file back and compare it."""
        path = middle_file(self.workspace)
        out = self.work / "one"

        def act(peer):
            return lambda: peer.cat("medium", path.relative_to(self.workspace), out)

        for _ in range(times):
            for peer in self.order():
                self.measure("restore one file", peer, act(peer))
                if not out.exists() or out.read_bytes() != path.read_bytes():
                    self.cells.wrong("restore one file", peer.name, "other bytes")
                out.unlink(missing_ok=True)

    def long_history(self, commits):
        """Many small commits, what the store grows by, and what it costs to look into it afterwards."""
        self.start()
        original = self.work / "original"
        subprocess.run(["cp", "-a", self.workspace, original], check=True)
        self.each("first commit", lambda peer: lambda: peer.snapshot("s0"))
        for number in range(1, commits + 1):
            self.evolve(SHARES["small change"])
            self.each("commit", lambda peer, number=number: lambda: peer.snapshot(f"s{number}"))
            if number % max(1, commits // 10) == 0:
                for peer in self.peers.values():
                    self.cells.growth.setdefault(peer.name, {})[str(number)] = round(
                        peer.stored_bytes() / 1e6, 3
                    )
        self.look_back(commits, original)
        self.each("pack", lambda peer: peer.pack)
        for peer in self.peers.values():
            self.cells.growth.setdefault(peer.name, {})["packed"] = round(peer.stored_bytes() / 1e6, 3)
        self.finish()

    def look_back(self, commits, original):
        last, inner = f"s{commits}", self.options.inner
        self.each("log", lambda peer: peer.history, inner)
        before = f"s{commits - 1}"
        self.each("diff of neighbours", lambda peer: peer.diff and (lambda: peer.diff(before, last)), inner)
        self.each("diff of both ends", lambda peer: peer.diff and (lambda: peer.diff("s0", last)), inner)
        for peer in self.order():
            self.restore("restore the oldest", peer, "s0", original)
        for peer in self.order():
            self.restore("restore the newest", peer, last, self.workspace)
        self.each("verify", lambda peer: peer.verify)

    def close(self):
        for peer in self.peers.values():
            with contextlib.suppress(OSError, subprocess.CalledProcessError):
                peer.close()
