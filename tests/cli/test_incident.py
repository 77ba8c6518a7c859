"""Incidents and patterns through the command line: their whole life, and the reports on them."""

from __future__ import annotations

import json
import re

import pytest
from support.json_docs import disagreements


def night(cli, number):
    """Another night in which the same setting breaks the same run; tags good-N and bad-N."""
    cli.write("config.json", '{"retries": 3}\n')
    cli.write("logs/agent.log", f"2026-09-{number:02d}T10:00:00Z INFO started\n")
    cli(f"commit --tag good-{number}")
    cli.write("config.json", '{"retries": "many"}\n')
    cli.write(
        "logs/agent.log",
        f"2026-09-{number:02d}T10:00:00Z INFO started\n"
        f"2026-09-{number:02d}T11:0{number}:00Z ERROR ValueError: invalid value for retries: 'many'"
        f" (run {number})\n",
    )
    cli(f"commit --tag bad-{number}")
    return f"analyze good-{number} bad-{number}"


@pytest.fixture
def one(cli):
    """An incident on record."""
    cli(night(cli, 1) + " --title 'Retries broke'")
    return cli


class TestLife:
    @pytest.mark.parametrize(
        ("line", "heading"),
        [
            ("incident list --json", "casreplay incident list"),
            ("incident list --open --since 1d --json", "casreplay incident list"),
            ("incident show 1 --json", "casreplay incident show"),
            ("incident edit INC-0001 --severity low --root-cause drift --json", "casreplay incident edit"),
            ("incident note INC-0001 hm --author ana --json", "casreplay incident note"),
            ("incident assign INC-0001 ana --json", "casreplay incident assign"),
            ("incident tag INC-0001 billing --json", "casreplay incident tag"),
            ("incident action INC-0001 'Check it in CI' --json", "casreplay incident action"),
            ("incident status INC-0001 mitigated --json", "casreplay incident status"),
            ("incident delete INC-0001 --yes --json", "casreplay incident delete"),
            ("patterns --json", "casreplay patterns"),
            ("patterns ignore 0123456789ab --reason test --json", "casreplay patterns ignore"),
        ],
    )
    def test_json_is_what_the_page_says(self, one, line, heading):
        assert disagreements(heading, one(line).json) == []

    def test_from_record_to_closed_with_its_times(self, one):
        one("incident assign 1 ana")
        one("incident status 1 started")
        one("incident status 1 mitigated --reason 'old settings restored'")
        one("incident status 1 resolved")
        one("incident status 1 closed")
        found = one("incident show 1 --json").json
        assert (found["status"], found["owner"]) == ("closed", "ana")
        assert found["time_to_mitigate_s"] > 0
        assert found["time_to_resolve_s"] > found["time_to_mitigate_s"]
        assert "old settings restored" in [event["detail"] for event in found["events"]]
        text = one("incident show 1").out
        assert "to resolve" in text
        assert text.startswith("INC-0001 Retries broke\n")

    def test_a_step_that_does_not_exist_is_refused_with_those_that_do(self, one):
        err = one("incident status 1 closed", code=2).err
        assert "An incident that is triage cannot become closed" in err
        assert "From triage it can become started" in err

    def test_reopening(self, one):
        one("incident status 1 resolved")
        assert one("incident reopen 1 --reason again").out == "INC-0001 is started again\n"
        assert one("incident show 1 --json").json["resolved_ns"] is None

    def test_merging_and_listing(self, one):
        one(night(one, 2) + " --title Other --force")
        listed = one("incident list --json").json["incidents"]
        assert [row["id"] for row in listed] == ["INC-0002", "INC-0001"]
        one("incident merge 2 --into 1")
        assert one("incident show 2 --json").json["merged_into"] == "INC-0001"
        assert len(one("incident show 1 --json").json["occurrences"]) == 2

    def test_export_and_import_elsewhere(self, one, tmp_path):
        one(f"incident export -o {tmp_path}/all.json")
        document = json.loads((tmp_path / "all.json").read_text())
        assert one("incident export").json == document
        imported = one(f"incident import {tmp_path}/all.json --json").json
        assert disagreements("casreplay incident import", imported) == []
        assert imported == {"imported": ["INC-0002"]}
        first, second = (one(f"incident show {name} --json").json for name in ("1", "2"))
        assert {**second, "id": "INC-0001"} == first

    @pytest.mark.parametrize("text", ["", "[]", "{", '{"version": 99, "incidents": []}', "[" * 100_000])
    def test_what_is_no_export_is_refused(self, one, tmp_path, text):
        (tmp_path / "x.json").write_text(text)
        assert one(f"incident import {tmp_path}/x.json", code=None).code in (1, 2)
        assert len(one("incident list --json").json["incidents"]) == 1

    @pytest.mark.parametrize(
        "line",
        ["incident show 9", "incident show nonsense", "report INC-0009", "incident merge 1 --into 1"],
    )
    def test_what_does_not_exist_gets_a_clear_answer(self, one, line):
        result = one(line, code=None)
        assert result.code in (1, 2)
        assert "error:" in result.err
        assert "Traceback" not in result.err

    def test_deleting_without_a_terminal_wants_yes(self, one):
        assert "--yes" in one("incident delete 1", code=2).err
        assert len(one("incident list --json").json["incidents"]) == 1

    def test_snapshots_of_an_open_incident_survive_pruning(self, one):
        for number in range(3):
            one.write("a.txt", str(number))
            one("commit")
        pinned = {one(f"show {tag} --json").json["id"] for tag in ("good-1", "bad-1")}
        kept = one("prune --keep-last 1 --json").json["kept"]
        assert pinned <= {row["id"] for row in kept}
        one("incident status 1 resolved")
        kept = one("prune --keep-last 1 --json").json["kept"]
        assert not pinned & {row["id"] for row in kept}


