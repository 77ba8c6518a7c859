"""What happened to a data file between two states: damage, a changed shape, or only other values.

Pure: both contents in, one symptom out. Looks at most at ``MAX_BYTES`` of each side, so it
costs milliseconds a file. Formats it knows: JSON, JSON lines, CSV and its kin, gzip, zip,
SQLite, common magic numbers, text.
"""

from __future__ import annotations

import csv
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["MAX_BYTES", "Symptom", "config_problem", "symptom_of"]

MAX_BYTES = 2 << 20
MAX_ROWS = 5000

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"SQLite format 3\0", "SQLite"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"%PDF-", "PDF"),
    (b"GIF8", "GIF"),
    (b"PAR1", "Parquet"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x7fELF", "ELF"),
    (b"RIFF", "RIFF"),
    (b"OggS", "Ogg"),
    (b"\x89HDF", "HDF5"),
    (b"\x93NUMPY", "NumPy"),
)
_TABLES = re.compile(rb"(?i)CREATE TABLE [^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xff]{1,2000}?\)")
_NUMBER = re.compile(r"\s*[-+]?(?:\d+(?:[.,]\d+)*|\.\d+)(?:[eE][-+]?\d+)?\s*%?\s*")


@dataclass(frozen=True, slots=True)
class Symptom:
    """What is wrong with, or new in, a file.

    Attributes:
        kind: ``damaged`` (it is not what it was meant to be), ``shape`` (it is sound and built differently:
            columns, keys, types) or ``values`` (sound, same shape, other content).
        code: ``emptied truncated nul_bytes encoding magic archive unparsable bad_values`` for damage,
            ``columns keys types format`` for shape, ``few_bytes rows state appended shrank values``
            (a document or database that programs rewrite is ``state``) for values.
        detail: for people, no full stop.
    """

    kind: str
    code: str
    detail: str


def symptom_of(before: bytes | None, after: bytes) -> Symptom | None:
    """The most telling difference, or ``None`` when both sides are equal.

    Args:
        before: earlier content (its first ``MAX_BYTES``); ``None`` for a file that was added.
        after: later content (its first ``MAX_BYTES``).
    """
    if before is None or before == after:
        return None
    for rule in (_emptied, _bytes_damaged, _magic_damaged, _structure):
        symptom = rule(before, after)
        if symptom is not None:
            return symptom
    return _plain(before, after)


def _emptied(before: bytes, after: bytes) -> Symptom | None:
    if before.strip() and not after.strip(b"\0 \r\n\t"):
        return Symptom("damaged", "emptied", f"{len(before)} bytes became {'NULs' if after else 'nothing'}")
    return None


def _bytes_damaged(before: bytes, after: bytes) -> Symptom | None:
    if _binary(before):
        return None
    if b"\0" in after and b"\0" not in before:
        return Symptom("damaged", "nul_bytes", "text now holds NUL bytes")
    if _decodes(before) and not _decodes(after):
        return Symptom("damaged", "encoding", "text is no longer valid UTF-8")
    if before.count("\ufffd".encode()) < after.count("\ufffd".encode()):
        return Symptom("damaged", "encoding", "text now holds replacement characters")
    return None


def _magic_damaged(before: bytes, after: bytes) -> Symptom | None:
    for magic, name in _MAGIC:
        if not before.startswith(magic):
            continue
        if not after.startswith(magic):
            return Symptom("damaged", "magic", f"no longer starts like {name}")
        if len(after) < len(before) and before.startswith(after):
            return Symptom("damaged", "truncated", f"lost the last {len(before) - len(after)} bytes")
        if name == "gzip" and len(after) < MAX_BYTES and _gunzips(before) and not _gunzips(after):
            return Symptom("damaged", "archive", "gzip stream no longer decompresses")
        if name == "zip" and b"PK\x05\x06" in before and b"PK\x05\x06" not in after[-70000:]:
            return Symptom("damaged", "archive", "zip directory is gone")
        if name == "SQLite" and _torn_sqlite(after):
            return Symptom("damaged", "truncated", "database has fewer pages than its header says")
    return None


