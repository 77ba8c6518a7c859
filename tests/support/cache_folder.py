"""A store's cache folder in memory."""

from __future__ import annotations

from collections.abc import Iterable


class CacheFolder:
    """Files by name, read and written as the store's cache files are."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        self.files[name] = b"".join(pieces)
