"""Decisions in plain logs and memory notes, found by how people and agents write them down.

Owns the built-in markers, their confidence, and where the reason stands. Structure beats
words: an explicit ``Decision:`` is surer than "I will". Users add markers in the
configuration; those are regular expressions that run in linear time, matched elsewhere
and handed in as what they found on which line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from casreplay.trace.source import Marked, TextRecord

__all__ = ["MARKERS", "Marker", "TextSource", "may_decide"]

MAX_TEXT = 400
MAX_FOLLOWING = 3


@dataclass(frozen=True, slots=True)
class Marker:
    """A way of writing down a decision: a name, a pattern with the decision in group 1, a confidence."""

    name: str
    pattern: re.Pattern[str]
    confidence: float


def _marker(name: str, pattern: str, confidence: float) -> Marker:
    return Marker(name, re.compile(pattern, re.IGNORECASE), confidence)


MARKERS = (
    _marker(
        "decision", r"(?:^|[\s\]>*#-])\**(?:decision|decided)\b\**(?:\s*#?\d+)?\s*\**[:=]\**\s*(.+)", 0.9
    ),
    _marker(
        "chose", r"\b(?:decided|chose|opted|choosing|opting)\s+(?:to|for|on|that|against|not to)\s+(.+)", 0.8
    ),
    _marker("instead", r"\b(?:going with|settled on|switching to|switched to|falling back to)\s+(.+)", 0.7),
    _marker("action", r"^\s*(?:\[\w+\]\s*)?\**action(?: input)?\**\s*[:=]\s*(.+)", 0.7),
    _marker("plan", r"^\s*(?:\[\w+\]\s*)?\**(?:plan|next step)s?\**\s*[:=]\s*(.+)", 0.6),
    _marker("intent", r"\b(?:I(?:'ll| will| am going to|'m going to)|let me|we(?:'ll| will))\s+(.+)", 0.5),
)
"""Surest first; the first that matches a line names it. The patterns have one greedy tail: linear."""

_WORDS = (
    *("decision", "decided", "chose", "opted", "choosing", "opting", "going with", "settled on", "switch"),
    *("falling back", "action", "plan", "next step", "i'll", "i will", "i am going", "i'm going", "let me"),
    *("we'll", "we will"),
)
"""One of these stands in every line that a built-in marker hits, case aside."""
_HEADING = re.compile(r"^\s{0,3}#{2,6}\s+(.+?)\s*#*\s*$")
_NO_DECISION = re.compile(
    r"^(?:(?:decision|memory|change)s?(?: log| record)?s?|status|context|consequences?|background|summary"
    r"|notes?|overview|alternatives?|options?|references?|[\d\W]+)$",
    re.IGNORECASE,
)
_WHY_INLINE = re.compile(
    r"\s*(?:[,;.(-]\s*)?\b(?:because|since|so that|in order to|due to|as this|reason(?:ing)?\s*[:=])\s+(.+)$",
    re.IGNORECASE,
)
_WHY_LINE = re.compile(
    r"^\s*(?:\[\w+\]\s*)?[-*>\s]*\**(?:why|reason(?:ing)?|rationale|because|thought|context)\**\s*[:=]?\**\s+(.+)",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"^\W*(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d\S*\W+)?(?:(?:INFO|DEBUG|NOTICE|WARN(?:ING)?|ERROR)\b\W*)?"
)


def may_decide(texts: Sequence[str]) -> set[int]:
    """Indexes of the lines that a built-in marker could hit. Cost: a few searches for each line."""
    found = set()
    for i, text in enumerate(texts):
        lowered = text.lower()
        if any(word in lowered for word in _WORDS):
            found.add(i)
    return found


class TextSource:
    """``EventSource`` for plain text.

    Args:
        own: line number to the name of the user's marker that hit it and what it found there.
        headings: whether headings below the first level state decisions, as in a file of decisions.
    """

    def __init__(self, own: Mapping[int, tuple[str, str]] | None = None, *, headings: bool = False) -> None:
        self._own = own if own is not None else {}
        self._headings = headings

    def decisions(self, records: Iterable[TextRecord]) -> Iterator[Marked]:
        """Decisions with their reasons and what followed, in order. Cost: each line against six patterns."""
        held: Marked | None = None
        before: TextRecord | None = None
        following: list[str] = []
        for record in records:
            found = self._in_record(record, before)
            if found is None:
                held = self._continued(held, record, following)
            else:
                if held is not None:
                    yield _closed(held, following)
                held, following = found, []
            before = record
        if held is not None:
            yield _closed(held, following)

    def _in_record(self, record: TextRecord, before: TextRecord | None) -> Marked | None:
        lines = record.text.split("\n")
        for offset, line in enumerate(lines):
            name, text, confidence = self._marked(line, record.line + offset)
            if not name:
                continue
            text, why = _split_reason(text)
            if not why:
                why = _reason_near(lines[offset + 1 : offset + 4], before)
            return Marked(record, _clip(text), _clip(why), name, confidence)
        return None

    def _marked(self, line: str, number: int) -> tuple[str, str, float]:
        if number in self._own:
            name, text = self._own[number]
            return name, text or _LEAD.sub("", line).strip(), 0.9
        for marker in MARKERS:
            match = marker.pattern.search(line)
            if match:
                return marker.name, match.group(1).strip(), marker.confidence
        heading = _HEADING.match(line) if self._headings else None
        if heading is not None and not _NO_DECISION.match(heading[1]):
            return "heading", heading[1], 0.8
        return "", "", 0.0

    def _continued(self, held: Marked | None, record: TextRecord, following: list[str]) -> Marked | None:
        """A record after a decision: its reason, when it is one, or something that followed."""
        if held is None:
            return None
        first = record.text.split("\n", 1)[0]
        why = _WHY_LINE.match(_LEAD.sub("", first))
        if why and not held.why and not following:
            return Marked(held.record, held.text, _clip(why.group(1)), held.marker, held.confidence)
        if len(following) < MAX_FOLLOWING and first.strip():
            following.append(_clip(_LEAD.sub("", first)))
        return held


def _closed(marked: Marked, following: list[str]) -> Marked:
    return Marked(marked.record, marked.text, marked.why, marked.marker, marked.confidence, tuple(following))


def _split_reason(text: str) -> tuple[str, str]:
    """What was decided and the reason in the same sentence."""
    match = _WHY_INLINE.search(text)
    return (
        (text[: match.start()].rstrip(" ,;(-"), match.group(1).strip())
        if match and match.start()
        else (text, "")
    )


def _reason_near(after: list[str], before: TextRecord | None) -> str:
    """A reason in the lines right after, or in a thought right before."""
    for line in after:
        match = _WHY_LINE.match(line)
        if match:
            return match.group(1).strip()
    if before is not None:
        match = _WHY_LINE.match(_LEAD.sub("", before.text.split("\n", 1)[0]))
        if match and re.match(r"\W*(?:\[\w+\]\s*)?\**thought", _LEAD.sub("", before.text), re.IGNORECASE):
            return match.group(1).strip()
    return ""


def _clip(text: str) -> str:
    text = " ".join(text.strip().strip("*").split())
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1].rstrip() + "…"
