"""The few lines of a log that are worth parsing, and those lines without secrets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from casreplay.forensics import log_windows
from casreplay.forensics.log_windows import AFTER, around, tail_of, without_secrets
from casreplay.forensics.logs import read_lines
from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter


def lines_of(data: bytes):
    return list(read_lines(data))


def hits(word: str):
    return lambda lines: {i for i, line in enumerate(lines) if word in line.text}


def test_a_hit_comes_with_the_line_before_and_what_follows():
    data = b"".join(b"%d %s\n" % (i, b"HIT" if i == 50 else b"-") for i in range(100))
    found = [line.number for line in around(lines_of(data), hits("HIT"))]
    assert found == list(range(50, 52 + AFTER))


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 7))
def test_batches_cannot_be_seen_in_what_is_chosen(pattern, batch):
    data = b"".join(b"%d %s\n" % (i, b"HIT" if hit else b"-") for i, hit in enumerate(pattern))
    lines = lines_of(data)
    wanted = {
        line.number
        for line in lines
        for at, hit in enumerate(pattern, start=1)
        if hit and at - 1 <= line.number <= at + AFTER
    }
    whole, log_windows.BATCH = log_windows.BATCH, batch
    try:
        found = [line.number for line in around(lines, hits("HIT"))]
    finally:
        log_windows.BATCH = whole
    assert found == sorted(wanted)


@given(st.binary(max_size=300), st.integers(1, 50), st.integers(1, 100))
def test_the_tail_knows_what_stands_before_it(data, piece, limit):
    tail = tail_of((data[i : i + piece] for i in range(0, len(data), piece)), limit)
    assert len(tail.data) <= limit
    assert data == data[: tail.bytes_before] + tail.data
    assert tail.lines_before == data[: tail.bytes_before].count(b"\n")


def test_lines_of_a_tail_have_the_numbers_of_the_whole():
    data = b"".join(b"line %d\n" % i for i in range(1, 101))
    tail = tail_of([data], 40)
    moved = list(tail.moved(read_lines(tail.data)))
    assert [(line.number, line.offset, line.text) for line in moved] == [
        (line.number, line.offset, line.text) for line in lines_of(data)[-len(moved) :]
    ]


KEY = (
    "-----BEGIN RSA PRIVATE " + "KEY-----\n"
    + "".join(f"MIIEpAIBAAKCAQEA{i:02d}xYq7LmZt3RkVb9Nc5PdWf1HsJg8TuEaQoXiKlMnBv\n" for i in range(12))
    + "-----END RSA PRIVATE " + "KEY-----\n"
)  # fmt: skip


def test_a_key_that_spans_lines_does_not_come_through():
    data = ("INFO before\n" + KEY + "INFO after\n").encode()
    matches = SecretScanner(fingerprinter(b"k" * 32), engine="re").scan_bytes(data)
    shown = [line.text for line in without_secrets(lines_of(data), matches)]
    assert len(shown) == data.count(b"\n")
    assert shown[0] == "INFO before"
    assert shown[-1] == "INFO after"
    assert not any("xYq7LmZt3" in text for text in shown)


def test_a_line_with_terminal_escapes_is_hidden_whole():
    secret = "Xk9" + "mQ2vLr7w4TzB8"
    data = f"\x1b[31mlogin password={secret}\x1b[0m\nplain password={secret} end\n".encode()
    matches = SecretScanner(fingerprinter(b"k" * 32), engine="re").scan_bytes(data)
    first, second = (line.text for line in without_secrets(lines_of(data), matches))
    assert secret[:6] not in first + second
    assert second.startswith("plain password=<")
    assert second.endswith(" end")


def test_without_matches_lines_come_back_as_they_are():
    lines = lines_of(b"a\nb\n")
    assert list(without_secrets(lines, ())) == lines
