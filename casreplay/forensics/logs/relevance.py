# Expressions that match log lines read better whole than broken over lines.
# ruff: noqa: E501
"""Among new lines, those that are part of what went wrong.

Anchors are stated errors, stack traces and lines in words of failure; details hang on
anchors; what a build tool always says when it ends is neither. Without any anchor every
new line is kept: then nobody knows better.

Source: the shapes were derived from how annotators of CiDiff (labri-progress/cidiff) mark
cause lines: the failing line and its details, not the runner's epilogue.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from casreplay.forensics.logs.guards import is_negated, is_success, is_suspicious, without_file_names
from casreplay.forensics.logs.levels import at_least, find_level
from casreplay.forensics.logs.records import strip_prefix
from casreplay.forensics.logs.timestamps import TimestampReader
from casreplay.forensics.logs.traces import blocks_of

__all__ = ["Row", "cause_rows", "is_epilogue", "is_suspicious"]

MAX_GAP = 2
"""Known or plain lines between two cause lines that are taken for details of the first."""

_QUIET = ("trace", "debug", "info", "notice")
_EPILOGUE = re.compile(
    r"""^\W{0,6}(?:\#\#\[error\]|\[?(?:INFO|ERROR|WARNING|error|npm\ ERR!)\b\]?)?\W*(?:
       (?:Try:|Run\ with\ --|Get\ more\ help|BUILD\ (?:FAILED|FAILURE|SUCCESS\w*)|Build\ (?:FAILED|failed)\b|\d+\ actionable\ tasks?|What\ went\ wrong:|FAILURE:\ Build\ failed|\d+\ tests?\ completed,|There\ were\ failing\ tests)
      |(?:Process\ completed\ with\ exit|Post\ job\ cleanup|Terminate\ orphan|Cleaning\ up\ orphan|Finished:\ |Total\ time:|Finished\ at:|Final\ Memory|Build\ step\ '|Archiving\ artifacts|Sending\ e-mails|Uploading\ artifacts|Cleaning\ up\ project)
      |(?:To\ see\ the\ full\ stack|Re-run\ Maven|For\ more\ information\ about|After\ correcting\ the\ problems|A\ complete\ log\ of\ this\ run|Reactor\ Summary|This\ is\ probably\ not\ a\ problem\ with\ npm|Please\ refer\ to)
      |Command\ failed\ with\ exit|Job\ failed:|exit\ status\ \d+\s*$|(?:The\ )?(?:command|process|script|job|step)\b.{0,60}\b(?:exited|failed)\ with\b|ELIFECYCLE|make(?:\[\d+\])?:\ \*\*\*
      |(?:Ran\ |=+\ )?\d+\ (?:errors?|warnings?|tests?|passed|failed)\b[\w\s,.()=]*$
      |[\W_]*$)""",
    re.VERBOSE,
)
_ANCHOR_HEAD = re.compile(r"^\s*(?:(?:FAIL(?:ED)?|ERROR|not ok)\b|✗|✘|✕)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """A line with where it stands and whether it is new."""

    number: int
    offset: int
    end_offset: int
    text: str
    novel: bool

    def moved(self, lines: int, offset: int) -> Row:
        """The same line in a log with more before it."""
        return replace(
            self, number=self.number + lines, offset=self.offset + offset, end_offset=self.end_offset + offset
        )


def is_epilogue(text: str) -> bool:
    """Whether ``text`` is what a build tool or runner says at the end of any failed run, or blank."""
    return _EPILOGUE.match(text) is not None


def cause_rows(rows: Sequence[Row]) -> set[int]:
    """Numbers of the rows that are part of what went wrong.

    Args:
        rows: new lines with the known lines of their blocks, ascending.
    """
    texts = [strip_prefix(row.text)[0] for row in rows]
    levels = _levels(texts)
    keep = _in_traces(rows, texts)
    for i, row in enumerate(rows):
        if row.novel and not keep[i] and _is_anchor(texts[i], levels[i]):
            keep[i] = True
    if not any(keep):
        return {
            row.number for row, text in zip(rows, texts, strict=True) if row.novel and not is_epilogue(text)
        }
    _add_details(rows, texts, levels, keep)
    _fill_gaps(rows, texts, levels, keep)
    return {row.number for row, kept in zip(rows, keep, strict=True) if kept}


def _levels(texts: Sequence[str]) -> list[str]:
    times = TimestampReader()
    levels: list[str] = []
    for text in texts:
        stamp = times.read(text)
        start = stamp.end if stamp else 0
        levels.append(find_level(text[start : start + 400], after_time=stamp is not None)[0])
    return levels


def _in_traces(rows: Sequence[Row], texts: Sequence[str]) -> list[bool]:
    """For each row whether it lies in a stack trace that has a new line."""
    keep = [False] * len(rows)
    for block in blocks_of(list(enumerate(texts))):
        inside = range(block.lines[0], block.lines[-1] + 1)
        if any(rows[i].novel for i in inside):
            for i in inside:
                keep[i] = True
    return keep


def _is_anchor(text: str, level: str) -> bool:
    if is_epilogue(text):
        return False
    if is_negated(text):
        return False
    if at_least(level, "error") or _ANCHOR_HEAD.match(text):
        return True
    return level not in {*_QUIET, "warning"} and is_suspicious(without_file_names(text))


def _add_details(rows: Sequence[Row], texts: Sequence[str], levels: Sequence[str], keep: list[bool]) -> None:
    """New lines that directly follow a cause line, and known ones that are indented below it."""
    for i in range(1, len(rows)):
        if keep[i] or not keep[i - 1] or rows[i].number != rows[i - 1].number + 1:
            continue
        text = texts[i]
        if is_epilogue(text) or levels[i] in _QUIET or is_success(text):
            keep[i] = not text.strip(" []ERO") and levels[i] == "error"
            continue
        keep[i] = rows[i].novel or text.startswith((" ", "\t")) or at_least(levels[i], "error")


def _fill_gaps(rows: Sequence[Row], texts: Sequence[str], levels: Sequence[str], keep: list[bool]) -> None:
    """Up to two lines between cause lines, unless they are stated to be harmless."""
    last = -1
    for i, kept in enumerate(list(keep)):
        if not kept:
            continue
        gap = range(last + 1, i)
        near = last >= 0 and rows[i].number - rows[last].number <= MAX_GAP + 1
        if near and not any(levels[k] in _QUIET or is_success(texts[k]) for k in gap):
            for k in gap:
                keep[k] = not is_epilogue(texts[k]) or not texts[k].strip()
        last = i
