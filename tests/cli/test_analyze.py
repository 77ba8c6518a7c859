"""analyze, timeline, decisions and loss as one would use them the morning after."""

from __future__ import annotations

import os

import pytest
from support.json_docs import disagreements

GOOD_LOG = "2026-09-21T14:00:00Z INFO started\n"
NIGHT = (
    "2026-09-21T14:20:00Z INFO Decision: raise the retries because the endpoint is slow\n"
    "2026-09-21T14:20:05Z INFO settings written\n"
    "2026-09-21T14:21:00Z ERROR ValueError: invalid value for retries in config.json: 'many'\n"
)


@pytest.fixture
def broken(cli):
    """Tag good: all well. Tag bad: a setting has the wrong type, a file is gone, one is emptied, one cut."""
    cli.write("config.json", '{"retries": 3, "endpoint": "http://localhost:1"}\n')
    cli.write("data/orders.csv", "id,total\n" + "1,2\n" * 50)
    cli.write("data/emptied.csv", "id,total\n" + "3,4\n" * 50)
    cli.write("data/cut.txt", "".join(f"line {i} of the whole\n" for i in range(200)))
    cli.write("logs/agent.log", GOOD_LOG)
    cli.write("memory/decisions.md", "# Decisions\n\n## Keep the archive\n\nBecause auditors ask for it.\n")
    cli("commit -m works --tag good")
    cli.write("config.json", '{"retries": "many", "endpoint": "http://localhost:1"}\n')
    cli.write("logs/agent.log", GOOD_LOG + NIGHT)
    cli("commit -m changed")
    os.unlink(cli.folder / "data/orders.csv")
    cli.write("data/emptied.csv", "")
    cli.write("data/cut.txt", "line 0 of the whole\n")
    cli.write("memory/decisions.md", "# Decisions\n")
    cli("commit -m broken --tag bad")
    return cli


KEYS = [
    "incident", "root_cause", "confidence", "candidates", "sub_cause", "evidence", "remediation", "loss",
    "changes", "triggers", "coverage",
]  # fmt: skip