def _structure(before: bytes, after: bytes) -> Symptom | None:
    if max(len(before), len(after)) >= MAX_BYTES:
        return None  # only a part was read: whether the whole parses is unknown
    if before.startswith(b"SQLite format 3\0"):
        return _cut(before, after) or _database(before, after)
    if _binary(before):
        return _cut(before, after)
    for reader in (_json, _json_lines, _table):
        old = reader(before)
        if old is None:
            continue
        new = reader(after)
        if new is None:
            return _cut(before, after) or Symptom(
                "damaged", "unparsable", f"no longer parses as {_WORDS[reader]}"
            )
        symptom = _compare_tables(old, new) if reader is _table else _compare_json(old, new)
        return symptom or _cut(before, after) or _sound(reader is _json, before, after)
    return _cut(before, after)


def _sound(is_document: bool, before: bytes, after: bytes) -> Symptom:
    """A structured file that is whole and shaped as before."""
    if after.startswith(before):
        return Symptom("values", "appended", f"{len(after) - len(before)} bytes appended")
    code = "state" if is_document else "rows"
    return Symptom("values", code, f"{len(before)} bytes became {len(after)}, same shape")


def _database(before: bytes, after: bytes) -> Symptom:
    """What differs between two SQLite files that are whole: table definitions, or rows."""
    old, new = set(_TABLES.findall(before)), set(_TABLES.findall(after))
    if old - new:
        name = min(old - new).decode("utf-8", "replace")[:80]
        return Symptom("shape", "columns", f"table definition gone: {' '.join(name.split())}")
    return Symptom("values", "state", f"{len(before)} bytes became {len(after)}, same tables")


def _cut(before: bytes, after: bytes) -> Symptom | None:
    if len(after) < len(before) and before.startswith(after):
        return Symptom(
            "damaged", "truncated", f"lost the last {len(before) - len(after)} of {len(before)} bytes"
        )
    return None


