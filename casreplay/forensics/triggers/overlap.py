"""Trouble in a log that a user's own trigger and a built-in rule both name, told once.

Owns which of the user's findings a document leaves out. ``check`` itself leaves out none: the
user's rule may be what a gate or a bisection waits for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from casreplay.forensics.logs.masks import mask
from casreplay.model.findings import Finding, FindingKind

__all__ = ["told_once"]

_BUILT_IN = "log."


def told_once(findings: Sequence[Finding]) -> tuple[list[Finding], int]:
    """Findings without those a built-in rule tells, in their order, and how many were left out.

    A finding of an own log trigger goes when a built-in one of at least its severity spans its
    first line in the same log; what says the same on other lines, numbers and times aside,
    goes with it, as the built-in rule counts such lines as one.
    """
    spans: dict[bytes, list[Finding]] = defaultdict(list)
    for one in findings:
        if one.kind is FindingKind.LOG and one.rule.startswith(_BUILT_IN):
            spans[one.location.path].append(one)
    own = [one for one in findings if one.kind is FindingKind.LOG and not one.rule.startswith(_BUILT_IN)]
    told = {_says(one) for one in own if any(_covers(other, one) for other in spans[one.location.path])}
    left_out = {id(one) for one in own if _says(one) in told}
    return [one for one in findings if id(one) not in left_out], len(left_out)


def _covers(built_in: Finding, own: Finding) -> bool:
    first, last, at = built_in.location.line, built_in.location.end_line, own.location.line
    if first is None or last is None or at is None or built_in.severity < own.severity:
        return False
    return first <= at <= last


def _says(finding: Finding) -> tuple[str, int, bytes, bytes]:
    """What makes two findings of own triggers the same message of the same log."""
    return finding.rule, finding.severity, finding.location.path, mask(finding.message)
