"""Workspace paths: raw bytes with ``/`` between names, in one total order, unsafe ones refused.

The rules of every system hold on every system: a store written on Linux must not
attack whoever restores it on Windows or macOS. ``is_unsafe_name`` is what capture
never produces and what every reader of a tree refuses. What only some systems cannot
hold is told by ``workspace.names``, refused there and reported elsewhere.
"""

from __future__ import annotations

import os
from binascii import b2a_base64

from casreplay.errors import UsageError

__all__ = [
    "display",
    "from_display",
    "is_inside",
    "is_unsafe_name",
    "join",
    "named",
    "parent",
    "split",
    "to_json",
]

MAX_NAME_BYTES = 255
MAX_DEPTH = 1024


def named(path: str | bytes | os.PathLike[str]) -> bytes:
    """The bytes of a path on the disk that a caller gave.

    Raises:
        UsageError: it is empty, as a value that was never set: the current folder is not what was meant.
    """
    raw = os.fsencode(path)
    if not raw:
        raise UsageError("An empty path names nothing", hint="The current folder is .")
    return raw


def split(path: bytes) -> list[bytes]:
    """The names of ``path`` from the root down; the root itself (``b""``) has none."""
    return path.split(b"/") if path else []


def join(folder: bytes, name: bytes) -> bytes:
    """The path of ``name`` in ``folder``; the root is ``b""``."""
    return folder + b"/" + name if folder else name


def parent(path: bytes) -> bytes:
    """The folder that holds ``path``; the root's parent is the root."""
    return path.rpartition(b"/")[0]


def is_inside(path: bytes, folder: bytes) -> bool:
    """Whether ``path`` is ``folder`` or lies below it."""
    return not folder or path == folder or path.startswith(folder + b"/")


def is_unsafe_name(name: bytes) -> bool:
    """Whether a tree entry of this name must never be accepted on any system."""
    return name in (b"", b".", b"..") or b"/" in name or b"\0" in name or len(name) > 4 * MAX_NAME_BYTES


def display(path: bytes) -> str:
    r"""``path`` for a terminal or JSON: UTF-8 where it is, ``\xNN`` for bytes that are not.

    Control characters and bidirectional overrides are escaped too, so that a file
    name can neither move the cursor nor reorder the line it stands in; a backslash
    is doubled, which makes the form reversible (``from_display``).
    """
    text = path.decode("utf-8", "surrogateescape")
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return "".join(_escape(c) for c in text)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if char == "\\":
        return "\\\\"
    if char == " " or char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))


def from_display(text: str) -> bytes:
    r"""The path that ``display`` shows as ``text``; other backslashes are kept as they are."""
    out = bytearray()
    i = 0
    while i < len(text):
        if text.startswith("\\\\", i):
            out += b"\\"
            i += 2
        elif text.startswith("\\x", i) and _is_hex(text[i + 2 : i + 4]):
            out.append(int(text[i + 2 : i + 4], 16))
            i += 4
        else:
            out += text[i].encode("utf-8", "surrogateescape")
            i += 1
    return bytes(out)


def _is_hex(text: str) -> bool:
    return len(text) == 2 and all(c in "0123456789abcdefABCDEF" for c in text)


def to_json(path: bytes, key: str = "path") -> dict[str, str]:
    """JSON fields for ``path``: ``{key: shown}``, and ``{key}_b64`` when the bytes are not plain UTF-8."""
    shown = display(path)
    fields = {key: shown}
    if shown.encode("utf-8") != path:
        fields[key + "_b64"] = b2a_base64(path, newline=False).decode("ascii")
    return fields
