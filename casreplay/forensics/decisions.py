"""Decision chains of a workspace: what was decided, why, and what followed.

Owns gluing: which files are read (logs and memory notes), when a decision without a time
was made (the first snapshot that holds its line), what changed afterwards, and which
earlier decisions were edited or deleted. What a decision looks like is ``trace.text``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from casreplay.forensics.logs import read_records
from casreplay.forensics.matching import LinePatterns, PatternTimeoutError
from casreplay.forensics.redaction import Redactor
from casreplay.model.events import Decision, TimeQuality
from casreplay.model.findings import Evidence
from casreplay.model.ids import BlobId
from casreplay.model.paths import display
from casreplay.trace.source import Marked, TextRecord
from casreplay.trace.text import TextSource

__all__ = ["DecisionFile", "decisions_in", "link_changes", "lost_decisions", "mermaid", "mermaid_links"]

MAX_FILE_BYTES = 32 << 20
"""Of a larger file the last so many bytes are read."""
MAX_LINKED = 5
_QUALITIES = {
    "exact": TimeQuality.EXACT,
    "naive": TimeQuality.NAIVE,
    "inferred": TimeQuality.INFERRED,
    "none": TimeQuality.NONE,
}


@dataclass(frozen=True, slots=True)
class DecisionFile:
    """A log or a memory note to read.

    Attributes:
        path: where it is.
        data: its content.
        blob: the id of that content.
        snapshot: hex id of the snapshot; ``None`` for the folder as it is now.
        is_note: whether it is a memory note, read by paragraphs, not a log.
        first_line: only decisions from this line on; 1 for all.
    """

    path: bytes
    data: bytes
    blob: BlobId | None
    snapshot: str | None
    is_note: bool = False
    first_line: int = 1


def decisions_in(
    files: Iterable[DecisionFile],
    markers: Sequence[str],
    redactor: Redactor,
    problems: list[str] | None = None,
) -> list[Decision]:
    """Every decision in ``files``, by time where it is known, otherwise by file and line.

    Args:
        files: logs and notes.
        markers: the user's patterns (linear time), beside the built-in ones.
        redactor: takes secrets out of every text.
        problems: sentences about patterns that could not be used are added here.
    """
    found: list[Decision] = []
    for file in files:
        records = list(_notes(file.data) if file.is_note else _log(file.data))
        own = _own_hits(records, markers, problems)
        marked = TextSource(own).decisions(records)
        found.extend(_decision(file, one, redactor) for one in marked if one.record.line >= file.first_line)
    found.sort(
        key=lambda one: (one.time_ns is None, one.time_ns or 0, one.evidence.path, one.evidence.line or 0)
    )
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


def _log(data: bytes) -> Iterator[TextRecord]:
    for record in read_records(data[-MAX_FILE_BYTES:]):
        yield TextRecord(
            record.line, record.end_line, record.text, record.time_ns, _QUALITIES[record.time_quality]
        )


def _notes(data: bytes) -> Iterator[TextRecord]:
    """Lines of a markdown note; an indented or continued line belongs to the one before."""
    start = 0
    held: list[str] = []
    text = data[-MAX_FILE_BYTES:].decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), start=1):
        continues = bool(held) and bool(line.strip()) and line[:1] in " \t"
        if held and not continues:
            yield TextRecord(start, start + len(held) - 1, "\n".join(held))
            held = []
        if line.strip():
            if not held:
                start = number
            held.append(line)
    if held:
        yield TextRecord(start, start + len(held) - 1, "\n".join(held))


def _own_hits(
    records: Sequence[TextRecord], markers: Sequence[str], problems: list[str] | None
) -> list[tuple[str, frozenset[int]]]:
    if not markers:
        return []
    numbered = [
        (record.line + i, line) for record in records for i, line in enumerate(record.text.split("\n"))
    ]
    try:
        hits = LinePatterns(markers).search([line for _, line in numbered])
    except PatternTimeoutError as error:
        if problems is not None:
            problems.append(f"The decision markers of the configuration were not used: {error}")
        return []
    lines: list[set[int]] = [set() for _ in markers]
    for hit in hits:
        lines[hit.pattern].add(numbered[hit.line][0])
    return [(f"own {i + 1}", frozenset(found)) for i, found in enumerate(lines)]


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


def lost_decisions(before: Sequence[Decision], after: Sequence[Decision]) -> list[tuple[Decision, str]]:
    """Decisions of notes that are gone or were rewritten: with ``deleted`` or the new text.

    A decision counts as rewritten when the same file has a new one that shares its first words.
    """
    kept = {(one.evidence.path, one.text) for one in after}
    known = {(one.evidence.path, one.text) for one in before}
    fresh = [one for one in after if (one.evidence.path, one.text) not in known]
    lost = []
    for one in before:
        if (one.evidence.path, one.text) in kept:
            continue
        head = one.text.split()[:3]
        heirs = [n.text for n in fresh if n.evidence.path == one.evidence.path and n.text.split()[:3] == head]
        lost.append((one, heirs[0] if heirs else "deleted"))
    return lost


def date_by_history(decision: Decision, versions: Iterable[tuple[int, Callable[[], bytes]]]) -> Decision:
    """Give a decision without a time that of the first version of its file that holds it.

    Args:
        decision: one with quality ``none``.
        versions: (time in ns, read) of each version of the file, oldest first.
    """
    needle = " ".join(decision.text.split()[:6]).rstrip("…").encode()
    for time_ns, read in versions:
        if needle in b" ".join(read().split()):
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
