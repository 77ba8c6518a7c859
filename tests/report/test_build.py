"""What a report says: the cause first, honest words where something is not known."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.model.findings import Severity
from casreplay.model.incidents import Incident, Occurrence, Status
from casreplay.report.build import incident_report
from casreplay.report.diffs import side_by_side
from casreplay.report.markdown import to_markdown
from casreplay.report.summary import summary_report
from casreplay.report.wording import count, duration, moment, plain, size

DAY_S = 86_400
NOON_NS = 1_790_000_000 * 10**9


def incident(**fields):
    values = {
        "id": "INC-0001",
        "title": "Broke",
        "severity": Severity.HIGH,
        "status": Status.TRIAGE,
        "owner": "",
        "tags": (),
        "good": "aa" * 32,
        "bad": "bb" * 32,
        "happened_ns": NOON_NS,
        "detected_ns": NOON_NS + 10**10,
        "mitigated_ns": None,
        "resolved_ns": None,
        "closed_ns": None,
        "root_cause": "config_error",
        "cause_by": "machine",
        "fingerprint": "0123456789ab",
        **fields,
    }
    return Incident(**values)


def change(path, kind="modified", before="11" * 32, after="22" * 32):
    return {
        "path": path,
        "kind": kind,
        "old_path": None,
        "size_before": 3,
        "size_after": 3,
        "blob_before": before,
        "blob_after": after,
    }


def evidence(path, rule="change.config", weight=3.0, effect="for config_error"):
    return {
        "rule": rule,
        "message": f"{path} changed",
        "path": path,
        "line": 3,
        "snapshot": "bb" * 32,
        "blob": "22" * 32,
        "weight": weight,
        "effect": effect,
    }


def document(**fields):
    state = {"id": "aa" * 32, "sequence": 1, "label": "", "time_ns": NOON_NS}
    return {
        "root_cause": "config_error",
        "confidence": 0.9,
        "sub_cause": "bad_setting",
        "candidates": [],
        "evidence": [evidence("c.json"), evidence("d.csv", "change.data", 0.1, "for data_corruption")],
        "remediation": [],
        "loss": {"entries": [], "summary": {}},
        "changes": [change("c.json")],
        "triggers": [],
        "coverage": {},
        "good": state,
        "bad": {**state, "id": "bb" * 32},
        "timeline": [],
        "decisions": [],
        **fields,
    }


def said(one, read=lambda _, __: None) -> str:
    return to_markdown(incident_report(one, read)).replace("\\", "")


def test_the_cause_comes_first_with_its_evidence():
    text = said(incident(analysis=document()))
    summary = text[text.index("## Summary") : text.index("## Impact")]
    assert summary.index("a configuration error (bad setting)") < summary.index("c.json changed")
    assert "d.csv" not in summary


def test_every_changed_file_that_speaks_for_the_cause_can_be_set_back():
    text = said(incident(analysis=document()))
    assert f"casreplay restore {'aa' * 6} -- c.json" in text
    assert "-- d.csv" not in text


def test_names_are_quoted_for_a_shell():
    name = "my file's.json"
    found = document(evidence=[evidence(name)], changes=[change(name)])
    assert """casreplay restore aaaaaaaaaaaa -- 'my file'"'"'s.json'""" in said(incident(analysis=found))


def test_undetermined_is_said_plainly():
    one = incident(root_cause="undetermined", analysis=document(root_cause="undetermined", evidence=[]))
    text = said(one)
    assert "The root cause is undetermined: the evidence did not suffice to name one." in text
    assert "No evidence was found." in text


def test_what_a_person_set_is_called_so():
    text = said(incident(cause_by="person", root_cause="drift", analysis=document()))
    assert "The root cause is drift of the environment, as judged by a person." in text
    assert "below is what the machine weighed" in text


def test_loss_that_cannot_come_back_is_not_passed_over():
    entry = {
        "path": "a",
        "kind": "deleted",
        "size_before": 5,
        "size_after": 0,
        "blob": None,
        "recoverable": False,
        "recover_from": None,
        "lost_in": None,
    }
    loss = {"entries": [entry], "summary": {"deleted": 1, "bytes": 5, "recoverable": 0, "unrecoverable": 1}}
    text = said(incident(analysis=document(loss=loss)))
    assert "1 of them cannot be brought back" in text
    assert "cannot be brought back: no snapshot holds it" in text


def test_a_recurrence_is_counted():
    twice = (Occurrence("a", "b", 1), Occurrence("c", "d", 2))
    assert "It was seen 2 times." in said(incident(occurrences=twice, analysis=document()))


def test_lost_decisions_are_told():
    row = {
        "text": "Keep it",
        "why": "",
        "followed": [],
        "marker": "decision",
        "confidence": 0.9,
        "time_ns": None,
        "quality": "none",
        "path": "MEMORY.md",
        "line": 1,
        "end_line": 1,
        "snapshot": None,
        "blob": None,
        "became": "deleted",
    }
    assert "gone or rewritten" in said(incident(analysis=document(lost_decisions=[row])))


@pytest.mark.parametrize("analysis", [{}, {"changes": [], "good": None, "bad": None}])
def test_an_incident_of_another_source_has_a_report_too(analysis):
    assert "no snapshots are on record" in said(incident(analysis=analysis))


def test_diffs_are_shown_for_what_the_evidence_names_first():
    contents = {"11" * 32: b"a\nb\nc\n", "22" * 32: b"a\nB\nc\n"}
    changes = [change(f"f{i:02}.txt") for i in range(30)] + [change("c.json")]
    text = said(incident(analysis=document(changes=changes)), lambda blob, _: contents.get(blob))
    assert "-b\n+B" in text
    assert text.index("### c.json") < text.index("### f00.txt")
    assert text.count("\n### ") == 12


class TestDiffs:
    def test_rows(self):
        block = side_by_side("f", b"a\nb\nc\n", b"a\nx\nc\nd\n")
        assert [(row.kind, row.old_line, row.new_line) for row in block.rows] == [
            ("same", 1, 1),
            ("changed", 2, 2),
            ("same", 3, 3),
            ("added", None, 4),
        ]

    @pytest.mark.parametrize(
        ("before", "after", "note"),
        [
            (b"\0\1", b"a", "binary content is not shown"),
            (b"a\n", b"a\n", "the texts are equal"),
            (b"a" * 300_000, b"b", "too large"),
            (b"a\n" * 4000, b"b\n", "too many lines"),
        ],
    )
    def test_why_there_are_no_rows(self, before, after, note):
        block = side_by_side("f", before, after)
        assert block.rows == ()
        assert note in block.note

    def test_the_number_of_rows_is_bounded(self):
        block = side_by_side("f", b"", b"x\n" * 50, most=10)
        assert (len(block.rows), block.note) == (10, "40 more rows are not shown")
        assert len(side_by_side("f", b"", b"x\n" * 50, most=0).rows) == 50

    @given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
    def test_both_sides_can_be_read_off(self, old, new):
        block = side_by_side("f", "\n".join(old).encode(), "\n".join(new).encode())
        for row in block.rows:
            if row.old_line is not None:
                assert row.old_text == "\n".join(old).splitlines()[row.old_line - 1]
            if row.new_line is not None:
                assert row.new_text == "\n".join(new).splitlines()[row.new_line - 1]


class TestSummary:
    def test_medians_and_counts(self):
        made = [
            incident(id=f"INC-000{n}", resolved_ns=NOON_NS + 10**10 + n * 10**9, status=Status.RESOLVED)
            for n in (1, 2, 3)
        ]
        text = to_markdown(summary_report([*made, incident(id="INC-0004")], [], None))
        assert "4 incidents on record, 1 open." in text
        assert "Median time to resolve: 2.0 s." in text

    def test_merged_ones_count_with_what_they_were_merged_into(self):
        one = incident()
        other = dataclasses.replace(one, id="INC-0002", merged_into="INC-0001")
        assert summary_report([one, other], [], None).data["by_root_cause"] == {"config_error": 1}

    def test_none(self):
        assert "There are no incidents on record." in to_markdown(summary_report([], [], None))


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (moment(NOON_NS), "2026-09-21 14:13:20 UTC"),
        (moment(None), "-"),
        (moment(2**70), f"{2**70} ns"),
        (duration(None), "-"),
        (duration(0.42), "0.4 s"),
        (duration(125), "2 min 5 s"),
        (duration(3 * 3600 + 1200), "3 h 20 min"),
        (duration(3 * DAY_S + 3600), "3 days 1 h"),
        (size(999), "999 B"),
        (size(1400), "1.4 KB"),
        (size(23_000_000), "23 MB"),
        (count(1, "file"), "1 file"),
        (count(2000, "entry", "entries"), "2,000 entries"),
        (plain("a\u202eb\x1b\tc\n"), "a\\u202eb\\u001b\tc\n"),
    ],
)
def test_wording(made, text):
    assert made == text
