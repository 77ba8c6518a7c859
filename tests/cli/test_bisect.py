"""bisect as people use it: one-shot, by hand, interrupted, as JSON; the workspace stays as it is."""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from casreplay.history.probes import PREFIX

BODY = "".join(f"line {i}\n" for i in range(30))


def edited(number):
    text = BODY
    if number >= 17:
        text = text.replace("line 3\n", "line three\n").replace("line 25\n", "broken here\n")
    return text


@pytest.fixture
def story(cli):
    """Thirty snapshots: from 17 on ``app.txt`` is broken, with two more files in the same snapshot."""
    for number in range(30):
        cli.write("app.txt", edited(number))
        cli.write("counter.txt", f"{number}\n")
        cli.write("settings.json", json.dumps({"model": {"temperature": 0.2 if number < 9 else 0.9}}))
        cli.write("flag.txt", "on\n" if 5 <= number < 11 or number >= 22 else "off\n")
        if number == 17:
            cli.write("notes/why.md", "because\n")
        cli(f"commit -m 'step {number}'" + (" --tag good" if number == 0 else ""))
    return cli


CHECK = "! grep -q broken app.txt"


def contents(folder):
    """Every file with its bytes and modification time."""
    found = {}
    for at, _, files in os.walk(folder):
        for name in files:
            full = Path(at, name)
            found[str(full.relative_to(folder))] = (full.read_bytes(), full.stat().st_mtime_ns)
    return found


def probe_folders():
    return [name for name in os.listdir(tempfile.gettempdir()) if name.startswith(PREFIX + str(os.getpid()))]


def test_what_was_purged_is_not_examined_and_said(story):
    story("purge notes/why.md -y --reason private")
    found = json.loads(story("bisect good @ --grep broken --json").out)
    assert (found["status"], found["unexamined"], found["purged"]) == ("found", 1, 1)
    assert "1 content purged: what stood there is not known" in story("bisect good @ --grep broken").out
    assert json.loads(story("bisect good @ --grep because --json", code=22).out)["purged"] == 1
    found = json.loads(story(f"bisect good @ --run '{CHECK}' --json").out)
    assert [culprit["path"] for culprit in found["culprits"]] == ["app.txt"]
    assert found["purged"] == 1
    # Absent where the command runs, whichever way it got there.
    found = json.loads(story("bisect good @ --run '[ ! -e notes/why.md ]' --json", code=22).out)
    assert found["reason"].startswith("both ends are good")


def test_every_fact_about_a_purged_file_can_be_asked_for(story):
    story("purge app.txt -y --reason private")
    for asked, code in (
        ("--secret", 22), ("--changed app.txt", 0), ("--json-value app.txt:a=1", 22),
        ("--grep 'line 3$'", 22),
        ("--metric lines:app.txt", 2), ("--metric count:broken", 2), ("--metric size:app.txt", 0),
    ):  # fmt: skip
        story(f"bisect good @ {asked}", code=code)


def erratic(counter, rule):
    """A command whose verdict depends on how often it was run, and nothing else."""
    counter.write_text("0")
    return f"n=$(cat {counter}); echo $((n + 1)) > {counter}; [ {rule} ]"


def test_verdicts_that_vary_with_the_weather_are_no_culprit_and_no_promise(story, tmp_path):
    line = erratic(tmp_path / "runs", "$((n * 7 % 13)) -gt 5")
    said = story(f"bisect good @ --run '{line}'", code=21).out
    assert "Nothing changes in this range: the verdicts vary, but not with the position" in said
    assert "a window that begins and ends in the range was not looked for (--all does)" in said


@pytest.mark.parametrize("glob", ["nowhere/*.txt", "["])
def test_a_path_that_fits_nothing_is_said(story, glob):
    assert (
        "both ends are good: no path fits"
        in story(f"bisect good @ --grep broken --path '{glob}'", code=22).out
    )


