"""Whatever the bytes, every engine leads to the same secrets, and so does every way to cut the stream."""

from __future__ import annotations

import base64
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from support import secret_values

from casreplay.forensics.redaction import Redactor
from casreplay.forensics.secrets.assignments import PROBES as ASSIGNMENTS
from casreplay.forensics.secrets.rules import default_rules
from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter
from casreplay.forensics.secrets.structured import PROBES as STRUCTURED

FINGERPRINT = fingerprinter(b"k" * 32)
SCANNERS = [SecretScanner(FINGERPRINT, engine=name) for name in ("re", "ahocorasick", "hyperscan")]
TOKENS = default_rules().tokens
KEYWORDS = sorted({k.decode() for probe in (*ASSIGNMENTS, *STRUCTURED) for k in probe.keywords})

tokens = st.builds(
    lambda rule, seed: secret_values.valid_token(
        rule, rule.forms[seed % len(rule.forms)], random.Random(seed)
    ),
    st.sampled_from(TOKENS),
    st.integers(0, 2**32),
)
values = st.builds(
    lambda seed, n: secret_values.password(random.Random(seed), n), st.integers(0, 2**32), st.integers(5, 30)
)
glue = st.sampled_from(
    [
        "=",
        ": ",
        '": "',
        '"',
        "'",
        " ",
        "\n",
        "\r\n",
        "://u:",
        "@h/",
        "\\n",
        "%3D",
        "--",
        "(",
        "<",
        ">",
        ",",
        '\\"',
        "_",
        "é",
    ]
)
words = st.sampled_from([*KEYWORDS, "password", "client_secret", "user", "curl -u x:", "value", "is"])
texts = st.lists(st.one_of(tokens, values, glue, words), max_size=25).map("".join).map(str.encode)
wrapped = st.one_of(
    texts,
    texts.map(base64.b64encode),
    texts.map(lambda t: t.decode().encode("utf-16-le")),
    st.binary(max_size=60),
)
blobs = st.lists(wrapped, max_size=4).map(b" ".join)


@settings(max_examples=40)
@given(blobs, st.sampled_from([b"a.log", b"a.py", b"a.yaml", b".env", b"a.sh", b"a.xml"]))
def test_all_engines_find_the_same(data: bytes, path: bytes) -> None:
    first, *others = (scanner.scan_bytes(data, path) for scanner in SCANNERS)
    for other in others:
        assert other == first


@given(blobs, st.integers(1, 50))
def test_how_the_stream_is_cut_does_not_matter(data: bytes, size: int) -> None:
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    if data[:1] != b"\x1f":
        assert SCANNERS[0].scan(pieces, b"a.log") == SCANNERS[0].scan_bytes(data, b"a.log")


@given(blobs)
def test_matches_lie_in_the_blob_in_order_and_apart(data: bytes) -> None:
    end = 0
    for match in SCANNERS[0].scan_bytes(data, b"a.log"):
        assert match.offset >= end
        assert match.length > 0
        end = match.offset + match.length
        assert match.line == data.count(b"\n", 0, match.offset) + 1
        assert match.column >= 1
    assert end <= len(data)


@given(texts)
def test_redaction_takes_out_what_the_scanner_finds(data: bytes) -> None:
    text = data.decode()
    redactor = Redactor(SCANNERS[0])
    found = SCANNERS[0].scan_bytes(data)
    shown = redactor.text(text)
    assert shown.count(" fp=") == len(found)
    if not found:
        assert shown is text
