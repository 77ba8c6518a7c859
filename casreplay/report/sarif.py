"""Findings as SARIF 2.1.0, for code hosts that show them beside the lines they are about.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0. Works on the JSON rows of
findings, so that an incident kept for a year can still be exported.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote_from_bytes

from casreplay.model.paths import from_display

__all__ = ["rows_to_sarif"]

VERSION = "2.1.0"
_LEVELS = {"info": "note", "low": "note", "medium": "warning", "high": "error", "critical": "error"}
_SCORES = {"info": "0.0", "low": "3.0", "medium": "5.5", "high": "8.0", "critical": "9.5"}


def rows_to_sarif(rows: Sequence[Mapping[str, Any]], version: str = "") -> dict[str, Any]:
    """One run with a rule for each id that occurs and a result for each row, in their order.

    Args:
        rows: ``Finding.to_dict()`` of each finding.
        version: of the program, for the driver.
    """
    first = {row["rule"]: row for row in reversed(rows)}
    ids = sorted(first)
    driver: dict[str, Any] = {"name": "casreplay", "rules": [_rule(first[one]) for one in ids]}
    if version:
        driver["version"] = version
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": VERSION,
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(row, ids.index(row["rule"])) for row in rows],
            }
        ],
    }


def _rule(row: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {"tags": [row["kind"]]}
    if row["kind"] == "secret":
        properties["security-severity"] = _SCORES[row["severity"]]
        properties["tags"].append("security")
    return {
        "id": row["rule"],
        "shortDescription": {"text": f"{row['kind']}: {row['rule']}"},
        "defaultConfiguration": {"level": _LEVELS[row["severity"]]},
        "properties": properties,
    }


def _result(row: Mapping[str, Any], index: int) -> dict[str, Any]:
    return {
        "ruleId": row["rule"],
        "ruleIndex": index,
        "level": _LEVELS[row["severity"]],
        "message": {"text": row["message"]},
        "locations": [_location(row)],
        "relatedLocations": [_location(one) for one in row.get("related", ())],
        "properties": {"severity": row["severity"], "snapshot": row["snapshot"], "blob": row["blob"]},
    }


def _location(row: Mapping[str, Any]) -> dict[str, Any]:
    raw = base64.b64decode(row["path_b64"]) if "path_b64" in row else from_display(row["path"])
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote_from_bytes(raw), "uriBaseId": "%SRCROOT%"}}
    if row["line"] is not None:
        physical["region"] = {"startLine": row["line"], "endLine": row["end_line"] or row["line"]}
    return {"physicalLocation": physical}
