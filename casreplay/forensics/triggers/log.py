"""New trouble in logs: stack traces, fatal and error records on lines that were not there before.

What is new and what belongs together is ``forensics.newlines``' and ``forensics.logs``' word;
this module decides which of it is a finding and how bad. Lines that name errors only to deny
them, and attempts that a later line says succeeded, are none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice

from casreplay.forensics.logs.guards import is_negated, is_retry, without_file_names
from casreplay.forensics.logs.levels import at_least, find_level
from casreplay.forensics.logs.masks import mask
from casreplay.forensics.logs.records import strip_prefix
from casreplay.forensics.logs.timestamps import TimestampReader
from casreplay.forensics.logs.traces import TraceBlock, blocks_of
from casreplay.forensics.matching import LinePatterns, PatternTimeoutError
from casreplay.forensics.newlines import NewLine, NewLines, new_lines
from casreplay.forensics.redaction import Redactor
from casreplay.forensics.roles import Role, Roles
from casreplay.forensics.triggers.pair import Examined, Pair, file_blob
from casreplay.model.changes import Change
from casreplay.model.config import TriggerConfig
from casreplay.model.findings import Finding, FindingKind, Severity
from casreplay.model.paths import display
from casreplay.workspace import workers

__all__ = [
    "LogChange",
    "changed_logs",
    "log_findings",
    "pattern_findings",
    "read_ahead",
    "read_log",
]

WHOLE_BYTES = 32 << 20
"""Smaller logs are compared as bytes, which recognises an appended tail; larger ones in pieces."""
_WORTH_PROCESSES = 16 << 20
"""Bytes of logs that pay for processes of their own."""
MAX_FINDINGS = 200
"""Findings of one log; the last one says how many more there are."""
MAX_GRADED = 5000
"""Blocks of one log that are graded at all, stack traces aside."""
_SHOWN = 200
_QUIET = ("trace", "debug", "info", "notice", "warning")
_FATAL = re.compile(
    r"\b(?:FATAL|PANIC|panic:|[Ss]egmentation fault|core dumped|[Oo]ut of memory|OOMKilled|kernel panic"
    r"|Killed)\b"
)
_ERROR = re.compile(
    r"\b(?:[Ee]rrors?|ERRORS?|[Ee]xception|EXCEPTION|FAILED|FAILURE|[Ff]ailed to|[Ff]ailure"
    r"|[Uu]ncaught|[Uu]nhandled|[Cc]annot|[Cc]ould not|[Dd]enied|[Rr]efused|[Aa]borted|[Tt]imed out"
    r"|not found)\b|[a-z](?:Error|Exception)\b"
)
_SUCCESS = re.compile(
    r"\b(?:succeeded|success(?:ful(?:ly)?)?|recovered|connected|reconnected|completed|established)\b",
    re.IGNORECASE,
)


class LogChange:
    """A changed log with its new lines."""

    def __init__(self, change: Change, lines: NewLines) -> None:
        self.change = change
        self.new = lines
        self.traces = tuple(blocks_of((line.number, strip_prefix(line.text)[0]) for line in lines.lines))
        """Stack traces among the new lines."""
        self._details = {
            line.number for line in lines.lines if strip_prefix(line.text)[0].startswith((" ", "\t"))
        }

    def block_of(self, number: int) -> tuple[int, int]:
        """First and last line of the trace that line ``number`` is part of, or of it and its details."""
        for trace in self.traces:
            if trace.lines[0] <= number <= trace.lines[-1]:
                return trace.lines[0], trace.lines[-1]
        last = number
        while last + 1 in self._details:
            last += 1
        return number, last


def _no_other(path: bytes) -> bool:
    del path
    return False


def changed_logs(
    pair: Pair, roles: Roles, examined: Examined, *, also: Callable[[bytes], bool] = _no_other
) -> Iterator[Change]:
    """Every log that was added or modified; ``also`` names other files to read as logs."""
    for change in pair.changes:
        after = file_blob(change.after)
        if after is None or change.after is None or after == file_blob(change.before):
            continue
        if roles.of(change.path) is Role.LOG or also(change.path):
            examined.count("logs")
            examined.count("log_bytes", change.after.size_bytes)
            yield change


def read_log(pair: Pair, change: Change, examined: Examined) -> LogChange | None:
    """What is new in a changed log; ``None`` (and a note) when it is binary.

    Cost: both versions once a pair; asked again, the answer is remembered.
    """
    known = pair.memory.get(change.path)
    if not isinstance(known, NewLines):
        known = pair.memory[change.path] = _new_lines(pair, change)
    if known.binary:
        examined.skip(change.path, "log", "binary")
        return None
    if known.truncated:
        reason = "too many new lines: only those that look like trouble were kept"
        examined.skip(change.path, "log", reason)
    return LogChange(change, known)


def read_ahead(pair: Pair, changes: Sequence[Change]) -> None:
    """Find the new lines of several large logs at once, in processes of their own; ``read_log`` then knows.

    Cost: as ``read_log`` of each, divided between the cores; nothing for small or few logs.
    """
    wanted = sorted((one for one in changes if one.path not in pair.memory), key=_bytes_of, reverse=True)
    if sum(map(_bytes_of, wanted)) < _WORTH_PROCESSES or workers.count() < 2:
        return
    hands = workers.deal(wanted, workers.count())

    def found(hand: Sequence[Change]) -> list[tuple[object, ...]]:
        return [_plain(_new_lines(pair, change)) for change in hand]

    for hand, answers in zip(hands, workers.run([partial(found, hand) for hand in hands]), strict=True):
        for change, (lines, *rest) in zip(hand, answers, strict=True):
            pair.memory[change.path] = NewLines(tuple(NewLine(*line) for line in lines), *rest)


def _plain(new: NewLines) -> tuple[object, ...]:
    """Values that can be sent between processes; ``read_ahead`` puts them together again."""
    lines = [(one.number, one.offset, one.end_offset, one.text, one.novel, one.cause) for one in new.lines]
    return lines, new.total, new.appended, new.truncated, new.binary


def _bytes_of(change: Change) -> int:
    return sum(entry.size_bytes for entry in (change.before, change.after) if entry is not None)


def _new_lines(pair: Pair, change: Change) -> NewLines:
    after, before = file_blob(change.after), file_blob(change.before)
    assert after is not None
    sizes = [entry.size_bytes for entry in (change.before, change.after) if entry is not None]
    if max(sizes) <= WHOLE_BYTES:
        return new_lines(pair.objects.get(before) if before else None, pair.objects.get(after))
    return new_lines(pair.objects.stream(before) if before else None, pair.objects.stream(after))


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A block of a log that is a finding; its text is redacted when it is known to be shown."""

    first: int
    last: int
    rule: str
    severity: Severity
    what: str
    text: str


