# Real traces and log lines are quoted whole.
# ruff: noqa: E501
"""Log reading: line ends, encodings, prefixes, continuation, levels, JSON, traces, masks, guards."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.forensics.logs import (
    LogRecord,
    TraceBlock,
    blocks,
    is_binary,
    is_negated,
    mask,
    mask_block,
    read_lines,
    read_records,
)
from casreplay.forensics.logs.guards import without_file_names
from casreplay.forensics.logs.timestamps import TimestampReader

NS = 10**9


def records(text: str | bytes) -> list[LogRecord]:
    return list(read_records(text.encode() if isinstance(text, str) else text))


def only_block(text: str) -> TraceBlock:
    (block,) = blocks(read_records(text.encode()))
    return block


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\nb\n", [(1, "a"), (2, "b")]),
        (b"a\r\nb", [(1, "a"), (2, "b")]),
        (b"a\rb\n", [(1, "a"), (2, "b")]),
        (b"10%\r55%\r100% done\nnext\n", [(3, "100% done"), (4, "next")]),
        (b"\x1b[31mred\x1b[0m\n", [(1, "red")]),
        (b"\xef\xbb\xbfbom\n", [(1, "bom")]),
        (b"caf\xe9 \xc3\xa9\n", [(1, "caf\u00e9 \u00c3\u00a9")]),
        ("w\u00efde\nb\n".encode("utf-16"), [(1, "w\u00efde"), (2, "b")]),
        (b"", []),
    ],
)
def test_lines_are_cut_decoded_and_numbered(data, expected):
    assert [(line.number, line.text) for line in read_lines(data)] == expected


@given(st.binary(max_size=300).map(lambda b: b.translate(None, bytes(range(9)))), st.integers(1, 7))
def test_the_size_of_the_pieces_makes_no_difference(data, size):
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    assert list(read_lines(iter(pieces))) == list(read_lines(data))


@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=8), max_size=20))
def test_offsets_name_the_bytes_of_each_line(texts):
    data = "".join(text + "\n" for text in texts).encode()
    for line in read_lines(data):
        assert data[line.offset : line.end_offset].decode() == line.text + "\n"


def test_a_line_without_end_is_bounded_in_memory_and_its_bytes_are_counted():
    pieces = [b"start ", *[b"x" * 100_000] * 30, b"\nnext\n"]
    long, after = read_lines(iter(pieces))
    assert len(long.text) == 64 * 1024
    assert (after.number, after.offset) == (2, 6 + 3_000_000 + 1)


def test_binary_is_told_from_text_with_a_few_nuls():
    assert is_binary(bytes(range(256)) * 8)
    assert not is_binary(b"2024-01-01 started\n" * 20 + b"\0" * 20)
    assert list(read_records(bytes(range(256)) * 8)) == []


def test_lines_without_a_time_continue_the_record_before():
    first, second = records(
        "2024-05-01 10:00:00,250 ERROR db failed\n  detail one\nplain detail\n2024-05-01 10:00:01,000 INFO on\n"
    )
    assert first.lines == (1, 2, 3)
    assert (first.level, first.message) == ("error", "db failed")
    assert first.time_ns == 1_714_557_600 * NS + 250_000_000
    assert first.time_quality == "naive"
    assert (second.line, second.level) == (4, "info")


def test_the_time_format_is_locked_by_its_first_hit():
    got = records(
        "2024-05-01T10:00:00Z one\n12:30:45 is a clock inside the message\n2024-05-01T10:00:01Z two\n"
    )
    assert [record.lines for record in got] == [(1, 2), (3,)]


def test_a_crash_after_an_info_record_is_its_own_record():
    got = records(
        "2024-05-01 10:00:00 INFO up\nTraceback (most recent call last):\n"
        '  File "a.py", line 1, in <module>\nKeyError: 1\n'
    )
    assert [record.lines for record in got] == [(1,), (2, 3, 4)]


@pytest.mark.parametrize(
    ("line", "seconds", "quality"),
    [
        ("2024-05-01T10:00:00+02:00 x", 1_714_550_400, "exact"),
        ("[2024-05-01 10:00:00,000] x", 1_714_557_600, "naive"),
        ("2024/05/01 10:00:00 x", 1_714_557_600, "naive"),
        ('1.2.3.4 - - [01/May/2024:10:00:00 +0000] "GET / HTTP/1.1" 500 1', 1_714_557_600, "exact"),
        ("Wed, 01 May 2024 10:00:00 GMT x", 1_714_557_600, "exact"),
        ("Wed May  1 10:00:00 2024 x", 1_714_557_600, "naive"),
        ("May  1 10:00:00 host app[1]: x", 1_714_557_600, "inferred"),
        ("E0501 10:00:00.000000 1 main.go:1] x", 1_714_557_600, "inferred"),
        ("1714557600.5 x", 1_714_557_600.5, "exact"),
        ("20240501 10:00:00 x", 1_714_557_600, "naive"),
        ("24/05/01 10:00:00 INFO x", 1_714_557_600, "naive"),
        ("05/01/2024 10:00:00 AM x", 1_714_557_600, "naive"),
        ("May 01, 2024 10:00:00 AM org.x.Main run", 1_714_557_600, "naive"),
        ("01-May-2024 10:00:00.000 SEVERE x", 1_714_557_600, "naive"),
        ("time=2024-05-01T10:00:00Z level=info", 1_714_557_600, "exact"),
        ("10:00:00.000 [main] INFO x", 1_714_557_600, "inferred"),
    ],
)
def test_times_are_read_with_their_quality(line, seconds, quality):
    stamp = TimestampReader(base_ns=1_714_540_000 * NS).read(line)
    assert stamp is not None
    assert (stamp.time_ns, stamp.quality) == (int(seconds * NS), quality)


@pytest.mark.parametrize(
    "line", ["10 files changed", "version 1.2.3.4", "127.0.0.1 refused", "1234567890123456789012 x"]
)
def test_numbers_are_not_times(line):
    assert TimestampReader().read(line) is None


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("ERROR: x", "error"),
        ("[WARN] x", "warning"),
        ("##[error]Process completed with exit code 1.", "error"),
        ("::warning file=a.js,line=1::x", "warning"),
        ("npm ERR! code E404", "error"),
        ("npm warn deprecated", "warning"),
        ("level=fatal msg=x", "fatal"),
        ("2024-05-01 10:00:00 [main] DEBUG c.e.App - x", "debug"),
        ("2024-05-01 10:00:00 an error in words", ""),
        ("an error occurred", ""),
        ("INFO: 1 error ignored", "info"),
        ("[E] x", "error"),
    ],
)
def test_levels_are_only_those_stated(line, level):
    (record,) = records(line)
    assert record.level == level


@pytest.mark.parametrize(
    ("fields", "level", "seconds"),
    [
        ({"level": 50, "time": 1714557600000, "msg": "x"}, "error", 1_714_557_600),
        (
            {"severity": "WARNING", "message": "x", "timestamp": "2024-05-01T10:00:00Z"},
            "warning",
            1_714_557_600,
        ),
        ({"level": "info", "ts": 1714557600.0, "msg": "x"}, "info", 1_714_557_600),
        ({"level": 3, "short_message": "x"}, "error", None),
        ({"levelname": "CRITICAL", "message": "x"}, "fatal", None),
        ({"log": "ERROR: x\n", "stream": "stderr", "time": "2024-05-01T10:00:00Z"}, "error", 1_714_557_600),
    ],
)
def test_json_records(fields, level, seconds):
    (record,) = records(json.dumps(fields))
    assert record.level == level
    assert record.time_ns == (None if seconds is None else seconds * NS)
    assert "x" in record.message


def test_a_json_records_stack_is_read_as_a_block_on_its_line():
    line = json.dumps({"level": "error", "msg": "m", "stack": "TypeError: bad\n    at f (/a/b.js:1:2)"})
    block = only_block("{}\n" + line + "\n")
    assert (block.exception, block.lines) == ("TypeError", (2,))


def test_ci_and_container_prefixes_are_taken_off():
    raw = "2021-12-01T13:01:04.3811085Z ERROR: x\n2021-12-01T13:01:04.3812849Z   more\n"
    (record,) = records(raw)
    assert (record.text, record.level, record.time_quality) == ("ERROR: x\n  more", "error", "exact")
    (step,) = records("build\tRun tests\t2021-12-01T13:01:04.3811085Z ##[error]bad\n")
    assert (step.source, step.level) == ("build / Run tests", "error")
    web, db = records("web-1  | ERROR: x\ndb-1   | ready\n" * 1 + "")
    assert (web.source, web.text, db.source) == ("web-1", "ERROR: x", "db-1")


PYTHON = """Traceback (most recent call last):
  File "a.py", line 3, in f
    x()
