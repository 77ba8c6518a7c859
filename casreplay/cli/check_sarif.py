"""Findings as SARIF 2.1.0, for code hosts that show them beside the lines they are about.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote_from_bytes

from casreplay import __version__
from casreplay.model.findings import Evidence, Finding, Severity

__all__ = ["sarif"]

_LEVELS = {
    Severity.INFO: "note",
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
}
_SCORES = {
    Severity.INFO: "0.0",
    Severity.LOW: "3.0",
    Severity.MEDIUM: "5.5",
    Severity.HIGH: "8.0",
    Severity.CRITICAL: "9.5",
}


def sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    """One run with a rule for each id that occurs and a result for each finding, in their order."""
    rules = {finding.rule: finding for finding in reversed(findings)}
    ids = sorted(rules)
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "casreplay",
                        "version": __version__,
                        "rules": [_rule(rules[rule_id]) for rule_id in ids],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, ids.index(finding.rule)) for finding in findings],
            }
        ],
    }


def _rule(finding: Finding) -> dict[str, Any]:
    properties: dict[str, Any] = {"tags": [finding.kind.value]}
    if finding.kind.value == "secret":
        properties["security-severity"] = _SCORES[finding.severity]
        properties["tags"].append("security")
    return {
        "id": finding.rule,
        "shortDescription": {"text": f"{finding.kind.value}: {finding.rule}"},
        "defaultConfiguration": {"level": _LEVELS[finding.severity]},
        "properties": properties,
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [_location(finding.location)],
        "relatedLocations": [_location(evidence) for evidence in finding.evidence[1:]],
        "properties": {
            "severity": finding.severity.label,
            "snapshot": finding.location.snapshot,
            "blob": finding.location.blob.hex() if finding.location.blob is not None else None,
        },
    }


def _location(evidence: Evidence) -> dict[str, Any]:
    physical: dict[str, Any] = {
        "artifactLocation": {"uri": quote_from_bytes(evidence.path), "uriBaseId": "%SRCROOT%"}
    }
    if evidence.line is not None:
        physical["region"] = {"startLine": evidence.line, "endLine": evidence.end_line or evidence.line}
    return {"physicalLocation": physical}