def test_a_command_finds_snapshot_file_and_hunk(story):
    before = contents(story.folder)
    result = story(f"bisect good @ --run '{CHECK}'")
    assert '"step 17"' in result.out.split("is the first bad snapshot")[0]
    assert "* M  app.txt" in result.out
    assert "+broken here" in result.out
    assert "+line three" not in result.out
    assert "casreplay restore" in result.out
    assert contents(story.folder) == before
    assert probe_folders() == []


def test_the_json_has_every_field_of_the_answer(story):
    found = story(f"bisect good @ --run '{CHECK}' --json --no-cache").json
    ids = [row["id"] for row in story("log --json").json][::-1]
    assert found["status"] == "found"
    assert (found["last_good"], found["first_bad"]) == (ids[16], ids[17])
    assert found["candidates"] == [ids[17]]
    assert found["flips"] == [{"from": "good", "to": "bad", "last": ids[16], "first": ids[17]}]
    assert found["runs"] <= 5 + 2 + 6
    assert (found["cached"], found["skipped"]) == (0, 0)
    assert 0.9 < found["posterior"] <= 1
    assert found["signature"]["exit_code"] == 1
    assert [c["path"] for c in found["changes"]] == ["app.txt", "counter.txt", "notes/why.md"]
    assert found["culprits"] == [
        {
            "path": "app.txt",
            "hunks": [{"old_start": 26, "old_lines": 1, "new_start": 26, "new_lines": 1}],
            "whole": False,
        }
    ]
    assert found["elapsed_s"] > 0


def test_verdicts_are_remembered_between_bisects(story):
    first = story(f"bisect good @ --run '{CHECK}' --json").json
    second = story(f"bisect good @ --run '{CHECK}' --json").json
    assert second["first_bad"] == first["first_bad"]
    assert second["cached"] >= 3
    assert second["runs"] < first["runs"]


@pytest.mark.parametrize(
    ("options", "number", "flips"),
    [
        ("--grep '^broken'", 17, 1),
        ("--grep '^on$' --path '*.txt'", 22, 3),
        ("--json-value settings.json:model.temperature=0.9", 9, 1),
        ("--exists notes/why.md", 17, 1),
        ("--changed settings.json", 9, 1),
        ("--larger app.txt:235", 17, 1),
        ("--missing nowhere --invert", None, 0),
    ],
)
def test_built_in_predicates_know_all_flips(story, options, number, flips):
    result = story(f"bisect good @ {options} --json", code=0 if number is not None else 22)
    rows = story("log --json").json[::-1]
    assert len(result.json["flips"]) == flips
    if number is not None:
        assert result.json["first_bad"] == rows[number]["id"]
        assert result.json["posterior"] == 1
        assert result.json["runs"] <= 40


def test_agreeing_ends_have_an_exit_code_of_their_own(story):
    result = story("bisect good @ --run true", code=22)
    assert "both ends are good" in result.out
    assert "is the first bad" not in result.out


def test_a_search_may_go_back_in_time(story):
    rows = story("log --json").json[::-1]
    found = story("bisect @~5 @~15 --grep '^off$' --json").json
    assert (found["last_good"], found["first_bad"]) == (rows[22]["id"], rows[21]["id"])
    assert "turned it around" in story("bisect @~5 @~15 --grep '^off$'").out


def test_ends_the_wrong_way_round_are_said(story):
    found = story("bisect @ good --grep broken --json", code=23).json
    assert found["reason"] == "the good end is bad and the bad end is good"
    assert found["first_bad"] is None
    assert "add --invert" in story("bisect @ good --grep broken", code=23).out
    assert "of a command, ! CMD" in story(f"bisect @ good --run '{CHECK}'", code=23).out


def test_a_command_that_does_not_exist_stops_everything(story):
    result = story("bisect good @ --run no-such-program-anywhere", code=23)
    assert "No answer: the command cannot judge (exit 127): " in result.out
    found = story("bisect good @ --run 'exit 200' --json", code=23).json
    assert (found["status"], found["reason"]) == ("aborted", "the command cannot judge (exit 200)")
    assert probe_folders() == []


