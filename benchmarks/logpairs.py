"""New-line localisation on pass and fail logs whose cause lines two people marked.

    python benchmarks/logpairs.py FOLDER

FOLDER holds one folder per pair with ``pass.log``, ``fail.log``, ``groundtruth`` and
``groundtruth2``: first line the log's prefix, then intervals of lines of ``fail.log``,
``E a-b`` for error lines and ``C a`` for context. Lines are counted over ``\\n``, ``\\r\\n``
and lone ``\\r``.

F1 of a pair against one annotator is over sets of line numbers. Two truths are used: the
error lines alone (strict: context predicted counts as wrong), and error lines with context
left out of both sides (context: neither asked for nor punished). The figure is the mean
over pairs and annotators; ``pooled`` adds up hits and misses over all pairs instead.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

from casreplay.forensics.logs import mask, read_lines
from casreplay.forensics.newlines import new_lines

ERROR_WORDS = re.compile(r"(?i)\b(?:error|fatal|exception|failed|failure|traceback)\b")


def truth(path: Path) -> tuple[set[int], set[int]]:
    sides: dict[str, set[int]] = {"E": set(), "C": set()}
    for kind, first, last in re.findall(r"(?m)^([EC]) (\d+)(?:-(\d+))?", path.read_text()):
        sides[kind].update(range(int(first), int(last or first) + 1))
    return sides["E"], sides["C"] - sides["E"]


def masking(before: bytes, after: bytes) -> set[int]:
    known = {mask(line.text) for line in read_lines(before)}
    return {line.number for line in read_lines(after) if line.text.strip() and mask(line.text) not in known}


def words(_before: bytes, after: bytes) -> set[int]:
    return {line.number for line in read_lines(after) if ERROR_WORDS.search(line.text)}


def ours(before: bytes, after: bytes) -> set[int]:
    return {line.number for line in new_lines(before, after).cause}


def f1(predicted: set[int], expected: set[int]) -> float:
    hits = len(predicted & expected)
    return 2 * hits / (len(predicted) + len(expected)) if hits else 0.0


def measure(folder: Path, method) -> dict[str, object]:
    strict, lenient, found = [], [], 0
    pooled = [0, 0, 0]
    rows = []
    pairs = sorted(path.parent for path in folder.glob("*/fail.log"))
    for pair in pairs:
        predicted = method((pair / "pass.log").read_bytes(), (pair / "fail.log").read_bytes())
        scores = []
        for name in ("groundtruth", "groundtruth2"):
            if not (pair / name).exists():
                continue
            errors, context = truth(pair / name)
            scores.append((f1(predicted, errors), f1(predicted - context, errors)))
            hits = len((predicted - context) & errors)
            pooled = [pooled[0] + hits, pooled[1] + len(predicted - context), pooled[2] + len(errors)]
            found += bool(hits)
        strict += [score[0] for score in scores]
        lenient += [score[1] for score in scores]
        rows.append((pair.name, len(predicted), *[value for score in scores for value in score]))
    return {
        "rows": rows,
        "strict": sum(strict) / len(strict),
        "lenient": sum(lenient) / len(lenient),
        "pooled": 2 * pooled[0] / (pooled[1] + pooled[2]),
        "found": f"{found}/{len(strict)}",
    }


def main() -> None:
    folder = Path(sys.argv[1])
    for name, method in (("error words", words), ("new after masking", masking), ("casreplay", ours)):
        started = time.perf_counter()
        result = measure(folder, method)
        print(
            f"{name:18} strict {result['strict']:.3f}  context left out {result['lenient']:.3f}"
            f"  pooled {result['pooled']:.3f}  a true line in {result['found']}"
            f"  {time.perf_counter() - started:.2f} s"
        )
    for row in result["rows"]:
        print("  ", row[0].ljust(20), str(row[1]).rjust(5), *(f"{value:.2f}" for value in row[2:]))


if __name__ == "__main__":
    main()
