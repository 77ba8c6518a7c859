"""A whole round on real files: installed software copied from this machine, about 100,000 of them.

    python benchmarks/real_tree.py --work DIR [--files 100000] [--source FOLDER]... [--peers casreplay,git]

Commit, nothing changed, change, status, diff, log, full restore compared byte for byte, restore of the older
snapshot; then a large folder goes: prune, gc, `fsck --data`, and a restore after all that. Writes
benchmarks/results/real-tree.json. Bytecode, tool caches and the inside of `.git` are not copied: these are
left out by default.
"""

import os
import random
import shutil
import stat
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import program
import tables
from measure import CommandError, Cost, warm
from peers import PEERS, Casreplay
from run import present
from scenario import PAUSE_S

SOURCES = ("/usr/lib/node_modules", "/usr/lib/python3", "/usr/include", "/usr/share", "/usr/lib")
SKIPPED = {"__pycache__", ".git", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox"}
LARGEST_BYTES = 64 << 20
HERE = Path(__file__).resolve().parent


# --- the workspace -----------------------------------------------------------


def copy_tree(source, target, limit):
    """Copy files, links and modes below `source`, at most `limit` files; how many were copied."""
    count = 0
    for base, dirs, names in os.walk(source):
        dirs[:] = sorted(name for name in dirs if name not in SKIPPED)
        place = target + base[len(source) :]
        os.makedirs(place, exist_ok=True)
        linked = [name for name in dirs if os.path.islink(f"{base}/{name}")]
        for name in sorted([*names, *linked]):
            if count >= limit:
                return count
            if not name.endswith((".pyc", ".pyo")):
                count += copy_one(f"{base}/{name}", f"{place}/{name}")
    return count


def copy_one(source, target):
    info = os.lstat(source)
    if not (stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode)) or info.st_size > LARGEST_BYTES:
        return 0
    try:
        shutil.copy2(source, target, follow_symlinks=False)
    except OSError as problem:
        print(f"not copied: {problem}", file=sys.stderr)
        return 0
    if stat.S_ISREG(info.st_mode):
        os.chmod(target, 0o755 if info.st_mode & 0o100 else 0o644)
    return 1


def collect(workspace, sources, limit):
    """Fill the workspace from the sources, each below a folder of its own; how many files."""
    count = 0
    for number, source in enumerate(sources):
        if os.path.isdir(source) and count < limit:
            name = f"{number}-{os.path.basename(source.rstrip('/'))}"
            count += copy_tree(source.rstrip("/"), f"{workspace}/{name}", limit - count)
    return count


