"""Trouble that two rules name is told once in a document, and never lost."""

from __future__ import annotations

from support.pairs import run

from casreplay.forensics.triggers.overlap import told_once
from casreplay.model.config import Config, TriggerConfig
from casreplay.model.findings import Severity


def own(severity=Severity.HIGH, pattern=r"(?i)\b(?:fatal|panic)\b"):
    trigger = TriggerConfig("fatal-in-logs", "log", severity, patterns=(pattern,), paths=("*.log",))
    return Config(triggers=(trigger,))


def rules(text, config=None):
    found = run({}, {"a.log": text.encode()}, config or own())
    kept, left_out = told_once(found.findings)
    assert len(kept) + left_out == len(found.findings)
    return [(one.rule, one.location.line) for one in kept], left_out


def test_what_a_built_in_rule_tells_is_told_once():
    text = "2026-01-01 10:00:00 INFO start\n2026-01-01 10:00:01 FATAL disk gone\n"
    assert rules(text) == ([("log.fatal", 2)], 1)


def test_repeats_that_the_built_in_rule_counts_go_too():
    text = "".join(
        f"2026-01-01 10:00:0{i} FATAL disk gone, block {i}\n2026-01-01 10:00:0{i} INFO x{i}\n"
        for i in range(4)
    )
    assert rules(text) == ([("log.fatal", 1)], 4)


def test_a_finding_of_greater_severity_stays():
    text = "2026-01-01 10:00:01 ERROR could not write order 5\n"
    graver = own(Severity.CRITICAL, "could not write")
    assert rules(text, graver) == ([("fatal-in-logs", 1), ("log.error", 1)], 0)
    assert rules(text, own(pattern="could not write")) == ([("log.error", 1)], 1)


def test_what_only_the_own_rule_finds_stays():
    text = "2026-01-01 10:00:01 INFO order 5 took too long\n2026-01-01 10:00:02 FATAL disk gone\n"
    assert rules(text, own(pattern="took too long")) == ([("log.fatal", 2), ("fatal-in-logs", 1)], 0)
    assert told_once([]) == ([], 0)
