"""Recurring patterns: what makes two incidents the same, how often one came back, what it cost.

Owns the fingerprint: cause and sub-cause, the rules of the strongest evidence and the files it
points at, with digits and ids masked. Two runs of one failure agree in these; times, line
numbers and run ids do not enter. Pure: incidents in, patterns out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from casreplay.codec.hashing import blob_id
from casreplay.forensics.logs import mask
from casreplay.forensics.logs.timestamps import TimestampReader
from casreplay.model.findings import Severity
from casreplay.model.incidents import Incident

__all__ = ["Pattern", "fingerprint", "group", "severity_of", "title_of"]

EVIDENCE = 3
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Incidents of one fingerprint.

    Attributes:
        fingerprint: 12 hex digits.
        root_cause: category of the newest of them.
        title: title of the newest.
        incidents: ids, oldest first; with a store's name before them when several were read.
        occurrences: how often it was seen in all.
        first_ns, last_ns: first and last time it was recorded.
        cost_s: seconds from record to resolution, summed; open ones count up to now.
        open: how many of the incidents are open.
        ignored: why it was called wrongly flagged; ``None`` when it was not.
    """

    fingerprint: str
    root_cause: str
    title: str
    incidents: tuple[str, ...]
    occurrences: int
    first_ns: int
    last_ns: int
    cost_s: float
    open: int
    ignored: str | None = None

    def to_dict(self) -> dict[str, object]:
        """JSON, keys as the attributes."""
        return {
            "fingerprint": self.fingerprint,
            "root_cause": self.root_cause,
            "title": self.title,
            "incidents": list(self.incidents),
            "occurrences": self.occurrences,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "cost_s": round(self.cost_s, 3),
            "open": self.open,
            "ignored": self.ignored,
        }


def fingerprint(document: Mapping[str, Any]) -> str:
    """Twelve hex digits of an analysis document; empty when it has no evidence to recognise it by."""
    evidence = [piece for piece in document.get("evidence", ()) if piece.get("weight", 0) > 0][:EVIDENCE]
    findings = document.get("triggers", ())[:EVIDENCE]
    if not evidence and not findings:
        return ""
    strong = sorted({f"{piece['rule']} {_shape(piece['path'])}" for piece in evidence})
    if not strong:
        strong = sorted({f"{one['rule']} {_shape(one['path'])}" for one in findings})
    messages = sorted(
        {
            mask(_undated(piece["message"]).encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
            for piece in evidence
            if not piece["rule"].startswith("change.")
        }
    )
    words = [document.get("root_cause", ""), document.get("sub_cause", ""), *strong, *messages]
    return blob_id("\0".join(words).encode("utf-8", "surrogatepass"))[:6].hex()


def _undated(message: str) -> str:
    """A log line without the time in front: one program writes it, another does not."""
    stamp = TimestampReader().read(message)
    return message[stamp.end :].lstrip() if stamp is not None else message


def _shape(path: str) -> str:
    """A path with its numbers masked: run 17's log is the log of run 18."""
    return _NUMBERS.sub("#", path)


def severity_of(document: Mapping[str, Any]) -> Severity:
    """How much an analysed failure matters: its worst finding, or high when something cannot come back."""
    worst = max(
        (Severity.parse(one["severity"]) for one in document.get("triggers", ())), default=Severity.LOW
    )
    lost = document.get("loss", {}).get("summary", {}).get("unrecoverable", 0)
    return max(worst, Severity.HIGH) if lost else worst


def title_of(document: Mapping[str, Any]) -> str:
    """A title when nobody gave one: the cause, and the changed file, or else the log, that speaks for it."""
    category = str(document.get("root_cause", "undetermined"))
    cause = category.replace("_", " ")
    if category == "undetermined":
        count = len(document.get("changes", ()))
        return f"Undetermined failure after {count} changed path{'' if count == 1 else 's'}"
    speaking = [
        piece
        for piece in document.get("evidence", ())
        if piece["path"] and piece["weight"] > 0 and str(piece["effect"]).startswith(f"for {category}")
    ]
    speaking.sort(key=lambda piece: not piece["rule"].startswith("change."))
    place = speaking[0]["path"] if speaking else ""
    return f"{cause.capitalize()} in {place}" if place else cause.capitalize()


def group(
    incidents: Iterable[tuple[str, Incident]], ignored: Mapping[str, str], now_ns: int
) -> list[Pattern]:
    """Patterns among incidents, the dearest first: by cost in time, then by occurrences.

    Args:
        incidents: (a store's name or nothing, incident), in any order; those merged away do not count.
        ignored: fingerprints called wrongly flagged, with the reason.
        now_ns: up to when open ones are counted.
    """
    by_print: dict[str, list[tuple[str, Incident]]] = {}
    for store, one in incidents:
        if one.fingerprint and not one.merged_into:
            by_print.setdefault(one.fingerprint, []).append((store, one))
    found = [_pattern(key, found, ignored.get(key), now_ns) for key, found in by_print.items()]
    return sorted(found, key=lambda one: (-one.cost_s, -one.occurrences, one.fingerprint))


def _pattern(key: str, found: Sequence[tuple[str, Incident]], ignored: str | None, now_ns: int) -> Pattern:
    ordered = sorted(found, key=lambda item: (item[1].detected_ns, item[1].id))
    newest = ordered[-1][1]
    seen = [one.recorded_ns for _, incident in ordered for one in incident.occurrences]
    return Pattern(
        fingerprint=key,
        root_cause=newest.root_cause,
        title=newest.title,
        incidents=tuple(f"{store}{incident.id}" for store, incident in ordered),
        occurrences=sum(len(incident.occurrences) for _, incident in ordered),
        first_ns=min(seen, default=ordered[0][1].detected_ns),
        last_ns=max(seen, default=newest.detected_ns),
        cost_s=sum(_cost_ns(incident, now_ns) for _, incident in ordered) / 1e9,
        open=sum(1 for _, incident in ordered if incident.status.is_open),
        ignored=ignored,
    )


def _cost_ns(incident: Incident, now_ns: int) -> int:
    if incident.resolved_ns is not None:
        return max(0, incident.resolved_ns - incident.detected_ns)
    return max(0, now_ns - incident.detected_ns) if incident.status.is_open else 0
