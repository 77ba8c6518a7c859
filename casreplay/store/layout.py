"""The store folder: what lies where, making it, and recognising it.

``format`` is written last, so a folder that has one is complete. Any other first
line than the one of this version stops every reader before it changes anything.
"""

from __future__ import annotations

from casreplay.codec import log_records
from casreplay.errors import CorruptError, NoRepositoryError, UnknownFormatError, UsageError
from casreplay.store import index, locks, log, segments
from casreplay.store.files import Files, join, make_folders, replace

__all__ = ["CACHE", "FORMAT", "KEY", "check", "create", "is_store"]

FORMAT = "format"
KEY = "key"
CACHE = "cache"
_FIRST_LINE = b"casreplay store 1"
_WRITTEN = (KEY, log.NAME, FORMAT)
_FOLDERS = (segments.FOLDER, index.FOLDER, locks.LEASES, CACHE)
_OWN_NAMES = {*_WRITTEN, *(name + ".tmp" for name in _WRITTEN), *_FOLDERS, "lock"}


def is_store(files: Files, folder: str) -> bool:
    """Whether a store of any version lies in ``folder``."""
    return files.stamp(join(folder, FORMAT)) is not None


def create(files: Files, folder: str, *, wait_s: float = 10.0) -> None:
    """Lay out an empty store; completes one whose making was cut short.

    Of several who create it at once one succeeds and the others find a store already: they
    take turns by the lock of the log, which nobody keeps for long.

    Raises:
        UsageError: the folder holds something else, or a store already.
        LockedError: somebody has been creating it for longer than ``wait_s`` seconds.
    """
    _refuse_taken(files, folder)  # before anything is made in a folder of somebody else's
    make_folders(files, folder)
    files.make_folder(join(folder, locks.LEASES))
    with locks.Leases(files, folder, wait_s=wait_s).appending():
        _refuse_taken(files, folder)
        _lay_out(files, folder)


def _refuse_taken(files: Files, folder: str) -> None:
    strangers = set(files.names(folder)) - _OWN_NAMES
    if strangers or is_store(files, folder):
        what = "a store already" if is_store(files, folder) else "other files"
        raise UsageError(f"The folder {folder!r} holds {what}", hint="Choose an empty folder", folder=folder)


def _lay_out(files: Files, folder: str) -> None:
    for name in _FOLDERS:
        files.make_folder(join(folder, name))
    store_id = files.random_bytes(16)
    replace(files, join(folder, KEY), files.random_bytes(32))
    replace(files, join(folder, log.NAME), log_records.encode_header(store_id))
    replace(files, join(folder, FORMAT), _FIRST_LINE + b"\nid " + store_id.hex().encode() + b"\n")


def check(files: Files, folder: str) -> bytes:
    """The store id, when ``folder`` holds a store of this version.

    Raises:
        NoRepositoryError: no store there.
        UnknownFormatError: a store of another version.
        CorruptError: a damaged format file.
    """
    path = join(folder, FORMAT)
    if not is_store(files, folder):
        raise NoRepositoryError(f"No store in {folder!r}", hint="Type `casreplay init`", folder=folder)
    first, _, rest = files.read(path).partition(b"\n")
    if first != _FIRST_LINE:
        if first.startswith(b"casreplay store "):
            raise UnknownFormatError(
                f"The store in {folder!r} has format {first.decode('ascii', 'replace')!r}",
                hint="A newer casreplay wrote it; install that version. Nothing was changed",
                folder=folder,
            )
        raise CorruptError(f"The file {path!r} is damaged", file=path)
    line = rest.partition(b"\n")[0]
    try:
        store_id = bytes.fromhex(line.removeprefix(b"id ").decode("ascii"))
    except ValueError:
        store_id = b""
    if len(store_id) != 16:
        raise CorruptError(f"The file {path!r} is damaged", file=path)
    return store_id
