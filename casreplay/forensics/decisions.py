"""Decision chains of a workspace: what was decided, why, and what followed.

Owns gluing: which files are read (logs and memory notes), when a decision without a time
was made (the first snapshot that holds its line), what changed afterwards, and which
earlier decisions were edited or deleted. What a decision looks like is ``trace.text``'s.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from casreplay.forensics.log_windows import around
from casreplay.forensics.logs.lines import Line
from casreplay.forensics.logs.records import records_of
from casreplay.forensics.matching import LinePatterns, PatternTimeoutError
from casreplay.forensics.redaction import Redactor
from casreplay.model.events import Decision, TimeQuality
from casreplay.model.findings import Evidence
from casreplay.model.ids import BlobId
from casreplay.model.paths import display
from casreplay.trace.source import Marked, TextRecord
from casreplay.trace.text import TextSource, may_decide

__all__ = [
    "DecisionFile",
    "date_by_history",
    "decisions_in",
    "link_changes",
    "lost_decisions",
    "merged",
    "mermaid",
    "mermaid_links",
]

MAX_LINKED = 5
_QUALITIES = {
    "exact": TimeQuality.EXACT,
    "naive": TimeQuality.NAIVE,
    "inferred": TimeQuality.INFERRED,
    "none": TimeQuality.NONE,
}
_DECISIONS = re.compile(rb"decision|(?:^|/)adrs?(?:/|[-_.])", re.IGNORECASE)
"""Names of notes whose headings are decisions."""


@dataclass(frozen=True, slots=True)
class DecisionFile:
    """A log or a memory note to read.

    Attributes:
        path: where it is.
        lines: its lines, or those of it that count, ascending, without secrets.
        blob: the id of its content.
        snapshot: hex id of the snapshot; ``None`` for the folder as it is now.
        is_note: whether it is a memory note, read by paragraphs, not a log.
    """

    path: bytes
    lines: Iterable[Line]
    blob: BlobId | None
    snapshot: str | None
    is_note: bool = False


def decisions_in(
    files: Iterable[DecisionFile],
    markers: Sequence[str],
    redactor: Redactor,
    problems: list[str] | None = None,
) -> list[Decision]:
    """Every decision in ``files``, by time where it is known, otherwise by file and line.

    Args:
        files: logs and notes.
        markers: the user's patterns (linear time), beside the built-in ones; where one has a
            group, the first group is what was decided, else the whole line.
        redactor: takes secrets out of every text.
        problems: sentences about patterns that could not be used are added here.

    Cost: a few searches for each line; records are made around lines that may hit only.
    """
    found: list[Decision] = []
    for file in files:
        finder = _Finder(LinePatterns(markers), problems)
        if file.is_note:
            lines = list(file.lines)
            finder(lines)
            records = _notes(lines)
        else:
            records = _log(around(file.lines, finder))
        source = TextSource(finder.own, headings=file.is_note and _DECISIONS.search(file.path) is not None)
        found.extend(_decision(file, one, redactor) for one in source.decisions(records))
    return sorted(found, key=_order)


def _order(one: Decision) -> tuple[bool, int, bytes, int]:
    return (one.time_ns is None, one.time_ns or 0, one.evidence.path, one.evidence.line or 0)


class _Finder:
    """Which lines may state a decision; remembers what the user's markers found."""

    def __init__(self, patterns: LinePatterns, problems: list[str] | None) -> None:
        self.own: dict[int, tuple[str, str]] = {}
        self._patterns = patterns
        self._problems = problems

    def __call__(self, lines: Sequence[Line]) -> set[int]:
        texts = [line.text for line in lines]
        found = may_decide(texts)
        try:
            hits = self._patterns.search(texts)
        except PatternTimeoutError as error:
            sentence = f"The decision markers of the configuration were not used: {error}"
            if self._problems is not None and sentence not in self._problems:
                self._problems.append(sentence)
            return found
        for hit in hits:
            has_group = (hit.value_start, hit.value_end) != (hit.start, hit.end)
            text = texts[hit.line][hit.value_start : hit.value_end].strip() if has_group else ""
            self.own.setdefault(lines[hit.line].number, (f"own {hit.pattern + 1}", text))
            found.add(hit.line)
        return found


def _decision(file: DecisionFile, marked: Marked, redactor: Redactor) -> Decision:
    record = marked.record
    return Decision(
        text=redactor.text(marked.text, file.path),
        why=redactor.text(marked.why, file.path),
        followed=tuple(redactor.text(one, file.path) for one in marked.following),
        marker=marked.marker,
        confidence=marked.confidence,
        time_ns=record.time_ns,
        quality=record.quality,
        evidence=Evidence(file.path, file.snapshot, file.blob, record.line, record.end_line),
    )


def _log(lines: Iterable[Line]) -> Iterator[TextRecord]:
    for record in records_of(lines):
        quality = _QUALITIES[record.time_quality]
        yield TextRecord(record.line, record.end_line, record.text, record.time_ns, quality)


def _notes(lines: Iterable[Line]) -> Iterator[TextRecord]:
    """Lines of a markdown note; an indented or continued line belongs to the one before."""
    start = 0
    held: list[str] = []
    for line in lines:
        continues = bool(held) and bool(line.text.strip()) and line.text[:1] in " \t"
        if held and not continues:
            yield TextRecord(start, start + len(held) - 1, "\n".join(held))
            held = []
        if line.text.strip():
            if not held:
                start = line.number
            held.append(line.text)
    if held:
        yield TextRecord(start, start + len(held) - 1, "\n".join(held))


