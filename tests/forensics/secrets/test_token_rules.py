"""Every vendor rule against two tokens it must find and two texts it must not."""

from __future__ import annotations

import random

import pytest
from support import secret_values

from casreplay.forensics.secrets.forms import parse
from casreplay.forensics.secrets.model import SecretClass
from casreplay.forensics.secrets.rules import TokenRule, default_rules, load_tokens
from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter

RULES = default_rules().tokens
SCANNER = SecretScanner(fingerprinter(b"k" * 32), engine="re")
POSITIVE = ("2026-03-01 10:00:00 INFO sent header x={} ok\n", '{{"note": "{}", "n": 1}}')


def test_there_are_at_least_150_vendor_formats() -> None:
    assert len(RULES) >= 150
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.id)
def test_positive_examples(rule: TokenRule) -> None:
    rng = random.Random(rule.id)
    for form in rule.forms:
        for context in POSITIVE:
            token = secret_values.valid_token(rule, form, rng)
            text = context.format(token)
            found = SCANNER.scan_bytes(text.encode(), b"a.log")
            at = text.index(token)
            hit = [m for m in found if m.offset <= at and m.offset + m.length >= at + len(token)]
            assert hit, (rule.id, form.source)
            assert hit[0].secret_class is SecretClass.TOKEN


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.id)
def test_negative_examples(rule: TokenRule) -> None:
    rng = random.Random(rule.id)
    for form in rule.forms:
        longest = max((p for p in form.parts if p.alphabet), key=lambda p: p.low)
        short, broken = "", ""
        for part in form.parts:
            text = secret_values.text_of(part, rng)
            short += text[: len(text) // 4] if part is longest else text
            broken += text[: len(text) // 2] + "#" + text[len(text) // 2 + 1 :] if part is longest else text
        for text in (short, broken):
            found = SCANNER.scan_bytes(f"value {text} end".encode(), b"a.log")
            assert not [m for m in found if m.rule == rule.id], (form.source, found)


@pytest.mark.parametrize("rule", [r for r in RULES if r.check], ids=lambda r: r.id)
def test_a_wrong_checksum_is_for_review_not_for_action(rule: TokenRule) -> None:
    text = secret_values.valid_token(rule, rule.forms[0], random.Random(7))
    changed = (
        text[:-1] + ("Q" if text[-1] != "Q" else "P")
        if rule.check_name == "bech32"
        else text[:-1] + ("1" if text[-1] != "1" else "2")
    )
    assert [m.secret_class for m in SCANNER.scan_bytes(text.encode())] == [SecretClass.TOKEN]
    assert [m.secret_class for m in SCANNER.scan_bytes(changed.encode())] == [SecretClass.PASSWORD_LIKE]


def test_github_published_example_has_a_valid_checksum() -> None:
    from casreplay.forensics.secrets.checks import CHECKS

    body = "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ" + "0mLq17"
    assert CHECKS["crc32-base62"](b"ghp" + b"_" + body.encode())


def test_vendors_example_values_are_for_review() -> None:
    text = b"id " + b"AKIA" + b"IOSFODNN7" + b"EXAMPLE"
    assert [m.secret_class for m in SCANNER.scan_bytes(text)] == [SecretClass.PASSWORD_LIKE]


def test_no_rule_id_gives_away_six_characters_of_its_tokens() -> None:
    for rule in RULES:
        for form in rule.forms:
            for part in form.parts:
                for i in range(len(part.text) - 5):
                    assert part.text[i : i + 6].lower() not in rule.id.lower(), (rule.id, form.source)


@pytest.mark.parametrize("filler", ["x", "0", "*", "."])
def test_masked_tokens_are_no_findings(filler: str) -> None:
    assert SCANNER.scan_bytes(f"token gh{'p'}_{filler * 36}".encode()) == []


def test_a_token_is_found_after_escapes_and_colours() -> None:
    rule = next(r for r in RULES if r.id == "gh.oauth")
    text = secret_values.valid_token(rule, rule.forms[0], random.Random(3))
    for before in ("\\n", "\\t", "\x1b[31m", '\\"', "=", "/"):
        assert [m.rule for m in SCANNER.scan_bytes((before + text).encode())] == ["gh.oauth"], before


@pytest.mark.parametrize("form", ["{b62:20}", "a{b62:20}", "ab{nothing:20}", "ab{b62}"])
def test_forms_that_cannot_work_are_refused(form: str) -> None:
    with pytest.raises(ValueError, match=r"Form|Unknown"):
        parse(form)


def test_unknown_checksums_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown checksum"):
        load_tokens('[a]\n"x.y" = { form = "abc{b62:20}", check = "crc9" }\n')
