from __future__ import annotations

import base64
import gzip
import json
import random
from urllib.parse import quote

import pytest
from support import secret_values

from casreplay.errors import UsageError
from casreplay.forensics.secrets import scanner as module
from casreplay.forensics.secrets.custom import CustomRules
from casreplay.forensics.secrets.engines import ENGINES, make_engine
from casreplay.forensics.secrets.rules import default_rules
from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter
from casreplay.model.config import SecretRuleConfig

KEY = b"k" * 32
SCANNER = SecretScanner(fingerprinter(KEY), engine="re")
SECRET = "Xk9" + "mQ2vLr7w"
LINE = f"2026-01-01 INFO login password={SECRET} ok\n"


def test_place_and_fingerprint() -> None:
    text = "first line\nzweite Zeile: Ä\n" + LINE
    [match] = SCANNER.scan_bytes(text.encode(), b"a.log")
    assert (match.line, match.column) == (3, LINE.index(SECRET) + 1)
    assert text.encode()[match.offset : match.offset + match.length].decode() == SECRET
    assert len(match.fingerprint) == 8
    other = SecretScanner(fingerprinter(b"x" * 32), engine="re").scan_bytes(text.encode(), b"a.log")
    assert other[0].fingerprint != match.fingerprint


def test_the_column_counts_characters() -> None:
    [match] = SCANNER.scan_bytes(f"ÄÖÜ password={SECRET}\n".encode(), b"a.log")
    assert match.column == 14


def test_a_match_does_not_hold_the_value() -> None:
    [match] = SCANNER.scan_bytes(LINE.encode(), b"a.log")
    assert SECRET not in repr(match)


