"""What this machine can do at best, so that every figure of casreplay can be read beside it.

    python benchmarks/limits.py large --work DIR [--workspace FOLDER]

Walks, reads, hashes, compresses, creates files and syncs with the least code that does it, in one and in two
processes. Nothing here uses the package; blake3 and zstandard are what it depends on. Writes
benchmarks/results/limits-PROFILE.json.
"""

import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import program
import tables
import zstandard
from blake3 import blake3
from measure import warm
from workspaces import PROFILES, generate

GROUP_BYTES = 512 << 10
LARGEST_BYTES = 64 << 20


# --- what is timed -----------------------------------------------------------


def walk(root):
    """Names, kinds and stat of everything; files as (path, size)."""
    found, todo = [], [root]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    found.append((entry.path, entry.stat(follow_symlinks=False).st_size))
    return found


def read_all(files):
    for path, size in files:
        fd = os.open(path, os.O_RDONLY)
        os.read(fd, size)
        os.close(fd)


def hash_all(files):
    for path, size in files:
        fd = os.open(path, os.O_RDONLY)
        blake3(os.read(fd, size)).digest()
        os.close(fd)


def compress_each(files, level):
    """Bytes stored when every file is a frame of its own."""
    pack = zstandard.ZstdCompressor(level=level).compress
    return sum(len(pack(Path(path).read_bytes())) for path, _ in files)


def compress_groups(files, level):
    """Bytes stored when small files share frames of about 512 KiB."""
    pack = zstandard.ZstdCompressor(level=level).compress
    stored, waiting, length = 0, [], 0
    for path, size in files:
        waiting.append(Path(path).read_bytes())
        length += size
        if length >= GROUP_BYTES:
            stored += len(pack(b"".join(waiting)))
            waiting, length = [], 0
    return stored + len(pack(b"".join(waiting)))


def create_all(target, root, files):
    """Make files of the same names and sizes below an empty folder."""
    blob = memoryview(os.urandom(LARGEST_BYTES >> 3))
    made = set()
    for source, size in files:
        copy = target + source[len(root) :]
        parent = os.path.dirname(copy)
        if parent not in made:
            os.makedirs(parent, exist_ok=True)
            made.add(parent)
        fd = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, blob[:size])
        os.close(fd)


# --- timing ------------------------------------------------------------------


