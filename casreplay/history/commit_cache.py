"""What a commit leaves for the next one: the stat cache of a workspace in its store, read and written.

Owns when a cache is believed, and how much of it is written: nothing when it says all
already, a patch beside it where few folders changed, else the whole file. Its bytes are
``workspace.stat_cache``'s and ``workspace.stat_patch``'s. Everything here may be lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from operator import itemgetter

from casreplay.codec import hashing
from casreplay.history.scan import Scan
from casreplay.history.treebuild import Built
from casreplay.model.objects import Snapshot
from casreplay.store.base import CommitStore
from casreplay.workspace.ignore import IgnoreRules
from casreplay.workspace.stat_cache import CacheHeader, FolderRecord, Part, StatCache, encode
from casreplay.workspace.stat_patch import apply_patch, encode_patch, is_worth_a_patch

__all__ = ["CommitCache", "replaced_by"]

CACHE_NAME = "stat"
PATCH_NAME = "stat-patch"


class CommitCache:
    """The stat cache of one workspace in one store.

    Args:
        store: where the cache's files lie.
        root: the workspace, an absolute path.
        rules: what is left out; a cache made under others is read, and not believed in all.

    Attributes:
        short: segments of the store that have lost something, with the length they have. A cache
            made when there were others is not believed: it takes contents for stored.
    """

    def __init__(self, store: CommitStore, root: bytes, rules: IgnoreRules) -> None:
        self._store = store
        self._root = root
        self._rules = rules
        self.short: Mapping[int, int] = {}

    def _binding(self) -> bytes:
        short = repr(sorted(self.short.items())).encode() if self.short else b""
        return hashing.blob_id(self._store.id + b"\0" + self._root + (b"\0" + short if short else b""))

    def load(self, head: Snapshot | None) -> StatCache | None:
        """The cache that was left when ``head`` was the newest snapshot; ``None`` when there is none."""
        data = self._store.read_cache(CACHE_NAME) if head is not None else None
        if head is None or data is None:
            return None
        try:
            cache = StatCache(data)
        except ValueError:
            return None
        with suppress(ValueError):  # one that does not fit is left from before the file was written
            apply_patch(cache, self._store.read_cache(PATCH_NAME) or b"")
        is_usable = cache.header.root == head.root and cache.header.binding == self._binding()
        return cache if is_usable else None

    def has_rules_of(self, cache: StatCache | None) -> bool:
        """Whether ``cache`` was made under the rules of now."""
        return cache is not None and cache.header.rules == self._rules.fingerprint()

    def save(self, found: Scan, built: Built, *, root: bytes, start_ns: int, recorded: bool) -> None:
        """Write what was seen for the next commit.

        When nothing was recorded, folders that differ in times only keep their old record: their
        new trees were not stored, and nothing may point at them.

        Args:
            found: what differed from the cache, and the cache.
            built: the trees of now.
            root: the root of the snapshot that the cache is to stand beside.
            start_ns: when the scan began.
            recorded: whether that snapshot holds what was seen.
        """
        header = CacheHeader(root, self._rules.fingerprint(), self._binding(), start_ns)
        cache, records = found.cache, built.records
        if not recorded and cache is None and built.root != root:
            return
        if not recorded and cache is not None:
            known = {
                path: cache.tree_id(cache.positions[path]) for path in records if path in cache.positions
            }
            records = {path: one for path, one in records.items() if known.get(path) == one.tree_id}
        replaced = replaced_by(found, records) if recorded else _positions(cache, records)
        if cache is not None and not found.settled and _says_all(cache, header, replaced, records):
            return
        patch = _patch(found, header, records)
        if patch is not None:
            self._store.write_cache(PATCH_NAME, patch)
            return
        self._store.write_cache(CACHE_NAME, encode(header, _parts(cache, replaced, records), cache))
        if cache is not None and cache.patched:
            self._store.write_cache(PATCH_NAME, [])


def replaced_by(found: Scan, records: Mapping[bytes, FolderRecord]) -> set[int]:
    """Positions in the cache of folders that are gone or were built again."""
    return set(found.removed) | _positions(found.cache, records)


def _positions(cache: StatCache | None, records: Mapping[bytes, FolderRecord]) -> set[int]:
    if cache is None or not records:
        return set()
    return {cache.positions[path] for path in records if path in cache.positions}


def _says_all(
    cache: StatCache, header: CacheHeader, replaced: set[int], records: Mapping[bytes, FolderRecord]
) -> bool:
    """Whether a cache as it is says already what one under ``header`` with ``records`` in it would.

    When the scan began may differ: racy rows were blanked by it, and nothing else asks for it.
    """
    same = (header.root, header.rules, header.binding)
    return (
        (cache.header.root, cache.header.rules, cache.header.binding) == same
        and len(replaced) == len(records)
        and all(records.get(cache.paths[i]) == cache.record(i) for i in replaced)
    )


def _patch(found: Scan, header: CacheHeader, records: Mapping[bytes, FolderRecord]) -> list[bytes] | None:
    """A patch to the cache's file that says what was seen, where one can and is small; else ``None``."""
    cache = found.cache
    if cache is None or found.removed or cache.header.rules != header.rules:
        return None
    changed = _positions(cache, records)
    if len(changed) < len(records) or not is_worth_a_patch(cache, changed | found.settled):
        return None
    settled = {cache.paths[i]: cache.record(i) for i in found.settled}
    return encode_patch(cache, header, {**settled, **records})


def _parts(
    cache: StatCache | None, replaced: set[int], records: Mapping[bytes, FolderRecord]
) -> Iterator[Part]:
    """The next cache: untouched folders in their old order, changed ones in place, new ones last.

    The root stays first: a new cache is sorted by path.
    """
    left = dict(records)
    start = 0
    if cache is not None:
        for i in sorted(replaced):
            if start < i:
                yield range(start, i)
            start = i + 1
            path = cache.paths[i]
            if path in left:
                yield path, left.pop(path)
        if start < len(cache):
            yield range(start, len(cache))
    yield from sorted(left.items(), key=itemgetter(0))