def test_a_half_changed_folder_that_cannot_be_judged_does_not_cost_the_answer(cli):
    for number in range(8):
        broken = number >= 4
        cli.write("tool2" if broken else "tool1", "exit 1\n" if broken else "exit 0\n")
        if number == 4:
            cli.remove("tool1")
        cli.write("check.sh", f"[ -e tool{1 + broken} ] || exit 127; sh tool{1 + broken}\n")
        cli.write("counter.txt", f"{number}\n")
        cli(f"commit -m 'step {number}'")
    found = cli("bisect @~7 @ --run 'sh check.sh' --json").json
    assert found["first_bad"] == cli("log --json").json[3]["id"]
    assert [c["path"] for c in found["culprits"]] == ["check.sh", "tool2"]


def test_an_untestable_block_leaves_an_interval(story):
    skip = "n=$(cat counter.txt); [ $n -ge 15 ] && [ $n -lt 19 ] && exit 125"
    result = story(f"bisect good @ --run '{skip}; {CHECK}' --json", code=20)
    rows = story("log --json").json[::-1]
    assert result.json["candidates"] == [rows[n]["id"] for n in range(15, 20)]
    assert result.json["skipped"] >= 4


def test_both_windows_are_found_with_a_command(story):
    result = story("bisect good @ --all --run 'grep -q off flag.txt' --json")
    rows = story("log --json").json[::-1]
    assert [flip["first"] for flip in result.json["flips"]] == [rows[n]["id"] for n in (5, 11, 22)]


def test_the_patch_of_the_minimal_change_applies(story, tmp_path):
    story(f"bisect good @ --run '{CHECK}' --patch ../culprit.patch")
    text = (story.folder.parent / "culprit.patch").read_text()
    assert text.startswith("diff --git a/app.txt b/app.txt")
    (tmp_path / "app.txt").write_text(BODY)
    subprocess.run(["git", "apply", story.folder.parent / "culprit.patch"], cwd=tmp_path, check=True)
    assert "broken here" in (tmp_path / "app.txt").read_text()
    assert "line 3\n" in (tmp_path / "app.txt").read_text()


def test_who_wants_the_patch_gets_it_of_one_changed_file_too_and_loses_no_exit_code(story):
    story("bisect good @ --run 'grep -q off flag.txt' --budget 60")
    story.write("flag.txt", "on\nreally\n")
    story("commit -m last")
    story("bisect @~1 @ --run '! grep -q really flag.txt' --patch ../one.patch")
    assert "+really" in (story.folder.parent / "one.patch").read_text()
    result = story("bisect good @ --run true --patch ../none.patch --incident nothing", code=22)
    assert "no minimal change" in result.err
    assert "No incident was opened" in result.err
    assert not (story.folder.parent / "none.patch").exists()
    refused = story("bisect good @ --exists notes/why.md --patch ../nowhere/x.patch", code=1)
    assert "Cannot write ../nowhere/x.patch" in refused.err


@pytest.mark.parametrize(
    "line",
    [
        "bisect good @",
        "bisect good good --run true",
        "bisect good @ --run true --exists a",
        "bisect good @ --grep '('",
        "bisect good @ --json-value nonsense",
        "bisect good @ --larger app.txt:lots",
        "bisect good @ --run true --flake-rate 0.7",
        "bisect good @ --run true --invert",
        "bisect good @ --exists a --path '*.py'",
        "bisect good @ --exists ''",
        "bisect good @ --run true --timeout 0",
        "bisect good @ --run true --budget nan",
        "bisect good @ --run true --budget -1",
        "bisect good @ --trigger no-such-rule",
        "bisect good @ --metric files --invert",
        "bisect good @ --metric files --patch x.patch",
        "bisect good @ --exists a --no-minimize --patch x.patch",
    ],
)
def test_wrong_calls_are_usage_errors(story, line):
    story(line, code=2)


