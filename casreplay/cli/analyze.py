"""``analyze``: why did it break; ``timeline``, ``decisions``, ``loss``: parts of the answer by themselves."""

from __future__ import annotations

import os
from functools import partial
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from casreplay.cli.options import command, json_option
from casreplay.cli.session import Session
from casreplay.cli.text import clock_time, count, safe_line, size
from casreplay.errors import EXIT_OK, EXIT_PROBLEMS, StoreIOError, UsageError
from casreplay.model.objects import Snapshot

if TYPE_CHECKING:
    from casreplay.incidents.recording import Recorded

__all__ = ["analyze", "decisions", "incident_database", "loss", "pair_of", "timeline"]

MAX_LOG_BYTES = 128 << 20
"""Of a larger log given with --log the end is read: there the failure is."""
SHOWN = 12
PIECE = 1 << 20
WEIGHTY = 0.2
"""Evidence that adds less is counted, not shown."""


def pair_of(session: Session, first: str, second: str | None) -> tuple[Snapshot, Snapshot | None]:
    """Two snapshots from ``A B`` or ``A..B``; without B the folder as it is now (``None``)."""
    from casreplay.history.names import split_range  # noqa: PLC0415 - start-up speed

    if second is None and (span := split_range(first)) is not None:
        first, second = span
    repository = session.repository()
    return repository.snapshot(first), repository.snapshot(second) if second is not None else None


def incident_database(session: Session) -> Any:
    """The incident database of the session's store, to be used as a context manager."""
    from casreplay.incidents.database import NAME, IncidentDatabase  # noqa: PLC0415 - start-up speed

    path = os.path.join(os.fsdecode(session.location().store), NAME)
    return IncidentDatabase(path, clock=session.clock)


@command(
    "analyze",
    examples=[
        'casreplay analyze checked @ --title "Totals are wrong since the night"',
        "casreplay analyze good bad --log ci.log --exit-code 137",
        "casreplay analyze good                   # against the folder as it is now",
    ],
)
@click.argument("good")
@click.argument("bad", required=False, metavar="[BAD]")
@click.option(
    "--title", metavar="TEXT", default="", help="The incident's title; made from the cause if left out."
)
@click.option(
    "--log", "logs", metavar="FILE", multiple=True, help="A log from outside the folder; may be repeated."
)
@click.option("--exit-code", type=int, metavar="N", help="Exit code of the command that failed.")
@click.option("--no-incident", is_flag=True, help="Record no incident.")
@click.option("--force", is_flag=True, help="Record one even for a pattern that was called wrongly flagged.")
@json_option
@click.pass_obj
def analyze(session: Session, /, *, good: str, bad: str | None, **options: Any) -> int:
    """Say why it broke between GOOD and BAD, with the evidence for every sentence, and record an incident.

    Looks at what changed, at new lines in logs, at configuration keys, at what was lost. The
    answer may be 'undetermined': then the evidence did not suffice, and no cause is made up.
    """
    from casreplay.forensics import analysis  # noqa: PLC0415 - start-up speed

    before, after = pair_of(session, good, bad)
    wanted = analysis.AnalyzeOptions(
        [_extra_log(session, name) for name in options["logs"]], options["exit_code"]
    )
    with session.progress() as progress:
        document = analysis.analyze(session.repository(), before, after, wanted, monitor=progress)
    recorded, failure = None, None
    if not options["no_incident"]:
        from casreplay.incidents.recording import record  # noqa: PLC0415 - start-up speed

        try:
            with incident_database(session) as database:
                recorded = record(database, document, title=options["title"], force=options["force"])
        except StoreIOError as error:  # the answer is worth having all the same
            failure = error
    incident = recorded.incident.id if recorded and recorded.incident else None
    if options["as_json"]:
        session.out.data(analysis.with_incident(document, incident))
    else:
        _print(session, document, recorded)
    if failure is not None:
        session.out.warning(f"No incident was recorded. {failure.message}")
        return EXIT_PROBLEMS
    return EXIT_OK


def _extra_log(session: Session, name: str) -> Any:
    from casreplay.forensics.analysis import ExtraLog  # noqa: PLC0415 - start-up speed
    from casreplay.forensics.log_windows import tail_of  # noqa: PLC0415 - start-up speed
    from casreplay.forensics.logs import is_binary  # noqa: PLC0415 - start-up speed

    try:
        with open(session.path(name), "rb") as file:
            tail = tail_of(iter(partial(file.read, PIECE), b""), MAX_LOG_BYTES)
    except OSError as error:
        raise StoreIOError(f"Cannot read the log {name}: {error.strerror}", path=name) from error
    if is_binary(tail.data):
        raise UsageError(
            f"The log {name} is binary", hint="Give the text that the program printed", path=name
        )
    return ExtraLog(name, tail.data, tail.lines_before)


