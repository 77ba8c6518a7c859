"""A long history with planted faults, as a git repository and as a casreplay store.

Everything follows from the seed. ``python benchmarks/bisect_history.py DIR`` makes DIR/git
and DIR/store; the other bisect benchmarks call ``make``. Planted (numbers are commits):

- BOUNDARY: ``app/core.txt`` turns from ``value=ok`` to ``value=broken`` and stays so
- BLOCK: commits around the boundary whose ``build.txt`` says ``broken``: untestable
- WINDOWS: ``flag.txt`` says ``on`` in two stretches of the history
- PAIR: one commit changes forty hunks in twenty files; it fails only when two of them are there together
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

SEED = 20261120
COMMITS = 5200
FILES = 2000
BOUNDARY = 3171
BLOCK = (3110, 3230)
WINDOWS = ((1200, 1700), (4100, COMMITS))
PAIR = 2710
BODY = "".join(f"line {i} of the text\n" for i in range(30))


def name_of(i: int) -> str:
    return f"src/part{i % 40:02d}/file{i:04d}.txt"


def blob(text: str) -> bytes:
    data = text.encode()
    return b"data %d\n%s\n" % (len(data), data)


def inline(path: str, text: str) -> bytes:
    return b"M 100644 inline %s\n%s" % (path.encode(), blob(text))


def pair_text(number: int, i: int) -> str:
    """Twenty files of thirty lines; the pair's commit changes two lines in each."""
    lines = BODY.splitlines(keepends=True)
    if number >= PAIR:
        lines[6] = f"line 6 is new in {i}\n"
        lines[22] = f"line 22 is new in {i}\n"
    return "".join(lines)


def commit_body(number: int, rng: random.Random, texts: list[int]) -> list[bytes]:
    out = []
    if number == 0:
        out += [inline(name_of(i), f"file {i} version 0\n{BODY[:200]}") for i in range(FILES)]
        out += [inline(f"pair/p{i:02d}.txt", pair_text(0, i)) for i in range(20)]
    for i in rng.sample(range(FILES), rng.randint(1, 6)):
        texts[i] += 1
        out.append(inline(name_of(i), f"file {i} version {texts[i]} in {number}\n{BODY[:200]}"))
    if number in (0, BOUNDARY):
        out.append(inline("app/core.txt", "value=broken\n" if number >= BOUNDARY else "value=ok\n"))
        out.append(inline("app/notes.txt", f"as of {number}\n"))
    if number in (0, *BLOCK):
        out.append(inline("build.txt", "broken\n" if number == BLOCK[0] else "fine\n"))
    edges = [edge for window in WINDOWS for edge in window]
    if number == 0 or number in edges:
        is_on = any(low <= number < high for low, high in WINDOWS)
        out.append(inline("flag.txt", "on\n" if is_on else "off\n"))
    if number == PAIR:
        out += [inline(f"pair/p{i:02d}.txt", pair_text(number, i)) for i in range(20)]
    return out


def write_stream(out, commits: int = COMMITS) -> None:
    rng = random.Random(SEED)
    texts = [0] * FILES
    for number in range(commits):
        out.write(b"commit refs/heads/main\nmark :%d\n" % (number + 1))
        when = 1_760_000_000 + number * 600
        out.write(b"committer Agent <agent@example.org> %d +0000\n" % when)
        out.write(blob(f"step {number}"))
        out.write(b"".join(commit_body(number, rng, texts)))


def make(folder: Path, commits: int = COMMITS) -> tuple[Path, Path]:
    """Make ``folder``/git and ``folder``/store unless they are there."""
    from casreplay.history.gitimport import import_git  # noqa: PLC0415 - the generator alone needs none of it
    from casreplay.history.repository import Repository  # noqa: PLC0415 - as above

    git, store = folder / "git", folder / "store"
    if not git.exists():
        git.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", "-b", "main", git], check=True)
        with subprocess.Popen(["git", "-C", git, "fast-import", "--quiet"], stdin=subprocess.PIPE) as process:
            write_stream(process.stdin, commits)
            process.stdin.close()
        subprocess.run(["git", "-C", git, "reset", "-q", "--hard", "main"], check=True)
    if not store.exists():
        workspace = folder / "workspace"
        workspace.mkdir(exist_ok=True)
        started = time.perf_counter()
        with Repository.init(workspace, store) as repository:
            done = import_git(repository.store, str(git))
        elapsed = time.perf_counter() - started
        print(f"import-git: {done.snapshots} commits of {FILES} files in {elapsed:.1f} s")
    return git, store


if __name__ == "__main__":
    make(Path(sys.argv[1]))
