"""The one order of a timeline, and how well each time is known."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
from support.pairs import AFTER, entry, make_pair

from casreplay.forensics import timeline as times
from casreplay.forensics.logs import read_records
from casreplay.forensics.redaction import Redactor
from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.events import Decision, Event, EventKind, TimeQuality
from casreplay.model.findings import Evidence, Finding, FindingKind, Severity

REDACTOR = Redactor(SecretScanner(fingerprinter(b"k" * 32), engine="re"))
NOON = 1_790_000_000 * 10**9

EVENTS = st.builds(
    Event,
    st.sampled_from(EventKind),
    st.sampled_from(["a", "b"]),
    st.none() | st.integers(0, 5),
    st.just(TimeQuality.EXACT),
    st.builds(Evidence, st.sampled_from([b"x", b"y"]), line=st.none() | st.integers(1, 3)),
)


@given(st.lists(EVENTS, max_size=12), st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_how_events_came(events, rng):
    mixed = list(events)
    rng.shuffle(mixed)
    ordered = times.order(events)
    assert times.order(mixed) == ordered
    known = [event.time_ns for event in ordered if event.time_ns is not None]
    assert known == sorted(known)
    assert [event.time_ns for event in ordered[len(known) :]] == [None] * (len(ordered) - len(known))


def logged(text: str, **options):
    return times.log_events(read_records(text.encode()), Evidence(b"run.log", AFTER), REDACTOR, **options)


def test_records_say_how_well_their_time_is_known():
    found = logged("2026-01-02T03:04:05Z INFO a\n2026-01-02T03:04:06Z WARN b\n")
    assert [(one.text, one.level, one.quality) for one in found] == [
        ("a", "info", TimeQuality.EXACT),
        ("b", "warning", TimeQuality.EXACT),
    ]
    assert [one.quality for one in logged("2026-01-02 03:04:05 INFO a\n")] == [TimeQuality.NAIVE]
    assert [(one.time_ns, one.quality) for one in logged("ERROR no time\n")] == [(None, TimeQuality.NONE)]


def test_a_record_without_a_time_follows_the_one_before():
    first, second = logged('{"time": "2026-01-02T03:04:05Z", "msg": "a"}\n{"level": "info", "msg": "b"}\n')
    assert second.time_ns == first.time_ns
    assert second.quality is TimeQuality.INFERRED


def test_commands_are_told_from_records():
    kinds = [one.kind for one in logged("$ make test\n+ rm -r build\nRunning: pytest -q\nINFO ran well\n")]
    assert kinds == [EventKind.COMMAND] * 3 + [EventKind.LOG]


def test_only_new_lines_count_and_secrets_do_not_show():
    secret = "Xk9" + "mQ2vLr7w4TzB8"
    [one] = logged(f"INFO old\nERROR login password={secret}\n", new=[2])
    assert one.evidence.line == 2
    assert secret[:6] not in one.text


def change_at(mtime_ns: int, snapshot_ns: int | None):
    after = dataclasses.replace(entry("f", b"x"), mtime_ns=mtime_ns)
    change = Change(b"f", ChangeKind.ADDED, None, after)
    [event] = times.change_events([times.ChangedAt(change, snapshot(snapshot_ns) if snapshot_ns else None)])
    return event.time_ns, event.quality


def snapshot(time_ns: int):
    from support.snapshots import snapshot_of

    from casreplay.model.ids import ContentId, TreeId

    made = snapshot_of(1, None, TreeId(b"t" * 32), ContentId(b"c" * 32))
    return dataclasses.replace(made, time_ns=time_ns)


def test_a_change_stands_at_its_mtime_if_that_can_be():
    assert change_at(NOON - 5, NOON) == (NOON - 5, TimeQuality.MTIME)
    assert change_at(NOON + 5, NOON) == (NOON, TimeQuality.INFERRED)
    assert change_at(0, NOON) == (NOON, TimeQuality.INFERRED)
    assert change_at(0, None) == (None, TimeQuality.NONE)
    assert change_at(NOON, None) == (NOON, TimeQuality.MTIME)


def test_a_deletion_stands_where_a_snapshot_shows_it():
    [change] = make_pair({"f": b"x"}, {}).changes
    [event] = times.change_events([times.ChangedAt(change, snapshot(NOON))])
    assert (event.time_ns, event.quality, event.text) == (NOON, TimeQuality.INFERRED, "deleted f")


def test_a_finding_takes_the_time_of_its_line_then_of_its_path():
    def at(path, line):
        finding = Finding(
            "r", FindingKind.LOG, Severity.HIGH, "m", (Evidence(path, line=line, end_line=line),)
        )
        known = {(b"a", 3): (1, TimeQuality.EXACT), (b"a", None): (2, TimeQuality.INFERRED)}
        [event] = times.finding_events([finding], known, 9)
        return event.time_ns, event.quality

    assert at(b"a", 3) == (1, TimeQuality.EXACT)
    assert at(b"a", 4) == (2, TimeQuality.INFERRED)
    assert at(b"b", None) == (9, TimeQuality.INFERRED)


def test_a_decision_is_shown_with_its_reason():
    decision = Decision(
        "a", "b", (), "decision", 0.9, 1, TimeQuality.EXACT, Evidence(b"run.log", line=1, end_line=1)
    )
    [event] = times.decision_events([decision])
    assert event.text == "a (because b)"
    assert event.to_dict()["kind"] == "decision"
