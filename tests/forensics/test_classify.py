# Log lines are quoted whole.
# ruff: noqa: E501
"""The verdict: evidence, flips, groups, abstention, runner-up, JSON."""

from __future__ import annotations

import json

import pytest
from support.cause_cases import cause_case, entry

from casreplay.codec.hashing import blob_id
from casreplay.forensics.classify import Case, CaseLog, classify
from casreplay.forensics.newlines import new_lines
from casreplay.forensics.rootcause_flips import FLIPS
from casreplay.forensics.signals import load_rules
from casreplay.model.causes import CATEGORIES, UNDETERMINED, KeyChange
from casreplay.model.changes import Change, ChangeKind

RULES = load_rules()
KEY_ERROR = b'Traceback (most recent call last):\n  File "/w/app.py", line 3, in f\n    row["price"]\nKeyError: \'price\'\n'


def found(*args, **kwargs):
    return classify(cause_case(*args, **kwargs), RULES)


TABLE = b"id,price\n1,2\n2,3\n3,4\n"
REFUSED = b'Traceback (most recent call last):\n  File "a.py", line 1, in x\nConnectionRefusedError: [Errno 111] Connection refused\n'
PORT = (KeyChange(b"app.ini", "api.port", "changed", "80", "81", 2),)
EDITED = {b"app.py": (b"a = 1\n", b"a = 2\n")}


@pytest.mark.parametrize(
    ("log", "changes", "keys", "expected"),
    [
        (KEY_ERROR, EDITED, (), "logic_error"),
        (KEY_ERROR, {b"requirements.txt": (b"x==1\n", b"x==2\n")}, (), "drift"),
        (KEY_ERROR, {b"data/t.csv": (TABLE, TABLE.replace(b"price", b"cost"))}, (), "drift"),
        (KEY_ERROR, {b"data/t.csv": (TABLE, TABLE[:-3] + b"\0\0")}, (), "data_corruption"),
        (REFUSED, {}, (), "external_failure"),
        (REFUSED, EDITED, (), "external_failure"),
        (REFUSED, {b"app.ini": (b"[api]\nport=80\n", b"[api]\nport=81\n")}, PORT, "config_error"),
        (b"OSError: [Errno 28] No space left on device: 'x'\n", EDITED, (), "resource_exhaustion"),
        (b"HTTP Error 401: Unauthorized\n", {}, (), "drift"),
        (b"FileNotFoundError: [Errno 2] No such file or directory: 'data/t.csv'\n", {b"data/t.csv": (TABLE, None)}, (), "drift"),
        (b"json.decoder.JSONDecodeError: Unterminated string\n", {b"data/a.json": (b'{"a": "bcd"}', b'{"a": "b')}, (), "data_corruption"),
        (b"json.decoder.JSONDecodeError: Expecting ','\n", {b"config.json": (b'{"a": 1}\n', b'{"a": 1,}\n')}, (), "config_error"),
        (b"sqlite3.OperationalError: no such column: price\n", {b"migrations/2.sql": (None, b"alter table t;\n")}, (), "drift"),
        (b"sqlite3.OperationalError: no such column: prize\n", EDITED, (), "logic_error"),
    ],
)  # fmt: skip
def test_the_change_set_decides_what_the_log_cannot(log, changes, keys, expected):
    assert found(log, changes, keys=keys).category == expected


def test_evidence_says_which_rule_saw_what_where():
    cause = found(REFUSED, {b"app.ini": (b"[api]\nport=80\n", b"[api]\nport=81\n")}, keys=PORT)
    flipped = next(piece for piece in cause.evidence if piece.rule == "errno.econnrefused")
    assert (flipped.path, flipped.line, flipped.snapshot) == (b"run.log", 3, "5" * 64)
    assert flipped.effect == "external_failure to config_error: the setting api.port changed"
    changed = next(piece for piece in cause.evidence if piece.rule == "change.config")
    assert (changed.path, changed.line, changed.snapshot) == (b"app.ini", 2, "5" * 64)


