from __future__ import annotations

import random

import pytest
from support.pairs import make_pair, run

from casreplay.forensics.roles import Roles
from casreplay.forensics.triggers import log
from casreplay.forensics.triggers.log import changed_logs, read_log
from casreplay.forensics.triggers.pair import Examined
from casreplay.model.config import Config, TriggerConfig
from casreplay.model.findings import Severity

SECRET = "Xk9" + "mQ2vLr7w"
OLD = "2026-03-01 10:00:00 INFO start\n2026-03-01 10:00:01 ERROR old trouble: disk\n"


def found(before: str | None, after: str | bytes, config: Config | None = None):
    data = after.encode() if isinstance(after, str) else after
    result = run({} if before is None else {"a.log": before.encode()}, {"a.log": data}, config)
    return [
        (f.rule, f.severity.label, f.location.line, f.location.end_line)
        for f in result.findings
        if f.kind == "log"
    ]


def test_old_trouble_is_no_finding() -> None:
    assert found(OLD, OLD + "2026-03-02 10:00:00 INFO start\n") == []
    assert found(OLD, OLD.replace("10:00", "11:30").replace("2026-03-01", "2026-04-09")) == []


def test_a_trace_is_one_finding_that_spans_its_block() -> None:
    trace = (
        "Traceback (most recent call last):\n"
        '  File "a.py", line 3, in <module>\n    main()\n'
        '  File "a.py", line 9, in main\n    raise ValueError("bad")\n'
        "ValueError: bad\n"
    )
    assert found(OLD, OLD + "2026-03-02 10:00:00 INFO go\n" + trace) == [("log.trace", "high", 4, 9)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2026-03-02 10:00:00 ERROR cannot write /x: No space left on device", ("log.error", "high")),
        ("2026-03-02 10:00:00 FATAL giving up", ("log.fatal", "critical")),
        ("CRITICAL: out of memory", ("log.fatal", "critical")),
        ("Segmentation fault (core dumped)", ("log.fatal", "critical")),
        ("npm ERR! code ERESOLVE", ("log.error", "high")),
        ("build.sh: connection refused", ("log.error", "medium")),
        ('{"level":"error","msg":"no route"}', ("log.error", "high")),
    ],
)
def test_lines_that_are_trouble(line, expected) -> None:
    assert [row[:2] for row in found(OLD, OLD + line + "\n")] == [expected]


@pytest.mark.parametrize(
    "line",
    [
        "0 errors, 0 warnings",
        "errors: 0",
        "no errors found",
        "running with --fail-fast",
        "compiled src/errors.py",
        "test_connection_error PASSED",
        "tests/test_x.py::test_fail XFAIL",
        "2026-03-02 10:00:00 INFO the server said: error 404 handled",
        "2026-03-02 10:00:00 WARNING slow",
        "everything is fine",
    ],
)
def test_lines_that_are_none(line) -> None:
    assert found(OLD, OLD + line + "\n") == []


def test_a_retry_that_later_succeeds_is_none() -> None:
    retry = "request failed: connection refused, retrying (attempt 1 of 3)\n"
    assert found(OLD, OLD + retry + "request succeeded\n") == []
    assert [row[0] for row in found(OLD, OLD + retry)] == ["log.error"]


def test_details_belong_to_their_error() -> None:
    text = "2026-03-02 10:00:00 ERROR cannot open x\n    errno 13\n    uid 0\n2026-03-02 10:00:01 INFO next\n"
    assert found(OLD, OLD + text) == [("log.error", "high", 3, 5)]


def test_a_new_log_is_new_from_its_first_line() -> None:
    assert found(None, OLD) == [("log.error", "high", 2, 2)]


def test_messages_are_redacted() -> None:
    result = run({}, {"a.log": f"ERROR: login failed password={SECRET}\n".encode()})
    assert all(SECRET not in finding.message for finding in result.findings)
    assert any("<assign.password>" in f.message for f in result.findings if f.kind == "log")


def test_own_patterns_look_at_new_lines_only() -> None:
    trigger = TriggerConfig("disk", "log", Severity.LOW, patterns=("disk",), description="Disk trouble")
    config = Config(triggers=(trigger,), disabled_triggers=("log",))
    assert found(OLD, OLD + "2026-03-02 10:00:00 INFO disk replaced by Bob\n  serial 7\n", config) == [
        ("disk", "low", 3, 4)
    ]
    assert found(OLD, OLD + "2026-03-02 10:00:00 INFO ok\n", config) == []