class TestPatterns:
    def test_the_same_pair_again_is_the_same_incident(self, one):
        assert "recorded already" in one("analyze good-1 bad-1").out
        assert len(one("incident list --json").json["incidents"]) == 1

    def test_another_night_of_the_same_kind_has_the_same_fingerprint(self, one):
        one(night(one, 2))
        [pattern] = one("patterns --json").json["patterns"]
        assert pattern["incidents"] == ["INC-0001", "INC-0002"]
        assert (pattern["occurrences"], pattern["open"]) == (2, 2)
        assert "seen 2 times" in one("patterns").out

    def test_another_kind_is_another_pattern(self, one):
        one.write("logs/agent.log", "2026-09-03T10:00:00Z INFO started\n")
        one("commit --tag g")
        one.write("logs/agent.log", "2026-09-03T10:00:00Z FATAL No space left on device\n")
        one("commit --tag b")
        one("analyze g b")
        assert len(one("patterns --json").json["patterns"]) == 2

    def test_a_resolved_incident_that_recurs_is_reopened_and_says_so(self, one):
        one("incident status 1 resolved")
        assert "reopened, it recurred (seen 2 times)" in one(night(one, 2)).out
        found = one("incident show 1 --json").json
        assert found["status"] == "started"
        assert [event["what"] for event in found["events"]].count("reopened") == 1
        assert len(found["occurrences"]) == 2

    def test_a_pattern_called_wrongly_flagged_opens_no_incident(self, one):
        [pattern] = one("patterns --json").json["patterns"]
        one(f"patterns ignore {pattern['fingerprint']} --reason 'a test run'")
        line = night(one, 2)
        assert "No incident: this pattern was called wrongly flagged (a test run)" in one(line).out
        assert one(line + " --json").json["incident"] is None
        assert one(line + " --force --json").json["incident"] == "INC-0002"
        one(f"patterns ignore {pattern['fingerprint']} --undo")
        assert one("patterns --json").json["patterns"][0]["ignored"] is None

    def test_across_stores_of_the_same_folder_name(self, one, tmp_path):
        other = tmp_path / "elsewhere"
        (other / "logs").mkdir(parents=True)
        (other / "config.json").write_text('{"retries": 3}')
        (other / "logs/agent.log").write_text("INFO started\n")
        store = f"--store {tmp_path}/b/store"
        one(f"{store} init", cwd=other)
        one(f"{store} commit --tag good", cwd=other)
        (other / "config.json").write_text('{"retries": "many"}')
        (other / "logs/agent.log").write_text(
            "INFO started\nERROR ValueError: invalid value for retries: 'many' (run 9)\n"
        )
        one(f"{store} commit --tag bad", cwd=other)
        one(f"{store} analyze good bad", cwd=other)
        mine = one("status --json").json["store"]
        found = one(f"patterns --store {mine} --store {tmp_path}/b/store --json").json["patterns"]
        assert disagreements("casreplay patterns", {"patterns": found}) == []
        [pattern] = found
        assert len(pattern["incidents"]) == 2
        assert len(set(pattern["incidents"])) == 2
        assert all(name.endswith(":INC-0001") for name in pattern["incidents"])

    def test_a_folder_that_is_no_store_is_named(self, one, tmp_path):
        assert "There is no store at" in one(f"patterns --store {tmp_path}", code=10).err

    def test_none(self, cli):
        cli("commit")
        assert cli("patterns").out.startswith("No patterns")


