"""Unusual growth: a file many times its earlier size, a folder that fills with new files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from casreplay.forensics.roles import Role, Roles
from casreplay.forensics.triggers.pair import Examined, Pair, file_blob
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.findings import Finding, FindingKind, Severity
from casreplay.model.paths import display, parent

__all__ = ["file_growth", "growth", "growth_factor"]

FACTOR = 10.0
LOG_FACTOR = 50.0
AT_LEAST_BYTES = 1 << 20
NEW_FILES = 1000


def growth_factor(change: Change) -> tuple[float, int]:
    """New by old size of a file, and the bytes it grew by; (0, 0) when it is not a grown file."""
    if file_blob(change.before) is None or file_blob(change.after) is None:
        return 0.0, 0
    assert change.before is not None
    assert change.after is not None
    old, new = change.before.size_bytes, change.after.size_bytes
    return (new / max(old, 1), new - old) if new > old else (0.0, 0)


def growth(pair: Pair, roles: Roles, examined: Examined) -> Iterator[Finding]:
    """Findings ``growth.file`` (tenfold and a mebibyte; logs fiftyfold) and ``growth.files``."""
    added: Counter[bytes] = Counter()
    example: dict[bytes, Change] = {}
    for change in pair.changes:
        role = roles.of(change.path)
        if role is Role.CACHE:
            continue
        if change.kind is ChangeKind.ADDED and file_blob(change.after) is not None:
            folder = parent(change.path)
            added[folder] += 1
            example.setdefault(folder, change)
        examined.count("sizes")
        factor, grown = growth_factor(change)
        if grown >= AT_LEAST_BYTES and factor >= (LOG_FACTOR if role is Role.LOG else FACTOR):
            yield file_growth(pair, change, "growth.file", Severity.MEDIUM)
    for folder, count in sorted(added.items()):
        if count >= NEW_FILES:
            where = display(folder) if folder else "the workspace's root"
            text = f"{count:,} files were added to {where}"
            evidence = (pair.at_after(example[folder]),)
            yield Finding("growth.files", FindingKind.GROWTH, Severity.MEDIUM, text, evidence)


def file_growth(pair: Pair, change: Change, rule: str, severity: Severity, text: str = "") -> Finding:
    """The finding that a file grew."""
    assert change.before is not None
    assert change.after is not None
    factor, _ = growth_factor(change)
    message = text or (
        f"{display(change.path)} grew from {change.before.size_bytes:,} to {change.after.size_bytes:,} bytes"
        f" ({factor:.0f} times)"
    )
    return Finding(
        rule, FindingKind.GROWTH, severity, message, (pair.at_after(change), pair.at_before(change))
    )
