"""Every rule id is in the documents, with the forms it stands for."""

from __future__ import annotations

import re
from pathlib import Path

from casreplay.forensics.roles import Role
from casreplay.forensics.secrets.rules import default_rules

ROOT = Path(__file__).parent.parent.parent
SECRETS = (ROOT / "docs" / "secrets.md").read_text("utf-8")
TRIGGERS = (ROOT / "docs" / "triggers.md").read_text("utf-8")


def test_every_secret_rule_and_form_is_documented() -> None:
    for rule in default_rules().ids:
        assert f"`{rule}`" in SECRETS, rule
    for token in default_rules().tokens:
        [row] = [line for line in SECRETS.splitlines() if line.startswith(f"| `{token.id}` |")]
        for form in token.forms:
            assert f"`{form.source}`".replace("|", "\\|") in row, form.source
        assert ("checksum" in row) is (token.check is not None)


def test_the_page_names_no_token_rule_that_does_not_exist() -> None:
    page = SECRETS.partition("## Vendor tokens")[2]
    listed = set(re.findall(r"^\| `([a-z0-9.-]+)` \| `", page, re.MULTILINE))
    assert listed == {token.id for token in default_rules().tokens}


def test_every_trigger_rule_is_documented() -> None:
    named = {f"deletion.{role.value}" for role in Role}
    for path in (ROOT / "casreplay" / "forensics").rglob("*.py"):
        if path.parent.name == "triggers" or path.name in ("emptiness.py", "growth.py"):
            text = path.read_text("utf-8")
            named |= set(re.findall(r'"((?:log|config|empty|growth)\.[a-z-]+)"', text))
    named |= {f"config.key-{word}" for word in ("added", "removed", "changed", "moved")}
    assert len(named) > 20
    for rule in named:
        assert f"`{rule}`" in TRIGGERS, rule
