from __future__ import annotations

import pytest

from casreplay.codec.hashing import blob_id
from casreplay.model.findings import Evidence, Finding, FindingKind, Severity


def finding(**changes: object) -> Finding:
    fields: dict[str, object] = {
        "rule": "log.error",
        "kind": FindingKind.LOG,
        "severity": Severity.HIGH,
        "message": "Traceback in a new line",
        "evidence": (Evidence(b"run.log", "ab" * 32, blob_id(b"x"), 3, 9),),
    }
    return Finding(**{**fields, **changes})


def test_json_has_exactly_the_documented_keys_in_order() -> None:
    assert finding().to_dict() == {
        "rule": "log.error",
        "kind": "log",
        "severity": "high",
        "message": "Traceback in a new line",
        "path": "run.log",
        "line": 3,
        "end_line": 9,
        "snapshot": "ab" * 32,
        "blob": blob_id(b"x").hex(),
    }
    assert list(finding().to_dict()) == [
        "rule", "kind", "severity", "message", "path", "line", "end_line", "snapshot", "blob",
    ]  # fmt: skip


def test_what_does_not_apply_is_null_and_odd_paths_keep_their_bytes() -> None:
    shown = finding(evidence=(Evidence(b"a\xff"),)).to_dict()
    assert (shown["line"], shown["end_line"], shown["snapshot"], shown["blob"]) == (None, None, None, None)
    assert (shown["path"], shown["path_b64"]) == ("a\\xff", "Yf8=")


def test_a_finding_without_evidence_is_refused() -> None:
    with pytest.raises(ValueError, match="no evidence"):
        finding(evidence=())


def test_worst_findings_come_first() -> None:
    mild = finding(severity=Severity.LOW, evidence=(Evidence(b"a"),))
    worst = finding(severity=Severity.CRITICAL, evidence=(Evidence(b"z"),))
    early = finding(evidence=(Evidence(b"m", line=2, end_line=2),))
    late = finding(evidence=(Evidence(b"m", line=10, end_line=10),))
    assert sorted([mild, late, worst, early], key=lambda f: f.sort_key) == [worst, early, late, mild]


@pytest.mark.parametrize(
    ("text", "severity"),
    [("info", 0), ("LOW", 1), (" medium ", 2), ("warning", 2), ("error", 3), ("Critical", 4), ("fatal", 4)],
)
def test_severity_words(text: str, severity: int) -> None:
    assert Severity.parse(text) == severity


def test_unknown_severity_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="info, low, medium, high, critical"):
        Severity.parse("severe")


def test_evidence_shows_its_note_only_when_there_is_one() -> None:
    assert "note" not in Evidence(b"a").to_dict()
    assert Evidence(b"a", note="the earlier size").to_dict()["note"] == "the earlier size"
