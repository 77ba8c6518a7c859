"""Deterministic workspaces in the shape of what an agent works in: plan, write, evolve.

    python benchmarks/workspaces.py generate small DIR
    python benchmarks/workspaces.py evolve small DIR --step 1 --fraction 0.001

The same profile and seed give the same bytes. A step depends on the tree it finds, the seed and the step's
number only, so the same calls give the same sequence of trees. What the bytes look like is the matter
of `content.py`.
"""

import math
import multiprocessing
import os
import random
from dataclasses import dataclass
from pathlib import Path

import program
from content import PAGE_BYTES, WORDS, database_page, log_lines, make

SEED = 7411
LARGEST_FILE = 8 << 20
AGENT_LOG = "logs/agent.log"

# kind: (share of the files, size beside the others)
KINDS = {
    "py": (0.24, 1.0),
    "ts": (0.17, 1.0),
    "js": (0.21, 1.1),
    "json": (0.16, 0.7),
    "md": (0.12, 0.8),
    "log": (0.04, 3.0),
    "bin": (0.06, 2.5),
}
PLACES = [
    "",
    "",
    "",
    "src",
    "src/core",
    "src/core/store",
    "lib",
    "lib/internal",
    "test",
    "test/data",
    "docs",
    "dist",
]


@dataclass(frozen=True)
class Tree:
    """Packages of source files, as many of them copies of an earlier one as dependency folders have."""

    files: int
    total_bytes: int
    spread: float  # sigma of the lognormal sizes
    copies: float  # share of packages that are copies
    package_files: int  # median


@dataclass(frozen=True)
class Growing:
    """Logs that only grow, and a database in which pages are rewritten."""

    logs: int
    log_bytes: int
    append_bytes: int
    database_bytes: int


PROFILES = {
    "mini": Tree(200, 2 << 20, 1.5, 0.15, 10),
    "small": Tree(2_000, 40 * 1000**2, 1.9, 0.10, 14),
    "large": Tree(100_000, 1000**3, 1.55, 0.28, 40),
    "tiny-files": Tree(1_000_000, 300 * 1000**2, 0.9, 0.25, 60),
    "growing": Growing(20, 25 << 20, 256 << 10, 500 << 20),
}


@dataclass(frozen=True)
class Planned:
    """One file to write: where, what kind, how long, and the names of its random streams."""

    path: str
    kind: str
    size: float
    seed: str
    package: str


# --- planning ----------------------------------------------------------------


def plan_tree(name):
    """Every file of a tree profile, in the order of writing; sizes add up to the profile's total."""
    spec = PROFILES[name]
    rng = random.Random(f"{SEED}/{name}/plan")
    areas = ["services", "packages", "tools", "apps/web", "apps/api", "libs"]
    areas += [f"{area}/{word}" for area, word in zip(areas, rng.sample(WORDS, len(areas)), strict=True)]
    packages, plan = [], []
    while len(plan) < spec.files - 1:
        number = len(packages)
        title = f"{rng.choice(WORDS)}-{rng.choice(WORDS)}-{number}"
        if packages and rng.random() < spec.copies:
            files = rng.choice(packages)
            root = f"{rng.choice(areas)}/node_modules/{title}"
        else:
            files = _plan_package(rng, spec, f"{SEED}/{name}/{number}")
            root = f"{rng.choice(areas)}/{title}"
        packages.append(files)
        plan += [Planned(f"{root}/{f.path}", f.kind, f.size, f.seed, f.package) for f in files]
    del plan[spec.files - 1 :]
    scale = spec.total_bytes / sum(f.size for f in plan)
    plan = [Planned(f.path, f.kind, _bounded(f.size * scale), f.seed, f.package) for f in plan]
    return [*plan, Planned(AGENT_LOG, "log", 64 << 10, f"{SEED}/agent", "")]


def _plan_package(rng, spec, package):
    count = max(3, min(800, int(rng.lognormvariate(math.log(spec.package_files), 0.8))))
    shares = [share for share, _ in KINDS.values()]
    files = []
    for i in range(count):
        kind = rng.choices(list(KINDS), shares)[0]
        size = rng.lognormvariate(0, spec.spread) * KINDS[kind][1]
        place = rng.choice(PLACES)
        files.append(
            Planned(
                f"{place}/{rng.choice(WORDS)}_{i}.{kind}".lstrip("/"), kind, size, f"{package}/{i}", package
            )
        )
    return files


def _bounded(size):
    return max(1, min(LARGEST_FILE, round(size)))


# --- writing -----------------------------------------------------------------


def _write_files(root, part):
    made = set()
    for number, file in enumerate(part):
        target = f"{root}/{file.path}"
        parent = os.path.dirname(target)
        if parent not in made:
            os.makedirs(parent, exist_ok=True)
            made.add(parent)
        with open(target, "wb", buffering=0) as out:
            out.write(make(file.kind, file.size, file.seed, file.package))
        if number % 97 == 0:
            os.chmod(target, 0o755)
        if number % 499 == 0:
            os.symlink(os.path.basename(target), target + ".link")


