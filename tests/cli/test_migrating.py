"""docs/migrating.md: its session runs, and it leaves out nothing the predecessor had."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from casreplay import predecessor
from casreplay.cli.registry import COMMANDS

PAGE = (Path(__file__).parent.parent.parent / "docs" / "migrating.md").read_text("utf-8")
SESSION = re.search(r"```console\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()


@pytest.fixture
def agent(cli):
    cli.write("config.json", '{"retries": 3, "endpoint": "http://localhost:1"}\n')
    cli.write("data/orders.csv", "id,total\n1,2\n")
    cli.write("logs/agent.log", "2026-11-20T09:00:00Z INFO started\n")
    return cli


def test_the_quick_start_runs_as_it_stands(agent):
    shown = {}
    for line in SESSION:
        words = line.removeprefix("$ ")
        if words.startswith("casreplay "):
            shown[words] = agent(words.removeprefix("casreplay ")).out
        else:
            subprocess.run(words, shell=True, cwd=agent.folder, check=True)
    assert "deleted" in shown["casreplay check baseline after"]
    assert shown['casreplay analyze baseline after --title "Agent broke overnight"'].startswith(
        "INC-0001 Agent broke overnight"
    )
    assert (
        "Root cause: config error"
        in shown['casreplay analyze baseline after --title "Agent broke overnight"']
    )
    assert "retry for ever" in shown["casreplay decisions baseline..after"]
    assert "INC-0001" in shown["casreplay patterns"]
    assert (agent.folder.parent / "report.html").exists()
    assert (agent.folder / "data/orders.csv").exists()


@pytest.mark.parametrize(
    "old",
    [
        "config_example.json",
        *("--snapshot --label", "--diff", "--triggers", "--analyze", "--incidents", "--patterns"),
        *("--incident INC-0001", "--summary"),
        *(
            "_load_config",
            "Capturer(cfg)",
            "Analyzer(cfg)",
            "take_snapshot",
            "diff_snapshots",
            "check_triggers",
        ),
        *("extract_decisions", "build_timeline", "create_incident"),
        *("WORKSPACE_ROOT", "INCLUDE_PATTERNS", "EXCLUDE_PATTERNS", "TRIGGERS", "ROOT_CAUSE_CATEGORIES"),
        *("DECISION_MARKERS", "LOG_FILES"),
    ],
)
def test_everything_old_has_a_row(old):
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert [row for row in rows if old in row.split("|")[1]]


def test_every_new_command_exists():
    for word in re.findall(r"`casreplay ([a-z]+)", PAGE):
        assert word in COMMANDS


def test_every_old_name_can_be_imported():
    [names] = re.findall(r"from casreplay\.predecessor import (.+)", PAGE)
    for name in names.split(", "):
        assert hasattr(predecessor, name)


def test_keys_without_effect_are_accepted(agent):
    agent.write(
        "casreplay.json",
        '{"DATA_DIR": "d", "SNAPSHOTS_DIR": "s", "INCIDENTS_DIR": "i", "TIMELINE_DEPTH": 3,'
        ' "SIGNIFICANT_CHANGE_THRESHOLD": 5, "MAX_SNAPSHOTS": 4}',
    )
    assert agent("config check --json").json["valid"] is True
