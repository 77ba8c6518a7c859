"""Keys, documents and schema say the same, and the reader and the documents cannot drift apart."""

from __future__ import annotations

import dataclasses
import json
import re
from importlib import resources
from pathlib import Path

import pytest

from casreplay.codec import config_rules
from casreplay.model.config import KEYS, CategoryConfig, Config, ConstraintConfig, SecretRuleConfig
from casreplay.workspace.ignore import DEFAULT_GROUPS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "config.md").read_text(encoding="utf-8")
SCHEMA = json.loads(
    resources.files("casreplay.data").joinpath("config.schema.json").read_text(encoding="utf-8")
)


def as_json(value):
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if hasattr(value, "items") else value


def test_every_field_has_exactly_one_key():
    fields = sorted(field.name for field in dataclasses.fields(Config))
    assert sorted(spec.attribute for spec in KEYS if spec.attribute) == fields
    assert len({spec.name for spec in KEYS}) == len(KEYS)


@pytest.mark.parametrize("spec", KEYS, ids=lambda spec: spec.name)
def test_every_key_is_documented_with_type_default_and_unit(spec):
    row = re.search(rf"^\| `{spec.name}` \| (.+) \| (.+) \| (.+) \| (.+) \|$", DOCUMENT, re.MULTILINE)
    assert row is not None
    kind, default, unit, meaning = row.groups()
    assert kind
    assert unit == (spec.unit or "-")
    assert meaning == spec.meaning
    if not spec.attribute:
        assert default == "none"
        return
    shown = json.loads(default.strip("`"))
    value = as_json(getattr(Config(), spec.attribute))
    assert shown == ({} if spec.name == "ROOT_CAUSE_CATEGORIES" else value)


def test_no_documented_key_is_unknown():
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", DOCUMENT, re.MULTILINE))
    assert documented == {spec.name for spec in KEYS}


def test_the_schema_has_the_same_keys_and_defaults():
    properties = SCHEMA["properties"]
    assert set(properties) == {spec.name for spec in KEYS} | {"$schema"}
    assert SCHEMA["additionalProperties"] is False
    for spec in KEYS:
        if spec.attribute:
            value = as_json(getattr(Config(), spec.attribute))
            assert properties[spec.name]["default"] == ({} if spec.name == "ROOT_CAUSE_CATEGORIES" else value)


def test_the_groups_that_can_be_switched_are_those_that_exist():
    names = [group.name for group in DEFAULT_GROUPS]
    assert set(SCHEMA["properties"]["DEFAULT_EXCLUDES"]["properties"]) == set(names)
    for group in DEFAULT_GROUPS:
        assert f"| `{group.name}` |" in DOCUMENT
        for pattern in group.patterns:
            assert f"`{pattern}`" in DOCUMENT


def properties_of(key, *, inside="items"):
    return set(SCHEMA["properties"][key][inside]["properties"])


def test_the_schema_knows_the_fields_the_reader_knows():
    triggers = properties_of("TRIGGERS")
    assert triggers == {*config_rules._TRIGGER_KEYS, *config_rules._TRIGGER_OPTIONS}
    nested = SCHEMA["properties"]["TRIGGERS"]["items"]["properties"]["config"]["properties"]
    assert set(nested) == {*config_rules._TRIGGER_OPTIONS, *config_rules._PREDECESSOR_OPTIONS}
    assert properties_of("CONSTRAINTS") == {f.name for f in dataclasses.fields(ConstraintConfig)} - {
        "kind"
    } | {"type"}
    assert properties_of("SECRETS_RULES") == {f.name for f in dataclasses.fields(SecretRuleConfig)}
    categories = properties_of("ROOT_CAUSE_CATEGORIES", inside="additionalProperties")
    assert categories == {f.name for f in dataclasses.fields(CategoryConfig)} - {"name"}


def test_every_trigger_field_is_documented():
    for field in config_rules._TRIGGER_OPTIONS:
        assert f"| `{field}` |" in DOCUMENT
    for field in config_rules._PREDECESSOR_OPTIONS:
        assert f"`{field}`" in DOCUMENT or f'"{field}"' in DOCUMENT
