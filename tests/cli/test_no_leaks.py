"""A thousand planted secrets, and every command that shows text: no six characters of any come out."""

from __future__ import annotations

import json
import random

import pytest
from support import secret_values

from casreplay.forensics.secrets.rules import default_rules

COUNT = 1000
NAMES = ("logs/run.log", "app.yaml", "src/a.py", ".env", "MEMORY.md")


def plant(rng: random.Random) -> tuple[dict[str, list[str]], list[str]]:
    """Lines by file, and the random parts of the secrets in them."""
    files: dict[str, list[str]] = {
        name: [] for name in ("logs/run.log", "app.yaml", "src/a.py", ".env", "MEMORY.md")
    }
    secrets: list[str] = []
    rules = default_rules().tokens
    for number in range(COUNT):
        if number % 2:
            rule = rules[number // 2 % len(rules)]
            secret = secret_values.valid_token(rule, rng.choice(rule.forms), rng)
            log = f"2026-03-02 10:00:{number % 60:02} ERROR cannot send {secret}: refused"
        else:
            secret = secret_values.key(rng, rng.randint(12, 24))
            log = f"2026-03-02 10:00:{number % 60:02} ERROR login failed password={secret} user={number}"
        secrets.append(secret)
        files["logs/run.log"].append(log)
        files["app.yaml"].append(f"service_{number}_password: {secret}")
        files["src/a.py"].append(f'key_{number}_secret = "{secret}"')
        files[".env"].append(f"S{number}_PASSWORD={secret}")
        files["MEMORY.md"].append(f"Decision: use password={secret} for service {number} because it works")
    return files, secrets


def windows(secret: str) -> set[str]:
    """Six characters of the random parts: vendors' public words have no digit among letters."""
    parts = {secret[i : i + 6] for i in range(len(secret) - 5)}
    return {part for part in parts if any(c.isdigit() for c in part) and any(c.isalpha() for c in part)}


@pytest.fixture
def leaky(cli):
    files, secrets = plant(random.Random(11))
    for name in files:
        cli.write(name, "# start\n")
    cli("commit --tag good")
    cli.write("logs/run.log", "# start\n" + "\n".join(files["logs/run.log"][: COUNT // 2]) + "\n")
    cli("commit --tag middle")
    for name, lines in files.items():
        cli.write(name, "# start\n" + "\n".join(lines) + "\n")
    cli("commit --tag bad")
    return cli, secrets


COMMANDS = (
    "check good bad",
    "check good bad --json",
    "secrets bad",
    "secrets good..bad --json",
    "timeline good bad",
    "timeline good bad --json",
    "decisions good..bad",
    "decisions good..bad --json",
    "analyze good bad --title T --json",
    "loss good bad --json",
    "incident list --json",
    "incident show INC-0001 --json",
    "report INC-0001 --format md",
    "report INC-0001 --format json",
    "report INC-0001 --format html",
    "report INC-0001 --format sarif",
    "report --summary --format md",
)


@pytest.mark.slow
def test_no_command_shows_six_characters_of_a_secret(leaky, tmp_path):
    cli, secrets = leaky
    wanted = {part: secret for secret in secrets for part in windows(secret)}
    shown = {line: "".join(cli(line, code=None).out) for line in COMMANDS}
    cli(f"check good bad --sarif {tmp_path}/x.sarif", code=None)
    shown["sarif"] = (tmp_path / "x.sarif").read_text()
    for line, text in shown.items():
        assert text, line
        pieces = {text[i : i + 6] for i in range(len(text) - 5)}
        leaks = sorted(part for part in pieces & set(wanted) if not may_be_chance(part))
        assert leaks == [], (line, leaks[:5], [wanted[part] for part in leaks[:5]])
    assert json.loads(shown["check good bad --json"])["findings"]


def may_be_chance(part: str) -> bool:
    """Whether all six are hexadecimal: ids and fingerprints hold any such six characters somewhere."""
    return all(c in "0123456789abcdef" for c in part)