def halves(items, jobs):
    return [items[i * len(items) // jobs : (i + 1) * len(items) // jobs] for i in range(jobs)]


def divided(act, files, jobs):
    """`act` on equal parts of the files in forked processes."""
    children = []
    for part in halves(files, jobs)[1:]:
        pid = os.fork()
        if pid == 0:
            act(part)
            os._exit(0)
        children.append(pid)
    act(halves(files, jobs)[0])
    for pid in children:
        os.waitpid(pid, 0)


def walk_divided(root, jobs):
    """The same walk, the folders of the two upper levels dealt out to forked processes."""
    tops = [e.path for e in os.scandir(root) if e.is_dir(follow_symlinks=False)]
    seconds = [e.path for top in tops for e in os.scandir(top) if e.is_dir(follow_symlinks=False)]
    divided(lambda part: [walk(folder) for folder in part], seconds, jobs)


def timed(act, repeats, *, before=lambda: None):
    """Median and fastest wall seconds."""
    walls = []
    for _ in range(repeats):
        before()
        start = time.perf_counter()
        act()
        walls.append(time.perf_counter() - start)
    return statistics.median(walls), min(walls)


# --- tables ------------------------------------------------------------------


def reading(root, files, repeats):
    total_mb = sum(size for _, size in files) / 1e6
    todo = {
        "walk and stat, `find -printf`": lambda: subprocess.run(
            ["find", root, "-printf", "%s %T@ %i %p\n"], stdout=subprocess.DEVNULL, check=True
        ),
        "walk and stat, 1 process": lambda: walk(root),
        "walk and stat, 2 processes": lambda: walk_divided(root, 2),
        "read, 1 process": lambda: read_all(files),
        "read, 2 processes": lambda: divided(read_all, files, 2),
        "read and BLAKE3, 1 process": lambda: hash_all(files),
        "read and BLAKE3, 2 processes": lambda: divided(hash_all, files, 2),
    }
    rows = []
    for name, act in todo.items():
        wall, least = timed(act, repeats)
        speed = f"{total_mb / wall:,.0f}" if "BLAKE3" in name or "read" in name else "-"
        rows.append([name, f"{wall:.3f}", f"{least:.3f}", speed])
        print(rows[-1], file=sys.stderr, flush=True)
    return {"title": "Reading", "head": ["what", "median s", "fastest s", "MB/s"], "rows": rows}


def compressing(files, levels):
    """On a share of the files, taken evenly: compression is slow, and its speed does not hang on how many."""
    share = files[:: max(1, len(files) // 8000)]
    raw = sum(size for _, size in share)
    rows = []
    for level in levels:
        for name, act in [("each file", compress_each), ("groups of 512 KiB", compress_groups)]:
            start = time.perf_counter()
            stored = act(share, level)
            seconds = time.perf_counter() - start
            rows.append([f"zstd {level}, {name}", f"{raw / 1e6 / seconds:.0f}", f"{stored / raw:.3f}"])
            print(rows[-1], file=sys.stderr, flush=True)
    return {
        "title": "Compressing, 1 thread, reading included",
        "head": ["what", "MB/s", "ratio"],
        "rows": rows,
    }


def creating(work, root, files, repeats):
    rows = []
    for jobs in (1, 2):
        fresh = iter([work / f"copy-{jobs}-{number}" for number in range(repeats)])
        wall, least = timed(partial(create_copy, fresh, root, files, jobs), repeats, before=os.sync)
        rows.append([f"create all files, {jobs} process{'es' * (jobs > 1)}", f"{wall:.3f}", f"{least:.3f}"])
        print(rows[-1], file=sys.stderr, flush=True)
    return {"title": "Creating", "head": ["what", "median s", "fastest s"], "rows": rows}


def create_copy(targets, root, files, jobs):
    """All files below the next of the given folders."""
    target = str(next(targets))
    divided(lambda part: create_all(target, root, part), files, jobs)


def syncing(work, count):
    """Median seconds of the usual ways to make 4 KiB durable."""
    folder, block = os.open(work, os.O_RDONLY), os.urandom(4096)
    log = os.open(work / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    times = {
        "new file, fsync": [],
        "new file, fsync, rename, fsync of the folder": [],
        "append, fdatasync": [],
    }
    for i in range(count):
        start = time.perf_counter()
        fd = os.open(work / "new", os.O_WRONLY | os.O_CREAT)
        os.write(fd, block)
        os.fsync(fd)
        os.close(fd)
        times["new file, fsync"].append(time.perf_counter() - start)
        os.rename(work / "new", work / f"named-{i}")
        os.fsync(folder)
        times["new file, fsync, rename, fsync of the folder"].append(time.perf_counter() - start)
        start = time.perf_counter()
        os.write(log, block)
        os.fdatasync(log)
        times["append, fdatasync"].append(time.perf_counter() - start)
    os.close(log)
    os.close(folder)
    rows = [[name, f"{1000 * statistics.median(seen):.2f}"] for name, seen in times.items()]
    return {"title": "Syncing 4 KiB", "head": ["what", "median ms"], "rows": rows}


def starting(repeats):
    todo = {
        "`git --version`": ["git", "--version"],
        "`python -c pass`": [sys.executable, "-c", "pass"],
        "`python -I -S -c pass`": [sys.executable, "-I", "-S", "-c", "pass"],
        "python, import click": [sys.executable, "-c", "import click"],
        "python, import blake3, zstandard": [sys.executable, "-c", "import blake3, zstandard"],
    }
    rows = []
    for name, argv in todo.items():
        wall, least = timed(lambda argv=argv: subprocess.run(argv, check=True, capture_output=True), repeats)
        rows.append([name, f"{1000 * wall:.1f}", f"{1000 * least:.1f}"])
    return {"title": "Starting", "head": ["what", "median ms", "fastest ms"], "rows": rows}


def main():
    parser = program.parser(__doc__, work=True)
    parser.add_argument("profile", choices=list(PROFILES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workspace", type=Path, help="a workspace of that profile that already exists")
    args = parser.parse_args()
    with program.scratch("limits-", args.work) as work:
        root = str(args.workspace or work / "workspace")
        if not args.workspace:
            generate(args.profile, root)
        warm(root)
        files = walk(root)
        total_mb = sum(size for _, size in files) / 1e6
        result = {
            "meta": {
                "workspace": f"{args.profile}: {len(files):,} files, {total_mb:,.0f} MB",
                "machine": program.machine(work),
                "load average before": program.load(),
                "repeats": args.repeats,
            },
            "tables": [
                starting(args.repeats * 4),
                syncing(work, 100),
                reading(root, files, args.repeats),
                compressing(files, (1, 3, 6, 9)),
                creating(work, root, files, min(3, args.repeats)),
            ],
        }
    tables.save(f"limits-{args.profile}", result)
    print(tables.render(result))


if __name__ == "__main__":
    main()