def test_a_deleted_file_is_cited_from_the_snapshot_that_has_it():
    log = b"FileNotFoundError: [Errno 2] No such file or directory: 't.csv'\n"
    cause = found(log, {b"t.csv": (TABLE, None)})
    gone = next(piece for piece in cause.evidence if piece.rule == "change.deleted")
    assert (gone.snapshot, gone.blob) == ("4" * 64, blob_id(TABLE))


@pytest.mark.parametrize(
    ("code", "category"),
    [
        (137, "resource_exhaustion"),
        (-9, "resource_exhaustion"),
        (152, "resource_exhaustion"),
        (127, "drift"),
        (-11, "logic_error"),
    ],
)
def test_exit_codes_speak_for_themselves(code, category):
    cause = found(exit_code=code)
    assert cause.category == category
    assert cause.evidence[0].rule.startswith("exit.")


@pytest.mark.parametrize("code", [None, 0, 1, 2])
def test_with_no_evidence_nothing_is_claimed(code):
    cause = found(exit_code=code)
    assert (cause.category, cause.confidence, cause.sub_cause) == (UNDETERMINED, 0.0, "")
    assert len(cause.candidates) >= 2
    assert {candidate.category for candidate in cause.candidates} <= set(CATEGORIES)


def test_a_cancelled_run_is_no_failure_of_its_own():
    cause = found(b"ERROR: received SIGTERM, shutting down\nValueError: bad\n", {})
    assert (cause.category, cause.sub_cause) == (UNDETERMINED, "cancelled")


@pytest.mark.parametrize(
    "log",
    [
        b"Tests run: 3, Failures: 0, Errors: 0\n",
        b"INFO: upstream said 'Connection refused' yesterday\n",
        b"checked errors.py and fail.log\n",
        b"No space left on device: no errors\n",
    ],
)
def test_harmless_lines_are_no_evidence(log):
    assert found(b"all done\n" + log, {}).category == UNDETERMINED


def test_a_retry_that_led_on_is_not_the_cause():
    log = b"WARN attempt 1: Connection refused, retrying\nTypeError: unsupported operand\n"
    assert found(log, EDITED).category == "logic_error"


def test_specific_words_beat_the_exceptions_type():
    cause = found(b"ValueError: unknown option: fast\n", None)
    assert cause.category == "config_error"
    assert {piece.rule for piece in cause.evidence} == {"cfg.unknown"}


def test_a_local_servers_own_trace_beats_its_clients_complaint():
    client = b"client: http://localhost:8080/x returned status 500\n"
    server = b"ERROR request failed\n" + KEY_ERROR.replace(b"KeyError: 'price'", b"TypeError: bad operand")
    both = [
        CaseLog(name, new_lines(None, text).lines, "5" * 64, blob_id(text))
        for name, text in ((b"client.log", client), (b"server.log", server))
    ]
    path = b"app.py"
    change = Change(path, ChangeKind.MODIFIED, entry(path, b"1"), entry(path, b"2"))
    cause = classify(Case(logs=both, changes=[change]), RULES)
    assert cause.category == "logic_error"


def test_json_has_the_promised_keys():
    cause = found(REFUSED, {})
    data = json.loads(json.dumps(cause.to_dict()))
    assert list(data) == ["root_cause", "confidence", "candidates", "sub_cause", "evidence", "remediation"]
    assert list(data["evidence"][0]) == [
        "rule",
        "message",
        "path",
        "line",
        "snapshot",
        "blob",
        "weight",
        "effect",
    ]
    assert data["candidates"][0]["category"] == "external_failure"
    assert data["remediation"][0]["for"] == "errno.econnrefused"
    assert 0 < data["confidence"] < 1


def test_the_same_case_gives_the_same_verdict():
    assert found(KEY_ERROR, EDITED) == found(KEY_ERROR, EDITED)


def test_every_flip_the_data_names_exists_and_every_flip_is_used():
    assert {name for signal in RULES.signals for name in signal.flips} == set(FLIPS)
