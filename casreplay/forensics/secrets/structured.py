"""Credentials whose form is fixed by a standard or a program, not by one vendor.

URL user information, Authorization headers, ``curl -u``, JSON web tokens, PEM private keys,
``.netrc``, password hashes as ``.htpasswd`` and ``shadow`` keep them, Docker's ``auth``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from casreplay.forensics.secrets.model import Candidate, FileKind, Probe, SecretClass
from casreplay.forensics.secrets.values import is_key_like, is_placeholder

__all__ = ["PROBES", "pgpass"]

_URL = re.compile(rb""":(?:\\?/){2}(?P<user>[^\s/:@"'`<>\\]{0,128}):(?P<v>[^\s/"'`<>\\]{1,256})@[\w.\-\[%]""")
_HEADER = re.compile(
    rb"""uthorization["'\\\]]{0,6}\s{0,4}[=:,]\s{0,4}["'\\\[]{0,6}"""
    rb"""(?:(?:[Bb]earer|[Tt]oken|[Bb]asic|[Aa]pi[Kk]ey|[Kk]ey|GenieKey|Splunk)[ ]+)?"""
    rb"""(?P<v>[\w.~+/=:\-]{12,4096})"""
)
_BEARER = re.compile(rb"earer (?P<v>[\w.~+/=\-]{16,4096})")
_BASIC = re.compile(rb"asic (?P<v>[A-Za-z0-9+/]{8,1024}={0,2})(?![A-Za-z0-9+/=])")
_USER_OPTION = re.compile(
    rb"""-{1,2}u(?:ser)?(?:[ =]|[ ]?)["']?(?P<user>[^\s:"'/]{1,64}):(?P<v>[^\s"']{3,128})"""
)
_SSHPASS = re.compile(rb"""sshpass -p[ ]?["']?(?P<v>[^\s"']{4,128})""")
_MYSQL = re.compile(rb"""mysql[\w\-]{0,12}(?: [^\n|;&]{0,200}?)? -p(?P<v>[^\s"'=\-][^\s"']{3,128})""")
# A JSON web token may start where a word starts or right after a JSON escape (\n).
_JWT_START = rb"(?:(?<![\w\-])|(?<=\\[nrt]))"
_JWT = re.compile(
    _JWT_START
    + rb"(?P<v>(?P<head>eyJ[\w\-]{8,2048})\.(?P<body>eyJ[\w\-]{4,8192})\.[\w\-]{16,2048})(?![\w\-])"
)
_JWE = re.compile(
    _JWT_START + rb"(?P<v>(?P<head>eyJ[\w\-]{8,2048})\.(?P<body>[\w\-]{0,2048})"
    rb"\.[\w\-]{8,64}\.[\w\-]{8,8192}\.[\w\-]{16,64})(?![\w\-])"
)
_PEM = re.compile(
    rb"-----BEGIN (?P<kind>[A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?)-----"
    rb"(?P<v>(?:(?!-----)[A-Za-z0-9+/=\s\\:,\-.()>|]){20,16000})"
)
_NETRC = re.compile(
    rb"(?:machine\s+\S{1,200}|default)\s+login\s+\S{1,200}\s+(?:account\s+\S+\s+)?password\s+(?P<v>[\x21-\x7e\x80-\xff]{3,200})"
)
_CRYPT = re.compile(
    rb"(?P<v>\$apr1\$[./\w]{1,8}\$[./\w]{22}|\$2[abxy]\$\d\d\$[./\w]{53}|\$1\$[./\w]{1,8}\$[./\w]{22}"
    rb"|\$5\$(?:rounds=\d+\$)?[./\w]{1,16}\$[./\w]{43}|\$6\$(?:rounds=\d+\$)?[./\w]{1,16}\$[./\w]{86}"
    rb"|\$y\$[./\w]+\$[./\w]{1,32}\$[./\w]{43}|\$argon2id?\$[\w=,$]{8,60}\$[\w+/]{10,64}\$[\w+/]{20,100}"
    rb"|\{S?SHA(?:256|512)?\}[A-Za-z0-9+/]{27,100}={0,2})"
)
_AUTH_FIELD = re.compile(
    rb"""auth\\?"?[ \t]{0,4}[:=][ \t]{0,4}\\?"?(?P<v>[A-Za-z0-9+/]{8,512}={0,2})(?![A-Za-z0-9+/=])"""
)
_PGPASS = re.compile(
    rb"^(?!#)(?:\\.|[^:\n\\])+:(?:\d+|\*):(?:\\.|[^:\n\\])+:(?:\\.|[^:\n\\])+:(?P<v>[^\n\r]{2,200})",
    re.MULTILINE,
)
_WEAK_PAIR = re.compile(rb"(?i)^(?:user(?:name)?|pass(?:word|wd)?|pwd|secret|token|\w*x{3}\w*|\d{1,5})$")

Check = Callable[[re.Match[bytes], bytes], bool]


def _candidate(rule: str, match: re.Match[bytes], secret_class: SecretClass, rank: int) -> Candidate:
    return Candidate(rule, secret_class, match.start("v"), match.end("v"), rank)


def _is_url_password(match: re.Match[bytes], _data: bytes) -> bool:
    value = match["v"]
    return len(value) > 2 and not is_placeholder(value) and not _WEAK_PAIR.match(value) and b"{" not in value


def _is_header_value(match: re.Match[bytes], _data: bytes) -> bool:
    value = match["v"]
    return not is_placeholder(value) and (is_key_like(value) or pair(value) is not None)


def _is_basic(match: re.Match[bytes], _data: bytes) -> bool:
    return pair(match["v"]) is not None


def _is_user_option(match: re.Match[bytes], data: bytes) -> bool:
    begin = max(data.rfind(b"\n", 0, match.start()) + 1, match.start() - 400)
    line = data[begin : match.end() + 400].partition(b"\n")[0]
    value = match["v"]
    talks_http = any(word in line for word in (b"curl", b"wget", b"http", b"wrk", b"ab -"))
    same = value == match["user"] and value.isdigit()
    return talks_http and not same and not is_placeholder(value) and not value.startswith(b"//")


def _is_plain(match: re.Match[bytes], _data: bytes) -> bool:
    return not is_placeholder(match["v"])


def _is_any(_match: re.Match[bytes], _data: bytes) -> bool:
    return True


def _is_jwt(match: re.Match[bytes], _data: bytes) -> bool:
    head = _json(match["head"])
    return head is not None and "alg" in head


def _is_pem(match: re.Match[bytes], _data: bytes) -> bool:
    letters = re.sub(rb"\\[nrt]|[^A-Za-z0-9+/]", b"", match["v"])
    return len(letters) >= 16 and len(set(letters)) >= 10


def pair(encoded: bytes) -> bytes | None:
    """The ``user:password`` that ``encoded`` is the base64 of, or ``None``."""
    try:
        text = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, value = text.partition(b":")
    printable = all(32 <= byte < 127 or byte >= 0xC2 for byte in text)
    return text if colon and user and len(value) > 2 and printable and not is_placeholder(value) else None


def _json(part: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def pgpass(data: bytes) -> Iterator[Candidate]:
    """Passwords of a PostgreSQL password file (``host:port:database:user:password`` lines)."""
    for match in _PGPASS.finditer(data):
        if not is_placeholder(match["v"]):
            yield _candidate("file.pgpass", match, SecretClass.PASSWORD_LIKE, 3)


@dataclass(frozen=True, slots=True)
class _Row:
    """One kind of credential: where it may stand, what it looks like, what proves it.

    ``keywords`` are separated by ``|``.
    """

    rule: str
    keywords: str
    gate: str
    pattern: re.Pattern[bytes]
    check: Check
    secret_class: SecretClass
    rank: int


def _probe(row: _Row) -> Probe:
    def find(data: bytes, at: int, _kind: FileKind) -> Candidate | None:
        match = row.pattern.match(data, at)
        if match is None or not row.check(match, data):
            return None
        return _candidate(row.rule, match, row.secret_class, row.rank)

    return Probe(row.rule, tuple(word.encode() for word in row.keywords.split("|")), row.gate, 0, find)


_T, _P = SecretClass.TOKEN, SecretClass.PASSWORD_LIKE
_ROWS = (
    _Row(
        "url.userinfo", r"://|:\/\/", r"""(?:://|:\\/\\/)[^\s/:@"'`<>\\]{0,128}:[^\s/"'`<>\\]{1,256}@""",
        _URL, _is_url_password, _P, 6,
    ),
    _Row(
        "http.header", "uthorization", r"""uthorization["'\\\]]{0,6}\s{0,4}[=:,]""",
        _HEADER, _is_header_value, _P, 8,
    ),
    _Row("http.bearer", "earer ", r"earer [\w.~+/=\-]{16}", _BEARER, _is_header_value, _P, 8),
    _Row("http.basic", "asic ", r"asic [A-Za-z0-9+/]{8}", _BASIC, _is_basic, _P, 6),
    _Row(
        "http.auth-field", "auth", r"""auth\\?"?[ \t]{0,4}[:=][ \t]{0,4}\\?"?[A-Za-z0-9+/]{8}""",
        _AUTH_FIELD, _is_basic, _P, 6,
    ),
    _Row(
        "shell.user-option", "-u |-u'|-u\"|--user ", r"""(?:-u[ "']|--user )""",
        _USER_OPTION, _is_user_option, _P, 6,
    ),
    _Row("shell.sshpass", "sshpass -p", r"sshpass -p", _SSHPASS, _is_plain, _P, 6),
    _Row("shell.mysql", "mysql", r"mysql[\w\-]{0,12} ", _MYSQL, _is_plain, _P, 6),
    _Row("jwt", "eyJ", r"eyJ[\w\-]{8}", _JWT, _is_jwt, _T, 4),
    _Row("jwe", "eyJ", r"eyJ[\w\-]{8}", _JWE, _is_jwt, _T, 4),
    _Row("pem.private-key", "-----BEGIN ", r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY", _PEM, _is_pem, _T, 1),
    _Row("file.netrc", "machine |default login", r"(?:machine |default login)", _NETRC, _is_plain, _P, 3),
    _Row("hash.crypt", "$apr1$|$2a$|$2b$|$2x$|$2y$|$1$|$5$|$6$|$y$|$argon2|{SHA|{SSHA",
           r"(?:\$apr1\$|\$2[abxy]\$|\$[156y]\$|\$argon2|\{S?SHA)[./\w$=}]{3}", _CRYPT, _is_any, _P, 3),
)  # fmt: skip
PROBES = tuple(_probe(row) for row in _ROWS)
