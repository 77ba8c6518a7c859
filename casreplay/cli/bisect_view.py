"""How a bisect is told: one line a probe, a verdict that reads like a sentence, and its JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from casreplay.cli.session import Session
from casreplay.cli.shapes import change_fields
from casreplay.cli.text import clock_time, count, duration, safe, safe_line
from casreplay.history.bisect_model import ENDS_SWAPPED, Status, Verdict
from casreplay.history.bisect_range import Range
from casreplay.history.bisect_reads import TraceSummary
from casreplay.history.bisect_report import BisectReport, SnapshotFlip
from casreplay.history.bisect_run import ProbeRecord
from casreplay.history.bisect_session import BisectRequest, Listener
from casreplay.history.bisect_shrink import Culprit
from casreplay.history.bisect_state import signature_fields
from casreplay.model.ids import short
from casreplay.model.objects import Snapshot
from casreplay.model.paths import display, to_json

__all__ = ["EXIT_CODES", "ProbeLines", "report_fields", "show", "snapshot_name"]

EXIT_CODES = {"found": 0, "interval": 20, "no_change": 21, "endpoints_agree": 22, "aborted": 23}
"""Exit code of each status; append-only."""
COLORS: Mapping[Verdict, str] = {Verdict.GOOD: "green", Verdict.BAD: "red", Verdict.SKIP: "yellow"}
DOUBTED = 0.05
"""Probability of "no change" from which an interval is told with an if."""
SHOWN_CHANGES = 20
SHOWN_FLIPS = 12
SHOWN_PATHS = 8
SHOWN_PATCH_LINES = 60


class ProbeLines(Listener):
    """Prints one line for each verdict while the search goes on."""

    def __init__(self, session: Session, request: BisectRequest) -> None:
        self._session = session
        self._request = request
        self._number = 0
        self._said: set[str] = set()

    def begin(self, line: Range, resumed: int) -> None:
        """What is searched, and about how long it takes."""
        confirm = self._request.options.confirm
        runs = 2 + math.ceil(math.log2(max(line.size, 2)))
        plan = (
            f"all {line.size:,} of them may be run"
            if self._request.find_all
            else (f"about {runs} runs to find it, {2 * confirm} to confirm it")
        )
        text = f"{count(len(line.snapshots), 'snapshot')}, {count(line.size, 'distinct state')}: {plan}"
        self._session.out.note(text)
        if resumed:
            self._session.out.note(f"Going on after {count(resumed, 'verdict')} of an interrupted run")

    def probe(self, line: Range, record: ProbeRecord) -> None:
        """One verdict."""
        self._number += 1
        out = self._session.out
        if out.json or out.quiet:
            return
        snapshot = line.first(record.position)
        verdict = out.style(f"{record.verdict.value:4}", COLORS[record.verdict])
        known = "as read" if record.copied else "cached" if record.cached else ""
        took = known or duration(record.elapsed_ns)
        left = f"{record.remaining:,} left" if record.why in ("ends", "halve", "gap") else record.why
        # The failure everybody waits for is told once; why something was skipped, each time.
        is_news = record.verdict is Verdict.SKIP or record.note not in self._said
        self._said.add(record.note)
        note = f"  {safe_line(record.note)[:90]}" if record.note and is_news else ""
        name = snapshot_name(self._session, snapshot)
        out.line(f"{self._number:>4}  {verdict}  {name}  {took:>8}  {left}{note}")

    def shrinking(self, parts: int, applied: int, bad: bool) -> None:
        """One trial of the shrinking."""
        out = self._session.out
        if out.json or out.quiet:
            return
        said = out.style("still fails", "red") if bad else out.style("does not", "green")
        out.line(f"{'':4}  shrink  {applied} of {count(parts, 'part')} applied: {said}")


def snapshot_name(session: Session, snapshot: Snapshot) -> str:
    """``3f2a91c04e5d #41 "label"``: how a snapshot is named in the lines of a bisect."""
    label = session.repository().notes.label_of(snapshot)
    shown = f' "{safe_line(label)[:48]}"' if label else ""
    return f"{short(snapshot.id)} #{snapshot.sequence}{shown}"