WRAPPED = {
    "utf-8": (LINE.encode(), ""),
    "utf-8 with mark": (b"\xef\xbb\xbf" + LINE.encode(), ""),
    "latin-1": ("Größe\n".encode("latin-1") + LINE.encode(), ""),
    "utf-16-le": (("\ufeff" + "Größe\n" + LINE).encode("utf-16-le"), "utf-16"),
    "utf-16-be": (("\ufeff" + "Größe\n" + LINE).encode("utf-16-be"), "utf-16"),
    "utf-16 without mark": (LINE.encode("utf-16-le"), "utf-16"),
    "utf-16 inside utf-8": (b"plain\n" + LINE.encode("utf-16-le") + b"plain\n", "utf-16"),
    "base64": (b"data: " + base64.b64encode(LINE.encode()) + b"\n", "base64"),
    "base64 after a slash": (b"data:text/plain;base64," + base64.b64encode(LINE.encode()), "base64"),
    "percent": (b"GET /login?" + quote(f"password={SECRET}", safe="").encode() + b" HTTP/1.1\n", "percent"),
    "json escapes": (
        json.dumps({"body": f'{{"password": "{SECRET}"}}'}).replace("=", "\\u003d").encode()
        + b'\n{"t": "password\\u003d'
        + SECRET.encode()
        + b'"}\n',
        "",
    ),
    "gzip": (gzip.compress(LINE.encode(), mtime=0), "gzip"),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_every_encoding_is_undone_once(name: str) -> None:
    data, encoding = WRAPPED[name]
    found = SCANNER.scan_bytes(data, b"a.log")
    assert {m.rule for m in found} == {"assign.password"}
    assert found[0].encoding == encoding
    plain = SCANNER.scan_bytes(LINE.encode(), b"a.log")[0]
    assert {m.fingerprint for m in found} == {plain.fingerprint}


def test_json_escapes_are_undone() -> None:
    [match] = SCANNER.scan_bytes(b'{"t": "password\\u003d' + SECRET.encode() + b'"}\n', b"a.log")
    assert (match.encoding, match.length) == ("json", len(SECRET))


def test_positions_in_wrapped_text_point_at_the_wrapped_bytes() -> None:
    data = ("\ufeff" + LINE).encode("utf-16-le")
    [match] = SCANNER.scan_bytes(data, b"a.log")
    assert data[match.offset : match.offset + match.length].decode("utf-16-le") == SECRET
    data = b"data: " + base64.b64encode(LINE.encode()) + b"\n"
    [match] = SCANNER.scan_bytes(data, b"a.log")
    assert SECRET.encode() in base64.b64decode(data[match.offset : match.offset + match.length])


def test_nothing_is_undone_twice() -> None:
    once = base64.b64encode(LINE.encode())
    assert SCANNER.scan_bytes(base64.b64encode(once), b"a.log") == []


def test_a_damaged_gzip_blob_is_scanned_as_far_as_it_goes() -> None:
    rng = random.Random(1)
    filler = "".join(f"{secret_values.key(rng, 60)} line\n" for _ in range(2000))
    data = gzip.compress((LINE + filler).encode(), mtime=0)
    assert [m.rule for m in SCANNER.scan_bytes(data[:-2000], b"a.log.gz")] == ["assign.password"]
    assert SCANNER.scan_bytes(b"\x1f\x8b\x08" + b"\xff" * 50, b"a.gz") == []


def planted(rng: random.Random, lines: int = 400) -> bytes:
    rules = default_rules().tokens
    out = []
    for number in range(lines):
        rule = rng.choice(rules)
        token = secret_values.valid_token(rule, rng.choice(rule.forms), rng)
        out.append(
            rng.choice(
                [
                    f"2026-01-01 10:00:{number % 60:02} INFO step {number} done in {rng.random():.3f} s",
                    f"header x={token}",
                    f"password={secret_values.password(rng)} user=bob",
                    f'{{"apiKey": "{secret_values.key(rng)}", "n": {number}}}',
                    f"postgres://bob:{secret_values.key(rng, 12)}@db/x",
                    base64.b64encode(f"token: {secret_values.key(rng)}".encode()).decode(),
                    f"GET /?{quote('password=' + secret_values.key(rng, 12), safe='')}",
                    "path/to/some/module/with_a_rather_long_name/file.py:120: warning: unused",
                ]
            )
        )
    return "\n".join(out).encode() + b"\n"


@pytest.mark.parametrize("seed", range(4))
def test_all_engines_find_the_same(seed: int) -> None:
    rng = random.Random(seed)
    data = planted(rng) + rng.randbytes(2000) + planted(rng, 50).decode().encode("utf-16-le")
    results = [
        SecretScanner(fingerprinter(KEY), engine=name).scan_bytes(data, b"a.log")
        for name in ("re", "ahocorasick", "hyperscan")
    ]
    assert len(results[0]) > 100
    assert results[1] == results[0]
    assert results[2] == results[0]


@pytest.mark.parametrize("window", [2_000, 4_096, 7_001])
def test_windows_cannot_be_seen_in_the_result(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = planted(random.Random(9), 300)
    whole = SCANNER.scan_bytes(data, b"a.log")
    monkeypatch.setattr(module, "WINDOW", window)
    monkeypatch.setattr(module, "OVERLAP", 1500)
    for piece in (1, 700, 100_000):
        pieces = [data[i : i + piece] for i in range(0, len(data), piece)]
        assert SCANNER.scan(pieces, b"a.log") == whole


@pytest.mark.slow
def test_a_gigabyte_is_scanned_in_bounded_memory() -> None:
    import tracemalloc

    block = planted(random.Random(3), 50) + b"2026-01-01 INFO nothing happened here, really\n" * 20_000
    count = (1 << 30) // len(block)
    scanner = SecretScanner(fingerprinter(KEY), engine="hyperscan")
    one = len(scanner.scan_bytes(block, b"a.log"))
    tracemalloc.start()
    found = scanner.scan((block for _ in range(count)), b"a.log")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) >= one * count * 0.99
    assert peak < 100 << 20


def test_binary_and_empty_input() -> None:
    assert SCANNER.scan_bytes(b"", b"a") == []
    assert SCANNER.scan((), b"a") == []
    assert SCANNER.scan_bytes(random.Random(4).randbytes(200_000), b"a.bin") == []
    assert SCANNER.scan_bytes(b"\0" * 100_000, b"a.bin") == []


def test_engines_by_name() -> None:
    probes = default_rules().probes
    assert make_engine("auto", probes).name in ENGINES
    with pytest.raises(UsageError, match="Unknown scan engine"):
        make_engine("fast", probes)


def test_users_formats_and_allowed_values() -> None:
    rule = SecretRuleConfig("acme.key", r"acme-([0-9]{8})", ("acme-",))
    open_rule = SecretRuleConfig("word", r"zzz[a-f]{4}zzz")
    custom = CustomRules((rule, open_rule), (SECRET[:4] + ".*",))
    scanner = SecretScanner(fingerprinter(KEY), engine="re", custom=custom)
    text = f"id acme-12345678 x\n{LINE}zzzabcdzzz\n"
    found = scanner.scan_bytes(text.encode(), b"a.log")
    assert [(m.rule, m.length) for m in found] == [("acme.key", 8), ("word", 10)]
    assert scanner.digest != SCANNER.digest
    assert scanner.digest.startswith(SCANNER.digest)
