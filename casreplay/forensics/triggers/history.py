"""Triggers and secrets over a repository: opens what they need and puts it together.

Floors above call these; everything they decide is decided in the pure modules below them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from casreplay.forensics.globs import PathMatcher
from casreplay.forensics.purged import is_purged, without_purged
from casreplay.forensics.secrets.blobs import BlobSecrets
from casreplay.forensics.secrets.cache import StoredCache
from casreplay.forensics.secrets.custom import CustomRules
from casreplay.forensics.secrets.model import SecretMatch
from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter
from casreplay.forensics.triggers.check import CheckResult, check
from casreplay.forensics.triggers.log_cache import LogCache
from casreplay.forensics.triggers.pair import BlobReader, Pair, file_blob
from casreplay.history.diff import diff_trees
from casreplay.history.renames import detect_renames
from casreplay.history.repository import Repository
from casreplay.history.walk import walk
from casreplay.model.ids import BlobId, TreeId
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import Coverage, Snapshot
from casreplay.model.paths import to_json
from casreplay.store.base import ObjectReader

__all__ = ["SecretPlace", "blob_secrets", "check_snapshots", "secrets_between", "secrets_in"]


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """A secret at a path of a snapshot."""

    path: bytes
    blob: BlobId
    match: SecretMatch

    def to_dict(self) -> dict[str, object]:
        """JSON: ``rule, class, path, line, column, length, fingerprint``."""
        return {
            "rule": self.match.rule,
            "class": self.match.secret_class.value,
            **to_json(self.path),
            "line": self.match.line,
            "column": self.match.column,
            "length": self.match.value_length,
            "fingerprint": self.match.fingerprint,
        }


@contextmanager
def blob_secrets(
    repository: Repository, *, objects: BlobReader | None = None, engine: str | None = None
) -> Iterator[BlobSecrets]:
    """The repository's secret scanner: its configuration, its key, its cache, saved at the end.

    Args:
        repository: the store with key, cache and configuration.
        objects: where blobs are read; the store when left out.
        engine: overrides ``SECRETS_ENGINE``.

    Raises:
        UsageError: unknown engine.
        MissingExtraError: the engine's library is not installed.
    """
    config = repository.config
    custom = CustomRules(config.secrets_rules, config.secrets_allow)
    scanner = SecretScanner(
        fingerprinter(repository.store.key()), engine=engine or config.secrets_engine, custom=custom
    )
    cache = StoredCache(repository.store.read_cache, repository.store.write_cache)
    reader = objects if objects is not None else repository.objects
    yield BlobSecrets(scanner, cache, reader.stream)
    cache.save()


def check_snapshots(
    repository: Repository,
    before: Snapshot | None,
    after: Snapshot | None,
    *,
    engine: str | None = None,
    monitor: Monitor = SILENT,
) -> CheckResult:
    """Run all triggers from ``before`` (``None``: nothing) to ``after`` (``None``: the folder now).

    The coverage gains ``before`` and ``after``: what those states themselves did not capture.
    """
    with _later(repository, after, monitor) as (objects, root, coverage):
        changes = list(diff_trees(objects, before.root if before else None, root))
        pair = Pair(
            without_purged(detect_renames(changes, objects.get).changes, objects),
            objects,
            before.id.hex() if before else None,
            after.id.hex() if after else None,
            _ignored(repository),
        )
        logs = LogCache(repository.store.read_cache, repository.store.write_cache)
        with blob_secrets(repository, objects=objects, engine=engine) as secrets:
            result = check(pair, repository.config, secrets, logs=logs, monitor=monitor)
        logs.save()
    covered = {
        **result.coverage,
        "before": before.coverage.to_dict() if before else None,
        "after": coverage.to_dict(),
    }
    return CheckResult(result.findings, result.ignored, covered, result.failed)


@contextmanager
def _later(
    repository: Repository, after: Snapshot | None, monitor: Monitor
) -> Iterator[tuple[ObjectReader, TreeId, Coverage]]:
    """Reader, root and coverage of the later state."""
    if after is not None:
        yield repository.objects, after.root, after.coverage
        return
    with repository.now(monitor) as now:
        yield now


def _ignored(repository: Repository) -> Callable[[bytes], bool]:
    rules = repository.rules
    return lambda path: rules.ignores(path, is_folder=False)


def _places(
    repository: Repository, path: bytes, blob: BlobId, matches: Sequence[SecretMatch]
) -> list[SecretPlace]:
    """Where ``matches`` are; nowhere when the content was purged and only remembered."""
    if matches and is_purged(repository.objects, blob):
        return []
    return [SecretPlace(path, blob, match) for match in matches]


def secrets_in(
    repository: Repository, snapshot: Snapshot, *, engine: str | None = None, monitor: Monitor = SILENT
) -> list[SecretPlace]:
    """Every secret of every file of ``snapshot``, by path and offset. Known blobs are not read again."""
    excluded = PathMatcher(repository.config.secrets_exclude)
    found: list[SecretPlace] = []
    monitor.stage("scanning", snapshot.coverage.files, "files")
    with blob_secrets(repository, engine=engine) as secrets:
        for done, (path, entry) in enumerate(walk(repository.objects, snapshot.root), 1):
            blob = file_blob(entry)
            if blob is not None and not excluded.matches(path):
                found += _places(repository, path, blob, secrets.of(blob, path))
            monitor.advance(done)
    return found


def secrets_between(
    repository: Repository, before: Snapshot, after: Snapshot, *, engine: str | None = None
) -> list[SecretPlace]:
    """Secrets that came into files from ``before`` to ``after``, by path and offset."""
    excluded = PathMatcher(repository.config.secrets_exclude)
    found: list[SecretPlace] = []
    with blob_secrets(repository, engine=engine) as secrets:
        for change in repository.diff(before, after):
            blob, old = file_blob(change.after), file_blob(change.before)
            if blob is not None and blob != old and not excluded.matches(change.path):
                found += _places(repository, change.path, blob, secrets.new_since(old, blob, change.path))
    return found
