"""Secrets of stored blobs: one scan a blob and rule set, whatever paths and snapshots hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from casreplay.errors import MissingObjectError
from casreplay.forensics.secrets.cache import FindingsCache, cache_key
from casreplay.forensics.secrets.kinds import kind_of
from casreplay.forensics.secrets.model import SecretMatch
from casreplay.forensics.secrets.scanner import SecretScanner
from casreplay.model.ids import BlobId

__all__ = ["BlobSecrets"]


class BlobSecrets:
    """Scans blobs through a cache.

    Attributes:
        scanned: blobs and bytes that were read, as opposed to remembered.
        remembered: blobs answered from the cache.
    """

    def __init__(
        self, scanner: SecretScanner, cache: FindingsCache, stream: Callable[[BlobId], Iterator[bytes]]
    ) -> None:
        self.scanner = scanner
        self._cache = cache
        self._stream = stream
        self.scanned = 0
        self.remembered = 0

    def of(self, blob: BlobId, path: bytes) -> tuple[SecretMatch, ...]:
        """The secrets of ``blob``, read as the kind of file ``path`` names, in order of offset.

        None where it was purged and nothing is remembered: there is nothing left to find.
        """
        key = cache_key(blob, self.scanner.digest, kind_of(path))
        known = self._cache.get(key)
        if known is not None:
            self.remembered += 1
            return known
        try:
            matches = tuple(self.scanner.scan(self._stream(blob), path))
        except MissingObjectError as error:
            if not error.is_purged:
                raise
            return ()
        self.scanned += 1
        self._cache.put(key, matches)
        return matches

    def new_since(self, before: BlobId | None, after: BlobId, path: bytes) -> tuple[SecretMatch, ...]:
        """The secrets of ``after`` whose rule and value ``before`` did not hold."""
        found = self.of(after, path)
        if before is None or not found:
            return found
        known = {(match.rule, match.fingerprint) for match in self.of(before, path)}
        return tuple(match for match in found if (match.rule, match.fingerprint) not in known)