class TestAnalyze:
    def test_the_document_has_the_promised_keys_first_and_names_the_cause(self, broken):
        found = broken("analyze good bad --json").json
        assert list(found)[: len(KEYS)] == KEYS
        assert found["incident"] == "INC-0001"
        assert found["root_cause"] == "config_error"
        assert list(found["evidence"][0]) == [
            *("rule", "message", "path", "line", "snapshot", "blob", "weight", "effect"),
        ]
        assert disagreements("casreplay analyze", found) == []

    def test_every_line_cited_exists_and_says_so(self, broken):
        found = broken("analyze good bad --no-incident --json").json
        cited = [one for one in found["evidence"] if one["path"] == "logs/agent.log" and one["line"]]
        assert cited
        for one in cited:
            text = broken(f"cat {one['snapshot']}:{one['path']}").out.splitlines()
            assert one["message"] in text[one["line"] - 1]

    def test_the_text_says_the_cause_the_loss_and_what_to_do(self, broken):
        text = broken("analyze good bad --title 'Orders stand still'").out
        assert text.startswith("INC-0001 Orders stand still")
        assert "Root cause: config error" in text
        assert "deleted data/orders.csv" in text
        assert "casreplay restore " in text

    def test_the_second_time_gives_the_same(self, broken):
        first = broken("analyze good bad --no-incident --json").json
        assert broken("analyze good bad --no-incident --json").json == first

    def test_no_incident_records_none(self, broken):
        assert broken("analyze good bad --no-incident --json").json["incident"] is None
        assert broken("incident list --json").json == {"incidents": []}

    def test_the_folder_as_it_is_now_counts(self, broken):
        broken.write("config.json", '{"retries": 3}\n')
        found = broken("analyze good --no-incident --json").json
        assert found["bad"] is None
        assert disagreements("casreplay analyze", found) == []
        [change] = [one for one in found["changes"] if one["path"] == "config.json"]
        assert change["kind"] == "modified"

    def test_a_log_from_outside_and_an_exit_code_are_evidence(self, cli):
        cli.write("run.sh", "echo\n")
        cli("commit --tag good")
        cli.write("run.sh", "echo 1\n")
        cli("commit --tag bad")
        (cli.folder.parent / "ci.log").write_text(
            "+ ./run.sh\nbash: line 1: write error: No space left on device\n"
        )
        found = cli("analyze good bad --log ../ci.log --exit-code 1 --json").json
        assert found["root_cause"] == "resource_exhaustion"
        assert found["exit_code"] == 1
        assert any(one["path"] == "../ci.log" and one["line"] == 2 for one in found["evidence"])

    def test_nothing_changed_is_undetermined(self, cli):
        cli.write("a.txt", "a\n")
        cli("commit --tag good")
        found = cli("analyze good good --no-incident --json").json
        assert (found["root_cause"], found["changes"]) == ("undetermined", [])

    def test_an_empty_workspace_has_an_answer(self, cli):
        cli("commit --tag good")
        cli.write("new.txt", "x\n")
        assert cli("analyze good --no-incident --json").json["root_cause"] == "undetermined"

    @pytest.mark.parametrize(
        ("line", "code", "said"),
        [
            ("analyze nothere bad", 1, "nothere"),
            ("analyze good nothere", 1, "nothere"),
            ("analyze good bad --log nothere.log", 1, "Cannot read the log nothere.log"),
            ("analyze good bad --log data/binary", 2, "is binary"),
            ("loss nothere bad", 1, "nothere"),
            ("timeline nothere", 1, "nothere"),
            ("decisions nothere", 1, "nothere"),
        ],
    )
    def test_bad_input_gets_a_clear_answer(self, broken, line, code, said):
        broken.write("data/binary", bytes(range(256)) * 40)
        assert said in broken(line, code=code).err

    def test_a_binary_log_in_the_workspace_is_said_not_read(self, cli):
        cli.write("logs/run.log", b"ok\n")
        cli("commit --tag good")
        cli.write("logs/run.log", bytes(range(256)) * 100)
        cli("commit --tag bad")
        found = cli("analyze good bad --no-incident --json").json
        assert {"path": "logs/run.log", "family": "log", "reason": "binary"} in found["coverage"][
            "not_examined"
        ]

    def test_the_end_of_a_huge_log_is_read_and_that_is_said(self, broken, monkeypatch):
        from casreplay.cli import analyze

        monkeypatch.setattr(analyze, "MAX_LOG_BYTES", 2000)
        lines = "".join(f"INFO step {i}\n" for i in range(1000))
        (broken.folder.parent / "big.log").write_text(lines + "OSError: [Errno 28] No space left on device\n")
        found = broken("analyze bad bad --log ../big.log --no-incident --json").json
        assert any("../big.log only the end was read" in note for note in found["coverage"]["notes"])
        assert [one["line"] for one in found["evidence"] if "Errno 28" in one["message"]] == [1001]