def _write_log(root, number, spec):
    with open(f"{root}/logs/agent-{number:02d}.log", "wb") as out:
        out.write(log_lines(random.Random(f"{SEED}/log/{number}"), spec.log_bytes))


def _write_database(root, spec):
    rng = random.Random(f"{SEED}/database")
    with open(f"{root}/state.db", "wb") as out:
        out.writelines(database_page(rng, number) for number in range(spec.database_bytes // PAGE_BYTES))


def generate(name, root):
    """Write the workspace of a profile into `root`, which must not exist yet."""
    spec, root = PROFILES[name], str(root)
    os.makedirs(root)
    jobs = os.cpu_count() or 1
    with multiprocessing.Pool(jobs) as pool:
        if isinstance(spec, Growing):
            os.mkdir(f"{root}/logs")
            waiting = [pool.apply_async(_write_database, (root, spec))]
            waiting += [pool.apply_async(_write_log, (root, i, spec)) for i in range(spec.logs)]
        else:
            plan = plan_tree(name)
            # The length of a part is a constant: links and modes must not depend on the number of processors.
            parts = [plan[i : i + 5000] for i in range(0, len(plan), 5000)]
            waiting = [pool.apply_async(_write_files, (root, part)) for part in parts]
        for task in waiting:
            task.get()


# --- steps -------------------------------------------------------------------


def regular_files(root):
    """Sorted relative paths of the regular files below `root`."""
    found = []
    for base, _, names in os.walk(root):
        inside = os.path.relpath(base, root)
        for name in names:
            path = name if inside == "." else f"{inside}/{name}"
            if not os.path.islink(f"{root}/{path}"):
                found.append(path)
    return sorted(found)


def _save(path, data):
    """Write as an editor does: the same inode, truncated and written again."""
    with open(path, "wb") as out:
        out.write(data)


def _edit(path, rng, seed):
    """Replace one stretch of the file by new lines."""
    data = path.read_bytes()
    kind = path.suffix[1:] if path.suffix[1:] in {"py", "ts", "js", "json", "md"} else "md"
    new = make(kind, rng.randint(30, 600), seed, f"{seed}/voice")
    at = data.rfind(b"\n", 0, rng.randrange(len(data) + 1)) + 1
    _save(path, data[:at] + new + b"\n" + data[at + rng.randint(0, 300) :])


def _step_tree(root, rng, step, fraction):
    files = [f for f in regular_files(root) if f != AGENT_LOG]
    edits = max(1, round(len(files) * fraction))
    deletes, renames, adds = max(1, edits // 10), max(1, edits // 20), max(1, edits // 5)
    chosen = rng.sample(files, edits + deletes + renames)
    for i, name in enumerate(chosen[:edits]):
        _edit(root / name, rng, f"{SEED}/edit/{step}/{i}")
    for name in chosen[edits : edits + deletes]:
        (root / name).unlink()
    for i, name in enumerate(chosen[edits + deletes :]):
        path = root / name
        path.rename(path.with_name(f"moved_{step}_{i}{path.suffix}"))
    for i in range(adds):
        kind = rng.choice(["py", "ts", "json", "md"])
        folder = (root / rng.choice(chosen[:edits])).parent
        size = _bounded(min(65536, rng.lognormvariate(8, 1.2)))
        _save(
            folder / f"added_{step}_{i}.{kind}",
            make(kind, size, f"{SEED}/add/{step}/{i}", f"{SEED}/add/{step}"),
        )
    with open(root / AGENT_LOG, "ab") as out:
        out.write(log_lines(rng, rng.randint(2000, 12000), step * 3000))


def _step_growing(root, rng, step, fraction, spec):
    for path in sorted((root / "logs").iterdir()):
        with open(path, "ab") as out:
            out.write(log_lines(rng, spec.append_bytes, step * 40000))
    pages = spec.database_bytes // PAGE_BYTES
    with open(root / "state.db", "r+b") as out:
        for number in sorted(rng.sample(range(pages), max(1, round(pages * fraction)))):
            out.seek(number * PAGE_BYTES)
            out.write(database_page(rng, number))


def evolve(name, root, step, fraction):
    """Change about `fraction` of the workspace: edits, adds, deletes, renames, appends, pages."""
    rng = random.Random(f"{SEED}/{name}/{step}/{fraction}")
    spec, root = PROFILES[name], Path(root)
    if isinstance(spec, Growing):
        _step_growing(root, rng, step, fraction, spec)
    else:
        _step_tree(root, rng, step, fraction)


def main():
    parser = program.parser(__doc__)
    parser.add_argument("action", choices=["generate", "evolve"])
    parser.add_argument("profile", choices=list(PROFILES))
    parser.add_argument("root", type=Path)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--fraction", type=float, default=0.001)
    args = parser.parse_args()
    if args.action == "generate":
        generate(args.profile, args.root)
    else:
        evolve(args.profile, args.root, args.step, args.fraction)


if __name__ == "__main__":
    main()
