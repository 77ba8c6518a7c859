"""Outputs that came out empty, and files that lost nearly everything they held.

Empty means: no bytes, only white space, a header without rows, ``[]``, ``{}``, ``null``; or
less than 5 % of the earlier size. Markers that are empty by design are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from casreplay.forensics.roles import Role, Roles
from casreplay.forensics.triggers.pair import Examined, Pair, file_blob
from casreplay.model.changes import Change
from casreplay.model.findings import Finding, FindingKind, Severity
from casreplay.model.paths import display

__all__ = ["emptied", "how_empty", "is_marker"]

SHRUNK_TO = 0.05
SHRUNK_FROM_BYTES = 1024
_LARGEST_EMPTY = 4096
_RESULTS = (Role.OUTPUT, Role.DATA, Role.DOCUMENT, Role.OTHER, Role.MEMORY)
_MARKER = re.compile(
    rb"(?:^|/)(?:\.(?:git|)keep|\.gitignore|\.nojekyll|__init__\.pyi?|py\.typed|conftest\.py|\.placeholder|\.nomedia"
    rb"|\.metadata_never_index|_SUCCESS|\.done|\.stamp|\.npmignore|\.dockerignore)$"
    rb"|\.(?:lock|lck|pid|stamp|done|touch|marker|flag)$"
)


def is_marker(path: bytes) -> bool:
    """Whether a file of this name is empty by design."""
    return _MARKER.search(path) is not None


def how_empty(data: bytes, path: bytes) -> str:
    """What is empty about ``data``, as a phrase after "is"; empty when it holds something."""
    if not data:
        return "empty"
    text = data.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"").strip()
    if not text:
        return "only white space"
    if text in (b"[]", b"{}", b"null", b'""', b"{ }", b"[ ]", b"---", b"<html></html>"):
        return f"only {text.decode()}"
    if path.lower().endswith((b".csv", b".tsv", b".tab")) and _has_no_rows(text):
        return "a header without rows"
    return ""


def _has_no_rows(text: bytes) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    fields = re.split(rb"[,;\t]", lines[0])
    return len(lines) == 1 and len(fields) > 1 and not any(re.search(rb"\d", field) for field in fields)


def emptied(pair: Pair, roles: Roles, examined: Examined) -> Iterator[Finding]:
    """Findings ``empty.output``, ``empty.emptied`` and ``empty.shrunk`` for the files of a change set."""
    for change in pair.changes:
        blob = file_blob(change.after)
        role = roles.of(change.path)
        if blob is None or change.after is None or role in (Role.CACHE, Role.LOCK) or is_marker(change.path):
            continue
        examined.count("outputs")
        size = change.after.size_bytes
        phrase = how_empty(pair.objects.get(blob), change.path) if size <= _LARGEST_EMPTY else ""
        finding = _judge(pair, change, role, phrase)
        if finding is not None:
            yield finding


def _judge(pair: Pair, change: Change, role: Role, phrase: str) -> Finding | None:
    earlier = change.before.size_bytes if file_blob(change.before) is not None and change.before else 0
    size = change.after.size_bytes if change.after else 0
    if phrase and earlier > size:
        was_empty = _was_empty(pair, change, earlier)
        if not was_empty and role is not Role.LOG:
            text = f"{display(change.path)} is now {phrase}; it held {earlier:,} bytes"
            return _finding("empty.emptied", Severity.HIGH, text, pair, change)
        return None
    if phrase and earlier == 0 and role in _RESULTS and change.before is None:
        return _finding("empty.output", Severity.MEDIUM, f"{display(change.path)} is {phrase}", pair, change)
    if earlier >= SHRUNK_FROM_BYTES and size < earlier * SHRUNK_TO and role is not Role.LOG:
        text = f"{display(change.path)} shrank from {earlier:,} to {size:,} bytes"
        return _finding("empty.shrunk", Severity.HIGH, text, pair, change)
    return None


def _was_empty(pair: Pair, change: Change, earlier: int) -> bool:
    blob = file_blob(change.before)
    return (
        earlier <= _LARGEST_EMPTY
        and blob is not None
        and bool(how_empty(pair.objects.get(blob), change.path))
    )


def _finding(rule: str, severity: Severity, message: str, pair: Pair, change: Change) -> Finding:
    evidence = [pair.at_after(change)]
    if change.before is not None:
        evidence.append(pair.at_before(change))
    return Finding(rule, FindingKind.EMPTY, severity, message, tuple(evidence))
