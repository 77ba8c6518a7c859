"""``check`` and ``secrets`` as whole sessions."""

from __future__ import annotations

import gzip
import json

import pytest
from support.json_docs import disagreements

SECRET = "Xk9" + "mQ2vLr7w"


def token() -> str:
    return "sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dcAB"


@pytest.fixture
def suspicious(cli):
    """Snapshots good and bad: an error, a deletion, a changed key, two secrets, an emptied output."""
    cli.write("logs/run.log", "2026-03-01 10:00:00 INFO start\n2026-03-01 10:00:01 ERROR old: disk\n")
    cli.write("src/a.py", "print(1)\n" * 9)
    cli.write("app.yaml", "db:\n  host: a\n  port: 5432\n")
    cli.write("out/r.csv", "a,b\n" + "1,2\n" * 300)
    cli("commit --tag good")
    cli.write(
        "logs/run.log",
        "2026-03-01 10:00:00 INFO start\n2026-03-01 10:00:01 ERROR old: disk\n"
        f"2026-03-02 10:00:00 ERROR login failed password={SECRET}\n    at once\n",
    )
    cli.remove("src/a.py")
    cli.write("app.yaml", "db:\n  host: b\n  port: 5432\n")
    cli.write("out/r.csv", "a,b\n")
    cli.write(".env", f"STRIPE={token()}\n")
    cli("commit --tag bad")
    return cli


EXPECTED = [
    ("stripe.live", "secret", "critical", ".env", 1, 1),
    ("log.error", "log", "high", "logs/run.log", 3, 4),
    ("empty.emptied", "empty", "high", "out/r.csv", None, None),
    ("deletion.source", "deletion", "high", "src/a.py", None, None),
    ("config.key-changed", "config", "medium", "app.yaml", 2, 2),
    ("assign.password", "secret", "medium", "logs/run.log", 3, 3),
]


@pytest.mark.parametrize("line", ["check good bad --json", "check good..bad --json", "check good --json"])
def test_findings_as_json(suspicious, line):
    value = suspicious(line).json
    rows = [
        (f["rule"], f["kind"], f["severity"], f["path"], f["line"], f["end_line"]) for f in value["findings"]
    ]
    assert rows == EXPECTED
    assert list(value) == ["findings", "coverage"]
    assert list(value["findings"][0]) == [
        "rule", "kind", "severity", "message", "path", "line", "end_line", "snapshot", "blob",
    ]  # fmt: skip
    assert value["coverage"]["examined"]["logs"] == 1
    assert value["coverage"]["after"]["complete"] is True
    assert disagreements("casreplay check", value) == []


def test_snapshots_and_blobs_of_findings_resolve(suspicious):
    findings = suspicious("check good bad --json").json["findings"]
    assert findings
    for finding in findings:
        shown = suspicious(f"ls -r {finding['snapshot'][:12]} --json").json
        assert finding["blob"] in json.dumps(shown)


def test_without_arguments_the_folder_is_compared_with_the_last_snapshot(suspicious):
    assert suspicious("check").out == "No findings\n"
    suspicious.write("src/b.py", f'password = "{SECRET}"\n')
    [finding] = suspicious("check --json").json["findings"]
    assert (finding["rule"], finding["path"], finding["snapshot"]) == ("assign.password", "src/b.py", None)


@pytest.mark.parametrize(
    ("options", "code"),
    [("", 0), ("--fail-on critical", 1), ("--fail-on high", 1), ("--fail-on INFO", 1)],
)
def test_exit_codes_for_ci(suspicious, options, code):
    suspicious(f"check good bad {options}", code=code)


def test_fail_on_looks_at_severity(suspicious):
    suspicious.write("note.md", "x\n")
    suspicious("commit --tag later")
    suspicious("check bad later --fail-on info", code=0)
    suspicious("check good bad --fail-on severe", code=2)


def test_text_shows_place_and_no_value(suspicious):
    result = suspicious("check good bad")
    assert "logs/run.log:3-4" in result.out
    assert "deletion.source  src/a.py" in result.out
    assert "6 findings" in result.err
    for part in (SECRET[:6], token()[10:16]):
        assert part not in result.out + result.err


