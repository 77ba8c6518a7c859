from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.pairs import AFTER, BEFORE, blob_secrets, make_pair, run

from casreplay.codec.config import load
from casreplay.codec.hashing import blob_id
from casreplay.forensics.triggers.check import BUILT_IN, check, rule_names
from casreplay.model.config import Config, ConstraintConfig, IgnoredFinding, TriggerConfig
from casreplay.model.findings import Severity

SECRET = "Xk9" + "mQ2vLr7w"


def found(before, after, config=None) -> list[tuple[str, str, str, int | None, int | None]]:
    result = run(before, after, config)
    return [
        (f.rule, f.severity.label, f.location.path.decode(), f.location.line, f.location.end_line)
        for f in result.findings
    ]


def rules(before, after, config=None) -> list[str]:
    return [row[0] for row in found(before, after, config)]


def test_every_rule_has_its_name_in_the_docs_and_is_known_by_it() -> None:
    page = (Path(__file__).parents[3] / "docs/triggers.md").read_text()
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    told = {name for cell in cells for name in re.findall(r"`([a-z]+\.[a-z-]+)`", cell)}
    assert told == set(BUILT_IN)
    own = Config(
        triggers=(TriggerConfig("disk", "log", patterns=("No space",)),),
        constraints=(ConstraintConfig("frozen", "must_not_change", paths=("migrations/",)),),
    )
    assert {"disk", "frozen", "aws.access-key", "assign.api-key"} <= rule_names(own)
    assert rules({"a.toml": b"x = 1\n"}, {"a.toml": b"x = 2\n"})[0] in rule_names(Config())


# Deletions


def test_deletions_are_graded_by_what_the_file_was_for() -> None:
    names = ["src/a.py", "settings.toml", "data/x.bin", "out/r.txt", "run.log", "tmp/x", "README.md", "what"]
    before = {name: f"content of {name}\n".encode() * 9 for name in names}
    assert {(rule, severity) for rule, severity, *_ in found(before, {})} == {
        ("deletion.source", "high"),
        ("deletion.config", "high"),
        ("deletion.data", "high"),
        ("deletion.output", "medium"),
        ("deletion.log", "low"),
        ("deletion.cache", "info"),
        ("deletion.document", "medium"),
        ("deletion.other", "medium"),
    }


def test_a_rename_is_no_deletion() -> None:
    assert rules({"src/a.py": b"print(1)\n" * 20}, {"lib/b.py": b"print(1)\n" * 20}) == []


def test_an_ignored_path_is_not_missed() -> None:
    pair = make_pair({"a.py": b"x\n"}, {}, is_ignored=lambda path: path == b"a.py")
    assert check(pair, Config(), blob_secrets(pair)).findings == ()


def test_evidence_of_a_deletion_is_on_the_earlier_side() -> None:
    [finding] = run({"a.py": b"x = 1\n"}, {}).findings
    assert (finding.location.snapshot, finding.location.blob) == (BEFORE, blob_id(b"x = 1\n"))


# Configuration


def test_changed_keys_have_lines_and_values() -> None:
    result = run({"app.yaml": b"db:\n  host: a\n"}, {"app.yaml": b"db:\n  host: b\n"})
    [finding] = result.findings
    assert finding.message == 'app.yaml: db.host changed from "a" to "b"'
    assert (finding.location.line, finding.location.snapshot) == (2, AFTER)
    assert [(e.snapshot, e.line) for e in finding.evidence] == [(AFTER, 2), (BEFORE, 2)]


def test_a_changed_secret_is_not_shown() -> None:
    old, new = "aaa" + "Bbb11!", "ordinaryword"
    result = run(
        {"a.env": f"DB_PASSWORD={old}\nTOKEN_URL=x\n".encode()},
        {"a.env": f"DB_PASSWORD={new}\nTOKEN_URL=y\n".encode()},
    )
    text = json.dumps(result.to_dict())
    assert old not in text
    assert new not in text
    assert "<assign.value> len=9 fp=" in text
    assert 'TOKEN_URL changed from \\"x\\" to \\"y\\"' in text


def test_a_config_that_no_longer_parses() -> None:
    assert found({"a.json": b'{"a": 1}\n'}, {"a.json": b'{"a": 1\n"b": 2}\n'}) == [
        ("config.unparsable", "high", "a.json", 2, 2)
    ]


def test_outputs_data_and_lock_files_are_no_configuration() -> None:
    before = {"out/r.json": b'{"a": 1}', "package-lock.json": b'{"a": 1}', "data/x.json": b'{"a": 1}'}
    assert rules(before, dict.fromkeys(before, b'{"a": 2}')) == []


