"""Logs, names and notes made to fool the reader, and secrets in odd places, through whole commands."""

from __future__ import annotations

import random

import pytest
from support import secret_values

ESCAPES = "\x1b[2J\x1b]0;pwned\x07\x1b]8;;https://evil.example\x07click\x1b]8;;\x07"
HOSTILE = (
    f"ERROR {ESCAPES} failed to open config.json",
    "ERROR <script>alert(1)</script> invalid value for retries",
    'Decision: \u202egnp.exe\u202c "]; click d0 "javascript:alert(1)" because `rm -rf /` | a | b |',
    "FATAL ``` \n```mermaid\ngraph TD\n",
    "ERROR \x9b31m red \x00 nul \x08\x08 back",
)
COMMANDS = (
    "analyze good bad --title '\x1b[31m<b>\u202etitle'",
    "check good bad",
    "timeline good bad",
    "decisions good..bad",
    "decisions good..bad --mermaid",
    "loss good bad",
    "incident list",
    "incident show 1",
    "patterns",
    "report 1",
    "report 1 --format html",
    "report 1 --format json",
    "report 1 --format sarif",
    "report --summary",
    "report --summary --format html",
)


@pytest.fixture
def hostile(cli):
    name = b"data/\x1b[31m\xe2\x80\xae<img src=x>\xff.csv"
    cli.write("config.json", '{"retries": 3}\n')
    cli.write(name, "a,b\n1,2\n")
    cli.write("logs/run.log", "INFO started\n")
    cli.write("MEMORY.md", "# Notes\n")
    cli("commit --tag good")
    cli.write("config.json", '{"retries": "<script>\\u202e\\u001b[31m"}\n')
    cli.remove(name.decode("utf-8", "surrogateescape"))
    cli.write("logs/run.log", "INFO started\n" + "\n".join(HOSTILE) + "\n")
    cli.write("MEMORY.md", "# Notes\n" + "\n".join(HOSTILE) + "\n")
    cli("commit --tag bad -m '<b>label'")
    return cli


def test_nothing_is_obeyed_by_a_terminal_or_a_browser(hostile):
    for line in COMMANDS:
        text = hostile(line).out
        assert text, line
        assert all(c in "\n\t" or c.isprintable() for c in text), line
        if "html" in line:
            assert "<script>alert" not in text
            assert "<img" not in text
            assert "<b>" not in text


def test_a_lost_file_of_an_odd_name_still_comes_back(hostile):
    assert "brought back" in hostile("loss good bad --restore").out
    assert "Nothing was lost" in hostile("loss good").out


def pem(rng: random.Random) -> tuple[str, list[str]]:
    lines = [secret_values.key(rng, 64) for _ in range(20)]
    return "-----BEGIN RSA PRIVATE " + "KEY-----\n" + "\n".join(
        lines
    ) + "\n-----END RSA PRIVATE " + "KEY-----", lines


def test_secrets_that_span_lines_or_come_from_outside_do_not_show(cli, tmp_path):
    rng = random.Random(5)
    key, parts = pem(rng)
    outside, wrapped, decided = (secret_values.key(rng, 20) for _ in range(3))
    cli.write("config.json", '{"retries": 3}\n')
    cli.write("logs/run.log", "INFO started\n")
    cli.write("src/a.py", "x = 1\n")
    cli("commit --tag good")
    cli.write("config.json", f'{{"retries": "many",\n "password":\n   "{wrapped}"}}\n')
    cli.write(
        "logs/run.log", f"INFO started\nERROR cannot load key:\n{key}\nERROR invalid value for retries\n"
    )
    cli.write("src/a.py", f'KEY = """{key}"""\nx = 2\n')
    cli.write("MEMORY.md", f"- Decision: rotate, because password={decided} leaked\n")
    cli("commit --tag bad")
    (tmp_path / "ci.log").write_text(f"ERROR login failed password={outside}\n{key}\nERROR bad setting\n")
    lines = (
        f"analyze good bad --log {tmp_path}/ci.log --json",
        f"analyze good bad --log {tmp_path}/ci.log",
        *(
            "timeline good bad --json",
            "decisions bad --json",
            "decisions good..bad --mermaid",
            "check good bad",
        ),
        *("report 1", "report 1 --format html", "report 1 --format json", "report 1 --format sarif"),
        *("incident export", "secrets good..bad --json"),
    )
    cli(f"timeline good bad --html {tmp_path}/t.html")
    shown = {line: cli(line).out for line in lines} | {"page": (tmp_path / "t.html").read_text("utf-8")}
    for line, text in shown.items():
        for secret in (*parts, outside, wrapped, decided):
            leaks = [secret[i : i + 6] for i in range(len(secret) - 5) if secret[i : i + 6] in text]
            assert leaks == [], line