def _print(session: Session, document: dict[str, Any], recorded: Recorded | None) -> None:
    out = session.out
    if recorded is not None:
        out.line(_recorded_line(session, recorded))
    cause = document["root_cause"].replace("_", " ")
    sub = f" ({document['sub_cause'].replace('_', ' ')})" if document["sub_cause"] else ""
    other = next((one for one in document["candidates"] if one["category"] != document["root_cause"]), None)
    out.line(f"Root cause: {out.style(cause, 'bold')}{sub}, confidence {document['confidence']:.2f}")
    if other is not None:
        out.line(f"  next candidate: {other['category'].replace('_', ' ')} (score {other['score']:.2f})")
    weighty = [one for one in document["evidence"] if abs(one["weight"]) >= WEIGHTY] or document["evidence"]
    _section(session, "Evidence", [_evidence_line(one) for one in weighty])
    weaker = len(document["evidence"]) - len(weighty)
    if weaker:
        out.line(f"  and {count(weaker, 'weak piece')} more (--json shows all)")
    _section(session, "Findings", [_finding_line(one) for one in document["triggers"]])
    _section(session, "Lost", [_loss_line(one) for one in document["loss"]["entries"]])
    _section(session, "What to do", [safe_line(one["text"]) for one in document["remediation"]])
    changes = document["changes"]
    out.line(f"{count(len(changes), 'path')} changed; {count(len(document['decisions']), 'decision')} found")
    if recorded is not None and recorded.incident is not None:
        out.note(f"The full report: casreplay report {recorded.incident.id} --format html -o report.html")


def _recorded_line(session: Session, recorded: Recorded) -> str:
    one = recorded.incident
    if one is None:
        return f"No incident: this pattern was called wrongly flagged ({safe_line(recorded.reason)})"
    name, title = session.out.style(one.id, "yellow"), safe_line(one.title)
    if recorded.how == "reopened":
        return f"{name} {title}: reopened, it recurred (seen {len(one.occurrences)} times)"
    if recorded.how == "same":
        return f"{name} {title}: recorded already"
    return f"{name} {title} ({one.severity.label})"


def _section(session: Session, name: str, lines: list[str]) -> None:
    if not lines:
        return
    session.out.line(f"{name}:")
    session.out.lines(f"  {line}" for line in lines[:SHOWN])
    if len(lines) > SHOWN:
        session.out.line(f"  and {len(lines) - SHOWN} more (--json shows all)")


def _place(one: dict[str, Any]) -> str:
    return f"{one['path']}:{one['line']}" if one.get("line") else str(one["path"])


def _evidence_line(one: dict[str, Any]) -> str:
    why = f"[{one['rule']}, {one['weight']:+.2f} {safe_line(one['effect'])}]"
    return f"{_place(one)}  {safe_line(one['message'])}  {why}"


def _finding_line(one: dict[str, Any]) -> str:
    return f"{one['severity']}: {safe_line(one['message'])}"


def _loss_line(one: dict[str, Any]) -> str:
    back = "NOT recoverable"
    if one["recoverable"]:
        back = f"back with: casreplay restore {one['recover_from'][:12]} {quote(one['path'])}"
    return f"{one['kind']} {one['path']} ({size(one['size_before'])}); {back}"


@command(
    "timeline",
    examples=["casreplay timeline checked @", "casreplay timeline @~5 @ --html timeline.html"],
)
@click.argument("a")
@click.argument("b", required=False, metavar="[B]")
@click.option("--html", metavar="FILE", help="Write one self-contained page that can be filtered.")
@json_option
@click.pass_obj
def timeline(session: Session, /, *, a: str, b: str | None, html: str | None, as_json: bool) -> None:
    """Everything that happened from A to B in one order: snapshots, changes, logs, findings, decisions.

    Each line says how well its time is known: exact, naive (a local time without zone), mtime
    (the file's own), inferred, or none.
    """
    from casreplay.forensics.analysis import analyze as run  # noqa: PLC0415 - start-up speed

    before, after = pair_of(session, a, b)
    with session.progress() as progress:
        document = run(session.repository(), before, after, monitor=progress)
    events = document["timeline"]
    if html is not None:
        from casreplay.cli.output_file import write_output  # noqa: PLC0415 - only when asked for
        from casreplay.report.html import timeline_page  # noqa: PLC0415 - only when asked for

        write_output(session, html, timeline_page(document))
    if as_json:
        session.out.data({"events": events, "coverage": document["coverage"]})
    elif html is None:
        for one in events:
            when = clock_time(one["time_ns"]) if one["time_ns"] is not None else "-" * 19
            session.out.line(
                f"{when} {one['quality']:<8} {one['kind']:<8} {safe_line(one['text'])}{_where(one)}"
            )


def _where(one: dict[str, Any]) -> str:
    return f"  ({_place(one)})" if one["path"] and one["kind"] != "change" else ""


