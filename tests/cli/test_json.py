"""Every command's JSON against docs/json.md, field by field."""

from __future__ import annotations

import json

import pytest
from support.json_docs import disagreements

CASES = [
    ("casreplay init", "init --json"),
    ("casreplay commit", "commit --json"),
    ("casreplay commit", "commit -m x --json"),
    ("casreplay status", "status --json"),
    ("casreplay show", "show --json"),
    ("casreplay ls", "ls -r good --json"),
    ("casreplay find", "find '*.py' --json"),
    ("casreplay tag", "tag t @ --json"),
    ("casreplay label", "label @ t --json"),
    ("casreplay note", "note @ t --json"),
    ("casreplay diff", "diff good @ --json"),
    ("casreplay diff", "diff good --json"),
    ("casreplay restore", "restore good --dry-run --json"),
    ("casreplay restore", "restore good --json"),
    ("casreplay restore", "restore good --to ../elsewhere --json"),
    ("casreplay fsck", "fsck --json"),
    ("casreplay fsck", "fsck --data --json"),
    ("casreplay repair", "repair --rebuild-index --json"),
    ("casreplay bisect run", "bisect good @ --missing data/big.bin --json"),
    ("casreplay bisect run", "bisect good @ --run 'test -e data/big.bin' --json"),
    ("casreplay bisect start", "bisect start good @ --json"),
    ("casreplay prune", "prune --keep-last 1 --keep-tag good --dry-run --json"),
    ("casreplay gc", "gc --dry-run --json"),
    ("casreplay gc", "gc --json"),
    ("casreplay purge", "purge a.txt --dry-run --json"),
    ("casreplay purge", "purge a.txt --json"),
    ("casreplay stats", "stats --json"),
    ("casreplay stats", "stats --objects --json"),
    ("casreplay config check", "config check --json"),
    ("casreplay doctor", "doctor --json"),
]


@pytest.mark.parametrize(("heading", "line"), CASES, ids=[line for _, line in CASES])
def test_json_is_what_the_page_says(history, heading, line):
    assert disagreements(heading, history(line).json) == []


def test_a_bisect_by_hand(history):
    history("bisect start good @")
    assert disagreements("casreplay bisect status", history("bisect status --json").json) == []
    assert disagreements("casreplay bisect next", history("bisect next --json").json) == []
    over = history("bisect bad --json").json
    assert disagreements("Answer", over) == []
    assert over["status"] == "found"


def test_every_row_of_the_log_is_what_the_page_says(history):
    for row in history("log --json").json:
        assert disagreements("Snapshot", row) == []


def test_log_and_show_agree(history):
    for row in history("log --json").json:
        assert history(f"show {row['id']} --json").json == row


def test_entries_of_show(history):
    row = history("show good:a.txt --json").json
    del row["snapshot"]
    assert disagreements("Entry", row) == []
    assert disagreements("casreplay ls", history("show good:src --json").json) == []


def test_a_list_of_tags(history):
    rows = history("tag --json").json
    assert [row.pop("tag") for row in rows] == ["good"]
    assert disagreements("Snapshot", rows[0]) == []
    assert set(history("tag --delete good --json").json) == {"tag", "removed"}


def test_config_show_has_every_key(history):
    from casreplay.model.config import KEYS

    assert list(history("config show --json").json) == [spec.name for spec in KEYS if spec.attribute]


def test_what_config_show_shows_is_a_configuration(cli):
    written = {
        "TRIGGERS": [
            {"name": "disk", "type": "log_match", "patterns": ["No space left"], "severity": "critical"},
            {"name": "bloat", "type": "growth", "paths": ["*.db"], "factor": 3},
        ],
        "CONSTRAINTS": [{"name": "frozen", "type": "must_not_change", "paths": ["migrations/"]}],
        "ROOT_CAUSE_CATEGORIES": {"mine": {"description": "d", "signals": ["abc"]}},
        "SECRETS_RULES": [{"name": "own", "pattern": "zz[0-9]{20}"}],
        "IGNORE_FINDINGS": ["deletion.log"],
        "DEFAULT_EXCLUDES": {"bytecode": False},
    }
    assert cli("config show --json").json["ROOT_CAUSE_CATEGORIES"] == {}
    cli.write("casreplay.json", json.dumps(written))
    shown = cli("config show --json").json
    assert [one["type"] for one in shown["TRIGGERS"]] == ["log", "growth"]
    assert shown["ROOT_CAUSE_CATEGORIES"]["mine"]["signals"] == [{"pattern": "abc", "weight": 2}]
    cli.write("casreplay.json", json.dumps(shown))
    assert cli("config show --json").json == shown


def test_an_undocumented_field_would_be_noticed():
    assert disagreements("Coverage", {"surprise": 1})[0] == "surprise is not documented"
    assert "files is missing" in disagreements("Coverage", {"surprise": 1})
