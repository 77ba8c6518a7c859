"""Steps between snapshots counted before: in memory for all metrics, in a store's cache for all runs.

Owns the cache file ``drift``: rows of two shortened content ids and three counts. What
two trees differ in never changes, so a row is never out of date; the file may be
deleted, which costs the time of counting again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Protocol

from casreplay.codec.hashing import checksum
from casreplay.history.sweep import Root, Step, StepCounter, count_steps
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import Snapshot
from casreplay.store.base import ObjectReader

__all__ = ["Caches", "KnownSteps"]

NAME = "drift"
MAGIC = b"casreplay drift 1\n"
MAX_ROWS = 500_000
"""Beyond so many rows, only those of the present run are kept."""
WORTH_KEEPING = 256
"""New rows for which the file is written anew; fewer are counted again in a blink."""
_ID_BYTES = 16
_KEY_BYTES = 2 * _ID_BYTES
_ROW = struct.Struct(f"<{_KEY_BYTES}sIIi")
_CHECK_BYTES = 8


class Caches(Protocol):
    """Where rebuildable files are kept."""

    def read_cache(self, name: str) -> bytes | None:
        """The file's bytes, or ``None``."""

    def write_cache(self, name: str, pieces: Iterable[bytes]) -> None:
        """Replace the file; a failure is nobody's loss."""


class KnownSteps:
    """Steps by the content of both sides.

    Args:
        caches: where they outlive the process; ``None`` for nowhere.
    """

    def __init__(self, caches: Caches | None = None) -> None:
        self._caches = caches
        self._known: dict[bytes, Step] | None = None

    def prepare(self, objects: ObjectReader, line: Sequence[Snapshot], *, monitor: Monitor = SILENT) -> None:
        """Count every step along ``line``, from nothing to its first included.

        Cost: as ``count_steps`` for those that are not known.

        Raises:
            MissingObjectError: a tree is not in the store.
            CorruptError: a tree is damaged.
        """
        known = self._held()
        pairs = [(None, line[0]), *pairwise(line)] if line else []
        keys = [_key(before, after) for before, after in pairs]
        wanted = [i for i, key in enumerate(keys) if key not in known]
        roots = [(_root(pairs[i][0]), (pairs[i][1].root, pairs[i][1].tree)) for i in wanted]
        found = count_steps(objects, roots, monitor=monitor) if roots else []
        for i, step in zip(wanted, found, strict=True):
            known[keys[i]] = step
        if len(wanted) >= WORTH_KEEPING:
            self._save(keys)

    def get(self, objects: ObjectReader, before: Snapshot | None, after: Snapshot) -> Step:
        """One step, counted now when it is not known.

        Raises:
            MissingObjectError: a tree is not in the store.
            CorruptError: a tree is damaged.
        """
        known = self._held()
        key = _key(before, after)
        step = known.get(key)
        if step is None:
            step = known[key] = StepCounter(objects).step(_root(before), (after.root, after.tree))
        return step

    def find(self, before: Snapshot | None, after: Snapshot) -> Step | None:
        """One step if it is known."""
        return self._held().get(_key(before, after))

    def _held(self) -> dict[bytes, Step]:
        if self._known is None:
            data = self._caches.read_cache(NAME) if self._caches is not None else None
            self._known = _decode(data) if data is not None else {}
        return self._known

    def _save(self, used: Sequence[bytes]) -> None:
        if self._caches is None:
            return
        known = self._held()
        keys = known if len(known) <= MAX_ROWS else dict.fromkeys(used)
        try:
            rows = b"".join(_ROW.pack(key, *known[key]) for key in keys)
        except struct.error:
            return  # a count beyond four bytes: not worth a format of its own
        self._caches.write_cache(NAME, (MAGIC, rows, checksum(rows)))


def _root(snapshot: Snapshot | None) -> Root | None:
    return None if snapshot is None else (snapshot.root, snapshot.tree)


def _key(before: Snapshot | None, after: Snapshot) -> bytes:
    return (bytes(_ID_BYTES) if before is None else before.tree[:_ID_BYTES]) + after.tree[:_ID_BYTES]


def _decode(data: bytes) -> dict[bytes, Step]:
    """The rows of a cache file; none when it is not one or is damaged."""
    rows = data[len(MAGIC) : -_CHECK_BYTES]
    if not data.startswith(MAGIC) or len(rows) % _ROW.size or checksum(rows) != data[-_CHECK_BYTES:]:
        return {}
    return {key: Step(*counts) for key, *counts in _ROW.iter_unpack(rows)}