class TestReport:
    @pytest.mark.parametrize("form", ["md", "json", "html", "sarif"])
    def test_the_same_bytes_every_time(self, one, form):
        first = one(f"report INC-0001 --format {form}").raw
        assert first
        assert one(f"report INC-0001 --format {form}").raw == first
        summary = one(f"report --summary --format {form}").raw
        assert one(f"report --summary --format {form}").raw == summary

    def test_markdown_has_every_section(self, one):
        text = one("report 1").out
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == [
            *("Summary", "Impact", "What was noticed", "Detection", "Root cause and contributing factors"),
            *("Decisions on the way", "Timeline", "Changes", "What to do now", "Action items"),
            *("Where we got lucky", "What was and was not examined"),
        ]
        assert "The root cause is a configuration error" in text
        assert re.search(r"casreplay restore [0-9a-f]{12} \\?-\\?- config.json", text)

    def test_json_is_the_incident(self, one):
        assert one("report 1 --format json").json == one("incident show 1 --json").json

    def test_sarif_names_files_and_lines(self, one):
        [run] = one("report 1 --format sarif").json["runs"]
        places = [place["physicalLocation"] for result in run["results"] for place in result["locations"]]
        assert {place["artifactLocation"]["uri"] for place in places} == {"config.json", "logs/agent.log"}
        assert all(result["ruleId"] for result in run["results"])

    def test_a_file_is_written_whole(self, one, tmp_path):
        said = one(f"report 1 --format html -o {tmp_path}/r.html").out
        assert said == f"Wrote {tmp_path}/r.html\n"
        assert (tmp_path / "r.html").read_bytes() == one("report 1 --format html").raw
        assert [name.name for name in tmp_path.iterdir() if name.suffix == ".tmp"] == []

    def test_the_summary_counts_and_obeys_since(self, one):
        one(night(one, 2))
        text = one("report --summary").out
        assert "2 incidents on record, 2 open" in text
        assert "config error" in text
        found = one("report --summary --format json").json
        assert found["by_root_cause"] == {"config_error": 2}
        assert [len(pattern["incidents"]) for pattern in found["patterns"]] == [2]
        later = one("report --summary --since 2027-01-01 --format json").json
        assert (later["incidents"], later["patterns"]) == ([], [])
        assert "There are no incidents since 2027" in one("report --summary --since 2027-01-01").out

    def test_one_or_the_other_must_be_said(self, one):
        assert "Name one incident, or say --summary" in one("report", code=2).err
        assert "Name one incident, or say --summary" in one("report 1 --summary", code=2).err

    def test_what_a_person_said_wins(self, one):
        one("incident edit 1 --root-cause drift")
        one("incident note 1 'It was the image' --author ana")
        one("incident action 1 'Pin the image' --owner ana")
        text = one("report 1").out
        assert "as judged by a person" in text
        assert "It was the image" in text
        assert "Pin the image" in text