def show(session: Session, report: BisectReport, *, as_json: bool, incident: str = "") -> None:
    """The answer, for people or as JSON; ``incident`` is the id of one that was opened with it."""
    if as_json:
        session.out.data(report_fields(report) | ({"incident": incident} if incident else {}))
        return
    session.out.lines(_lines(session, report))
    if incident:
        session.out.line(f"The full report:  casreplay report {incident} --format html -o report.html")


def _lines(session: Session, report: BisectReport) -> Iterator[str]:
    out = session.out
    yield ""
    yield out.style(_verdict(session, report), "bold")
    yield from _details(session, report)
    if report.flips and (len(report.flips) > 1 or report.status is not Status.FOUND):
        yield from _flip_lines(session, report)
    if report.changes:
        yield from _change_lines(session, report)
    yield from _closing(report)


def _verdict(session: Session, report: BisectReport) -> str:
    good, bad = report.last_good, report.first_bad
    if report.status is Status.FOUND and good is not None and bad is not None:
        what = "turned it around" if bad.sequence < good.sequence else "is the first bad snapshot"
        return f"{snapshot_name(session, bad)} of {clock_time(bad.time_ns)} {what}."
    if report.status is Status.INTERVAL and good is not None and bad is not None:
        why = f": {report.reason}" if report.reason else ""
        # Where "nothing changes" may as well be true, the sentence does not say otherwise.
        start = "If anything changes here, the" if report.no_change >= DOUBTED else "The"
        return (
            f"{start} first bad snapshot is one of {len(report.candidates):,},"
            f" after {snapshot_name(session, good)} and up to {snapshot_name(session, bad)}{why}."
        )
    if report.status is Status.NO_CHANGE:
        return f"Nothing changes in this range: {report.reason or 'every verdict is the same'}."
    if report.status is Status.ENDPOINTS_AGREE:
        hint = "; the flips between are below" if report.flips else ""
        return f"No culprit: {report.reason or 'the ends agree'}{hint}."
    is_swapped = report.reason == ENDS_SWAPPED
    hint = (
        " Swap them, or turn the predicate round (add --invert; of a command, ! CMD)." if is_swapped else ""
    )
    return f"No answer: {report.reason}.{hint}"


def _details(session: Session, report: BisectReport) -> Iterator[str]:
    if report.signature is not None:
        yield f"The failure: {safe_line(str(report.signature))}."
    if report.last_good is not None and report.status is Status.FOUND:
        yield f"The last good one is {snapshot_name(session, report.last_good)}."
    effort = report.effort
    parts = []
    if effort.pairs:
        parts.append(
            f"{effort.pairs:,} (snapshot, path) pairs, {count(effort.runs, 'distinct content')} read"
        )
    else:
        parts.append(count(effort.runs, "run"))
        parts += [
            f"{n:,} {word}" for n, word in ((effort.cached, "cached"), (effort.skipped, "skipped")) if n
        ]
        if effort.shrink_runs:
            parts.append(f"{effort.shrink_runs} to shrink the change")
    parts.append(duration(effort.elapsed_ns))
    if report.posterior is not None:
        parts.append(f"probability {report.posterior:.3g}" if report.posterior < 1 else "certain")
    yield f"{', '.join(parts)}."
    if report.trace is not None:
        yield from _trace_lines(report, report.trace)


def _trace_lines(report: BisectReport, trace: TraceSummary) -> Iterator[str]:
    """What the command reads, and what that spared."""
    if trace.files is not None:
        vain = f", looked for {count(trace.absent, 'path')} in vain" if trace.absent else ""
        listed = f", listed {count(trace.folders, 'folder')}" if trace.folders else ""
        of = f"; the step changes {len(trace.read_changes):,} of what it read" if report.changes else ""
        yield f"The command read {count(trace.files, 'file')} of the first bad snapshot{vain}{listed}{of}."
    if trace.reused:
        yield f"{count(trace.reused, 'verdict')} of those cached: a run elsewhere had read the very same."
    for reason, number in trace.unclear:
        yield f"{count(number, 'run')} could not stand for others: {safe_line(reason)}."


