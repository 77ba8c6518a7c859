"""The incident database: life cycle, history, pins, merging, transfer, several processes."""

from __future__ import annotations

import json
import sqlite3
import threading

import pytest

from casreplay.errors import ConfigError, CorruptError, UnknownFormatError, UnknownNameError, UsageError
from casreplay.incidents.database import Draft, IncidentDatabase
from casreplay.incidents.schema import keep_write_ahead_log
from casreplay.model.findings import Severity
from casreplay.model.incidents import ActionKind, Status, check_transition

SECOND = 10**9


class Ticking:
    def __init__(self):
        self.now = 1_000 * SECOND

    def __call__(self):
        self.now += SECOND
        return self.now


@pytest.fixture
def db(tmp_path):
    with IncidentDatabase(str(tmp_path / "incidents.db"), clock=Ticking()) as made:
        yield made


def _draft(**fields):
    values = {"title": "Checkout broke", "good": "aa", "bad": "bb", "fingerprint": "f1"}
    return Draft(**{**values, **fields})


def test_ids_count_up_and_are_never_given_twice(db):
    assert db.create(_draft()).id == "INC-0001"
    assert db.create(_draft()).id == "INC-0002"
    db.delete("INC-0002")
    assert db.create(_draft()).id == "INC-0003"


def test_what_was_created_is_read_back_whole(db):
    made = db.create(_draft(severity=Severity.HIGH, tags=("b", "a", "a"), analysis={"x": [1, None, "é"]}))
    again = db.get("inc-1")
    assert again == made
    assert (again.severity, again.tags, again.status) == (Severity.HIGH, ("a", "b"), Status.TRIAGE)
    assert again.analysis == {"x": [1, None, "é"]}
    assert [event.what for event in again.events] == ["created"]
    assert json.dumps(again.to_dict())


@pytest.mark.parametrize("name", ["INC-0001", "inc-0001", "INC-1", "1", " 1 "])
def test_an_incident_answers_to_every_form_of_its_id(db, name):
    db.create(_draft())
    assert db.get(name).id == "INC-0001"


@pytest.mark.parametrize("name", ["", "INC-", "INC-x", "0", "-1", "\u0661"])
def test_what_is_no_id_is_refused(db, name):
    with pytest.raises(UsageError, match="no incident id"):
        db.get(name)


def test_an_unknown_incident_is_named(db):
    with pytest.raises(UnknownNameError, match="INC-0007"):
        db.get("7")


class TestLifeCycle:
    def test_times_are_measured_between_states(self, db):
        made = db.create(_draft(happened_ns=900 * SECOND))
        db.set_status(made.id, Status.STARTED)
        db.set_status(made.id, Status.MITIGATED)
        done = db.set_status(made.id, Status.RESOLVED)
        assert done.time_to_detect_ns == made.detected_ns - 900 * SECOND
        assert 0 < done.time_to_mitigate_ns < done.time_to_resolve_ns

    def test_resolving_at_once_counts_as_mitigated_then(self, db):
        done = db.set_status(db.create(_draft()).id, Status.RESOLVED)
        assert done.time_to_mitigate_ns == done.time_to_resolve_ns

    @pytest.mark.parametrize(
        ("now", "wanted"),
        [
            (Status.TRIAGE, Status.CLOSED),
            (Status.CLOSED, Status.RESOLVED),
            (Status.RESOLVED, Status.CANCELLED),
            (Status.CANCELLED, Status.RESOLVED),
            (Status.STARTED, Status.STARTED),
        ],
    )
    def test_steps_that_do_not_exist_are_refused_with_those_that_do(self, now, wanted):
        with pytest.raises(UsageError, match="cannot become") as caught:
            check_transition(now, wanted)
        assert "can become" in caught.value.hint

    def test_a_refused_step_changes_nothing(self, db):
        made = db.create(_draft())
        with pytest.raises(UsageError):
            db.set_status(made.id, Status.CLOSED)
        assert db.get(made.id) == made

    def test_reopening_starts_the_times_anew(self, db):
        made = db.create(_draft())
        for status in (Status.RESOLVED, Status.CLOSED, Status.STARTED):
            again = db.set_status(made.id, status)
        assert (again.resolved_ns, again.closed_ns) == (None, None)
        assert again.events[-1].what == "reopened"

    def test_a_recurrence_reopens_what_was_closed(self, db):
        made = db.create(_draft())
        db.set_status(made.id, Status.RESOLVED)
        again = db.recur(made.id, _draft(good="cc", bad="dd", analysis={"n": 2}))
        assert again.status is Status.STARTED
        assert [(one.good, one.bad) for one in again.occurrences] == [("aa", "bb"), ("cc", "dd")]
        assert again.analysis == {"n": 2}
        assert again.events[-1].detail == "recurred"

    def test_the_same_pair_again_is_no_new_occurrence(self, db):
        made = db.create(_draft())
        assert len(db.recur(made.id, _draft()).occurrences) == 1


def test_open_incidents_pin_their_snapshots(db):
    made = db.create(_draft())
    db.create(_draft(good="cc", bad="dd"))
    assert db.pinned() == {"aa", "bb", "cc", "dd"}
    db.set_status(made.id, Status.RESOLVED)
    assert db.pinned() == {"cc", "dd"}


def test_edits_are_kept_in_the_history(db):
    made = db.create(_draft())
    again = db.edit(made.id, title="  Checkout \n broke badly ", severity="critical", owner="ana")
    assert (again.title, again.severity, again.owner) == ("Checkout broke badly", Severity.CRITICAL, "ana")
    assert [event.what for event in again.events] == ["created", "title", "severity", "owner"]
    assert again.cause_by == "machine"
    assert db.edit(made.id, root_cause="drift").cause_by == "person"


