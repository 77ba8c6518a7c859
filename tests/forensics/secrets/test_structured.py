from __future__ import annotations

import base64
import json
import random

import pytest
from support import secret_values

from casreplay.forensics.secrets.model import SecretClass
from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter

SCANNER = SecretScanner(fingerprinter(b"k" * 32), engine="re")
PW = "Xk9" + "mQ2vLr7w"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def url64(value: object) -> str:
    raw = json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def jwt() -> str:
    head = url64({"alg": "HS256", "typ": "JWT"})
    return f"{head}.{url64({'sub': '1', 'name': 'x'})}.{secret_values.key(random.Random(1), 43)}"


def pem(lines: int = 6) -> str:
    rng = random.Random(2)
    body = "\n".join(secret_values.key(rng, 64) for _ in range(lines))
    kind = "RSA PRIVATE" + " KEY"
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"


def found(text: str, path: str = "a.log") -> list[tuple[str, str]]:
    data = text.encode()
    return [
        (m.rule, data[m.offset : m.offset + m.length].decode())
        for m in SCANNER.scan_bytes(data, path.encode())
    ]


@pytest.mark.parametrize(
    ("rule", "text", "value"),
    [
        ("url.userinfo", f"connecting to postgres://bob:{PW}@db:5432/x", PW),
        ("url.userinfo", f"redis://:{PW}@cache:6379", PW),
        ("url.userinfo", f'"url": "https:\\/\\/bob:{PW}@host\\/x"', PW),
        ("http.basic", f"Authorization: Basic {b64('bob:' + PW)}", b64("bob:" + PW)),
        ("http.header", f"authorization: token {PW}{PW}", PW + PW),
        ("http.bearer", f"-> Bearer {PW}{PW}", PW + PW),
        ("shell.user-option", f"curl -u bob:{PW} https://host/x", PW),
        ("shell.user-option", f"curl --user 'bob:{PW}' https://host/x", PW),
        ("shell.sshpass", f"sshpass -p {PW} ssh host", PW),
        ("shell.mysql", f"mysql -h db -u root -p{PW} app", PW),
        ("http.auth-field", f'{{"auths": {{"ghcr": {{"auth": "{b64("bob:" + PW)}"}}}}}}', b64("bob:" + PW)),
        ("file.netrc", f"machine api.host login bob password {PW}\n", PW),
        ("jwt", f"cookie session={jwt()};", jwt()),
    ],
)
def test_found(rule: str, text: str, value: str) -> None:
    assert (rule, value) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:8080/path@home",
        "https://user:password@host/x",
        "https://user:${PASSWORD}@host/x",
        "postgres://<user>:<password>@host",
        "docker run -u 1000:1000 image",
        "Authorization: Basic realm",
        "Authorization: Bearer <token>",
        "Authorization: Bearer $TOKEN",
        "Basic authentication is required",
        "eyJub3QiOiJhIGp3dCJ9.eyJub3QiOiJhIGp3dCJ9.zzzzzzzzzzzzzzzzzzzz",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
    ],
)
def test_not_found(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("wrap", ["{}", '{{"key": "{}"}}'])
def test_a_private_key_is_one_finding_from_its_first_to_its_last_line(wrap: str) -> None:
    key = pem()
    text = wrap.format(key if wrap == "{}" else key.replace("\n", "\\n"))
    [match] = SCANNER.scan_bytes(text.encode(), b"id_rsa")
    assert (match.rule, match.secret_class) == ("pem.private-key", SecretClass.TOKEN)
    taken = text.encode()[match.offset : match.offset + match.length]
    for line in key.splitlines()[1:-1]:
        assert line.encode() in taken


def test_a_truncated_private_key_is_found() -> None:
    cut = pem().partition("-----END")[0]
    assert [rule for rule, _ in found(cut)] == ["pem.private-key"]


@pytest.mark.parametrize("name", [".pgpass", "home/x/.pgpass", "pgpass.conf"])
def test_postgres_password_files(name: str) -> None:
    text = f"# comment\ndb.host:5432:*:bob:{PW}\n*:*:*:eve:other{PW}\n"
    assert found(text, name) == [("file.pgpass", PW), ("file.pgpass", "other" + PW)]


def test_password_hashes() -> None:
    rng = random.Random(5)
    salt, tail = secret_values.key(rng, 8), secret_values.key(rng, 22)
    text = f"bob:$apr1${salt}${tail}\neve:$2y$10${secret_values.key(rng, 53)}\n"
    assert [rule for rule, _ in found(text, ".htpasswd")] == ["hash.crypt", "hash.crypt"]