def merged(decisions: Iterable[Decision]) -> list[Decision]:
    """The same decision written down in several places as one: the dated one, with the reason of any.

    Order: as ``decisions_in``.
    """
    by_text: dict[str, list[Decision]] = {}
    for one in decisions:
        by_text.setdefault(" ".join(one.text.casefold().split()).rstrip("."), []).append(one)
    kept = []
    for same in by_text.values():
        logged = [one for one in same if one.quality in (TimeQuality.EXACT, TimeQuality.NAIVE)]
        if len({one.evidence.path for one in same}) == 1 or len(logged) > 1:
            kept += same  # decided again: each time counts
            continue
        first = logged[0] if logged else same[0]
        kept.append(replace(first, why=next((one.why for one in [first, *same] if one.why), "")))
    return sorted(kept, key=_order)


def link_changes(decisions: Sequence[Decision], paths: Iterable[bytes]) -> list[Decision]:
    """Add to each decision the changed files that it names, by path or by file name.

    A base name shared by several changed files names none of them.
    """
    names: dict[str, str] = {}
    for path in paths:
        shown = display(path)
        names[shown] = shown
        base = shown.rpartition("/")[2]
        names[base] = "" if base in names and names[base] != shown else shown
    return [replace(one, followed=_with_named(one, names)) for one in decisions]


def _with_named(decision: Decision, names: dict[str, str]) -> tuple[str, ...]:
    words = [word.strip(".,;:()[]{}<>\"'`*") for word in f"{decision.text} {decision.why}".split()]
    named = dict.fromkeys(f"changed {names[word]}" for word in words if len(word) > 3 and names.get(word))
    return (*list(named)[:MAX_LINKED], *decision.followed)


def lost_decisions(
    before: Sequence[Decision], after: Sequence[Decision], notes: Container[bytes]
) -> list[tuple[Decision, str]]:
    """Decisions that are gone or were rewritten: with ``deleted`` or the new text.

    A decision counts as rewritten when the same file has a new one that shares its first words.
    A log that lost its beginning was rotated: there, only a decision that a kept one stands
    before counts as deleted.

    Args:
        before: decisions of the earlier state.
        after: decisions of the later one.
        notes: paths of memory notes; all others are logs.
    """
    kept = {(one.evidence.path, one.text) for one in after}
    known = {(one.evidence.path, one.text) for one in before}
    fresh = [one for one in after if (one.evidence.path, one.text) not in known]
    first_kept: dict[bytes, int] = {}
    for one in before:
        path, line = one.evidence.path, one.evidence.line or 0
        if (path, one.text) in kept:
            first_kept[path] = min(line, first_kept.get(path, line))
    lost = []
    for one in before:
        path = one.evidence.path
        if (path, one.text) in kept:
            continue
        head = one.text.split()[:3]
        heirs = [new.text for new in fresh if new.evidence.path == path and new.text.split()[:3] == head]
        if heirs or path in notes or first_kept.get(path, sys.maxsize) < (one.evidence.line or 0):
            lost.append((one, heirs[0] if heirs else "deleted"))
    return lost


def date_by_history(decision: Decision, versions: Iterable[tuple[int, Callable[[], bytes]]]) -> Decision:
    """Give a decision without a time that of the first version of its file that holds it.

    Args:
        decision: one with quality ``none``.
        versions: (time in ns, read) of each version of the file, oldest first.
    """
    words = re.findall(r"\w+", decision.text)[:6]
    needle = re.compile(rb"\W+".join(re.escape(word.encode()) for word in words))
    for time_ns, read in versions:
        if words and needle.search(read()):
            return replace(decision, time_ns=time_ns, quality=TimeQuality.INFERRED)
    return decision


def mermaid(decisions: Sequence[Decision], *, limit: int = 30) -> str:
    """The chain as a Mermaid flowchart: decisions in order, each with its reason and what followed."""
    return mermaid_links([(one.text, one.why, one.followed) for one in decisions], limit=limit)


def mermaid_links(links: Sequence[tuple[str, str, Sequence[str]]], *, limit: int = 30) -> str:
    """The same from (decision, why, what followed) triples."""
    lines = ["flowchart TD"]
    for i, (text, why, followed) in enumerate(links[:limit]):
        lines.append(f'  d{i}["{_label(text)}"]')
        if why:
            lines.append(f'  w{i}(["{_label(why)}"]) -. why .-> d{i}')
        lines += [f'  d{i} --> f{i}_{k}["{_label(after)}"]' for k, after in enumerate(followed[:2])]
        if i:
            lines.append(f"  d{i - 1} ==> d{i}")
    if len(links) > limit:
        lines.append(f'  d{limit - 1} ==> more["{len(links) - limit} more"]')
    return "\n".join(lines)


def _label(text: str) -> str:
    """Text inside a Mermaid label: quotes, markup and brackets as entities, at most 80 characters."""
    text = text if len(text) <= 80 else text[:79] + "…"
    safe = "".join(c if c.isalnum() or c in " .,:;/_-=+%…" else f"#{ord(c)};" for c in text)
    return safe or "?"