@pytest.mark.parametrize("change", [{"title": "  "}, {"severity": "purple"}, {"status": "closed"}])
def test_wrong_edits_are_refused_whole(db, change):
    made = db.create(_draft())
    with pytest.raises(UsageError):
        db.edit(made.id, owner="ana", **change)
    assert db.get(made.id) == made


def test_actions_are_numbered_and_finished_once(db):
    made = db.create(_draft())
    db.add_action(made.id, ActionKind.PREVENT, "Validate the config", owner="ana")
    db.add_action(made.id, ActionKind.PROCESS, "Review agent runs")
    first = db.finish_action(made.id, 1).actions[0].done_ns
    assert db.finish_action(made.id, 1).actions[0].done_ns == first
    assert [action.number for action in db.get(made.id).actions] == [1, 2]
    with pytest.raises(UnknownNameError, match="no action item 3"):
        db.finish_action(made.id, 3)


def test_merging_moves_everything_and_cancels(db):
    a, b = db.create(_draft(tags=("x",))), db.create(_draft(good="cc", bad="dd", tags=("y",)))
    db.add_note(b.id, "seen on the other host")
    merged = db.merge(b.id, a.id)
    assert merged.tags == ("x", "y")
    assert len(merged.occurrences) == 2
    assert [note.text for note in merged.notes] == ["seen on the other host"]
    assert (db.get(b.id).status, db.get(b.id).merged_into) == (Status.CANCELLED, a.id)
    for source, target in ((a.id, a.id), (a.id, b.id)):
        with pytest.raises(UsageError):
            db.merge(source, target)


def test_deleting_takes_everything_along(db, tmp_path):
    made = db.create(_draft(tags=("x",)))
    db.add_note(made.id, "n")
    db.delete(made.id)
    raw = sqlite3.connect(tmp_path / "incidents.db")
    for table in ("incident", "tag", "note", "event", "occurrence"):
        assert raw.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    raw.close()


def test_listing_filters(db):
    a = db.create(_draft(tags=("x",)))
    b = db.create(_draft())
    db.set_status(a.id, Status.RESOLVED)
    assert [one.id for one in db.incidents()] == [b.id, a.id]
    assert [one.id for one in db.incidents(statuses=[Status.RESOLVED])] == [a.id]
    assert [one.id for one in db.incidents(tag="x")] == [a.id]
    assert [one.id for one in db.incidents(since_ns=b.detected_ns)] == [b.id]


def test_what_is_exported_can_be_imported_elsewhere(db, tmp_path):
    made = db.create(_draft(tags=("x",), analysis={"k": 1}))
    db.add_note(made.id, "n", author="ana")
    db.add_action(made.id, ActionKind.MITIGATE, "Roll back")
    db.ignore("f9", "a test run")
    document = json.loads(json.dumps(db.export()))
    with IncidentDatabase(str(tmp_path / "other.db")) as other:
        assert other.import_(document) == ["INC-0001"]
        assert other.get("1") == db.get("1")
        assert other.ignored() == {"f9": "a test run"}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"version": 2, "incidents": []},
        {"version": 1, "incidents": [{}]},
        {"version": 1, "incidents": [1]},
    ],
)
def test_what_is_no_export_is_refused_and_nothing_is_added(db, document):
    with pytest.raises(ConfigError):
        db.import_(document)
    assert db.incidents() == []


def test_two_connections_at_once_lose_nothing(tmp_path):
    path = str(tmp_path / "incidents.db")

    def work(n: int) -> None:
        with IncidentDatabase(path) as db:
            for i in range(10):
                db.create(_draft(title=f"{n}/{i}"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with IncidentDatabase(path) as db:
        assert sorted(one.title for one in db.incidents()) == sorted(
            f"{n}/{i}" for n in range(4) for i in range(10)
        )


class Refusing:
    """A connection that refuses so many statements with one error code."""

    def __init__(self, times, code):
        self.left, self.code, self.done = times, code, []

    def execute(self, statement):
        if self.left:
            self.left -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self.code
            raise error
        self.done.append(statement)


def test_who_opens_a_new_database_waits_for_another_who_does():
    pauses = []
    connection = Refusing(3, sqlite3.SQLITE_BUSY)
    keep_write_ahead_log(connection, sleep=pauses.append)
    assert (len(pauses), connection.done) == (3, ["PRAGMA journal_mode = WAL"])


@pytest.mark.parametrize(
    ("code", "waited_s"), [(sqlite3.SQLITE_BUSY, pytest.approx(10)), (sqlite3.SQLITE_READONLY, 0)]
)
def test_nobody_waits_for_ever_or_for_what_will_not_pass(code, waited_s):
    pauses = []
    with pytest.raises(sqlite3.OperationalError):
        keep_write_ahead_log(Refusing(1000, code), sleep=pauses.append)
    assert sum(pauses) == waited_s


def test_a_newer_database_is_not_touched(tmp_path):
    path = tmp_path / "incidents.db"
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(UnknownFormatError, match="99"):
        IncidentDatabase(str(path))
    assert path.read_bytes() == before


def test_a_damaged_database_says_so(tmp_path):
    (tmp_path / "incidents.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(CorruptError, match="damaged"):
        IncidentDatabase(str(tmp_path / "incidents.db"))


def test_an_analysis_that_cannot_be_read_is_damage(db, tmp_path):
    db.create(_draft(analysis={"x": 1}))
    with sqlite3.connect(tmp_path / "incidents.db") as raw:
        raw.execute("UPDATE incident SET analysis = '{\"x\": 1'")
    raw.close()
    with pytest.raises(CorruptError, match="INC-0001"):
        db.get("1")
