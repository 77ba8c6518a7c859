"""Strict reading of casreplay.json: everything wrong is named, all at once."""

from __future__ import annotations

import json

import pytest

from casreplay.codec.config import MAX_CONFIG_BYTES, load, parse, template
from casreplay.errors import ConfigError
from casreplay.model.config import Config, ConstraintConfig, IgnoredFinding, SignalConfig
from casreplay.model.findings import Severity


def problems(document) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(json.dumps(document))
    return list(caught.value.fields["problems"])


def test_an_empty_object_gives_the_defaults():
    assert parse("{}") == Config()


def test_the_template_is_valid_and_holds_the_predecessors_keys():
    config = parse(template())
    keys = set(json.loads(template()))
    assert keys == {
        "WORKSPACE_ROOT",
        "INCLUDE_PATTERNS",
        "EXCLUDE_PATTERNS",
        "TRIGGERS",
        "ROOT_CAUSE_CATEGORIES",
        "DECISION_MARKERS",
        "LOG_FILES",
    }
    assert [trigger.kind for trigger in config.triggers] == ["log", "change", "empty"]


def test_a_config_error_is_a_value_error_for_old_scripts(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"not a \.json file"):
        load(str(path))


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load(str(tmp_path / "casreplay.json"))
    assert "init" in caught.value.hint


def test_a_folder_in_the_files_place_is_refused(tmp_path):
    (tmp_path / "casreplay.json").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(str(tmp_path / "casreplay.json"))


def test_a_file_over_the_cap_is_refused_and_one_at_the_cap_is_read(tmp_path):
    path = tmp_path / "casreplay.json"
    path.write_bytes(b"{}".ljust(MAX_CONFIG_BYTES))
    assert load(str(path)) == Config()
    path.write_bytes(b"{}".ljust(MAX_CONFIG_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than"):
        load(str(path))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"A": NaN}', "[" * 100_000, b"\xff{}", '{"A": Infinity}']
)
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(ConfigError):
        parse(text)


def test_a_byte_order_mark_is_no_problem():
    assert parse(b"\xef\xbb\xbf{}") == Config()


def test_unknown_keys_are_named_with_the_nearest_known_one():
    found = problems({"EXCLUDE_PATTERN": [], "triggers": [], "ZZZ": 1})
    assert found[0] == "Unknown key 'EXCLUDE_PATTERN'; did you mean EXCLUDE_PATTERNS?"
    assert found[1] == "Unknown key 'triggers'; did you mean TRIGGERS?"
    assert found[2] == "Unknown key 'ZZZ'"


def test_all_problems_are_reported_in_one_go():
    found = problems(
        {
            "WORKSPACE_ROOT": 1,
            "RESPECT_GITIGNORE": "yes",
            "MAX_FILE_SIZE": -1,
            "MIN_FREE_PERCENT": 101,
            "DURABILITY": "ful",
            "LOG_FILES": [1],
            "DECISION_MARKERS": ["(a+)+$", "["],
            "DEFAULT_EXCLUDES": {"bytecod": False},
            "TRIGGERS": [{"name": "x", "type": "log"}, {"type": "log"}, 7],
            "CONSTRAINTS": [{"name": "c", "type": "must_not_change"}],
            "SECRETS_ENGINE": 3,
            "IGNORE_FINDINGS": [{}],
            "NEW": 0,
        }
    )
    starts = [line.split(":")[0] for line in found]
    for at in (
        "Unknown key 'NEW'",
        "WORKSPACE_ROOT",
        "RESPECT_GITIGNORE",
        "MAX_FILE_SIZE",
        "MIN_FREE_PERCENT",
        "DURABILITY",
        "LOG_FILES[0]",
        "DECISION_MARKERS[1]",
        "DEFAULT_EXCLUDES",
        "TRIGGERS[0]",
        "TRIGGERS[1]",
        "TRIGGERS[2]",
        "CONSTRAINTS[0]",
        "SECRETS_ENGINE",
        "IGNORE_FINDINGS[0]",
    ):
        assert at in starts
    assert any("did you mean full?" in line for line in found)


def test_keys_given_twice_are_refused_at_any_depth():
    with pytest.raises(ConfigError) as caught:
        parse('{"STORE": "a", "STORE": "b", "DEFAULT_EXCLUDES": {"git": true, "git": false}}')
    assert len(caught.value.fields["problems"]) == 2


def test_names_given_twice_are_refused():
    trigger = {"name": "x", "type": "empty"}
    assert problems({"TRIGGERS": [trigger, trigger]}) == ["TRIGGERS: the name 'x' is used twice"]