def log_findings(pair: Pair, log: LogChange, redactor: Redactor) -> Iterator[Finding]:
    """Findings ``log.trace``, ``log.fatal`` and ``log.error`` of one log, each spanning its whole block.

    Blocks that say the same, numbers and times aside, are one finding at the first of them.
    """
    found = sorted([*_traces(log), *islice(_records(log), MAX_GRADED)], key=lambda trouble: trouble.first)
    alike: dict[tuple[str, bytes], list[_Trouble]] = {}
    for trouble in found:
        alike.setdefault((trouble.rule, mask(trouble.text[:_SHOWN])), []).append(trouble)
    groups = list(alike.values())
    where = display(log.change.path)
    for group in groups[:MAX_FINDINGS]:
        trouble = group[0]
        times = f" ({len(group):,} times)" if len(group) > 1 else ""
        text = f"New {trouble.what} in {where}{times}: {redactor.text(trouble.text)[:_SHOWN]}"
        evidence = pair.at_after(log.change, trouble.first, trouble.last)
        yield Finding(trouble.rule, FindingKind.LOG, trouble.severity, text, (evidence,))
    if len(groups) > MAX_FINDINGS:
        text = f"{len(groups) - MAX_FINDINGS:,} or more other new errors in {where}"
        evidence = pair.at_after(log.change, groups[MAX_FINDINGS][0].first, found[-1].last)
        yield Finding("log.many-errors", FindingKind.LOG, Severity.HIGH, text, (evidence,))


def _traces(log: LogChange) -> Iterator[_Trouble]:
    novel = {line.number for line in log.new.lines if line.novel}
    for trace in log.traces:
        if not novel.isdisjoint(trace.lines):
            severity = Severity.MEDIUM if trace.language == "shell" else Severity.HIGH
            text = _headline(trace)
            yield _Trouble(trace.lines[0], trace.lines[-1], "log.trace", severity, "stack trace", text)


