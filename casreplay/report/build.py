"""From an incident to its report: a blameless post-mortem in which every sentence is cited.

Owns the sections and their words. The facts come from the incident and its analysis; nothing is
judged here, and what was not examined is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from shlex import quote
from typing import Any

from casreplay.model.incidents import Incident
from casreplay.report.diffs import MAX_ROWS as MAX_DIFF_ROWS
from casreplay.report.diffs import side_by_side
from casreplay.report.model import (
    Block,
    Chain,
    Citation,
    Item,
    Items,
    Paragraph,
    Report,
    Section,
    Table,
    TimelineBlock,
)
from casreplay.report.wording import count, duration, moment, size

__all__ = ["cite", "incident_report", "timeline_block"]

MAX_DIFFS = 12
MAX_ROWS = 400
MAX_REASONS = 4
MAX_LINKS = 60
MAX_SET_BACK = 5
WEIGHTY = 0.2
"""Evidence that adds less to a score stands apart from the rest."""
ReadText = Callable[[str, str], bytes | None]
"""From a blob's hex id and its path as shown to its content, redacted; ``None`` when it is not to be had."""

_CAUSES = {
    "config_error": "a configuration error",
    "data_corruption": "corrupted data",
    "drift": "drift of the environment",
    "external_failure": "a failure outside this workspace",
    "logic_error": "an error in the program's logic",
    "resource_exhaustion": "a resource that ran out",
}


def cite(row: Mapping[str, Any]) -> Citation:
    """The citation in a JSON row with location keys."""
    return Citation(
        str(row.get("path") or ""),
        row.get("line"),
        row.get("end_line"),
        row.get("snapshot") or "",
        row.get("blob") or "",
    )


def incident_report(incident: Incident, read: ReadText, *, diff_rows: int = MAX_DIFF_ROWS) -> Report:
    """The report of one incident.

    Args:
        incident: whole, with its analysis.
        read: contents for the side-by-side diffs.
        diff_rows: rows shown of each of them; 0 for all.
    """
    document = incident.analysis
    sections = [
        Section("summary", "Summary", _summary(incident, document)),
        Section("impact", "Impact", _impact(document)),
        Section("trigger", "What was noticed", _trigger(document)),
        Section("detection", "Detection", _detection(incident)),
        Section("cause", "Root cause and contributing factors", _cause(incident, document)),
        Section("decisions", "Decisions on the way", _decisions(document)),
        Section("timeline", "Timeline", (timeline_block(document.get("timeline", ())),)),
        Section("changes", "Changes", _changes(document, read, diff_rows)),
        Section("remediation", "What to do now", _remediation(document)),
        Section("actions", "Action items", _actions(incident)),
        Section("luck", "Where we got lucky", _luck(document)),
        Section("coverage", "What was and was not examined", _coverage(document)),
    ]
    if incident.notes:
        notes = tuple(
            Item(note.text, f"{note.author + ', ' if note.author else ''}{moment(note.time_ns)}")
            for note in incident.notes
        )
        sections.insert(10, Section("notes", "Notes", (Items(notes),)))
    facts = (
        ("Incident", incident.id),
        ("Status", incident.status.value),
        ("Severity", incident.severity.label),
        ("Owner", incident.owner or "nobody"),
        ("Last good", _state(document.get("good"))),
        ("First bad", _state(document.get("bad"))),
        ("To detect", duration(_seconds(incident.time_to_detect_ns))),
        ("To resolve", duration(_seconds(incident.time_to_resolve_ns))),
    )
    return Report(
        f"{incident.id}: {incident.title}",
        facts,
        tuple(sections),
        incident.to_dict(),
        document.get("triggers", ()),
    )


