"""Results as markdown, and their place in docs/benchmarks.md.

    python benchmarks/tables.py            # prints every table
    python benchmarks/tables.py --update   # writes them between the markers of docs/benchmarks.md

A block of the document lies between `<!-- begin NAME -->` and `<!-- end NAME -->`, where NAME names a file in
benchmarks/results. Text outside the markers is written by hand and stays.
"""

import json
import re
from pathlib import Path

import program
from figures import OTHERS, OWN, judge, judge_growth, median

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
DOCUMENT = HERE.parent / "docs" / "benchmarks.md"
VIEWS = (
    ("Wall time, s", "wall_s", 3),
    ("Processor time, user and system, s", "cpu_s", 2),
    ("Peak memory of all its processes, MB", "tree_mb", 0),
    ("Peak memory of its largest process, MB", "largest_mb", 0),
    ("Store on disk after the operation, MB", "stored_mb", 1),
)


def grid(head, rows):
    """A markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def show(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def verdict_row(verdict, profile):
    figure = verdict.figure
    stated = profile in figure.profiles
    own = show(verdict.own, 1 if verdict.own >= 100 else 3)
    best = f"{show(verdict.best, 3)} ({verdict.best_name})" if verdict.best is not None else "-"
    sign = "x" if verdict.best is not None else ""
    limit = f"<= {figure.limit:g}{sign}" if stated else f"(<= {figure.limit:g}{sign} on {figure.profiles[0]})"
    cpu = "-" if verdict.cpu_ratio is None else f"{verdict.cpu_ratio:.2f}x"
    words = verdict.words if stated else "for information"
    return figure.what, own, best, f"{verdict.value:.2f}{sign}", limit, words, cpu


def comparison(result):
    """All tables of one run of run.py."""
    meta, cells = result["meta"], result["cells"]
    parts = ["\n".join(f"- {key}: {value}" for key, value in meta.items())]
    verdicts = judge(cells)
    growth = judge_growth(result["growth"]) if result["growth"] else None
    if verdicts or growth:
        rows = [verdict_row(v, result["profile"]) for v in verdicts if not result["growth"]]
        rows += [verdict_row(growth, result["profile"])] if growth else []
        head = [
            "figure",
            "casreplay",
            "best of the others",
            "measured",
            "to reach",
            "verdict",
            "processor time",
        ]
        parts.append(grid(head, rows))
    operations = list(cells)
    peers = [peer for peer in (OWN, *OTHERS) if any(peer in by_peer for by_peer in cells.values())]
    for title, metric, digits in VIEWS:
        rows = [[peer, *(cell(cells, op, peer, metric, digits) for op in operations)] for peer in peers]
        parts.append(f"**{title}**\n\n" + grid(["tool", *operations], rows))
    if result["growth"]:
        stages = list(next(iter(result["growth"].values())))
        growing = [(peer, result["growth"][peer]) for peer in peers if peer in result["growth"]]
        rows = [[peer, *(show(sizes.get(s), 2) for s in stages)] for peer, sizes in growing]
        parts.append("**Store by number of commits, MB**\n\n" + grid(["tool", *stages], rows))
    return "\n\n".join([*parts, *failures(cells), commands(result["commands"])])


def cell(cells, operation, peer, metric, digits):
    found = cells[operation].get(peer)
    if found is None:
        return "-"
    value = median(cells, operation, peer, metric)
    return "failed" if value is None else show(value, digits)


def failures(cells):
    lines = [
        f"- {peer}, {operation}: {error}"
        for operation, by_peer in cells.items()
        for peer, found in by_peer.items()
        for error in dict.fromkeys(found.get("errors", []))
    ]
    return ["**Failures and wrong results**\n\n" + "\n".join(lines)] if lines else []


def commands(by_peer):
    lines = [
        f"{peer:14} {operation:18} {' && '.join(said)}"
        for peer, operations in by_peer.items()
        for operation, said in operations.items()
    ]
    return "<details><summary>Commands</summary>\n\n```\n" + "\n".join(lines) + "\n```\n\n</details>"


def simple(result):
    """The tables of a script that measures casreplay or the machine alone."""
    parts = ["\n".join(f"- {key}: {value}" for key, value in result["meta"].items())]
    parts += [f"**{table['title']}**\n\n" + grid(table["head"], table["rows"]) for table in result["tables"]]
    return "\n\n".join(parts)


def render(result):
    return simple(result) if "tables" in result else comparison(result)


def save(name, result):
    """Write a result as JSON, one value a line where it matters to a reader of differences."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1)
    text = re.sub(r"\[\s+([-\d.,\s]+?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m.group(1)) + "]", text)
    (RESULTS / f"{name}.json").write_text(text + "\n")


def update():
    """Replace every block of the document for which a result exists; the names replaced."""
    text, done = DOCUMENT.read_text(), []
    for path in sorted(RESULTS.glob("*.json")):
        begin, end = f"<!-- begin {path.stem} -->", f"<!-- end {path.stem} -->"
        if begin not in text or end not in text:
            continue
        head, rest = text.split(begin, 1)
        tail = rest.split(end, 1)[1]
        text = f"{head}{begin}\n\n{render(json.loads(path.read_text()))}\n\n{end}{tail}"
        done.append(path.stem)
    DOCUMENT.write_text(text)
    return done


def main():
    parser = program.parser(__doc__)
    parser.add_argument("--update", action="store_true", help="write into docs/benchmarks.md")
    args = parser.parse_args()
    if args.update:
        print("updated: " + ", ".join(update()))
        return
    for path in sorted(RESULTS.glob("*.json")):
        print(f"## {path.stem}\n\n{render(json.loads(path.read_text()))}\n")


if __name__ == "__main__":
    main()