KeyError: 'DB'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b.py", line 5, in g
RuntimeError: no
"""
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "g.py", line 1, in <module>
  |     raise ExceptionGroup("many", [ValueError(1)])
  | ExceptionGroup: many (1 sub-exception)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +------------------------------------
"""
NODE = """/app/x.js:3
    throw new Error('failed');
    ^

Error: failed
    at foo (/app/x.js:3:4)
    at node:internal/main/run_main_module:28:49 {
  [cause]: Error: connect ECONNREFUSED 127.0.0.1:1
      at TCPConnectWrap (node:net:1607:16) {
    errno: -111
  }
}

Node.js v20.1.0
"""
JAVA = """Exception in thread "main" java.lang.RuntimeException: outer
\tat A.main(A.java:3)
Caused by: java.lang.IllegalStateException: middle
\tat A.x(A.java:4)
\t... 1 more
Caused by: java.io.IOException: inner
\tat A.y(A.java:5)
\t... 2 more
"""
GO = """panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.main()
\t/src/x.go:7 +0x1d
exit status 2
"""
RUST_NEW = """thread 'main' panicked at src/main.rs:2:5:
index out of bounds: the len is 3 but the index is 5
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"""
RUST_OLD = "thread 'main' panicked at 'no value', src/main.rs:9:5\nnote: run with `RUST_BACKTRACE=1`\n"
RUBY = (
    "app.rb:3:in `call': undefined method `x' for nil:NilClass (NoMethodError)\n\tfrom app.rb:9:in `<main>'\n"
)
PHP = "PHP Fatal error:  Uncaught TypeError: bad in /a/x.php:3\nStack trace:\n#0 /a/x.php(9): f()\n#1 {main}\n  thrown in /a/x.php on line 3\n"
DOTNET = """Unhandled exception. System.InvalidOperationException: outer
 ---> System.IO.IOException: inner
   at App.Run() in /src/App.cs:line 4
   --- End of inner exception stack trace ---
   at App.Main() in /src/App.cs:line 9
"""
SHELL = "deploy.sh: line 12: jqq: command not found\n"
ASAN = """==12==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602
READ of size 4 at 0x602 thread T0
    #0 0x4a in main /src/x.c:5
SUMMARY: AddressSanitizer: heap-buffer-overflow /src/x.c:5 in main
"""


