"""What happened to a data file: damage, another shape, other values."""

from __future__ import annotations

import gzip
import json
import sqlite3
import zipfile

import pytest

from casreplay.forensics.rootcause_damage import MAX_BYTES, config_problem, symptom_of
from casreplay.forensics.rootcause_roles import role_of

TABLE = b"id,price,name\n1,2.5,a\n2,3.5,b\n3,4.5,c\n4,5,d\n"
RECORDS = b'{"id": 1, "user": {"name": "a"}}\n{"id": 2, "user": {"name": "b"}}\n'
DOCUMENT = json.dumps({"total": 3, "rows": [{"id": 1}, {"id": 2}]}, indent=1).encode()


@pytest.mark.parametrize(
    ("before", "after", "kind", "code"),
    [
        (TABLE, b"", "damaged", "emptied"),
        (TABLE, b"\0" * 40, "damaged", "emptied"),
        (TABLE, TABLE[:-9], "damaged", "truncated"),
        (TABLE, TABLE[:-8], "damaged", "truncated"),
        (TABLE, TABLE.replace(b"3.5", b"3\x005"), "damaged", "nul_bytes"),
        (TABLE, TABLE.replace(b"b", b"\xfe"), "damaged", "encoding"),
        (TABLE, TABLE.replace(b"3.5", b"3x5"), "damaged", "bad_values"),
        (TABLE, TABLE.replace(b"price", b"cost"), "shape", "columns"),
        (TABLE, TABLE.replace(b"3.5", b"9.5"), "values", "rows"),
        (TABLE, TABLE + b"5,6,e\n", "values", "appended"),
        (RECORDS, RECORDS[:-10], "damaged", "truncated"),
        (RECORDS, RECORDS.replace(b"user", b"account"), "shape", "keys"),
        (RECORDS, RECORDS.replace(b'"id": 2', b'"id": "2"'), "damaged", "bad_values"),
        (DOCUMENT, DOCUMENT[:20], "damaged", "truncated"),
        (DOCUMENT, DOCUMENT.replace(b"]", b";"), "damaged", "unparsable"),
        (DOCUMENT, DOCUMENT.replace(b'"total": 3', b'"total": "3"'), "shape", "types"),
        (gzip.compress(TABLE), gzip.compress(TABLE)[:-4], "damaged", "truncated"),
        (gzip.compress(TABLE), b"x" + gzip.compress(TABLE)[1:], "damaged", "magic"),
        (
            b"plain text, long enough to compare\n",
            b"plain text, long enough to compile\n",
            "values",
            "few_bytes",
        ),
    ],
)
def test_symptoms(before, after, kind, code):
    symptom = symptom_of(before, after)
    assert symptom is not None
    assert (symptom.kind, symptom.code) == (kind, code)


def test_a_flipped_bit_inside_gzip_is_found():
    data = bytearray(gzip.compress(TABLE * 20))
    data[len(data) // 2] ^= 0x40
    symptom = symptom_of(gzip.compress(TABLE * 20), bytes(data))
    assert symptom is not None
    assert symptom.kind == "damaged"


def test_a_zip_without_its_directory_is_damaged(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", TABLE)
    whole = path.read_bytes()
    broken = whole[: whole.index(b"PK\x01\x02")] + b"x" * 40
    symptom = symptom_of(whole, broken)
    assert symptom is not None
    assert symptom.code == "archive"


def test_a_torn_database_is_damaged(tmp_path):
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (x)")
        connection.executemany("insert into t values (?)", [("y" * 900,)] * 40)
    connection.close()
    whole = path.read_bytes()
    symptom = symptom_of(whole, b"SQLite format 3\0" + whole[16:8192] + b"z" * 10)
    assert symptom is not None
    assert symptom.code == "truncated"


def test_equal_and_added_files_are_no_damage():
    assert symptom_of(TABLE, TABLE) is None
    assert symptom_of(None, TABLE) is None


def test_a_file_that_was_read_in_part_is_not_called_broken():
    big = b"[" + b"1," * MAX_BYTES
    symptom = symptom_of(b"[1, 2, 3]", big[:MAX_BYTES])
    assert symptom is not None
    assert symptom.kind == "values"


@pytest.mark.parametrize(
    ("path", "before", "after", "expected"),
    [
        (b"a.json", b'{"a": 1}\n', b'{"a": 1,}\n', "unparsable"),
        (b"a.toml", b"a = 1\n", b"a = = 1\n", "unparsable"),
        (b"a.ini", b"[a]\nb=1\n", b"[a]\nb", "truncated"),
        (b"a.ini", b"[a]\nb=1\n", b"[a]\nb=\x00\n", "damaged"),
        (b"a.json", b'{"a": 1}\n', b'{"a": 2}\n', ""),
    ],
)
def test_config_problems(path, before, after, expected):
    assert config_problem(path, before, after) == expected


@pytest.mark.parametrize(
    ("path", "role"),
    [
        (b"app/main.py", "source"),
        (b"tests/test_main.py", "test"),
        (b"config/app.json", "config"),
        (b"settings.toml", "config"),
        (b".env", "config"),
        (b"requirements.txt", "dependency"),
        (b"node_modules/x/index.js", "dependency"),
        (b"vendor/lib.py", "dependency"),
        (b"package-lock.json", "dependency"),
        (b"data/rows.csv", "data"),
        (b"data/config.yaml", "config"),
        (b"orders.jsonl", "data"),
        (b"migrations/0001_init.sql", "contract"),
        (b"schema.json", "contract"),
        (b"logs/run.log", "log"),
        (b"stderr.txt", "log"),
        (b"out/report.json", "output"),
        (b"README.md", "document"),
        (b"Makefile", "source"),
    ],
)
def test_roles(path, role):
    assert role_of(path) == role


def test_a_file_whose_keys_were_compared_is_configuration():
    assert role_of(b"data/limits.json", config_paths=frozenset({b"data/limits.json"})) == "config"
