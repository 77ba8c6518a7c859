"""Speed of the secret scan on one core, by engine: whole files as ``casreplay secrets`` scans them.

    python benchmarks/secrets_speed.py [--megabytes N] FILE_OR_FOLDER...

Reads the files once, repeats them to N MB, pins itself to one core where the system can and
prints MB/s for logs as they are and with a planted secret every 200 lines.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import program

from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter

PIECE = 1 << 20
SHARE = {"hyperscan": 1.0, "ahocorasick": 1.0, "re": 0.1}


def content(paths: list[str]) -> bytes:
    out = bytearray()
    for top in paths:
        names = (
            [top] if os.path.isfile(top) else [os.path.join(r, n) for r, _, ns in os.walk(top) for n in ns]
        )
        for name in sorted(names):
            with open(name, "rb") as file:
                out += file.read()
    return bytes(out)


def planted(data: bytes) -> bytes:
    rng = random.Random(1)
    lines = data.split(b"\n")
    for at in range(0, len(lines), 200):
        lines[at] += b" password=" + bytes(rng.choice(b"abcdefghkmnpqrstuvwxyz23456789") for _ in range(12))
    return b"\n".join(lines)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    done = 0
    while done < size:
        for start in range(0, len(data), PIECE):
            if done >= size:
                return
            piece = data[start : start + PIECE]
            done += len(piece)
            yield piece


def main() -> None:
    parser = program.parser(__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("paths", nargs="+")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    data = content(options.paths)
    print(f"{len(data) / 1e6:.1f} MB of files, repeated to {options.megabytes} MB, one core")
    for title, text in (("as they are", data), ("a secret every 200 lines", planted(data))):
        for engine, share in SHARE.items():
            scanner = SecretScanner(fingerprinter(b"k" * 32), engine=engine)
            scanner.scan_bytes(b"warm up")
            size = int(options.megabytes * 1e6 * share)
            start = time.perf_counter()
            found = scanner.scan(pieces(text, size), b"run.log")
            elapsed = time.perf_counter() - start
            print(f"{title:26} {engine:12} {size / 1e6 / elapsed:7.1f} MB/s  {len(found)} findings")


if __name__ == "__main__":
    main()