TRACES = [
    (PYTHON, "python", "RuntimeError", "KeyError", "'DB'"),
    (NODE, "node", "Error", "Error", "connect ECONNREFUSED 127.0.0.1:1"),
    (JAVA, "java", "java.lang.RuntimeException", "java.io.IOException", "inner"),
    (GO, "go", "panic", "panic", "runtime error: index out of range [5] with length 3"),
    (RUST_NEW, "rust", "panic", "panic", "index out of bounds: the len is 3 but the index is 5"),
    (RUST_OLD, "rust", "panic", "panic", "no value"),
    (RUBY, "ruby", "NoMethodError", "NoMethodError", "undefined method `x' for nil:NilClass"),
    (PHP, "php", "TypeError", "TypeError", "bad"),
    (DOTNET, "dotnet", "System.InvalidOperationException", "System.IO.IOException", "inner"),
    (SHELL, "shell", "shell", "shell", "jqq: command not found"),
    (ASAN, "sanitizer", "AddressSanitizer", "AddressSanitizer", "heap-buffer-overflow on address 0x602"),
]


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace[1])
@pytest.mark.parametrize("before", ["", "starting\n\n"])
@pytest.mark.parametrize("after", ["", "unrelated line of output\n"])
def test_traces_are_blocks_with_a_cause(trace, before, after):
    text, language, exception, cause, cause_message = trace
    block = only_block(before + text + after)
    assert (block.language, block.exception) == (language, exception)
    assert (block.cause, block.cause_message) == (cause, cause_message)
    first = before.count("\n") + 1
    assert block.lines[0] == first
    assert block.lines[-1] == first + text.rstrip().count("\n")


def test_an_exception_groups_border_belongs_to_the_block():
    block = only_block(GROUP + "after\n")
    assert block.exception in {"ExceptionGroup", "ValueError"}
    assert block.lines == (1, 2, 3, 4, 5, 6, 7)


def test_two_traces_are_two_blocks():
    text = 'Traceback (most recent call last):\n  File "a.py", line 1, in x\nKeyError: 1\n'
    assert [block.lines for block in blocks(read_records((text + "ok\n" + text).encode()))] == [
        (1, 2, 3),
        (5, 6, 7),
    ]


def test_masks_replace_what_varies():
    a = mask("2024-05-01T10:00:00Z job 12 id 9f86d081884c7d65 at /home/u/x/y.py 0xdeadbeef in 3.25s")
    b = mask("2025-11-30T23:59:59Z job 7 id 1f2e3d4c5b6a7988 at /srv/app/z.py 0xcafe in 12.5s")
    assert a == b
    assert mask("cannot open file") != mask("cannot read file")
    assert mask_block(b"job 1\njob 22\n") == b"job 0\njob 0\n"


@pytest.mark.parametrize(
    "line",
    [
        "Tests run: 5, Failures: 0, Errors: 0, Skipped: 0",
        "0 errors, 0 warnings",
        "Found no errors",
        "errors: 0",
        '{"error": null, "ok": true}',
        "run with --fail-fast",
        "tests/test_errors.py::test_error_is_raised PASSED",
        "ok 12 - throws an error when empty",
        "test_bad_value XFAIL (known failure)",
        "error=None",
        "import errors",
        "retry succeeded after ConnectionError",
    ],
)
def test_lines_that_report_no_error(line):
    assert is_negated(line)


@pytest.mark.parametrize(
    "line",
    [
        "1 error", "ERROR: disk full", "10 errors", "Failures: 3", "FAILED tests/test_errors.py::test_x - KeyError",
        "error: no such file", "errors.py: error: bad", "Error: 0x80070005 access denied", "errors: 0.5% of requests", "ERROR handler web failed: connection reset by peer", "Tests run: 9, Failures: 1, Errors: 0", "host db.internal could not be resolved", "pytest --fail-fast: fatal: disk full", "exception was not handled",
    ],
)  # fmt: skip
def test_lines_that_do(line):
    assert not is_negated(line)


def test_file_names_are_no_words():
    assert "error" not in without_file_names("compiling src/errors.py and lib/error_handler.js")
    assert "error" in without_file_names("error in src/errors.py")
