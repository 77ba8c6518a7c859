from __future__ import annotations

import random
import re

import pytest
from support import secret_values

from casreplay.forensics.redaction import Redactor, redact_range
from casreplay.forensics.secrets.rules import default_rules
from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter

SCANNER = SecretScanner(fingerprinter(b"k" * 32), engine="re")
REDACTOR = Redactor(SCANNER)
SECRET = "Xk9" + "mQ2vLr7w"


def test_what_stands_in_the_place_of_a_secret() -> None:
    fp = fingerprinter(b"k" * 32)(SECRET.encode())
    shown = REDACTOR.text(f"login password={SECRET} ok")
    assert shown == f"login password=<assign.password> len=11 fp={fp} ok"


def test_redacting_twice_changes_nothing() -> None:
    once = REDACTOR.text(f"a password={SECRET} b postgres://bob:{SECRET}@h/x, gh{'p'}_{'aB3dE5fG7hJ9' * 3}")
    assert REDACTOR.text(once) == once


def test_text_without_secrets_is_the_same_object() -> None:
    text = "Grüße, 東京 \ud800 nothing here"
    assert REDACTOR.text(text) is text


def test_odd_characters_survive() -> None:
    text = f"東京 \ud83d password={SECRET} \udcff end"
    assert REDACTOR.text(text).startswith("東京 \ud83d password=<")
    assert REDACTOR.text(text).endswith(" \udcff end")


def windows(secret: str) -> set[str]:
    return {secret[i : i + 6] for i in range(len(secret) - 5)}


CONTEXTS = (
    "2026-01-01 ERROR request failed header={}",
    'raise ValueError("bad token {}")',
    "Traceback: {}",
    'x = {{"v": "{}"}}',
    "\x1b[31m{}\x1b[0m",
    "{}",
)
NAMED = (
    'ERROR {{"password": "{}"}}',
    "connect failed: password={} host=db",
    "retrying postgres://svc:{}@db:5432/app",
    "export DB_PASSWORD={}",
    '{{\\"client_secret\\": \\"{}\\"}}',
    "  db_password: {}",
)


def plant(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """Lines and the secret in each: vendor tokens of every rule in turn, and passwords."""
    rules = default_rules().tokens
    out = []
    for number in range(count):
        if number % 2:
            rule = rules[number // 2 % len(rules)]
            secret = secret_values.valid_token(rule, rng.choice(rule.forms), rng)
            out.append((rng.choice(CONTEXTS).format(secret), secret))
        else:
            secret = secret_values.password(rng, rng.randint(10, 20))
            out.append((rng.choice(NAMED).format(secret), secret))
    return out


@pytest.mark.parametrize("seed", [1, 2])
def test_no_six_characters_of_500_secrets_survive(seed: int) -> None:
    planted = plant(random.Random(seed), 500)
    lines = [REDACTOR.text(line) for line, _ in planted]
    for (line, secret), shown in zip(planted, lines, strict=True):
        bare = line.replace(secret, "")
        assert [part for part in windows(secret) if part in shown and part not in bare] == [], shown
    # Across lines the vendors' public words (AccountKey, services) may recur; random parts may not.
    # Fingerprints are hex and may hold six digits of a hex secret by chance; they are taken out.
    everything = re.sub(r"fp=[0-9a-f]{8}", "", "\n".join(lines))
    parts = {part for _, secret in planted for part in windows(secret) if any(c.isdigit() for c in part)}
    public = "\n".join(line.replace(secret, "") for line, secret in planted)
    assert [part for part in parts if part in everything and part not in public] == []


def test_a_cut_out_piece_of_a_key_block_is_hidden_by_what_is_known_of_the_whole() -> None:
    rng = random.Random(2)
    kind = "EC PRIVATE" + " KEY"
    rows = [secret_values.key(rng, 64) for _ in range(8)]
    data = f"log line\n-----BEGIN {kind}-----\n".encode() + "\n".join(rows).encode()
    data += f"\n-----END {kind}-----\nlast line\n".encode()
    matches = SCANNER.scan_bytes(data, b"a.log")
    start = data.index(rows[3].encode())
    shown = redact_range(data[start : start + 100], start, matches)
    assert rows[3].encode()[:6] not in shown
    assert shown.startswith(b"<pem.private-key> len=")
    tail = data.index(b"last line")
    assert redact_range(data[tail:], tail, matches) == b"last line\n"