@command(
    "decisions",
    examples=["casreplay decisions @", "casreplay decisions checked..@ --mermaid"],
)
@click.argument("snapshot", metavar="[SNAP|A..B]", default="@")
@click.option("--mermaid", "as_mermaid", is_flag=True, help="Print the chain as a Mermaid flowchart.")
@json_option
@click.pass_obj
def decisions(session: Session, /, *, snapshot: str, as_mermaid: bool, as_json: bool) -> None:
    """What was decided, why, and what followed: from logs and memory notes.

    With A..B: only decisions that are new in B, and those of A that were rewritten or deleted.
    """
    from casreplay.forensics.decisions import mermaid  # noqa: PLC0415 - start-up speed
    from casreplay.forensics.decisions_history import decisions_between, decisions_of  # noqa: PLC0415 - start-up speed

    repository = session.repository()
    if ".." in snapshot and not snapshot.startswith("@{"):
        first, last = pair_of(session, snapshot, None)
        found, lost, problems = decisions_between(repository, first, last or repository.snapshot("@"))
    else:
        found, problems = decisions_of(repository, repository.snapshot(snapshot))
        lost = []
    for problem in problems:
        session.out.warning(problem)
    if as_json:
        rows = [{**one.to_dict(), "became": became} for one, became in lost]
        session.out.data({"decisions": [one.to_dict() for one in found], "lost": rows})
    elif as_mermaid:
        session.out.line(mermaid(found))
    else:
        _print_decisions(session, found, lost)


def _print_decisions(session: Session, found: list[Any], lost: list[Any]) -> None:
    out = session.out
    for one in found:
        when = f"{clock_time(one.time_ns)} ({one.quality})" if one.time_ns is not None else "no time"
        out.line(out.style(safe_line(one.text), "bold"))
        if one.why:
            out.line(f"  why: {safe_line(one.why)}")
        for after in one.followed:
            out.line(f"  then: {safe_line(after)}")
        place = _place(one.evidence.to_dict())
        out.line(f"  {when}; {place}; by {one.marker!r}, confidence {one.confidence:.1f}")
    for one, became in lost:
        fate = "was deleted" if became == "deleted" else f"became: {safe_line(became)}"
        out.line(out.style(f"Decision {fate}", "red"))
        out.line(f"  it was: {safe_line(one.text)} ({_place(one.evidence.to_dict())})")
    if not found and not lost:
        out.line("No decisions found")


@command("loss", examples=["casreplay loss checked @", "casreplay loss @~10..@ --restore"])
@click.argument("a")
@click.argument("b", required=False, metavar="[B]")
@click.option(
    "--restore", "bring_back", is_flag=True, help="Bring everything recoverable back into the folder."
)
@click.option("-n", "--dry-run", is_flag=True, help="With --restore: say what would be done.")
@json_option
@click.pass_obj
def loss(session: Session, /, *, a: str, b: str | None, **options: Any) -> int:
    """What was destroyed from A to B (deleted, overwritten, truncated, emptied), and how it comes back."""
    from casreplay.forensics.losses import losses_between  # noqa: PLC0415 - start-up speed

    before, after = pair_of(session, a, b)
    with session.progress() as progress:
        ledger = losses_between(session.repository(), before, after, progress)
    restored: list[dict[str, Any]] = []
    if options["bring_back"]:
        restored = _bring_back(session, ledger, dry_run=options["dry_run"])
    if options["as_json"]:
        fields = {"from": before.id.hex(), "to": after.id.hex() if after else None, **ledger.to_dict()}
        session.out.data({**fields, "restored": restored} if options["bring_back"] else fields)
        return EXIT_OK
    for one in ledger.losses:
        session.out.line(_loss_line(one.to_dict()))
    if not ledger.losses:
        session.out.line("Nothing was lost")
        return EXIT_OK
    gone = len(ledger.unrecoverable)
    session.out.line(
        f"{count(len(ledger.losses), 'file')}, {size(ledger.lost_bytes)};"
        f" {'all recoverable' if not gone else f'{gone} not recoverable'}"
    )
    for row in restored:
        verb = "would bring back" if options["dry_run"] else "brought back"
        session.out.line(f"{verb} {count(row['paths'], 'path')} from {row['snapshot'][:12]}")
        if row["undo"]:
            session.out.line(f"  to take it back: {row['undo']}")
    return EXIT_OK


def _bring_back(session: Session, ledger: Any, *, dry_run: bool) -> list[dict[str, Any]]:
    """Restore what is recoverable, one restore for each snapshot it comes from."""
    from casreplay.cli.restore import undo_line  # noqa: PLC0415 - only when asked for
    from casreplay.history.restore import RestoreOptions  # noqa: PLC0415 - only when asked for

    by_snapshot: dict[str, list[bytes]] = {}
    for one in ledger.losses:
        if one.recoverable:
            by_snapshot.setdefault(one.recover_from, []).append(one.path)
    rows = []
    for name, paths in sorted(by_snapshot.items()):
        snapshot = session.repository().snapshot(name)
        done = session.repository().restore(snapshot, RestoreOptions(paths=tuple(paths), dry_run=dry_run))
        undo = undo_line(session, done) if done.undo else None
        rows.append({"snapshot": name, "paths": len(paths), "undo": undo})
    return rows
