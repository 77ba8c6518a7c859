"""A root cause as a value: category, confidence, candidates, evidence, remedies, and their JSON.

Owns the six fixed category ids and ``undetermined``. How a cause is found is
``forensics.classify``'s affair.
"""

from __future__ import annotations

from dataclasses import dataclass

from casreplay.model.ids import BlobId
from casreplay.model.paths import to_json

__all__ = ["CATEGORIES", "UNDETERMINED", "Candidate", "CauseEvidence", "KeyChange", "Remedy", "RootCause"]

CATEGORIES = (
    "config_error",
    "data_corruption",
    "drift",
    "external_failure",
    "logic_error",
    "resource_exhaustion",
)
"""Ids of the built-in categories; fixed, users may add their own beside them."""

UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key of a configuration file that differs between two snapshots.

    Attributes:
        path: the file, below the workspace root.
        key: dotted path of the key.
        kind: ``added``, ``removed``, ``changed``, ``type`` or ``moved``.
        before: the old value as text; empty when added.
        after: the new value as text; empty when removed.
        line: line of the key in the later file (the earlier one when removed); ``None`` when unknown.
    """

    path: bytes
    key: str
    kind: str
    before: str = ""
    after: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class CauseEvidence:
    """One reason for or against a category.

    Attributes:
        rule: id of the signal or change rule.
        message: what was seen, one sentence or the log line itself; may quote hostile text.
        category: the category it speaks for after flips; empty when it was suppressed.
        weight: what it added to that category's score, after caps.
        effect: in words: ``for drift``, ``logic_error to drift: ...`` or ``suppressed: ...``.
        path: the log or changed file.
        line: line number in it; ``None`` when the whole file is meant.
        snapshot: hex id of the snapshot it was read from; ``None`` for the folder as it is now.
        blob: its content; ``None`` where there is none.
    """

    rule: str
    message: str
    category: str
    weight: float
    effect: str
    path: bytes
    line: int | None = None
    snapshot: str | None = None
    blob: BlobId | None = None

    def to_dict(self) -> dict[str, object]:
        """JSON: ``rule, message, path, line, snapshot, blob, weight, effect``, in this order."""
        return {
            "rule": self.rule,
            "message": self.message,
            **to_json(self.path),
            "line": self.line,
            "snapshot": self.snapshot,
            "blob": self.blob.hex() if self.blob is not None else None,
            "weight": round(self.weight, 2),
            "effect": self.effect,
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """A category and its score."""

    category: str
    score: float

    def to_dict(self) -> dict[str, object]:
        """JSON: ``category`` and ``score`` with two decimals."""
        return {"category": self.category, "score": round(self.score, 2)}


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do, and the rule or category it answers."""

    text: str
    reason: str

    def to_dict(self) -> dict[str, object]:
        """JSON: ``text`` and ``for``."""
        return {"text": self.text, "for": self.reason}


@dataclass(frozen=True, slots=True)
class RootCause:
    """The verdict on one failure.

    Attributes:
        category: one of ``CATEGORIES``, a user's category, or ``undetermined``.
        confidence: 0 to 1; how far the evidence goes, not a probability.
        sub_cause: what exactly, for instance ``disk_full``; empty when undetermined.
        candidates: all categories with a score above zero, best first; at least two entries
            (with zero scores where there is no evidence).
        evidence: strongest first; suppressed pieces last.
        remediation: for the evidence of the first category, strongest first.
    """

    category: str
    confidence: float
    sub_cause: str
    candidates: tuple[Candidate, ...]
    evidence: tuple[CauseEvidence, ...]
    remediation: tuple[Remedy, ...]

    def to_dict(self) -> dict[str, object]:
        """JSON: ``root_cause, confidence, candidates, sub_cause, evidence, remediation``, in this order."""
        return {
            "root_cause": self.category,
            "confidence": round(self.confidence, 2),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "sub_cause": self.sub_cause,
            "evidence": [piece.to_dict() for piece in self.evidence],
            "remediation": [remedy.to_dict() for remedy in self.remediation],
        }