def test_own_patterns_can_name_other_files() -> None:
    trigger = TriggerConfig("boom", "log", patterns=("boom",), paths=("notes/*.txt",))
    result = run({}, {"notes/a.txt": b"boom\n", "b.txt": b"boom\n"}, Config(triggers=(trigger,)))
    assert [f.location.path for f in result.findings if f.rule == "boom"] == [b"notes/a.txt"]


def test_binary_wide_and_broken_logs() -> None:
    rng = random.Random(1)
    result = run({}, {"a.log": rng.randbytes(5000), "b.log": "ERROR: wide\n".encode("utf-16")})
    assert [(f.location.path, f.rule) for f in result.findings if f.kind == "log"] == [
        (b"b.log", "log.error")
    ]
    assert {"path": "a.log", "family": "log", "reason": "binary"} in result.coverage["not_examined"]
    assert [row[0] for row in found(None, b"\xff\xfe bad \xe4\xf6\nERROR: caf\xe9\n")] in ([], ["log.error"])


def test_a_log_full_of_errors_is_bounded() -> None:
    words = [f"{a}{b}{c}" for a in "abcdefghij" for b in "klmnopqrst" for c in "uvwxyz"]
    text = "".join(f"ERROR: thing {word} broke\n" for word in words)
    rows = found(None, text)
    assert len(rows) <= 201
    assert rows[0][1] == "high"


def test_several_readers_of_a_pair_read_its_logs_once() -> None:
    pair = make_pair(
        {"a.log": OLD.encode()}, {"a.log": (OLD + "ERROR: x\n").encode(), "b.log": b"\0\1" * 999}
    )
    first, second = Examined(), Examined()
    roles = Roles(Config())
    one = [read_log(pair, change, first) for change in changed_logs(pair, roles, first)]
    pair.objects.read.clear()
    two = [read_log(pair, change, second) for change in changed_logs(pair, roles, second)]
    assert pair.objects.read == []
    assert [log and log.new for log in one] == [log and log.new for log in two]
    assert first.to_dict() == second.to_dict()


def test_levels_on_every_line_do_not_cut_a_record() -> None:
    text = "[ERROR] A.java:[3,4] no symbol\n[ERROR]   symbol: class B\n[ERROR] \n[ERROR] other trouble\n"
    assert found(OLD, OLD + text) == [("log.error", "high", 3, 5), ("log.error", "high", 6, 6)]


def test_errors_that_say_the_same_are_one_finding() -> None:
    text = "".join(f"2026-03-02 10:00:{i:02} ERROR request {i} failed: no route\n" for i in range(1, 31))
    result = run({"a.log": OLD.encode()}, {"a.log": (OLD + text).encode()})
    [finding] = [f for f in result.findings if f.kind == "log"]
    assert "(30 times)" in finding.message
    assert finding.location.line == 3


def test_logs_read_at_once_say_what_they_say_one_by_one(monkeypatch):
    monkeypatch.setattr(log, "_WORTH_PROCESSES", 100)
    monkeypatch.setattr(log.workers, "count", lambda: 3)
    before = {f"logs/{i}.log": b"2024-01-01 10:00:00 INFO run %d started\n" % i * 50 for i in range(7)}
    after = {
        path: content + b"2024-01-02 10:00:00 ERROR caf\xe9 %d: disk full\n" % i
        for i, (path, content) in enumerate(before.items())
    }
    after |= {"logs/binary.log": bytes(range(8)) * 900, "logs/3.log": b"\xffFATAL gone\r\n\r\n   at x\r\n"}
    one_by_one, at_once = make_pair(before, after), make_pair(before, after)
    changes = [one for one in at_once.changes if one.path != b"logs/0.log"]
    log.read_ahead(at_once, changes)
    assert set(at_once.memory) == {one.path for one in changes}
    for change in at_once.changes:
        for pair in (one_by_one, at_once):
            log.read_log(pair, change, Examined())
    assert at_once.memory == one_by_one.memory
    findings = run(before, after).findings
    monkeypatch.setattr(log, "_WORTH_PROCESSES", 1 << 40)
    assert findings == run(before, after).findings
    assert len(findings) >= 6
    untouched = make_pair(before, after)
    log.read_ahead(untouched, untouched.changes)
    assert untouched.memory == {}
