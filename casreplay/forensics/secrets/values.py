"""Whether a value assigned to a secret's name is one: placeholders, templates, calls and prose are not.

The questions are asked in order of cost: shape first, then the bigram model. What passes is
shown to a person, so a doubtful value in a settings file passes and one in a log does not.
"""

from __future__ import annotations

import re

from casreplay.forensics.secrets.keys import KeyClass
from casreplay.forensics.secrets.model import FileKind
from casreplay.forensics.secrets.rarity import bits, looks_random

__all__ = ["is_key_like", "is_placeholder", "is_secret_value", "is_token_value"]

_STANDS_FOR = re.compile(
    rb"""(?ix) ^(?:
      [x*.\-_#?=+~\s0]+ | <.*>? | \[.*\]? | \{.*\}? | \$[{(\[].* | \$[A-Za-z_][\w:.>\-]*
    | %\([\w.]+\)s? | %[\w.]+% | %[sdv@] | @[\w.\-]+@ | !.{0,3}
    | \#\{.* | .*\$\{.* | .*\{\{.* | .*\$\(.* | .*<[\w\ \-]+>.* | ENC\(.* | vault:.* | ref\+.*
    | \|[-+]? | >[-+]?
    | (?:.*[_\-./ ])? (?:null|none|nil|true|false|undefined|unset|empty|default|todo|tbd|n/?a|no|yes|on|off)
    | (?:your|my|the|some|insert|enter|add|put|replace|change|set|use)[_\-\ ].*
    | yourpassword | changeme.* | change_?this.*
    | .*(?:x{4}|\*{3}|\.{3}).*
    | (?:process\.env|os\.environ|os\.getenv|env|getenv|secrets|vars|var|local|data|config
      |self|this|settings|module)
      (?:[.\[(].*)
    | (?:test|testing|foo|bar|baz|foobar|string|str|text|int|bool|bytes|object|any|varchar|char
      |required|optional
      |password|passwd|utf-?8|ascii|latin-?1|pass|passphrase|pwd|secret|token|api[_\-]?key|key
      |access[_\-]?token|credentials?|user|username|user1?|admin_password
      |my_?secret|my_?password|my_?token|secret_?key|client_?secret
      |auth|bearer|basic|value|name|ask|prompt|input|hash)
    )$"""
)
_SAYS_SO = re.compile(
    rb"(?i)example|sample|dummy|placeholder|redacted|masked|hidden|removed|omitted|censored|scrubbed"
)
_RANDOM_ANYWAY = 6.3
"""Mean bits from which a value counts although a word in it says that it is none."""
_CALL = re.compile(
    rb"(?<![\w.:>\-])[\w.:>\-]++\(|\)\s*$|^\w+\[|=>|^function\b|^new\s|^await\s|^lambda\b|\s\|\|\s|\s\?\s"
)
_DOTTED = re.compile(rb"^[A-Za-z_]\w*(?:(?:\.|->|::)[A-Za-z_]\w*)+$")
_PATHLIKE = re.compile(rb"^(?:\.{0,2}/|~/|[A-Za-z]:\\|file:|https?://|[\w.\-]+/[\w.\-/]+\.\w{1,5}$)")
_UUID = re.compile(rb"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
_PIECES = re.compile(rb"[^A-Za-z0-9]+")
_NUMBER = re.compile(rb"^[+\-]?\d[\d.,:_]*[A-Za-z%]{0,3}$")
_TIME = re.compile(rb"^\d{4}-\d\d-\d\d[T ]|^\d\d:\d\d")
_WORD = re.compile(rb"^[A-Za-z]+$")
_NAMES = re.compile(rb"^[A-Za-z]+(?:[_\-.:/][A-Za-z]+)+$")
_HASHED = re.compile(
    rb"^(?:sha\d+|md5)[:\-$]|^\$2[aby]\$|^\$(?:1|5|6|apr1|argon2\w+)\$|^\{S?SHA|^pbkdf2", re.IGNORECASE
)
_VARIABLE = re.compile(rb"^_?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$")
_TOKEN_BITS = 4.2
"""Asked of a vendor token's random part: its prefix and length are evidence already."""
_PROSE = re.compile(rb"^\S+(?:\s+\S+){2,}$")


def is_placeholder(value: bytes) -> bool:
    """Whether ``value`` stands for a secret instead of being one."""
    if _STANDS_FOR.match(value) is not None or len(set(value)) < 3:
        return True
    return _SAYS_SO.search(value) is not None and bits(value) < _RANDOM_ANYWAY


def is_token_value(variable_parts: list[bytes]) -> bool:
    """Whether the random parts of a vendor token look random; short parts prove nothing either way."""
    judged = [part for part in variable_parts if len(part) >= 12]
    if any(len(set(part)) < 5 or re.search(rb"(?i)x{6}|(.)\1{7}|\*{3}|\.{3}", part) for part in judged):
        return False
    return not judged or any(looks_random(part, _TOKEN_BITS) or part.isdigit() for part in judged)


def is_secret_value(value: bytes, key: KeyClass, kind: FileKind, *, quoted: bool) -> bool:
    """Whether ``value``, assigned to a name of class ``key`` in a file of ``kind``, is a secret."""
    if not _has_shape(value, key, quoted=quoted):
        return False
    if key is KeyClass.PASSWORD:
        return _is_password(value, kind, quoted=quoted)
    return _is_key_material(value, key, kind, quoted=quoted)


def _repeats_itself(value: bytes) -> bool:
    """Whether a long value says the same again and again; keeps hostile input from the slow tests too."""
    return len(value) > 64 and (len(set(value)) < 12 or value.count(value[:8]) > 2)


def _has_shape(value: bytes, key: KeyClass, *, quoted: bool) -> bool:
    shortest = 5 if key is KeyClass.PASSWORD else 8
    if not shortest <= len(value) <= 512 or _repeats_itself(value) or is_placeholder(value):
        return False
    if _PATHLIKE.match(value) or _TIME.match(value) or _HASHED.match(value):
        return False
    if _DOTTED.match(value) and bits(value) < 5:
        return False
    if _VARIABLE.match(value) and bits(value) < 6:
        return False
    if not quoted and (_CALL.search(value) or value[:1] in b"({[&|<>`"):
        return False
    return not (_PROSE.match(value) and b" " in value)


def _is_password(value: bytes, kind: FileKind, *, quoted: bool) -> bool:
    if _NAMES.match(value) and bits(value) < 4.6:
        return kind in (FileKind.SETTINGS, FileKind.YAML) and b"password" not in value.lower()
    if kind is FileKind.LOG and not quoted:
        if _NUMBER.match(value) and len(value) < 8:
            return False
        if any(48 <= b <= 57 for b in value):
            return True
        return len(value) >= 8 and looks_random(value)
    if _WORD.match(value):
        return kind in (FileKind.SETTINGS, FileKind.YAML) or (len(value) >= 8 and bits(value) >= 4.2)
    return b" " not in value.strip() or any(48 <= b <= 57 for b in value)


def _is_key_material(value: bytes, key: KeyClass, kind: FileKind, *, quoted: bool) -> bool:
    if b" " in value or _NUMBER.match(value):
        return False
    if _UUID.match(value):
        return key in (KeyClass.API_KEY, KeyClass.SECRET) or (
            key is KeyClass.TOKEN and kind is not FileKind.LOG
        )
    if key is KeyClass.KEY and len(value) < 16:
        return False
    if _WORD.match(value) or _NAMES.match(value):
        return len(value) >= 16 and looks_random(value)
    chosen = key is KeyClass.SECRET and (quoted or kind is not FileKind.LOG) and _is_mixed(value)
    return chosen or is_key_like(value)


def is_key_like(value: bytes) -> bool:
    """Whether ``value`` looks drawn by a machine, or has a long piece of letters and digits mixed.

    The second is how people make up keys (``abc123def456``), too regular for the model.
    """
    return looks_random(value) or any(
        len(piece) >= 12 and sum(48 <= b <= 57 for b in piece) >= 3 and sum(b > 64 for b in piece) >= 3
        for piece in _PIECES.split(value)
    )


def _is_mixed(value: bytes) -> bool:
    """Letters with digits or symbols among them, as people choose secrets."""
    return any(48 <= b <= 57 for b in value) and any(b > 64 for b in value) and bits(value) >= 4.2