def _headline(trace: TraceBlock) -> str:
    first = trace.message.partition("\n")[0]
    text = f"{trace.exception}: {first}" if first and trace.exception else trace.exception or first
    if trace.cause != trace.exception and trace.cause:
        text += f" (caused by {trace.cause}: {trace.cause_message.partition(chr(10))[0]})"
    return text


def _records(log: LogChange) -> Iterator[_Trouble]:
    """Runs of cause lines outside traces, judged by their worst line."""
    inside = {number for trace in log.traces for number in range(trace.lines[0], trace.lines[-1] + 1)}
    lines = [line for line in log.new.cause if line.number not in inside]
    times = TimestampReader()
    tail = _later_success(log.new.lines)
    for run in _runs(lines):
        graded = [(_grade(line, times), line) for line in run if line.novel]
        worst = max((grade for grade, _ in graded), default=Severity.INFO)
        if worst is Severity.INFO:
            continue
        telling = [(grade, line) for grade, line in graded if _tells(line)] or graded
        first = max(telling, key=lambda pair: pair[0])[1]
        if is_retry(first.text) and tail > first.number:
            continue
        fatal = worst is Severity.CRITICAL
        text = strip_prefix(first.text)[0].strip()
        rule, what = ("log.fatal", "fatal error") if fatal else ("log.error", "error")
        yield _Trouble(run[0].number, run[-1].number, rule, worst, what, text)


def _runs(lines: Sequence[NewLine]) -> Iterator[list[NewLine]]:
    """Lines of consecutive numbers; a line that begins a record of its own begins a run."""
    times = TimestampReader()
    starts = 0
    keyed: list[tuple[int, NewLine]] = []
    previous = -1
    for line in lines:
        if line.number != previous + 1 or _begins(strip_prefix(line.text)[0], times):
            starts += 1
        previous = line.number
        keyed.append((starts, line))
    for _, group in groupby(keyed, key=lambda pair: pair[0]):
        yield [line for _, line in group]


def _begins(text: str, times: TimestampReader) -> bool:
    """Whether a line begins a record: it has a time, or neither it nor what follows its level is indented."""
    if times.read(text) is not None:
        return True
    if text.startswith((" ", "\t")):
        return False
    _, offset = find_level(text[:400], after_time=False)
    rest = text[offset:].removeprefix("]")
    return not offset or (bool(rest.strip()) and not rest.startswith(("  ", "\t")))


def _tells(line: NewLine) -> bool:
    """Whether a line says more than its level."""
    text = strip_prefix(line.text)[0]
    return any(char.isalpha() for char in text[find_level(text[:400], after_time=False)[1] :])


def _grade(line: NewLine, times: TimestampReader) -> Severity:
    text = strip_prefix(line.text)[0]
    stamp = times.read(text)
    level, _ = find_level(text[stamp.end if stamp else 0 :][:400], after_time=stamp is not None)
    if is_negated(text):
        return Severity.INFO
    if level in _QUIET:
        return Severity.INFO
    if at_least(level, "fatal") or _FATAL.search(text):
        return Severity.CRITICAL
    if at_least(level, "error"):
        return Severity.HIGH
    return Severity.MEDIUM if _ERROR.search(without_file_names(text)) else Severity.INFO


def _later_success(lines: Sequence[NewLine]) -> int:
    """The number of the last new line that reports success; 0 when none does."""
    return max((line.number for line in lines if line.novel and _SUCCESS.search(line.text)), default=0)


def pattern_findings(
    pair: Pair, log: LogChange, trigger: TriggerConfig, redactor: Redactor, examined: Examined
) -> Iterator[Finding]:
    """Findings of a user's log trigger: its patterns on new lines only, each spanning its block."""
    lines = [line for line in log.new.lines if line.novel]
    patterns = LinePatterns(trigger.patterns, ignore_case=trigger.ignore_case)
    try:
        hits = patterns.search([strip_prefix(line.text)[0] for line in lines])
    except PatternTimeoutError as error:
        examined.fail(log.change.path, "log", f"{trigger.name}: {error}")
        return
    blocks = {log.block_of(lines[hit.line].number): lines[hit.line] for hit in reversed(hits)}
    for (first, last), line in sorted(blocks.items(), key=lambda item: item[0])[:MAX_FINDINGS]:
        shown = redactor.text(strip_prefix(line.text)[0].strip())[:_SHOWN]
        text = f"{trigger.description or trigger.name}: {display(log.change.path)}: {shown}"
        evidence = pair.at_after(log.change, first, last)
        yield Finding(trigger.name, FindingKind.LOG, trigger.severity, text, (evidence,))