class TestTimeline:
    def test_it_is_in_order_and_says_how_well_each_time_is_known(self, broken):
        found = broken("timeline good bad --json").json
        assert disagreements("casreplay timeline", found) == []
        events = found["events"]
        times = [one["time_ns"] for one in events if one["time_ns"] is not None]
        assert times == sorted(times)
        assert {one["kind"] for one in events} >= {"snapshot", "change", "log", "finding", "decision"}
        assert {one["quality"] for one in events} <= {"exact", "naive", "inferred", "mtime", "none"}

    def test_a_finding_stands_where_its_file_changed(self, broken):
        rows = broken("timeline good bad --json").json["events"]
        [config] = [one for one in rows if one["text"].startswith("config.")][:1]
        [gone] = [
            one for one in rows if one["text"].startswith("deletion.") and one["path"] == "data/orders.csv"
        ]
        assert config["time_ns"] < gone["time_ns"]

    def test_a_change_names_the_content_of_the_snapshot_that_shows_it(self, cli):
        cli("commit -m empty --tag good")
        for number in range(3):
            cli.write("data/orders.csv", f"id,total\n{number},2\n")
            cli(f"commit -m {number} --tag at{number}")
        events = cli("timeline good @ --json").json["events"]
        [change] = [one for one in events if one["kind"] == "change"]
        shown = cli("show at0 --json").json["id"]
        [entry] = cli("ls at0 data --json").json["entries"]
        assert (change["snapshot"], change["blob"]) == (shown, entry["blob"])

    def test_a_decision_is_not_told_twice(self, broken):
        rows = broken("timeline good bad --json").json["events"]
        assert [one["kind"] for one in rows if "raise the retries" in one["text"]] == ["decision"]

    def test_text_and_page(self, broken):
        assert "raise the retries" in broken("timeline good bad").out
        broken("timeline good bad --html ../t.html")
        page = (broken.folder.parent / "t.html").read_text("utf-8")
        assert "raise the retries" in page
        assert "data-filter" in page


class TestDecisions:
    def test_new_ones_with_reason_and_what_followed(self, broken):
        found = broken("decisions good..bad --json").json
        assert disagreements("casreplay decisions", found) == []
        [one] = found["decisions"]
        assert (one["text"], one["why"]) == ("raise the retries", "the endpoint is slow")
        assert one["quality"] == "exact"
        assert "settings written" in one["followed"]

    def test_a_deleted_one_is_told(self, broken):
        [one] = broken("decisions good..bad --json").json["lost"]
        assert (one["text"], one["became"], one["path"]) == (
            *("Keep the archive", "deleted", "memory/decisions.md"),
        )
        assert "Decision was deleted" in broken("decisions good..bad").out
        [same] = broken("analyze good bad --no-incident --json").json["lost_decisions"]
        assert (same["text"], same["became"], same["path"]) == (one["text"], one["became"], one["path"])

    def test_a_rewritten_one_is_told_with_its_new_words(self, cli):
        cli.write("MEMORY.md", "- Decision: use SQLite for the queue\n")
        cli("commit --tag a")
        cli.write("MEMORY.md", "- Decision: use SQLite for nothing\n")
        cli("commit --tag b")
        [one] = cli("decisions a..b --json").json["lost"]
        assert one["became"] == "use SQLite for nothing"

    def test_a_rotated_log_lost_no_decisions(self, cli):
        cli.write("run.log", "INFO Decision: one thing\nINFO x\nINFO Decision: another thing\n")
        cli("commit --tag a")
        cli.write("run.log", "INFO Decision: another thing\nINFO y\n")
        cli("commit --tag b")
        assert cli("decisions a..b --json").json["lost"] == []

    def test_a_decision_taken_out_of_a_log_is_told(self, cli):
        cli.write("run.log", "INFO Decision: one thing\nINFO x\nINFO Decision: another thing\n")
        cli("commit --tag a")
        cli.write("run.log", "INFO Decision: one thing\nINFO x\n")
        cli("commit --tag b")
        [one] = cli("decisions a..b --json").json["lost"]
        assert one["text"] == "another thing"

    def test_own_markers_win_and_their_group_is_the_decision(self, cli):
        cli.write("casreplay.json", '{"DECISION_MARKERS": ["SETTLED<(.+)>", "We vote"]}')
        cli.write("run.log", "INFO SETTLED<paint it blue> by all\nINFO We vote yes\n")
        cli("commit")
        found = cli("decisions @ --json").json["decisions"]
        assert [(one["text"], one["marker"]) for one in found] == [
            ("paint it blue", "own 1"),
            ("We vote yes", "own 2"),
        ]

    def test_a_note_is_dated_by_the_first_snapshot_that_holds_it(self, cli):
        cli.write("MEMORY.md", "# Notes\n")
        cli("commit")
        cli.write("MEMORY.md", "# Notes\n\n- Decided to keep both\n")
        second = cli("commit --json").json
        cli.write("MEMORY.md", "# Notes\n\n- Decided to keep both\n- more\n")
        cli("commit")
        [one] = cli("decisions @ --json").json["decisions"]
        assert one["quality"] == "inferred"
        shown = cli("decisions @").out
        assert second["time"][:10] in shown

    def test_the_chain_as_mermaid(self, broken):
        text = broken("decisions good..bad --mermaid").out
        assert text.startswith("flowchart TD\n")
        assert "raise the retries" in text

    def test_none(self, cli):
        cli.write("a.txt", "a")
        cli("commit")
        assert cli("decisions @").out == "No decisions found\n"