def change(workspace, rng):
    """A busy day: edits, deletions, renames, modes, new files, a file that became a link."""
    files = [
        f"{base}/{name}"
        for base, _, names in os.walk(workspace)
        for name in names
        if not os.path.islink(f"{base}/{name}")
    ]
    chosen = rng.sample(sorted(files), max(20, len(files) // 500))
    part = len(chosen) // 5
    for path in chosen[:part]:
        with open(path, "ab") as out:
            out.write(b"\n# one more line\n")
    for path in chosen[part : 2 * part]:
        os.unlink(path)
    for path in chosen[2 * part : 3 * part]:
        os.rename(path, f"{path}.moved")
    for path in chosen[3 * part : 4 * part]:
        os.chmod(path, os.stat(path).st_mode ^ 0o111)
    for number, path in enumerate(chosen[4 * part :]):
        with open(f"{path}.new", "w") as out:
            out.write(f"a new file, the {number}th\n" * (number % 50 + 1))
    os.unlink(chosen[0])
    os.symlink("nowhere", chosen[0])
    folder = max((entry for entry in os.scandir(workspace) if entry.is_dir()), key=lambda entry: entry.name)
    os.rename(folder.path, f"{folder.path}-renamed")


# --- the round ---------------------------------------------------------------


class Round:
    """One tool going through everything; rows of what was done, how long it took, whether it was right."""

    def __init__(self, peer, work):
        self.peer = peer
        self.work = work
        self.rows = []

    def do(self, what, act, check=lambda: ""):
        """Time one operation and check what it left."""
        subprocess.run(["sync", "-f", self.work], check=True)
        self.peer.cost, self.peer.recording = Cost(), False
        try:
            act()
            found = check()
        except (CommandError, OSError, subprocess.CalledProcessError) as problem:
            found = self.peer.public(str(problem))
        cost = self.peer.cost
        figures = [f"{cost.wall_s:.2f}", f"{cost.tree_mb:.0f}", f"{self.peer.stored_bytes() / 1e6:.1f}"]
        self.rows.append([what, self.peer.name, *figures, found or "as expected"])
        print(self.rows[-1], file=sys.stderr, flush=True)

    def restored(self, what, label, expected):
        """Restore a snapshot into an empty folder and compare everything."""
        target = self.work / f"restored-{len(self.rows)}-{self.peer.name}"
        target.mkdir()

        def check():
            argv = [sys.executable, HERE / "compare.py", expected, target]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            return "" if done.returncode == 0 else done.stdout.strip().replace("\n", "; ")

        self.do(what, lambda: self.peer.restore(label, target), check)

    def before_change(self):
        self.do("first commit", lambda: self.peer.snapshot("before"))
        time.sleep(PAUSE_S)
        self.do("commit, nothing changed", lambda: self.peer.snapshot("same"))

    def after_change(self, original, workspace):
        if self.peer.status:
            self.do("status", self.peer.status)
        self.do("commit, changed", lambda: self.peer.snapshot("after"))
        self.do("diff", lambda: self.peer.diff("before", "after"))
        self.restored("restore, newest", "after", workspace)
        self.restored("restore, older", "before", original)
        self.do("verify", self.peer.verify)

    def keep_house(self, workspace):
        """Only casreplay: a large folder goes, all but the newest snapshot is dropped, space is freed."""
        folders = sorted(
            (entry.path for entry in os.scandir(workspace) if entry.is_dir()), key=os.path.basename
        )
        shutil.rmtree(folders[len(folders) // 2])
        self.do("commit, a large folder gone", lambda: self.peer.snapshot("reduced"))
        for words in ("stats", "prune --keep-last 1", "gc", "stats", "fsck --data", "doctor"):
            self.do(words, lambda words=words: self.peer.run(*self.peer.entry, *words.split()))
        self.restored("restore after gc", "reduced", workspace)
        self.do("log", self.peer.history)


def options():
    parser = program.parser(__doc__, work=True)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument(
        "--source", action="append", help="a folder to copy from (default: what is installed)"
    )
    parser.add_argument("--peers", default="casreplay")
    return parser.parse_args()


def play(args, work):
    """Copy, go round with every tool, and give the rows and a word on the workspace."""
    workspace, original = work / "workspace", work / "original"
    sources = args.source or [sysconfig.get_paths()["stdlib"], *SOURCES]
    count = collect(str(workspace), sources, args.files)
    subprocess.run(["cp", "-a", workspace, original], check=True)
    warm(workspace)
    rounds = [Round(PEERS[name](workspace, work / name), work) for name in present(args.peers.split(","))]
    for one in rounds:
        one.peer.init()
        one.before_change()
    change(str(workspace), random.Random("a busy day"))
    time.sleep(PAUSE_S)
    for one in rounds:
        one.after_change(original, workspace)
        one.peer.close()
    for one in rounds:
        if isinstance(one.peer, Casreplay):
            one.keep_house(workspace)
    length = sum(os.lstat(f"{base}/{name}").st_size for base, _, names in os.walk(original) for name in names)
    rows = [row for one in rounds for row in one.rows]
    return rows, f"{count:,} files of installed software, {length / 1e6:,.0f} MB"


def main():
    args = options()
    with program.scratch("real-", args.work) as work:
        rows, said = play(args, work)
        machine = program.machine(work)
    head = ["operation", "tool", "wall s", "peak MB", "store MB", "result"]
    result = {
        "meta": {
            "workspace": said,
            "machine": machine,
            "load average after": program.load(),
        },
        "tables": [{"title": "A round on real files", "head": head, "rows": rows}],
    }
    tables.save("real-tree", result)
    print(tables.render(result))


if __name__ == "__main__":
    main()
