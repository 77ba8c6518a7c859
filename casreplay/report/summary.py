"""The summary over all incidents: how many, how bad, from what causes, what keeps coming back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from casreplay.incidents.patterns import Pattern
from casreplay.model.incidents import Incident
from casreplay.report.model import Bars, Block, Item, Items, Paragraph, Report, Section, Table
from casreplay.report.wording import count, duration, moment

__all__ = ["summary_report"]

SEVERITIES = ("critical", "high", "medium", "low", "info")
TOP = 10
MONTH = 7


def summary_report(
    incidents: Sequence[Incident], patterns: Sequence[Pattern], since_ns: int | None
) -> Report:
    """The report over ``incidents`` (newest first); merged ones count with what they were merged into."""
    kept = [one for one in incidents if not one.merged_into]
    opened = [one for one in kept if one.status.is_open]
    span = f"since {moment(since_ns)}" if since_ns is not None else "on record"
    sections = (
        Section("overview", "Overview", _overview(kept, opened, span)),
        Section(
            "severity",
            "By severity",
            _counted("Incidents by severity", [one.severity.label for one in kept], SEVERITIES),
        ),
        Section(
            "causes",
            "By root cause",
            _counted("Incidents by root cause", [one.root_cause.replace("_", " ") for one in kept]),
        ),
        Section("trend", "Trend", _trend(kept)),
        Section("patterns", "Top patterns", _patterns(patterns)),
        Section("list", "All incidents", (_table(kept),)),
    )
    facts = (("Incidents", str(len(kept))), ("Open", str(len(opened))), ("Patterns", str(len(patterns))))
    data: dict[str, Any] = {
        "incidents": [one.to_dict(whole=False) for one in kept],
        "by_severity": dict(Counter(one.severity.label for one in kept)),
        "by_root_cause": dict(Counter(one.root_cause for one in kept)),
        "by_status": dict(Counter(one.status.value for one in kept)),
        "patterns": [one.to_dict() for one in patterns],
        "since_ns": since_ns,
    }
    return Report("Summary of incidents", facts, sections, data)


def _overview(kept: Sequence[Incident], opened: Sequence[Incident], span: str) -> tuple[Block, ...]:
    if not kept:
        return (Paragraph(f"There are no incidents {span}."),)
    text = f"{count(len(kept), 'incident')} {span}, {len(opened)} open."
    times = [one.time_to_resolve_ns for one in kept if one.time_to_resolve_ns is not None]
    detect = [one.time_to_detect_ns for one in kept if one.time_to_detect_ns is not None]
    if detect:
        text += f" Median time to detect: {duration(_median(detect) / 1e9)}."
    if times:
        text += f" Median time to resolve: {duration(_median(times) / 1e9)}."
    undetermined = sum(1 for one in kept if one.root_cause == "undetermined")
    if undetermined:
        text += f" In {undetermined} the root cause is undetermined."
    return (Paragraph(text),)


def _median(values: Sequence[int]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _counted(title: str, words: Sequence[str], order: Sequence[str] = ()) -> tuple[Block, ...]:
    if not words:
        return (Paragraph("None."),)
    counts = Counter(words)
    names = [one for one in order if counts[one]] or sorted(counts, key=lambda word: (-counts[word], word))
    return (Bars(title, tuple((name, float(counts[name])) for name in names)),)


def _trend(kept: Sequence[Incident]) -> tuple[Block, ...]:
    months = Counter(moment(one.detected_ns)[:MONTH] for one in kept)
    if not months:
        return (Paragraph("None."),)
    return (Bars("Incidents a month", tuple((month, float(months[month])) for month in sorted(months))),)


def _patterns(patterns: Sequence[Pattern]) -> tuple[Block, ...]:
    if not patterns:
        return (Paragraph("No pattern has enough evidence to be recognised."),)
    items = tuple(
        Item(
            f"{one.title} ({one.root_cause.replace('_', ' ')})",
            f"{one.fingerprint}: seen {count(one.occurrences, 'time')},"
            f" {duration(one.cost_s)} in all, {', '.join(one.incidents)}"
            + (f"; ignored: {one.ignored}" if one.ignored is not None else ""),
        )
        for one in patterns[:TOP]
    )
    return (Items(items, numbered=True),)


def _table(kept: Sequence[Incident]) -> Table:
    rows = tuple(
        (
            one.id,
            one.status.value,
            one.severity.label,
            one.root_cause.replace("_", " "),
            moment(one.detected_ns),
            duration(one.time_to_resolve_ns / 1e9 if one.time_to_resolve_ns is not None else None),
            one.title,
        )
        for one in kept
    )
    return Table(("Incident", "Status", "Severity", "Root cause", "Recorded", "To resolve", "Title"), rows)