def test_a_search_by_hand_from_start_to_reset(story):
    rows = story("log --json").json[::-1]
    story("bisect good", code=2)
    assert "name a good snapshot" in story("bisect start").out
    story("bisect good good")
    found = story("bisect bad @ --json").json
    for _ in range(10):
        if found["status"] != "running":
            break
        number = next(n for n, row in enumerate(rows) if row["id"] == found["next"])
        assert f"#{number + 1} " in story("bisect next").out
        folder = Path(story("bisect view").out.strip())
        assert (folder / "counter.txt").read_text() == f"{number}\n"
        assert story("bisect status --json").json["remaining"] == found["remaining"]
        found = story(f"bisect {'bad' if number >= 17 else 'good'} --json").json
    assert (found["status"], found["first_bad"]) == ("found", rows[17]["id"])
    saved = story("bisect log").raw
    (story.folder.parent / "saved.jsonl").write_bytes(saved)
    assert all(json.loads(line) for line in saved.splitlines())
    story("bisect reset")
    assert not folder.exists()
    story("bisect status", code=2)
    assert '"step 17"' in story("bisect replay ../saved.jsonl").out


def test_the_json_of_a_search_by_hand_without_its_ends(story):
    waiting = {"status": "running", "next": None, "remaining": None}
    assert story("bisect start --json").json == waiting
    assert story("bisect bad @ --json").json == waiting


def test_one_snapshot_cannot_be_both_ends_and_a_wrong_name_forgets_nothing(story):
    story("bisect start good @")
    before = story("bisect log").raw
    story("bisect start good good", code=2)
    story("bisect start good nonsense", code=1)
    assert story("bisect log").raw == before
    story("bisect start")
    story("bisect good good")
    story("bisect bad good", code=2)
    assert story("bisect status --json").json["bad"] is None


def test_contradicting_marks_by_hand_come_to_an_end(story):
    rows = [row["id"] for row in story("log --json").json[::-1]]
    story("bisect start good @")
    story("bisect good @~15")
    found = story("bisect bad @~15 --json").json
    asked = []
    while found["status"] == "running":
        assert len(asked) < 60
        asked.append(rows.index(found["next"]))
        found = story(f"bisect {'bad' if asked[-1] >= 17 else 'good'} --json", code=None).json
    assert (found["status"], found["first_bad"]) == ("found", rows[17])


def test_marks_outside_the_range_and_broken_logs_are_refused(story):
    story("bisect start @~20 @~10")
    story("bisect good @", code=2)
    story("bisect skip @~15")
    story.write("../broken.jsonl", '{"type": "bisect"}\n')
    story("bisect replay ../broken.jsonl", code=1)


# Whoever runs the tests may ignore a closed terminal (nohup), and children inherit that.
PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); "
    "from casreplay.cli.main import main; sys.argv[0] = 'casreplay'; main()"
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_bisect_leaves_nothing_and_goes_on_where_it_was(story, tmp_path, number):
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    block = (
        f"[ $(cat counter.txt) = 14 ] && [ ! -e {tmp_path}/second ] && echo > {begun} && sleep 60; {CHECK}"
    )
    environ = {**story.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    arguments = ["bisect", "good", "@", "--run", block, "--no-minimize"]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=story.folder, env=environ, stdout=subprocess.DEVNULL
    )
    with open(os.open(begun, os.O_RDONLY | os.O_NONBLOCK), "rb") as waiting:
        assert select.select([waiting], [], [], 20)[0]
    assert [p for p in tmp_path.iterdir() if p.name.startswith(PREFIX)]
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(PREFIX)]
    (tmp_path / "second").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=story.folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert '"step 17"' in done.stdout
    assert "Going on after" in done.stderr