def test_many_keys_are_counted_not_listed() -> None:
    before = json.dumps({f"k{i}": 1 for i in range(80)}).encode()
    after = json.dumps({f"k{i}": 2 for i in range(80)}).encode()
    names = rules({"a.json": before}, {"a.json": after})
    assert names.count("config.key-changed") == 50
    assert names.count("config.many-keys") == 1


def test_a_huge_config_is_named_in_the_coverage() -> None:
    result = run({"a.json": b"{}"}, {"a.json": b'{"a": "' + b"x" * 2_100_000 + b'"}'})
    assert result.coverage["not_examined"][0]["reason"] == "larger than 2 MB"


# Empty and grown


@pytest.mark.parametrize(
    ("path", "content", "phrase"),
    [
        ("out/a.txt", b"", "empty"),
        ("out/a.txt", b" \n\t\n", "only white space"),
        ("out/a.txt", " \n".encode("utf-16-le"), "only white space"),
        ("report.json", b"[]\n", "only []"),
        ("out/a.json", b"{}", "only {}"),
        ("out/a.json", b"null", "only null"),
        ("result.csv", b"id,name\n", "a header without rows"),
    ],
)
def test_empty_outputs(path, content, phrase) -> None:
    config = Config(output_files=("out/**", "report.json"))
    result = run({}, {path: content}, config)
    assert [(f.rule, f.message) for f in result.findings] == [("empty.output", f"{path} is {phrase}")]


@pytest.mark.parametrize(
    "path", [".gitkeep", "out/.gitkeep", "src/__init__.py", "out/a.lock", "py.typed", "src/new.py", "run.log"]
)
def test_what_may_be_empty(path) -> None:
    assert rules({}, {path: b""}) == []


@pytest.mark.parametrize("content", [b"id,n\n1,2\n", b"42\n", b"a\n", b"1,2\n"])
def test_small_is_not_empty(content) -> None:
    assert rules({}, {"out/a.csv": content}) == []


