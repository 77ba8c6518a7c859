# Expressions that match log lines read better whole than broken over lines.
# ruff: noqa: E501
"""Log lines to hits: which signals stand on which lines, and in which evidence group.

Group ``a`` is the last exception of a log (its type, message and cause), or its last error
lines when it has no trace; group ``c`` is every other new line of trouble. Frames and source
lines inside traces, information records, retries and negations are no evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from casreplay.forensics.logs.guards import is_negated, is_retry
from casreplay.forensics.logs.levels import LEVELS, at_least
from casreplay.forensics.logs.lines import Line
from casreplay.forensics.logs.masks import mask
from casreplay.forensics.logs.records import records_of
from casreplay.forensics.logs.relevance import is_epilogue
from casreplay.forensics.logs.traces import TraceBlock, blocks_of
from casreplay.forensics.newlines import NewLine
from casreplay.forensics.rootcause_case import CaseLog
from casreplay.forensics.signals import CARRIER, RuleSet, Signal

__all__ = ["Hit", "LogView", "read_log"]

TAIL = 6
"""Distinct last lines of trouble that count as the failing tail of a log without traces."""
MAX_LINES = 20_000
QUIET = frozenset(LEVELS[:4])


@dataclass(frozen=True, slots=True)
class Hit:
    """One signal on one line."""

    signal: Signal
    log: CaseLog
    line: int
    text: str
    group: str


@dataclass(frozen=True, slots=True)
class LogView:
    """A log as the classifier sees it.

    Attributes:
        log: the log.
        hits: signals found, in line order; carriers included.
        blocks: its stack traces.
        text: the lines that may be evidence, joined.
        suppressed: lines with a signal that were guarded away: number, text, why.
    """

    log: CaseLog
    hits: tuple[Hit, ...]
    blocks: tuple[TraceBlock, ...]
    text: str
    suppressed: tuple[tuple[int, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    text: str
    level: str
    stated: bool


def read_log(log: CaseLog, rules: RuleSet) -> LogView:
    """The hits of one log's cause lines."""
    chosen = [line for line in log.lines if line.cause][-MAX_LINES:]
    rows = list(_rows(chosen))
    traces = tuple(blocks_of((row.number, row.text) for row in rows))
    inside, tail = _trace_lines(traces)
    usable = [
        row for row in rows if inside.get(row.number, "") != "frame" and not _indented_frame(row, inside)
    ]
    spoken, suppressed = _guarded(usable)
    if not traces:
        tail = _last_lines(spoken)
    hits: list[Hit] = []
    seen: set[bytes] = set()
    for row in spoken:
        key = mask(row.text) + (b"a" if row.number in tail else b"c")
        if key in seen:
            continue
        seen.add(key)
        group = "a" if row.number in tail else "c"
        hits.extend(
            Hit(signal, log, row.number, row.text, group) for signal in _specific(rules.match(row.text))
        )
    hits, late = _without_retries(hits)
    return LogView(log, tuple(hits), traces, "\n".join(row.text for row in spoken), tuple(suppressed + late))


def _rows(lines: Sequence[NewLine]) -> Iterable[_Row]:
    """Lines without prefixes, JSON records as text, each with the level of its record."""
    cut = (Line(line.number, line.offset, line.end_offset, line.text) for line in lines)
    for record in records_of(cut):
        for position, (number, text) in enumerate(record.numbered()):
            yield _Row(number, text, record.level, position == 0)


def _trace_lines(traces: Sequence[TraceBlock]) -> tuple[dict[int, str], set[int]]:
    """For lines inside traces ``frame``, ``cause`` or ``text``; and the numbers of the last trace's exceptions."""
    inside: dict[int, str] = {}
    for block in traces:
        named = {block.line, block.cause_line}
        for number, text in zip(block.lines, block.text.split("\n"), strict=False):
            is_frame = text.startswith((" ", "\t")) and not _is_detail(text)
            inside[number] = "cause" if number in named else "frame" if is_frame else "text"
    tail = {traces[-1].line, traces[-1].cause_line} if traces else set()
    return inside, tail


def _is_detail(text: str) -> bool:
    """Whether an indented line inside a trace says something: a cause, an error's property, a message."""
    stripped = text.strip()
    return stripped.startswith(("[cause]", "code:", "errno:", "syscall:", "Caused by", "--->", "|"))


def _indented_frame(row: _Row, inside: dict[int, str]) -> bool:
    return row.number not in inside and row.text.startswith(("    at ", "\tat ", '  File "'))


def _guarded(rows: Sequence[_Row]) -> tuple[list[_Row], list[tuple[int, str, str]]]:
    spoken: list[_Row] = []
    suppressed: list[tuple[int, str, str]] = []
    for row in rows:
        if not row.text.strip():
            continue
        if row.level in QUIET and row.stated:
            suppressed.append((row.number, row.text, f"an {row.level} record that quotes it"))
        elif is_negated(row.text) and not at_least(row.level, "fatal"):
            suppressed.append((row.number, row.text, "it says that there is none"))
        else:
            spoken.append(row)
    return spoken, suppressed


def _last_lines(rows: Sequence[_Row]) -> set[int]:
    """Numbers of the last distinct lines of trouble."""
    tail: set[int] = set()
    seen: set[bytes] = set()
    for row in reversed(rows):
        if is_epilogue(row.text):
            continue
        key = mask(row.text)
        if key not in seen:
            seen.add(key)
            tail.add(row.number)
        if len(tail) >= TAIL:
            break
    return tail


def _specific(signals: Sequence[Signal]) -> list[Signal]:
    """Signals of one line: one a category, the strongest; generic ones only where nothing says more."""
    known = [signal for signal in signals if signal.category != CARRIER and "unknown" not in signal.flips]
    if known:
        signals = [signal for signal in signals if "unknown" not in signal.flips]
    plain = [signal for signal in signals if signal.group != "topics" and signal.category != CARRIER]
    if plain:
        signals = [signal for signal in signals if signal.group != "topics"]
    elif any(signal.id == "topic.resource" for signal in signals):
        signals = [signal for signal in signals if signal.id != "topic.remote"]
    strong = [signal for signal in signals if not signal.is_generic]
    keep = strong if any(signal.weight >= 2 for signal in strong) else list(signals)
    if any(signal.category == "resource_exhaustion" and signal.weight >= 3 for signal in keep):
        # Waiting for a full pool or disk times out too: what ran out explains the timeout.
        keep = [signal for signal in keep if signal.sub_cause != "timeout"]
    best: dict[str, Signal] = {}
    for signal in keep:
        other = best.get(signal.category)
        if other is None or signal.weight > other.weight:
            best[signal.category] = signal
    if len(best) > 1:
        # A carrier such as "missing file" decides only where nothing else on its line does.
        deciding = {name: signal for name, signal in best.items() if name != CARRIER or signal.flips}
        best = deciding or best
    return list(best.values())


def _without_retries(hits: list[Hit]) -> tuple[list[Hit], list[tuple[int, str, str]]]:
    """Hits on lines that announce another attempt count only where nothing else does."""
    final = [hit for hit in hits if not is_retry(hit.text)]
    if not any(hit.signal.category != CARRIER for hit in final):
        return hits, []
    dropped = [(hit.line, hit.text, "another attempt followed") for hit in hits if is_retry(hit.text)]
    # The cause of a given-up retry is often named only on the retry lines: keep those of the same category.
    kept = {hit.signal.category for hit in final}
    return [hit for hit in hits if not is_retry(hit.text) or hit.signal.category in kept], dropped
