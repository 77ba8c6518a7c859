"""Values that stand on the line below their name."""

from __future__ import annotations

import pytest

from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter

VALUE = "GEITSz" + "CY0L77SJQdIjZA"
SCANNER = SecretScanner(fingerprinter(b"k" * 32), engine="re")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.json", '{"password":\n   "VALUE"}\n'),
        ("a.json", '{"password":\r\n\t"VALUE",\r\n"x": 1}\n'),
        ("a.yaml", "password:\n  VALUE\n"),
        ("a.yaml", "password: >-\n  VALUE\n"),
        ("a.yaml", "db_password: |\n  VALUE\nuser: x\n"),
        ("a.py", 'password = (\n    "VALUE"\n)\n'),
        ("a.js", "const apiSecret =\n  'VALUE';\n"),
    ],
)
def test_found(path, text):
    [found] = SCANNER.scan_bytes(text.replace("VALUE", VALUE).encode(), path.encode())
    assert (found.rule.partition(".")[0], found.line, found.length) == ("assign", 2, len(VALUE))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.yaml", "password:\n  VALUE: x\n"),
        ("a.yaml", "password:\n  VALUE:\n"),
        ("a.yaml", "password:\nVALUE\n"),
        ("a.py", "password = (\n    VALUE\n)\n"),
        ("a.py", 'password = (\n    "VALUE" + suffix)\n'),
        ("a.yaml", "password:\n  changeme\n"),
        ("a.yaml", "password:\n  # VALUE\n"),
    ],
)
def test_left_alone(path, text):
    assert SCANNER.scan_bytes(text.replace("VALUE", VALUE).encode(), path.encode()) == []