def test_emptied_and_shrunk_files() -> None:
    full = b"".join(b"row %d\n" % i for i in range(2000))
    assert found({"src/a.py": full}, {"src/a.py": b""}) == [("empty.emptied", "high", "src/a.py", None, None)]
    assert rules({"data/a.bin": full}, {"data/a.bin": full[:100]}) == ["empty.shrunk"]
    assert rules({"data/a.bin": full}, {"data/a.bin": full[: len(full) // 10]}) == []
    assert rules({"run.log": full}, {"run.log": b""}) == []
    assert rules({"out/a.txt": b"  \n"}, {"out/a.txt": b""}) == []


def test_growth() -> None:
    small, large = b"x\n" * 1000, b"y %d\n" * 400_000
    assert found({"data/a.bin": small}, {"data/a.bin": large}) == [
        ("growth.file", "medium", "data/a.bin", None, None)
    ]
    assert rules({"data/a.bin": small}, {"data/a.bin": small * 5}) == []
    many = {f"out/{i}.txt": b"x\n" for i in range(1000)}
    assert rules({}, many) == ["growth.files"]


# Secrets


def test_only_new_secrets_are_findings() -> None:
    old = f"password = {SECRET}\n"
    new = old + f"# note\napi_key = {SECRET}{SECRET}\n"
    result = run({"a.ini": old.encode()}, {"a.ini": new.encode()})
    secrets = [f for f in result.findings if f.kind == "secret"]
    assert [(f.rule, f.location.line) for f in secrets] == [("assign.api-key", 3)]
    at = secrets[0].location
    assert new.encode()[at.offset : at.offset + at.length].decode() == SECRET * 2
    assert SECRET[:6] not in json.dumps(result.to_dict())


def test_secrets_can_be_excluded_and_allowed() -> None:
    files = {"a.ini": f"password = {SECRET}\n".encode()}
    assert "assign.password" in rules({}, files)
    assert "assign.password" not in rules({}, files, Config(secrets_exclude=("*.ini",)))
    assert "assign.password" not in rules({}, files, Config(secrets_allow=(SECRET[:3] + ".*",)))
    assert "assign.password" not in rules({}, files, Config(disabled_triggers=("secret",)))


# Constraints


def test_path_constraints() -> None:
    before = {"src/a.py": b"1\n" * 50, "docs/a.md": b"2\n" * 50}
    after = {"lib/a.py": b"1\n" * 50, "docs/a.md": b"3\n" * 50}
    frozen = ConstraintConfig("frozen", "must_not_change", ("src/",), severity=Severity.CRITICAL)
    only = ConstraintConfig("only-docs", "only_may_change", ("docs/",), description="the task is about docs")
    result = run(before, after, Config(constraints=(frozen, only)))
    messages = {f.rule: f.message for f in result.findings if f.kind == "constraint"}
    assert messages == {
        "frozen": "src/a.py was renamed to lib/a.py (frozen: must not change)",
        "only-docs": "src/a.py was renamed to lib/a.py (only-docs: the task is about docs)",
    }


def test_content_constraints() -> None:
    must = ConstraintConfig("licence", "must_contain", ("*.py",), "Copyright")
    never = ConstraintConfig("no-eval", "must_not_contain", ("*.py",), r"\beval\(")
    config = Config(constraints=(must, never))
    after = {"a.py": b"# Copyright x\nx = 1\neval(x)\n", "b.py": b"x = 1\n", "c.md": b"eval(x)\n"}
    assert [row[:1] + row[2:4] for row in found({}, after, config)] == [
        ("no-eval", "a.py", 3),
        ("licence", "b.py", None),
    ]
    assert rules(after, after, config) == []


# The user's triggers


def test_own_triggers_of_every_kind() -> None:
    config = Config(
        triggers=(
            TriggerConfig("touched", "change", Severity.LOW, ("keep/",), changes=("modified", "deleted")),
            TriggerConfig("todo", "content", patterns=("FIX" + "ME",)),
            TriggerConfig("hollow", "empty", Severity.HIGH, ("keep/",)),
            TriggerConfig("big", "growth", paths=("*.bin",), factor=2),
            TriggerConfig("off", "content", patterns=(".",), enabled=False),
        )
    )
    word = b"FIX" + b"ME"
    before = {"keep/a": b"1\n", "b.py": word + b" old\n", "c.bin": b"x" * 100, "keep/d": b"z"}
    after = {"keep/a": b"", "b.py": word + b" old\nx\n" + word + b" new\n", "c.bin": b"x" * 300}
    named = {row[0]: row[1:] for row in found(before, after, config)}
    assert named["todo"] == ("medium", "b.py", 3, 3)
    assert named["hollow"] == ("high", "keep/a", None, None)
    assert named["big"] == ("medium", "c.bin", None, None)
    assert named["touched"][0] == "low"
    assert "off" not in named


def test_the_predecessors_triggers_work(tmp_path) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {
                "TRIGGERS": [
                    {
                        "name": "error_in_logs",
                        "type": "log_match",
                        "severity": "high",
                        "config": {"patterns": ["Traceback", "FATAL"], "log_files": ["*.txt"]},
                    },
                    {
                        "name": "config_deleted",
                        "type": "file_change",
                        "severity": "critical",
                        "config": {"change_type": "deleted", "protected_patterns": ["*.yaml"]},
                    },
                    {"name": "leak", "type": "pattern", "config": {"patterns": ["internal-[0-9]{4}"]}},
                    {"name": "empty_output", "type": "file_change", "config": {"check": "empty_file"}},
                ]
            }
        )
    )
    config = load(str(path))
    before = {"app.yaml": b"a: 1\n", "job.txt": b"start\n"}
    after = {"job.txt": b"start\nFATAL: gone\n", "note.md": b"see INTERNAL-1234\n", "report.txt": b""}
    named = rules(before, after, config)
    assert {"error_in_logs", "config_deleted", "leak", "empty_output"} <= set(named)


# All together


def test_findings_come_worst_first_and_the_same_every_time() -> None:
    before = {"a.log": b"x\n", "b.py": b"1\n", "c.json": b'{"a": 1}'}
    after = {"a.log": b"x\nFATAL: boom\n", "c.json": b'{"a": 2}'}
    first, second = run(before, after), run(before, after)
    assert first.to_dict() == second.to_dict()
    severities = [finding.severity for finding in first.findings]
    assert severities == sorted(severities, reverse=True)
    assert first.worst is Severity.CRITICAL


def test_accepted_findings_are_left_out_and_counted() -> None:
    before = {"src/a.py": b"1\n", "src/b.py": b"2\n"}
    ignored = IgnoredFinding("deletion.source", ("src/a.py",), "meant")
    result = run(before, {}, Config(ignore_findings=(ignored,)))
    assert [f.location.path for f in result.findings] == [b"src/b.py"]
    assert result.ignored == 1


def test_families_can_be_switched_off() -> None:
    before = {"a.py": b"1\n", "a.json": b'{"a": 1}', "a.log": b""}
    after = {"a.json": b'{"a": 2}', "a.log": b"ERROR: x\n", "o.csv": b""}
    every = ("log", "deletion", "config", "secret", "constraint", "empty", "growth")
    result = run(before, after, Config(disabled_triggers=every))
    assert result.findings == ()
    assert len(result.coverage["notes"]) == len(every)
    assert {rule.partition(".")[0] for rule in rules(before, after)} == {"deletion", "config", "log", "empty"}


def test_nothing_changed_nothing_found() -> None:
    result = run({}, {})
    assert result.to_dict()["findings"] == []
    assert result.coverage["examined"]["changes"] == 0
    assert run({"a": b"x"}, {"a": b"x"}).findings == ()
