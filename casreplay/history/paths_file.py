"""The journal's file: read from its end, appended to, folded, cut behind its last whole frame.

Owns the durability of ``cache/paths``, of which there is none to speak of: nothing is
synced, and whatever is torn, damaged or from another store is cut off or removed, since
``history.paths_index`` writes it anew from the trees. Callers that write hold ``lock``.
"""

from __future__ import annotations

from casreplay.errors import StoreIOError
from casreplay.history import paths_journal as journal
from casreplay.store.files import FileLock, Files, join

__all__ = ["JournalFile"]

NAME = ("cache", "paths")
LOCK = ("leases", "paths")
HEADER = b"casreplay paths 1\n"
FOLD_BYTES = 128 << 10
"""Single records are folded into one compressed frame beyond this."""


class JournalFile:
    """The journal of one store.

    Args:
        files: the disk.
        folder: where the store lies.
        store_id: what the journal is bound to.
    """

    def __init__(self, files: Files, folder: str, store_id: bytes) -> None:
        self._files = files
        self._lock_path = join(folder, *LOCK)
        self._path = join(folder, *NAME)
        self._header = HEADER + store_id.hex().encode("ascii") + b"\n"

    def lock(self) -> FileLock | None:
        """The right to write, or ``None`` when somebody else has it or nobody may."""
        try:
            return self._files.try_lock(self._lock_path, exclusive=True)
        except StoreIOError:
            # A store on a read-only file system: what the journal lacks is worked out in memory.
            return None

    def remove(self) -> None:
        """Forget everything."""
        self._files.remove(self._path)

    def texts(self) -> tuple[list[bytes], bool]:
        """The text of every whole frame up to the first that is none, and whether that was the end."""
        if self._files.stamp(self._path) is None:
            return [], True
        data = self._files.read(self._path)
        if not data.startswith(self._header):
            return [], False
        found = list(journal.frames(data, len(self._header)))
        stop = found[-1][2] if found else len(self._header)
        return [text for text, _, _ in found], stop == len(data)

    def end(self) -> journal.End | None:
        """The newest record's end; a file that does not end as it should is repaired."""
        stamp = self._files.stamp(self._path)
        if stamp is None:
            return None
        handle = self._files.open(self._path)
        try:
            size = handle.size()
            header = handle.pread(len(self._header), 0)
            end = journal.decode_end(handle.pread(journal.END_BYTES, max(0, size - journal.END_BYTES)))
        finally:
            handle.close()
        if header != self._header:
            self._files.remove(self._path)
            return None
        if end is not None and len(header) <= end.plain_from <= size:
            return end
        return self.repair(cut=True)

    def repair(self, *, cut: bool) -> journal.End | None:
        """The end of the last whole frame; with ``cut`` what lies behind it goes."""
        if self._files.stamp(self._path) is None:
            return None
        data = self._files.read(self._path)
        if not data.startswith(self._header):
            if cut:
                self.remove()
            return None
        stop, last = len(self._header), None
        for _, end, behind in journal.frames(data, stop):
            stop, last = behind, end
        if cut and stop < len(data):
            self._files.truncate(self._path, stop)
        return last

    def write(self, texts: list[bytes], snapshot: bytes, sequence: int) -> None:
        """Add a record in one or more frames; folds single records when they have become many."""
        end = self.end()
        is_new = self._files.stamp(self._path) is None
        handle = self._files.append(self._path, create=is_new)
        try:
            if is_new:
                handle.write(self._header)
            plain_from = end.plain_from if end else len(self._header)
            for text in texts:
                handle.write(journal.encode_frame(text, journal.End(snapshot, sequence, plain_from)))
            size = handle.size
        finally:
            handle.close()
        if size - plain_from > FOLD_BYTES:
            self._fold(plain_from)

    def _fold(self, plain_from: int) -> None:
        """Replace the single records at the end by one compressed frame. What a crash loses is found out."""
        data = self._files.read(self._path)
        found = list(journal.frames(data, plain_from))
        packed = journal.encode_frame(
            b"".join(text for text, _, _ in found), found[-1][1], folded_at=plain_from
        )
        self._files.truncate(self._path, plain_from)
        handle = self._files.append(self._path)
        try:
            handle.write(packed)
        finally:
            handle.close()
