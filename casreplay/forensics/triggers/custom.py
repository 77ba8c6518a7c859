"""The user's own triggers: paths that changed, content of changed files, empty and grown files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from casreplay.forensics.constraints import text_lines
from casreplay.forensics.emptiness import how_empty, is_marker
from casreplay.forensics.globs import PathMatcher
from casreplay.forensics.growth import file_growth, growth_factor
from casreplay.forensics.matching import LinePatterns, PatternTimeoutError
from casreplay.forensics.redaction import Redactor
from casreplay.forensics.triggers.pair import Examined, Pair, file_blob
from casreplay.model.changes import Change
from casreplay.model.config import TriggerConfig
from casreplay.model.findings import Evidence, Finding, FindingKind
from casreplay.model.paths import display

__all__ = ["custom_findings"]

_LARGEST_EMPTY = 4096
_MAX_HITS = 100
_SHOWN = 200
_KINDS = {"deleted": FindingKind.DELETION}


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A trigger with its patterns compiled."""

    trigger: TriggerConfig
    patterns: LinePatterns


def custom_findings(
    pair: Pair, trigger: TriggerConfig, redactor: Redactor, examined: Examined
) -> Iterator[Finding]:
    """Findings of one trigger of kind ``change``, ``content``, ``empty`` or ``growth``, named like it."""
    matcher = PathMatcher(trigger.paths)
    own = _Prepared(trigger, LinePatterns(trigger.patterns, ignore_case=trigger.ignore_case))
    examined.count("custom_triggers")
    for change in pair.changes:
        old = change.old_path
        if trigger.paths and not matcher.matches(change.path) and not (old and matcher.matches(old)):
            continue
        if trigger.kind == "change" and change.kind.value in trigger.changes:
            yield _changed(pair, trigger, change)
        elif trigger.kind == "content":
            yield from _content(pair, own, change, redactor, examined)
        elif trigger.kind == "empty" and (phrase := _emptiness(pair, change)):
            text = _said(trigger, f"{display(change.path)} is {phrase}")
            yield Finding(trigger.name, FindingKind.EMPTY, trigger.severity, text, (pair.at_after(change),))
        elif trigger.kind == "growth" and growth_factor(change)[0] >= trigger.factor:
            yield file_growth(pair, change, trigger.name, trigger.severity)


def _said(trigger: TriggerConfig, fact: str) -> str:
    return f"{trigger.description}: {fact}" if trigger.description else fact


def _changed(pair: Pair, trigger: TriggerConfig, change: Change) -> Finding:
    kind = _KINDS.get(change.kind.value, FindingKind.CONSTRAINT)
    evidence: Evidence = pair.at_after(change) if change.after is not None else pair.at_before(change)
    text = _said(trigger, f"{display(change.path)} was {change.kind.value}")
    return Finding(trigger.name, kind, trigger.severity, text, (evidence,))


def _emptiness(pair: Pair, change: Change) -> str:
    blob = file_blob(change.after)
    if blob is None or change.after is None or is_marker(change.path):
        return ""
    if change.after.size_bytes > _LARGEST_EMPTY:
        return ""
    return how_empty(pair.objects.get(blob), change.path)


def _content(
    pair: Pair, own: _Prepared, change: Change, redactor: Redactor, examined: Examined
) -> Iterator[Finding]:
    trigger = own.trigger
    blob = file_blob(change.after)
    if blob is None or blob == file_blob(change.before):
        return
    lines = text_lines(pair, change, blob, examined, "content")
    if lines is None:
        return
    known = _earlier_lines(pair, change)
    fresh = [i for i, line in enumerate(lines) if line not in known]
    try:
        hits = own.patterns.search([lines[i] for i in fresh])
    except PatternTimeoutError as error:
        examined.fail(change.path, "content", f"{trigger.name}: {error}")
        return
    for index in sorted({fresh[hit.line] for hit in hits})[:_MAX_HITS]:
        shown = redactor.text(lines[index].strip(), change.path)[:_SHOWN]
        text = f"{trigger.description or trigger.name}: {display(change.path)}: {shown}"
        evidence = pair.at_after(change, index + 1)
        yield Finding(trigger.name, FindingKind.CONSTRAINT, trigger.severity, text, (evidence,))


def _earlier_lines(pair: Pair, change: Change) -> frozenset[str]:
    blob = file_blob(change.before)
    if blob is None:
        return frozenset()
    return frozenset(pair.objects.get(blob).decode("utf-8", "replace").split("\n"))
