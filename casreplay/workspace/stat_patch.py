"""A patch to the stat cache: the folders that differ from the cache's file, as a small file beside it.

A commit that changed a few folders of many would otherwise write megabytes of what the
file says already. A patch holds every folder that differs from the file it names, so each
replaces the one before; when there are many, or folders came or went, the file is written
anew and no patch fits it any more.

Layout: ``MAGIC``, the ``key`` of the cache it belongs to, and a cache of its own
(``stat_cache``) of the folders that differ, the root among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from casreplay.workspace.stat_cache import CacheHeader, FolderRecord, StatCache, encode

__all__ = ["apply_patch", "encode_patch", "is_worth_a_patch"]

MAGIC = b"crQ1"
MIN_FOLDERS = 1_000
"""A cache of fewer folders is written anew as fast."""
LARGEST_SHARE = 24
"""A patch holds at most one folder in so many: beyond, reading and writing it costs as much as the file."""
_KEY_BYTES = 32


def is_worth_a_patch(cache: StatCache, changed: AbstractSet[int]) -> bool:
    """Whether the folders at the positions ``changed``, with those patched already, are few of many."""
    return len(cache) >= MIN_FOLDERS and len(cache.patched.keys() | changed) * LARGEST_SHARE <= len(cache)


def encode_patch(cache: StatCache, header: CacheHeader, records: Mapping[bytes, FolderRecord]) -> list[bytes]:
    """The pieces of a patch that makes the file behind ``cache`` say what that says, with ``records`` in it.

    Args:
        cache: as opened, earlier patches applied.
        header: what the result is valid for.
        records: by path, folders the cache knows.
    """
    patched = {cache.paths[i]: cache.record(i) for i in (0, *cache.patched)}
    whole = {**patched, **records}
    return [MAGIC, cache.key, *encode(header, [(path, whole[path]) for path in sorted(whole)], None)]


def apply_patch(cache: StatCache, data: bytes) -> None:
    """Make ``cache`` say what the patch in ``data`` says.

    Raises:
        ValueError: it is no whole patch, or belongs to another cache; nothing was changed.
    """
    start = len(MAGIC) + _KEY_BYTES
    if data[: len(MAGIC)] != MAGIC or data[len(MAGIC) : start] != cache.key:
        raise ValueError("Not a patch of this stat cache")
    patch = StatCache(data[start:])
    positions = [cache.positions.get(path, -1) for path in patch.paths]
    if -1 in positions:
        raise ValueError("A patch names folders that its stat cache does not know")
    for j, i in enumerate(positions):
        cache.replace(i, patch.record(j))
    cache.header = patch.header
