"""The predecessor's programming interface: its example runs after changing only the import lines."""

from __future__ import annotations

import json

import pytest

from casreplay.predecessor import Analyzer, Capturer, Snapshot, _load_config


@pytest.fixture
def config(tmp_path):
    workspace = tmp_path / "agent"
    (workspace / "logs").mkdir(parents=True)
    (workspace / "config.json").write_text('{"retries": 3, "endpoint": "http://localhost:1"}\n')
    (workspace / "logs/agent.log").write_text("2026-05-01T10:00:00Z INFO started\n")
    (workspace / "data.csv").write_text("a,b\n1,2\n")
    path = tmp_path / "config_example.json"
    path.write_text(
        json.dumps(
            {
                "WORKSPACE_ROOT": "agent",
                "INCLUDE_PATTERNS": ["**/*"],
                "EXCLUDE_PATTERNS": ["*.tmp"],
                "LOG_FILES": ["logs/*.log"],
                "DECISION_MARKERS": ["Settled:"],
            }
        )
    )
    return workspace, path


def test_the_old_example_runs(config):
    workspace, path = config
    cfg = _load_config(str(path))
    cap = Capturer(cfg)
    before = cap.take_snapshot(label="before")

    (workspace / "config.json").write_text('{"retries": "many", "endpoint": "http://localhost:1"}\n')
    (workspace / "data.csv").unlink()
    with (workspace / "logs/agent.log").open("a") as log:
        log.write("2026-05-01T10:05:00Z INFO Settled: retry for ever because the endpoint is slow\n")
        log.write("2026-05-01T10:06:00Z ERROR ValueError: invalid value for retries in config.json: 'many'\n")
    after = cap.take_snapshot(label="after")

    changes = cap.diff_snapshots(before, after)
    triggers = cap.check_triggers(before, after)
    analyzer = Analyzer(cfg)
    decisions = analyzer.extract_decisions(after)
    timeline = analyzer.build_timeline(
        [before, after], triggers=[t.to_dict() for t in triggers], changes=[c.to_dict() for c in changes]
    )
    incident = analyzer.create_incident(
        title="Agent broke overnight",
        timeline=timeline,
        triggers=[t.to_dict() for t in triggers],
        file_changes=changes,
        decisions=decisions,
    )

    assert isinstance(before, Snapshot)
    assert {(c["kind"], c.path) for c in changes} == {
        ("modified", "config.json"),
        ("deleted", "data.csv"),
        ("modified", "logs/agent.log"),
    }
    assert {t.kind for t in triggers} >= {"config", "deletion", "log"}
    assert any("retry for ever" in d["text"] for d in decisions)
    assert all(isinstance(event, dict) for event in timeline)
    assert {"snapshot", "change", "log", "finding", "decision"} <= {event["kind"] for event in timeline}
    assert incident.id == "INC-0001"
    assert incident.root_cause == "config_error"
    assert incident.title == "Agent broke overnight"


def test_snapshots_show_files_sizes_and_hashes(config):
    _, path = config
    taken = Capturer(_load_config(str(path))).take_snapshot(label="one")
    assert taken.label == "one"
    assert taken.file_count == 3
    assert taken.to_dict()["files"]["data.csv"]["size"] == 8
    assert len(taken.files["data.csv"]["hash"]) == 64


def test_a_path_that_is_not_json_is_a_value_error(tmp_path):
    (tmp_path / "config.yaml").write_text("{}")
    with pytest.raises(ValueError, match=r"\.json"):
        _load_config(str(tmp_path / "config.yaml"))


def test_a_configuration_over_one_megabyte_is_refused(tmp_path):
    (tmp_path / "big.json").write_text('{"WORKSPACE_ROOT": "' + "x" * 1_100_000 + '"}')
    with pytest.raises(ValueError, match="larger than 1000000 bytes"):
        _load_config(str(tmp_path / "big.json"))


def test_an_incident_without_snapshots_names_no_cause(config):
    _, path = config
    incident = Analyzer(_load_config(str(path))).create_incident(
        title="Odd", timeline=[], triggers=[], file_changes=[]
    )
    assert incident.root_cause == "undetermined"


def test_both_classes_and_the_command_line_share_one_history(config):
    workspace, path = config
    cfg = _load_config(str(path))
    Capturer(cfg).take_snapshot(label="a")
    (workspace / "new").write_text("x")
    Capturer(cfg).take_snapshot(label="b")
    with Capturer(cfg)._place.repository() as repository:
        assert [one.label for one in repository.snapshots()] == ["b", "a"]