def test_sarif(suspicious, tmp_path):
    suspicious(f"check good bad --sarif {tmp_path}/x.sarif --quiet")
    value = json.loads((tmp_path / "x.sarif").read_text())
    run = value["runs"][0]
    assert (value["version"], run["tool"]["driver"]["name"]) == ("2.1.0", "casreplay")
    assert len(run["results"]) == len(EXPECTED)
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    log = next(r for r in run["results"] if r["ruleId"] == "log.error")
    physical = log["locations"][0]["physicalLocation"]
    assert physical["region"] == {"startLine": 3, "endLine": 4}
    assert physical["artifactLocation"]["uri"] == "logs/run.log"
    assert SECRET[:6] not in json.dumps(value)


def test_a_sarif_file_that_cannot_be_written_is_an_error(suspicious):
    result = suspicious("check good bad --sarif /nowhere/x.sarif", code=1)
    assert "Cannot write /nowhere/x.sarif" in result.err


def test_secrets_of_a_snapshot_and_of_a_range(suspicious):
    suspicious.write("more.env", f"DB_PASSWORD={SECRET}\n")
    suspicious("commit --tag worse")
    value = suspicious("secrets worse --json").json
    assert [
        (f["rule"], f["class"], f["path"], f["line"], f["column"], f["length"]) for f in value["findings"]
    ] == [
        ("stripe.live", "token", ".env", 1, 8, len(token())),
        ("assign.password", "password-like", "logs/run.log", 3, 49, len(SECRET)),
        ("assign.password", "password-like", "more.env", 1, 13, len(SECRET)),
    ]
    assert value["findings"][1]["fingerprint"] == value["findings"][2]["fingerprint"]
    assert list(value["findings"][0]) == ["rule", "class", "path", "line", "column", "length", "fingerprint"]
    assert disagreements("casreplay secrets", value) == []
    between = suspicious("secrets bad..worse --json").json["findings"]
    assert [f["path"] for f in between] == ["more.env"]


def test_secrets_exit_code_and_text(suspicious):
    assert suspicious("secrets good").out == "No secrets found\n"
    suspicious("secrets good --exit-code")
    result = suspicious("secrets bad --exit-code", code=1)
    assert f"<stripe.live> len={len(token())} fp=" in result.out
    assert token()[8:14] not in result.out + result.err


@pytest.mark.parametrize("engine", ["re", "ahocorasick", "hyperscan", "auto"])
def test_engines_give_the_same(suspicious, engine):
    want = suspicious("secrets bad --json").json
    suspicious("secrets good --json")
    assert suspicious(f"secrets bad --engine {engine} --json").json == want
    assert suspicious(f"check good bad --engine {engine} --json").json["findings"] != []


def test_the_second_scan_reads_nothing(suspicious, monkeypatch):
    want = suspicious("secrets bad --json").json
    from casreplay.forensics.secrets.scanner import SecretScanner

    def refuse(*_args):
        raise AssertionError("scanned again")

    monkeypatch.setattr(SecretScanner, "scan", refuse)
    assert suspicious("secrets bad --json").json == want


def test_configuration_counts(suspicious):
    suspicious.write(
        "casreplay.json",
        json.dumps(
            {
                "DISABLED_TRIGGERS": ["secret", "log", "empty", "config"],
                "CONSTRAINTS": [{"name": "only-docs", "type": "only_may_change", "paths": ["docs/"]}],
                "IGNORE_FINDINGS": [{"rule": "deletion.source", "reason": "meant"}],
            }
        ),
    )
    result = suspicious("check good bad --json").json
    assert {finding["rule"] for finding in result["findings"]} == {"only-docs"}
    assert "accepted one" in suspicious("check good bad").err


def test_messy_workspaces(cli):
    cli("commit --tag empty")
    assert cli("check empty").out == "No findings\n"
    assert cli("secrets empty").out == "No secrets found\n"
    cli.write(b"odd-\xff.log", b"\x00\x01\x02" * 999)
    cli.write("bad.json", b"\xff\xfe\x00")
    cli.write("packed.log.gz", gzip.compress(f"password={SECRET}\n".encode(), mtime=0))
    cli.write("wide.txt", f"password={SECRET}\n".encode("utf-16"))
    cli.write("esc.log", "ERROR: \x1b[2J\u202edevil\n")
    cli("commit --tag messy")
    found = cli("secrets messy --json").json["findings"]
    assert [f["path"] for f in found] == ["packed.log.gz", "wide.txt"]
    result = cli("check empty messy")
    assert "\x1b" not in result.out
    assert "\u202e" not in result.out
    assert cli("check empty messy --json").json["coverage"]["not_examined"]


def test_unknown_snapshots_are_clear_errors(cli):
    cli("commit")
    assert "nothing" in cli("check nothing", code=1).err
    assert "nothing" in cli("secrets nothing..@", code=1).err
