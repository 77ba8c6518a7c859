"""What a trigger found, and the evidence that proves it.

A finding without evidence does not exist: construction refuses it. Every piece of
evidence names the bytes it rests on: a snapshot, a path, a blob and lines or a byte
range. A finding never holds a secret's value; ``offset`` and ``length`` say where it is.

This module owns the values and their JSON. Who finds, how text is redacted and how
findings are printed is decided above.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from casreplay.model.ids import BlobId
from casreplay.model.paths import to_json

__all__ = ["Evidence", "Finding", "FindingKind", "Severity"]


class Severity(IntEnum):
    """How much a finding matters; comparable, worst is greatest."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The lower-case word used in JSON, in configuration and on the command line."""
        return self.name.lower()

    @classmethod
    def parse(cls, text: str) -> Severity:
        """The severity called ``text`` in any case; ``warning``, ``error`` and ``fatal`` are understood too.

        Raises:
            ValueError: no severity has that name; the message lists those that exist.
        """
        word = text.strip().lower()
        word = {"warning": "medium", "warn": "medium", "error": "high", "fatal": "critical"}.get(word, word)
        for severity in cls:
            if severity.label == word:
                return severity
        names = ", ".join(severity.label for severity in cls)
        raise ValueError(f"Unknown severity {text!r}; the severities are {names}")


class FindingKind(StrEnum):
    """Which family of triggers a finding comes from; the words are part of the JSON."""

    LOG = "log"
    DELETION = "deletion"
    CONFIG = "config"
    SECRET = "secret"  # noqa: S105 - the word of the kind, not a password
    CONSTRAINT = "constraint"
    EMPTY = "empty"
    GROWTH = "growth"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the proof lies.

    Attributes:
        path: path below the workspace root on the side of ``snapshot``.
        snapshot: full hex id of the snapshot that holds it; ``None`` for the folder as it is now.
        blob: the content; ``None`` where the entry has none (a folder, an unreadable file).
        line: first line, counted from 1; ``None`` when the whole file is meant.
        end_line: last line, inclusive; ``None`` exactly when ``line`` is.
        offset: first byte in the blob; ``None`` when lines say enough.
        length: bytes from ``offset``.
        note: what this piece shows, redacted, without a full stop; may be empty.
    """

    path: bytes
    snapshot: str | None = None
    blob: BlobId | None = None
    line: int | None = None
    end_line: int | None = None
    offset: int | None = None
    length: int | None = None
    note: str = ""

    def to_dict(self) -> dict[str, object]:
        """JSON of the evidence: the finding's location keys, then ``note`` when there is one."""
        fields: dict[str, object] = {
            **to_json(self.path),
            "line": self.line,
            "end_line": self.end_line,
            "snapshot": self.snapshot,
            "blob": self.blob.hex() if self.blob is not None else None,
        }
        if self.note:
            fields["note"] = self.note
        return fields


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a trigger found.

    Attributes:
        rule: stable rule id, for instance ``deletion.source`` or a user's own name.
        kind: the family of triggers.
        severity: how much it matters.
        message: one sentence, capital first, no full stop, redacted. It may quote hostile
            text: whoever prints it escapes it.
        evidence: at least one piece; the first is the finding's own location.
    """

    rule: str
    kind: FindingKind
    severity: Severity
    message: str
    evidence: tuple[Evidence, ...]

    def __post_init__(self) -> None:
        if not self.evidence:
            raise ValueError(f"Finding of rule {self.rule} has no evidence")

    @property
    def location(self) -> Evidence:
        """The first piece of evidence."""
        return self.evidence[0]

    @property
    def sort_key(self) -> tuple[int, bytes, int, str, str]:
        """Worst first, then path, line, rule and message: the one order findings are shown in."""
        at = self.location
        return (-self.severity, at.path, at.line or 0, self.rule, self.message)

    def to_dict(self) -> dict[str, object]:
        """JSON: ``rule, kind, severity, message, path, line, end_line, snapshot, blob``, in this order.

        ``path_b64`` follows ``path`` when the path is not plain UTF-8. ``line``, ``end_line``,
        ``snapshot`` (hex) and ``blob`` (hex) are ``null`` where they do not apply.
        """
        at = self.location
        return {
            "rule": self.rule,
            "kind": self.kind.value,
            "severity": self.severity.label,
            "message": self.message,
            **to_json(at.path),
            "line": at.line,
            "end_line": at.end_line,
            "snapshot": at.snapshot,
            "blob": at.blob.hex() if at.blob is not None else None,
        }
