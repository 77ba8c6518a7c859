"""Decisions of a snapshot, or between two: finds the files, dates what has no date, tells what was lost."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import takewhile

from casreplay.forensics.decisions import (
    DecisionFile,
    date_by_history,
    decisions_in,
    link_changes,
    lost_decisions,
)
from casreplay.forensics.redaction import Redactor
from casreplay.forensics.roles import Role, Roles
from casreplay.forensics.triggers.history import blob_secrets
from casreplay.forensics.triggers.pair import file_blob
from casreplay.history.repository import Repository
from casreplay.history.walk import find
from casreplay.model.events import Decision
from casreplay.model.objects import Snapshot

__all__ = ["decisions_between", "decisions_of"]

MAX_FILE_BYTES = 64 << 20
MAX_VERSIONS = 200


def decisions_of(repository: Repository, snapshot: Snapshot) -> tuple[list[Decision], list[str]]:
    """Every decision in the logs and notes of ``snapshot``, dated; and problems, as sentences.

    A decision without a time gets that of the first of the last 200 snapshots that changed its
    file and hold it.
    """
    problems: list[str] = []
    with blob_secrets(repository) as secrets:
        files = _files(repository, snapshot)
        found = decisions_in(files, repository.config.decision_markers, Redactor(secrets.scanner), problems)
    dated = [one if one.time_ns is not None else _dated(repository, one, snapshot) for one in found]
    return dated, problems


def decisions_between(
    repository: Repository, before: Snapshot, after: Snapshot
) -> tuple[list[Decision], list[tuple[Decision, str]], list[str]]:
    """New decisions from ``before`` to ``after``, lost ones with what became of them, and problems."""
    old, _ = decisions_of(repository, before)
    new, problems = decisions_of(repository, after)
    known = {(one.evidence.path, one.text) for one in old}
    fresh = [one for one in new if (one.evidence.path, one.text) not in known]
    changed = [change.path for change in repository.diff(before, after)]
    return link_changes(fresh, changed), lost_decisions(old, new), problems


def _files(repository: Repository, snapshot: Snapshot) -> Iterator[DecisionFile]:
    roles = Roles(repository.config)
    for path, entry in repository.walk(snapshot):
        role = roles.of(path)
        blob = file_blob(entry)
        if blob is None or role not in (Role.LOG, Role.MEMORY) or entry.size_bytes > MAX_FILE_BYTES:
            continue
        data = repository.objects.get(blob)
        yield DecisionFile(path, data, blob, snapshot.id.hex(), is_note=role is Role.MEMORY)


def _dated(repository: Repository, decision: Decision, until: Snapshot) -> Decision:
    path = decision.evidence.path
    events = repository.paths_index.history_of(path)[:MAX_VERSIONS]
    wanted = {event.sequence for event in events if event.sequence <= until.sequence}
    if not wanted:
        return decision
    oldest = min(wanted)
    stretch = takewhile(lambda one: one.sequence >= oldest, repository.snapshots())
    versions = [one for one in stretch if one.sequence in wanted][::-1]

    def reader(snapshot: Snapshot) -> bytes:
        blob = file_blob(find(repository.objects, snapshot.root, path))
        return repository.objects.get(blob) if blob is not None else b""

    return date_by_history(decision, ((one.time_ns, partial(reader, one)) for one in versions))
