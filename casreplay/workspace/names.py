"""Which names may be written to a folder: attacks are refused everywhere, the rest where it cannot be held.

The rules of every system hold on every system where breaking them is an attack: ``..``,
``/``, NUL, and whatever some file system takes for ``.git`` (a checkout into a repository
would plant hooks). Names only Windows cannot hold are refused there and reported
elsewhere. ``fsck`` and ``restore`` both ask here.

Source: git's ``verify_path``, ``is_hfs_dotgit`` and ``is_ntfs_dotgit`` (CVE-2014-9390,
CVE-2019-1352, CVE-2019-1353); "Naming Files, Paths, and Namespaces", Microsoft.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from casreplay.model.paths import is_unsafe_name

__all__ = ["are_plain", "attack", "fold", "not_portable"]

_HFS_IGNORED = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])
"""Code points HFS+ leaves out when it compares names."""
_GIT_SHORT_NAME = re.compile(rb"git~[0-9]+", re.IGNORECASE)
_DEVICES = frozenset(
    [b"con", b"prn", b"aux", b"nul", b"conin$", b"conout$"]
    + [b"%b%d" % (kind, i) for kind in (b"com", b"lpt") for i in range(10)]
)
_WINDOWS_FORBIDDEN = re.compile(rb'[\x01-\x1f<>:"|?*\\]')
_ODD = bytes([*range(0x20), *range(0x7F, 0x100), *b'<>:"|?*\\'])
_DEVICE = re.compile(rb"/(?:con|prn|aux|nul|conin\$|conout\$|com[0-9]|lpt[0-9]) *[./]")


def attack(name: bytes) -> str:
    """Why an entry of this name is refused on every system, as the end of a sentence; empty when it is not.

    Cost: below 1 us for names that hold neither ``git`` nor anything odd.
    """
    if is_unsafe_name(name):
        return "is no single file name"
    if (len(name) < 4 or b"git" not in name.lower()) and name.isascii():
        return ""
    if _is_git(name):
        return "is .git to some file system"
    return ""


def _is_git(name: bytes) -> bool:
    """Whether HFS+ or NTFS would take ``name`` for ``.git``: case, ignored code points, streams, 8.3."""
    stem = re.split(rb"[:\\]", name, maxsplit=1)[0].rstrip(b" .")
    if stem.lower() == b".git" or _GIT_SHORT_NAME.fullmatch(stem):
        return True
    if name.isascii():
        return False
    text = name.decode("utf-8", "replace").translate(_HFS_IGNORED)
    return unicodedata.normalize("NFKC", text).casefold().rstrip(" .") == ".git"


def not_portable(name: bytes) -> str:
    """Why Windows cannot hold this name, as the end of a sentence; empty when it can."""
    if _WINDOWS_FORBIDDEN.search(name):
        return "holds a character Windows has another use for"
    if name[-1:] in (b".", b" "):
        return "ends in a dot or space, which Windows drops"
    if name.split(b".", 1)[0].rstrip(b" ").lower() in _DEVICES:
        return "is the name of a device on Windows"
    return ""


def are_plain(names: Collection[bytes]) -> bool:
    """Whether neither ``attack`` nor ``not_portable`` has anything to say about any of these names.

    Cost: about 0.1 us a name where none is odd, for all are looked at together.
    """
    joined = b"/%b/" % b"/".join(names).lower()
    if (
        len(joined.translate(None, _ODD)) == len(joined)
        and b"git" not in joined
        and b"./" not in joined
        and b" /" not in joined
        and b"//" not in joined
        and joined.count(b"/") == len(names) + 1
        and not _DEVICE.search(joined)
    ):
        return True
    return not any(attack(name) or not_portable(name) for name in names)


def fold(name: bytes) -> bytes:
    """What a file system that ignores case and normalisation compares: equal here is one file there."""
    if name.isascii():
        return name.lower()
    text = name.decode("utf-8", "surrogateescape")
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
    return folded.encode("utf-8", "surrogateescape")