def _flip_lines(session: Session, report: BisectReport) -> Iterator[str]:
    yield ""
    yield f"{count(len(report.flips), 'flip')} in {count(report.snapshots, 'snapshot')}:"
    shown = report.flips if len(report.flips) <= SHOWN_FLIPS else report.flips[: SHOWN_FLIPS // 2]
    for flip in shown:
        yield _flip_line(session, flip)
    if len(shown) < len(report.flips):
        yield f"    ... {len(report.flips) - SHOWN_FLIPS:,} more"
        for flip in report.flips[-SHOWN_FLIPS // 2 :]:
            yield _flip_line(session, flip)


def _flip_line(session: Session, flip: SnapshotFlip) -> str:
    apart = "" if abs(flip.first.sequence - flip.last.sequence) == 1 else f"  (after {short(flip.last.id)})"
    return f"    {flip.before.value} -> {flip.after.value}  {snapshot_name(session, flip.first)}{apart}"


def _change_lines(session: Session, report: BisectReport) -> Iterator[str]:
    out = session.out
    culprits = {c.change.path: c for c in report.shrunk.culprits} if report.shrunk else {}
    yield ""
    yield f"What changed there ({count(len(report.changes), 'path')}{', * is needed' if culprits else ''}):"
    marked = [c for c in report.changes if c.path in culprits]
    others = [c for c in report.changes if c.path not in culprits]
    for change in (marked + others)[: max(SHOWN_CHANGES, len(marked))]:
        culprit = culprits.get(change.path)
        star = out.style("*", "red", "bold") if culprit else " "
        yield f"  {star} {change.kind.sigil}  {safe_line(display(change.path))}{_hunk_text(culprit)}"
    hidden = len(report.changes) - max(SHOWN_CHANGES, len(marked))
    if hidden > 0:
        yield f"      ... {hidden:,} more: casreplay diff {_pair(report)}"
    if report.shrunk is not None and report.shrunk.patch:
        yield ""
        yield (
            "This alone breaks the last good snapshot; nothing of it can be left out (others may exist):"
            if report.shrunk.is_proven
            else "The files that decide, whole (a part of this may do):"
        )
        lines = report.shrunk.patch.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
        for line in lines[:SHOWN_PATCH_LINES]:
            color = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
            yield "    " + (out.style(safe(line), color) if color else safe(line))
        if len(lines) > SHOWN_PATCH_LINES:
            yield f"    ... {len(lines) - SHOWN_PATCH_LINES:,} more lines: --patch FILE writes all of it"


def _hunk_text(culprit: Culprit | None) -> str:
    if culprit is None or not culprit.hunks:
        return ""
    places = ", ".join(str(h.new_start) for h in culprit.hunks[:6])
    more = "..." if len(culprit.hunks) > 6 else ""
    return f"  line{'s' if len(culprit.hunks) > 1 else ''} {places}{more}"


def _unsaid(report: BisectReport) -> list[str]:
    """What the verdict leaves out: how far the search looked, and what the runs were like."""
    unsaid = []
    if report.status is Status.FOUND and report.reason:
        unsaid.append(f"{report.reason}: nothing more was run, to confirm or to shrink it")
    if report.status is Status.FOUND and report.posterior is None and not report.reason:
        unsaid.append("runs contradicted each other, or could not be repeated: no probability is given")
    if report.status is Status.NO_CHANGE and report.posterior is not None:
        unsaid.append("a window that begins and ends in the range was not looked for (--all does)")
    if report.effort.shrink_runs and report.shrunk is None:
        unsaid.append("the runs contradict each other too often to shrink the change")
    if report.untested:
        unsaid.append(f"{count(report.untested, 'snapshot')} inside the answer not tested")
    if report.largest_gap and report.status in (Status.FOUND, Status.INTERVAL):
        unsaid.append(
            f"a shorter window of up to {report.largest_gap:,} states could hide elsewhere (--all looks)"
        )
    return unsaid + _unsaid_of_runs(report)


def _unsaid_of_runs(report: BisectReport) -> list[str]:
    """What could not be looked at, and what else the runs did."""
    unsaid = []
    large = max(report.effort.unexamined - report.effort.purged, 0)
    if large:
        unsaid.append(f"{count(large, 'file')} too large to be searched")
    if report.effort.purged:
        unsaid.append(f"{count(report.effort.purged, 'content')} purged: what stood there is not known")
    if report.effort.differing:
        unsaid.append(
            f"{count(report.effort.differing, 'run')} failed in another way (--any-failure counts them)"
        )
    if report.no_change >= 0.01:
        unsaid.append(f"with probability {report.no_change:.2g} nothing changes at all")
    if report.effort.leftovers:
        unsaid.append(f"{count(report.effort.leftovers, 'path')} left or changed by runs were put back")
    return unsaid


def _closing(report: BisectReport) -> Iterator[str]:
    good = report.last_good
    unsaid = _unsaid(report)
    if unsaid:
        yield ""
        yield "Know too: " + "; ".join(unsaid) + "."
    if good is not None and report.status is Status.FOUND and report.changes:
        culprits = report.shrunk.culprits if report.shrunk else ()
        paths = [c.change.path for c in culprits] or [c.path for c in report.changes]
        shown = " ".join(_quoted(display(path)) for path in paths[:SHOWN_PATHS])
        dashes = "-- " if any(path.startswith(b"-") for path in paths) else ""
        rest = len(paths) - SHOWN_PATHS
        more = f"  # and {rest:,} more: casreplay diff {_pair(report)}" if rest > 0 else ""
        yield ""
        yield f"Bring back the last good state:  casreplay restore {short(good.id)} {dashes}{shown}{more}"


def _pair(report: BisectReport) -> str:
    assert report.last_good is not None
    assert report.first_bad is not None
    return f"{short(report.last_good.id)} {short(report.first_bad.id)}"


def _quoted(text: str) -> str:
    from shlex import quote  # noqa: PLC0415 - one line of one command

    return quote(safe_line(text))


def report_fields(report: BisectReport) -> dict[str, Any]:
    """The answer as ``bisect --json`` gives it; ids are full hex, ``null`` where there is none."""
    effort = report.effort
    return {
        "status": report.status.value,
        "last_good": _hex(report.last_good),
        "first_bad": _hex(report.first_bad),
        "candidates": [one.id.hex() for one in report.candidates],
        "flips": [
            {
                "from": flip.before.value,
                "to": flip.after.value,
                "last": flip.last.id.hex(),
                "first": flip.first.id.hex(),
            }
            for flip in report.flips
        ],
        "runs": effort.runs,
        "cached": effort.cached,
        "skipped": effort.skipped,
        "posterior": round(report.posterior, 6) if report.posterior is not None else None,
        "signature": signature_fields(report.signature) if report.signature is not None else None,
        "changes": [change_fields(change) for change in report.changes],
        "culprits": [_culprit_fields(c) for c in (report.shrunk.culprits if report.shrunk else ())],
        "elapsed_s": round(effort.elapsed_ns / 1e9, 6),
        "reason": report.reason,
        "predicate": report.predicate,
        "no_change": round(report.no_change, 6),
        "snapshots": report.snapshots,
        "classes": report.classes,
        "untested": report.untested,
        "largest_gap": report.largest_gap,
        "shrink_runs": effort.shrink_runs,
        "leftovers": effort.leftovers,
        "failed_differently": effort.differing,
        "unexamined": effort.unexamined,
        "purged": effort.purged,
        "pairs": effort.pairs,
        **({"trace": _trace_fields(report.trace)} if report.trace is not None else {}),
    }


def _trace_fields(trace: TraceSummary) -> dict[str, Any]:
    return {
        "reused": trace.reused,
        "unclear": [{"reason": reason, "runs": number} for reason, number in trace.unclear],
        "files": trace.files,
        "absent": trace.absent,
        "folders": trace.folders,
        "outside": trace.outside,
        "read_changes": [to_json(path) for path in trace.read_changes],
    }


def _hex(snapshot: Snapshot | None) -> str | None:
    return snapshot.id.hex() if snapshot is not None else None


def _culprit_fields(culprit: Culprit) -> dict[str, Any]:
    hunks = [
        {
            "old_start": h.old_start,
            "old_lines": h.old_lines,
            "new_start": h.new_start,
            "new_lines": h.new_lines,
        }
        for h in culprit.hunks
    ]
    return {**to_json(culprit.change.path), "hunks": hunks, "whole": culprit.is_whole}
