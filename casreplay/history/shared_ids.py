"""A table of ids in memory that forked workers share, so that a file found twice is stored once.

Lock-free on purpose. A slot goes from zeros to one id and never changes again; two
workers that race for a slot lose one of the ids, whose content is then stored twice:
a little space, never an error. A half-written slot equals no id. Only ids claimed in
this very commit are in it: if a worker fails, the whole commit fails with it.
"""

from __future__ import annotations

import mmap

__all__ = ["SharedIds"]

_SLOT = 32
_EMPTY = bytes(_SLOT)
_HEADER = 64
MAX_WORKERS = 8


class SharedIds:
    """An open-addressing hash table of 32-byte ids over anonymous shared memory, and a counter a worker.

    Args:
        expected: how many ids at most; memory is 64 to 128 bytes each, touched as it fills.
    """

    def __init__(self, expected: int) -> None:
        self._slots = 1 << max(10, (2 * expected).bit_length())
        self._memory = mmap.mmap(-1, _HEADER + _SLOT * self._slots)

    def claim(self, any_id: bytes) -> bool:
        """Whether the caller is the first to ask for ``any_id`` and so has to store it."""
        mask = self._slots - 1
        slot = int.from_bytes(any_id[:8], "little") & mask
        memory = self._memory
        for _ in range(self._slots):
            at = _HEADER + _SLOT * slot
            found = memory[at : at + _SLOT]
            if found == any_id:
                return False
            if found == _EMPTY:
                memory[at : at + _SLOT] = any_id
                return True
            slot = (slot + 1) & mask
        return True  # full: store it, perhaps twice

    def report(self, worker: int, done: int) -> None:
        """Publish how much worker number ``worker`` has finished."""
        at = 8 * (worker % MAX_WORKERS)
        self._memory[at : at + 8] = done.to_bytes(8, "little")

    def total_done(self) -> int:
        """The sum of what all workers reported."""
        header = self._memory[:_HEADER]
        return sum(int.from_bytes(header[at : at + 8], "little") for at in range(0, _HEADER, 8))