def test_true_is_no_number():
    assert problems({"MAX_FILE_SIZE": True})


def test_the_predecessors_trigger_shapes_are_read():
    old = [
        {
            "name": "deleted",
            "type": "file_change",
            "config": {"change_type": "deleted", "protected_patterns": ["*.py"]},
            "severity": "high",
        },
        {"name": "log", "type": "log_match", "config": {"patterns": ["Traceback"], "log_files": ["*.log"]}},
        {"name": "empty", "type": "pattern", "config": {"check": "empty_file", "watch_patterns": ["*.csv"]}},
        {
            "name": "leak",
            "type": "pattern",
            "config": {"patterns": ["key="], "scan_files": ["*"], "description": "Leak"},
        },
    ]
    deleted, log, empty, leak = parse(json.dumps({"TRIGGERS": old})).triggers
    assert (deleted.kind, deleted.changes, deleted.paths) == ("change", ("deleted",), ("*.py",))
    assert deleted.severity is Severity.HIGH
    assert (log.kind, log.patterns, log.paths, log.ignore_case) == ("log", ("Traceback",), ("*.log",), False)
    assert (empty.kind, empty.paths, empty.severity) == ("empty", ("*.csv",), Severity.MEDIUM)
    assert (leak.kind, leak.ignore_case, leak.description) == ("content", True, "Leak")


def test_flat_triggers_mean_the_same():
    flat = {"name": "log", "type": "log", "patterns": "x+", "paths": "*.log", "enabled": False, "factor": 3}
    trigger = parse(json.dumps({"TRIGGERS": [flat]})).triggers[0]
    assert (trigger.patterns, trigger.paths, trigger.enabled, trigger.factor) == (
        ("x+",),
        ("*.log",),
        False,
        3.0,
    )


def test_unknown_trigger_fields_are_named_with_the_nearest():
    found = problems({"TRIGGERS": [{"name": "x", "type": "empty", "severty": "low"}]})
    assert found == ["TRIGGERS[0]: Unknown key 'severty'; did you mean severity?"]


def test_constraints_categories_rules_and_ignored_findings_are_typed():
    config = parse(
        json.dumps(
            {
                "CONSTRAINTS": [
                    {"name": "a", "type": "only_may_change", "paths": ["src/"]},
                    {"name": "b", "type": "must_not_contain", "pattern": "TODO", "severity": "low"},
                ],
                "ROOT_CAUSE_CATEGORIES": {
                    "mine": {
                        "description": "d",
                        "remediation": ["r"],
                        "signals": ["s", {"pattern": "t", "weight": 3}],
                    }
                },
                "SECRETS_RULES": [{"name": "corp", "pattern": "corp_[0-9a-f]{32}", "keywords": ["corp_"]}],
                "IGNORE_FINDINGS": ["secret.x", {"paths": ["tests/"], "reason": "fixtures"}],
            }
        )
    )
    assert config.constraints[0] == ConstraintConfig("a", "only_may_change", ("src/",))
    assert config.constraints[1].severity is Severity.LOW
    assert config.root_cause_categories[0].signals == (SignalConfig("s"), SignalConfig("t", 3))
    assert config.secrets_rules[0].keywords == ("corp_",)
    assert config.ignore_findings == (IgnoredFinding("secret.x"), IgnoredFinding("", ("tests/",), "fixtures"))


def test_a_predecessors_file_is_accepted_whole():
    old = {
        "WORKSPACE_ROOT": "/home/agent/work",
        "DATA_DIR": "incident_data",
        "SNAPSHOTS_DIR": "snapshots",
        "INCIDENTS_DIR": "incidents",
        "INCLUDE_PATTERNS": ["*.py", "*.json"],
        "EXCLUDE_PATTERNS": ["*.pyc", "__pycache__/*"],
        "MAX_FILE_SIZE": 1_000_000,
        "MAX_SNAPSHOT_SIZE": 50_000_000,
        "MAX_SNAPSHOTS": 100,
        "MAX_DIFF_LINES": 100,
        "MAX_LOG_LINES": 10_000,
        "TIMELINE_DEPTH": 10,
        "SIGNIFICANT_CHANGE_THRESHOLD": 5,
        "TRIGGERS": [],
        "ROOT_CAUSE_CATEGORIES": {"drift": {"description": "d", "remediation": ["r"]}},
        "DECISION_MARKERS": ["Decision:"],
        "LOG_FILES": ["*.log"],
    }
    config = parse(json.dumps(old))
    assert (config.max_snapshots, config.max_file_bytes) == (100, 1_000_000)
