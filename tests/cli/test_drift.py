"""drift as people use it, and bisect --metric after it."""

from __future__ import annotations

import json

import pytest
from support.json_docs import disagreements


@pytest.fixture
def long(cli):
    for number in range(24):
        cli.write("notes/MEMORY.md", "a line of memory\n" * (number + 1 if number < 15 else 80))
        cli.write("config.json", json.dumps({"limit": 5 if number < 9 else 50}))
        cli.write("log.txt", f"run {number}\n")
        cli(f"commit -m 'step {number}'" + (" --tag good" if number == 0 else ""))
    return cli


def test_steps_are_listed_with_the_command_that_looks_closer(long):
    result = long("drift --metric value:config.json:limit")
    assert "5 -> 50" in result.out
    assert '"step 9"' in result.out
    line = next(line for line in result.out.splitlines() if "Look closer" in line)
    closer = long(line.partition("casreplay ")[2])
    assert '"step 9"' in closer.out.split("is the first bad")[0]


def test_the_command_that_looks_closer_looks_at_the_same_files(cli):
    for number in range(12):
        cli.write("a.py", "TODO\n" * (1 + (number >= 6)))
        cli.write("b.txt", "TODO\n" * (1 + (number < 6)))
        cli(f"commit -m 'step {number}'")
    result = cli("drift --metric count:TODO --path *.py")
    line = next(line for line in result.out.splitlines() if "Look closer" in line)
    assert '"step 6"' in cli(line.partition("casreplay ")[2]).out.split("is the first bad")[0]


def test_a_page_that_cannot_be_written_is_named(long):
    assert "Cannot write ../nowhere/x.html" in long("drift --html ../nowhere/x.html", code=1).err


def test_the_json_names_snapshots_and_gives_the_series(long):
    rows = long("log --json").json[::-1]
    found = long("drift good..@ --metric size:notes/MEMORY.md --metric files --json").json
    assert (found["from"], found["to"], found["samples"]) == (rows[0]["id"], rows[-1]["id"], 24)
    assert disagreements("casreplay drift", found) == []
    memory, files = found["metrics"]
    assert len(memory["series"]) == 24
    assert memory["last"] == 80 * len("a line of memory\n")
    assert files["kind"] == "constant"
    exact = long("bisect good @ --metric lines:notes/MEMORY.md --json").json
    assert exact["first_bad"] == rows[15]["id"]


def test_defaults_page_and_sampling(long):
    result = long("drift --every 4 --html ../page.html")
    assert all(name in result.out for name in ("files", "bytes", "churn", "deletions", "empty"))
    page = (long.folder.parent / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_numbers_printed_by_a_command(long):
    found = long("drift --metric 'run:wc -l < notes/MEMORY.md' --every 8 --json").json
    assert [value for _, value in found["metrics"][0]["series"]] == [8.0, 80.0, 80.0]


@pytest.mark.parametrize(
    "line",
    [
        "drift nonsense",
        "drift --metric nonsense",
        "drift --every never",
        "bisect good @ --metric files",
        "bisect good @ --metric size:nowhere",
    ],
)
def test_wrong_calls_are_usage_errors(long, line):
    long(line, code=2)


def test_what_is_no_finite_number_is_no_number(cli):
    for value in ("1", "NaN", "Infinity", '"1e999"', "1" + "0" * 400, "2"):
        cli.write("c.json", f'{{"k": {value}}}')
        cli(f"commit -m {value[:8]!r}")
    values = cli("drift --metric value:c.json:k --json").json["metrics"][0]
    assert (values["first"], values["last"], values["missing"]) == (1, 2, 4)
    cli("drift --metric 'run:echo 1e999'")


def test_purged_contents_give_no_number_and_are_left_out_of_an_export(cli):
    for number in range(3):
        cli.write("a.txt", f"secret {number}\n")
        cli.write("b.txt", f"{number}\n")
        cli(f"commit -m {number}")
    cli("purge a.txt -y --reason private")
    for name in ("lines:a.txt", "value:a.txt:k", "count:secret", "secrets", "size:a.txt"):
        cli(f"drift --metric {name}")
    result = cli("export-git", code=3)
    assert "secret" not in result.out
    assert result.out.count(" b.txt\n") == 3
    assert " a.txt\n" not in result.out
    assert "3 paths left out" in result.err
