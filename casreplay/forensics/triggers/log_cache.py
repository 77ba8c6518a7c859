"""Findings of logs, kept by the two contents and the triggers, so that a second look reads no log.

A cache like that of secrets (``forensics.secrets.cache``): one JSON line an entry, dropped when
it cannot be read. Messages in it are redacted already.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence

from casreplay.codec.hashing import blob_id
from casreplay.forensics.triggers.pair import Pair
from casreplay.model.changes import Change
from casreplay.model.findings import Finding, FindingKind, Severity
from casreplay.model.ids import BlobId

__all__ = ["LogCache", "log_key"]

CACHE_NAME = "log-findings"
CODE_VERSION = b"2"
"""Raised whenever the code that reads or judges logs changes."""
MAX_ENTRIES = 20_000
_KEY_BYTES = 16


def log_key(before: BlobId | None, after: BlobId, path: bytes, triggers: str) -> str:
    """Names the findings of one change of one log under the triggers described by ``triggers``."""
    parts = (CODE_VERSION, before or b"", after, path, triggers.encode())
    return blob_id(b"\0".join(parts))[:_KEY_BYTES].hex()


class LogCache:
    """Keeps log findings in a file that ``read`` and ``write`` reach; in memory only without them."""

    def __init__(
        self,
        read: Callable[[str], bytes | None] | None = None,
        write: Callable[[str, Iterable[bytes]], None] | None = None,
    ) -> None:
        self._write = write
        self._dirty = False
        self._known: dict[str, list[list[object]]] = {}
        for line in ((read(CACHE_NAME) if read else None) or b"").splitlines():
            try:
                key, rows = json.loads(line)
                self._known[str(key)] = [list(row) for row in rows]
            except (ValueError, TypeError):
                continue

    def get(self, key: str, pair: Pair, change: Change) -> list[Finding] | None:
        """The findings kept under ``key``, placed in ``pair``; ``None`` when there are none kept."""
        rows = self._known.get(key)
        if rows is None:
            return None
        try:
            return [_finding(row, pair, change) for row in rows]
        except (ValueError, TypeError):
            return None

    def put(self, key: str, findings: Sequence[Finding]) -> None:
        """Keep ``findings`` of one log under ``key``."""
        self._known[key] = [
            [f.rule, f.severity.label, f.message, f.location.line, f.location.end_line] for f in findings
        ]
        self._dirty = True

    def save(self) -> None:
        """Write the cache when something was added."""
        if self._dirty and self._write is not None:
            self._write(CACHE_NAME, self._lines())
            self._dirty = False

    def _lines(self) -> Iterator[bytes]:
        for key in list(self._known)[-MAX_ENTRIES:]:
            yield json.dumps([key, self._known[key]], separators=(",", ":")).encode() + b"\n"


def _finding(row: list[object], pair: Pair, change: Change) -> Finding:
    rule, severity, message, line, end_line = row
    first = int(line) if isinstance(line, int) else None
    last = int(end_line) if isinstance(end_line, int) else None
    evidence = pair.at_after(change, first, last)
    return Finding(str(rule), FindingKind.LOG, Severity.parse(str(severity)), str(message), (evidence,))
