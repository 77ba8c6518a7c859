"""Checksums that vendors built into their tokens and published.

A token whose checksum fails is mistyped, shortened or made up: it is still shown, but as
something to review, not as something to act on now.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

__all__ = ["CHECKS", "base62"]

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BECH32 = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
_BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def base62(number: int, width: int) -> str:
    """``number`` in base 62 (digits, capitals, small letters), padded with zeros to ``width``."""
    text = ""
    while number:
        number, digit = divmod(number, 62)
        text = _BASE62[digit] + text
    return text.rjust(width, "0")


def _crc32_base62(token: bytes) -> bool:
    """The last six characters are the CRC-32 of the 30 before them.

    Source: GitHub, "Behind GitHub's new authentication token formats" (2021); npm uses the same.
    """
    body = token.rpartition(b"_")[2]
    return base62(zlib.crc32(body[:-6]), 6).encode() == body[-6:]


def _crc32_hex(token: bytes) -> bool:
    """``prefix_secret_crc``: the CRC-32 of everything before the last underscore, either byte order.

    Source: Grafana, package ``satokengen``.
    """
    text, _, given = token.rpartition(b"_")
    crc = zlib.crc32(text)
    little = crc.to_bytes(4, "little").hex()
    return given.lower() in (f"{crc:08x}".encode(), little.encode())


def _bech32(token: bytes) -> bool:
    """Source: BIP-173; age identities (C2SP ``age.md``) use it in capitals."""
    human, _, data = token.decode("ascii", "replace").rpartition("1")
    if not data or any(c not in _BECH32 for c in data):
        return False
    low = human.lower()
    values = [ord(c) >> 5 for c in low] + [0] + [ord(c) & 31 for c in low] + [_BECH32.index(c) for c in data]
    return _polymod(values) == 1


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate(_BECH32_GENERATOR):
            checksum ^= generator if top >> i & 1 else 0
    return checksum


CHECKS: Mapping[str, Callable[[bytes], bool]] = MappingProxyType(
    {"crc32-base62": _crc32_base62, "crc32-hex": _crc32_hex, "bech32": _bech32}
)