def _plain(before: bytes, after: bytes) -> Symptom:
    if len(before) == len(after) and len(before) > 16:
        different = sum(a != b for a, b in zip(before, after, strict=True))
        if different <= max(8, len(before) // 100):
            return Symptom(
                "damaged" if _binary(before) else "values",
                "few_bytes",
                f"{different} bytes differ, size is the same",
            )
    if len(after) < len(before) * 0.6:
        return Symptom("values", "shrank", f"{len(before)} bytes became {len(after)}")
    return Symptom("values", "values", f"{len(before)} bytes became {len(after)}, same shape")


def _binary(data: bytes) -> bool:
    head = data[:8192]
    return b"\0" in head or (not _decodes(head) and sum(c < 9 or 13 < c < 32 for c in head) > len(head) / 50)


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start > len(data) - 4 and "unexpected end" in error.reason
    return True


def _gunzips(data: bytes) -> bool:
    stream = zlib.decompressobj(31)
    try:
        stream.decompress(data, 16 * MAX_BYTES)
    except zlib.error:
        return False
    return stream.eof


def _torn_sqlite(data: bytes) -> bool:
    if len(data) < 100 or len(data) >= MAX_BYTES:
        return len(data) < 100
    page = int.from_bytes(data[16:18], "big")
    page = 65536 if page == 1 else page
    pages = int.from_bytes(data[28:32], "big")
    return page < 512 or len(data) < page * pages


def _json(data: bytes) -> Any | None:
    if len(data) >= MAX_BYTES or data.lstrip()[:1] not in {b"{", b"["}:
        return None
    try:
        return [json.loads(data)]
    except (ValueError, RecursionError):
        return None


def _json_lines(data: bytes) -> list[Any] | None:
    rows = [row for row in data.split(b"\n")[:MAX_ROWS] if row.strip()]
    if len(rows) < 2 or rows[0][:1] not in {b"{", b"["}:
        return None
    try:
        return [json.loads(row) for row in rows]
    except (ValueError, RecursionError):
        return None


def _table(data: bytes) -> list[list[str]] | None:
    """The rows of a delimited table whose rows all have as many cells as its first; ``None`` otherwise."""
    text = data.decode("utf-8", "replace")
    lines = text.splitlines()
    if len(lines) < 2:
        return None
    delimiter = max(",\t;|", key=lines[0].count)
    if lines[0].count(delimiter) < 1:
        return None
    try:
        rows = [row for row in csv.reader(lines[:MAX_ROWS], delimiter=delimiter) if row]
    except csv.Error:
        return None
    return rows if all(len(row) == len(rows[0]) for row in rows) else None


_WORDS: dict[Callable[[bytes], Any], str] = {_json: "JSON", _json_lines: "JSON lines", _table: "a table"}


def _shape(value: Any, prefix: str, into: dict[str, str], depth: int = 0) -> None:
    """Types by key path; items of a list share one path."""
    if depth > 8 or len(into) > 2000:
        return
    if isinstance(value, dict):
        for key, item in list(value.items())[:500]:
            _shape(item, f"{prefix}.{key}", into, depth + 1)
    elif isinstance(value, list):
        for item in value[:200]:
            _shape(item, f"{prefix}[]", into, depth + 1)
    kind = type(value).__name__ if not isinstance(value, int) or isinstance(value, bool) else "float"
    known = into.get(prefix)
    into[prefix] = kind if known in {None, kind} else "mixed"


def _compare_json(before: list[Any], after: list[Any]) -> Symptom | None:
    old: dict[str, str] = {}
    new: dict[str, str] = {}
    for value in before:
        _shape(value, "", old)
    for value in after:
        _shape(value, "", new)
    # Documents keyed by names of things (users, dates) change keys without changing shape: same counts of
    # other names in one object are a rename only when there are few of them.
    gone = [key for key in old if key not in new]
    come = [key for key in new if key not in old]
    if gone:
        names = ", ".join(key.lstrip(".") or "document" for key in gone[:3])
        return Symptom(
            "shape", "keys", f"keys gone: {names}" + (f"; new: {come[0].lstrip('.')}" if come else "")
        )
    turned = [key for key in old if old[key] != new[key] and old[key] != "NoneType"]
    if turned:
        first = turned[0]
        mixed = new[first] == "mixed"
        text = f"{first.lstrip('.') or 'document'} was {old[first]}, is {new[first]}"
        return Symptom("damaged" if mixed else "shape", "bad_values" if mixed else "types", text)
    return None


def _compare_tables(before: list[list[str]], after: list[list[str]]) -> Symptom | None:
    if before[0] != after[0] and _looks_like_header(before[0]):
        gone = [name for name in before[0] if name not in after[0]]
        what = f"columns gone: {', '.join(gone[:3])}" if gone else "columns moved or added"
        return Symptom("shape", "columns", what)
    if len(before[0]) != len(after[0]):
        return Symptom("shape", "columns", f"{len(before[0])} columns became {len(after[0])}")
    for index, name in enumerate(before[0]):
        old = [_NUMBER.fullmatch(row[index]) is not None for row in before[1:] if row[index] != ""]
        if len(old) < 3 or not all(old):
            continue
        cells = [row[index] for row in after[1:]]
        bad = [cell for cell in cells if _NUMBER.fullmatch(cell) is None]
        if bad and len(bad) >= 0.9 * len(cells):
            return Symptom("shape", "format", f"column {name} is no longer numeric")
        if bad:
            return Symptom("damaged", "bad_values", f"column {name} has {len(bad)} cells that are no numbers")
    return None


def _looks_like_header(cells: list[str]) -> bool:
    return all(cell.strip() and _NUMBER.fullmatch(cell) is None for cell in cells)


def config_problem(path: bytes, before: bytes | None, after: bytes) -> str:
    """Why an edited configuration file is unusable: ``truncated``, ``damaged``, ``unparsable`` or ``""``."""
    if before is not None:
        symptom = _emptied(before, after) or _bytes_damaged(before, after)
        if symptom is not None:
            return "damaged"
        cut = _cut(before, after) is not None
        if cut and (not after.endswith(b"\n") or not _parses(path, after)):
            return "truncated"
    return "" if _parses(path, after) else "unparsable"


def _parses(path: bytes, after: bytes) -> bool:
    """Whether a JSON or TOML file is sound; ``True`` for formats that are not read here."""
    name = path.lower()
    try:
        if name.endswith(b".json"):
            json.loads(after)
        elif name.endswith(b".toml"):
            import tomllib  # noqa: PLC0415 - rarely needed

            tomllib.loads(after.decode())
    except (ValueError, RecursionError):
        return False
    return True