def _seconds(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else duration_ns / 1e9


def _state(row: Mapping[str, Any] | None) -> str:
    if not row:
        return "the folder as it was"
    label = f" {row['label']}" if row.get("label") else ""
    return f"{row['id'][:12]}{label}, {moment(row['time_ns'])}"


def _words(cause: str) -> str:
    return _CAUSES.get(cause, cause.replace("_", " "))


def _summary(incident: Incident, document: Mapping[str, Any]) -> tuple[Block, ...]:
    if incident.root_cause == "undetermined":
        lead = "The root cause is undetermined: the evidence did not suffice to name one."
    else:
        by = "a person" if incident.cause_by == "person" else "the evidence below"
        sub = str(document.get("sub_cause") or "").replace("_", " ") if incident.cause_by == "machine" else ""
        lead = (
            f"The root cause is {_words(incident.root_cause)}{f' ({sub})' if sub else ''}, as judged by {by}"
        )
        if incident.cause_by == "machine":
            lead += f", with confidence {document.get('confidence', 0):.2f}"
        lead += "."
    blocks: list[Block] = [Paragraph(lead)]
    reasons = _reasons(incident, document)
    if reasons:
        blocks.append(Items(reasons))
    sentences = [_span(document)]
    loss = document.get("loss", {}).get("summary", {})
    lost = sum(loss.get(kind, 0) for kind in ("deleted", "overwritten", "truncated", "emptied"))
    if lost:
        gone = loss.get("unrecoverable", 0)
        back = "all of it can be brought back" if not gone else f"{gone} of them cannot be brought back"
        sentences.append(f"{count(lost, 'file')} ({size(loss.get('bytes', 0))}) lost content; {back}.")
    if len(incident.occurrences) > 1:
        sentences.append(f"It was seen {len(incident.occurrences)} times.")
    return (*blocks, Paragraph(" ".join(sentences)))


def _span(document: Mapping[str, Any]) -> str:
    number = count(len(document.get("changes", ())), "path")
    good, bad = document.get("good"), document.get("bad")
    if not good and not bad:
        return f"{number} changed; no snapshots are on record."
    return f"Between {_state(good)} and {_state(bad)}, {number} changed."


def _reasons(incident: Incident, document: Mapping[str, Any]) -> tuple[Item, ...]:
    """The three strongest pieces of evidence; a changed setting in the words of its finding."""
    if incident.cause_by == "person" or incident.root_cause == "undetermined":
        return ()
    settings: dict[str, list[Mapping[str, Any]]] = {}
    for one in document.get("triggers", ()):
        if one["kind"] == "config":
            settings.setdefault(one["path"], []).append(one)
    found: list[Item] = []
    for one in document.get("evidence", ()):
        if one["weight"] >= WEIGHTY and str(one["effect"]).startswith(f"for {incident.root_cause}"):
            rows = settings.get(one["path"], ())[:2] or (one,)
            found += [Item(row["message"], "", (cite(row),)) for row in rows]
    return tuple(found[:MAX_REASONS])


def _impact(document: Mapping[str, Any]) -> tuple[Block, ...]:
    changes = document.get("changes", ())
    kinds = {
        kind: sum(1 for one in changes if one["kind"] == kind)
        for kind in ("added", "modified", "deleted", "renamed", "type", "mode")
    }
    rows = tuple((kind, f"{number:,}") for kind, number in kinds.items() if number)
    blocks: list[Block] = [Table(("Paths", "Number"), rows or (("none changed", "0"),))]
    entries = document.get("loss", {}).get("entries", ())
    if entries:
        items = tuple(
            Item(
                f"{one['kind']} {one['path']}:"
                f" {size(one['size_before'])} before, {size(one['size_after'])} after",
                _restore(one["recover_from"], one)
                if one["recoverable"]
                else "cannot be brought back: no snapshot holds it",
                (Citation(one["path"], snapshot=one["recover_from"] or "", blob=one["blob"] or ""),),
            )
            for one in entries[:MAX_ROWS]
        )
        blocks += [Paragraph("Lost content, and the command that brings each piece back:"), Items(items)]
    else:
        blocks.append(Paragraph("No content was lost."))
    return tuple(blocks)


def _restore(snapshot: str, row: Mapping[str, Any]) -> str:
    """The command that brings a path back, as a shell takes it; ``restore`` takes escaped paths too."""
    return f"casreplay restore {snapshot[:12]} -- {quote(str(row['path']))}"


def _trigger(document: Mapping[str, Any]) -> tuple[Block, ...]:
    findings = document.get("triggers", ())
    if not findings:
        return (Paragraph("No trigger fired between the two states."),)
    items = tuple(
        Item(one["message"], f"{one['severity']}, {one['rule']}", (cite(one),)) for one in findings[:MAX_ROWS]
    )
    return (Items(items),)


def _detection(incident: Incident) -> tuple[Block, ...]:
    text = f"Recorded on {moment(incident.detected_ns)}"
    if incident.happened_ns is not None:
        late = duration(_seconds(incident.time_to_detect_ns))
        text += f", {late} after the first bad snapshot ({moment(incident.happened_ns)})"
    items = tuple(
        Item(f"{event.what}{': ' + event.detail if event.detail else ''}", moment(event.time_ns))
        for event in incident.events
    )
    return (Paragraph(text + "."), Items(items))


def _cause(incident: Incident, document: Mapping[str, Any]) -> tuple[Block, ...]:
    candidates = document.get("candidates", ())
    blocks: list[Block] = []
    if incident.cause_by == "person":
        blocks.append(
            Paragraph(
                f"A person set the cause to {_words(incident.root_cause)}; below is what the machine weighed."
            )
        )
    rows = tuple((one["category"].replace("_", " "), f"{one['score']:.2f}") for one in candidates)
    blocks.append(Table(("Candidate", "Score"), rows))
    evidence = document.get("evidence", ())
    weighty = [one for one in evidence if abs(one["weight"]) >= WEIGHTY]
    weak = [one for one in evidence if abs(one["weight"]) < WEIGHTY]
    for words, pieces in (("The evidence, strongest first:", weighty), ("Seen, but hardly counted:", weak)):
        if pieces:
            items = tuple(
                Item(one["message"], f"{one['weight']:+.2f} {one['effect']} [{one['rule']}]", (cite(one),))
                for one in pieces[:MAX_ROWS]
            )
            blocks += [Paragraph(words), Items(items)]
    if not evidence:
        blocks.append(Paragraph("No evidence was found."))
    return tuple(blocks)


def _decisions(document: Mapping[str, Any]) -> tuple[Block, ...]:
    found, lost = document.get("decisions", ()), document.get("lost_decisions", ())
    blocks: list[Block] = []
    links = tuple(
        (
            one["text"],
            one["why"],
            tuple(one["followed"]),
            f"{moment(one['time_ns'])} ({one['quality']})",
            cite(one),
        )
        for one in found[:MAX_LINKS]
    )
    if links:
        blocks.append(Chain(links))
    else:
        blocks.append(Paragraph("No decision was found in what is new in logs and notes."))
    if len(found) > MAX_LINKS:
        blocks.append(Paragraph(f"{len(found) - MAX_LINKS:,} more decisions are in the JSON report."))
    if lost:
        items = tuple(
            Item(
                one["text"],
                "deleted" if one["became"] == "deleted" else f"rewritten to: {one['became']}",
                (cite(one),),
            )
            for one in lost[:MAX_ROWS]
        )
        blocks += [
            Paragraph("Decisions that were written down before and are gone or rewritten:"),
            Items(items),
        ]
    return tuple(blocks)


def timeline_block(events: Sequence[Mapping[str, Any]]) -> TimelineBlock:
    """The timeline of an analysis document."""
    return TimelineBlock(
        tuple(
            (
                moment(one["time_ns"]),
                one["quality"],
                one["kind"],
                one["text"],
                cite(one) if one["path"] else None,
                one["level"],
            )
            for one in events
        )
    )


def _changes(document: Mapping[str, Any], read: ReadText, diff_rows: int) -> tuple[Block, ...]:
    changes = document.get("changes", ())
    rows = tuple(
        (
            one["kind"],
            one["path"] + (f" (was {one['old_path']})" if one["old_path"] else ""),
            _number(one["size_before"]),
            _number(one["size_after"]),
        )
        for one in changes[:MAX_ROWS]
    )
    blocks: list[Block] = [Table(("Change", "Path", "Bytes before", "Bytes after"), rows)]
    if len(changes) > MAX_ROWS:
        blocks.append(Paragraph(f"{len(changes) - MAX_ROWS:,} more changes are in the JSON report."))
    named = {one["path"] for one in document.get("evidence", ()) if abs(one["weight"]) >= WEIGHTY}
    text = [
        one
        for one in changes
        if one["blob_before"] and one["blob_after"] and one["blob_before"] != one["blob_after"]
    ]
    text.sort(key=lambda one: one["path"] not in named)
    for one in text[:MAX_DIFFS]:
        before = read(one["blob_before"], one["old_path"] or one["path"])
        after = read(one["blob_after"], one["path"])
        if before is not None and after is not None:
            blocks.append(side_by_side(one["path"], before, after, most=diff_rows))
    return tuple(blocks)


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _remediation(document: Mapping[str, Any]) -> tuple[Block, ...]:
    items = [
        Item(one["text"], f"for {str(one['for']).replace('_', ' ')}")
        for one in document.get("remediation", ())
    ]
    good = document.get("good")
    if good:
        items += [
            Item(f"Set {path} back to its last good content", _restore(good["id"], row))
            for path, row in _set_back(document).items()
        ]
    lost = [one for one in document.get("loss", {}).get("entries", ()) if one["recoverable"]]
    if lost and good:
        names = " ".join(name for name in (good["id"][:12], _bad_name(document)) if name)
        items.append(Item("Bring back what was lost", f"casreplay loss {names} --restore"))
    if not items:
        return (Paragraph("Nothing is known to help beyond looking at the evidence above."),)
    return (Items(tuple(items), numbered=True),)


def _set_back(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Changed files that speak for the cause, the strongest first: path to its evidence."""
    cause = document.get("root_cause")
    changed = {one["path"] for one in document.get("changes", ()) if one["blob_before"]}
    found: dict[str, Mapping[str, Any]] = {}
    for one in document.get("evidence", ()):
        speaks = one["weight"] >= WEIGHTY and str(one["effect"]).startswith(f"for {cause}")
        if speaks and one["rule"].startswith("change.") and one["path"] in changed:
            found.setdefault(one["path"], one)
    return dict(list(found.items())[:MAX_SET_BACK])


def _bad_name(document: Mapping[str, Any]) -> str:
    bad = document.get("bad")
    return bad["id"][:12] if bad else ""


def _actions(incident: Incident) -> tuple[Block, ...]:
    if not incident.actions:
        return (
            Paragraph(
                f'None yet. Add one with: casreplay incident action {incident.id} "..." --kind prevent'
            ),
        )
    rows = tuple(
        (
            str(one.number),
            one.kind.value,
            one.text,
            one.owner or "nobody",
            moment(one.done_ns) if one.done_ns else "open",
        )
        for one in incident.actions
    )
    return (Table(("No.", "Kind", "What", "Who", "Done"), rows),)


def _luck(document: Mapping[str, Any]) -> tuple[Block, ...]:
    summary = document.get("loss", {}).get("summary", {})
    items = []
    if summary.get("recoverable"):
        items.append(
            Item(
                f"{count(summary['recoverable'], 'lost file')} can be brought back:"
                " a snapshot had been taken before."
            )
        )
    coverage = document.get("coverage", {})
    before = coverage.get("before") or {}
    if before.get("complete"):
        items.append(Item("The last good snapshot was whole: nothing the rules let in was missed."))
    if not items:
        return (Paragraph("Nothing stands out."),)
    return (Items(tuple(items)),)


def _coverage(document: Mapping[str, Any]) -> tuple[Block, ...]:
    coverage = document.get("coverage", {})
    examined = coverage.get("examined", {})
    rows = tuple((name.replace("_", " "), f"{value:,}") for name, value in examined.items() if value)
    blocks: list[Block] = [Table(("Examined", "Number"), rows)]
    for side in ("before", "after"):
        counts = coverage.get(side)
        if counts:
            gaps = [
                f"{counts[name]:,} {name.replace('_', ' ')}"
                for name in ("too_large", "unreadable", "vanished", "prefix", "torn", "mounts")
                if counts.get(name)
            ]
            state = "last good" if side == "before" else "first bad"
            missing = ", ".join(gaps) if gaps else "nothing"
            ignored = count(counts.get("ignored", 0), "entry", "entries")
            blocks.append(
                Paragraph(
                    f"In the {state} state: {count(counts['files'], 'file')};"
                    f" not captured whole: {missing}; left out by rules: {ignored}."
                )
            )
    skipped = coverage.get("not_examined", ())
    if skipped:
        items = tuple(Item(f"{one['path']} ({one['family']})", one["reason"]) for one in skipped[:MAX_ROWS])
        blocks += [Paragraph("Not, or not fully, examined:"), Items(items)]
    blocks += [Paragraph(note) for note in coverage.get("notes", ())]
    return tuple(blocks)
