"""Made-up secrets for tests, assembled when asked for: nothing that looks like one is stored in a file."""

from __future__ import annotations

import random
import string
import uuid
import zlib

from casreplay.forensics.secrets.checks import base62
from casreplay.forensics.secrets.forms import Form, Part
from casreplay.forensics.secrets.rules import TokenRule

LETTERS = {
    "dec": string.digits,
    "hex": string.digits + "abcdef",
    "HEX": string.digits + "ABCDEF",
    "hexi": string.digits + "abcdef",
    "low": string.ascii_lowercase,
    "up": string.ascii_uppercase,
    "b36": string.digits + string.ascii_lowercase,
    "B36": string.digits + string.ascii_uppercase,
    "b32": string.ascii_uppercase + "234567",
    "b32l": string.ascii_lowercase + "234567",
    "b62": string.digits + string.ascii_letters,
    "word": string.digits + string.ascii_letters,
    "url": string.digits + string.ascii_letters + "_-",
    "b64": string.digits + string.ascii_letters + "+/",
    "dot": string.digits + string.ascii_letters + "_-.",
    "enc": string.digits + string.ascii_letters,
    "bech": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}


def text_of(part: Part, rng: random.Random, length: int | None = None) -> str:
    if not part.alphabet:
        return part.text
    if part.alphabet == "uuid":
        return str(uuid.UUID(int=rng.getrandbits(128)))
    letters = LETTERS[part.alphabet]
    count = part.low if length is None else length
    return "".join(rng.choice(letters) for _ in range(count))


def token(form: Form, rng: random.Random) -> str:
    """A token of the form, each part at a length the form allows."""
    return "".join(
        text_of(part, rng, rng.randint(part.low, min(part.high, part.low + 8)) if part.alphabet else None)
        for part in form.parts
    )


def valid_token(rule: TokenRule, form: Form, rng: random.Random) -> str:
    """A token of the form with the vendor's checksum, where there is one."""
    text = token(form, rng)
    if rule.check_name == "crc32-base62":
        head, _, body = text.rpartition("_")
        return f"{head}_{body[:-6]}{base62(zlib.crc32(body[:-6].encode()), 6)}"
    if rule.check_name == "crc32-hex":
        head = text.rpartition("_")[0]
        return f"{head}_{zlib.crc32(head.encode()):08x}"
    if rule.check_name == "bech32":
        return age_identity(rng)
    return text


def age_identity(rng: random.Random) -> str:
    """BIP-173 with the reference algorithm, written apart from the one under test."""
    letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    human = "age-secret-key-"
    data = [rng.randrange(32) for _ in range(52)]
    values = [ord(c) >> 5 for c in human] + [0] + [ord(c) & 31 for c in human] + data + [0] * 6
    check = 1
    for value in values:
        top = check >> 25
        check = ((check & 0x1FFFFFF) << 5) ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            if (top >> bit) & 1:
                check ^= generator
    check ^= 1
    data += [(check >> 5 * (5 - i)) & 31 for i in range(6)]
    return (human + "1" + "".join(letters[d] for d in data)).upper()


def password(rng: random.Random, length: int = 14) -> str:
    """A random password with all kinds of characters that need no quoting."""
    letters = string.ascii_letters + string.digits + "!@^*_-+.%"
    while True:
        text = "".join(rng.choice(letters) for _ in range(length))
        if any(c.isdigit() for c in text) and any(c.isalpha() for c in text) and text[0].isalnum():
            return text


def key(rng: random.Random, length: int = 32) -> str:
    return "".join(rng.choice(string.ascii_letters + string.digits) for _ in range(length))