class TestLoss:
    def test_the_ledger_names_every_kind(self, broken):
        found = broken("loss good bad --json").json
        assert disagreements("casreplay loss", found) == []
        kinds = {one["path"]: one["kind"] for one in found["entries"]}
        assert kinds == {
            "data/orders.csv": "deleted",
            "data/emptied.csv": "emptied",
            "data/cut.txt": "truncated",
            "memory/decisions.md": "truncated",
        }
        assert found["summary"]["recoverable"] == 4
        middle = broken("show @~1 --json").json["id"]
        assert {one["recover_from"] for one in found["entries"]} == {middle}

    def test_everything_comes_back_and_the_way_back_is_told(self, broken):
        said = broken("loss good bad --restore").out
        assert "brought back 4 paths" in said
        assert "to take it back: casreplay restore " in said
        assert (broken.folder / "data/orders.csv").read_text().startswith("id,total\n1,2\n")
        assert (broken.folder / "data/cut.txt").read_text().count("\n") == 200
        assert broken("loss good").out == "Nothing was lost\n"

    def test_restoring_as_json(self, broken):
        found = broken("loss good bad --restore --json").json
        assert disagreements("casreplay loss", found) == []
        assert found["restored"][0]["paths"] == 4

    def test_a_dry_run_changes_nothing(self, broken):
        assert "would bring back 4 paths" in broken("loss good bad --restore --dry-run").out
        assert not (broken.folder / "data/orders.csv").exists()

    def test_nothing_lost(self, broken):
        assert broken("loss good good").out == "Nothing was lost\n"

    def test_a_change_of_permissions_loses_nothing(self, cli):
        cli.write("data/orders.csv", "id,total\n1,2\n")
        cli("commit -m one --tag good")
        (cli.folder / "data/orders.csv").chmod(0o600)
        still = cli("commit -m two --json").json["id"]
        cli.remove("data/orders.csv")
        gone = cli("commit -m three --tag bad --json").json["id"]
        [entry] = cli("loss good bad --json").json["entries"]
        assert (entry["recover_from"], entry["lost_in"]) == (still, gone)

    def test_the_command_that_brings_an_odd_name_back_is_whole(self, cli):
        odd = b"data/tab\t and \xff.csv"
        cli.write(odd, "id,total\n1,2\n")
        cli("commit -m one --tag good")
        os.unlink(os.fsencode(cli.folder) + b"/" + odd)
        cli("commit -m two --tag bad")
        line = cli("loss good bad").out.partition("back with: casreplay ")[2].partition("\n")[0]
        cli(line)
        with open(os.fsencode(cli.folder) + b"/" + odd, "rb") as file:
            assert file.read() == b"id,total\n1,2\n"

    def test_names_that_a_shell_would_split_are_quoted(self, cli):
        cli.write("data/my file.csv", "a,b\n" * 9)
        cli("commit --tag good")
        cli.remove("data/my file.csv")
        assert "'data/my file.csv'" in cli("loss good").out
