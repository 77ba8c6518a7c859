"""Fault benchmark: labelled real failures, classified with and without the change set.

python -m benchmarks.faults.run [--half open|held|both] [--noise] [--wrong] [--json FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import time
from collections import Counter

from benchmarks.faults.harness import Case, run_fault
from casreplay.forensics.classify import classify
from casreplay.forensics.signals import load_rules
from casreplay.model.causes import CATEGORIES, UNDETERMINED

KEYWORDS = (
    ("resource_exhaustion", r"memory|space|too many|limit|quota|killed|too large|exhausted"),
    ("external_failure", r"connection|timed? ?out|unreachable|http|network|refused|unavailable"),
    (
        "data_corruption",
        r"corrupt|malformed|checksum|truncated|unexpected end|decode|invalid json|not a database",
    ),
    ("config_error", r"config|setting|option|permission|environment|key"),
    ("drift", r"version|module|no such|not found|missing|import|deprecated"),
    ("logic_error", r"error|exception|traceback|assert"),
)
SHORT = {name: name[:4] for name in (*CATEGORIES, UNDETERMINED)}


def keyword(text: str) -> str:
    """The category with most keyword hits in the failing output: the usual log-only heuristic."""
    counts = {name: len(re.findall(pattern, text.lower())) for name, pattern in KEYWORDS}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else UNDETERMINED


def macro_f1(pairs: list[tuple[str, str]]) -> float:
    total = 0.0
    for name in CATEGORIES:
        hit = sum(truth == name == guess for truth, guess in pairs)
        truths = sum(truth == name for truth, _ in pairs)
        guesses = sum(guess == name for _, guess in pairs)
        total += 2 * hit / (truths + guesses) if hit else 0.0
    return total / len(CATEGORIES)


def collect(programs, *, more_noise=False) -> list[tuple[str, str, str, Case, str]]:
    rows = []
    for program in programs:
        for fault in program.faults:
            try:
                case, output = run_fault(program, fault, more_noise=more_noise)
            except AssertionError as error:
                print("UNUSABLE", error)
                continue
            rows.append((program.name, fault.name, fault.label, case, output))
    return rows


def judge(rows, rules, *, with_changes: bool):
    judged = []
    for program, fault, label, case, output in rows:
        seen = case
        if not with_changes:
            seen = dataclasses.replace(case, changes=None, key_changes=())
        cause = classify(seen, rules)
        top2 = [candidate.category for candidate in cause.candidates[:2]]
        judged.append((program, fault, label, cause, top2, output))
    return judged


def figures(judged) -> dict[str, float]:
    pairs = [(label, cause.category) for _, _, label, cause, _, _ in judged]
    count = len(pairs)
    return {
        "faults": count,
        "macro_f1": macro_f1(pairs),
        "accuracy": sum(a == b for a, b in pairs) / count,
        "abstention": sum(b == UNDETERMINED for _, b in pairs) / count,
        "top2": sum(label in top2 for _, _, label, _, top2, _ in judged) / count,
    }


def confusion(judged) -> str:
    columns = (*CATEGORIES, UNDETERMINED)
    counts = Counter((label, cause.category) for _, _, label, cause, _, _ in judged)
    lines = [
        "| true \\ found | " + " | ".join(SHORT[name] for name in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    lines += [
        f"| {truth} | " + " | ".join(str(counts[truth, name] or "") for name in columns) + " |"
        for truth in CATEGORIES
    ]
    return "\n".join(lines)


def report(rows, rules, *, wrong: bool) -> dict[str, object]:
    full = judge(rows, rules, with_changes=True)
    logs = judge(rows, rules, with_changes=False)
    majority = Counter(row[2] for row in rows).most_common(1)[0][0]
    result = {
        "per class": dict(Counter(row[2] for row in rows)),
        "with changes": figures(full),
        "logs only": figures(logs),
        "majority": macro_f1([(row[2], majority) for row in rows]),
        "keywords": macro_f1([(row[2], keyword(row[4])) for row in rows]),
        "confusion": confusion(full),
    }
    if wrong:
        for program, fault, label, cause, top2, output in full:
            if cause.category != label:
                print(f"--- {program}/{fault}: {label}, found {cause.category} {top2}")
                for piece in cause.evidence[:7]:
                    print(f"    {piece.weight:.2f} {piece.rule} [{piece.effect}] {piece.message[:110]!r}")
                print("    |", "\n    | ".join(output.strip().splitlines()[-4:]))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=("open", "held", "both"), default="both")
    parser.add_argument("--wrong", action="store_true", help="print every misjudged fault with its evidence")
    parser.add_argument(
        "--noise", action="store_true", help="edit working code, settings and state beside each fault"
    )
    parser.add_argument("--only", default="", help="one program")
    parser.add_argument("--json", default="")
    arguments = parser.parse_args()
    rules = load_rules()
    results = {}
    for half in ("open", "held"):
        if arguments.half not in {half, "both"}:
            continue
        started = time.perf_counter()
        module = __import__(f"benchmarks.faults.programs_{half}", fromlist=["PROGRAMS"])
        rows = collect(
            [p for p in module.PROGRAMS if arguments.only in {"", p.name}], more_noise=arguments.noise
        )
        results[half] = report(rows, rules, wrong=arguments.wrong)
        print(f"== {half}: {time.perf_counter() - started:.1f} s")
        for name, value in results[half].items():
            print(value if name == "confusion" else f"{name}: {value}")
    if arguments.json:
        with open(arguments.json, "w") as out:
            json.dump(results, out, indent=1)


if __name__ == "__main__":
    main()
