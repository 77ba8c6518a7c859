"""What one run of a command showed: verdict, and the signature of a failure.

A signature is what stays the same when the same bug fails in two snapshots: the exit
code, the type and place (file and function, no line number) of the last exception, and
the last line with everything that varies masked. Pure: exit code and output in, values out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from casreplay.history.bisect_model import Verdict
from casreplay.history.bisect_reads import Reads

__all__ = [
    "ABORT_EXIT",
    "SKIP_EXIT",
    "Observation",
    "Signature",
    "same_failure",
    "signature_of",
    "verdict_of",
]

SKIP_EXIT = 125
ABORT_EXIT = 127
"""127 (command not found) and above (killed by a signal) end a bisect, as hg and jj users expect."""

_TRACE = re.compile(rb'^\s*File "([^"\n]+)", line \d+, in (.+)$', re.MULTILINE)
_PLACE = re.compile(rb"^(\S+\.\w+):\d+: (?:in (\S+)|\w+)", re.MULTILINE)
_NODE = re.compile(rb"^\s+at (?:async )?([\w.$<>\[\] ]+) \(([^()\n]+?):\d+:\d+\)$", re.MULTILINE)
_EXCEPTION = re.compile(
    rb"^(?:E\s+|Caused by: |panic: |Uncaught |\S+\.\w+:\d+: )?"
    rb"((?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt|Warning|Panic))\b",
    re.MULTILINE,
)
_MASKS = (
    (re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-f]{7,64}\b"), "<hex>"),
    (re.compile(r"(?:[A-Za-z]:)?(?:[\\/][\w.@+-]+){2,}"), "<path>"),
    (re.compile(r"\d+(?:\.\d+)*"), "<n>"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, slots=True)
class Signature:
    """How a run failed.

    Attributes:
        exit_code: of the command.
        exception: type of the last exception; empty when none was seen.
        place: file name and function it was raised in; empty when unknown.
        line: the last line of the output, masked.
    """

    exit_code: int
    exception: str = ""
    place: str = ""
    line: str = ""

    def __str__(self) -> str:
        what = " ".join(part for part in (self.exception, f"in {self.place}" if self.place else "") if part)
        return f"exit {self.exit_code}" + (f", {what}" if what else f", {self.line}" if self.line else "")


@dataclass(frozen=True, slots=True)
class Observation:
    """One run.

    Attributes:
        verdict: what it says; ``None`` when the whole bisect must stop (``detail`` says why).
        signature: how it failed; ``None`` when it did not.
        elapsed_ns: how long it took.
        detail: one clause for people: why it was skipped, or the last line.
        cancelled: the run was stopped because its result no longer mattered.
        cached: remembered from an earlier run on equal content.
        reads: what it read of its snapshot, when it was traced.
    """

    verdict: Verdict | None
    signature: Signature | None = None
    elapsed_ns: int = 0
    detail: str = ""
    cancelled: bool = False
    cached: bool = False
    reads: Reads | None = None


def verdict_of(exit_code: int) -> Verdict | None:
    """0 good, 125 skip, 127 and above (or a signal) ``None``: abort; everything else bad."""
    if exit_code == 0:
        return Verdict.GOOD
    if exit_code == SKIP_EXIT:
        return Verdict.SKIP
    return None if exit_code >= ABORT_EXIT or exit_code < 0 else Verdict.BAD


def signature_of(exit_code: int, output: bytes) -> Signature:
    """The signature of a run that ended with ``exit_code`` after writing ``output`` (its end suffices)."""
    exceptions = _EXCEPTION.findall(output)
    exception = exceptions[-1].decode("utf-8", "replace") if exceptions else ""
    return Signature(exit_code, exception, _place(output) if exception else "", last_line(output))


def _place(output: bytes) -> str:
    frames = [(m.start(), m[1], m[2]) for m in _TRACE.finditer(output)]
    frames += [(m.start(), m[1], m[2] or b"") for m in _PLACE.finditer(output)]
    node = _NODE.search(output)
    if node:
        frames.append((-1, node[2], node[1]))  # node prints the innermost frame first
    if not frames:
        return ""
    _, file, function = max(frames)
    name = re.split(rb"[\\/]", file)[-1]
    return (name + (b":" + function.strip() if function else b"")).decode("utf-8", "replace")


def last_line(output: bytes, *, masked: bool = True) -> str:
    """The last line that is not blank, at most 200 characters, with what varies masked."""
    for line in reversed(output[-8192:].splitlines()):
        text = line.decode("utf-8", "replace").strip()
        if text:
            for pattern, mask in _MASKS if masked else ():
                text = pattern.sub(mask, text)
            return text[:200]
    return ""


def same_failure(one: Signature, other: Signature) -> bool:
    """Whether two failures count as the same bug.

    The exit codes must agree; then the exceptions, if both show one: type, and place where
    both have it. Without exceptions the masked last lines decide.
    """
    if one.exit_code != other.exit_code:
        return False
    if one.exception or other.exception:
        places = one.place == other.place or not (one.place and other.place)
        return one.exception == other.exception and places
    return one.line == other.line
