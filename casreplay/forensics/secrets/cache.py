"""Results of scans, kept by content and rules, so that a pair of snapshots costs its new blobs only.

The file is a cache: one JSON line a blob, rebuilt from nothing at any time, never the only
copy of anything. Lines that cannot be read are dropped. It holds places and fingerprints,
no values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from casreplay.codec.hashing import blob_id
from casreplay.forensics.secrets.model import FileKind, SecretClass, SecretMatch
from casreplay.model.ids import BlobId

__all__ = ["FindingsCache", "NoCache", "StoredCache", "cache_key"]

CACHE_NAME = "secrets"
MAX_ENTRIES = 500_000
_KEY_BYTES = 16


def cache_key(blob: BlobId, rules: bytes, kind: FileKind) -> bytes:
    """Names the result of scanning a blob with a rule set as one kind of file."""
    return bytes(blob_id(blob + rules + kind.value.encode())[:_KEY_BYTES])


class FindingsCache(Protocol):
    """Keeps the matches of blobs."""

    def get(self, key: bytes) -> tuple[SecretMatch, ...] | None:
        """What was found, or ``None`` when the blob was not scanned with these rules."""

    def put(self, key: bytes, matches: Sequence[SecretMatch]) -> None:
        """Remember what was found."""


class NoCache:
    """Remembers within one run only."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[SecretMatch, ...]] = {}

    def get(self, key: bytes) -> tuple[SecretMatch, ...] | None:
        """See ``FindingsCache``."""
        return self._known.get(key)

    def put(self, key: bytes, matches: Sequence[SecretMatch]) -> None:
        """See ``FindingsCache``."""
        self._known[key] = tuple(matches)


class StoredCache(NoCache):
    """A cache in a file that ``read`` and ``write`` reach (the store's cache folder).

    ``save`` writes what was added; without it nothing is kept. Two processes that save at once
    lose one's additions, which costs a scan.
    """

    def __init__(
        self, read: Callable[[str], bytes | None], write: Callable[[str, Iterable[bytes]], None]
    ) -> None:
        super().__init__()
        self._write = write
        self._dirty = False
        for line in (read(CACHE_NAME) or b"").splitlines():
            entry = _entry(line)
            if entry is not None:
                self._known[entry[0]] = entry[1]

    def put(self, key: bytes, matches: Sequence[SecretMatch]) -> None:
        """See ``FindingsCache``."""
        super().put(key, matches)
        self._dirty = True

    def save(self) -> None:
        """Write the cache when something was added."""
        if self._dirty:
            self._write(CACHE_NAME, self._lines())
            self._dirty = False

    def _lines(self) -> Iterator[bytes]:
        keys = list(self._known)[-MAX_ENTRIES:]
        for key in keys:
            rows = [
                [m.rule, m.secret_class.value, m.offset, m.length, m.line, m.column, *_value_facts(m)]
                for m in self._known[key]
            ]
            yield json.dumps([key.hex(), rows], separators=(",", ":")).encode() + b"\n"


def _value_facts(match: SecretMatch) -> tuple[str, str, int]:
    return match.fingerprint, match.encoding, match.value_length


def _entry(line: bytes) -> tuple[bytes, tuple[SecretMatch, ...]] | None:
    try:
        key, rows = json.loads(line)
        matches = tuple(SecretMatch(row[0], SecretClass(row[1]), *row[2:]) for row in rows)
        return bytes.fromhex(key), matches
    except (ValueError, TypeError, IndexError):
        return None
