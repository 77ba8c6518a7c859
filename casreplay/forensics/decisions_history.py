"""Decisions of a snapshot, or between two: finds the files, dates what has no date, tells what was lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import takewhile

from casreplay.forensics.decisions import (
    DecisionFile,
    date_by_history,
    decisions_in,
    link_changes,
    lost_decisions,
    merged,
)
from casreplay.forensics.log_windows import tail_of, without_secrets
from casreplay.forensics.logs import read_lines
from casreplay.forensics.purged import content_left, is_purged
from casreplay.forensics.redaction import Redactor
from casreplay.forensics.roles import Role, Roles
from casreplay.forensics.secrets.blobs import BlobSecrets
from casreplay.forensics.triggers.history import blob_secrets
from casreplay.forensics.triggers.pair import file_blob
from casreplay.history.repository import Repository
from casreplay.history.walk import find
from casreplay.model.events import Decision
from casreplay.model.ids import BlobId, ObjectId
from casreplay.model.objects import Snapshot
from casreplay.model.paths import display

__all__ = ["decisions_between", "decisions_of"]

MAX_FILE_BYTES = 64 << 20
"""Of a larger log or note the end is read."""
MAX_DATED_BYTES = 4 << 20
"""Versions of a file above this are not searched for the first that holds a decision."""
MAX_VERSIONS = 200

Read = Callable[[], bytes]


def decisions_of(repository: Repository, snapshot: Snapshot) -> tuple[list[Decision], list[str]]:
    """Every decision in the logs and notes of ``snapshot``, dated; and problems, as sentences.

    A decision without a time gets that of the first of the last 200 snapshots that changed its
    file and hold it. One written down in a log and in a note is listed once.
    """
    found, _, problems = _read(repository, snapshot)
    return merged(found), problems


def decisions_between(
    repository: Repository, before: Snapshot, after: Snapshot
) -> tuple[list[Decision], list[tuple[Decision, str]], list[str]]:
    """New decisions from ``before`` to ``after``, lost ones with what became of them, and problems."""
    old, notes, _ = _read(repository, before)
    new, _, problems = _read(repository, after)
    known = {(one.evidence.path, one.text) for one in old}
    fresh = [one for one in new if (one.evidence.path, one.text) not in known]
    changed = [change.path for change in repository.diff(before, after)]
    return link_changes(merged(fresh), changed), lost_decisions(old, new, notes), problems


def _read(repository: Repository, snapshot: Snapshot) -> tuple[list[Decision], set[bytes], list[str]]:
    """Decisions of one snapshot, dated; paths of its notes; problems."""
    problems: list[str] = []
    notes: set[bytes] = set()
    with blob_secrets(repository) as secrets:
        files = _files(repository, snapshot, secrets, notes, problems)
        found = decisions_in(files, repository.config.decision_markers, Redactor(secrets.scanner), problems)
    dates = _Dates(repository, snapshot)
    return [one if one.time_ns is not None else dates.of(one) for one in found], notes, problems


def _files(
    repository: Repository,
    snapshot: Snapshot,
    secrets: BlobSecrets,
    notes: set[bytes],
    problems: list[str],
) -> Iterator[DecisionFile]:
    roles = Roles(repository.config)
    for path, entry in repository.walk(snapshot):
        role = roles.of(path)
        blob = file_blob(entry)
        if blob is None or role not in (Role.LOG, Role.MEMORY):
            continue
        if role is Role.MEMORY:
            notes.add(path)
        if is_purged(repository.objects, blob):
            problems.append(f"{display(path)} was purged: no decisions can be read from it")
            continue
        tail = tail_of(repository.objects.stream(blob), MAX_FILE_BYTES)
        if tail.bytes_before:
            problems.append(
                f"Of {display(path)} only the last {len(tail.data):,} bytes were read for decisions"
            )
        lines = without_secrets(tail.moved(read_lines(tail.data)), secrets.of(blob, path))
        most = repository.config.max_log_lines
        if most and role is Role.LOG:
            lines = iter(deque(lines, maxlen=most))
        yield DecisionFile(path, lines, blob, snapshot.id.hex(), is_note=role is Role.MEMORY)


class _Dates:
    """Dates decisions by the first version of their file that holds them; reads each version once."""

    def __init__(self, repository: Repository, until: Snapshot) -> None:
        self._repository = repository
        self._until = until
        self._versions: dict[bytes, list[tuple[int, Read]]] = {}
        self._contents: dict[BlobId, bytes] = {}

    def of(self, decision: Decision) -> Decision:
        """``decision`` with an inferred time, where one is found."""
        path = decision.evidence.path
        if path not in self._versions:
            self._versions[path] = list(self._of_path(path))
            self._contents.clear()
        return date_by_history(decision, self._versions[path])

    def _of_path(self, path: bytes) -> Iterator[tuple[int, Read]]:
        repository = self._repository
        events = repository.paths_index.history_of(path)[:MAX_VERSIONS]
        wanted = {event.sequence for event in events if event.sequence <= self._until.sequence}
        if not wanted:
            return
        oldest = min(wanted)
        stretch = takewhile(lambda one: one.sequence >= oldest, repository.snapshots())
        for one in [one for one in stretch if one.sequence in wanted][::-1]:
            blob = file_blob(find(repository.objects, one.root, path))
            if blob is None or is_purged(repository.objects, blob):
                continue
            if repository.objects.info(ObjectId(blob)).raw_bytes <= MAX_DATED_BYTES:
                yield one.time_ns, partial(self._content, blob)

    def _content(self, blob: BlobId) -> bytes:
        if blob not in self._contents:
            self._contents[blob] = content_left(self._repository.objects, blob)
        return self._contents[blob]