def test_who_asked_to_outlive_the_terminal_does(story):
    ignoring = PROGRAM.replace("SIG_DFL", "SIG_IGN")
    line = f"kill -HUP $PPID; {CHECK}"
    environ = {**story.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = ["bisect", "good", "@", "--run", line, "--no-minimize", "--confirm", "0"]
    done = subprocess.run(
        [sys.executable, "-c", ignoring, *arguments],
        cwd=story.folder,
        env=environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b'"step 17"' in done.stdout


def test_a_snapshot_of_many_names_is_not_mistaken_for_a_subcommand(story):
    story("tag log @~3")
    assert story("bisect run good log --exists nowhere --json", code=22).json["status"] == "endpoints_agree"


def test_an_incident_is_opened_with_what_was_found(story):
    found = story(f"bisect good @ --run '{CHECK}' --incident 'App is broken' --json").json
    shown = story(f"incident show {found['incident']} --json").json
    assert shown["title"] == "App is broken"
    assert (shown["good"], shown["bad"]) == (found["last_good"], found["first_bad"])


def test_a_patch_is_shown_as_it_is_and_claims_no_more_than_was_tried(story):
    story.write("app.txt", "a\tgood\nb\n")
    story("commit -m before")
    story.write("app.txt", "a\tworse\nc\n")
    story("commit -m after")
    tried = story("bisect @~1 @ --run 'grep -q good app.txt' --minimize").out
    assert "    -a\tgood\n" in tried
    assert "nothing of it can be left out" in tried
    known = story("bisect @~1 @ --grep worse").out
    assert "    +c\n" in known
    assert "left out" not in known


def test_a_patch_without_the_content_of_binary_files_says_so(story):
    for content in (b"\0A", b"\0B"):
        (story.folder / "data.bin").write_bytes(content)
        story("commit -m data")
    result = story("bisect @~1 @ --run 'grep -q A data.bin' --patch ../binary.patch")
    assert "binary files without their content" in result.err


def test_the_command_that_brings_back_says_what_it_leaves_out(story):
    for number in range(11):
        story.write(f"many/{number:02}.txt", "x\n")
    story.write("-dash", "x\n")
    story("commit -m many")
    line = story("bisect @~1 @ --metric files").out.rstrip().splitlines()[-1]
    assert " -- -dash many/00.txt " in line
    assert "  # and 4 more: casreplay diff " in line
    assert shlex.split(line.partition("casreplay ")[2], comments=True)[-1] == "many/06.txt"


def test_secrets_and_triggers_are_predicates(story):
    story.write("deploy.env", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYq8Lm2TzV0aBc\n")
    story("commit -m leak")
    story.remove("deploy.env")
    story("commit -m hidden")
    story.write("deploy.env", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYq8Lm2TzV0aBc\n")
    story("commit -m again")
    found = story("bisect good @ --secret --json").json
    rows = story("log --json").json[::-1]
    assert [flip["first"] for flip in found["flips"]] == [rows[n]["id"] for n in (30, 31, 32)]
    assert [c["path"] for c in found["culprits"]] == ["deploy.env"]
    config = story("bisect good @~3 --trigger config --json").json
    assert (config["first_bad"], config["posterior"]) == (rows[9]["id"], 1)
    turned = story("bisect good @~3 --trigger config.key-changed --invert --json", code=23).json
    assert turned["reason"] == "the good end is bad and the bad end is good"
    assert turned["predicate"] == "not trigger config.key-changed"


def test_an_edited_script_outside_the_snapshots_is_another_predicate(story, tmp_path):
    script = tmp_path / "check.sh"
    rows = story("log --json").json[::-1]
    script.write_text("! grep -q broken app.txt\n")
    first = story(f"bisect good @ --run 'sh {script}' --json").json
    script.write_text("grep -q 0.2 settings.json\n")
    second = story(f"bisect good @ --run 'sh {script}' --json").json
    assert (first["first_bad"], second["first_bad"]) == (rows[17]["id"], rows[9]["id"])
    assert second["cached"] == 0
