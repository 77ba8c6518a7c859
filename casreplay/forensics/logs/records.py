# Expressions that match log lines read better whole than broken over lines.
# ruff: noqa: E501
"""Log records: a line with a time and the lines that continue it; JSON records; CI prefixes.

Bounded: a record keeps at most 2,000 lines and 256 KiB of text; what comes after
starts a new record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from casreplay.forensics.logs.levels import at_least, find_level, numeric_level, word_level
from casreplay.forensics.logs.lines import Line, read_lines
from casreplay.forensics.logs.timestamps import Stamp, TimestampReader, parse_iso

__all__ = ["LogRecord", "read_records", "strip_prefix"]

MAX_RECORD_LINES = 2000
MAX_RECORD_CHARS = 256 * 1024

_GITHUB = re.compile(
    r"\ufeff?(?:(?P<job>[^\t]{1,200}\t[^\t]{1,200})\t)?\ufeff?(?P<t>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6,9}Z)(?: ?(?P<cri>(?:stdout|stderr) [FP] |\d\d[OE][+ ]?)| |$)"
)
_COMPOSE = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]{0,60})\s*\| ?")
_COMPOSE_PROBE = 12
_INDENTED = re.compile(
    r"\s+\S|Caused by:|Suppressed:|\.\.\. \d+ more|During handling of the above|The above exception was|goroutine \d+|\}|\)|-{3,} End of|stack backtrace|#\d+ "
)
_HEAD = re.compile(
    r"""Traceback\ \(most\ recent|\s*\+\ Exception\ Group\ Traceback|panic:\ |fatal\ error:\ |thread\ '.*panicked\ at|(?:\S+:\s)?(?:[\w./\\-]+:\ )?line\ \d+:
      | (?:Uncaught\ )?[A-Za-z_$][\w.$]*(?:Error|Exception|Exit|Interrupt|Warning)\b(?:\s\[\w+\])?(?::|$)|node:internal|PHP\ (?:Fatal|Parse|Warning)
      | ={2,}\d+={2,}|(?:[\w./-]+:\ )?(?:fatal|error|Error|ERROR|FATAL)\b:?\s|curl:\ \(|make(?:\[\d+\])?:\ \*\*\*|npm\ (?:ERR!|error)|Killed|Segmentation\ fault|Terminated
      | (?:/usr)?/?(?:bin/)?(?:ba|z|da)?sh:\ |[\w./-]+:\ (?:command\ not\ found|No\ such\ file|cannot\ |Permission\ denied)|Unhandled\ exception|[\w./-]+\.rb:\d+:in\ |Exception\ in\ thread
    """,
    re.VERBOSE,
)
_MESSAGE_KEYS = ("msg", "message", "event", "log", "text", "error_message", "body", "short_message")
_LEVEL_KEYS = (
    "level",
    "severity",
    "lvl",
    "levelname",
    "loglevel",
    "log.level",
    "severity_text",
    "@level",
    "severityText",
)
_TIME_KEYS = ("time", "timestamp", "ts", "@timestamp", "date", "datetime", "asctime", "t", "@t", "eventTime")
_STACK_KEYS = (
    "stack",
    "stack_trace",
    "stacktrace",
    "exc_info",
    "exception",
    "traceback",
    "error",
    "err",
    "cause",
    "error.stack_trace",
)


@dataclass(frozen=True, slots=True)
class LogRecord:
    r"""One record of a log: its lines belong together.

    Attributes:
        lines: 1-based numbers of its lines in the log, ascending, at least one.
        offset: byte offset of its first byte.
        end_offset: byte offset after its last byte.
        text: its lines joined by ``\\n``, without CI prefixes and terminal escapes. A JSON record's
            text is ``level: message`` followed by the lines of its stack.
        message: the first line without time and level.
        level: ``trace debug info notice warning error fatal``, or ``""`` when it states none.
        time_ns: UTC nanoseconds, ``None`` when it has none.
        time_quality: ``exact``, ``naive``, ``inferred`` or ``none``.
        source: the CI step or container the prefix names; ``""`` otherwise.
    """

    lines: tuple[int, ...]
    offset: int
    end_offset: int
    text: str
    message: str
    level: str = ""
    time_ns: int | None = None
    time_quality: str = "none"
    source: str = ""

    @property
    def line(self) -> int:
        """The first line's number."""
        return self.lines[0]

    @property
    def end_line(self) -> int:
        """The last line's number."""
        return self.lines[-1]

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Line number and text of each line; lines of a JSON record's stack share its number."""
        last = len(self.lines) - 1
        for i, text in enumerate(self.text.split("\n")):
            yield self.lines[min(i, last)], text


@dataclass(slots=True)
class _Open:
    """A record that is still growing."""

    lines: list[int]
    texts: list[str]
    offset: int
    end_offset: int
    message: str
    level: str
    stamp: Stamp | None
    prefix_time: str
    source: str
    chars: int

    def close(self) -> LogRecord:
        time_ns, quality = (self.stamp.time_ns, self.stamp.quality) if self.stamp else (None, "none")
        if time_ns is None and self.prefix_time:
            time_ns, quality = parse_iso(self.prefix_time)
        if time_ns is None:
            quality = "none"
        return LogRecord(
            tuple(self.lines), self.offset, self.end_offset, "\n".join(self.texts), self.message, self.level,
            time_ns, quality, self.source,
        )  # fmt: skip


def strip_prefix(text: str) -> tuple[str, str, str]:
    """``(rest, time, source)``: a line without the prefix a CI runner or container runtime wrote."""
    match = _GITHUB.match(text)
    if match is None:
        return text.removeprefix("\ufeff"), "", ""
    return text[match.end() :], match["t"], (match["job"] or "").replace("\t", " / ")


def read_records(data: bytes | Iterable[bytes], *, base_ns: int | None = None) -> Iterator[LogRecord]:
    """The records of a log in order; nothing for a binary one.

    Args:
        data: the whole log or its pieces in order, of any sizes.
        base_ns: a time near the log's, for formats that leave out the year or the day.

    A line that starts with a time (in the format locked at the first hit) starts a record,
    as does one that states a level or opens a crash; any other line continues the record
    before it. In a log without times each line is a record, indented lines continue it.
    Cost: linear in the bytes; one record in memory.
    """
    return records_of(read_lines(data), base_ns=base_ns)


def records_of(lines: Iterable[Line], *, base_ns: int | None = None) -> Iterator[LogRecord]:
    """``read_records`` for lines that were cut already."""
    reader = _Reader(base_ns)
    for line in _compose(lines):
        yield from reader.feed(*line)
    yield from reader.finish()


def _compose(lines: Iterable[Line]) -> Iterator[tuple[Line, str, str]]:
    """Each line with its text and source after the ``name  | `` prefix of docker compose, when the log has it."""
    held: list[Line] = []
    source = iter(lines)
    for line in source:
        held.append(line)
        if len(held) >= _COMPOSE_PROBE:
            break
    filled = [line for line in held if line.text.strip()]
    hits = [m["name"] for line in filled if (m := _COMPOSE.match(line.text))]
    prefixed = len(hits) >= 2 and len(hits) >= 0.8 * len(filled) and len(set(hits)) <= max(3, len(hits) // 2)
    for batch in (held, source):
        for line in batch:
            match = _COMPOSE.match(line.text) if prefixed else None
            yield (line, line.text[match.end() :], match["name"]) if match else (line, line.text, "")


class _Reader:
    def __init__(self, base_ns: int | None) -> None:
        self._times = TimestampReader(base_ns=base_ns)
        self._open: _Open | None = None

    def feed(self, line: Line, text: str, source: str) -> Iterator[LogRecord]:
        text, prefix_time, step = strip_prefix(text)
        source = source or step
        if text.startswith("{") and text.rstrip().endswith("}"):
            record = _json_record(line, text, source)
            if record is not None:
                yield from self.finish()
                yield record
                return
        stamp = self._times.read(text)
        if stamp is None and self._continues(text, source):
            self._grow(line, text)
            return
        yield from self.finish()
        start = stamp.end if stamp else 0
        level, offset = find_level(text[start : start + 2000], after_time=stamp is not None)
        if stamp is not None and self._times.name == "glog":
            level, offset = {"I": "info", "W": "warning", "E": "error", "F": "fatal"}.get(text[0], ""), 0
        message = text[start + offset :].strip(" \t:|-]")
        self._open = _Open(
            [line.number],
            [text],
            line.offset,
            line.end_offset,
            message,
            level,
            stamp,
            prefix_time,
            source,
            len(text),
        )

    def _continues(self, text: str, source: str) -> bool:
        current = self._open
        if current is None or len(current.lines) >= MAX_RECORD_LINES or current.chars > MAX_RECORD_CHARS:
            return False
        if current.source != source:
            return False
        if _INDENTED.match(text):
            return True
        if current.stamp is None:
            # Without times only a trace's own lines hang together (its exception line comes unindented).
            return self._in_trace(current, text)
        if at_least(current.level, "error") or not current.level:
            return True
        level, _ = find_level(text[:200], after_time=False)
        return not (level or _HEAD.match(text))

    @staticmethod
    def _in_trace(current: _Open, text: str) -> bool:
        if not current.texts[0].lstrip(" +|").startswith(("Traceback (most", "Exception Group Traceback")):
            return False
        last = current.texts[-1]
        return len(current.texts) == 1 or (last.startswith((" ", "\t")) and bool(text.strip()))

    def _grow(self, line: Line, text: str) -> None:
        current = self._open
        assert current is not None
        current.lines.append(line.number)
        current.texts.append(text)
        current.end_offset = line.end_offset
        current.chars += len(text) + 1

    def finish(self) -> Iterator[LogRecord]:
        if self._open is not None:
            yield self._open.close()
            self._open = None


def _first(data: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, Any]:
    for key in keys:
        if data.get(key) not in (None, ""):
            return key, data[key]
    return "", None


def _json_record(line: Line, text: str, source: str) -> LogRecord | None:
    """The record of a JSON line; ``None`` when it is not an object or names neither a level nor a message."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    level_key, level_value = _first(data, _LEVEL_KEYS)
    message_key, message = _first(data, _MESSAGE_KEYS)
    if not level_key and not message_key:
        return None
    level = ""
    if isinstance(level_value, bool):
        level = ""
    elif isinstance(level_value, (int, float)):
        level = numeric_level(level_value, key=level_key)
    elif isinstance(level_value, str):
        level = (
            numeric_level(int(level_value), key=level_key)
            if level_value.isdigit()
            else word_level(level_value)
        )
    if isinstance(message, dict):
        message = message.get("message") or json.dumps(message)
    message = str(message or "").rstrip("\n")
    if message_key == "log" and not level:
        level, _ = find_level(message, after_time=False)
    texts = [f"{level.upper()}: {message}" if level else message, *_details(data, message_key)]
    time_ns, quality = _json_time(data)
    body = "\n".join(texts)[:MAX_RECORD_CHARS]
    return LogRecord(
        (line.number,), line.offset, line.end_offset, body, message, level, time_ns, quality,
        source or str(data.get("logger") or data.get("name") or ""),
    )  # fmt: skip


def _details(data: Mapping[str, Any], message_key: str) -> Iterator[str]:
    """The lines of stacks and errors a JSON record carries, as text."""
    for key in _STACK_KEYS:
        value = data.get(key)
        if key == message_key or not value:
            continue
        if isinstance(value, dict):
            value = (
                value.get("stack")
                or value.get("stack_trace")
                or value.get("message")
                or json.dumps(value)[:4000]
            )
        if isinstance(value, list):
            value = "\n".join(str(item) for item in value)
        if isinstance(value, str) and value != "true":
            yield from value.rstrip("\n").split("\n")
    for key in ("status", "status_code", "statusCode", "code", "errno", "exit_code"):
        value = data.get(key)
        if isinstance(value, (int, str)) and not isinstance(value, bool) and value != "":
            yield f"{key}={value}"


def _json_time(data: Mapping[str, Any]) -> tuple[int | None, str]:
    _, value = _first(data, _TIME_KEYS)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        for bound, scale in ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3)):
            if value < bound:
                return int(value * scale), "exact"
        return int(value), "exact"
    return parse_iso(value) if isinstance(value, str) else (None, "none")
