"""Decisions gathered: several files, several places, lost ones, charts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from casreplay.forensics.decisions import (
    DecisionFile,
    date_by_history,
    decisions_in,
    link_changes,
    lost_decisions,
    merged,
    mermaid,
)
from casreplay.forensics.logs import read_lines
from casreplay.forensics.redaction import Redactor
from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter
from casreplay.model.events import Decision, TimeQuality
from casreplay.model.findings import Evidence

REDACTOR = Redactor(SecretScanner(fingerprinter(b"k" * 32), engine="re"))


def gather(files: dict[str, str], markers=(), problems=None):
    made = [
        DecisionFile(path.encode(), read_lines(text.encode()), None, None, is_note=path.endswith(".md"))
        for path, text in files.items()
    ]
    return decisions_in(made, markers, REDACTOR, problems)


def decided(text: str, path: str = "a.log", line: int = 1, **fields):
    values = {
        "why": "", "followed": (), "marker": "decision", "confidence": 0.9, "time_ns": None,
        "quality": TimeQuality.NONE, **fields,
    }  # fmt: skip
    return Decision(text, evidence=Evidence(path.encode(), line=line, end_line=line), **values)


def test_dated_ones_come_first_and_lines_are_right():
    found = gather(
        {
            "NOTES.md": "# Notes\n\n- Decision: b\n  because of c\n",
            "run.log": "INFO x\n" * 500 + "2026-01-02T03:04:05Z INFO Decision: a\n",
        }
    )
    assert [(one.text, one.evidence.line, one.evidence.end_line) for one in found] == [
        ("a", 501, 501),
        ("b", 3, 4),
    ]


def test_secrets_do_not_show():
    secret = "Xk9" + "mQ2vLr7w4TzB8"
    [one] = gather({"run.log": f"Decision: set password={secret} because password={secret} works\n"})
    assert secret[:6] not in one.text + one.why


def test_a_marker_that_hits_nothing_changes_nothing():
    assert [one.text for one in gather({"run.log": "Decision: a\n"}, ["never"])] == ["a"]


def test_changes_a_decision_names_are_linked_and_ambiguous_names_are_not():
    [one] = link_changes(
        [decided("edit settings.json and main.py")], [b"config/settings.json", b"a/main.py", b"b/main.py"]
    )
    assert one.followed == ("changed config/settings.json",)


def test_the_same_decision_in_log_and_note_is_one_with_the_reason_of_either():
    logged = decided("Use SQLite", time_ns=5, quality=TimeQuality.EXACT)
    noted = decided("use sqlite.", "MEMORY.md", why="one file")
    [one] = merged([noted, logged])
    assert (one.evidence.path, one.time_ns, one.why) == (b"a.log", 5, "one file")


def test_deciding_again_is_another_decision():
    twice = [decided("Use SQLite", line=n, time_ns=n, quality=TimeQuality.EXACT) for n in (1, 2)]
    assert merged(twice) == twice


class TestLost:
    NOTES = frozenset({b"MEMORY.md"})

    def test_deleted_and_rewritten_in_a_note(self):
        old = [decided("use this for all", "MEMORY.md"), decided("keep it", "MEMORY.md", 2)]
        new = [decided("use this for none", "MEMORY.md")]
        assert lost_decisions(old, new, self.NOTES) == [(old[0], "use this for none"), (old[1], "deleted")]

    def test_a_rotated_log_lost_nothing(self):
        old = [decided("a", line=1), decided("b", line=5)]
        assert lost_decisions(old, [decided("b", line=1)], self.NOTES) == []
        assert lost_decisions(old, [], self.NOTES) == []

    def test_a_line_taken_out_of_a_log_is_lost(self):
        old = [decided("a", line=1), decided("b", line=5)]
        assert lost_decisions(old, [decided("a", line=1)], self.NOTES) == [(old[1], "deleted")]

    @given(st.lists(st.sampled_from("abc")), st.sampled_from(["a.log", "MEMORY.md"]))
    def test_nothing_changed_nothing_lost(self, texts, path):
        same = [decided(text, path, line) for line, text in enumerate(texts, start=1)]
        assert lost_decisions(same, same, self.NOTES) == []


def test_a_date_is_that_of_the_first_version_that_holds_it():
    versions = [
        (1, lambda: b"# x"),
        (2, lambda: b"# x\n- Keep   it,\n  all"),
        (3, lambda: b"# x\n- Keep it, all"),
    ]
    found = date_by_history(decided("Keep it, all"), versions)
    assert (found.time_ns, found.quality) == (2, TimeQuality.INFERRED)
    assert date_by_history(decided("never"), versions).time_ns is None
    assert date_by_history(decided("..."), versions).time_ns is None


def test_the_chart_shows_reasons_and_is_bounded():
    chart = mermaid([decided(f"step {n}", why="so") for n in range(40)])
    assert "10 more" in chart
    assert 'w0(["so"]) -. why .-> d0' in chart
    assert "d0 ==> d1" in chart
