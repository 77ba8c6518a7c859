"""The public interface as a typed program uses it: checked by ``mypy --strict tests/typing``, never run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

from casreplay import (
    CasreplayError,
    Change,
    ChangeCounts,
    ChangeKind,
    CommitOptions,
    CommitResult,
    Config,
    Coverage,
    EntryKind,
    EntryState,
    Repository,
    Restored,
    RestoreOptions,
    Snapshot,
    TreeEntry,
    __version__,
)
from casreplay.model.problems import Problem

assert_type(__version__, str)


def opened(workspace: Path, store: Path) -> Repository:
    assert_type(Repository.init(workspace, store, force=True), Repository)
    assert_type(Repository.init(b"bytes", "text", clock=lambda: 0), Repository)
    with Repository.open(store, workspace, respect_gitignore=True, config=Config()) as repository:
        assert_type(repository, Repository)
    repository.close()
    return repository


def recorded(repository: Repository) -> Snapshot:
    options = CommitOptions(label="a", tags=("b",), session="c", full=True, extra={"why": "d"})
    result = repository.commit(options)
    assert_type(result, CommitResult)
    assert_type(repository.commit(), CommitResult)
    assert_type(result.recorded, bool)
    assert_type(result.changes, ChangeCounts)
    assert_type(result.changes.added + result.changes.total, int)
    assert_type(result.stored_bytes, int)
    assert_type(result.elapsed_ns, int)
    assert_type(result.coverage, Coverage)
    assert_type(result.coverage.is_complete, bool)
    return result.snapshot


def named(repository: Repository) -> Iterator[str]:
    assert_type(repository.head(), Snapshot | None)
    assert_type(repository.snapshot("@~3"), Snapshot)
    assert_type(repository.snapshots(limit=3, since_ns=0), Iterator[Snapshot])
    assert_type(repository.snapshots_of([b"a"], limit=1), Iterator[Snapshot])
    for snapshot in repository.snapshots():
        assert_type(snapshot.label, str)
        assert_type(snapshot.tags, tuple[str, ...])
        assert_type(snapshot.time_ns, int)
        assert_type(repository.parent(snapshot), Snapshot | None)
        yield snapshot.id.hex()


def looked_at(repository: Repository, snapshot: Snapshot) -> int:
    assert_type(repository.read(snapshot, b"a"), bytes)
    assert_type(repository.stream(snapshot, b"a"), Iterator[bytes])
    assert_type(repository.list_folder(snapshot), Iterator[tuple[bytes, TreeEntry]])
    assert_type(repository.walk(snapshot, b"a"), Iterator[tuple[bytes, TreeEntry]])
    entry = repository.entry(snapshot, b"a")
    assert_type(entry, TreeEntry | None)
    if entry is None or entry.kind is not EntryKind.FILE or entry.state is not EntryState.COMPLETE:
        return 0
    assert_type(entry.name, bytes)
    if entry.blob_id is not None:
        repository.objects.info(entry.blob_id)
    assert_type(repository.log.verify(), list[Problem])
    return entry.size_bytes


def asked(repository: Repository, before: Snapshot) -> tuple[str, ...]:
    found = repository.check(before)
    assert_type(found.to_dict()["findings"][0]["path"], Any)
    assert_type(repository.analyze(before, exit_code=1), dict[str, Any])
    assert_type(repository.timeline(before), list[dict[str, Any]])
    assert_type(repository.losses(before).losses[0].path, bytes)
    assert_type(repository.notes.label_of(before), str)
    return tuple(finding.rule for finding in found.findings)


def compared(repository: Repository, before: Snapshot | None) -> list[bytes]:
    assert_type(repository.diff(before, None, paths=[b"a"], renames=False), list[Change])
    assert_type(repository.status(), tuple[list[Change], Coverage])
    if before is not None:
        assert_type(repository.counts(before), ChangeCounts)
    gone = []
    for change in repository.diff(before, repository.head()):
        assert_type(change.before, TreeEntry | None)
        assert_type(change.old_path, bytes | None)
        if change.kind is ChangeKind.DELETED:
            gone.append(change.path)
    return gone


def brought_back(repository: Repository, snapshot: Snapshot) -> tuple[str, ...]:
    try:
        restored = repository.restore(snapshot, RestoreOptions(paths=(b"a",), dry_run=True), backup=False)
        repository.restore(snapshot, to="elsewhere")
    except CasreplayError as error:
        assert_type(error.hint, str)
        assert_type(error.exit_code, int)
        raise
    assert_type(restored, Restored)
    assert_type(restored.backup, Snapshot | None)
    return restored.undo
