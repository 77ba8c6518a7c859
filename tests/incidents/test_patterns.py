"""What makes two incidents one pattern, and what becomes of an analysis."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.incidents.database import IncidentDatabase
from casreplay.incidents.patterns import fingerprint, group, severity_of, title_of
from casreplay.incidents.recording import record
from casreplay.model.findings import Severity
from casreplay.model.incidents import Status

SECOND = 10**9


def document(
    cause="config_error", message="ERROR invalid value 17 for retries", path="logs/run-3.log", **fields
):
    piece = {"rule": "cfg.value", "message": message, "path": path, "weight": 3.0, "effect": f"for {cause}"}
    changed = {
        "rule": "change.config",
        "message": "Configuration changed: c.json",
        "path": "c.json",
        "weight": 2.0,
        "effect": f"for {cause}, named by the failure",
    }
    return {
        "root_cause": cause,
        "sub_cause": "",
        "evidence": [piece, changed],
        "triggers": [],
        "changes": [{}],
        "good": {"id": "aa" * 32},
        "bad": {"id": "bb" * 32, "time_ns": 5},
        **fields,
    }


class TestFingerprint:
    @pytest.mark.parametrize(
        "other",
        [
            document(message="ERROR invalid value 99 for retries"),
            document(message="2026-01-02T03:04:05Z ERROR invalid value 17 for retries"),
            document(path="logs/run-4.log"),
            document(confidence=0.1, changes=[{}, {}], good=None),
        ],
    )
    def test_runs_of_one_failure_agree(self, other):
        assert fingerprint(other) == fingerprint(document())

    @pytest.mark.parametrize(
        "other",
        [
            document("drift"),
            document(message="ERROR quite another"),
            document(path="other.log"),
            document(sub_cause="x"),
        ],
    )
    def test_other_failures_do_not(self, other):
        assert fingerprint(other) != fingerprint(document())

    def test_without_evidence_there_is_none(self):
        assert fingerprint(document(evidence=[])) == ""
        assert len(fingerprint(document())) == 12

    @given(st.permutations([0, 1]))
    def test_the_order_of_evidence_does_not_matter(self, order):
        made = document()
        made["evidence"] = [made["evidence"][i] for i in order]
        assert fingerprint(made) == fingerprint(document())


def test_titles_point_at_the_changed_file():
    assert title_of(document()) == "Config error in c.json"
    assert title_of(document(evidence=document()["evidence"][:1])) == "Config error in logs/run-3.log"
    assert title_of(document("undetermined")) == "Undetermined failure after 1 changed path"
    assert title_of(document(evidence=[])) == "Config error"


def test_severity_is_the_worst_finding_and_high_when_something_is_gone():
    assert severity_of(document()) is Severity.LOW
    assert severity_of(document(triggers=[{"severity": "critical"}])) is Severity.CRITICAL
    assert severity_of(document(loss={"summary": {"unrecoverable": 1}})) is Severity.HIGH


@pytest.fixture
def db(tmp_path):
    ticks = iter(range(1000 * SECOND, 9000 * SECOND, SECOND))
    with IncidentDatabase(str(tmp_path / "incidents.db"), clock=lambda: next(ticks)) as made:
        yield made


def other_pair(**fields):
    made = copy.deepcopy(document(**fields))
    made["bad"]["id"] = "cc" * 32
    return made


class TestRecording:
    def test_new_then_the_same(self, db):
        assert record(db, document()).how == "new"
        again = record(db, document())
        assert (again.how, again.incident.id, len(again.incident.occurrences)) == ("same", "INC-0001", 1)

    def test_another_pair_while_open_is_another_incident(self, db):
        record(db, document())
        assert record(db, other_pair()).how == "new"

    @pytest.mark.parametrize("states", [(Status.RESOLVED,), (Status.RESOLVED, Status.CLOSED)])
    def test_what_was_closed_is_reopened(self, db, states):
        record(db, document())
        for state in states:
            db.set_status("1", state)
        found = record(db, other_pair())
        assert (found.how, found.incident.status) == ("reopened", Status.STARTED)

    def test_what_was_cancelled_or_merged_is_left_alone(self, db):
        record(db, document())
        db.set_status("1", Status.CANCELLED)
        assert record(db, other_pair()).incident.id == "INC-0002"

    def test_ignored_unless_forced(self, db):
        db.ignore(fingerprint(document()), "a test run")
        found = record(db, document())
        assert (found.how, found.incident, found.reason) == ("ignored", None, "a test run")
        assert record(db, document(), force=True).how == "new"

    def test_without_evidence_nothing_is_the_same(self, db):
        for _ in range(2):
            assert record(db, document(evidence=[])).how == "new"


def test_patterns_are_ranked_by_cost_then_by_number(db):
    record(db, document("drift"))
    record(db, document())
    db.set_status("2", Status.RESOLVED)
    record(db, other_pair())
    db.set_status("2", Status.RESOLVED)
    found = group([("", one) for one in db.incidents()], {}, 2000 * SECOND)
    assert [pattern.root_cause for pattern in found] == ["drift", "config_error"]
    assert found[0].cost_s > 900
    assert (found[1].occurrences, found[1].open) == (2, 0)
    assert found[1].cost_s < 20


def test_stores_keep_their_names(db):
    record(db, document())
    [one] = db.incidents()
    [pattern] = group([("a:", one), ("b:", one)], {}, 0)
    assert pattern.incidents == ("a:INC-0001", "b:INC-0001")
