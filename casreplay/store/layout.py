"""The store folder: what lies where, making it, and recognising it.

``format`` is written last, so a folder that has one is complete. Any other first
line than the one of this version stops every reader before it changes anything.
"""

from __future__ import annotations

from casreplay.codec import log_records
from casreplay.errors import CorruptError, NoRepositoryError, StoreIOError, UnknownFormatError, UsageError
from casreplay.store import index, locks, log, segments
from casreplay.store.files import Files, join, make_folders, replace

__all__ = ["CACHE", "FORMAT", "KEY", "KEY_BYTES", "check", "check_log", "create", "is_store"]

FORMAT = "format"
KEY = "key"
KEY_BYTES = 32
CACHE = "cache"
_USE_A_COPY = "Copy the store's folder before doing anything else; use an older copy if there is one"
"""What remains where nothing in the store can make up for a loss."""
_ANY_VERSION = b"casreplay store "
_FIRST_LINE = _ANY_VERSION + b"1"
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
        CorruptError: it holds a store whose format file is lost: its history must not be overwritten.
        LockedError: somebody has been creating it for longer than ``wait_s`` seconds.
    """
    _refuse_taken(files, folder)  # before anything is made in a folder of somebody else's
    make_folders(files, folder)
    files.make_folder(join(folder, locks.LEASES))
    with locks.Leases(files, folder, wait_s=wait_s).appending():
        _refuse_taken(files, folder)
        _lay_out(files, folder)


def _refuse_taken(files: Files, folder: str) -> None:
    has_history = _has_history(files, folder)  # asked first: who makes one just now writes the format first
    if has_history and not is_store(files, folder):
        raise CorruptError(
            f"The store in {folder!r} has lost its file {FORMAT!r}",
            hint=_format_hint(files, folder),
            file=join(folder, FORMAT),
        )
    strangers = set(files.names(folder)) - _OWN_NAMES
    if strangers or is_store(files, folder):
        what = "a store already" if is_store(files, folder) else "other files"
        raise UsageError(f"The folder {folder!r} holds {what}", hint="Choose an empty folder", folder=folder)


def _has_history(files: Files, folder: str) -> bool:
    """Whether something was recorded here; of a store that is only half made nothing was."""
    stamp = files.stamp(join(folder, log.NAME))
    has_log = stamp is not None and stamp[1] > log_records.HEADER_BYTES
    return has_log or any(name.endswith(".seg") for name in files.names(join(folder, segments.FOLDER)))


def _format_hint(files: Files, folder: str) -> str:
    """What to do about a damaged or lost format file: the log knows the store's id too."""
    try:
        handle = files.open(join(folder, log.NAME))
        try:
            store_id = log_records.store_id_of(handle.pread(log_records.HEADER_BYTES, 0))
        finally:
            handle.close()
    except (CorruptError, StoreIOError):
        return _USE_A_COPY
    return f"If only that file is damaged, write these two lines into it: {_lines(store_id)}"


def check_log(files: Files, folder: str, store_id: bytes) -> None:
    """Make sure that the log is there and belongs to the store.

    The hints do not name ``fsck``: it has to open the store, too.

    Raises:
        CorruptError: it does not, or its first bytes are damaged.
    """
    path = join(folder, log.NAME)
    if files.stamp(path) is None:
        raise CorruptError("The store has no log", hint=_USE_A_COPY, file=path)
    handle = files.open(path)
    try:
        head = handle.pread(log_records.HEADER_BYTES + len(log_records.RECORD_MAGIC), 0)
    finally:
        handle.close()
    try:
        found = log_records.store_id_of(head)
    except CorruptError as error:
        is_rest_whole = head[log_records.HEADER_BYTES :] == log_records.RECORD_MAGIC
        hint = _log_hint(path, store_id) if is_rest_whole else _USE_A_COPY
        raise CorruptError(error.message, hint=hint, file=path) from error
    if found != store_id:
        raise CorruptError(
            "The log belongs to another store, or the file format is damaged",
            hint=f"Put the log back that belongs here. {_format_hint(files, folder)}",
            file=path,
        )


def _log_hint(path: str, store_id: bytes) -> str:
    """A command that writes the log's header anew: it holds nothing that ``format`` does not know."""
    from shlex import quote  # noqa: PLC0415 - only here

    header = "".join(f"\\{byte:03o}" for byte in log_records.encode_header(store_id))
    return (
        f"Copy the store's folder. If only the first bytes of the log are damaged, write them anew: "
        f"printf '{header}' | dd conv=notrunc of={quote(path)}"
    )


def _lines(store_id: bytes) -> str:
    return f'"{_FIRST_LINE.decode()}" and "id {store_id.hex()}"'


def _lay_out(files: Files, folder: str) -> None:
    for name in _FOLDERS:
        files.make_folder(join(folder, name))
    store_id = files.random_bytes(16)
    replace(files, join(folder, KEY), files.random_bytes(KEY_BYTES))
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
        if first.startswith(_ANY_VERSION) and first[len(_ANY_VERSION) :].isdigit():
            raise UnknownFormatError(
                f"The store in {folder!r} has format {first.decode('ascii', 'replace')!r}",
                hint="A newer casreplay wrote it; install that version. Nothing was changed",
                folder=folder,
            )
        raise CorruptError(f"The file {path!r} is damaged", hint=_format_hint(files, folder), file=path)
    line = rest.partition(b"\n")[0]
    try:
        store_id = bytes.fromhex(line.removeprefix(b"id ").decode("ascii"))
    except ValueError:
        store_id = b""
    if len(store_id) != 16:
        raise CorruptError(f"The file {path!r} is damaged", hint=_format_hint(files, folder), file=path)
    return store_id
