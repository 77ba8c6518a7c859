"""The published schema of reports: made from the pages, and true of real reports."""

from __future__ import annotations

from typing import Any

import pytest
from support import report_schema

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def wrong(value: Any, rule: dict[str, Any], defs: dict[str, Any], at: str = "$") -> list[str]:
    """What in ``value`` the schema does not allow: as much of JSON Schema as the file uses."""
    if "$ref" in rule:
        return wrong(value, defs[rule["$ref"].rpartition("/")[2]], defs, at)
    if "anyOf" in rule:
        each = [wrong(value, one, defs, at) for one in rule["anyOf"]]
        return [] if [] in each else min(each, key=len)
    found = [line for one in rule.get("allOf", ()) for line in wrong(value, one, defs, at)]
    kind = rule.get("type")
    if kind == "number":
        if isinstance(value, bool) or not isinstance(value, int | float):
            found.append(f"{at} is no number")
    elif kind and not isinstance(value, TYPES[kind]):
        return [*found, f"{at} is no {kind}"]
    if isinstance(value, dict):
        found += [f"{at}.{name} is missing" for name in rule.get("required", ()) if name not in value]
        for name, below in rule.get("properties", {}).items():
            if name in value:
                found += wrong(value[name], below, defs, f"{at}.{name}")
    if isinstance(value, list) and "items" in rule:
        for i, item in enumerate(value):
            found += wrong(item, rule["items"], defs, f"{at}[{i}]")
    return found


def test_the_file_is_what_the_pages_say():
    assert report_schema.FILE.read_text("utf-8") == report_schema.rendered(), (
        "run: python tests/support/report_schema.py"
    )


@pytest.fixture
def reported(cli):
    cli.write("config.json", '{"retries": 3}\n')
    cli.write("data/a.csv", "a,b\n1,2\n")
    cli.write("logs/run.log", "INFO started\n")
    cli("commit --tag good")
    cli.write("config.json", '{"retries": "many"}\n')
    cli.remove("data/a.csv")
    cli.write(
        "logs/run.log", "INFO started\nINFO Decision: more, because slow\nERROR invalid value for retries\n"
    )
    cli("commit --tag bad")
    cli("analyze good bad")
    cli("incident note 1 hm --author ana")
    cli("incident action 1 'do it'")
    return cli


def test_real_reports_are_as_the_schema_says(reported):
    made = report_schema.schema()
    incident = reported("report 1 --format json").json
    assert wrong(incident, made["$defs"]["IncidentWhole"], made["$defs"]) == []
    summary = reported("report --summary --format json").json
    assert wrong(summary, made["$defs"]["Summary"], made["$defs"]) == []
    assert set(summary) == set(made["$defs"]["Summary"]["properties"])


def test_what_is_wrong_is_noticed(reported):
    made = report_schema.schema()
    incident = reported("report 1 --format json").json
    incident["analysis"]["evidence"][0]["weight"] = "much"
    del incident["analysis"]["loss"]["summary"]["bytes"]
    assert sorted(wrong(incident, made["$defs"]["IncidentWhole"], made["$defs"])) == [
        "$.analysis.evidence[0].weight is no number",
        "$.analysis.loss.summary.bytes is missing",
    ]
