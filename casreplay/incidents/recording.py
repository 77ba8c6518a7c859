"""An analysis becomes an incident: a new one, the same one again, or one that came back.

Owns that decision. The same pair of states while it is open: the same incident. A pattern
whose incident was resolved or closed: that incident is reopened and says so. A pattern called
wrongly flagged: none, unless it is asked for. Otherwise: a new incident.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from casreplay.incidents.database import Draft, IncidentDatabase
from casreplay.incidents.patterns import fingerprint, severity_of, title_of
from casreplay.model.incidents import Incident, Status

__all__ = ["Recorded", "record"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of an analysis.

    Attributes:
        incident: the incident; ``None`` when the pattern is ignored.
        how: ``new``, ``same``, ``reopened`` or ``ignored``.
        reason: why it is ignored; empty otherwise.
    """

    incident: Incident | None
    how: str
    reason: str = ""


def record(
    database: IncidentDatabase, document: Mapping[str, Any], *, title: str = "", force: bool = False
) -> Recorded:
    """Record an analysis document.

    Args:
        database: where.
        document: what ``forensics.analysis.analyze`` returned.
        title: for people; made from the document when empty.
        force: open an incident even for an ignored pattern.
    """
    key = fingerprint(document)
    draft = _draft(document, title, key)
    ignored = database.ignored()
    if key and key in ignored and not force:
        return Recorded(None, "ignored", ignored[key])
    for earlier in reversed(database.by_fingerprint(key) if key else []):
        if earlier.merged_into:
            continue
        same_pair = any((one.good, one.bad) == (draft.good, draft.bad) for one in earlier.occurrences)
        if earlier.status.is_open and same_pair:
            return Recorded(database.recur(earlier.id, draft), "same")
        if earlier.status in (Status.RESOLVED, Status.CLOSED):
            return Recorded(database.recur(earlier.id, draft), "reopened")
    return Recorded(database.create(draft), "new")


def _draft(document: Mapping[str, Any], title: str, key: str) -> Draft:
    good, bad = document.get("good") or {}, document.get("bad") or {}
    return Draft(
        title=title or title_of(document),
        severity=severity_of(document),
        good=good.get("id", ""),
        bad=bad.get("id", ""),
        happened_ns=bad.get("time_ns"),
        root_cause=str(document.get("root_cause", "undetermined")),
        fingerprint=key,
        analysis=document,
    )
